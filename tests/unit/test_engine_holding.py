"""Reducing orders that meet the bot's own: those are canceled first, then it goes, or never."""

from decimal import Decimal

import pytest

from botkit.model import (
    CleanUpExpired,
    ExecType,
    ExecutionReport,
    Halted,
    NewOrder,
    Operation,
    OperatorCommand,
    OrderCancelReject,
    OrdStatus,
    Refused,
    RequestKind,
    SendFailed,
    Side,
    StopRequested,
    VenueOrderId,
)
from botkit.orders import Order
from botkit.ports import Capabilities, Checked, Held
from botkit.testing import build_venue_status, time_ns
from botkit.testing.engine_rig import CAPABLE
from tests.unit.risk_bench import RiskBench

GONE = "they are being canceled, and it waits for that"


class HoldingBench(RiskBench):
    """Strategy a holds 2; a buy of b's rests at 98, in the way of the sell that a wants."""

    def __init__(self, capabilities: Capabilities = CAPABLE, **risk: object) -> None:
        super().__init__({"self_trade": "refuse", **risk}, capabilities=capabilities)
        self.hold("2")
        self.resting = self.buy("1", "98", of=1)
        self.ack(self.resting)
        self.before = len(self.new_orders)

    def way_out(self, qty: str = "2", **terms: object) -> Order:
        """Place the reducing sell."""
        return self.sell(qty, "98", **terms)

    def left(self) -> list[NewOrder]:
        """Return the new orders that left since the start."""
        return self.new_orders[self.before :]


def never_left(order: Order) -> SendFailed:
    """Return the word that an order was not sent; it may be wrong."""
    return SendFailed(
        symbol=order.symbol,
        client_order_id=order.client_order_id,
        request=RequestKind.NEW,
        reached_venue=False,
        text="no route",
    )


def test_it_waits_counted_and_unsent_and_goes_once_the_way_is_free() -> None:
    bench = HoldingBench(max_position="3")
    order = bench.way_out()
    assert order.is_held
    assert order.text.endswith(GONE)
    assert bench.left() == []
    assert [each.client_order_id for each in bench.cancels] == [bench.resting.client_order_id]
    (held,) = bench.recorded(Held)
    assert held.request.client_order_id == held.client_order_id == order.client_order_id
    assert held.waits_for == (bench.resting.client_order_id,)
    assert not bench.recorded(Refused)
    assert bench.engine.orders.leaves(order.symbol, Side.SELL) == 2
    assert bench.engine.orders.open_orders() == 2

    bench.report(bench.resting, OrdStatus.CANCELED, 1)
    (request,) = bench.left()
    assert (request.client_order_id, request.order_qty) == (order.client_order_id, Decimal(2))
    assert request.transact_time_ns == order.transact_time_ns == time_ns(1)
    assert order.text == ""
    checked = bench.recorded(Checked)[-2:]
    assert {each.client_order_id for each in checked} == {order.client_order_id}
    assert [each.verdicts[0].passed for each in checked] == [False, True]
    stands = [order.ord_status]
    for after_s in (5.9, 6):  # an answer is due by so long after it was sent, not held
        bench.tick(after_s)
        stands.append(order.ord_status)
    assert stands == [OrdStatus.PENDING_NEW, OrdStatus.PENDING_NEW, OrdStatus.UNKNOWN]


def test_it_goes_if_what_was_in_its_way_filled_meanwhile() -> None:
    bench = HoldingBench()
    order = bench.way_out()
    bench.fills_at(bench.resting, "1", "98", 1)
    assert [each.client_order_id for each in bench.left()] == [order.client_order_id]


def test_it_waits_for_all_that_are_in_its_way() -> None:
    bench = HoldingBench()
    second = bench.buy("1", "98.5", of=1)
    bench.ack(second)
    bench.before += 1
    bench.way_out()
    bench.report(bench.resting, OrdStatus.CANCELED, 1)
    assert bench.left() == []
    bench.report(second, OrdStatus.CANCELED, 1)
    assert len(bench.left()) == 1


def test_one_that_turns_out_to_live_comes_into_its_way_and_has_to_go_too() -> None:
    bench = HoldingBench()
    second = bench.buy("1", "98.5", of=1)
    bench.before += 1
    bench.engine.handle(never_left(second))
    order = bench.way_out()
    assert bench.recorded(Held)[0].waits_for == (bench.resting.client_order_id,)
    bench.report(second, OrdStatus.NEW, 1)
    bench.report(bench.resting, OrdStatus.CANCELED, 2)
    assert (bench.left(), order.is_held) == ([], True)
    assert bench.cancels[-1].client_order_id == second.client_order_id
    bench.report(second, OrdStatus.CANCELED, 3)
    assert [each.client_order_id for each in bench.left()] == [order.client_order_id]


def test_one_that_turns_up_unknown_refuses_it() -> None:
    bench = HoldingBench()
    second = bench.buy("1", "98.5", of=1, keep=True)
    bench.engine.handle(never_left(second))
    order = bench.way_out()
    bench.report(second, OrdStatus.NEW, 1)
    bench.report(bench.resting, OrdStatus.CANCELED, 2)
    assert order.ord_status is OrdStatus.REJECTED
    assert order.text.endswith(f"it was not sent: {second.client_order_id} is to be kept")


def test_an_order_that_comes_into_its_way_while_it_waits_is_refused() -> None:
    bench = HoldingBench()
    order = bench.way_out()
    again: list[Order] = []

    def quote_again(_: Order) -> None:
        if not again:
            again.append(bench.buy("1", "98", of=1))

    bench.actors[1].acts["on_order"] = quote_again
    bench.report(bench.resting, OrdStatus.CANCELED, 1)
    assert again[0].ord_status is OrdStatus.REJECTED
    assert [each.client_order_id for each in bench.left()] == [order.client_order_id]


def test_every_rule_is_asked_again_before_it_goes() -> None:
    bench = HoldingBench(price_collar_bps="200")
    order = bench.way_out()
    bench.quote(0.5, 109, 111)
    bench.report(bench.resting, OrdStatus.CANCELED, 1)
    assert order.ord_status is OrdStatus.REJECTED
    assert "more than price_collar_bps 200" in order.text
    assert bench.left() == []
    assert [each.rule for each in bench.recorded(Refused)] == ["price_collar_bps"]
    assert bench.actors[0].seen[-1] == ("on_order", order.client_order_id, OrdStatus.REJECTED)


def test_it_is_refused_where_new_orders_may_not_pass_any_more() -> None:
    bench = HoldingBench()
    order = bench.way_out()
    bench.engine.lifecycle.suspend(order.symbol, "odd")
    bench.report(bench.resting, OrdStatus.CANCELED, 1)
    assert order.text.endswith("it was not sent: paper:BTC-EUR is suspended: odd")


def test_without_a_confirmation_in_time_it_is_refused() -> None:
    bench = HoldingBench()
    order = bench.way_out()
    bench.tick(4.9)
    assert order.is_open
    bench.tick(5)
    assert order.ord_status is OrdStatus.REJECTED
    assert order.text == (
        "it could trade with 1 of the bot's own orders in paper:BTC-EUR "
        f"({bench.resting.client_order_id} of b): {GONE}; it was not sent: "
        f"{bench.resting.client_order_id} not confirmed gone in 5 s"
    )
    (refused,) = bench.recorded(Refused)
    assert (refused.rule, refused.client_order_id) == ("self_trade", order.client_order_id)
    assert bench.engine.orders.leaves(order.symbol, Side.SELL) == 0
    bench.report(bench.resting, OrdStatus.CANCELED, 6)
    bench.tick(20)
    assert bench.left() == []


def test_an_unknown_order_in_its_way_refuses_it_at_once() -> None:
    bench = HoldingBench()
    order = bench.way_out()
    name = bench.resting.client_order_id
    bench.engine.handle(CleanUpExpired(client_order_ids=(name,), receive_time_ns=time_ns(1)))
    assert order.ord_status is OrdStatus.REJECTED
    assert order.text.endswith(f"it was not sent: {name} is UNKNOWN")
    assert bench.way_out().ord_status is OrdStatus.REJECTED
    assert bench.left() == []


def test_a_lost_link_refuses_what_was_held_and_does_not_make_it_unknown() -> None:
    bench = HoldingBench()
    order = bench.way_out()
    bench.engine.handle(build_venue_status(1, up=False))
    assert (bench.resting.ord_status, order.ord_status) == (OrdStatus.UNKNOWN, OrdStatus.REJECTED)
    bench.tick(10)
    assert ("on_order", order.client_order_id, OrdStatus.UNKNOWN) not in bench.actors[0].seen
    assert order.client_order_id not in {
        getattr(each, "client_order_id", "") for each in bench.questions
    }


def test_an_order_to_be_kept_in_its_way_refuses_it() -> None:
    bench = HoldingBench()
    kept = bench.buy("1", "98", of=1, keep=True)
    assert bench.way_out().text.endswith(f"it was not sent: {kept.client_order_id} is to be kept")
    assert not bench.recorded(Held)
    kept.cancel()  # its owner wants it no longer
    assert bench.way_out().is_held


@pytest.mark.parametrize("how", ["cancel", "cancel_all", "stop", "operator", "end", "expired"])
def test_canceling_it_or_the_end_of_its_owner_drops_it_unsent(how: str) -> None:
    bench = HoldingBench()
    order = bench.way_out(keep=True)
    engine, actor = bench.engine, bench.actors[0]
    match how:
        case "cancel":
            order.cancel()
        case "cancel_all":
            actor.cancel_all()
        case "stop":
            engine.handle(StopRequested(reason="done", receive_time_ns=time_ns(1)))
        case "operator":
            engine.handle(
                OperatorCommand(operation=Operation.CANCEL_ALL, receive_time_ns=time_ns(1))
            )
        case "end":
            engine.lifecycle.fail(bench.slots[0], ValueError("odd"))
        case _:
            ids = (order.client_order_id,)
            engine.handle(CleanUpExpired(client_order_ids=ids, receive_time_ns=time_ns(1)))
            assert order.ord_status is OrdStatus.PENDING_NEW  # in no doubt: it never left
            order.cancel()
    bench.tick(1)
    assert order.ord_status is OrdStatus.CANCELED
    assert order.text == "canceled before it was sent"
    assert order.client_order_id not in {each.client_order_id for each in bench.cancels}
    bench.report(bench.resting, OrdStatus.CANCELED, 2)
    bench.tick(20)
    assert bench.left() == []
    (refused,) = bench.recorded(Refused)
    assert (refused.rule, refused.text) == ("self_trade", "canceled before it was sent")


def test_what_is_canceled_for_it_says_for_which_order() -> None:
    bench = HoldingBench()
    order = bench.way_out()
    (cancel,) = bench.cancels
    assert cancel.reason == (
        f"by self_trade: an order of a that reduces would meet it ({order.client_order_id})"
    )


def test_one_that_is_dropped_for_another_says_for_which() -> None:
    bench = HoldingBench(self_trade="cancel")
    order = bench.way_out()
    refused = bench.buy("1", "98", of=1)
    assert order.ord_status is OrdStatus.CANCELED
    assert order.text == (
        "canceled before it was sent, by self_trade: an order of b would meet it "
        f"({refused.client_order_id})"
    )


def test_a_halt_drops_it() -> None:
    bench = HoldingBench()
    order = bench.way_out()
    bench.engine.guard.trip(Halted(rule="operator", reason="enough"))
    assert order.ord_status is OrdStatus.CANCELED
    assert bench.left() == []


async def test_who_waits_for_its_end_is_woken() -> None:
    bench = HoldingBench()
    order = bench.way_out()
    bench.engine.handle(StopRequested(reason="done", receive_time_ns=time_ns(1)))
    await order.closed()
    assert order.is_closed


def test_several_that_wait_for_one_go_in_the_order_they_came() -> None:
    bench = HoldingBench()
    first = bench.way_out("1")
    order = bench.sell("1", "97.5")
    assert first.is_held
    assert order.is_held
    bench.report(bench.resting, OrdStatus.CANCELED, 1)
    assert [each.client_order_id for each in bench.left()] == [
        first.client_order_id,
        order.client_order_id,
    ]


def test_a_held_order_in_the_way_of_another_is_dropped_and_that_one_goes() -> None:
    bench = HoldingBench()
    first = bench.way_out("2")
    assert first.is_held
    bench.hold("-5", "99.5", of=1)  # now the bot is 3 short: a buy reduces, the sell no longer
    order = bench.buy("2", "98", of=1)
    assert first.ord_status is OrdStatus.CANCELED
    assert order.client_order_id in {each.client_order_id for each in bench.left()}


def test_it_cannot_be_replaced_before_it_is_sent() -> None:
    bench = HoldingBench()
    order = bench.way_out("1")
    order.replace(qty=Decimal(2))
    assert not bench.replaces
    (refused,) = bench.recorded(Refused)
    assert refused.text == (
        f"order {order.client_order_id} is not sent yet: cancel it, send another"
    )


def test_a_reducing_replace_is_refused_until_the_way_is_free() -> None:
    bench = HoldingBench()
    order = bench.sell("1", "105")
    bench.ack(order)
    order.replace(price=Decimal(98))
    assert not bench.replaces
    assert bench.recorded(Refused)[-1].text.endswith("send it again when they are gone")
    assert len(bench.cancels) == 1


def test_a_venue_without_our_ids_is_not_matched_with_what_was_never_sent() -> None:
    nameless = Capabilities(
        client_order_ids=False, fill_source=CAPABLE.fill_source, ord_types=CAPABLE.ord_types
    )
    bench = HoldingBench(nameless)
    order = bench.way_out()
    assert order.is_held
    report = ExecutionReport(
        symbol=order.symbol,
        ord_status=OrdStatus.NEW,
        exec_type=ExecType.NEW,
        venue_order_id=VenueOrderId("somebody's"),
        side=Side.SELL,
        order_qty=Decimal(2),
        price=Decimal(98),
        transact_time_ns=time_ns(0),
        receive_time_ns=time_ns(1),
    )
    bench.engine.handle(report)
    assert order.is_held
    assert len(bench.engine.orders.foreign) == 1


def test_one_whose_time_is_up_goes_after_all_if_nothing_is_in_its_way_any_more() -> None:
    bench = HoldingBench()
    bench.resting.replace(price=Decimal("98.5"))
    order = bench.sell("2", "98.5")
    assert order.is_held
    bench.engine.handle(
        OrderCancelReject(
            symbol=order.symbol,
            client_order_id=bench.resting.client_order_id,
            response_to=RequestKind.REPLACE,
            ord_status=OrdStatus.NEW,
            receive_time_ns=time_ns(1),
        )
    )
    bench.tick(5)
    assert [each.client_order_id for each in bench.left()] == [order.client_order_id]
    assert not bench.recorded(Refused)
