"""A simulated DigiFinex: its WebSocket and REST protocol in front of a price-time exchange."""

import itertools
import urllib.parse
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal, InvalidOperation
from typing import Any, Final

import trio

from botkit.adapter import Member, SimulatedMarket, SimulatorSetup, TradedAs
from botkit.matching.exchange import (
    ExchangeEvent,
    ExchangeRules,
    FeeIn,
    OrderAccepted,
    OrderState,
    OrderTerms,
    RejectReason,
    RequestRejected,
)
from botkit.matching.exchange.traders import TraderParams
from botkit.model import Instrument, OrdStatus, OrdType, Side, TimeInForce
from botkit.ports import FeeSchedule
from botkit.transport import HttpReply, HttpRequest, Server, WsLink
from venues.digifinex.gatekeeper import Gatekeeper
from venues.digifinex.rows import (
    ERRORS,
    RefusedError,
    Show,
    currency_row,
    deal_row,
    encode,
    my_trade_row,
    number,
    order_row,
    public_id,
    rest_ticker_row,
    symbol_row,
    text,
    trade_row,
)
from venues.digifinex.session import Session
from venues.digifinex.wire import ErrorCode

__all__ = ["DRAWN", "QUIRKS", "DigiFinexSimulator"]

NS_PER_S: Final = 1_000_000_000
BATCH: Final = 20
PAGE_MOST: Final = 100
LATE_S: Final = 0.05
QUIRKS: Final[Mapping[str, Any]] = {
    "level": None,  # of compression, 0 to 9; None draws it for each frame
    "text_replies": None,  # replies as plain text: True, False, or None to draw it each time
    "code_as_text": None,  # likewise, the `code` of REST replies
    "numbers": None,  # likewise, prices and amounts of REST as JSON numbers
    "push_first": None,  # likewise, an order's push before the answer to its request
    "repeats": 0.1,  # the part of order pushes that come twice
    "disorder": 0.1,  # the part of order pushes that come behind later ones
    "whole_every": 50,  # how many depth changes until the whole book comes again; 0 for never
    "depth": 20,  # levels a side
    "lost_changes": 0.0,  # the part of depth changes that never come
    "lost_wholes": 0,  # how many whole books a client asks for in vain, at first
    "lingers": False,  # levels that leave the window are never deleted
    "lower_case": False,  # symbols in pushes and rows
    "adds_up": False,  # a second subscription adds to the first
    "ws_denied_code": 6,
    "post_only_taking": "cancel",  # what becomes of a post-only order that would take; or "reject"
    "idle_s": 60.0,
    "lifetime_s": 7200.0,
    "handshake_502": 0.0,  # the part of handshakes that are answered so
    "busy": 0.0,  # the part of private calls answered "too many requests"
    "lost_answers": 0.0,  # the part of order and cancel calls carried out and answered 502
    "failing_reads": 0.0,  # the part of private reads answered 50000
    "rate_limits": True,  # 60 POST and 180 GET a minute, else banned for 5 minutes
    "conduct": True,  # the rules of conduct, else banned for 30 minutes
}
"""What the venue's pages leave open, as this simulator does it unless told otherwise."""
DRAWN: Final[Mapping[str, tuple[Any, ...]]] = {
    "level": (None, 0, 9),
    "text_replies": (None, True, False),
    "code_as_text": (None, True, False),
    "numbers": (None, True, False),
    "push_first": (None, True, False),
    "repeats": (0.0, 0.1, 0.5),
    "disorder": (0.0, 0.1, 0.5),
    "whole_every": (50, 0, 7),
    "depth": (20, 10),
    "lost_changes": (0.0,),  # a book that nothing tells to be wrong
    "lost_wholes": (0, 1),
    "lingers": (False, True),
    "lower_case": (False, True),
    "adds_up": (False, True),
    "ws_denied_code": (6, 10),
    "post_only_taking": ("cancel", "reject"),
    "idle_s": (60.0,),  # measured
    "lifetime_s": (7200.0, 70.0),
    "handshake_502": (0.0, 0.2),
    "busy": (0.0, 0.02),
    "lost_answers": (0.0, 0.02),
    "failing_reads": (0.0, 0.05),
    "rate_limits": (True,),  # documented, and the harder of the two
    "conduct": (True,),  # likewise
}
"""Of each, what a simulation may draw."""
Handler = Callable[[Member, Mapping[str, str], Show], Any]


def _instrument(name: str, tick_size: str, lot_size: str, least: str) -> Instrument:
    base, _, quote = name.partition("_")
    return Instrument(
        symbol=f"digifinex:{name}",
        base=base,
        quote=quote,
        tick_size=Decimal(tick_size),
        lot_size=Decimal(lot_size),
        min_trade_vol=Decimal(least),
        min_notional=Decimal(2),
    )


TRADED: Final = (
    TradedAs(
        instrument=_instrument("BTC_USDT", "0.01", "0.00001", "0.0001"),
        trade=TraderParams(fair_px=Decimal(50_000), size=Decimal("0.3")),
    ),
    TradedAs(
        instrument=_instrument("ETH_USDT", "0.01", "0.0001", "0.001"),
        trade=TraderParams(fair_px=Decimal(2_500), size=Decimal(3)),
    ),
)
KINDS: Final = {
    "buy": (Side.BUY, OrdType.LIMIT),
    "sell": (Side.SELL, OrdType.LIMIT),
    "buy_market": (Side.BUY, OrdType.MARKET),
    "sell_market": (Side.SELL, OrdType.MARKET),
}


class DigiFinexSimulator:
    """Implements `botkit.adapter.Simulator`. Members `alice`, `bob` and `carol` may trade."""

    title = "DigiFinex"
    members: Sequence[Member] = tuple(
        Member(
            name=name,
            key=f"test-key-{name}",
            secret=f"test-secret-{name}",
            balances={"BTC": Decimal(10), "ETH": Decimal(100), "USDT": Decimal(1_000_000)},
        )
        for name in ("alice", "bob", "carol")
    )

    def __init__(self, setup: SimulatorSetup) -> None:
        self.quirks = setup.decided(QUIRKS)
        self.market = SimulatedMarket(
            setup,
            TRADED,
            self.members,
            fees=FeeSchedule(maker_bps=Decimal(10), taker_bps=Decimal(20)),
            rules=ExchangeRules(fee_in=FeeIn.RECEIVED),
        )
        self.server = Server(http=self._http, ws=self._ws, admit=self._admit)
        self.by_key = {member.key: member for member in self.members}
        self.pushes_first = False  # whether what is pushed now comes before the answer
        self.gatekeeper = Gatekeeper(
            self.by_key,
            rate_limits=self.quirks["rate_limits"],
            conduct=self.quirks["conduct"],
        )
        self._sessions: list[Session] = []
        self._inside: dict[str, int] = {}  # by public id
        self._stillborn: dict[str, OrderState] = {}  # post-only orders that would have taken
        self._stillborn_ids = itertools.count(-1, -1)
        self._public: Mapping[str, Handler] = {
            "ping": self._time,
            "time": self._time,
            "spot/symbols": self._symbols,
            "trades/symbols": self._symbols,
            "markets": self._markets,
            "order_book": self._order_book,
            "trades": self._trades,
            "ticker": self._ticker,
            "currencies": self._currencies,
            "swap/v2/public/instruments": self._swaps,
        }
        self._private: Mapping[tuple[str, str], Handler] = {
            ("POST", "spot/order/new"): self._new,
            ("POST", "spot/order/cancel"): self._cancel,
            ("GET", "spot/order"): self._order,
            ("GET", "spot/order/current"): self._current,
            ("GET", "spot/order/history"): self._history,
            ("GET", "spot/order/detail"): self._detail,
            ("GET", "spot/mytrades"): self._my_trades,
            ("GET", "spot/assets"): self._assets,
        }

    async def run(self) -> None:
        """Let the market live."""
        await self.market.run()

    def venue_order_id(self, order: OrderState) -> str:
        """Return the id that clients know an order of the exchange by."""
        return public_id(order.order_id)

    def draw(self, quirk: str) -> bool:
        """Return a quirk that may be drawn anew each time."""
        chosen = self.quirks[quirk]
        return bool(self.market.rng.integers(2)) if chosen is None else bool(chosen)

    def happens(self, quirk: str) -> bool:
        """Draw whether what happens in a part of all cases happens in this one."""
        return bool(self.market.rng.random() < self.quirks[quirk])

    # --- the way in -------------------------------------------------------------------------

    def _admit(self, _: HttpRequest) -> HttpReply | None:
        return HttpReply(502, {}, b"bad gateway") if self.happens("handshake_502") else None

    async def _ws(self, _: HttpRequest, link: WsLink) -> None:
        session = Session(self)
        self._sessions.append(session)
        try:
            await session.serve(link)
        finally:
            self._sessions.remove(session)

    async def _http(self, request: HttpRequest) -> HttpReply:
        path = request.path.strip("/").removeprefix("v3/")
        self.market.catch_up()
        changes = request.method == "POST"
        self.pushes_first = changes and self.draw("push_first")
        try:
            value = self._perform(request, path)
        except RefusedError as refused:
            return self._json({}, refused.code)
        is_first, self.pushes_first = self.pushes_first, False
        if is_first:
            await trio.sleep(LATE_S)
        if changes and self.happens("lost_answers"):
            return HttpReply(502, {}, b"bad gateway")
        return self._json(value, 0)

    def _perform(self, request: HttpRequest, path: str) -> Any:
        show = number if self.draw("numbers") else text
        public = self._public.get(path)
        if public is not None and request.method == "GET":
            nobody = self.members[0]
            return public(nobody, _pairs(request.query), show)
        handler = self._private.get((request.method, path))
        if handler is None:
            known = any(path == each for _, each in self._private)
            raise RefusedError(ErrorCode.WRONG_METHOD if known else ErrorCode.NO_ENDPOINT)
        sent = request.query if request.method == "GET" else request.body.decode("utf-8", "replace")
        now_ns = self.market.now_ns()
        member = self.gatekeeper.member_of(request.headers, sent, now_ns)
        self.gatekeeper.count(member, request.method, now_ns)
        if self.happens("busy"):
            raise RefusedError(ErrorCode.TOO_MANY_REQUESTS)
        if request.method == "GET" and self.happens("failing_reads"):
            raise RefusedError(ErrorCode.EXCEPTION)
        return handler(member, _pairs(sent), show)

    def _json(self, value: dict[str, Any], code: int) -> HttpReply:
        told: Any = str(code) if self.draw("code_as_text") else code
        return HttpReply(200, {"content-type": "application/json"}, encode({"code": told, **value}))

    # --- orders -----------------------------------------------------------------------------

    def _new(self, member: Member, sent: Mapping[str, str], _: Show) -> dict[str, Any]:
        terms = _terms(sent)
        now_ns = self.market.now_ns()
        account = self.market.exchange.accounts[member.name]
        orders = [*account.history(), *account.open_orders(), *self._stillborn_of(member)]
        self.gatekeeper.judge(member, terms.symbol, orders, now_ns)
        events = self.market.exchange.submit(member.name, terms, now_ns)
        rejected = next((e for e in events if isinstance(e, RequestRejected)), None)
        if rejected is not None:
            self.market.tell([event for event in events if event is not rejected])
            return self._refuse(member, terms, rejected)
        order = next(event.order for event in events if isinstance(event, OrderAccepted))
        self._inside[public_id(order.order_id)] = order.order_id
        self.market.tell(events)
        return {"order_id": public_id(order.order_id)}

    def _refuse(
        self, member: Member, terms: OrderTerms, rejected: RequestRejected
    ) -> dict[str, Any]:
        """Refuse an order; or take it and end it at once, as this venue does with some."""
        reason, field = rejected.rejection.reason, rejected.rejection.field
        cancels = self.quirks["post_only_taking"] == "cancel"
        if reason is RejectReason.WOULD_TAKE and cancels:
            order = self._stillborn_order(member, terms)
            self._stillborn[public_id(order.order_id)] = order
            for session in self._sessions:
                session.tell_order(order)
            return {"order_id": public_id(order.order_id)}
        if reason in (RejectReason.OFF_GRID, RejectReason.UNREADABLE):
            is_price = field == "price"
            raise RefusedError(
                ErrorCode.PRICE_PRECISION if is_price else ErrorCode.AMOUNT_PRECISION
            )
        raise RefusedError(ERRORS.get(reason, ErrorCode.WRONG_PARAMETERS))

    def _stillborn_order(self, member: Member, terms: OrderTerms) -> OrderState:
        now_ns = self.market.now_ns()
        return OrderState(
            order_id=next(self._stillborn_ids),
            account=member.name,
            client_order_id="",
            session="",
            symbol=terms.symbol,
            side=terms.side,
            ord_type=terms.ord_type,
            time_in_force=terms.time_in_force,
            post_only=True,
            ord_status=OrdStatus.CANCELED,
            price=terms.price,
            stop_px=None,
            order_qty=terms.order_qty or Decimal(0),
            cash_order_qty=None,
            cum_qty=Decimal(0),
            leaves_qty=Decimal(0),
            cum_notional=Decimal(0),
            fees=Decimal(0),
            fee_currency="",
            triggered=False,
            expire_time_ns=0,
            created_ns=now_ns,
            updated_ns=now_ns,
            cancel_reason=None,
        )

    def _stillborn_of(self, member: Member) -> list[OrderState]:
        return [order for order in self._stillborn.values() if order.account == member.name]

    def _cancel(self, member: Member, sent: Mapping[str, str], _: Show) -> dict[str, Any]:
        order_ids = [each for each in sent.get("order_id", "").split(",") if each]
        if not order_ids or len(order_ids) > BATCH:
            raise RefusedError(ErrorCode.WRONG_PARAMETERS)
        done: list[str] = []
        events: list[ExchangeEvent] = []
        account, now_ns = self.market.exchange.accounts[member.name], self.market.now_ns()
        for order_id in order_ids:
            inside = self._inside.get(order_id)
            if inside in account.open and inside is not None:
                events += self.market.exchange.cancel(member.name, inside, now_ns)
                done.append(order_id)
        self.market.tell(events)
        return {"success": done, "error": [each for each in order_ids if each not in done]}

    # --- looking at one's own ---------------------------------------------------------------

    def _named(self, member: Member, sent: Mapping[str, str]) -> OrderState:
        order_id = sent.get("order_id", "")
        inside = self._inside.get(order_id)
        account = self.market.exchange.accounts[member.name]
        order = self._stillborn.get(order_id) if inside is None else account.order(inside)
        if order is None or order.account != member.name:
            raise RefusedError(ErrorCode.NO_SUCH_ORDER)
        return order

    def _order(self, member: Member, sent: Mapping[str, str], show: Show) -> dict[str, Any]:
        return {"data": [self._row(self._named(member, sent), show)]}

    def _row(self, order: OrderState, show: Show) -> dict[str, Any]:
        return order_row(order, self._shown(order.symbol), show)

    def _shown(self, name: str) -> str:
        return name.lower() if self.quirks["lower_case"] else name

    def _detail(self, member: Member, sent: Mapping[str, str], show: Show) -> dict[str, Any]:
        order = self._named(member, sent)
        fills = [
            deal_row(each, leg, show)
            for each in self.market.exchange.accounts[member.name].executions
            for leg in each.legs(member.name)
            if leg.order.order_id == order.order_id
        ]
        return {"data": {**self._row(order, show), "detail": fills}}

    def _current(self, member: Member, sent: Mapping[str, str], show: Show) -> dict[str, Any]:
        symbol = sent["symbol"].upper() if "symbol" in sent else None
        orders = self.market.exchange.accounts[member.name].open_orders(symbol)
        return {"data": [self._row(order, show) for order in reversed(orders)]}

    def _history(self, member: Member, sent: Mapping[str, str], show: Show) -> dict[str, Any]:
        """Return orders of any state made within a time, the newest first."""
        account = self.market.exchange.accounts[member.name]
        orders = [*account.history(), *account.open_orders(), *self._stillborn_of(member)]
        symbol = sent.get("symbol", "").upper()
        since_s, until_s = _integer(sent, "start_time", 0), _integer(sent, "end_time", 1 << 60)
        chosen = [
            order
            for order in orders
            if symbol in ("", order.symbol) and since_s <= order.created_ns // NS_PER_S <= until_s
        ]
        chosen.sort(key=lambda order: (order.created_ns, order.order_id), reverse=True)
        most = min(PAGE_MOST, _integer(sent, "limit", 10))
        return {"data": [self._row(order, show) for order in chosen[:most]]}

    def _my_trades(self, member: Member, sent: Mapping[str, str], show: Show) -> dict[str, Any]:
        """Return fills since a time, the oldest first."""
        symbol, since_s = sent.get("symbol", "").upper(), _integer(sent, "start_time", 0)
        rows = (
            my_trade_row(each, leg, self._shown(each.symbol), show)
            for each in self.market.exchange.accounts[member.name].executions
            if symbol in ("", each.symbol) and each.time_ns // NS_PER_S >= since_s
            for leg in each.legs(member.name)
        )
        most = min(PAGE_MOST, _integer(sent, "limit", PAGE_MOST))
        return {"list": list(itertools.islice(rows, most))}

    def _assets(self, member: Member, _: Mapping[str, str], show: Show) -> dict[str, Any]:
        balances = self.market.exchange.accounts[member.name].balances()
        return {
            "list": [
                {
                    "currency": each.currency,
                    "free": show(each.available),
                    "total": show(each.total),
                }
                for each in balances
            ]
        }

    # --- looking at the market --------------------------------------------------------------

    def _time(self, _: Member, __: Mapping[str, str], ___: Show) -> dict[str, Any]:
        return {"server_time": self.market.now_ns() // NS_PER_S, "msg": "pong"}

    def _symbols(self, _: Member, __: Mapping[str, str], show: Show) -> dict[str, Any]:
        rows = [symbol_row(each.instrument, show) for each in TRADED]
        if self.quirks["lower_case"]:
            rows = [{**row, "symbol": row["symbol"].lower()} for row in rows]
        return {"symbol_list": rows}

    def _markets(self, _: Member, __: Mapping[str, str], show: Show) -> dict[str, Any]:
        rows = [symbol_row(each.instrument, show) for each in TRADED]
        return {
            "date": self.market.now_ns() // NS_PER_S,
            "data": [
                {
                    "market": row["symbol"].lower(),
                    "price_precision": row["price_precision"],
                    "volume_precision": row["amount_precision"],
                    "min_volume": row["minimum_amount"],
                    "min_amount": row["minimum_value"],
                }
                for row in rows
            ],
        }

    def _order_book(self, _: Member, sent: Mapping[str, str], show: Show) -> dict[str, Any]:
        market = self._market(sent)
        most = _integer(sent, "limit", 10)
        bids, asks = market.levels(Side.BUY, most), market.levels(Side.SELL, most)
        return {
            "bids": [[show(price), show(qty)] for price, qty, _ in bids],
            "asks": [[show(price), show(qty)] for price, qty, _ in reversed(asks)],
            "date": self.market.now_ns() // NS_PER_S,
        }

    def _trades(self, _: Member, sent: Mapping[str, str], __: Show) -> dict[str, Any]:
        trades = reversed(self._market(sent).trades)
        rows = [
            trade_row(each.trade_id, each.time_ns, each.price, each.qty, each.side)
            for each in itertools.islice(trades, _integer(sent, "limit", PAGE_MOST))
        ]
        dated = [{**row, "date": int(row["time"])} for row in rows]
        return {"data": dated, "date": self.market.now_ns() // NS_PER_S}

    def _ticker(self, _: Member, sent: Mapping[str, str], __: Show) -> dict[str, Any]:
        """Return a market's last day, or that of all."""
        all_of_them = self.market.exchange.markets.values()
        markets = [self._market(sent)] if "symbol" in sent else all_of_them
        now_ns = self.market.now_ns()
        rows = [rest_ticker_row(market, now_ns) for market in markets]
        return {"ticker": rows, "date": now_ns // NS_PER_S}

    def _currencies(self, _: Member, __: Mapping[str, str], show: Show) -> dict[str, Any]:
        return {"data": [currency_row(each, show) for each in self.market.exchange.currencies]}

    def _swaps(self, _: Member, __: Mapping[str, str], ___: Show) -> dict[str, Any]:
        """Return none: clients that trade swaps too ask before they do anything else."""
        return {"data": []}

    def _market(self, sent: Mapping[str, str]) -> Any:
        market = self.market.exchange.markets.get(sent.get("symbol", "").upper())
        if market is None:
            raise RefusedError(ErrorCode.WRONG_PAIR)
        return market


def _pairs(sent: str) -> dict[str, str]:
    """Return a query or a form by name."""
    return dict(urllib.parse.parse_qsl(sent, keep_blank_values=True))


def _terms(sent: Mapping[str, str]) -> OrderTerms:
    """Return the order that a call asks for."""
    kind = KINDS.get(sent.get("type", ""))
    if kind is None:
        raise RefusedError(ErrorCode.WRONG_TYPE)
    side, ord_type = kind
    amount = _decimal(sent, "amount")
    is_limit = ord_type is OrdType.LIMIT
    by_cash = not is_limit and side is Side.BUY
    post_only = sent.get("post_only", "0")
    if post_only not in ("0", "1"):
        raise RefusedError(ErrorCode.WRONG_PARAMETERS)
    return OrderTerms(
        symbol=sent.get("symbol", "").upper(),
        side=side,
        ord_type=ord_type,
        order_qty=None if by_cash else amount,
        cash_order_qty=amount if by_cash else None,
        price=_decimal(sent, "price") if is_limit else None,
        time_in_force=TimeInForce.GTC if is_limit else TimeInForce.IOC,
        post_only=is_limit and post_only == "1",
    )


def _decimal(sent: Mapping[str, str], name: str) -> Decimal:
    try:
        value = Decimal(sent[name])
    except (KeyError, InvalidOperation):
        raise RefusedError(ErrorCode.WRONG_PARAMETERS) from None
    if not value.is_finite() or not 0 < value < 10**18:
        raise RefusedError(ErrorCode.PRICE_OR_AMOUNT_WRONG)
    return value


def _integer(sent: Mapping[str, str], name: str, default: int) -> int:
    value = sent.get(name, "")
    if not value:
        return default
    if not value.isdecimal():
        raise RefusedError(ErrorCode.WRONG_PARAMETERS)
    return int(value)
