"""The right to send new orders: renewed by signs of life, lost for good by a long silence."""

import pytest

from botkit.clock import boot_time_ns
from botkit.live import Lease

S = 1_000_000_000


class Watched:
    """A clock moved by hand, and what was said."""

    def __init__(self) -> None:
        self.now_ns = 7 * S
        self.lost: list[str] = []
        self.lease = Lease(5 * S, on_loss=self.lost.append, now_ns=lambda: self.now_ns)

    def later(self, seconds: float) -> "Watched":
        self.now_ns += round(seconds * S)
        return self


@pytest.fixture
def watched() -> Watched:
    return Watched()


def test_it_lasts_from_one_sign_of_life_to_the_next(watched: Watched) -> None:
    for _ in range(10):
        assert watched.later(5.0).lease.refusal() == ""
        assert watched.lease.renew()
    assert watched.lost == []


def test_once_lost_it_stays_lost_and_says_so_once(watched: Watched) -> None:
    why = watched.later(5.1).lease.refusal()

    assert "could not say for 5.1 s that it lives" in why
    assert not watched.lease.renew(), "a bot that wakes has lost it"
    assert watched.later(0.1).lease.refusal() == why
    assert watched.lost == [why]


def test_a_sign_of_life_that_comes_too_late_finds_out_itself(watched: Watched) -> None:
    assert not watched.later(6.0).lease.renew()
    assert len(watched.lost) == 1


def test_the_clock_that_it_goes_by_does_not_go_back() -> None:
    assert 0 < boot_time_ns() <= boot_time_ns()
    assert Lease(S).refusal() == ""
