"""docs/strategy-api.md and the README against the code: names, and examples that run."""

import inspect
import re
from pathlib import Path
from typing import Any

import attrs
import pytest

from botkit import OrderScope, Strategy
from botkit.engine.desk import REFUSALS_MAX
from botkit.orders import Order
from botkit.scope import OrderTerms
from botkit.strategy import HOOKS
from botkit.testing import RunResult, run_strategy

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "strategy-api.md").read_text("utf-8")
PYTHON = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def names_in(heading: str, table: int = 0) -> list[str]:
    """Return the names in the first column of a table under a heading."""
    part = re.search(rf"^## {re.escape(heading)}$(.*?)(?=^## |\Z)", PAGE, re.MULTILINE | re.DOTALL)
    assert part is not None, heading
    tables = re.findall(r"^\| --- .*\n((?:\|.*\n)+)", part[1], re.MULTILINE)
    cells = [row.split(" | ")[0] for row in tables[table].splitlines()]
    return [name for cell in cells for name in re.findall(r"`(?:await )?((?:\w+\.)?\w+)", cell)]


def examples(name: str) -> dict[str, Any]:
    """Return what the page's blocks of Python define, run one after the other."""
    found: dict[str, Any] = {"__name__": "examples"}
    for block in PYTHON.findall((ROOT / name).read_text("utf-8")):
        exec(compile(block, name, "exec"), found)  # noqa: S102  our own pages
    return found


def public(cls: type) -> set[str]:
    return {name for name, _ in inspect.getmembers(cls) if not name.startswith("_")}


def test_every_hook_is_documented() -> None:
    assert sorted(names_in("Hooks")) == sorted(HOOKS)


def test_every_method_of_a_strategy_is_documented() -> None:
    documented = names_in("Looking") + names_in("Acting") + names_in("Waiting: `async def run`")
    own = {name.removeprefix("self.") for name in documented if name.startswith("self.")}

    known = public(Strategy) | set(Strategy.__annotations__)
    engines = {"bind", "run", "Params", "order_scope"}  # the engine's; the last three have sections
    assert own == {name for name in known if not name.startswith("_")} - set(HOOKS) - engines


def test_every_term_of_an_order_is_documented() -> None:
    assert sorted(names_in("Acting", table=1)) == sorted(OrderTerms.__annotations__)


def test_what_is_said_of_orders_and_scopes_is_there() -> None:
    for name in re.findall(r"`(?:await )?order\.(\w+)", PAGE):
        assert hasattr(Order, name) or name in Order.__annotations__, name
    told = re.search(r"What an order tells: (.*?)\. Its states", PAGE, re.DOTALL)
    assert told is not None
    for name in re.findall(r"`(\w+)`", told[1]):
        assert hasattr(Order, name) or name in Order.__annotations__, name
    assert set(re.findall(r"`scope\.(\w+)", PAGE)) == public(OrderScope)


def test_every_argument_and_result_of_the_harness_is_documented() -> None:
    results = {field.name for field in attrs.fields(RunResult)} | public(RunResult)

    assert names_in("Testing") == list(inspect.signature(run_strategy).parameters)
    assert set(names_in("Testing", table=1)) == results


@pytest.mark.parametrize("page", ["docs/strategy-api.md", "README.md"])
def test_every_strategy_shown_trades(page: str) -> None:
    shown = [each for each in examples(page).values() if inspect.isclass(each)]
    strategies = [each for each in shown if issubclass(each, Strategy) and each is not Strategy]

    assert strategies
    for each in strategies:
        result = run_strategy(each, params={"qty": "0.01"}, for_s=60)
        assert result.orders
        assert not result.resting


def test_the_test_shown_passes() -> None:
    tests = [each for name, each in examples("docs/strategy-api.md").items() if "test_" in name]

    assert len(tests) == 1
    tests[0]()


def test_the_number_of_refusals_it_names_is_the_engines() -> None:
    assert f"after {REFUSALS_MAX:,} refusals in one event" in PAGE
