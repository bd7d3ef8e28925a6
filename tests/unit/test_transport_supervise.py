"""Reconnecting and budgets: never more than allowed, never gone for good without saying why."""

import logging
import math

import numpy as np
import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st
from trio.testing import MockClock

from botkit.errors import (
    FeedStaleError,
    VenueAuthenticationError,
    VenueDisconnectedError,
    VenueError,
    VenueProtocolError,
    VenueUnreachableError,
)
from botkit.transport import BackOff, Budget, RateLimit, supervise

STEADY = BackOff(first_s=1.0, most_s=8.0, jitter=0.0, stable_s=60.0)


def rng(seed: int = 1) -> np.random.Generator:
    return np.random.default_rng(seed)


class Session:
    """Fails as it is told, after lasting as long as it is told; notes when it was started."""

    def __init__(self, *ends: tuple[float, Exception | None]) -> None:
        self.ends = list(ends)
        self.started: list[float] = []

    async def __call__(self) -> None:
        self.started.append(trio.current_time())
        lasts_s, error = self.ends.pop(0)
        await trio.sleep(lasts_s)
        if error is not None:
            raise error


def lost(reason: str = "cut") -> VenueDisconnectedError:
    return VenueDisconnectedError(reason)


async def test_waits_double_up_to_the_most(autojump_clock: MockClock) -> None:
    session = Session(*[(0.0, lost())] * 6, (0.0, None))
    await supervise(session, name="v", rng=rng(), back_off=STEADY)
    assert session.started == [0.0, 1.0, 3.0, 7.0, 15.0, 23.0, 31.0]


async def test_a_session_that_was_stable_starts_from_the_first_wait(
    autojump_clock: MockClock,
) -> None:
    session = Session((0.0, lost()), (0.0, lost()), (60.0, lost()), (0.0, lost()), (0.0, None))
    await supervise(session, name="v", rng=rng(), back_off=STEADY)
    assert session.started == [0.0, 1.0, 3.0, 64.0, 66.0]


async def test_a_session_counts_as_long_as_it_was_up_not_as_long_as_it_connected(
    autojump_clock: MockClock,
) -> None:
    session = Session(*[(30.0, lost())] * 4, (0.0, None))
    ups = iter([0.0, 9.9, 10.0, 0.0])
    back_off = BackOff(first_s=1.0, jitter=0.0)
    await supervise(session, name="v", rng=rng(), back_off=back_off, up_s=lambda: next(ups))
    assert np.diff(session.started).tolist() == [31.0, 32.0, 31.0, 32.0]


async def test_jitter_shortens_waits_as_the_seed_says(autojump_clock: MockClock) -> None:
    starts = []
    for seed in (1, 1, 2):
        session, began_at = Session(*[(0.0, lost())] * 5, (0.0, None)), trio.current_time()
        await supervise(session, name="v", rng=rng(seed), back_off=BackOff(jitter=0.5))
        starts.append([round(each - began_at, 6) for each in session.started])
    assert starts[0] == starts[1] != starts[2]
    waits = np.diff(starts[0])
    assert all(w / 2 <= got <= w for w, got in zip([0.5, 1, 2, 4, 8], waits, strict=True))


async def test_connecting_keeps_to_the_budget(autojump_clock: MockClock) -> None:
    budget = Budget(limit=3, window_s=100.0)
    session = Session(*[(0.0, lost())] * 6, (0.0, None))
    await supervise(session, name="v", rng=rng(), back_off=STEADY, budget=budget)
    assert session.started == [0.0, 1.0, 3.0, 100.0, 108.0, 116.0, 200.0]


@pytest.mark.parametrize(
    "error",
    [
        VenueAuthenticationError("bad key"),
        VenueProtocolError("nonsense"),
        KeyError("a mistake"),
        ExceptionGroup("both", [lost(), VenueAuthenticationError("bad key")]),
        ExceptionGroup("both", [ExceptionGroup("in", [KeyError("a mistake")]), lost()]),
    ],
)
async def test_what_trying_again_cannot_mend_is_raised_as_it_is(
    error: Exception, autojump_clock: MockClock
) -> None:
    session = Session((0.0, lost()), (0.0, error))
    with pytest.raises(type(error)) as caught:
        await supervise(session, name="v", rng=rng(), back_off=STEADY)
    assert caught.value is error


async def test_a_group_of_losses_is_a_loss(autojump_clock: MockClock) -> None:
    group = ExceptionGroup("tasks", [ExceptionGroup("in", [lost("first")]), FeedStaleError("b")])
    told: list[VenueError] = []
    await supervise(Session((0.0, group), (0.0, None)), name="v", rng=rng(), on_loss=told.append)
    assert [str(each) for each in told] == ["first"]


async def test_which_errors_end_it_can_be_chosen(autojump_clock: MockClock) -> None:
    session = Session((0.0, VenueProtocolError("odd")), (0.0, VenueUnreachableError("gone")))
    with pytest.raises(VenueUnreachableError):
        await supervise(session, name="v", rng=rng(), fatal=(VenueUnreachableError,))
    assert len(session.started) == 2


async def test_each_loss_is_told_and_logged_once_until_it_changes(
    autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    told: list[str] = []
    session = Session(
        *[(0.0, lost("cut"))] * 3, (0.0, lost("stale")), (90.0, lost("stale")), (0.0, None)
    )
    with caplog.at_level(logging.WARNING):
        await supervise(
            session, name="kestrel", rng=rng(), on_loss=lambda error: told.append(str(error))
        )
    assert told == ["cut", "cut", "cut", "stale", "stale"]
    reasons = [record.getMessage().split(";")[0] for record in caplog.records]
    assert reasons == [
        "kestrel: link lost: cut",
        "kestrel: link lost: stale",
        "kestrel: link lost: stale",
    ]


async def test_cancellation_ends_supervising(autojump_clock: MockClock) -> None:
    session = Session((0.0, lost()), (100.0, None))
    with trio.move_on_after(5.0) as scope:
        await supervise(session, name="v", rng=rng(), back_off=STEADY)
    assert scope.cancelled_caught


def test_waits_stay_finite_after_a_year_of_failures() -> None:
    assert STEADY.wait_s(100_000, 0.0) == 8.0


async def test_a_budget_refuses_what_exceeds_it_in_any_window(autojump_clock: MockClock) -> None:
    budget = Budget(limit=2, window_s=10.0)
    assert budget.take()
    await trio.sleep(9.0)
    assert budget.take()
    assert not budget.take()
    assert budget.wait_s() == 1.0
    await trio.sleep(1.0)
    assert budget.take()
    assert budget.left() == 0
    assert budget.wait_s() == 9.0


async def test_the_reserve_is_for_the_urgent(autojump_clock: MockClock) -> None:
    budget = Budget(limit=5, window_s=10.0, reserve=2)
    assert (budget.left(), budget.left(urgent=True)) == (3, 5)
    assert budget.take(3)
    assert not budget.take()
    assert budget.take(2, urgent=True)
    assert not budget.take(urgent=True)
    assert budget.wait_s() == budget.wait_s(urgent=True) == 10.0
    assert budget.wait_s(4) == math.inf
    assert budget.wait_s(5, urgent=True) == 10.0


async def test_all_or_none_is_taken(autojump_clock: MockClock) -> None:
    budget = Budget(limit=5, window_s=10.0)
    assert budget.take(3)
    assert not budget.take(3)
    assert budget.left() == 2


async def test_what_was_taken_and_not_used_is_given_back(autojump_clock: MockClock) -> None:
    budget = Budget(limit=2, window_s=10.0)
    budget.give_back()
    assert budget.take(2)
    budget.give_back()
    assert budget.left() == 1


async def test_a_hold_refuses_everything_until_it_is_over(autojump_clock: MockClock) -> None:
    budget = Budget(limit=5, window_s=10.0)
    budget.hold(30.0)
    budget.hold(20.0)
    assert not budget.take(urgent=True)
    assert budget.wait_s() == 30.0
    await budget.wait()
    assert trio.current_time() == 30.0
    assert budget.left() == 4


async def test_waiting_takers_get_theirs_and_no_more(autojump_clock: MockClock) -> None:
    budget, got = Budget(limit=2, window_s=0.1), []

    async def taker() -> None:
        await budget.wait()
        got.append(round(trio.current_time(), 6))

    async with trio.open_nursery() as nursery:
        for _ in range(6):
            nursery.start_soon(taker)
    assert got == [0.0, 0.0, 0.1, 0.1, 0.2, 0.2]


async def test_waiting_for_more_than_there_ever_is_says_so(autojump_clock: MockClock) -> None:
    with pytest.raises(ValueError, match="cannot take 3 at once from a budget of 3 with 1 reser"):
        await Budget(limit=3, window_s=1.0, reserve=1).wait(3)


async def test_a_rate_limit_takes_from_all_its_budgets_or_none(autojump_clock: MockClock) -> None:
    second, minute = Budget(limit=3, window_s=1.0), Budget(limit=4, window_s=60.0, reserve=1)
    limit = RateLimit([second, minute])
    assert limit.take(3)
    assert not limit.take(urgent=True)
    assert (second.left(), minute.left(urgent=True)) == (0, 1)
    assert limit.wait_s() == 60.0
    assert limit.wait_s(urgent=True) == 1.0
    await trio.sleep(1.0)
    assert (limit.left(), limit.left(urgent=True)) == (0, 1)
    assert limit.take(urgent=True)
    limit.hold(100.0)
    assert limit.wait_s() == 100.0


@given(
    limit=st.integers(1, 5),
    window_s=st.floats(0.01, 100.0),
    gaps=st.lists(st.floats(0.0, 50.0), min_size=1, max_size=30),
)
def test_no_window_ever_holds_more_than_the_limit(
    limit: int, window_s: float, gaps: list[float]
) -> None:
    taken: list[float] = []

    async def main() -> None:
        budget = Budget(limit=limit, window_s=window_s)
        for gap in gaps:
            await trio.sleep(gap)
            if budget.take():
                taken.append(trio.current_time())

    trio.run(main, clock=MockClock(autojump_threshold=0))
    for first, beyond in zip(taken, taken[limit:], strict=False):
        assert beyond >= first + window_s
