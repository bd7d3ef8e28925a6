"""A simulated Moonbase: Phoenix channels and REST in front of a price-time exchange."""

import hmac
import math
import urllib.parse
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal, InvalidOperation
from http import HTTPStatus
from typing import Any, Final

from botkit.adapter import Member, SimulatedMarket, SimulatorSetup, TradedAs
from botkit.matching.exchange import (
    ExchangeEvent,
    ExchangeRules,
    OrderAccepted,
    OrderState,
    OrderTerms,
    RejectReason,
    RequestRejected,
    SelfTradeRule,
    StopTriggered,
)
from botkit.matching.exchange.traders import TraderParams
from botkit.model import Instrument, OrdType, Side
from botkit.ports import FeeSchedule
from botkit.transport import HttpReply, HttpRequest, Server, WsLink
from venues.moonbase import wire
from venues.moonbase.bank import Bank
from venues.moonbase.rows import RefusedError, balance_row, candle_row, encode, number, order_row
from venues.moonbase.session import Session

__all__ = ["DRAWN", "EASED", "QUIRKS", "MoonbaseSimulator"]

NS_PER_S: Final = 1_000_000_000
HOUR_NS: Final = 3_600 * NS_PER_S
MINUTE_NS: Final = 60 * NS_PER_S
CLOCK_S: Final = 600
PAGE: Final = 1_000
SHORTEST_S: Final = 60  # candle
WS_PATH: Final = "/socket/api/websocket"
REST_ROOT: Final = "/api/v1"
QUIRKS: Final[Mapping[str, Any]] = {
    "signature": "seed",  # or "client": what a handshake has to sign
    "join_ref": None,  # whether frames carry it: True, False, or None to draw it for each
    "trailing_slash": False,  # /balances/ and the like instead of /balances
    "reply_first": None,  # before the pushes about the same order; None draws
    "error_place": "payload",  # or "response", or "bare": where errors say what they are
    "trade_sign": True,  # a trade's amount is below 0 if its taker sold
    "takes_external_id": False,  # over the WebSocket
    "joins_an_hour": 20,
    "requests_a_minute": 300,
    "idle_s": 60.0,
}
"""What the venue's pages leave open, as this simulator does it unless told otherwise."""
DRAWN: Final[Mapping[str, tuple[Any, ...]]] = {
    "signature": ("seed",),  # the config says which
    "join_ref": (None, True, False),
    "trailing_slash": (False, True),
    "reply_first": (None, True, False),
    "error_place": ("payload", "response", "bare"),
    "trade_sign": (True, False),
    "takes_external_id": (False, True),
    "joins_an_hour": (1_000,),  # 20 are documented: `EASED`
    "requests_a_minute": (300,),  # documented
    "idle_s": (60.0,),  # its framework's
}
"""Of each, what a simulation may draw."""
EASED: Final[Mapping[str, Any]] = {"max_joins_per_hour": 1_000}
"""What a simulation with faults sets in the venue's table: they come far denser than in life."""


def _traded(name: str, tick_size: str, lot_size: str, trade: TraderParams) -> TradedAs:
    base, _, quote = name.partition(":")
    instrument = Instrument(
        symbol=f"moonbase:{name}",
        base=base,
        quote=quote,
        tick_size=Decimal(tick_size),
        lot_size=Decimal(lot_size),
        min_trade_vol=Decimal(lot_size),
    )
    return TradedAs(instrument=instrument, trade=trade)


TRADED: Final = (
    _traded(
        "ETH_D:BTC_D", "0.000001", "0.01", TraderParams(fair_px=Decimal("0.05"), size=Decimal(5))
    ),
    _traded(
        "ETC_D:BTC_D", "0.00000001", "1", TraderParams(fair_px=Decimal("0.00015"), size=Decimal(99))
    ),
)
FEE: Final = Decimal("0.001")


class MoonbaseSimulator:
    """Implements `botkit.adapter.Simulator`. Members `alice`, `bob` and `carol` may trade."""

    title = "Moonbase"
    members: Sequence[Member] = tuple(
        Member(
            name=name,
            key=f"test-key-{name}",
            secret=f"test-secret-{name}",
            balances={"ETH_D": Decimal(1_000), "ETC_D": Decimal(100_000), "BTC_D": Decimal(100)},
        )
        for name in ("alice", "bob", "carol")
    )

    def __init__(self, setup: SimulatorSetup) -> None:
        self.quirks = setup.decided(QUIRKS)
        bps = FEE * 10_000
        self.market = SimulatedMarket(
            setup,
            TRADED,
            self.members,
            fees=FeeSchedule(maker_bps=bps, taker_bps=bps),
            rules=ExchangeRules(self_trade=SelfTradeRule.CANCEL_RESTING),
        )
        self.bank = Bank(self.market, self.members)
        self.server = Server(http=self._http, ws=self._ws, admit=self._admit)
        self.sessions: list[Session] = []
        self._by_key = {member.key: member for member in self.members}
        self._joins: dict[str, deque[int]] = {each.name: deque() for each in self.members}
        self._requests: dict[str, deque[int]] = {each.name: deque() for each in self.members}
        self._nonces: dict[str, int] = {}
        self._triggered: dict[int, int] = {}
        self.market.listen(self._note)

    async def run(self) -> None:
        """Let the market live."""
        await self.market.run()

    def venue_order_id(self, order: OrderState) -> str:
        """Return the id that clients know an order by."""
        return str(order.order_id)

    def draw(self, quirk: str) -> bool:
        """Return a quirk that may be drawn anew each time."""
        chosen = self.quirks[quirk]
        return bool(self.market.rng.integers(2)) if chosen is None else bool(chosen)

    def crash(self, topic: str) -> None:
        """Have the process of a channel die, in every session that has joined it."""
        for session in self.sessions:
            session.end(topic, "phx_error")

    def joins(self, name: str) -> int:
        """Return how many joins a member has made within the last hour."""
        return len(_recent(self._joins[name], self.market.now_ns() - HOUR_NS))

    def _note(self, events: Sequence[ExchangeEvent]) -> None:
        for event in events:
            if isinstance(event, StopTriggered):
                self._triggered[event.order.order_id] = event.time_ns

    # --- signing in -------------------------------------------------------------------------

    def _admit(self, request: HttpRequest) -> HttpReply | None:
        try:
            self._member_at(request)
        except RefusedError:
            return HttpReply(HTTPStatus.FORBIDDEN, {}, b"")
        return None

    def _member_at(self, request: HttpRequest) -> Member:
        """Return who opens a WebSocket; raise `RefusedError` if the query does not hold."""
        query = dict(urllib.parse.parse_qsl(request.query))
        member = self._by_key.get(query.get("key", ""))
        timestamp_s = self._fresh(query.get("timestamp", ""))
        if member is None or request.path != WS_PATH:
            raise RefusedError("unauthorized")
        wanted = wire.handshake_query(
            member.key,
            member.secret,
            timestamp_s=timestamp_s,
            variant=self.quirks["signature"],
        )
        if not hmac.compare_digest(wanted.partition("&signature=")[2], query.get("signature", "")):
            raise RefusedError("unauthorized")
        return member

    def _fresh(self, timestamp: str) -> int:
        now_s = self.market.catch_up() // NS_PER_S
        if not timestamp.isdecimal() or abs(int(timestamp[:20]) - now_s) >= CLOCK_S:
            raise RefusedError("unauthorized", {"message": "timestamp"})
        return int(timestamp)

    def _signer(self, request: HttpRequest, parameters: Mapping[str, str]) -> Member:
        """Return who sent a REST call; raise `RefusedError` if its headers do not hold."""
        headers = request.headers
        member = self._by_key.get(headers.get("x-key", ""))
        nonce = headers.get("x-nonce", "")
        timestamp_s = self._fresh(headers.get("x-timestamp", ""))
        if member is None or not nonce.isdecimal():
            raise RefusedError("unauthorized")
        wanted = wire.rest_headers(
            member.key,
            member.secret,
            method=request.method,
            path=request.path,
            parameters=parameters,
            nonce_ms=int(nonce[:20]),
            timestamp_s=timestamp_s,
        )
        if not hmac.compare_digest(wanted["X-Signature"], headers.get("x-signature", "")):
            raise RefusedError("unauthorized")
        if int(nonce) <= self._nonces.get(member.key, 0):
            raise RefusedError("unauthorized", {"message": "nonce"})
        self._nonces[member.key] = int(nonce)
        return member

    # --- rates ------------------------------------------------------------------------------

    def count_join(self, member: Member) -> None:
        """Take a join of the member's; raise `RefusedError` when it has none left."""
        self._count(self._joins[member.name], self.quirks["joins_an_hour"], HOUR_NS)

    def count_request(self, member: Member) -> None:
        """Take a request of the member's; raise `RefusedError` when it has none left."""
        self._count(self._requests[member.name], self.quirks["requests_a_minute"], MINUTE_NS)

    def _count(self, taken: deque[int], most: int, window_ns: int) -> None:
        now_ns = self.market.now_ns()
        if len(_recent(taken, now_ns - window_ns)) >= most:
            wait_s = math.ceil((taken[0] + window_ns - now_ns) / NS_PER_S) if taken else 30
            raise RefusedError("rate_limit_exceeded", {"retry_after": wait_s})
        taken.append(now_ns)

    # --- both ways in -----------------------------------------------------------------------

    async def _ws(self, request: HttpRequest, link: WsLink) -> None:
        session = Session(self, self._member_at(request))
        self.sessions.append(session)
        try:
            await session.serve(link)
        finally:
            self.sessions.remove(session)

    async def _http(self, request: HttpRequest) -> HttpReply:
        events: Sequence[ExchangeEvent] = ()
        try:
            value, events = self._answer(request)
            status = HTTPStatus.OK
        except RefusedError as refused:
            status = STATUSES.get(refused.kind, HTTPStatus.UNPROCESSABLE_ENTITY)
            value = {"type": refused.kind, "details": refused.details}
        self.market.tell(events)
        return HttpReply(status, {"content-type": "application/json"}, encode(value))

    def _answer(self, request: HttpRequest) -> tuple[Any, Sequence[ExchangeEvent]]:
        path = request.path.removeprefix(REST_ROOT)
        if (request.method, path) == ("GET", "/info"):
            return self._info(), ()
        terms = dict(urllib.parse.parse_qsl(request.query))
        terms |= dict(urllib.parse.parse_qsl(request.body.decode("utf-8", "replace")))
        member = self._signer(request, terms)
        order_id = path.removeprefix("/my/orders/").removesuffix("/cancel")
        if (request.method, path) == ("PUT", f"/my/orders/{order_id}/cancel"):
            return self.cancel(member, int(order_id[:18]) if order_id.isdecimal() else None)
        handlers: Mapping[tuple[str, str], Callable[[], Any]] = {
            ("GET", "/my/balances"): lambda: (self.balance_rows(member), ()),
            ("GET", "/my/orders"): lambda: (self._page(member, terms), ()),
            ("POST", "/my/orders"): lambda: self.place(member, terms.get("symbol", ""), terms),
            ("GET", "/my/withdrawals"): lambda: (
                self.bank.withdrawals(member.name, terms.get("asset"), PAGE),
                (),
            ),
            ("GET", "/my/deposits/address"): lambda: (
                self.bank.address(member.name, terms.get("asset")),
                (),
            ),
        }
        handler = handlers.get((request.method, path))
        if handler is None:
            raise RefusedError("not_found")
        self.count_request(member)
        answer: tuple[Any, Sequence[ExchangeEvent]] = handler()
        return answer

    # --- looking ----------------------------------------------------------------------------

    def _info(self) -> dict[str, Any]:
        fee = number(FEE)
        markets = {
            each.instrument.name: {
                "tick_size": number(each.instrument.tick_size),
                "taker_fee": fee,
                "quote": each.instrument.quote,
                "price_precision": _digits(each.instrument.tick_size),
                "maker_fee": fee,
                "lot_size": number(each.instrument.lot_size),
                "listed_at": "2018-07-27T12:00:00",
                "delisted_at": None,
                "base": each.instrument.base,
                "amount_precision": _digits(each.instrument.lot_size),
            }
            for each in TRADED
        }
        assets = {name: {"min_confirmation_count": 2} for name in self.market.exchange.currencies}
        return {"markets": markets, "assets": assets}

    def order_row(self, order: OrderState) -> dict[str, Any]:
        """Return an order as it stands."""
        triggered_ns = self._triggered.get(order.order_id)
        return order_row(order, triggered_ns, order.client_order_id or None)

    def order_rows(
        self, member: Member, name: str, terms: Mapping[str, Any]
    ) -> list[dict[str, Any]]:
        """Return the snapshot of a member's orders in a market, newest first."""
        account = self.market.exchange.accounts[member.name]
        ids = sorted(account.by_id, reverse=True)
        orders = [account.by_id[each].state() for each in ids]
        chosen = [
            self.order_row(each)
            for each in orders
            if each.symbol == name
            and (terms.get("status") != "open" or each.order_id in account.open)
        ]
        limit = terms.get("limit")
        return [
            {**row, "user_id": 5} for row in chosen[: limit if isinstance(limit, int) else PAGE]
        ]

    def _page(self, member: Member, terms: Mapping[str, str]) -> list[dict[str, Any]]:
        """Return a page of a member's orders, newest first, from before `to_id` on."""
        account = self.market.exchange.accounts[member.name]
        before = int(terms["to_id"][:19]) if terms.get("to_id", "").isdecimal() else 2**63
        limit = int(terms["limit"][:6]) if terms.get("limit", "").isdecimal() else PAGE
        symbol = terms.get("symbol") or None
        ids = (each for each in sorted(account.by_id, reverse=True) if each < before)
        orders = (account.by_id[each].state() for each in ids)
        rows = [self.order_row(each) for each in orders if symbol in (None, each.symbol)]
        return rows[: min(limit, PAGE)]

    def balance_rows(self, member: Member) -> list[dict[str, Any]]:
        """Return what a member holds."""
        account, name = self.market.exchange.accounts[member.name], member.name
        return [
            balance_row(
                place,
                each,
                self.bank.withdrawn(name, each.currency),
                self.bank.assigned(name, each.currency),
            )
            for place, each in enumerate(account.balances(), 1)
        ]

    def candles(self, name: str, terms: Mapping[str, Any]) -> dict[str, Any]:
        """Return candles, and when the nearest before them began (Unix seconds, or None)."""
        wanted = [terms.get(key) for key in ("from", "to", "resolution")]
        if not all(isinstance(each, int) and 0 <= each < NS_PER_S * 10 for each in wanted):
            raise RefusedError("invalid_params", {"resolution": terms.get("resolution")})
        since_s, to_s, resolution_s = (int(each or 0) for each in wanted)
        if not resolution_s or resolution_s % SHORTEST_S:
            raise RefusedError("invalid_params", {"resolution": resolution_s})
        market, span_ns = self.market.exchange.markets[name], resolution_s * NS_PER_S
        found = market.candles(span_ns, since_s * NS_PER_S, to_s * NS_PER_S)
        before = market.candles(span_ns, 0, since_s * NS_PER_S)
        nearest_s = before[-1].start_ns // NS_PER_S if before else None
        return {"data": [[candle_row(market, each, resolution_s) for each in found], nearest_s]}

    # --- orders -----------------------------------------------------------------------------

    def place(
        self, member: Member, name: str, terms: Mapping[str, Any]
    ) -> tuple[dict[str, Any], list[ExchangeEvent]]:
        """Take an order; return it as it was taken, with nothing filled yet, and what happened."""
        events = self.market.exchange.submit(
            member.name, self._terms(name, terms), self.market.now_ns()
        )
        rejected = next((each for each in events if isinstance(each, RequestRejected)), None)
        if rejected is not None:
            raise _refusal(rejected)
        taken = next(each.order for each in events if isinstance(each, OrderAccepted))
        return self.order_row(taken), events

    def _terms(self, name: str, terms: Mapping[str, Any]) -> OrderTerms:
        amount = _decimal(terms, "requested_amount")
        if amount is None:
            raise RefusedError("invalid_params", {"requested_amount": "can't be blank"})
        limit, trigger = _decimal(terms, "limit_price"), _decimal(terms, "trigger_price")
        external_id = terms.get("external_id") if self.quirks["takes_external_id"] else None
        return OrderTerms(
            symbol=name,
            side=Side.BUY if amount > 0 else Side.SELL,
            ord_type=TYPES[limit is not None, trigger is not None],
            order_qty=abs(amount),
            price=limit,
            stop_px=trigger,
            client_order_id=str(external_id or ""),
        )

    def cancel(
        self, member: Member, order_id: object
    ) -> tuple[dict[str, Any], list[ExchangeEvent]]:
        """End an order; return it and what happened."""
        if not isinstance(order_id, int):
            raise RefusedError("not_found", {"id": str(order_id)})
        exchange = self.market.exchange
        events = exchange.cancel(member.name, order_id, self.market.now_ns())
        rejected = next((each for each in events if isinstance(each, RequestRejected)), None)
        if rejected is not None:
            raise _refusal(rejected)
        order = exchange.accounts[member.name].order(order_id)
        assert order is not None, "it was ended just now"
        return self.order_row(order), events


TYPES: Final = {
    (True, False): OrdType.LIMIT,
    (False, False): OrdType.MARKET,
    (False, True): OrdType.STOP,
    (True, True): OrdType.STOP_LIMIT,
}
"""By whether there is a limit, and whether there is a trigger."""
KINDS: Final = {RejectReason.UNKNOWN_ORDER: "not_found", RejectReason.UNKNOWN_SYMBOL: "not_found"}
STATUSES: Final = {
    "unauthorized": HTTPStatus.FORBIDDEN,
    "not_found": HTTPStatus.NOT_FOUND,
    "rate_limit_exceeded": HTTPStatus.TOO_MANY_REQUESTS,
}


def _decimal(terms: Mapping[str, Any], name: str) -> Decimal | None:
    value = terms.get(name)
    if value is None:
        return None
    try:
        number_ = Decimal(str(value))
    except InvalidOperation:
        number_ = Decimal("NaN")
    if isinstance(value, bool) or not number_.is_finite():
        raise RefusedError("invalid_params", {name: "is invalid"})
    return number_


def _refusal(rejected: RequestRejected) -> RefusedError:
    rejection = rejected.rejection
    kind = KINDS.get(rejection.reason, rejection.reason.value.lower())
    return RefusedError(kind, {"message": rejection.text})


def _recent(taken: deque[int], since_ns: int) -> deque[int]:
    while taken and taken[0] <= since_ns:
        taken.popleft()
    return taken


def _digits(step: Decimal) -> int:
    exponent = step.normalize().as_tuple().exponent
    assert isinstance(exponent, int), "steps are finite"
    return max(0, -exponent)
