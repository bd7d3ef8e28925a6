"""The cases of a drill, its settings and its checks; the drill itself is in the e2e tests."""

import re
from decimal import Decimal
from pathlib import Path

import pytest
import trio
from trio.testing import MockClock

from botkit.assembly import check
from botkit.clock import LiveClock
from botkit.config import load
from botkit.errors import ConfigError
from botkit.model import CancelOrder, Side
from botkit.testing import run_strategy
from botkit.testing.drill import CASES, Setting, plan, setting_of
from botkit.testing.drill.books import Desk, JumpingClock
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


async def test_a_desk_counts_the_bots_fills_and_sees_what_others_lose() -> None:
    async with open_exchange("finery") as exchange:
        clock = JumpingClock(LiveClock(origin_ns=exchange.now_ns()))
        desk = Desk("finery", exchange, clock, "alice", ["BTC-EUR"])
        desk.plant_others(on_same_account=True)
        assert len(exchange.planted()) == 5
        assert not desk.touched()
        assert not desk.resting()

        market = exchange.simulator.market
        market.pause()
        person = next(each for each in exchange.planted() if each.state.account == "alice")
        desk.trade_with(person)
        await trio.lowlevel.checkpoint()

        assert person in desk.touched()
        assert not desk.filled, "it was not the bot's"


def test_a_setting_says_how_long_things_may_take() -> None:
    setting = setting_of([FINERY])

    assert isinstance(setting, Setting)
    assert (setting.hung_s, setting.clean_up_s) == (2.0, 10.0)
