"""docs/config.md against the classes: every key, default and example."""

import re
import tomllib
from collections.abc import Mapping
from decimal import Decimal
from enum import Enum
from pathlib import Path
from typing import Any

import attrs
import pytest

from botkit.config import (
    AlertsConfig,
    BotConfig,
    FlattenConfig,
    GuardianConfig,
    HeartbeatConfig,
    MetricsConfig,
    OpeningConfig,
    StrategyConfig,
    format_duration,
    load_plugin,
    names,
    structure,
)
from botkit.config.durations import DURATION
from botkit.ports import FeeSchedule
from venues.paper.feeds.fields import FIELDS, RecordedFile
from venues.paper.feeds.replay import ReplayOptions
from venues.paper.feeds.synthetic import SyntheticOptions
from venues.paper.options import InstrumentOptions, LogNormalOptions, PaperOptions

VENUE_PAGES = Path(__file__).resolve().parents[2] / "docs" / "venues"
PAGE = (Path(__file__).resolve().parents[2] / "docs" / "config.md").read_text("utf-8")
SECTIONS: Mapping[str, type] = {
    "`[bot]`": BotConfig,
    "`[[bot.opening]]`": OpeningConfig,
    "`[bot.flatten]`": FlattenConfig,
    "`[bot.guardian]`": GuardianConfig,
    "`[[strategies]]`": StrategyConfig,
    '`type = "paper"`': PaperOptions,
    '`latency = { kind = "lognormal", ... }`': LogNormalOptions,
    "`fees = { ... }`": FeeSchedule,
    "`instruments.SYMBOL = { ... }`": InstrumentOptions,
    '`feed = { type = "synthetic", ... }`': SyntheticOptions,
    '`feed = { type = "replay", ... }`': ReplayOptions,
    "`[[venues.NAME.feed.files]]`": RecordedFile,
    "`[alerts]`": AlertsConfig,
    "`heartbeat = { ... }`": HeartbeatConfig,
    "`[metrics]`": MetricsConfig,
}
# Settled by code where the config leaves them out; the page says how in words.
IN_WORDS = {"from `type`", "that of `[bot]`", "that of orders", "from the name", "one lot",
            "no limit", "no end", "all of them", "-"}  # fmt: skip


def table(heading: str) -> list[list[str]]:
    """Return the first table under a heading: its rows' cells, back quotes taken off."""
    part = re.search(rf"^#+ {re.escape(heading)}$(.*?)(?=^#|\Z)", PAGE, re.MULTILINE | re.DOTALL)
    assert part is not None, f"no heading {heading!r}"
    rows = re.search(r"^\| --- .*\n((?:\|.*\n)+)", part[1], re.MULTILINE)
    assert rows is not None, f"no table under {heading!r}"
    return [[cell.strip() for cell in row.strip("|").split(" | ")] for row in rows[1].splitlines()]


def plain(cell: str) -> str:
    return cell.removeprefix("`").removesuffix("`")


def written(field: "attrs.Attribute[Any]") -> str | None:
    """Return a default as a config would write it; None where only words can tell it."""
    default: Any = field.default
    if default is attrs.NOTHING:
        return "required"
    if field.type is not None and DURATION in str(field.type) and isinstance(default, int):
        return f'"{format_duration(default)}"'
    if isinstance(default, bool):
        return str(default).lower()
    if isinstance(default, Enum):
        return f'"{default.value}"'
    if isinstance(default, Decimal | str):
        return f'"{default}"'
    return repr(default) if isinstance(default, int | float) else None


@pytest.mark.parametrize("heading", SECTIONS)
def test_every_key_is_documented_and_no_other(heading: str) -> None:
    documented = [plain(row[0]) for row in table(heading)]

    assert documented == [field.name for field in attrs.fields(SECTIONS[heading])]


@pytest.mark.parametrize("heading", SECTIONS)
def test_every_default_is_the_codes(heading: str) -> None:
    cls: Any = attrs.resolve_types(SECTIONS[heading], include_extras=True)
    for row, field in zip(table(heading), attrs.fields(cls), strict=True):
        if row[2] not in IN_WORDS:
            expected = written(field)
            told = tomllib.loads(f"default = {plain(row[2])}") if expected is None else {}
            assert plain(row[2]) == expected or told["default"] == field.default.factory(), row
        else:
            assert written(field) in {None, "required", '""'}, row


@pytest.mark.parametrize("heading", SECTIONS)
def test_every_example_is_accepted(heading: str) -> None:
    text = "\n".join(f"{plain(row[0])} = {plain(row[3])}" for row in table(heading))

    structure(SECTIONS[heading], tomllib.loads(text), "docs/config.md")


def test_every_risk_rule_is_documented_and_takes_its_example() -> None:
    rows = table("`[risk]`")

    assert sorted(plain(row[0]) for row in rows) == names("botkit.risk")
    for row in rows:
        rule: Any = load_plugin("botkit.risk", plain(row[0]), "docs/config.md")
        value = tomllib.loads(f"value = {plain(row[2])}")["value"]
        assert rule.from_config(value, "docs/config.md").key == plain(row[0])


def test_every_field_of_a_recording_is_documented_and_whether_it_is_needed() -> None:
    rows = re.findall(r"^\| `(\w+)` \| (`receive_time`.*|`start_time`.*) \|$", PAGE, re.MULTILINE)
    documented = {}
    for kind, cell in rows:
        needed, _, optional = cell.partition("[")
        fields = dict.fromkeys(re.findall(r"`(\w+)`", needed), True)
        documented[kind] = fields | dict.fromkeys(re.findall(r"`(\w+)`", optional), False)

    assert documented == FIELDS


def test_every_venue_plug_in_has_a_section_or_a_page() -> None:
    for name in names("botkit.venues"):
        page = VENUE_PAGES / f"{name}.md"
        assert f'`type = "{name}"`' in PAGE or (f'`"{name}"`' in PAGE and page.exists()), name


@pytest.mark.parametrize("name", sorted({*names("botkit.venues")} - {"paper"}))
def test_a_real_venues_page_has_every_key_of_its_options(name: str) -> None:
    plugin: Any = load_plugin("botkit.venues", name, "test")
    settings = (VENUE_PAGES / f"{name}.md").read_text("utf-8")
    keys = [field.name for field in attrs.fields(plugin.Options)]
    assert [key for key in keys if f"`{key}" not in settings] == []
