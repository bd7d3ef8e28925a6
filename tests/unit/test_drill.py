"""The cases of a drill, its settings and its checks; the drill itself is in the e2e tests."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from decimal import Decimal
from pathlib import Path

import attrs
import pytest
import trio
from trio.testing import MockClock

from botkit.assembly import check
from botkit.cli.main import call
from botkit.cli.session import Session
from botkit.clock import LiveClock
from botkit.config import load
from botkit.errors import ConfigError
from botkit.journal import SqliteJournal
from botkit.model import CancelOrder, ClientOrderId, Fill, Side
from botkit.shell import ExitCode
from botkit.testing import run_strategy
from botkit.testing.builders import build_new_order
from botkit.testing.drill import CASES, Drill, Outcome, Setting, plan, setting_of
from botkit.testing.drill.books import (
    Desk,
    JumpingClock,
    disagreements,
    journal_at,
    kept_ids,
    open_runs,
)
from botkit.testing.drill.bounds import SLACK_S, USUAL_S, Bounds, bounds_of
from botkit.testing.drill.quoting import Quoter
from botkit.testing.drill.stage import quoting
from botkit.testing.loopback import open_exchange

ROOT = Path(__file__).resolve().parents[2]
FINERY = str(ROOT / "configs" / "finery.toml")
REAL = """
[bot]
name = "mine"

[venues.fin]
type = "finery"
key = "a-real-key"
secret = "a-real-secret"
instruments = { BTC-EUR = { tick_size = "0.01" } }

[venues.fin.guardian]
key = "another-key"
secret = "another-secret"

[[strategies]]
type = "market_maker"
instrument = "fin:BTC-EUR"
params = { qty = "0.01" }

[alerts]
urls = ["json://example.org/bots"]
heartbeat = { url = "https://example.org/ping" }

[metrics]
port = 9123
"""


@pytest.fixture
def real(tmp_path: Path) -> str:
    """Give a config of a real venue."""
    path = tmp_path / "real.toml"
    path.write_text(REAL)
    path.chmod(0o600)
    return str(path)


# --- cases ----------------------------------------------------------------------------------


def test_the_page_tells_of_every_case() -> None:
    page = (ROOT / "docs" / "drill.md").read_text("utf-8")
    told = re.findall(r"^\| `([^`]+)` \|", page, re.MULTILINE)

    assert told == list(CASES)
    assert len(told) >= 15
    for name, case in CASES.items():
        assert case.name == name
        assert case.own == (name in {"hung hook", "kill -9, forked"})


def test_a_link_is_broken_at_each_venue_and_a_bot_once() -> None:
    setting = setting_of([str(ROOT / "configs" / "cross_venue.toml")])
    planned = plan(setting)

    venues = [each.venue for each in planned if each.case.name == "link cut"]
    assert venues == list(setting.bounds)
    assert len(venues) == 2
    assert [each.venue for each in planned if each.case.name == "kill -9"] == [""]


def test_only_what_is_asked_for_is_planned_and_strange_names_are_refused() -> None:
    setting = setting_of([FINERY])

    assert [each.case.name for each in plan(setting, ["SIGHUP"])] == ["SIGHUP"]
    with pytest.raises(ConfigError, match="--only: found 'SIGFOO', allowed: link cut, "):
        plan(setting, ["SIGFOO"])


# --- settings -------------------------------------------------------------------------------


def test_nothing_of_a_real_venue_is_left_and_nobody_is_told(real: str) -> None:
    config = setting_of([real]).config
    shown = repr(config.venues) + str(config.venues["fin"].options)

    assert "a-real" not in shown
    assert "another-" not in shown
    assert "finerymarkets" not in shown
    assert config.alerts is not None
    assert not config.alerts.on
    assert config.alerts.heartbeat is None
    assert config.metrics is not None
    assert config.metrics.port == 0


@pytest.mark.parametrize(("given", "found_s"), [("5s", 2.0), ("1s", 1.0)])
def test_a_long_patience_with_hangs_is_cut_short(given: str, found_s: float) -> None:
    assert setting_of([FINERY], [f'bot.guardian.hung_after="{given}"']).hung_s == found_s


def test_a_bot_without_a_real_venue_cannot_be_drilled() -> None:
    with pytest.raises(ConfigError, match="simulated exchange"):
        setting_of([str(ROOT / "configs" / "paper.toml")])


def test_others_share_the_account_only_where_ids_tell_orders_apart() -> None:
    assert setting_of([FINERY]).tells_apart == {"finery"}
    assert setting_of([str(ROOT / "configs" / "digifinex.toml")]).tells_apart == frozenset()


def test_the_quoter_stands_in_under_the_names_and_instruments_of_the_strategies(
    tmp_path: Path,
) -> None:
    given = load(FINERY)
    planned = check(load(FINERY, quoting(given, tmp_path)), live=True).strategies

    assert [each.strategy_class for each in planned] == [Quoter]
    assert [(each.config.name, each.config.symbols) for each in planned] == [
        (each.name, each.symbols) for each in given.strategies
    ]


def test_bounds_come_from_the_adapter_or_are_wide() -> None:
    finery = check(load(FINERY), live=True).venues["finery"]
    paper = check(load(str(ROOT / "configs" / "paper.toml")), live=False).venues["paper"]

    assert bounds_of(finery) == Bounds(noticed_s=30.0, ended_s=5.0 + SLACK_S)
    assert bounds_of(paper) == Bounds(noticed_s=USUAL_S, ended_s=USUAL_S)


# --- parts ----------------------------------------------------------------------------------


def test_the_quoter_keeps_an_order_on_each_side_and_moves_it(tmp_path: Path) -> None:
    result = run_strategy(Quoter, params={"folder": str(tmp_path)}, for_s=20.0)

    assert {each.side for each in result.requests} == set(Side)
    moved = [each for each in result.journal if isinstance(each, CancelOrder)]
    assert len(moved) > 20
    assert max(each.order_qty for each in result.requests) == Decimal("0.002")
    assert not result.resting


def test_the_quoter_waits_after_a_refusal(tmp_path: Path) -> None:
    result = run_strategy(
        Quoter,
        params={"folder": str(tmp_path)},
        for_s=20.0,
        risk={"max_order_notional": "0.01"},
    )

    assert 10 < len(result.refused) < 50


async def test_a_clock_that_jumps_is_ahead_from_then_on(autojump_clock: MockClock) -> None:
    true = LiveClock(origin_ns=1_000)
    clock = JumpingClock(true)
    assert clock.now_ns() == 1_000

    clock.jump(3600.0)

    assert clock.now_ns() == 1_000 + 3_600_000_000_000
    await clock.sleep_until(clock.now_ns() + 2_000_000_000)
    assert true.now_ns() == 1_000 + 2_000_000_000


@asynccontextmanager
async def at_desk() -> AsyncIterator[Desk]:
    """Give the desk of a bot, without one, where nobody else moves the market."""
    async with open_exchange("finery") as exchange:
        exchange.simulator.market.pause()
        clock = JumpingClock(LiveClock(origin_ns=exchange.now_ns()))
        yield Desk("finery", exchange, clock, "alice", ["BTC-EUR"])


async def test_a_desk_sees_what_others_lose_unless_it_was_traded() -> None:
    async with at_desk() as desk:
        desk.plant_others(on_same_account=True)
        exchange, market = desk.exchange, desk.exchange.simulator.market
        _, second, first, *_ = exchange.planted()
        assert len(exchange.planted()) == 5
        assert not desk.touched()

        desk.trade_with(first)
        assert not desk.touched(), "it was half filled, and rests"
        market.exchange.cancel(second.state.account, second.state.order_id, market.catch_up())

        assert desk.touched() == [second]
        assert not desk.resting(), "none is the bot's"
        assert not desk.filled


async def test_fills_that_the_journal_has_not_or_twice_are_told(tmp_path: Path) -> None:
    async with at_desk() as desk:
        ours = desk.exchange.plant("alice", Side.BUY)  # by the bot, as far as the desk knows
        desk.trade_with(ours)
        ((key, qty),) = desk.filled.items()
        assert key == ("BTC-EUR", Side.BUY)
        fill = Fill(
            client_order_id=ClientOrderId("demo-r1-1"),
            symbol="finery:BTC-EUR",
            strategy="maker",
            side=Side.BUY,
            qty=qty,
            price=Decimal(100),
        )
        path = journal_at(tmp_path, "demo")
        with closing(SqliteJournal.open(tmp_path, "demo")) as journal:
            journal.begin_run(run_id="r1", mode="LIVE", config="", started_ns=1)
            journal.commit()
            told = [*disagreements(path, {"finery": desk})]
            assert told == [
                f"finery:BTC-EUR: the journal has buy fills of 0, the exchange of {qty}"
            ]
            journal.record(fill)
            journal.commit()
            assert not [*disagreements(path, {"finery": desk})]
            assert open_runs(path) == ["run r1 is left open in the journal (exit code None)"]
            journal.record(fill)
            journal.commit()
            assert len([*disagreements(path, {"finery": desk})]) == 1
            journal.end_run(ended_ns=2, exit_code=0, reason="")
            assert not open_runs(path)


async def test_orders_that_are_to_rest_are_known_by_every_id(tmp_path: Path) -> None:
    order = build_new_order(client_order_id="demo-r1-1", symbol="finery:BTC-EUR", keep=True)
    with closing(SqliteJournal.open(tmp_path, "demo")) as journal:
        journal.begin_run(run_id="r1", mode="LIVE", config="", started_ns=1)
        journal.record(order)
        journal.record(build_new_order(client_order_id="demo-r1-2", symbol="finery:BTC-EUR"))
        journal.commit()

    assert kept_ids(journal_at(tmp_path, "demo")) == {"demo-r1-1"}
    async with at_desk() as desk:
        ours = desk.exchange.plant("alice", Side.BUY, client_order_id="7")
        assert desk.names_of(ours) == {"7", desk.exchange.simulator.venue_order_id(ours.state)}


def test_a_setting_says_how_long_things_may_take() -> None:
    setting = setting_of([FINERY])

    assert isinstance(setting, Setting)
    assert (setting.hung_s, setting.clean_up_s) == (2.0, 10.0)


async def test_a_case_that_cannot_be_carried_out_is_told_and_the_drill_goes_on(
    tmp_path: Path,
) -> None:
    sound = setting_of([FINERY])
    refused = "strategies.market_maker.params.qty=-1"
    setting = attrs.evolve(sound, sets=(*sound.sets, refused))
    outcomes: list[Outcome] = []
    planned = plan(setting, ["SIGINT"])

    with trio.fail_after(30.0):
        told = await Drill(setting=setting, keep=tmp_path).run(planned, outcomes.append)

    assert told == outcomes
    assert not told[0].held
    assert "the case could not be carried out" in told[0].problems[0]
    assert "params.qty: found -1" in told[0].problems[0]
    assert (tmp_path / "SIGINT" / "bot-1.log").exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([str(ROOT / "configs" / "paper.toml")], "needs a simulated exchange"),
        ([FINERY, "--only", "SIGFOO"], "--only: found 'SIGFOO', allowed: link cut, "),
    ],
)
def test_what_cannot_be_drilled_is_refused(
    words: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call(["drill", *words], Session()) == ExitCode.USAGE

    assert said in capsys.readouterr().err
