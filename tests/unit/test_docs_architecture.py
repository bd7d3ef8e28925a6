"""docs/architecture.md against the code: layers, states, hooks for numbers that it names."""

import re
import tomllib
from pathlib import Path

from botkit.journal.writer import BUFFERED_BATCH
from botkit.model import OrdStatus
from botkit.orders import OrderTiming

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "architecture.md").read_text("utf-8")
NS_PER_S = 1_000_000_000


def test_the_map_is_the_one_that_is_checked() -> None:
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["importlinter"]
    inside = next(each for each in contracts["contracts"] if each.get("containers") == ["botkit"])
    # A layer in parentheses may be absent.
    checked = [
        [f"botkit.{name}" for name in layer.split(" | ") if not name.startswith("(")]
        for layer in inside["layers"]
    ]

    cells = re.findall(r"^\| (`botkit\.[^|]*) \|", PAGE, re.MULTILINE)
    assert [re.findall(r"`([\w.]+)`", cell) for cell in cells] == checked


def test_every_state_of_an_order_is_told() -> None:
    told = re.findall(r"^\| `([A-Z_]+)` \|", PAGE, re.MULTILINE)

    assert sorted(told) == sorted(OrdStatus)


def test_the_numbers_it_names_are_the_codes() -> None:
    timing = OrderTiming()

    assert f"answer that is {timing.ack_due_ns // NS_PER_S} s late" in PAGE
    assert f"every {timing.ask_every_ns // NS_PER_S} s, then less often" in PAGE
    assert f"listings, {timing.settle_ns // NS_PER_S} s apart" in PAGE
    assert f"{BUFFERED_BATCH} entries a transaction" in PAGE
