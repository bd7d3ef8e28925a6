"""Storms without processes: what seeds come to, a config at simulators, one seed's outcome."""

import io
from pathlib import Path

import attrs
import msgspec
import pytest

from botkit.cli.storm_telling import progress_line, summary_lines
from botkit.config import load
from botkit.errors import ConfigError
from botkit.shell import ExitCode
from botkit.testing.faults import WEIGHTS
from botkit.testing.sandbox import at_simulators
from botkit.testing.simulation import SimulationResult
from botkit.testing.storm import SeedOutcome, Storm, replay_command
from botkit.testing.storm_figures import StormFigures
from botkit.testing.storm_worker import outcome_of, serve

ROOT = Path(__file__).resolve().parents[2]
STORM = Storm(configs=("bot.toml",))
OWN = """
[bot]
name = "own"
[venues.mine]
type = "finery"
key = "my-key"
secret = "my-secret"
fees = { maker_bps = "1", taker_bps = "3" }
instruments = { BTC-EUR = { tick_size = "0.01" } }
guardian = { key = "its-key", secret = "its-secret" }
[[strategies]]
type = "market_maker"
instrument = "mine:BTC-EUR"
params = { half_spread_bps = "3", qty = "0.01" }
[alerts]
urls = ["json://127.0.0.1:1"]
"""


def outcome(seed: int, *problems: str, after_s: tuple[float, ...] = ()) -> SeedOutcome:
    return SeedOutcome(
        seed=seed,
        seconds=120.0,
        problems=problems,
        orders=30,
        fills=2,
        restarts=1,
        faults={"kill": 1, "cut": 4},
        gone_after_s=after_s,
        cpu_s=1.0,
    )


def figures_of(*outcomes: SeedOutcome) -> StormFigures:
    figures = StormFigures()
    for each in outcomes:
        figures.take(each)
    return figures


def told(*outcomes: SeedOutcome, storm: Storm = STORM) -> str:
    return "\n".join(summary_lines(storm, figures_of(*outcomes), 61_000_000_000))


# --- figures ------------------------------------------------------------------------------------


def test_seeds_add_up() -> None:
    figures = figures_of(outcome(1, after_s=(0.1, 0.4)), outcome(2, "it broke"), outcome(3))

    assert figures.as_object() == {
        "seeds": 3,
        "failed": [2],
        "simulated_hours": 0.1,
        "cpu_s": 3.0,
        "orders": 90,
        "fills": 6,
        "restarts": 3,
        "faults": {"cut": 12, "kill": 3},
        "unattended": {"orders": 2, "median_s": 0.4, "p95_s": 0.4, "max_s": 0.4},
    }
    assert figures.cpu_s_an_hour == pytest.approx(30.0)
    assert progress_line(figures, 10, 61_000_000_000) == "3 of 10 seeds, 1 failed, 0:01:01"


def test_nothing_done_is_said_without_dividing() -> None:
    assert figures_of().cpu_s_an_hour == 0.0
    assert "held        0 of 0 seeds" in told()


def test_of_seeds_that_held_the_three_with_the_longest_wait_are_shown() -> None:
    waits = {1: 0.1, 2: 0.5, 3: 0.2, 4: 0.4}
    figures = figures_of(*(outcome(seed, after_s=(wait,)) for seed, wait in waits.items()))

    assert [each.seed for each in figures.slowest] == [2, 4, 3]


def test_how_long_orders_were_unattended_is_told() -> None:
    text = told(outcome(1, after_s=(0.1, 0.4)), outcome(2, after_s=(0.2,)))

    assert "3 orders of a killed bot gone after 0.200 s (median), 0.400 s (95 %)" in text
    assert "  seed 1: 0.400 s   botkit storm bot.toml --seed 1 --trace\n  seed 2: 0.200 s" in text


def test_failed_seeds_come_first_the_worst_before_others_each_with_its_replay() -> None:
    died = SeedOutcome(seed=9, seconds=120.0, error="its process died of signal 9")
    text = told(outcome(1), outcome(4, "one"), outcome(5, "one", "two\nmore"), died)

    order = [text.index(f"seed {seed}: ") for seed in (9, 5, 4)]
    assert order == sorted(order)
    assert "held        1 of 4 seeds" in text
    assert "  its process died of signal 9" in text
    assert "  two\n    more\n  replay: botkit storm bot.toml --seed 5 --trace" in text


def test_many_failures_and_many_problems_are_cut_short_and_counted() -> None:
    problems = [f"problem {number}" for number in range(8)]
    text = told(*(outcome(seed, *problems) for seed in range(1, 14)))

    assert "  and 3 more\n" in text
    assert text.endswith("and 3 more that failed: 11, 12, 13")


def test_seeds_in_which_too_little_happened_are_told_apart() -> None:
    weak, broken = "131.000 s: harness: only 3 orders", "12.000 s: an order rests"
    figures = figures_of(outcome(1, weak), outcome(2, weak, broken), outcome(3, broken))

    assert [each.seed for each in figures.weak] == [1]
    assert "1 seed broke nothing, but too little happened" in told(outcome(1, weak))


def test_the_replay_is_one_command_for_a_shell() -> None:
    storm = Storm(configs=("my bot.toml",), overrides=('a.b="c d"',), seconds=30.0)

    assert replay_command(storm, 7) == (
        "botkit storm 'my bot.toml' --seed 7 --trace --seconds 30 --set 'a.b=\"c d\"'"
    )


# --- one seed -----------------------------------------------------------------------------------


def test_what_a_simulation_raises_is_the_outcome_of_its_seed() -> None:
    def run(seed: int) -> SimulationResult:
        raise RuntimeError(f"no luck with {seed}")

    found = outcome_of(run, 5, 120.0, lambda text: text.replace("luck", "***"))

    assert found.failed
    assert found.error.endswith("RuntimeError: no *** with 5\n")
    assert "Traceback" in found.error


def test_a_result_becomes_an_outcome_that_can_be_written() -> None:
    result = SimulationResult(
        seed=5,
        seconds=120.0,
        exit_code=ExitCode.CLEAN,
        problems=("it broke",),
        differences=(),
        resting=(),
        orders=3,
        fills=2,
        restarts=1,
        faults={"cut": 2},
        gone_after_s=(0.25,),
        quirks={},
        timeline=(),
        trace="abc",
    )
    found = outcome_of(lambda _: result, 5, 120.0, str.upper)

    assert found.problems == ("IT BROKE",)
    assert (found.orders, found.fills, found.restarts, found.trace) == (3, 2, 1, "abc")
    assert found.failed
    assert not attrs.has(type(found))


def test_a_worker_answers_a_seed_with_a_line() -> None:
    storm = Storm(configs=(str(ROOT / "configs" / "finery.toml"),), seconds=10.0)
    answers = io.BytesIO()

    serve(io.BytesIO(msgspec.json.encode(storm) + b"\n3\n"), answers)

    (line,) = answers.getvalue().splitlines()
    found = msgspec.json.decode(line, type=SeedOutcome)
    assert (found.seed, found.seconds, found.error) == (3, 10.0, "")
    assert found.trace


# --- configs ------------------------------------------------------------------------------------


def test_addresses_and_keys_of_a_real_venue_are_replaced(tmp_path: Path) -> None:
    path = tmp_path / "own.toml"
    path.write_text(OWN)

    moved = at_simulators(load(str(path)))

    options = moved.venues["mine"].options
    assert (options["url"], options["rest_url"]) == (
        "ws://exchange.test/ws",
        "http://exchange.test/api",
    )
    assert (options["key"], options["secret"]) == ("test-key-alice", "test-secret-alice")
    assert options["guardian"] == {"key": "test-key-alice", "secret": "test-secret-alice"}
    assert options["fees"] == {"maker_bps": "1", "taker_bps": "3"}
    assert moved.alerts is None
    assert moved.metrics is None


def test_a_test_key_of_the_simulator_stays(tmp_path: Path) -> None:
    path = tmp_path / "own.toml"
    path.write_text(OWN.replace("my-key", "test-key-bob"))

    assert at_simulators(load(str(path))).venues["mine"].options["key"] == "test-key-bob"


def test_a_password_is_replaced_with_its_key() -> None:
    words = ['venues.blinktrade.key="mine"', 'venues.blinktrade.password="mine"']
    moved = at_simulators(load(str(ROOT / "configs" / "blinktrade.toml"), words))

    options = moved.venues["blinktrade"].options
    assert options["password"] == options["key"].replace("key", "password")
    assert options["key"] == "test-key-alice"


def test_a_venue_without_a_simulator_is_named_with_those_that_have_one() -> None:
    with pytest.raises(
        ConfigError, match=r'venues\.paper\.type: .*found "paper", allowed: .*finery'
    ):
        at_simulators(load(str(ROOT / "configs" / "paper.toml")))


# --- the page -----------------------------------------------------------------------------------


def test_the_page_has_every_fault_and_no_other() -> None:
    page = (ROOT / "docs" / "storm.md").read_text("utf-8")
    table = page.partition("| fault |")[2].partition("\n\n")[0]
    named = [line.split("`")[1] for line in table.splitlines() if line.startswith("| `")]

    assert sorted(named) == sorted(WEIGHTS)
