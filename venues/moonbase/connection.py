"""One connection to Moonbase: its channels, its heartbeat, and the questions it asks."""

import math
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any, Final

import attrs
import trio

from botkit.adapter import Readiness, send_failed
from botkit.clock import Clock
from botkit.errors import FeedStaleError, VenueError
from botkit.model import CancelOrder, FeedGap
from botkit.ports import Deliver
from botkit.transport import WsLink
from venues.moonbase.codec import (
    Answered,
    ChannelLost,
    Codec,
    Joined,
    JoinFailed,
    Notice,
    RateLimited,
    Told,
    split,
)

if TYPE_CHECKING:
    from venues.moonbase.venue import MoonbaseMarketData

__all__ = ["Channel", "Connection"]

NS_PER_S: Final = 1_000_000_000
LONGEST_PAUSE_S: Final = 60.0
SLASHED: Final = frozenset({"balances"})
"""Kinds of channels that the venue's page and its only known client spell differently."""


@attrs.define(eq=False)
class Channel:
    """A channel that is to be joined."""

    topic: str
    terms: Mapping[str, Any]
    private: bool
    joined: bool = False
    was_joined: bool = False
    respelt: bool = False
    losses: int = 0
    not_before: float = 0.0  # on trio's clock
    answered: trio.Event = attrs.field(factory=trio.Event)

    @property
    def urgent(self) -> bool:
        """Whether its join may take what is kept for reconnecting."""
        return self.private or not self.was_joined


class Connection:
    """Serves one WebSocket. Channels are joined in the order given, which is that of need.

    Parameters
    ----------
    catch_up
        Tells what was missed; our orders are ready once it has, their channels being joined.
    cancel_again
        Takes a cancel that had no answer when its channel died.
    """

    def __init__(
        self,
        venue: "MoonbaseMarketData",
        ws: WsLink,
        readiness: Readiness,
        *,
        channels: list[Channel],
        deliver: Deliver,
        clock: Clock,
        catch_up: Callable[[], Awaitable[None]] | None = None,
        cancel_again: Callable[[CancelOrder], None] | None = None,
    ) -> None:
        options = venue.options
        self.ws = ws
        self.codec = Codec(
            venue.name,
            {each.name: each for each in venue.instruments.values()},
            venue.orders,
            clock.now_ns,
            taker_signs=options.trade_sign == "taker",
        )
        self._venue = venue
        self._readiness = readiness
        self._channels = channels
        self._deliver = deliver
        self._clock = clock
        self._catch_up = catch_up
        self._cancel_again = cancel_again
        self._is_caught_up = catch_up is None
        self._orders_joined = trio.Event()
        self._news = trio.Event()
        self._joining: Channel | None = None
        self._beats: dict[str, trio.Event] = {}
        self._notices: Mapping[type, Callable[[Any], None]] = {
            Joined: self._on_joined,
            JoinFailed: self._on_join_failed,
            ChannelLost: self._on_lost,
            RateLimited: self._on_limited,
            Answered: self._on_answer,
            Told: lambda _: None,
        }

    async def serve(self) -> None:
        """Join, read and beat until the connection ends."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._beat)
            nursery.start_soon(self._keep_joined)
            if self._catch_up is not None:
                nursery.start_soon(self._tell_missed, self._catch_up)
            await self._read()

    async def _tell_missed(self, catch_up: Callable[[], Awaitable[None]]) -> None:
        """Tell what was missed once the channels of orders tell what comes."""
        await self._orders_joined.wait()
        await catch_up()
        self._is_caught_up = True
        self._tell("connected")

    def takes(self, symbol: str) -> bool:
        """Tell whether orders in `symbol` can be sent here."""
        topic = f"/orders/{symbol.partition(':')[2]}"
        return any(each.joined for each in self._channels if each.topic == topic)

    async def _read(self) -> None:
        decode, deliver, notices = self.codec.decode, self._deliver, self._notices
        while True:
            for frame in await self.ws.receive_batch():
                for event in decode(frame):
                    if isinstance(event, Notice):
                        notices[event.__class__](event)
                    else:
                        deliver(event)

    async def _beat(self) -> None:
        options = self._venue.options
        while True:
            await trio.sleep(options.heartbeat_every / NS_PER_S)
            ref, frame = self.codec.ask("phoenix", "heartbeat", {})
            answered = self._beats[ref] = trio.Event()
            with trio.move_on_after(options.heartbeat_within / NS_PER_S) as patience:
                await self.ws.send(frame)
                await answered.wait()
            if patience.cancelled_caught:
                within_s = options.heartbeat_within / NS_PER_S
                raise FeedStaleError(f"{self._venue.name}: no heartbeat within {within_s:g} s")
            del self._beats[ref]

    def _on_answer(self, answered: Answered) -> None:
        beat = self._beats.get(answered.ref)
        if beat is not None:
            beat.set()

    # --- channels ---------------------------------------------------------------------------

    async def _keep_joined(self) -> None:
        """Join what is not joined, as soon as its pause is over and there is a join for it."""
        joins = self._venue.joins
        while True:
            self._news = trio.Event()
            missing = [each for each in self._channels if not each.joined]
            until, channel = self._next(missing)
            if channel is not None and joins.take(urgent=channel.urgent):
                await self._join(channel)
                continue
            with trio.move_on_at(until):
                await self._news.wait()

    def _next(self, missing: list[Channel]) -> tuple[float, Channel | None]:
        """Return when to join next, on trio's clock, and what: None if nothing can be by now."""
        joins, now = self._venue.joins, trio.current_time()
        until = math.inf
        for channel in missing:
            wait_s = joins.wait_s(urgent=channel.urgent)
            due = max(channel.not_before, now + wait_s)
            if due <= now:
                return now, channel
            if wait_s:
                self._tell(f"no join left for {channel.topic} for {wait_s:.0f} s")
            until = min(until, due)
        return until, None

    async def _join(self, channel: Channel) -> None:
        channel.answered = trio.Event()
        self._joining = channel
        spelt = self._venue.spelt.get(channel.topic, channel.topic)
        await self.ws.send(self.codec.join(spelt, channel.terms))
        within_s = self._venue.options.answer_within / NS_PER_S
        with trio.move_on_after(within_s) as patience:
            await channel.answered.wait()
        if patience.cancelled_caught:
            raise VenueError(
                f"{self._venue.name}: joining {spelt} was not answered within {within_s:g} s"
            )

    def _settled(self, topic: str) -> Channel | None:
        """Return the channel whose join has been answered."""
        self._joining = None
        channel = next((each for each in self._channels if each.topic == topic), None)
        if channel is not None:
            channel.answered.set()
        return channel

    def _on_joined(self, joined: Joined) -> None:
        channel = self._settled(joined.topic)
        if channel is not None:
            channel.joined = channel.was_joined = True
            self._tell("connected")

    def _on_join_failed(self, failed: JoinFailed) -> None:
        channel = self._settled(failed.topic)
        if channel is None:
            return
        if failed.failure.is_rate:
            self._venue.joins.hold(failed.failure.retry_after_s)
            return
        kind, _ = split(failed.topic)
        if not failed.failure.is_unmatched or kind not in SLASHED or channel.respelt:
            raise VenueError(f"{failed.failure.text}, in answer to joining {failed.topic}")
        spelt, channel.respelt = self._venue.spelt, True
        was = spelt.get(channel.topic, channel.topic)
        spelt[channel.topic] = channel.topic if was.endswith("/") else f"{channel.topic}/"

    def _on_lost(self, lost: ChannelLost) -> None:
        channel = next((each for each in self._channels if each.topic == lost.topic), None)
        if channel is None:
            return
        options = self._venue.options
        pause_s = min(LONGEST_PAUSE_S, options.rejoin_after / NS_PER_S * 2.0**channel.losses)
        channel.joined, channel.losses = False, min(channel.losses + 1, 10)
        channel.not_before = trio.current_time() + pause_s
        kind, name = split(lost.topic)
        reason = f"{lost.topic}: {lost.reason}"
        now_ns = self._clock.now_ns()
        if kind == "orderbooks":
            symbol = f"{self._venue.name}:{name}"
            self._deliver(FeedGap(self._venue.name, reason, symbol, receive_time_ns=now_ns))
        self._tell(reason)
        for request in self.codec.give_up(lost.topic):
            if isinstance(request, CancelOrder) and self._cancel_again is not None:
                self._cancel_again(request)
                continue
            self._deliver(send_failed(request, reason, reached_venue=True, now_ns=now_ns))
        self._news.set()

    def _on_limited(self, limited: RateLimited) -> None:
        wait_s = limited.failure.retry_after_s
        if not limited.topic and self._joining is not None:
            self._venue.joins.hold(wait_s)  # it names nothing, and a join is what has no answer
            self._settled(self._joining.topic)
        else:
            self._venue.requests.hold(wait_s)

    def _tell(self, reason: str) -> None:
        """Say what is ready: books, reports of our orders, and a way to send them."""
        down = {split(each.topic)[0] for each in self._channels if not each.joined}
        trades = any(each.private for each in self._channels)
        if "orders" not in down:
            self._orders_joined.set()
        is_heard = trades and self._is_caught_up
        self._readiness.tell(
            reason,
            market_data="orderbooks" not in down,
            private=is_heard and not down & {"orders", "balances"},
            order_entry=is_heard and "orders" not in down,
        )
