"""A simulated BlinkTrade: its WebSocket and REST in front of a price-time exchange."""

import itertools
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, Final

import msgspec
import trio

from botkit.adapter import Member, SimulatedMarket, SimulatorSetup, TradedAs
from botkit.matching.exchange import (
    BalanceChanged,
    CancelReason,
    ExchangeEvent,
    ExchangeRules,
    Execution,
    FeeIn,
    OrderAccepted,
    OrderCanceled,
    OrderExpired,
    OrderState,
    RejectReason,
    RequestRejected,
    SelfTradeRule,
)
from botkit.matching.exchange.traders import TraderParams
from botkit.model import Instrument, RequestKind
from botkit.ports import FeeSchedule
from botkit.transport import HttpReply, HttpRequest, Server, WsLink
from venues.blinktrade import wire
from venues.blinktrade.keys import Keys, Login, permits
from venues.blinktrade.public import public_reply
from venues.blinktrade.requests import Account, Requests
from venues.blinktrade.rows import (
    ID_STEP,
    FatalError,
    balances,
    fill_report,
    order_report,
    public_id,
    refused_report,
)
from venues.blinktrade.session import Session

__all__ = ["DRAWN", "QUIRKS", "BlinkTradeSimulator"]

BROKER_ID: Final = 5
ZERO: Final = Decimal(0)
FIRST_USER_ID: Final = 90_000_002
NO_BALANCE: Final = "3"
FOR_BALANCE: Final = frozenset(
    {RejectReason.INSUFFICIENT_FUNDS, RejectReason.BELOW_MIN_QTY, RejectReason.OFF_GRID}
)
PRIVATE: Final = (
    BalanceChanged,
    Execution,
    OrderAccepted,
    OrderCanceled,
    OrderExpired,
    RequestRejected,
)  # of what concerns an account; most of what happens is changes of books
QUIRKS: Final[Mapping[str, Any]] = {
    "ignores_cod": False,  # the 2015 server does: orders outlive their session
    "cod_delay_s": 0.0,
    "interleave": True,  # 8, U3, X and f come in no fixed order to one another
    "locked": True,  # X_locked in balances; the 2015 server has none
    "no_funds": "reject",  # "cancel": the 2015 server's way, an 8 Cancelled without a New
    "post_only_end": "8",  # or "4": how an order ends that was to add and would take
    "ignores_time_in_force": False,  # the 2015 server does
    "late_cancel": "silence",  # or "reject": by a 9, which is documented and was never seen
    "number_as_id": False,  # a ClOrdID of digits comes back as a number
    "taker_fees": True,  # the login tells rates for takers; the 2015 server knows one rate
    "own_fees": False,  # rates of the account's own, not the broker's
    "emails": True,  # copies of e-mails after fills
    "second_factor": None,  # the code that logging in with a user name needs
    "key_list": "U51",  # or "U50", as the venue's page has it
    "idle_timeout_s": None,  # of production it is not known; the 2015 server has none
}
"""What the venue's pages leave open, as this simulator does it unless told otherwise."""
DRAWN: Final[Mapping[str, tuple[Any, ...]]] = {
    "ignores_cod": (False, True),
    "cod_delay_s": (0.0, 0.3, 3.0),
    "interleave": (True, False),
    "locked": (True, False),
    "no_funds": ("reject", "cancel"),
    "post_only_end": ("8", "4"),
    "ignores_time_in_force": (False, True),
    "late_cancel": ("silence", "reject"),
    "number_as_id": (False, True),
    "taker_fees": (True, False),
    "own_fees": (False, True),
    "emails": (True, False),
    "second_factor": (None,),  # the config would have to know it
    "key_list": ("U51", "U50"),
    "idle_timeout_s": (None, 60.0),
}
"""Of each, what a simulation may draw."""

TRADED: Final = (
    TradedAs(
        instrument=Instrument(
            symbol="blinktrade:BTCUSD",
            base="BTC",
            quote="USD",
            tick_size=Decimal("0.01"),
            lot_size=Decimal("0.000001"),
            min_trade_vol=Decimal("0.0001"),
        ),
        trade=TraderParams(fair_px=Decimal(50_000), size=Decimal("0.3")),
    ),
)
MAKER_BPS: Final = 5
TAKER_BPS: Final = 10

_message = msgspec.json.Decoder(dict[str, Any]).decode


class BlinkTradeSimulator:
    """Implements `botkit.adapter.Simulator`. Members `alice`, `bob` and `carol` may trade.

    A member logs in by its key and the password `test-password-NAME`, or by its name and the
    same password; its secret signs REST calls.
    """

    title = "BlinkTrade (API and user password: test-password-NAME, broker 5)"
    members: Sequence[Member] = tuple(
        Member(
            name=name,
            key=f"test-key-{name}",
            secret=f"test-secret-{name}",
            balances={"BTC": Decimal(10), "USD": Decimal(1_000_000)},
        )
        for name in ("alice", "bob", "carol")
    )

    def __init__(self, setup: SimulatorSetup) -> None:
        self.quirks = setup.decided(QUIRKS)
        one_rate = not self.quirks["taker_fees"]
        self.market = SimulatedMarket(
            setup,
            TRADED,
            self.members,
            fees=FeeSchedule(
                maker_bps=Decimal(TAKER_BPS if one_rate else MAKER_BPS),
                taker_bps=Decimal(TAKER_BPS),
            ),
            rules=ExchangeRules(
                fee_in=FeeIn.RECEIVED,
                self_trade=SelfTradeRule.CANCEL_RESTING,
                spend_what_is_there=True,
            ),
        )
        by_name = {member.name: member for member in self.members}
        self.keys = Keys(by_name, self.quirks["second_factor"])
        self.user_ids = {each.name: FIRST_USER_ID + n for n, each in enumerate(self.members)}
        self.accounts = {each.name: Account(totals=dict(each.balances)) for each in self.members}
        self.requests = Requests(self)
        self.sessions: list[Session] = []
        self.server = Server(http=self._http, ws=self._ws)
        self._session_count = itertools.count(1)
        self._exec_ids = itertools.count(1)
        self._last_order_id = 0
        self._overhearing: list[tuple[str, list[dict[str, Any]]]] = []
        self.market.listen(self._on_events)

    async def run(self) -> None:
        """Let the market live."""
        await self.market.run()

    def venue_order_id(self, order: OrderState) -> str:
        """Return the id that clients know an order by."""
        return str(public_id(order.order_id))

    # --- what happens -----------------------------------------------------------------------

    def _on_events(self, events: Sequence[ExchangeEvent]) -> None:
        """Tell every session; what concerns an account is put into words once, for all of them."""
        telling = [event for event in events if isinstance(event, PRIVATE)]
        private = {name: self._private(telling, name) for name in self.accounts}
        for name, overheard in self._overhearing:
            overheard.extend(private[name])
        for session in tuple(self.sessions):
            member = session.member
            session.take(events, private[member.name] if member else [])

    def _private(self, events: Sequence[ExchangeEvent], name: str) -> list[dict[str, Any]]:
        """Return what an account is told of `events`: reports, then balances."""
        told = [report for event in events for report in self._reports(event, events, name)]
        return [*told, *self._balance_changes(events, name)]

    def _reports(
        self, event: ExchangeEvent, events: Sequence[ExchangeEvent], name: str
    ) -> list[dict[str, Any]]:
        match event:
            case OrderAccepted(order=order):
                self._last_order_id = max(self._last_order_id, order.order_id)
                if order.account == name and not _ends_unfilled(order, events):
                    return [self._said(order_report(order, next(self._exec_ids)))]
            case Execution():
                legs = event.legs(name)
                said = [self._said(fill_report(event, leg, next(self._exec_ids))) for leg in legs]
                copies = [{"MsgType": "C", "Subject": "OE"}] * len(said)
                return [*said, *(copies if self.quirks["emails"] else [])]
            case OrderCanceled(order=order) | OrderExpired(order=order) if order.account == name:
                return [self._said(order_report(order, next(self._exec_ids)))]
            case RequestRejected(request=RequestKind.NEW) if event.account == name:
                return [self._refused(event)]
            case _:
                return []
        return []

    def _refused(self, event: RequestRejected) -> dict[str, Any]:
        """Return the report of an order that never worked, and keep it for the order list."""
        assert event.terms is not None
        reason, status = event.rejection.reason, "8"
        if reason is RejectReason.WOULD_TAKE:
            status = self.quirks["post_only_end"]
        elif reason is RejectReason.INSUFFICIENT_FUNDS and self.quirks["no_funds"] == "cancel":
            status = "4"
        account = self.accounts[event.account]
        order_id = public_id(self._last_order_id) + len(account.refused) % (ID_STEP - 1) + 1
        code = NO_BALANCE if reason in FOR_BALANCE else "0"
        report = refused_report(event.terms, order_id, next(self._exec_ids), status, code)
        account.refused.append((event.time_ns, report))
        return self._said(report)

    def _said(self, report: dict[str, Any]) -> dict[str, Any]:
        name = report["ClOrdID"]
        as_number = self.quirks["number_as_id"] and name.isdecimal()
        return {**report, "ClOrdID": int(name)} if as_number else report

    def _balance_changes(self, events: Sequence[ExchangeEvent], name: str) -> list[dict[str, Any]]:
        """Return a U3 for each currency that moved; for one that a fee was taken of, two."""
        fees: dict[str, Decimal] = {}
        for event in events:
            for leg in event.legs(name) if isinstance(event, Execution) else ():
                fees[leg.fee_currency] = fees.get(leg.fee_currency, Decimal(0)) + leg.fee
        changes = [e for e in events if isinstance(e, BalanceChanged) and e.account == name]
        account = self.accounts[name]
        tells_locks = self.quirks["locked"]
        told = [
            self._u3(name, change, fees.get(change.currency, Decimal(0)))
            for change in changes
            if account.moves(change, tells_locks=tells_locks)
        ]
        after = [change for change in changes if fees.get(change.currency)]
        return told + [self._u3(name, change) for change in after]

    def _u3(self, name: str, change: BalanceChanged, fee: Decimal = ZERO) -> dict[str, Any]:
        """Return a balance, as it was before `fee` was taken."""
        held = {change.currency: (change.total + fee, change.locked)}
        told = balances(held, locked=self.quirks["locked"])
        return {"MsgType": "U3", "ClientID": self.user_ids[name], str(BROKER_ID): told}

    # --- the socket -------------------------------------------------------------------------

    async def _ws(self, request: HttpRequest, link: WsLink) -> None:
        session = Session(self, f"session-{next(self._session_count)}")
        self.sessions.append(session)
        try:
            await session.serve(link)
        finally:
            self.sessions.remove(session)
            await self._disconnect(session)

    async def _disconnect(self, session: Session) -> None:
        """Cancel the orders of a session that has ended, if its login asked for that."""
        if session.member is None or not session.cancels or self.quirks["ignores_cod"]:
            return
        with trio.CancelScope(shield=self.quirks["cod_delay_s"] == 0):
            await trio.sleep(self.quirks["cod_delay_s"])
        now_ns = self.market.catch_up()
        self.market.tell(
            self.market.exchange.cancel_all(
                session.member.name, now_ns, session=session.name, reason=CancelReason.DISCONNECTED
            )
        )

    # --- REST -------------------------------------------------------------------------------

    async def _http(self, request: HttpRequest) -> HttpReply:
        await trio.lowlevel.checkpoint()
        now_ns = self.market.catch_up()
        if request.method == "GET":
            found = public_reply(self.market.exchange.markets, request, now_ns, self.user_ids)
            return _json(404, {"Status": 404}) if found is None else _json(200, found)
        try:
            login = self.keys.check_rest(request.headers, now_ns)
            return _json(200, {"Status": 200, "Responses": self._bridge(login, request.body)})
        except FatalError as refused:
            detail = refused.detail or "Invalid message"
            return _json(200, {"Status": 500, "Description": detail, "Responses": []})

    def _bridge(self, login: Login, body: bytes) -> list[dict[str, Any]]:
        """Return the answers to a message, and what it brought about for its sender."""
        try:
            message = _message(body)
        except (msgspec.MsgspecError, UnicodeDecodeError):
            raise FatalError("Invalid message") from None
        overheard: list[dict[str, Any]] = []
        self._overhearing.append((login.member.name, overheard))
        try:
            replies = self.perform(login, message, "")
        finally:
            self._overhearing.pop()
        return [*replies, *(each for each in overheard if each["MsgType"] in ("8", "9", "U3"))]

    # --- both ways in -----------------------------------------------------------------------

    def perform(
        self, login: Login | None, message: dict[str, Any], session: str
    ) -> list[dict[str, Any]]:
        """Do what a message asks and return its answers; raise `FatalError`.

        What happens by it is told to every session in its own time.
        """
        kind = message.get("MsgType")
        if kind in self.requests.open:
            return self.requests.open[kind](message)
        handler = self.requests.private.get(str(kind))
        if handler is None:
            raise FatalError(f"Invalid Message Type ({kind})" if kind else "Missing tag MsgType")
        if login is None or not permits(login.permissions, message):
            raise FatalError("Not authorized")
        self.market.catch_up()
        return handler(login.member, message, session)

    def login_row(self, login: Login, req_id: int) -> dict[str, Any]:
        """Return the BF of a login that worked."""
        maker = MAKER_BPS if self.quirks["taker_fees"] else TAKER_BPS
        rates = {"TransactionFeeBuy": maker, "TransactionFeeSell": maker}
        takers = {"TakerTransactionFeeBuy": TAKER_BPS, "TakerTransactionFeeSell": TAKER_BPS}
        if self.quirks["taker_fees"]:
            rates |= takers
        own = self.quirks["own_fees"]
        return {
            "MsgType": "BF",
            "UserReqID": req_id,
            "UserStatus": 1,
            "UserID": self.user_ids[login.member.name],
            "Username": login.member.name if "*" in login.permissions else "hidden",
            "BrokerID": BROKER_ID,
            "IsBroker": False,
            "IsMarketMaker": False,
            "TwoFactorEnabled": self.quirks["second_factor"] is not None,
            **(rates if own else dict.fromkeys(rates)),
            "Profile": {"Type": "USER"},
            "Broker": {"BrokerID": BROKER_ID, **(dict.fromkeys(rates, 999) if own else rates)},
            "PermissionList": login.permissions,
        }


def _ends_unfilled(order: OrderState, events: Sequence[ExchangeEvent]) -> bool:
    """Tell whether an order is canceled in the same breath without having traded."""
    return any(
        isinstance(event, OrderCanceled)
        and event.order.order_id == order.order_id
        and not event.order.cum_qty
        for event in events
    )


def _json(status: int, value: Any) -> HttpReply:
    return HttpReply(status, {"content-type": "application/json"}, wire.encode(value))
