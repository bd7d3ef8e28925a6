"""What a bot holds at its start: carried where the venue keeps it, else what the config says."""

from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path

import pytest
import trio

from botkit.assembly import Plan, assemble, check
from botkit.cli.main import call
from botkit.cli.opening import opening_inventory
from botkit.cli.session import Session
from botkit.clock import BacktestClock
from botkit.config import load
from botkit.errors import ConfigError
from botkit.journal import JournalReader, SqliteJournal
from botkit.model import Adjustment, AdjustmentKind, ClientOrderId, Fill, Side
from botkit.ports import JournalEntry
from botkit.testing.memory_journal import MemoryJournal

CONFIG = """
[bot]
name = "holder"
report_currency = "EUR"

[[bot.opening]]
strategy = "market_maker"
symbol = "paper:BTC-EUR"
qty = "0.5"
price = "50000"

[venues.paper]
type = "paper"
feed = { type = "synthetic", seed = 7, speed = "max" }
balances = { BTC = "1", EUR = "100000" }

[[strategies]]
type = "market_maker"
instrument = "paper:BTC-EUR"
params = { qty = "0.01", half_spread_bps = "2" }
"""
SYMBOL = "paper:BTC-EUR"
AGAIN = """
[[bot.opening]]
strategy = "market_maker"
symbol = "paper:BTC-EUR"
qty = "1"
price = "1"
"""


def build_plan(folder: Path, text: str = CONFIG, *, keeps: bool = True) -> Plan:
    path = folder / "holder.toml"
    path.write_text(text)
    plan = check(load(path))
    plan.venues["paper"].keeps_orders = keeps
    return plan


def build_fill(qty: str, symbol: str = SYMBOL) -> Fill:
    return Fill(
        client_order_id=ClientOrderId("holder-r-1"),
        symbol=symbol,
        strategy="market_maker",
        side=Side.BUY,
        qty=Decimal(qty),
        price=Decimal(60000),
        commission=Decimal(0),
    )


def written(folder: Path, *runs: tuple[str, Sequence[JournalEntry]]) -> Path:
    """Write a journal with these runs, (mode, entries) each, and return its path."""
    journal = SqliteJournal.open(folder, "holder")
    for number, (mode, entries) in enumerate(runs):
        journal.begin_run(run_id=f"r{number}", mode=mode, config="", started_ns=number)
        for entry in entries:
            journal.record(entry)
        journal.commit()
        journal.end_run(ended_ns=number, exit_code=0, reason="")
    journal.close()
    return journal.path


def opened(plan: Plan, journal: Path) -> tuple[list[Adjustment], list[str]]:
    said: list[str] = []
    instruments = trio.run(plan.prepare)
    found = opening_inventory(plan, instruments, journal=journal, mode="LIVE", say=said.append)
    return found, said


def test_the_first_run_starts_with_what_the_config_says(tmp_path: Path) -> None:
    (opening,), _ = opened(build_plan(tmp_path), written(tmp_path))

    assert opening.kind is AdjustmentKind.OPENING
    assert (opening.qty, opening.price) == (Decimal("0.5"), Decimal(50000))


def test_a_later_run_starts_with_what_the_last_one_of_its_mode_left(tmp_path: Path) -> None:
    """Runs in which nothing moved are passed over; the config's opening is in it already."""
    (opening,), _ = opened(build_plan(tmp_path), written(tmp_path))
    first: list[JournalEntry] = [opening, build_fill("0.5")]
    journal = written(tmp_path, ("LIVE", first), ("PAPER", [build_fill("9")]), ("LIVE", []))

    (carried,), _ = opened(build_plan(tmp_path), journal)

    assert carried.kind is AdjustmentKind.CARRIED
    assert (carried.qty, carried.price) == (Decimal(1), Decimal(55000))


def test_a_venue_inside_the_process_starts_anew_each_time(tmp_path: Path) -> None:
    journal = written(tmp_path, ("LIVE", [build_fill("0.5")]))

    (opening,), _ = opened(build_plan(tmp_path, keeps=False), journal)

    assert opening.kind is AdjustmentKind.OPENING


def test_an_instrument_that_is_gone_is_named_and_left_out(tmp_path: Path) -> None:
    journal = written(tmp_path, ("LIVE", [build_fill("1", "paper:OLD-EUR")]))

    found, said = opened(build_plan(tmp_path), journal)

    assert [each.symbol for each in found] == [SYMBOL]
    assert said == [
        "paper:OLD-EUR: its venue does not have it now, so its position is not carried over."
    ]


def test_a_run_holds_its_opening_and_tells_what_it_earned(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    build_plan(tmp_path)

    assert call(["run", "holder.toml", "--for", "10s"], Session()) == 0

    out = capsys.readouterr().out
    assert "P&L" in out  # in the report currency, so a total would say it twice
    with JournalReader(tmp_path / "var" / "holder.sqlite") as reader:
        run = reader.last_run()
        assert run is not None
        (opening,) = reader.entries(run.run_id, (Adjustment,))
        assert run.summary is not None
        assert run.summary["total"]["currency"] == "EUR"
        assert run.summary["total"]["equity"] == run.summary["profit"][0]["total"]
    assert isinstance(opening, Adjustment)
    assert opening.qty == Decimal("0.5")


def test_every_opening_is_booked_at_the_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    second = CONFIG[CONFIG.index("[[strategies]]") :].replace("type", 'name = "second"\ntype', 1)
    third = second.replace("second", "third")
    openings = [AGAIN.replace("market_maker", name) for name in ("second", "third")]
    build_plan(tmp_path, "".join([CONFIG, second, third, *openings]))

    assert call(["run", "holder.toml", "--for", "1s"], Session()) == 0

    with JournalReader(tmp_path / "var" / "holder.sqlite") as reader:
        run = reader.last_run()
        assert run is not None
        entries = list(reader.entries(run.run_id, (Adjustment,)))
    owners = [each.strategy for each in entries if isinstance(each, Adjustment)]
    assert owners == ["market_maker", "second", "third"]


def test_fees_and_currency_of_the_config_reach_the_engine(tmp_path: Path) -> None:
    text = CONFIG.replace("balances", 'fees = { taker_bps = "7" }\nbalances')
    plan = build_plan(tmp_path, text.replace("[[bot", 'rate_stale = "3s"\n[[bot', 1))
    bot = assemble(
        plan,
        trio.run(plan.prepare),
        journal=MemoryJournal(),
        clock=BacktestClock(),
        run_id="r",
        log=lambda *_: None,
    )
    settings = bot.engine.settings
    assert settings.fees["paper"].taker_bps == 7
    assert (settings.report_currency, settings.rate_stale_ns) == ("EUR", 3_000_000_000)


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        (
            'strategy = "market_maker"',
            'strategy = "market_makr"',
            'bot.opening.0.strategy: found "market_makr" (text), allowed: "market_maker"',
        ),
        (
            'symbol = "paper:BTC-EUR"',
            'symbol = "paper:ETH-EUR"',
            'bot.opening.0.symbol: found "paper:ETH-EUR" (text), allowed: what market_maker trades',
        ),
        ('qty = "0.5"', 'qty = "0"', "bot.opening.0.qty"),
        ('price = "50000"', 'price = "-1"', "bot.opening.0.price"),
        (
            "[venues.paper]",
            f"{AGAIN}\n[venues.paper]",
            "bot.opening.1: the same strategy and symbol as before, allowed: each once",
        ),
    ],
)
def test_an_opening_that_cannot_be_is_named(
    tmp_path: Path, old: str, new: str, problem: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        build_plan(tmp_path, CONFIG.replace(old, new, 1))
    assert any(problem in each for each in caught.value.problems), caught.value.problems


def test_an_opening_is_shown_as_it_can_be_read_again(tmp_path: Path) -> None:
    shown = build_plan(tmp_path).config.show()
    again = tmp_path / "again.toml"
    again.write_text(shown)
    assert load(again).bot == build_plan(tmp_path).config.bot
