"""`botkit exposure`: figures from the options, sums that add up, the pages of the venues."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from botkit.assembly import check
from botkit.cli.main import call
from botkit.cli.session import Session
from botkit.cli.signals import SignalWatch
from botkit.config import load
from botkit.ports import AttendedVenue, Liveness

ROOT = Path(__file__).parents[2]
VENUES = ("finery", "blinktrade", "moonbase", "peatio", "digifinex")
ROW = re.compile(r"^\| ([^|]+) \| (?:([0-9.]+) s|unbounded) \|$", re.MULTILINE)
# An option, another value of it, and the failure whose bound moves by how many seconds.
MOVES = [
    ("finery", "ping_every", "27s", "half-open or silent link", 7.0),
    ("finery", "pong_within", "12s", "half-open or silent link", 2.0),
    ("finery", "answer_within", "6s", "link cut", 2.0),  # 10 orders, 8 at once
    ("finery", "connect_within", "11s", "bot killed", 1.0),
    ("blinktrade", "beat_every", "21s", "half-open or silent link", 1.0),
    ("blinktrade", "beat_within", "12s", "half-open or silent link", 2.0),
    ("blinktrade", "max_open_orders", "4", "link cut", -30.0),
    ("moonbase", "heartbeat_every", "40s", "half-open or silent link", 10.0),
    ("moonbase", "heartbeat_within", "5s", "half-open or silent link", -5.0),
    ("peatio", "silent_for", "45s", "half-open or silent link", 15.0),
    ("digifinex", "ping_every", "20s", "half-open or silent link", 5.0),
    ("digifinex", "pong_within", "5s", "half-open or silent link", -5.0),
    ("digifinex", "cancels_per_call", "5", "link cut", 5.0),
]


def told(capsys: pytest.CaptureFixture[str], name: str, *overrides: str) -> dict[str, Any]:
    """Return what `--json` says of the one venue of a config."""
    words = [word for override in overrides for word in ("--set", override)]
    config = str(ROOT / "configs" / f"{name}.toml")
    assert call(["exposure", config, "--json", *words], Session(watch=SignalWatch())) == 0
    (line,) = capsys.readouterr().out.splitlines()
    found: dict[str, Any] = json.loads(line)
    return found


def seconds(found: dict[str, Any]) -> dict[str, float | None]:
    return {each["failure"]: each["seconds"] for each in found["failures"]}


@pytest.mark.parametrize("move", MOVES)
def test_an_option_moves_the_figure_that_it_is_part_of(
    move: tuple[str, str, str, str, float], capsys: pytest.CaptureFixture[str]
) -> None:
    name, option, value, failure, by_s = move
    before = seconds(told(capsys, name))[failure]
    after = seconds(told(capsys, name, f"venues.{name}.{option}={value}"))[failure]
    assert before is not None
    assert after == before + by_s


def test_guardian_and_policy_move_the_figures(capsys: pytest.CaptureFixture[str]) -> None:
    usual = seconds(told(capsys, "peatio"))
    slow = seconds(told(capsys, "peatio", "bot.guardian.hung_after=8s"))
    alone = told(capsys, "peatio", "bot.guardian.enabled=false")
    kept = seconds(told(capsys, "peatio", "venues.peatio.on_disconnect=keep"))
    assert usual["bot hung"] is not None
    assert slow["bot hung"] == usual["bot hung"] + 3
    assert slow["bot killed"] == usual["bot killed"]
    assert (seconds(alone)["bot hung"], seconds(alone)["bot killed"]) == (None, None)
    assert {each["layer"] for each in alone["layers"] if not each["active"]} == {
        *("venue", "data", "hang", "process")
    }
    assert (kept["link cut"], kept["half-open or silent link"]) == (None, None)


def test_venues_own_cancel_counts_where_it_is_asked_for_and_documented(
    capsys: pytest.CaptureFixture[str],
) -> None:
    asked = told(capsys, "finery")
    kept = told(capsys, "finery", "venues.finery.on_disconnect=keep")
    assert seconds(asked)["bot and guardian, or host, lost"] == 80
    assert seconds(kept)["bot and guardian, or host, lost"] is None
    assert (asked["liveness"]["native"]["asked"], kept["liveness"]["native"]["asked"]) == (
        True,
        False,
    )


def test_without_rest_an_order_waits_for_the_next_connection(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    text = (ROOT / "configs" / "blinktrade.toml").read_text("utf-8")
    keyless = tmp_path / "blinktrade.toml"
    keyless.write_text(re.sub(r"^secret = .*$", "", text, flags=re.MULTILINE), "utf-8")
    assert call(["exposure", str(keyless), "--json"], Session(watch=SignalWatch())) == 0
    found = json.loads(capsys.readouterr().out)
    cut = found["failures"][0]
    assert (cut["failure"], cut["by"]) == ("link cut", "reconnecting")
    # The longest back-off, connect_within, three answers, 10 orders at 10 a second, cancel_within.
    assert cut["seconds"] == 30 + 10 + 15 + 2 + 2
    assert found["liveness"]["cancel_while_down"] is None


@pytest.mark.parametrize("name", VENUES)
def test_sums_add_up_and_the_least_counts(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    for failure in told(capsys, name)["failures"]:
        sums = [sum(term["seconds"] for term in each["terms"]) for each in failure["bounds"]]
        assert [each["seconds"] for each in failure["bounds"]] == sums
        assert failure["seconds"] == min(sums, default=None)


@pytest.mark.parametrize("name", VENUES)
def test_the_page_of_a_venue_has_the_figures_of_its_config(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    page = (ROOT / "docs" / "venues" / f"{name}.md").read_text("utf-8")
    _, _, section = page.partition("\n## When the link is lost\n")
    rows = {what: float(s) if s else None for what, s in ROW.findall(section)}
    assert rows == seconds(told(capsys, name))


def test_people_get_it_within_80_columns(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    config = str(ROOT / "configs" / "cross_venue.toml")
    assert call(["exposure", config], Session(watch=SignalWatch())) == 0
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 80
    assert 'digifinex: on_disconnect = "cancel", at most' in "\n".join(lines)
    assert sum(line.endswith("*unbounded*") for line in lines) == 3


def test_what_ends_with_the_process_is_never_unattended(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert set(seconds(told(capsys, "paper")).values()) == {0}


def test_every_figure_is_of_the_options_the_adapter_goes_by() -> None:
    for name in VENUES:
        venue = check(load(ROOT / "configs" / f"{name}.toml"), live=True).venues[name]
        assert isinstance(venue, AttendedVenue)
        found: Liveness = venue.liveness()
        assert all(each.noticed_s > 0 for each in found.streams)
        assert (found.cancel_while_down is not None) is venue.capabilities.rest_cancel
        is_native = found.native is not None and found.native.asked
        assert is_native is venue.capabilities.cancel_on_disconnect
