"""The orders of a run with everything the journal has of each, refused ones too."""

from collections.abc import Callable, Iterable, Sequence
from decimal import Decimal
from typing import Any, Final

import attrs
import msgspec

from botkit.journal import OrderFold
from botkit.model import (
    CancelOrder,
    CleanUpExpired,
    ClientOrderId,
    ExecType,
    ExecutionReport,
    FeeTold,
    Fill,
    Halted,
    NewOrder,
    OperatorCommand,
    OrderCancelReject,
    OrdStatus,
    Refused,
    ReplaceOrder,
    RequestKind,
    ResolveOrder,
    SendFailed,
    StrategyEnded,
    VenueOrderId,
    VenueStatus,
)
from botkit.portfolio.position import EXACT
from botkit.ports import Checked, Held, JournalEntry, OrderRecord, Traded

__all__ = ["HELD", "REFUSED", "Life", "Lives", "average_px", "give_fee", "time_of"]

REFUSED: Final = "REFUSED"  # by the gate: it never left, so it is no status of FIX
HELD: Final = "HELD"  # back by the gate until others are gone: nothing of it has left yet
ZERO: Final = Decimal(0)
ABOUT_ALL: Final = (Halted, OperatorCommand, StrategyEnded, VenueStatus, CleanUpExpired)


def time_of(entry: JournalEntry) -> int:
    """Return when an entry was made, in ns; 0 for one that has no time of its own."""
    if isinstance(entry, Held):
        return entry.request.transact_time_ns
    received: int = getattr(entry, "receive_time_ns", 0)
    made: int = getattr(entry, "transact_time_ns", 0)
    return received or made


@attrs.define(eq=False)
class Life:
    """One order, or one request that was refused: what was asked and all that came of it.

    `record` is None for a request that was refused, or is held back. `order_qty` and `price` are
    as last changed.
    `doubt` says what is not known about it and why, `waiting` what it counts as meanwhile; empty
    and None if everything is known.
    """

    request: NewOrder | Refused
    record: OrderRecord | None
    entries: list[JournalEntry] = attrs.field(factory=list)
    names: list[ClientOrderId] = attrs.field(factory=list)
    order_qty: Decimal | None = None
    price: Decimal | None = None
    fills: list[Fill] = attrs.field(factory=list)
    inverse: bool = False
    text: str = ""
    doubt: str = ""
    waiting: OrdStatus | None = None

    @property
    def status(self) -> str:
        """Where it stands, as the journal tells."""
        if self.record is None:
            return REFUSED if isinstance(self.request, Refused) else HELD
        if not self.record.may_rest:
            return self.record.ord_status.value
        return (self.waiting or self.record.ord_status).value

    @property
    def may_rest(self) -> bool:
        """True unless the venue said that it is over, or it surely never left us."""
        return self.record is not None and self.record.may_rest

    @property
    def client_order_id(self) -> ClientOrderId:
        """Its first name."""
        return self.request.client_order_id

    @property
    def venue_order_ids(self) -> list[VenueOrderId]:
        """The venue's names for it, oldest first."""
        return [] if self.record is None else list(self.record.venue_order_ids)

    @property
    def cum_qty(self) -> Decimal:
        """How much was filled."""
        return ZERO if self.record is None else self.record.cum_qty

    @property
    def avg_px(self) -> Decimal | None:
        """The mean price of its fills; None if there are none."""
        return average_px(self.fills, inverse=self.inverse)

    @property
    def leaves_qty(self) -> Decimal:
        """How much may still fill."""
        if self.status == HELD and self.order_qty is not None:
            return self.order_qty
        if not self.may_rest or self.order_qty is None:
            return ZERO
        return max(self.order_qty - self.cum_qty, ZERO)

    @property
    def updated_ns(self) -> int:
        """When anything was last heard or done about it."""
        return max((time_of(entry) for entry in self.entries), default=0)

    def ids(self) -> list[str]:
        """Return every name it has, ours first."""
        return [*dict.fromkeys([*self.names, *self.venue_order_ids])]


class Lives:
    """Takes a run's entries in order and tells the life of each of its orders."""

    def __init__(self, entries: Iterable[JournalEntry] = ()) -> None:
        self._fold = OrderFold(keep_closed=True)
        self._lives: dict[ClientOrderId, Life] = {}  # by first name
        self._unclaimed: dict[ClientOrderId, Checked] = {}  # verdicts come before what they judge
        self._inverse: set[str] = set()
        for entry in entries:
            self.apply(entry)

    def all(self) -> list[Life]:
        """Return orders and refused requests, in the order they were asked for."""
        return list(self._lives.values())

    def apply(self, entry: JournalEntry) -> None:
        """Take the next entry."""
        self._fold.apply(entry)
        if isinstance(entry, Checked):
            self._unclaimed[entry.client_order_id] = entry
        elif isinstance(entry, ABOUT_ALL):
            self._tell_all(entry)
        elif isinstance(entry, Traded):
            if entry.inverse:
                self._inverse.add(entry.symbol)
        else:
            self._tell_one(entry)

    def _tell_one(self, entry: JournalEntry) -> None:
        record = self._fold.order_of(entry)
        if record is not None:
            life = self._life_of(record)
        elif isinstance(entry, Held):
            life = self._begin(entry.request, None)
        elif isinstance(entry, Refused):
            life = self._lives.get(entry.client_order_id) or self._begin(entry, None)
            life.request = entry  # where it was held before, it is over now
        else:
            return  # about an order that is not ours, or about no order
        self._claim_verdicts(life, entry)
        life.entries.append(entry)
        _take(life, entry)

    def _life_of(self, record: OrderRecord) -> Life:
        """Return the life of an order that was sent; one that was held before goes on."""
        life = self._lives.get(record.client_order_ids[0])
        if life is None:
            return self._begin(record.request, record)
        life.record = record
        return life

    def _begin(self, request: NewOrder | Refused, record: OrderRecord | None) -> Life:
        life = Life(request, record, order_qty=request.order_qty, price=request.price)
        life.inverse = request.symbol in self._inverse
        self._lives[request.client_order_id] = life
        return life

    def _claim_verdicts(self, life: Life, entry: JournalEntry) -> None:
        if not isinstance(entry, NewOrder | ReplaceOrder | Refused | Held):
            return
        if entry.client_order_id not in life.names:
            life.names.append(entry.client_order_id)
        checked = self._unclaimed.pop(entry.client_order_id, None)
        if checked is not None:
            life.entries.append(checked)

    def _tell_all(self, entry: JournalEntry) -> None:
        """Note on every open order what befell the bot, its strategy or its venue."""
        for life in self._lives.values():
            if life.may_rest and _concerns(entry, life):
                life.entries.append(entry)
                _take(life, entry)


def _concerns(entry: JournalEntry, life: Life) -> bool:
    match entry:
        case StrategyEnded():
            return entry.strategy == life.request.strategy
        case OperatorCommand():
            return entry.target in ("", life.request.strategy, life.request.symbol)
        case VenueStatus():
            return entry.venue == life.request.symbol.partition(":")[0]
        case CleanUpExpired():
            return any(name in entry.client_order_ids for name in life.names)
        case _:
            return True


def _take(life: Life, entry: Any) -> None:
    """Bring what is said of the order up to date."""
    take = TAKE.get(type(entry))
    if take is not None:
        take(life, entry)


def _take_new(life: Life, _: NewOrder) -> None:
    life.waiting, life.doubt = OrdStatus.PENDING_NEW, "sent, not answered yet"
    life.text = ""


def _take_held(life: Life, held: Held) -> None:
    life.text = f"until {', '.join(held.waits_for)} is confirmed gone; nothing of it has left"


def _take_cancel(life: Life, cancel: CancelOrder) -> None:
    _owe(life, OrdStatus.PENDING_CANCEL, "cancel not answered yet")
    life.text = cancel.reason or life.text


def _take_replace(life: Life, _: ReplaceOrder) -> None:
    _owe(life, OrdStatus.PENDING_REPLACE, "replace not answered yet")


def _take_cancel_reject(life: Life, reject: OrderCancelReject) -> None:
    life.text = reject.text or life.text
    _settle(life)


def _take_refused(life: Life, refused: Refused) -> None:
    life.text = refused.text


def _take_word(life: Life, word: ResolveOrder) -> None:
    life.text = f"by a person's word: {word.reason}"
    _settle(life)


def _take_fill(life: Life, fill: Fill) -> None:
    life.fills.append(fill)


def _take_venue_status(life: Life, status: VenueStatus) -> None:
    if not status.private:
        _lose(life, f"{status.venue} was lost: {status.reason or 'no reason given'}")


def _take_expired(life: Life, _: CleanUpExpired) -> None:
    _lose(life, "no confirmation that it is gone came before the clean-up deadline")


def _take_report(life: Life, report: ExecutionReport) -> None:
    assert life.record is not None  # reports find orders, never refused requests
    if report.text:
        life.text = report.text
    if report.exec_type is ExecType.REPLACED:
        asked = life.record.replace
        if asked is not None and asked.client_order_id == report.client_order_id:
            life.order_qty, life.price = asked.order_qty, asked.price
        elif report.order_qty is not None:
            life.order_qty, life.price = report.order_qty, report.price
    if report.ord_status is OrdStatus.UNKNOWN:
        _lose(life, report.text or "the venue does not say where it stands")
    elif life.waiting is not OrdStatus.PENDING_CANCEL or not life.record.may_rest:
        _settle(life)  # while a cancel is under way only its own answer settles it


def _take_failure(life: Life, failure: SendFailed) -> None:
    life.text = failure.text
    if failure.reached_venue:
        what = "" if failure.request is RequestKind.NEW else f"{failure.request.value.lower()} "
        _lose(life, f"{what}sent, and may or may not have arrived: {failure.text}")
    else:
        _settle(life)


def _take_fee(life: Life, told: FeeTold) -> None:
    rows = [[fill] for fill in life.fills]
    give_fee(rows, told)
    life.fills = [fill for row in rows for fill in row]


def average_px(fills: Iterable[Fill], *, inverse: bool = False) -> Decimal | None:
    """Return the mean price of fills; None if there are none.

    Contracts that settle in base (`inverse`) have the harmonic mean, as their profit does.
    """
    qty = weighed = ZERO
    for fill in fills:
        qty = EXACT.add(qty, fill.qty)
        worth = fill.qty / fill.price if inverse else EXACT.multiply(fill.qty, fill.price)
        weighed += worth
    if not qty:
        return None
    return qty / weighed if inverse else weighed / qty


def give_fee(rows: Sequence[list[Fill]], told: FeeTold) -> None:
    """Give a fee to what waits for it, of an order's fills: first to the fill of its execution.

    Where the venue tells totals, a fill is cut into the executions it was, each row one fill. An
    execution that was counted by several fills has its fee at the first.
    """
    waiting = [row for row in rows if row[-1].commission is None]
    waiting.sort(key=lambda row: (row[-1].exec_id != told.exec_id, row[-1].exec_id is not None))
    left = told.qty
    if not left and waiting and waiting[0][-1].exec_id == told.exec_id:
        left = waiting[0][-1].qty
    fee = told.commission
    for row in waiting:
        if not left:
            break
        rest = row.pop()
        qty = min(left, rest.qty)
        row.append(
            msgspec.structs.replace(
                rest,
                qty=qty,
                exec_id=told.exec_id,
                commission=fee,
                commission_currency=told.commission_currency,
            )
        )
        if qty < rest.qty:
            row.append(msgspec.structs.replace(rest, qty=EXACT.subtract(rest.qty, qty)))
        left, fee = EXACT.subtract(left, qty), ZERO


def _owe(life: Life, status: OrdStatus, why: str) -> None:
    """Note that the venue owes an answer; an UNKNOWN order stays UNKNOWN."""
    if life.waiting is not OrdStatus.UNKNOWN:
        life.waiting, life.doubt = status, why


def _settle(life: Life) -> None:
    life.waiting, life.doubt = None, ""


def _lose(life: Life, why: str) -> None:
    life.waiting, life.doubt = OrdStatus.UNKNOWN, why


TAKE: Final[dict[type, Callable[[Life, Any], None]]] = {
    NewOrder: _take_new,
    CancelOrder: _take_cancel,
    Held: _take_held,
    ReplaceOrder: _take_replace,
    ExecutionReport: _take_report,
    OrderCancelReject: _take_cancel_reject,
    Refused: _take_refused,
    Fill: _take_fill,
    FeeTold: _take_fee,
    SendFailed: _take_failure,
    VenueStatus: _take_venue_status,
    CleanUpExpired: _take_expired,
    ResolveOrder: _take_word,
}
