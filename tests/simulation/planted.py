"""Known mistakes, planted into the product for the length of a block: simulations find them."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from decimal import Decimal
from typing import Any, Final

import attrs
import msgspec

from botkit.engine.dispatch import Dispatcher
from botkit.engine.reconciling import Reconciler
from botkit.errors import JournalError
from botkit.live import sweep as sweeping
from botkit.model import (
    Approved,
    CancelOrder,
    ClientOrderId,
    ExecutionReport,
    NewOrder,
    OrderCancelReject,
    OrderListing,
    OrdStatus,
    RequestKind,
    SendFailed,
    Side,
)
from botkit.orders import Order, Orders, Outcome, counting
from botkit.orders.pursuit import Pursuit
from botkit.orders.state import CLOSED
from botkit.ports import Recovered
from botkit.testing import lives

__all__ = ["BUGS", "Bug"]

ZERO: Final = Decimal(0)
NAMELESS: Final = ("peatio", "digifinex")  # venues without client order ids
Original = Callable[..., Any]


@attrs.frozen(kw_only=True)
class Bug:
    """A mistake, and the configs (of `storming.CONFIGS`) that it is looked for with.

    `plant` puts it into the product for the length of a block.
    """

    what: str
    plant: Callable[[], Any]
    configs: tuple[str, ...]


BUGS: Final[dict[str, Bug]] = {}


def bug(*configs: str) -> Callable[[Callable[[], Iterator[None]]], None]:
    """Add what is decorated to `BUGS`."""

    def add(plant: Callable[[], Iterator[None]]) -> None:
        what = plant.__doc__ or ""
        BUGS[plant.__name__] = Bug(what=what, plant=contextmanager(plant), configs=configs)

    return add


@contextmanager
def replaced(owner: Any, name: str, make: Callable[[Original], Original]) -> Iterator[None]:
    """Let `owner` have what `make` makes of its member, for the length of the block."""
    original = vars(owner)[name]
    setattr(owner, name, make(original))
    try:
        yield
    finally:
        setattr(owner, name, original)


def end(orders: Orders, order: Order, status: OrdStatus) -> None:
    """Take an order for over, without the venue's word."""
    order.end(status, "planted")
    orders.pursuit.settle(order)
    orders._count(order)


# --- fills ----------------------------------------------------------------------------------------


@bug("finery", "blinktrade")
def count_a_fill_twice() -> Iterator[None]:
    """Count an execution again that is told again."""

    def make(_: Original) -> Original:
        def by_execution(order: Order, report: ExecutionReport) -> tuple[Decimal, Decimal]:
            return report.last_qty, report.last_px

        return by_execution

    with replaced(counting, "_by_execution", make):
        yield


@bug("finery", "blinktrade")
def ignore_fills_after_a_cancel() -> Iterator[None]:
    """Ignore a fill that comes once a cancel was sent."""

    def make(original: Original) -> Original:
        def on_report(orders: Orders, report: ExecutionReport) -> Outcome:
            order = orders.get(report.client_order_id) if report.client_order_id else None
            if order is not None and order.cancel_requested and report.last_qty:
                return Outcome(order=order)
            found: Outcome = original(orders, report)
            return found

        return on_report

    with replaced(Orders, "on_report", make):
        yield


# --- requests without an answer -------------------------------------------------------------------


@bug("finery", *NAMELESS)
def take_a_timeout_for_a_rejection() -> Iterator[None]:
    """Take an order that is not answered in time for rejected."""

    def make(original: Original) -> Original:
        def due(orders: Orders, now_ns: int) -> Any:
            for order in list(orders.pursuit._acks.pop_due(now_ns)):
                end(orders, order, OrdStatus.REJECTED)
                orders.pursuit.changed.append(order)
            return original(orders, now_ns)

        return due

    with replaced(Orders, "due", make):
        yield


@bug("finery", *NAMELESS)
def take_a_failed_send_for_a_rejection() -> Iterator[None]:
    """Take an order whose request may have arrived for never sent."""

    def make(original: Original) -> Original:
        def on_send_failed(orders: Orders, failure: SendFailed) -> Any:
            return original(orders, msgspec.structs.replace(failure, reached_venue=False))

        return on_send_failed

    with replaced(Orders, "on_send_failed", make):
        yield


@bug(*NAMELESS, "finery")
def send_an_unanswered_order_again() -> Iterator[None]:
    """Send an order again that is not answered."""
    sent: dict[ClientOrderId, tuple[Dispatcher, Approved[NewOrder]]] = {}

    def note(original: Original) -> Original:
        def send(dispatcher: Dispatcher, command: Any) -> None:
            if isinstance(command, Approved) and isinstance(command.request, NewOrder):
                sent[command.request.client_order_id] = (dispatcher, command)
            original(dispatcher, command)

        return send

    def repeat(original: Original) -> Original:
        def on_send_failed(orders: Orders, failure: SendFailed) -> Any:
            if failure.request is RequestKind.NEW and failure.reached_venue:
                dispatcher, command = sent[failure.client_order_id]
                dispatcher._venue_of[command.request.symbol].submit(command)
                return Outcome(order=orders.get(failure.client_order_id))
            return original(orders, failure)

        return on_send_failed

    with replaced(Dispatcher, "_send", note), replaced(Orders, "on_send_failed", repeat):
        yield


@bug(*NAMELESS)
def believe_one_listing() -> Iterator[None]:
    """Take an order that one listing lacks for never arrived."""

    def make(_: Original) -> Original:
        def is_absent(pursuit: Pursuit, order: Order, listing: OrderListing) -> bool:
            return not order.acknowledged

        return is_absent

    with replaced(Pursuit, "is_absent", make):
        yield


@bug("peatio", "finery", "digifinex", "moonbase")
def take_a_declined_cancel_for_canceled() -> Iterator[None]:
    """Take an order whose cancel is declined for canceled."""

    def make(original: Original) -> Original:
        def on_cancel_reject(orders: Orders, reject: OrderCancelReject) -> Any:
            name = reject.client_order_id or ClientOrderId("")
            order = orders.get(name) or orders.by_venue_id(reject.symbol, reject.venue_order_id)
            if order is None or order.is_closed or reject.response_to is not RequestKind.CANCEL:
                return original(orders, reject)
            end(orders, order, OrdStatus.CANCELED)
            return Outcome(order=order, changed=True)

        return on_cancel_reject

    with replaced(Orders, "on_cancel_reject", make):
        yield


# --- links ----------------------------------------------------------------------------------------


@bug("finery", "digifinex")
def leave_orders_as_they_were_on_a_lost_link() -> Iterator[None]:
    """Leave orders as they were after a lost link."""
    with replaced(Orders, "link_lost", lambda _: lambda orders, venue, now_ns: []):
        yield


@bug("digifinex", "peatio")
def forget_orders_on_a_lost_link() -> Iterator[None]:
    """Take orders for canceled after a lost link."""

    def make(_: Original) -> Original:
        def link_lost(orders: Orders, venue: str, now_ns: int) -> list[Order]:
            for order in orders.working(venue=venue):
                end(orders, order, OrdStatus.CANCELED)
            return []

        return link_lost

    with replaced(Orders, "link_lost", make):
        yield


@bug("finery", "blinktrade")
def believe_cancel_on_disconnect() -> Iterator[None]:
    """Believe that the venue has canceled what rested before the link was lost."""

    def make(original: Original) -> Original:
        def link_restored(orders: Orders, venue: str, now_ns: int) -> None:
            for order in orders._in_doubt(venue):
                if order.acknowledged:
                    end(orders, order, OrdStatus.CANCELED)
                    orders.pursuit.changed.append(order)
            original(orders, venue, now_ns)

        return link_restored

    with replaced(Orders, "link_restored", make):
        yield


@bug("pushing", "two_venues")
def say_up_before_what_rests_is_settled() -> Iterator[None]:
    """Say that a venue is up while orders of before may rest there."""
    with replaced(Reconciler, "_hindrance", lambda _: lambda reconciler, venue: ""):
        yield


@bug("finery", "blinktrade")
def cancel_orders_of_others() -> Iterator[None]:
    """Cancel what rests on the account, whoever sent it."""

    def make(original: Original) -> Original:
        def on_foreign(reconciler: Reconciler, report: ExecutionReport, outcome: Outcome) -> None:
            original(reconciler, report, outcome)
            engine = reconciler._engine
            if report.ord_status not in CLOSED and report.symbol in engine.channels:
                engine.desk.send(
                    CancelOrder(
                        client_order_id=report.client_order_id or ClientOrderId(""),
                        symbol=report.symbol,
                        venue_order_id=report.venue_order_id,
                        side=report.side or Side.BUY,
                        reason="planted",
                        transact_time_ns=engine.now_ns,
                    )
                )

        return on_foreign

    with replaced(Reconciler, "on_foreign", make):
        yield


# --- restarts -------------------------------------------------------------------------------------


@bug(*NAMELESS, "finery")
def skip_the_sweep_at_the_start() -> Iterator[None]:
    """Start without a look at what the last run has left."""
    with replaced(lives, "orders_left", lambda _: lambda runs: []):
        yield


@bug(*NAMELESS, "finery")
def guard_only_what_was_acknowledged() -> Iterator[None]:
    """Leave orders out of a guardian's sweep that the venue had not answered."""

    def make(original: Original) -> Original:
        def orders_left(runs: Sequence[Any]) -> list[Recovered]:
            return [each for each in original(runs) if each.record.venue_order_ids]

        return orders_left

    with replaced(sweeping, "orders_left", make):
        yield


@bug("finery", "blinktrade")
def start_without_positions() -> Iterator[None]:
    """Start without the positions of the run before."""
    with replaced(lives, "opening_adjustments", lambda _: lambda *args: []):
        yield


@bug("finery", "peatio")
def send_before_it_is_journaled() -> Iterator[None]:
    """Send an order before it is recorded, whether it can be or not."""

    def make(_: Original) -> Original:
        def call(dispatcher: Any, commands: Sequence[Any]) -> None:
            for command in commands:
                dispatcher._send(command)
            try:
                dispatcher._journal.commit()
            except JournalError:
                return

        return call

    with replaced(Dispatcher, "__call__", make):
        yield


# --- limits ---------------------------------------------------------------------------------------


@bug("pushing_rest", "pushing")
def leave_orders_in_doubt_out_of_limits() -> Iterator[None]:
    """Leave UNKNOWN orders out of every limit."""

    def make(original: Original) -> Original:
        def worst_leaves(order: Order) -> Any:
            return ZERO if order.ord_status is OrdStatus.UNKNOWN else original(order)

        return worst_leaves

    with replaced(Order, "worst_leaves", make):
        yield
