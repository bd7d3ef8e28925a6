"""What a kill is held to: times, orders of others, and what the guardian's journal says."""

from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import pytest

from botkit.journal import SqliteJournal
from botkit.matching.exchange import OrderTerms
from botkit.model import Side
from botkit.testing import build_new_order
from botkit.testing.killing import MOMENTS, Kill, Moment, journal_problems, judged
from botkit.testing.loopback import SimulatedExchange, open_exchange

KILL = Kill(seed=1, moment=Moment.ANY, after_s=1.0)
SECOND_NS = 1_000_000_000


def place(exchange: SimulatedExchange, px: int) -> int:
    market = exchange.simulator.market
    terms = OrderTerms(
        symbol="BTC-EUR", side=Side.BUY, order_qty=Decimal("0.001"), price=Decimal(px)
    )
    market.exchange.submit("alice", terms, market.catch_up())
    return exchange.orders("alice")[-1].state.order_id


def test_the_same_seed_draws_the_same_kill_and_all_moments_are_drawn() -> None:
    kills = [Kill.of(seed) for seed in range(100)]
    assert kills == [Kill.of(seed) for seed in range(100)]
    assert {each.moment for each in kills} == set(MOMENTS)
    assert 30 <= sum(each.moment is Moment.ANY for each in kills) <= 70
    assert {each.is_alone for each in kills} == {True, False}
    assert min(each.held_s for each in kills) == 0.0
    assert max(each.held_s for each in kills) > 0.9


async def test_an_order_that_rests_or_was_gone_late_does_not_hold() -> None:
    async with open_exchange("finery") as exchange:
        died_ns = exchange.now_ns()
        canceled = place(exchange, 40_000)
        exchange.simulator.market.exchange.cancel("alice", canceled, exchange.now_ns())
        held = judged(exchange, "alice", KILL, died_ns, guardian_s=1.0, problems=())
        assert (held.problems, held.orders, held.rested, held.late) == ((), 1, 0, 1)
        (wait_s,) = held.waits_s
        assert 0.0 < wait_s < 1.0

        (seen,) = exchange.orders("alice")
        seen.reached_ns = died_ns - SECOND_NS
        seen.left_ns = died_ns + 2 * SECOND_NS + 1
        place(exchange, 41_000)
        late, rests = sorted(
            judged(exchange, "alice", KILL, died_ns, guardian_s=1.0, problems=()).problems
        )
        assert "was gone after 2.000 s, not 2 s" in late
        assert "rests still" in rests


async def test_an_order_that_was_filled_is_gone_and_counts_in_no_time() -> None:
    async with open_exchange("finery") as exchange:
        died_ns = exchange.now_ns()
        place(exchange, 60_000)
        outcome = judged(exchange, "alice", KILL, died_ns, guardian_s=None, problems=["else"])
        assert (outcome.late, outcome.waits_s, outcome.problems) == (1, (), ("else",))


def take_over(journal: SqliteJournal, *, exit_code: int) -> None:
    journal.begin_run(run_id="guard", mode="LIVE", config="", started_ns=2)
    journal.record(build_new_order("demo-old-1"))
    journal.mark_swept("old", "taken over by run guard")
    journal.end_run(ended_ns=3, exit_code=exit_code, reason="swept")


def leave(_: SqliteJournal) -> None:
    """Do nothing, as a guardian that does not look."""


def nothing_rested(journal: SqliteJournal) -> None:
    journal.mark_swept("old", "nothing of it rested")


def in_doubt(journal: SqliteJournal) -> None:
    take_over(journal, exit_code=3)


def clean_though_it_rests(journal: SqliteJournal) -> None:
    take_over(journal, exit_code=0)


@pytest.mark.parametrize(
    ("sweep", "told"),
    [
        (leave, ["run old was left open, and then: None"]),
        (nothing_rested, []),
        (
            in_doubt,
            [
                "run guard was left open, and then: None",
                "run old was left open, and then: taken over by run guard",
            ],
        ),
        (clean_though_it_rests, ["for the journal may rest"]),
    ],
)
def test_a_journal_has_to_say_that_nothing_was_left_open(
    tmp_path: Path, sweep: Callable[[SqliteJournal], None], told: list[str]
) -> None:
    journal = SqliteJournal.open(tmp_path, "demo")
    journal.begin_run(run_id="old", mode="LIVE", config="", started_ns=1)
    journal.close()
    journal = SqliteJournal.open(tmp_path, "demo")
    sweep(journal)
    journal.close()
    found = journal_problems(tmp_path / "demo.sqlite")
    assert len(found) == len(told)
    assert all(line.startswith(wanted) for line, wanted in zip(found, told, strict=True))
