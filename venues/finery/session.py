"""One client of the simulated Finery: what it has bound, and what it is told."""

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import msgspec
import trio

from botkit.adapter import Mailbox, Member
from botkit.errors import VenueError
from botkit.matching.exchange import (
    BookLevelChange,
    ExchangeEvent,
    Execution,
    OrderAccepted,
    OrderCanceled,
    OrderReplaced,
)
from botkit.model import OrdStatus
from botkit.transport import WsLink
from venues.finery.rows import BookFeed, RefusedError, cancel_reason, deal_row, encode, order_row
from venues.finery.wire import ErrorCode

if TYPE_CHECKING:
    from venues.finery.simulator import FinerySimulator

__all__ = ["Session"]

IDLE_S: Final = 80.0

_request = msgspec.json.Decoder(dict[str, Any]).decode
LEAST_S: Final = 1e-6  # less to sleep may be nothing to the clock, for ever


class Session:
    """One client's WebSocket."""

    def __init__(self, simulator: "FinerySimulator", member: Member, name: str) -> None:
        self.member = member
        self.name = name
        self._simulator = simulator
        self._mail = Mailbox()
        self._books: dict[tuple[str, str], BookFeed] = {}
        self._private: set[str] = set()

    async def serve(self, link: WsLink) -> None:
        """Serve until the client goes, or is silent for too long."""
        market = self._simulator.market
        self.tell_gateway()
        market.listen(self._on_events)
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(partial(self._mail.serve, link))
                nursery.start_soon(self._watch, link, nursery.cancel_scope)
                await self._read(link)
        except* VenueError:
            pass  # gone
        finally:
            market.leave(self._on_events)

    async def _watch(self, link: WsLink, scope: trio.CancelScope) -> None:
        while True:
            left_s = IDLE_S - link.idle_s
            if left_s < LEAST_S:
                scope.cancel()
                return
            await trio.sleep(left_s)

    async def _read(self, link: WsLink) -> None:
        while True:
            for frame in await link.receive_batch():
                try:
                    message = _request(frame)
                except (msgspec.MsgspecError, UnicodeDecodeError):
                    continue  # what the venue answers to no JSON is not known
                event = message.get("event")
                if event == "bind":
                    self._bind(message)
                elif event == "unbind":
                    self._unbind(message)
                elif event == "request":
                    self._perform(message)

    # --- out --------------------------------------------------------------------------------

    def tell_gateway(self) -> None:
        """Say whether the gateway is connected to the exchange."""
        self._mail.put(encode(["X", 0, "Z", self._simulator.gateway]))

    def put_private(self, frame: bytes) -> None:
        """Send a frame about orders, if the client wants any."""
        if self._private & {"P", "O"}:
            self._mail.put(frame)

    def _on_events(self, events: Sequence[ExchangeEvent]) -> None:
        if self._private & {"P", "O"}:
            for event in events:
                self._tell_order(event)
            self._tell_entered(events)
        moved = {event.symbol for event in events if isinstance(event, BookLevelChange)}
        for feed in self._books.values():
            changed = feed.change() if feed.symbol in moved else None
            if changed is not None:
                self._mail.put(changed)

    def _tell_order(self, event: ExchangeEvent) -> None:
        """Tell a deal, or an order's end."""
        ids, me = self._simulator.ids, self.member.name
        if isinstance(event, Execution):
            further = self._simulator.quirks["further_places"]
            for leg in event.legs(me):
                self._mail.put(encode(["O", 0, "D", deal_row(event, leg, ids, further)]))
                if leg.order.ord_status is OrdStatus.FILLED and leg is event.maker:
                    self._mail.put(encode(["O", 0, "-", order_row(leg.order, ids)]))
        elif isinstance(event, OrderCanceled) and event.order.account == me:
            row = order_row(event.order, ids, cancel_reason(event.reason))
            self._mail.put(encode(["O", 0, "-", row]))

    def _tell_entered(self, events: Sequence[ExchangeEvent]) -> None:
        """Tell which orders are in the book now that were not before."""
        account = self._simulator.market.exchange.accounts[self.member.name]
        for event in events:
            if isinstance(event, OrderAccepted | OrderReplaced):
                order = account.order(event.order.order_id)
                if order is not None and order.order_id in account.open:
                    self._mail.put(encode(["O", 0, "+", order_row(order, self._simulator.ids)]))

    # --- in ---------------------------------------------------------------------------------

    def _bind(self, message: dict[str, Any]) -> None:
        simulator = self._simulator
        feed, feed_id = str(message.get("feed")), _feed_name(message.get("feedId"))
        key = (feed, feed_id)
        if key in self._books or (feed in self._private and not feed_id):
            self._fail(message, ErrorCode.ALREADY_BOUND)
        elif feed in ("B", "F"):
            self._bind_book(message, key)
        elif feed == "P":
            self._private.add(feed)
            positions = simulator.positions_of(self.member)
            self._mail.put(encode(["P", 0, "S", positions]))
        elif feed == "O":
            self._private.add(feed)
            self._mail.put(encode(["O", 0, "S", simulator.positions_of(self.member)[2]]))
        elif feed == "I":
            self._mail.put(encode(["I", 0, "S", simulator.instrument_rows()]))
        elif feed in ("G", "L", "M"):
            rows, _ = simulator.perform(self.member, "limits", {}, self.name)
            self._mail.put(encode([feed, 0, "S", rows]))
        elif feed in ("K", "S", "R", "N"):
            self._mail.put(encode([feed, message.get("feedId", 0), "S", []]))
        else:
            self._fail(message, ErrorCode.BAD_FEED)

    def _bind_book(self, message: dict[str, Any], key: tuple[str, str]) -> None:
        simulator = self._simulator
        markets = simulator.market.exchange.markets
        names = {str(row[1]): row[0] for row in simulator.instrument_rows()[1]}
        name = names.get(key[1], key[1])
        if name not in markets:
            self._fail(message, ErrorCode.BAD_FEED_ID)
            return
        numbers = {each: int(number) for number, each in names.items()}
        shown = numbers[name] if simulator.quirks["feed_id_number"] else name
        simulator.market.catch_up()  # before the feed is there, so that its snapshot comes first
        feed = self._books[key] = BookFeed(markets[name], key[0], shown)
        self._mail.put(feed.snapshot())

    def _unbind(self, message: dict[str, Any]) -> None:
        feed, feed_id = str(message.get("feed")), _feed_name(message.get("feedId"))
        if (feed, feed_id) in self._books:
            del self._books[feed, feed_id]
        elif feed in self._private:
            self._private.discard(feed)
        else:
            self._fail(message, ErrorCode.NOT_BOUND)
            return
        self._mail.put(encode([feed, message.get("feedId", 0), "U", 0]))

    def _fail(self, message: dict[str, Any], code: int) -> None:
        payload: Any = [int(code)] if self._simulator.draw("code_in_array") else int(code)
        self._mail.put(encode([message.get("feed"), message.get("feedId", 0), "Z", payload]))

    def _perform(self, message: dict[str, Any]) -> None:
        simulator = self._simulator
        head = {"event": "request", "reqId": message.get("reqId")}
        method, content = str(message.get("method")), message.get("content")
        if not isinstance(content, dict):
            self._mail.put(encode({**head, "error": int(ErrorCode.PARAMETER), "param": "content"}))
            return
        try:
            value, events = simulator.perform(self.member, method, content, self.name)
        except RefusedError as refused:
            self._mail.put(encode({**head, **refused.told()}))
            return
        reply = encode({**head, "reply": value})
        if simulator.draw("reply_first"):
            self._mail.put(reply)
            simulator.market.tell(events)
        else:
            simulator.market.tell(events)
            self._mail.put(reply)


def _feed_name(feed_id: Any) -> str:
    if isinstance(feed_id, dict):  # of masters
        feed_id = feed_id.get("instrument")
    return "" if feed_id in (None, 0) else str(feed_id)
