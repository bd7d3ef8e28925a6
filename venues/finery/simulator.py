"""A simulated Finery: its WebSocket and REST protocol in front of a price-time exchange."""

import hmac
import itertools
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any, Final

import msgspec
import trio

from botkit.adapter import Member, SimulatedMarket, SimulatorSetup, TradedAs
from botkit.matching.exchange import (
    CancelReason,
    ExchangeEvent,
    ExchangeRules,
    Execution,
    OrderAccepted,
    OrderCanceled,
    OrderReplaced,
    OrderState,
    OrderTerms,
    RequestRejected,
    SelfTradeRule,
)
from botkit.matching.exchange.traders import TraderParams
from botkit.model import Instrument, OrdStatus, OrdType, Side, TimeInForce
from botkit.ports import FeeSchedule
from botkit.transport import HttpReply, HttpRequest, Server, WsLink
from venues.finery import wire
from venues.finery.rows import (
    ERRORS,
    Ids,
    RefusedError,
    cancel_reason,
    deal_in_reply,
    deal_row,
    encode,
    order_row,
    side_levels,
)
from venues.finery.session import Session
from venues.finery.wire import ErrorCode, from_units, to_units

__all__ = ["DRAWN", "QUIRKS", "FinerySimulator"]

NS_PER_MS: Final = 1_000_000
WINDOW_NS: Final = 120 * 1_000_000_000
CLOCK_MS: Final = 60_000
DEALS_MOST: Final = 250
CREDIT: Final = {"BTC": Decimal(100), "ETH": Decimal(1000), "EUR": Decimal(10_000_000)}
QUIRKS: Final[Mapping[str, Any]] = {
    "reply_first": None,  # True, False, or None to draw it for each request
    "code_in_array": None,  # likewise, of feeds that cannot be bound
    "feed_id_number": False,  # books are named by the instrument's number
    "further_places": (77, 78),  # places that rows have beyond the documented ones
    "cod_default": False,
    "ignores_cod": False,
    "cod_delay_s": 0.0,
}
"""What the venue's pages leave open, as this simulator does it unless told otherwise."""
DRAWN: Final[Mapping[str, tuple[Any, ...]]] = {
    "reply_first": (None, True, False),
    "code_in_array": (None, True, False),
    "feed_id_number": (False, True),
    "further_places": ((77, 78), ()),
    "cod_default": (False, True),
    "ignores_cod": (False, True),
    "cod_delay_s": (0.0, 0.3, 3.0),
}
"""Of each, what a simulation may draw."""

_content = msgspec.json.Decoder(dict[str, Any]).decode


def _instrument(name: str, tick_size: str, lot_size: str) -> Instrument:
    base, _, quote = name.partition("-")
    return Instrument(
        symbol=f"finery:{name}",
        base=base,
        quote=quote,
        tick_size=Decimal(tick_size),
        lot_size=Decimal(lot_size),
        min_trade_vol=Decimal(lot_size),
    )


TRADED: Final = (
    TradedAs(
        instrument=_instrument("BTC-EUR", "0.01", "0.00001"),
        trade=TraderParams(fair_px=Decimal(50_000), size=Decimal("0.3")),
    ),
    TradedAs(
        instrument=_instrument("ETH-EUR", "0.01", "0.0001"),
        trade=TraderParams(fair_px=Decimal(2_500), size=Decimal(3)),
    ),
)


class FinerySimulator:
    """Implements `botkit.adapter.Simulator`. Members `alice`, `bob` and `carol` may trade."""

    title = "Finery Markets"
    members: Sequence[Member] = tuple(
        Member(
            name=name,
            key=f"test-key-{name}",
            secret=f"test-secret-{name}",
            balances={"BTC": Decimal(10), "ETH": Decimal(100), "EUR": Decimal(1_000_000)},
            credit=CREDIT,
        )
        for name in ("alice", "bob", "carol")
    )

    def __init__(self, setup: SimulatorSetup) -> None:
        self.quirks = setup.decided(QUIRKS)
        self.market = SimulatedMarket(
            setup,
            TRADED,
            self.members,
            fees=FeeSchedule(maker_bps=Decimal(1), taker_bps=Decimal(3)),
            rules=ExchangeRules(
                unique_client_order_ids=True, self_trade=SelfTradeRule.CANCEL_RESTING
            ),
        )
        self.ids = Ids()
        self.gateway = 0
        self.server = Server(http=self._http, ws=self._ws, admit=self._admit)
        self._by_key = {member.key: member for member in self.members}
        self._nonces: dict[str, dict[int, int]] = {}
        self._session_count = itertools.count(1)
        self._sessions: list[Session] = []
        self._methods: Mapping[str, Callable[[Member, dict[str, Any], str], Any]] = {
            "add": self._add,
            "del": self._del,
            "delAll": self._del_all,
            "mod": self._mod,
            "book": self._book,
            "positions": self._positions,
            "limits": self._limits,
            "climits": self._limits,
            "instruments": self._instruments,
            "dealHistory": self._deal_history,
        }

    async def run(self) -> None:
        """Let the market live."""
        await self.market.run()

    def venue_order_id(self, order: OrderState) -> str:
        """Return the id that clients know an order by."""
        return str(self.ids.public(order))

    def set_gateway(self, code: int) -> None:
        """Cut the gateway off from the exchange (`code` above 0), or connect it again (0)."""
        self.gateway = code
        for session in self._sessions:
            session.tell_gateway()

    def draw(self, quirk: str) -> bool:
        """Return a quirk that may be drawn anew each time."""
        chosen = self.quirks[quirk]
        return bool(self.market.rng.integers(2)) if chosen is None else bool(chosen)

    # --- signing in -------------------------------------------------------------------------

    def _admit(self, request: HttpRequest) -> HttpReply | None:
        try:
            self.member_of(request)
        except RefusedError as refused:
            return _json(401, refused.told())
        return None

    def member_of(self, request: HttpRequest, *, fresh: bool = True) -> Member:
        """Return who opens a WebSocket; raise `RefusedError` if the headers do not hold."""
        content = request.headers.get("efx-content", "")
        member = self._signer(request.headers, content)
        if fresh:
            self._check_nonce(member, content)
        return member

    def _signer(self, headers: Mapping[str, str], text: str) -> Member:
        member = self._by_key.get(headers.get("efx-key", ""))
        if member is None:
            raise RefusedError(ErrorCode.NONCE_OR_SIGNATURE)
        wanted = wire.sign(member.secret, text)
        if not hmac.compare_digest(wanted, headers.get("efx-sign", "")):
            raise RefusedError(ErrorCode.NONCE_OR_SIGNATURE)
        return member

    def _check_nonce(self, member: Member, text: str) -> dict[str, Any]:
        """Return what `text` says besides a nonce not used lately and a time near ours."""
        try:
            content = _content(text)
        except (msgspec.MsgspecError, UnicodeDecodeError):
            raise RefusedError(ErrorCode.PARAMETER) from None
        nonce, timestamp = content.pop("nonce", None), content.pop("timestamp", None)
        now_ns = self.market.catch_up()
        if not isinstance(timestamp, int) or abs(timestamp - now_ns // NS_PER_MS) > CLOCK_MS:
            raise RefusedError(ErrorCode.TIMESTAMP)
        used = self._nonces.setdefault(member.key, {})
        for old in [each for each, at_ns in used.items() if at_ns < now_ns - WINDOW_NS]:
            del used[old]
        if not isinstance(nonce, int) or nonce in used:
            raise RefusedError(ErrorCode.NONCE_OR_SIGNATURE)
        used[nonce] = now_ns
        return content

    # --- both ways in -----------------------------------------------------------------------

    async def _http(self, request: HttpRequest) -> HttpReply:
        method = request.path.rpartition("/")[2]
        try:
            text = request.body.decode("utf-8", "replace")
            member = self._signer(request.headers, method + text)
            content = self._check_nonce(member, text)
            value, events = self.perform(member, method, content, "")
        except RefusedError as refused:
            return _json(400, refused.told())
        self.market.tell(events)
        return _json(200, value)

    async def _ws(self, request: HttpRequest, link: WsLink) -> None:
        member = self.member_of(request, fresh=False)
        session = Session(self, member, f"{member.name}-{next(self._session_count)}")
        self._sessions.append(session)
        try:
            await session.serve(link)
        finally:
            self._sessions.remove(session)
            await self._disconnect(session)

    async def _disconnect(self, session: "Session") -> None:
        """Cancel the orders that are tied to a connection that has ended."""
        if self.quirks["ignores_cod"]:
            return
        with trio.CancelScope(shield=self.quirks["cod_delay_s"] == 0):
            await trio.sleep(self.quirks["cod_delay_s"])
        now_ns = self.market.catch_up()
        self.market.tell(
            self.market.exchange.cancel_all(
                session.member.name, now_ns, session=session.name, reason=CancelReason.DISCONNECTED
            )
        )

    def perform(
        self, member: Member, method: str, content: dict[str, Any], session: str
    ) -> tuple[Any, Sequence[ExchangeEvent]]:
        """Return a method's reply and what happened by it; raise `RefusedError`."""
        if self.gateway:
            raise RefusedError(ErrorCode.NOT_CONNECTED)
        handler = self._methods.get(method)
        if handler is None:
            raise RefusedError(ErrorCode.NO_METHOD)
        self.market.catch_up()
        result: tuple[Any, Sequence[ExchangeEvent]] = handler(member, content, session)
        return result

    # --- orders -----------------------------------------------------------------------------

    def _add(
        self, member: Member, content: dict[str, Any], session: str
    ) -> tuple[Any, Sequence[ExchangeEvent]]:
        cod = content.get("cod", self.quirks["cod_default"])
        terms = _terms(content, session if cod is True else "")
        now_ns = self.market.now_ns()
        events = self.market.exchange.submit(member.name, terms, now_ns)
        rejected = next((e for e in events if isinstance(e, RequestRejected)), None)
        if rejected is not None:
            self.market.tell([e for e in events if e is not rejected])
            raise _refusal(rejected)
        order = _latest(events, member.name)
        return self._order_reply(order, events), events

    def _order_reply(self, order: OrderState, events: Sequence[ExchangeEvent]) -> dict[str, Any]:
        row = order_row(order, self.ids)
        why = order.cancel_reason
        left = "remainingVolume" if row[10] else "remainingSize"
        return {
            "id": row[4],
            left: row[8],
            "clientOrderId": row[5],
            "cancelReason": 0 if why is None else cancel_reason(why),
            "deals": [
                deal_in_reply(event, event.taker)
                for event in events
                if isinstance(event, Execution) and event.taker.order.order_id == order.order_id
            ],
        }

    def _del(
        self, member: Member, content: dict[str, Any], _: str
    ) -> tuple[Any, Sequence[ExchangeEvent]]:
        order = self._named(member, content)
        exchange, now_ns = self.market.exchange, self.market.now_ns()
        events = exchange.cancel(member.name, order.order_id, now_ns)
        row = order_row(order, self.ids)
        return {"id": row[4], "remainingSize": row[8]}, events

    def _named(self, member: Member, content: dict[str, Any]) -> OrderState:
        """Return the open order that a request names."""
        account = self.market.exchange.accounts[member.name]
        order = None
        if "orderId" in content:
            inside = self.ids.inside(_integer(content, "orderId"))
            order = None if inside is None else account.order(inside)
        else:
            order = account.open_order_named(str(_integer(content, "clientOrderId")))
        if order is None or order.ord_status not in (OrdStatus.NEW, OrdStatus.PARTIALLY_FILLED):
            raise RefusedError(ErrorCode.ORDER_NOT_FOUND)
        return order

    def _del_all(
        self, member: Member, content: dict[str, Any], _: str
    ) -> tuple[Any, Sequence[ExchangeEvent]]:
        symbol = content.get("instrument")
        if symbol is not None and symbol not in self.market.exchange.markets:
            raise RefusedError(ErrorCode.NO_INSTRUMENT, "instrument")
        exchange, now_ns = self.market.exchange, self.market.now_ns()
        events = exchange.cancel_all(member.name, now_ns, symbol=symbol)
        return {"removed": sum(isinstance(event, OrderCanceled) for event in events)}, events

    def _mod(
        self, member: Member, content: dict[str, Any], _: str
    ) -> tuple[Any, Sequence[ExchangeEvent]]:
        order = self._named(member, content)
        before = order_row(order, self.ids)
        size, price = _integer(content, "size"), _integer(content, "price")
        exchange, now_ns = self.market.exchange, self.market.now_ns()
        events = exchange.replace(
            member.name,
            order.order_id,
            now_ns,
            order_qty=order.cum_qty + from_units(size),
            price=from_units(price),
        )
        rejected = next((e for e in events if isinstance(e, RequestRejected)), None)
        if rejected is not None:
            raise _refusal(rejected)
        self.ids.change(order)
        changed = _latest(events, member.name)
        reply = self._order_reply(changed, events)
        row = order_row(changed, self.ids)
        gone = encode(["O", 0, "-", [*before[:3], 1, *before[4:]]])
        for session in self._sessions:
            if session.member is member:
                session.put_private(gone)
        return {
            "id": row[4],
            "initialSize": row[7],
            "remainingSize": row[8],
            "deals": reply["deals"],
            "origId": before[4],
            "origRemainingSize": before[8],
        }, events

    # --- looking ----------------------------------------------------------------------------

    def _book(
        self, _: Member, content: dict[str, Any], __: str
    ) -> tuple[Any, Sequence[ExchangeEvent]]:
        market = self.market.exchange.markets.get(str(content.get("instrument")))
        if market is None:
            raise RefusedError(ErrorCode.NO_INSTRUMENT, "instrument")
        sides = [side_levels(market, side) for side in (Side.BUY, Side.SELL)]
        return [[[price, size] for price, size in side.items()] for side in sides], ()

    def _positions(
        self, member: Member, _: dict[str, Any], __: str
    ) -> tuple[Any, Sequence[ExchangeEvent]]:
        return self.positions_of(member), ()

    def positions_of(self, member: Member) -> list[Any]:
        """Return the P snapshot: a currency may be held with two counterparties."""
        account = self.market.exchange.accounts[member.name]
        held: list[list[Any]] = []
        for balance in account.balances():
            units = to_units(balance.total)
            part = units // 3
            held += [[balance.currency, part, 12, 0, 0], [balance.currency, units - part, 13, 0, 0]]
        orders = [order_row(order, self.ids) for order in account.open_orders()]
        return [self.ids.last + 1, held, orders, []]

    def _limits(
        self, member: Member, _: dict[str, Any], __: str
    ) -> tuple[Any, Sequence[ExchangeEvent]]:
        account = self.market.exchange.accounts[member.name]
        rows: list[list[Any]] = []
        for balance in account.balances():
            limit = to_units(max(balance.credit, Decimal(0)) + member.balances[balance.currency])
            used = limit - to_units(balance.available + balance.credit)
            rows.append([balance.currency, limit, 2 * limit, used, abs(used), 0])
        return rows, ()

    def _instruments(
        self, _: Member, __: dict[str, Any], ___: str
    ) -> tuple[Any, Sequence[ExchangeEvent]]:
        return self.instrument_rows(), ()

    def instrument_rows(self) -> list[Any]:
        """Return the I snapshot, with the list of networks that newer replies have."""
        steps: dict[str, int] = {}
        for each in TRADED:
            steps.setdefault(each.instrument.base, to_units(each.instrument.lot_size))
            steps.setdefault(each.instrument.quote, to_units(each.instrument.tick_size))
        currencies = [[name, i, step, 0] for i, (name, step) in enumerate(steps.items(), 1)]
        instruments = [
            [each.instrument.name, number, each.instrument.base, each.instrument.quote]
            for number, each in enumerate(TRADED, 41)
        ]
        return [currencies, instruments, []]

    def _deal_history(
        self, member: Member, content: dict[str, Any], _: str
    ) -> tuple[Any, Sequence[ExchangeEvent]]:
        limit = min(DEALS_MOST, content.get("limit", DEALS_MOST))
        from_ms, to_ms = content.get("from", 0), content.get("to", 2**62)
        till, symbol = content.get("till", 2**62), content.get("instrument")
        executions = reversed(self.market.exchange.accounts[member.name].executions)
        chosen = (
            each
            for each in executions
            if symbol in (None, each.symbol)
            and from_ms <= each.time_ns // NS_PER_MS <= to_ms
            and each.trade_id < till
        )
        rows = (
            deal_row(each, leg, self.ids, self.quirks["further_places"])
            for each in chosen
            for leg in each.legs(member.name)
        )
        return list(itertools.islice(rows, limit)), ()


TYPES: Final = {
    "limit": (OrdType.LIMIT, TimeInForce.GTC, False),
    "postOnly": (OrdType.LIMIT, TimeInForce.GTC, True),
    "limitIOC": (OrdType.LIMIT, TimeInForce.IOC, False),
    "limitFOK": (OrdType.LIMIT, TimeInForce.FOK, False),
    "marketIOC": (OrdType.MARKET, TimeInForce.IOC, False),
    "marketFOK": (OrdType.MARKET, TimeInForce.FOK, False),
}
SIDES: Final = {"bid": Side.BUY, "ask": Side.SELL}


def _terms(content: dict[str, Any], session: str) -> OrderTerms:
    """Return the order that `add` asks for."""
    if content.get("side") not in SIDES:
        raise RefusedError(ErrorCode.PARAMETER, "side")
    if content.get("type") not in TYPES:
        raise RefusedError(ErrorCode.ORDER_TYPE, "type")
    if ("size" in content) is ("volume" in content):
        raise RefusedError(ErrorCode.SIZE_AND_VOLUME, "size")
    ord_type, time_in_force, post_only = TYPES[content["type"]]
    if "volume" in content and ord_type is not OrdType.MARKET:
        raise RefusedError(ErrorCode.VOLUME_NOT_ALLOWED, "volume")
    number = content.get("clientOrderId", 0)
    if not isinstance(number, int) or not 0 <= number < 2**63:
        raise RefusedError(ErrorCode.PARAMETER, "clientOrderId")
    return OrderTerms(
        symbol=str(content.get("instrument")),
        side=SIDES[content["side"]],
        ord_type=ord_type,
        order_qty=from_units(_integer(content, "size")) if "size" in content else None,
        cash_order_qty=from_units(_integer(content, "volume")) if "volume" in content else None,
        price=from_units(_integer(content, "price")) if ord_type is OrdType.LIMIT else None,
        time_in_force=time_in_force,
        post_only=post_only,
        client_order_id=str(number) if number else "",
        session=session,
    )


def _integer(content: dict[str, Any], name: str) -> int:
    value = content.get(name)
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= wire.MOST * 10:
        raise RefusedError(ErrorCode.PARAMETER, name)
    return value


def _latest(events: Sequence[ExchangeEvent], account: str) -> OrderState:
    """Return the order that a call was about as it stands after all that happened."""
    latest: OrderState | None = None
    for event in events:
        match event:
            case OrderAccepted(order=order) | OrderReplaced(order=order):
                latest = order
            case Execution() if latest is not None and (
                event.taker.order.order_id == latest.order_id
            ):
                latest = event.taker.order
            case OrderCanceled(order=order) if latest and order.order_id == latest.order_id:
                latest = order
    assert latest is not None
    assert latest.account == account
    return latest


def _refusal(rejected: RequestRejected) -> RefusedError:
    rejection = rejected.rejection
    code = ERRORS.get(rejection.reason, ErrorCode.PARAMETER)
    if rejection.field == "price" and code is ErrorCode.SIZE:
        code = ErrorCode.PRICE
    names = {"symbol": "instrument", "order_qty": "size", "cash_order_qty": "volume"}
    return RefusedError(code, names.get(rejection.field, rejection.field))


def _json(status: int, value: Any) -> HttpReply:
    return HttpReply(status, {"content-type": "application/json"}, encode(value))
