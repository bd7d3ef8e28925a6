"""When a strategy's hooks are called, and what `run` may wait for, as seen from a strategy."""

from botkit import Quote, Strategy, VenueStatus
from botkit.testing import build_quote, build_venue_status, run_strategy, time_ns


class Diary(Strategy):
    """Writes down what it is told."""

    def on_start(self) -> None:
        """Open the diary: whatever is told before has nowhere to go."""
        self.lines: list[str] = ["start"]

    def on_quote(self, quote: Quote) -> None:
        """Write down a quote."""
        self.lines.append(f"bid {quote.bid_px:g}")

    def on_venue(self, status: VenueStatus) -> None:
        """Write down where the venue stands."""
        self.lines.append("up" if status.up else "down")

    def on_stop(self) -> None:
        """Write down the end."""
        self.lines.append("stop")


class Napper(Strategy):
    """Sleeps not at all, then a nanosecond, then a second and a half."""

    async def run(self) -> None:
        """Note the time after each nap."""
        await self.next_quote()
        self.naps = []
        for seconds in (0.0, 1e-9, 1.5):
            await self.sleep(seconds)
            self.naps.append(self.now_ns - time_ns(0))


def test_nothing_is_told_before_the_start() -> None:
    """The venue's first word is what the start waits for; later ones are told."""
    down, up = build_venue_status(1, up=False), build_venue_status(2, up=True)
    result = run_strategy(Diary, events=[build_quote(0, 99, 101), down, up])
    assert isinstance(result.strategy, Diary)
    assert result.strategy.lines == ["start", "bid 99", "down", "up", "stop"]


def test_sleeping_is_exact_to_the_nanosecond() -> None:
    """A nap of nothing ends at once rather than never."""
    result = run_strategy(Napper, events=[build_quote(0, 99, 101), build_quote(5, 99, 101)])
    assert isinstance(result.strategy, Napper)
    assert result.strategy.naps == [0, 1, 1_500_000_001]
