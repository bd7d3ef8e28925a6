"""One order: where it stands, and what a report makes of it. No I/O.

`TRANSITIONS` says which status may follow which. Quantities come from one source per venue
(`botkit.orders.counting`); where the two meet, quantities that were counted decide.
"""

from collections.abc import Awaitable
from decimal import Decimal
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

import attrs
import msgspec

from botkit.errors import IllegalTransitionError, InvariantError
from botkit.model import (
    ClientOrderId,
    ExecType,
    ExecutionReport,
    Fill,
    FillSource,
    Instrument,
    OrdStatus,
    OrdType,
    ReplaceOrder,
    Side,
    TimeInForce,
    VenueOrderId,
)
from botkit.orders.counting import Ledger, count
from botkit.orders.transitions import CLOSED, TRANSITIONS, WORKING

if TYPE_CHECKING:
    from botkit.orders.groups import Group

__all__ = ["CLOSED", "TRANSITIONS", "Ahead", "Desk", "Order", "Outcome", "Replacing"]

ZERO: Final = Decimal(0)
# Looking a member up in its enum costs as much as a call (Python 3.11).
_UNKNOWN: Final = OrdStatus.UNKNOWN
_PENDING_CANCEL: Final = OrdStatus.PENDING_CANCEL
PLAIN: Final = frozenset({OrdStatus.NEW, OrdStatus.CANCELED, OrdStatus.EXPIRED})
NOT_REPLACED: Final = frozenset({OrdStatus.PENDING_REPLACE, OrdStatus.REJECTED, OrdStatus.UNKNOWN})


class Desk(Protocol):
    """What carries out an order's own methods: the engine."""

    def cancel(self, order: "Order", *, at_once: bool = False) -> None:
        """Send a cancel."""
        ...

    def replace(self, order: "Order", price: Decimal | None, qty: Decimal | None) -> None:
        """Send a replace, if the gate lets it pass; None keeps the value."""
        ...

    def closed(self, order: "Order") -> Awaitable[None]:
        """Return what to await until the order is closed."""
        ...


@attrs.frozen(kw_only=True)
class Replacing:
    """A replace in flight: the venue may hold the order as it was, as it will be, or both."""

    request: ReplaceOrder
    cum_qty: Decimal  # when it was sent
    atomic: bool  # old and new quantity never both fill
    due_ns: int  # an answer is expected by then


@attrs.frozen
class Ahead:
    """A report that was ahead of its fills: `status` (None if it closes nothing) awaits `qty`."""

    status: OrdStatus | None
    qty: Decimal


class Quantities(NamedTuple):
    """What a report would make of an order's quantities."""

    cum_qty: Decimal
    order_qty: Decimal
    most_qty: Decimal  # the greatest cum_qty possible
    replaced: bool  # the report answers the replace in flight


class Outcome(msgspec.Struct, gc=False, kw_only=True):
    """What one answer of a venue did.

    Parameters
    ----------
    order
        The order it is about; None if it is foreign.
    fill
        A fill not counted before.
    amended
        Executions counted before, with the commission and liquidity that were missing then.
        Their quantity is not to be counted again.
    changed
        Status, quantity or terms have changed.
    contradiction
        The whole sentence, or "". Nothing has changed; pause the instrument and ask the venue.
    ambiguous
        Orders of ours the foreign report may be about (venues without client order ids).
    then
        What followed: reports kept as foreign that this answer showed to be this order's.
    is_plain
        Status and terms may have changed, and nothing else: there is nothing to book.
    """

    order: "Order | None" = None
    fill: Fill | None = None
    amended: tuple[Fill, ...] = ()
    changed: bool = False
    contradiction: str = ""
    ambiguous: tuple[ClientOrderId, ...] = ()
    then: tuple["Outcome", ...] = ()
    is_plain: bool = False


@attrs.define(kw_only=True, eq=False)
class Order:
    """A strategy's handle on one order; it stays valid for as long as it is held.

    Only `botkit.orders` changes it. Quantities are base units (contracts), prices quote currency
    per unit, exact. `client_order_id` is the name the strategy knows, through every replace;
    `current_client_order_id` is what the venue knows now.
    """

    client_order_id: ClientOrderId
    current_client_order_id: ClientOrderId
    instrument: Instrument
    strategy: str
    side: Side
    ord_type: OrdType
    order_qty: Decimal
    price: Decimal | None = None
    stop_px: Decimal | None = None
    time_in_force: TimeInForce = TimeInForce.GTC
    post_only: bool = False
    reduce_only: bool = False
    keep: bool = False
    is_held: bool = False  # counts, and is not sent: own orders in its way are being canceled
    orphaned: bool = False  # left by an earlier run: its strategy does not know it
    cash_order_qty: Decimal | None = None  # quote currency to spend: then order_qty is a bound
    transact_time_ns: int = 0
    sequence: int = 0  # the bot's orders counted from 1
    ord_status: OrdStatus = OrdStatus.PENDING_NEW
    cum_qty: Decimal = ZERO
    notional: Decimal = ZERO  # sum of price x qty over the fills
    text: str = ""  # the last reason given
    acknowledged: bool = False  # the venue has spoken of this order
    presumed: bool = False  # closed by absence or a failed send: a report makes it ours again
    vouched_qty: Decimal = ZERO  # filled by a person's word: executions told later are these
    cancel_requested: bool = False
    cancel_due_ns: int = 0  # when the cancel under way is sent again; 0 if none was sent
    cancels_sent: int = 0
    venue_order_ids: tuple[VenueOrderId, ...] = ()  # all of them, the current one last
    replacing: Replacing | None = attrs.field(default=None, repr=False)
    given_up: Replacing | None = attrs.field(default=None, repr=False)  # declined or lost, for late
    ahead: Ahead | None = attrs.field(default=None, repr=False)
    ledger: Ledger | None = attrs.field(default=None, repr=False)
    closed_time_ns: int = attrs.field(default=0, repr=False)  # by the venue's clock
    aliases: tuple[ClientOrderId, ...] = ()  # every further name a replace has given or tried
    group: "Group | None" = attrs.field(default=None, repr=False)
    counted_qty: Decimal = attrs.field(default=ZERO, repr=False)  # what `Orders.leaves` holds of it
    _desk: Desk | None = attrs.field(default=None, repr=False)

    @property
    def symbol(self) -> str:
        """The instrument's full name, `venue:SYMBOL`."""
        return self.instrument.symbol

    @property
    def is_open(self) -> bool:
        """True while it may still fill: pending and UNKNOWN included."""
        return self.ord_status not in CLOSED

    @property
    def is_closed(self) -> bool:
        """True once the venue has ended it (or never had it). A late fill may still come."""
        return self.ord_status in CLOSED

    @property
    def is_kept(self) -> bool:
        """True if it is to outlive the bot: its strategy said so and nobody asked to cancel it."""
        return self.keep and not self.cancel_requested

    @property
    def in_doubt(self) -> bool:
        """True while the venue has to be asked: UNKNOWN, or fills told and not yet counted."""
        return self.ord_status is OrdStatus.UNKNOWN or self.ahead is not None

    @property
    def is_full(self) -> bool:
        """True if all of it has filled; never known by quantity of an order in cash."""
        return self.cum_qty >= self.order_qty and self.cash_order_qty is None

    @property
    def has_outgrown(self) -> bool:
        """True if more has filled than was ordered: a replace told as not done was done."""
        return self.cum_qty > self.order_qty

    @property
    def leaves_qty(self) -> Decimal:
        """Quantity still working; 0 once closed."""
        if self.ord_status in CLOSED or self.cum_qty > self.order_qty:
            return ZERO  # the second: a replace was done that the venue has not told yet
        return self.order_qty - self.cum_qty

    @property
    def avg_px(self) -> Decimal:
        """Mean price of the fills; 0 while there are none, as in FIX."""
        return self.notional / self.cum_qty if self.cum_qty else ZERO

    @property
    def venue_order_id(self) -> VenueOrderId | None:
        """The venue's current id; None before it told one."""
        return self.venue_order_ids[-1] if self.venue_order_ids else None

    def worst_leaves(self) -> Decimal:
        """Return the most that may still fill, counting a replace in flight old plus new."""
        if self.ord_status in CLOSED:
            return ZERO
        if self.replacing is None:
            return self.order_qty - self.cum_qty
        return max(ZERO, self.most_qty() - self.cum_qty)

    def most_qty(self) -> Decimal:
        """Return the greatest cum_qty possible, a replace in flight included."""
        replacing = self.replacing
        if replacing is None:
            return self.order_qty
        new_qty = replacing.request.order_qty
        if replacing.atomic:
            return max(self.order_qty, new_qty)
        # The old leg may fill to its end, and the new one start with what had not filled before.
        return self.order_qty + max(ZERO, new_qty - replacing.cum_qty)

    def prices(self) -> tuple[Decimal | None, ...]:
        """Return the limits it may rest at: two during a replace; None is any price at all."""
        if self.replacing is None:
            return (self.price,)
        return self.price, self.replacing.request.price

    def cancel(self, *, at_once: bool = False) -> None:
        """Ask the venue to end it. Returns at once; `await order.closed()` waits.

        Where the venue has a least life of orders (`Capabilities.min_life_ns`) an unfilled one is
        asked for when it is that old; `at_once` is for clean-up, which does not wait.
        """
        self._on_desk().cancel(self, at_once=at_once)

    def replace(self, price: Decimal | None = None, qty: Decimal | None = None) -> None:
        """Ask the venue to change it to `price` and to `qty` in all; None keeps the value."""
        if price is None and qty is None:
            raise ValueError(f"order {self.client_order_id}: replace needs a price or a qty")
        self._on_desk().replace(self, price, qty)

    def closed(self) -> Awaitable[None]:
        """Return what to await until it is closed."""
        return self._on_desk().closed(self)

    def apply(self, report: ExecutionReport, source: FillSource) -> Outcome:
        """Move on by `report`; the outcome is not `changed` if it had been applied before.

        Raises
        ------
        IllegalTransitionError
            The report contradicts what is known. Nothing has changed.
        """
        if self._is_plain(report):
            return self._apply_plain(report)
        self._check_names(report)
        if source is FillSource.TOTALS and report.cum_qty is None and report.last_qty:
            return Outcome(order=self, amended=self._amend(report, source))
        qty, px = count(self, report, source)
        vouched_qty = self._vouched(report, source, qty)
        qty -= vouched_qty
        cum_qty = self.cum_qty + qty if qty else self.cum_qty
        replacing = self.replacing or self.given_up
        if replacing is None or not _answers(replacing, self, report):
            replacing, order_qty, most = None, self.order_qty, self.most_qty()
        else:
            asked = replacing.request.order_qty if report.order_qty is None else report.order_qty
            order_qty = most = max(cum_qty, asked)
        status, ahead = self._decide(
            report, Quantities(cum_qty, order_qty, most, replacing is not None)
        )
        # Nothing raises from here on.
        changed = bool(qty) or replacing is not None or status is not self.ord_status
        fill = self._book(report, source, qty, px) if qty else None
        amended: tuple[Fill, ...] = ()
        if source is FillSource.TOTALS if fill is not None else report.commission is not None:
            amended = self._amend(report, source)
        self._confirm(report, vouched_qty)
        if replacing is not None:
            self._take_terms(replacing.request, report, order_qty)
        self._attach(report, cum_qty)
        self.ahead = ahead
        if changed:
            self.cum_qty = cum_qty
            self._move(status, report)
        return Outcome(order=self, fill=fill, amended=amended, changed=changed)

    def mark_cancel(self) -> None:
        """Note that a cancel is sent; an UNKNOWN order stays UNKNOWN."""
        self.cancel_requested = True
        if self.ord_status is not _UNKNOWN:
            self.ord_status = _PENDING_CANCEL

    def mark_replace(self, replacing: Replacing) -> None:
        """Note that a replace is sent; an UNKNOWN or canceled order keeps its status."""
        self.replacing = replacing
        if self.ord_status not in (OrdStatus.UNKNOWN, OrdStatus.PENDING_CANCEL):
            self.ord_status = OrdStatus.PENDING_REPLACE

    def mark_unknown(self, text: str) -> None:
        """Note that nobody can say where it stands."""
        self.ord_status = OrdStatus.UNKNOWN
        self.text = text

    def restore(self, text: str) -> None:
        """Take back what was pending: the order stands as before the request."""
        self.text = text
        if self.replacing is not None:
            self.ord_status = OrdStatus.PENDING_REPLACE
        elif self.is_full:
            self.ord_status = OrdStatus.FILLED  # its fills waited only for the replace
        elif self.cum_qty:
            self.ord_status = OrdStatus.PARTIALLY_FILLED
        else:
            self.ord_status = OrdStatus.NEW if self.acknowledged else OrdStatus.PENDING_NEW

    def give_up_replace(self) -> None:
        """Count a replace in flight no longer: declined, never sent, or lost."""
        self.given_up, self.replacing = self.replacing, None

    def end(self, status: OrdStatus, text: str) -> None:
        """Close without a word of the venue: absent, never sent, or resolved by a person."""
        self.ord_status, self.text = status, text
        self.presumed, self.ahead, self.replacing = True, None, None

    def vouch(self, fill: Fill) -> None:
        """Count a fill by a person's word; should the venue tell it later, it has counted."""
        self.cum_qty += fill.qty
        self.notional += fill.qty * fill.price
        self.vouched_qty += fill.qty
        self.ledger = self.ledger or Ledger()
        self.ledger.book(fill)

    def contradiction(self, report: ExecutionReport, why: str) -> IllegalTransitionError:
        """Return the error that tells `report` from what is known, to be raised."""
        return IllegalTransitionError(
            f"order {self.client_order_id} ({self.symbol}): cannot apply report "
            f"{report.exec_id or report.exec_type.value} ({report.ord_status.value}, "
            f"last_qty={report.last_qty}, cum_qty={report.cum_qty}) to an order that is "
            f"{self.ord_status.value} with cum_qty={self.cum_qty} of {self.order_qty}: {why}; "
            "ask the venue before trading this instrument again"
        )

    def _on_desk(self) -> Desk:
        if self._desk is None:
            raise InvariantError(
                f"order {self.client_order_id} belongs to no engine: it can be read, not changed"
            )
        return self._desk

    def _check_names(self, report: ExecutionReport) -> None:
        if report.symbol != self.instrument.symbol:
            raise self.contradiction(report, f"it is about {report.symbol}")
        if report.side is not None and report.side is not self.side:
            raise self.contradiction(report, f"it says {report.side}, the order is a {self.side}")
        venue_id = report.venue_order_id
        if venue_id is None or not self.venue_order_ids or venue_id in self.venue_order_ids:
            return
        if (
            self.replacing is None
            and report.exec_type is not ExecType.REPLACED
            and report.client_order_id in (None, self.client_order_id, self.current_client_order_id)
        ):
            raise self.contradiction(
                report, f"it names venue order {venue_id}, the order is {self.venue_order_ids[-1]}"
            )

    def _is_plain(self, report: ExecutionReport) -> bool:
        """Return True for most acks and cancels: nothing filled, replaced, charged or awaited."""
        return (
            report.ord_status in PLAIN
            and self.ord_status not in CLOSED
            and (report.side is self.side or report.side is None)
            and report.symbol == self.instrument.symbol
            and (not self.venue_order_ids or report.venue_order_id == self.venue_order_ids[-1])
            and not (report.last_qty or report.cum_qty or self.cum_qty)
            and self.replacing is None
            and self.ahead is None
            and self.given_up is None
            and report.commission is None
            and self.cash_order_qty is None
        )

    def _apply_plain(self, report: ExecutionReport) -> Outcome:
        """Do what `apply` would, in a third of the time."""
        status = TRANSITIONS[self.ord_status, report.ord_status]
        changed = status is not self.ord_status
        if not self.venue_order_ids and report.venue_order_id is not None:
            self.venue_order_ids = (report.venue_order_id,)
        self.acknowledged, self.presumed = True, False
        if changed:
            self.ord_status = status
            self.text = report.text or self.text
            if status in CLOSED:
                self.closed_time_ns = max(self.closed_time_ns, report.transact_time_ns)
        return Outcome(order=self, changed=changed, is_plain=True)

    def _decide(self, report: ExecutionReport, to: Quantities) -> tuple[OrdStatus, Ahead | None]:
        """Return the status after `report`, and what it still waits for. Changes nothing."""
        reported = self._reported(report, to)
        now = self._status_now(reported, to)
        status = TRANSITIONS.get((now, reported))
        if status is None:
            raise self.contradiction(report, f"{now.value} is not followed by {reported.value}")
        told = report.cum_qty
        if reported is OrdStatus.FILLED and self.cash_order_qty is None and told is None:
            told = to.order_qty
        if now in CLOSED:
            self._check_stays_closed(report, to.cum_qty)
        elif told is not None and told < self.cum_qty and reported not in CLOSED:
            status = now  # stale: said before fills that are counted already
        ahead = self.ahead
        if ahead is not None or (told is not None and told > to.cum_qty):
            ahead = self._await(reported, to.cum_qty, told)
            status = self._held(status, now, ahead)
        if told or to.cum_qty or reported in (OrdStatus.FILLED, OrdStatus.REJECTED):
            self._check_quantities(report, reported, told, to)
            status = self._by_quantity(status, to)
            if status is OrdStatus.FILLED and to.cum_qty < to.order_qty and not self.cash_order_qty:
                raise self.contradiction(report, "it is FILLED with less than was ordered")
        return status, ahead

    def _reported(self, report: ExecutionReport, to: Quantities) -> OrdStatus:
        """Return what `report` says, or UNKNOWN where that does not settle it."""
        reported = report.ord_status
        if reported is OrdStatus.CANCELED and self.replacing is not None:
            # It may be the old half of a replace that the venue does as cancel and new order.
            settled = (
                to.replaced
                or self.replacing.atomic
                or self.cancel_requested
                or report.exec_type is ExecType.ORDER_STATUS
            )
            return reported if settled else OrdStatus.UNKNOWN
        if reported is OrdStatus.FILLED and self.cash_order_qty and not to.cum_qty:
            return OrdStatus.UNKNOWN if report.cum_qty is None else reported  # filled by how much?
        return reported

    def _status_now(self, reported: OrdStatus, to: Quantities) -> OrdStatus:
        if self.presumed and (reported is not OrdStatus.UNKNOWN or to.cum_qty):
            return OrdStatus.UNKNOWN  # nobody but us had closed it
        if to.replaced and self.ord_status is OrdStatus.PENDING_REPLACE:
            return OrdStatus.NEW
        return self.ord_status

    def _check_quantities(
        self, report: ExecutionReport, reported: OrdStatus, told: Decimal | None, to: Quantities
    ) -> None:
        if reported is OrdStatus.REJECTED and (to.cum_qty or told or self.replacing is not None):
            raise self.contradiction(report, "it is REJECTED after a fill or during a replace")
        if self.ord_status is OrdStatus.REJECTED and not self.presumed and (told or to.cum_qty):
            raise self.contradiction(report, "a refused order was filled")
        if self.cash_order_qty is not None:
            return
        if to.cum_qty > to.most_qty or (told is not None and told > to.most_qty):
            raise self.contradiction(report, f"more than {to.most_qty} would be filled")
        if reported is OrdStatus.FILLED and told is not None and told < to.order_qty:
            raise self.contradiction(report, "it is FILLED with less than was ordered")

    def _check_stays_closed(self, report: ExecutionReport, cum_qty: Decimal) -> None:
        """Raise if the venue says later than the end, and without a fill, that it works."""
        if (
            report.ord_status in WORKING
            and cum_qty == self.cum_qty
            and 0 < self.closed_time_ns < report.transact_time_ns
            and (report.cum_qty is None or report.cum_qty <= cum_qty)
            and (self.ledger is None or report.exec_id not in self.ledger.fills)  # told again
        ):
            raise self.contradiction(report, "it works again after its end")

    def _await(self, reported: OrdStatus, cum_qty: Decimal, told: Decimal | None) -> Ahead | None:
        """Return what is waited for if `told` is said when `cum_qty` is counted."""
        before = self.ahead or Ahead(None, ZERO)
        qty = before.qty if told is None else max(told, before.qty)
        if qty <= cum_qty:
            return None
        return Ahead(reported if reported in CLOSED else before.status, qty)

    def _held(self, status: OrdStatus, now: OrdStatus, ahead: Ahead | None) -> OrdStatus:
        """Return `status`, unless it closes the order and awaits fills, or was awaited."""
        if ahead is None:
            awaited = None if self.ahead is None else self.ahead.status
            return status if awaited is None or status in CLOSED else awaited
        if ahead.status is None:
            return status
        return OrdStatus.NEW if now is OrdStatus.PENDING_NEW else now

    def _by_quantity(self, status: OrdStatus, to: Quantities) -> OrdStatus:
        """Return `status` as the quantity counted has it: full is FILLED, some is PARTIALLY."""
        is_full = to.cum_qty >= to.order_qty and self.cash_order_qty is None
        if is_full and (self.replacing is None or to.replaced or status in CLOSED):
            return OrdStatus.FILLED
        if status in WORKING or (status is OrdStatus.PENDING_NEW and to.cum_qty):
            return OrdStatus.PARTIALLY_FILLED if to.cum_qty else OrdStatus.NEW
        return status

    def _take_terms(
        self, request: ReplaceOrder, report: ExecutionReport, order_qty: Decimal
    ) -> None:
        self.order_qty = order_qty
        self.price = request.price if report.price is None else report.price
        self.current_client_order_id = request.client_order_id
        self.replacing = self.given_up = None

    def _attach(self, report: ExecutionReport, cum_qty: Decimal) -> None:
        venue_id = report.venue_order_id
        if venue_id is not None and venue_id not in self.venue_order_ids:
            self.venue_order_ids += (venue_id,)
        if cum_qty or report.ord_status is not OrdStatus.UNKNOWN:
            self.acknowledged = True
            self.presumed = False

    def _move(self, status: OrdStatus, report: ExecutionReport) -> None:
        self.ord_status = status
        if report.text:
            self.text = report.text
        if self.cash_order_qty is not None:
            is_done = status is OrdStatus.FILLED
            self.order_qty = self.cum_qty if is_done else max(self.order_qty, self.cum_qty)
        if status in CLOSED:
            self.replacing = None
            self.closed_time_ns = max(self.closed_time_ns, report.transact_time_ns)

    def _book(self, report: ExecutionReport, source: FillSource, qty: Decimal, px: Decimal) -> Fill:
        if self.ledger is None:
            self.ledger = Ledger()
        is_its_own = source is FillSource.EXECUTIONS or self.ledger.is_all_of(report, qty)
        fill = Fill(
            client_order_id=self.client_order_id,
            symbol=self.instrument.symbol,
            strategy=self.strategy,
            side=self.side,
            qty=qty,
            price=px,
            exec_id=report.exec_id if is_its_own else None,
            venue_order_id=report.venue_order_id or self.venue_order_id,
            commission=report.commission if is_its_own else None,
            commission_currency=report.commission_currency if is_its_own else "",
            liquidity=report.liquidity if is_its_own else None,
            transact_time_ns=report.transact_time_ns,
            receive_time_ns=report.receive_time_ns,
        )
        self.notional += qty * px
        self.ledger.book(fill)
        return fill

    def _vouched(self, report: ExecutionReport, source: FillSource, qty: Decimal) -> Decimal:
        """Return how much of `qty` a person has told already; totals contain it anyway."""
        is_execution = source is FillSource.EXECUTIONS and report.exec_id is not None
        return min(qty, self.vouched_qty) if is_execution else ZERO

    def _confirm(self, report: ExecutionReport, qty: Decimal) -> None:
        """Take `qty` of an execution for what a person has told already."""
        if qty:
            self.vouched_qty -= qty
            self.ledger = self.ledger or Ledger()
            self.ledger.confirm(self, report)

    def _amend(self, report: ExecutionReport, source: FillSource) -> tuple[Fill, ...]:
        self.ledger = self.ledger or Ledger()
        return self.ledger.amend(self, report, source)


def _answers(replacing: Replacing, order: Order, report: ExecutionReport) -> bool:
    """Return True if `report` says that the replace in flight has been done."""
    request = replacing.request
    if report.ord_status in NOT_REPLACED:
        return False
    if report.client_order_id == request.client_order_id:
        return True
    if order.replacing is None:
        return False  # given up: only its own name brings it back
    if report.order_qty is None and report.price is None:
        filled_as_asked = report.ord_status is OrdStatus.FILLED and report.cum_qty is not None
        return filled_as_asked and report.cum_qty == request.order_qty != order.order_qty
    # By its terms: those asked for, and not those it had, which a repeat of an old answer tells.
    price = order.price if report.price is None else report.price
    qty = order.order_qty if report.order_qty is None else report.order_qty
    is_asked = price == request.price and qty == request.order_qty
    return is_asked and (price != order.price or qty != order.order_qty)
