"""A simulated Peatio, both generations on one port, in front of a price-time exchange."""

import itertools
import urllib.parse
from collections.abc import Callable, Mapping, Sequence
from decimal import ROUND_DOWN, Decimal, InvalidOperation
from typing import Any, Final, Protocol

import msgspec
import trio

from botkit.adapter import Member, SimulatedMarket, SimulatorSetup, TradedAs
from botkit.matching.exchange import (
    ExchangeEvent,
    ExchangeRules,
    Execution,
    FeeIn,
    OrderAccepted,
    OrderState,
    OrderTerms,
    Rejection,
    RequestRejected,
    SelfTradeRule,
)
from botkit.matching.exchange.traders import TraderParams
from botkit.model import Instrument, OrdStatus, OrdType, Side, TimeInForce
from botkit.ports import FeeSchedule
from botkit.transport import HttpReply, HttpRequest, Server, WsLink
from venues.peatio.issuer import Issuer
from venues.peatio.ranger_books import RangerBooks
from venues.peatio.ranger_server import RANGER, RangerRest, RangerSession
from venues.peatio.rows import RefusedError, json_reply
from venues.peatio.tokens import BadTokenError
from venues.peatio.websocket_api_server import FirstRest, FirstSession

__all__ = ["DRAWN", "QUIRKS", "PeatioSimulator"]

NS_PER_S: Final = 1_000_000_000
FLUSH_S: Final = 0.001
BAD_GATEWAY: Final = 502
SIDES: Final = {"buy": Side.BUY, "sell": Side.SELL}
QUIRKS: Final[Mapping[str, Any]] = {
    "answer_first": None,  # whether a POST is answered before its events; None draws it each time
    "trades_first": None,  # whether a match's trades are told before its book or order events
    "enclosed_ahead": True,  # first: enclosed orders are read when the frame is built
    "ping_every_s": 10.0,  # first; 0 for never
    "cancel_delay_s": 0.0,  # how long a cancel lies in the queue
    "reject_late": None,  # second: funds that lack reject at once (False) or by an event (True)
    "flat_pairs": True,  # second: an increment is one pair; False: a list of pairs; None draws
    "gap_every": 0,  # second: so many increments, one is lost on the way to each client
    "first_snapshot_s": 0.0,  # second: so long the server has no snapshot
    "bad_gateway_every": 0,  # a proxy answers 502 to one of so many new orders, which are done
}
"""What the venue's sources leave open, as this simulator does it unless told otherwise."""
DRAWN: Final[Mapping[str, tuple[Any, ...]]] = {
    "answer_first": (None, True, False),
    "trades_first": (None, True, False),
    "enclosed_ahead": (True, False),
    "ping_every_s": (10.0, 30.0),
    "cancel_delay_s": (0.0, 0.1, 1.0),
    "reject_late": (None, True, False),
    "flat_pairs": (True, False, None),
    "gap_every": (0, 0, 100),
    "first_snapshot_s": (0.0, 2.0),
    "bad_gateway_every": (0, 0, 25),
}
"""Of each, what a simulation may draw."""

_body = msgspec.json.Decoder(dict[str, Any]).decode


def _instrument(name: str, base: str, tick_size: str, lot_size: str) -> Instrument:
    return Instrument(
        symbol=f"peatio:{name}",
        base=base,
        quote="USD",
        tick_size=Decimal(tick_size),
        lot_size=Decimal(lot_size),
        min_trade_vol=Decimal(lot_size),
    )


TRADED: Final = (
    TradedAs(
        instrument=_instrument("btcusd", "BTC", "0.01", "0.0001"),
        trade=TraderParams(fair_px=Decimal(50_000), size=Decimal("0.3")),
    ),
    TradedAs(
        instrument=_instrument("ethusd", "ETH", "0.01", "0.001"),
        trade=TraderParams(fair_px=Decimal(2_500), size=Decimal(3)),
    ),
)


class _Session(Protocol):
    def on_events(self, events: Sequence[ExchangeEvent]) -> None:
        """Tell a client what has happened."""
        ...

    def tell_refused(self, order: OrderState) -> None:
        """Tell a client that its order was refused after it was taken in."""
        ...


class PeatioSimulator:
    """Implements `botkit.adapter.Simulator`. Members `alice`, `bob` and `carol` may trade.

    A member's key is its uid, its secret a token that lasts until the year 2100; `issuer` makes
    others.
    """

    title = "Peatio"
    members: Sequence[Member]

    def __init__(self, setup: SimulatorSetup) -> None:
        self.quirks = setup.decided(QUIRKS)
        self.issuer = Issuer()
        self.members = self.issuer.members
        self.market = SimulatedMarket(
            setup,
            TRADED,
            self.members,
            fees=FeeSchedule(maker_bps=Decimal(20), taker_bps=Decimal(20)),
            rules=ExchangeRules(
                fee_in=FeeIn.RECEIVED,
                fee_digits=16,
                self_trade=SelfTradeRule.NONE,
                spend_what_is_there=True,
            ),
        )
        self.server = Server(http=self._http, ws=self._ws, admit=self._admit)
        self.refused: dict[int, OrderState] = {}  # second: taken in, then refused
        self.ranger_books = RangerBooks(self)
        self._first, self._second = FirstRest(self), RangerRest(self)
        self._sessions: list[_Session] = []
        self._stash: list[ExchangeEvent] = []
        self._stashed = trio.Event()
        self._posts = itertools.count(1)
        self._nursery: trio.Nursery | None = None
        self.market.listen(self._on_events)

    async def run(self) -> None:
        """Let the market live."""
        async with trio.open_nursery() as nursery:
            self._nursery = nursery
            nursery.start_soon(self.market.run)
            nursery.start_soon(self.ranger_books.run)
            while True:
                await self._stashed.wait()
                self._stashed = trio.Event()
                await trio.sleep(FLUSH_S)  # the answer goes first
                self._flush()

    def venue_order_id(self, order: OrderState) -> str:
        """Return the id that clients know an order by."""
        return str(order.order_id)

    def draw(self, quirk: str) -> bool:
        """Return a quirk that may be drawn anew each time."""
        chosen = self.quirks[quirk]
        return bool(self.market.rng.integers(2)) if chosen is None else bool(chosen)

    # --- what happens -----------------------------------------------------------------------

    def catch_up(self) -> int:
        """Tell what is not told yet, let happen what is due, and return the time."""
        self._flush()
        return self.market.catch_up()

    def _flush(self) -> None:
        events, self._stash = self._stash, []
        if events:
            self._tell(events)

    def _on_events(self, events: Sequence[ExchangeEvent]) -> None:
        self._flush()
        self._tell(events)

    def _tell(self, events: Sequence[ExchangeEvent]) -> None:
        self.ranger_books.on_events(events)
        for session in list(self._sessions):
            session.on_events(events)

    def happened(self, events: Sequence[ExchangeEvent]) -> None:
        """Tell events of a request: before its answer or soon after, as the quirk says."""
        if self.draw("answer_first"):
            self._stash += events
            self._stashed.set()
        else:
            self.market.tell(events)

    def arranged(self, first: list[bytes], second: list[bytes]) -> list[bytes]:
        """Return trades (`first`) and what else a match brings, in the quirk's order."""
        return [*first, *second] if self.draw("trades_first") else [*second, *first]

    # --- orders -----------------------------------------------------------------------------

    def place(self, member: Member, asked: Mapping[str, Any]) -> OrderState | Rejection:
        """Take a new order in; return it as it is before anything trades, or why it is refused."""
        terms = _terms(asked)
        now_ns = self.catch_up()
        events = self.market.exchange.submit(member.name, terms, now_ns)
        for event in events:
            if isinstance(event, RequestRejected):
                return event.rejection
            if isinstance(event, OrderAccepted):
                self.happened(events)
                return event.order
        raise AssertionError("the exchange has neither taken nor refused the order")

    def cancel(self, member: Member, order_id: int) -> OrderState | None:
        """Queue the end of an order; return it as it is now, None if there is none such."""
        now_ns = self.catch_up()
        order = self.order(member, order_id)
        if order is None or order.ord_status not in (OrdStatus.NEW, OrdStatus.PARTIALLY_FILLED):
            return order
        if self.quirks["cancel_delay_s"] and self._nursery is not None:
            self._nursery.start_soon(self._cancel_later, member, order_id)
        else:
            self.happened(self.market.exchange.cancel(member.name, order_id, now_ns))
        return order

    async def _cancel_later(self, member: Member, order_id: int) -> None:
        await trio.sleep(self.quirks["cancel_delay_s"])
        now_ns = self.catch_up()
        events = self.market.exchange.cancel(member.name, order_id, now_ns)
        self.market.tell([e for e in events if not isinstance(e, RequestRejected)])

    def order(self, member: Member, order_id: int) -> OrderState | None:
        """Return a member's order."""
        refused = self.refused.get(order_id)
        if refused is not None and refused.account == member.name:
            return refused
        return self.market.exchange.accounts[member.name].order(order_id)

    def orders(self, member: Member, market: str | None) -> list[OrderState]:
        """Return a member's orders, the oldest first."""
        account = self.market.exchange.accounts[member.name]
        refused = [each for each in self.refused.values() if each.account == member.name]
        found = [*account.history(), *account.open_orders(), *refused]
        chosen = [order for order in found if market in (None, order.symbol)]
        return sorted(chosen, key=lambda order: order.order_id)

    def executions(self, member: Member, order_id: int | None = None) -> list[Execution]:
        """Return what a member, or one of its orders, has traded, the oldest first."""
        found = self.market.exchange.accounts[member.name].executions
        return [
            each
            for each in found
            if order_id is None
            or order_id in (each.maker.order.order_id, each.taker.order.order_id)
        ]

    def executions_of(self, order: OrderState) -> list[Execution]:
        """Return what an order has traded, the oldest first."""
        found = self.market.exchange.accounts[order.account].executions
        named = order.order_id
        return [e for e in found if named in (e.maker.order.order_id, e.taker.order.order_id)]

    def refuse_later(self, order: OrderState) -> None:
        """Refuse an order that was taken in, by an event of its own."""
        self.refused[order.order_id] = order
        if self._nursery is not None:
            self._nursery.start_soon(self._refuse, order)

    async def _refuse(self, order: OrderState) -> None:
        await trio.sleep(FLUSH_S)
        for session in list(self._sessions):
            session.tell_refused(order)

    # --- REST -------------------------------------------------------------------------------

    async def _http(self, request: HttpRequest) -> HttpReply:
        await trio.lowlevel.checkpoint()
        path = request.path.removeprefix("/api/v2/").strip("/")
        second = path.partition("/")[0] in ("market", "account", "public")
        rest: FirstRest | RangerRest = self._second if second else self._first
        self.catch_up()
        try:
            parameters = _parameters(request)
            reply = rest.answer(request.method, path, parameters, request.headers)
        except RefusedError as refused:
            return json_reply(refused.status, refused.told)
        every = self.quirks["bad_gateway_every"]
        is_order = request.method == "POST" and path in ("orders", "market/orders")
        if is_order and every and next(self._posts) % every == 0:
            return HttpReply(BAD_GATEWAY, {}, b"bad gateway")
        return reply

    def member_of(
        self, headers: Mapping[str, str], refused: Callable[[], RefusedError]
    ) -> tuple[Member, Mapping[str, Any]]:
        """Return who calls and what the token says; raise what `refused` returns if it is bad."""
        try:
            return self.check(headers.get("authorization", ""))
        except BadTokenError:
            raise refused() from None

    def check(self, header: str) -> tuple[Member, Mapping[str, Any]]:
        """Return whose token it is; raise `BadTokenError`."""
        return self.issuer.check(header, self.market.clock.now_ns() // NS_PER_S)

    # --- sockets ----------------------------------------------------------------------------

    def _admit(self, request: HttpRequest) -> HttpReply | None:
        """Let a client in; the second generation drops one whose token is bad without a word."""
        header = request.headers.get("authorization")
        if request.path.startswith(RANGER) and header is not None:
            try:
                self.check(header)
            except BadTokenError:
                raise trio.BrokenResourceError("dropped in the handshake") from None
        return None

    async def _ws(self, request: HttpRequest, link: WsLink) -> None:
        session: FirstSession | RangerSession
        if request.path.startswith(RANGER):
            header = request.headers.get("authorization")
            member = None if header is None else self.check(header)[0]
            session = RangerSession(self, member, request.query)
        else:
            session = FirstSession(self)
        self._flush()
        self._sessions.append(session)
        try:
            await session.serve(link)
        finally:
            self._sessions.remove(session)


def _parameters(request: HttpRequest) -> dict[str, Any]:
    """Return the parameters of the query and of the body, a form or JSON."""
    found: dict[str, Any] = dict(_form(request.query))
    if not request.body:
        return found
    if "json" in request.headers.get("content-type", ""):
        try:
            return {**found, **_body(request.body)}
        except (msgspec.MsgspecError, UnicodeDecodeError):
            raise RefusedError.first(400, 1001, "body is not JSON") from None
    return {**found, **dict(_form(request.body.decode("utf-8", "replace")))}


def _form(text: str) -> list[tuple[str, str]]:
    return urllib.parse.parse_qsl(text)


def _terms(asked: Mapping[str, Any]) -> OrderTerms:
    """Return the order that a POST asks for, cut to the market's precision."""
    market = next((each for each in TRADED if each.instrument.name == asked["market"]), None)
    instrument = TRADED[0].instrument if market is None else market.instrument
    is_market = asked.get("ord_type", "limit") == "market"
    return OrderTerms(
        symbol=str(asked["market"]),
        side=SIDES[asked["side"]],
        ord_type=OrdType.MARKET if is_market else OrdType.LIMIT,
        order_qty=_cut(asked["volume"], instrument.lot_size),
        price=None if is_market else _cut(asked["price"], instrument.tick_size),
        time_in_force=TimeInForce.IOC if is_market else TimeInForce.GTC,
    )


def _cut(value: Any, step: Decimal) -> Decimal:
    try:
        return Decimal(str(value)).quantize(step, ROUND_DOWN)
    except InvalidOperation:
        return Decimal(-1)  # refused as no positive number
