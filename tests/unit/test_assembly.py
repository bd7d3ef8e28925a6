"""From a config to a bot: everything that is wrong is told at once, before anything connects."""

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest
import trio

from botkit.assembly import Plan, assemble, check, replay_run_id
from botkit.clock import BacktestClock
from botkit.config import Config, load
from botkit.errors import ConfigError
from botkit.testing import MemoryJournal

CONFIG = """
[bot]
name = "demo"

[venues.paper]
type = "paper"
feed = { type = "synthetic", seed = 7 }
balances = { BTC = "1", EUR = "100000" }

[[strategies]]
type = "market_maker"
instrument = "paper:BTC-EUR"
params = { half_spread_bps = "5", qty = "0.01" }

[risk]
max_order_notional = "5000"
"""

OTHER_VENUE = """
[venues.other]
type = "paper"
feed = { type = "synthetic", speed = SPEED }
[[strategies]]
"""

WRONG_PARAMS = """
from botkit import Strategy

class Mine(Strategy):
    class Params:
        pass
"""


def read(tmp_path: Path, *changes: tuple[str, str]) -> Config:
    text = CONFIG
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    path = tmp_path / "bot.toml"
    path.write_text(text)
    return load(path)


def problems(tmp_path: Path, *changes: tuple[str, str]) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        check(read(tmp_path, *changes))
    return [text.removeprefix(f"{tmp_path}/") for text in caught.value.problems]


def test_a_guardians_plan_has_venues_as_it_uses_them_and_nothing_of_strategies(
    tmp_path: Path,
) -> None:
    missing = ('type = "market_maker"', 'type = "./not_there.py:Mine"')
    own = ("[[strategies]]", '[venues.paper.guardian]\nbalances = { BTC = "9" }\n[[strategies]]')
    config = read(tmp_path, missing, own)

    plan = check(config, guardian=True)

    assert (plan.strategies, plan.rules) == ((), ())
    assert [venue.name for venue in plan.venues.values()] == ["paper"]
    with pytest.raises(ConfigError, match="not_there"):
        check(config)


def test_a_mistake_in_what_a_guardian_uses_is_told_to_everyone(tmp_path: Path) -> None:
    table = ("[[strategies]]", '[venues.paper.guardian]\nbalance = "9"\n[[strategies]]')
    (told,) = problems(tmp_path, table)
    assert told.startswith("bot.toml: venues.paper.guardian.balance: unknown key")

    (told,) = problems(tmp_path, ("balances = { BTC", 'guardian = "x"\nbalances = { BTC'))
    assert told.startswith('bot.toml: venues.paper.guardian: found "x"')


def prepare(plan: Plan) -> object:
    return trio.run(plan.prepare)


def test_a_good_config_becomes_a_plan_and_a_bot(tmp_path: Path) -> None:
    plan = check(read(tmp_path))
    assert [rule.key for rule in plan.rules] == ["max_order_notional"]
    assert [each.strategy_class.__name__ for each in plan.strategies] == ["MarketMaker"]
    assert [venue.name for venue in plan.simulated()] == ["paper"]
    log: list[str] = []

    def write(level: str, message: str, fields: Mapping[str, object]) -> None:
        log.append(f"{level} {message} {fields}")

    async def build() -> None:
        bot = assemble(
            plan,
            await plan.prepare(),
            journal=MemoryJournal(),
            clock=BacktestClock(),
            run_id="r",
            log=write,
        )
        assert (bot.name, bot.run_id) == ("demo", "r")
        assert list(bot.engine.channels) == ["paper:BTC-EUR"]
        (slot,) = bot.engine.slots.values()
        assert (slot.name, slot.stop_on_error) == ("market_maker", False)

    trio.run(build)


def test_problems_of_venues_strategies_and_rules_are_told_at_once(tmp_path: Path) -> None:
    found = problems(
        tmp_path,
        ("seed = 7", 'seed = "x"'),
        ('qty = "0.01"', 'qty = "zero"'),
        ('"5000"', '"-1"\nmax_order_qty = "much"'),
    )
    assert [text.split(":")[0:2] for text in found] == [
        ["bot.toml", text.split(":")[1]] for text in found
    ]
    text = "\n".join(found)
    for key in ("venues.paper", "params.qty", "risk.max_order_notional", "risk.max_order_qty"):
        assert key in text


def test_a_limit_of_an_instrument_nobody_trades_is_an_error(tmp_path: Path) -> None:
    limits = '{ "paper:BTC-EUR" = "5", "paper:BTC-EURO" = "5" }'
    assert problems(tmp_path, ('"5000"', limits)) == [
        (
            'bot.toml: risk.max_order_notional."paper:BTC-EURO": no strategy trades it, '
            "allowed: paper:BTC-EUR"
        )
    ]


def test_plug_ins_nobody_has_are_errors(tmp_path: Path) -> None:
    found = problems(
        tmp_path,
        ('"paper"\nfeed', '"papers"\nfeed'),
        ('"market_maker"', '"market_taker"'),
        ("max_order_notional", "max_order_notionals"),
    )
    assert len(found) == 3
    assert "papers" in found[0]
    assert "market_taker" in found[1]
    assert "max_order_notionals" in found[2]


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ("class Mine:\n    pass\n", "which is no botkit.Strategy: derive it from Strategy"),
        (WRONG_PARAMS, "Mine.Params is no attrs class: put @attrs.frozen above it"),
    ],
)
def test_a_class_that_is_no_strategy_is_an_error(tmp_path: Path, body: str, text: str) -> None:
    (tmp_path / "mine.py").write_text(body)
    (found,) = problems(
        tmp_path, ('"market_maker"', '"./mine.py:Mine"'), ('qty = "0.01"', 'q = "1"')
    )
    assert text in found


def test_an_instrument_its_venue_does_not_have_is_an_error(tmp_path: Path) -> None:
    plan = check(read(tmp_path))
    missing = Plan(config=plan.config, venues={}, strategies=plan.strategies, rules=())
    with pytest.raises(ConfigError, match=r"market_maker: found 'paper:BTC-EUR', allowed: nothing"):
        prepare(missing)


@pytest.mark.parametrize(
    ("one", "two", "full"),
    [('"max"', '"max"', True), ('"10x"', '"10x"', False), ('"max"', '"10x"', None)],
)
def test_feeds_are_all_played_at_full_speed_or_none_is(
    tmp_path: Path,
    *,
    one: str,
    two: str,
    full: bool | None,
) -> None:
    config = read(
        tmp_path,
        ("seed = 7 }", f"seed = 7, speed = {one} }}"),
        ("[[strategies]]", OTHER_VENUE.replace("SPEED", two)),
    )
    plan = check(config)
    if full is not None:
        assert plan.is_full_speed() is full
        return
    with pytest.raises(ConfigError, match='paper play at speed "max" and other do not'):
        plan.is_full_speed()


def test_a_replay_s_run_id_depends_on_the_config_alone(tmp_path: Path) -> None:
    first, again = read(tmp_path), read(tmp_path)
    other = read(tmp_path, ("seed = 7", "seed = 8"))
    assert replay_run_id(first) == replay_run_id(again) != replay_run_id(other)


def test_importing_botkit_loads_nothing_heavy() -> None:
    program = "import sys, botkit; print(*sorted(sys.modules))"
    # Measuring coverage loads modules of its own.
    env = {name: value for name, value in os.environ.items() if not name.startswith("COV")}
    done = subprocess.run(  # noqa: S603  our own interpreter and program
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, env=env
    )
    loaded = {name.partition(".")[0] for name in done.stdout.split()}
    heavy = {"numpy", "cattrs", "structlog", "httpx", "rich", "sqlite3", "pyarrow", "click"}
    assert loaded & heavy == set()
    assert "botkit" in loaded


def strategy_file(tmp_path: Path, *lines: str) -> Config:
    body = "".join(f"    {line}\n" for line in lines)
    text = f"from botkit import Strategy\n\nclass Mine(Strategy):\n{body}"
    (tmp_path / "mine.py").write_text(text)
    return read(
        tmp_path,
        ('"market_maker"', '"./mine.py:Mine"'),
        ('half_spread_bps = "5", qty = "0.01"', ""),
    )


def test_hooks_that_wait_and_a_run_that_does_not_are_refused_before_anything_starts(
    tmp_path: Path,
) -> None:
    config = strategy_file(
        tmp_path,
        "async def on_quote(self, quote): ...",
        "async def on_fill(self, order, fill): yield",
        "def run(self): ...",
    )

    with pytest.raises(ConfigError) as caught:
        check(config)

    told = [text.partition(": Mine.")[2].partition(" ")[0] for text in caught.value.problems]
    assert told == ["on_fill", "on_quote", "run"]


def test_a_strategy_that_cannot_be_made_is_a_problem_of_the_config(tmp_path: Path) -> None:
    plan = check(strategy_file(tmp_path, "def __init__(self): raise ValueError('no')"))

    with pytest.raises(ConfigError, match=r"Mine\(\) cannot be made: ValueError: no .*line 4\)"):
        assemble(
            plan,
            trio.run(plan.prepare),
            journal=MemoryJournal(),
            clock=BacktestClock(),
            run_id="r",
            log=lambda *_: None,
        )
