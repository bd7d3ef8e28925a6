"""What must be settled before strategies hear that a venue is up: after a lost link, at a start."""

from decimal import Decimal
from typing import Any

import msgspec
import pytest

from botkit import Order
from botkit.model import (
    AskListing,
    AskStatus,
    ClientOrderId,
    ExecId,
    ExecutionReport,
    Fill,
    NewOrder,
    OrderListing,
    OrdStatus,
    ReplaceOrder,
    Side,
    StopRequested,
    Tick,
    VenueOrderId,
)
from botkit.ports import Capabilities, OrderRecord, Recovered
from botkit.testing import SYMBOL, build_report, build_venue_status, time_ns
from botkit.testing.engine_rig import CAPABLE, Actor, EngineRig

OLD = ClientOrderId("rig-old-7")


def capable(**terms: Any) -> Capabilities:
    return Capabilities(
        client_order_ids=terms.pop("client_order_ids", True),
        fill_source=CAPABLE.fill_source,
        replace=True,
        **terms,
    )


class Bench:
    """One strategy whose start the engine decides on; `up` and `down` are its venue's word."""

    def __init__(self, **further: Any) -> None:
        self.actor = Actor()
        self.rig = EngineRig(self.actor, **further)
        self.engine = self.rig.engine

    def up(self, after_s: float) -> None:
        self.engine.handle(build_venue_status(after_s, up=True))

    def down(self, after_s: float) -> None:
        self.engine.handle(build_venue_status(after_s, up=False, reason="cable"))

    def started(self) -> "Bench":
        self.rig.start()
        return self

    def place(self, price: str = "99", **terms: Any) -> Order:
        order = self.actor.buy(self.actor.instrument, 2, price=price, **terms)
        self.rig.report(order, OrdStatus.NEW, 0.1)
        return order

    def is_up(self) -> bool:
        return self.engine.lifecycle.venue_status["paper"].up

    def listing(
        self, after_s: float, *reports: ExecutionReport, complete: bool = True, number: int = -1
    ) -> None:
        asked = self.rig.of(AskListing)[number].listing_id
        self.engine.handle(
            OrderListing(
                venue="paper",
                listing_id=asked,
                began_ns=time_ns(after_s),
                complete=complete,
                reports=reports,
                receive_time_ns=time_ns(after_s),
            )
        )

    def recover(self, record: OrderRecord, after_s: float = 0) -> Order:
        event = Recovered(record=record, run_id="old", receive_time_ns=time_ns(after_s))
        self.engine.handle(event)
        order = self.engine.orders.get(record.client_order_ids[0])
        assert order is not None
        return order

    def canceled(self) -> list[ClientOrderId]:
        return [command.client_order_id for command in self.rig.cancels]


def left(**terms: Any) -> OrderRecord:
    """Return a buy of 5 at 99 by strategy `a` that a run before this one left."""
    request = NewOrder(
        client_order_id=OLD,
        symbol=SYMBOL,
        strategy=terms.pop("strategy", "a"),
        side=Side.BUY,
        order_qty=Decimal(5),
        price=Decimal(99),
        keep=terms.pop("keep", False),
        transact_time_ns=time_ns(-60),
    )
    return OrderRecord(request=request, client_order_ids=[OLD], **{"resting_ids": [OLD], **terms})


def nameless(report: ExecutionReport) -> ExecutionReport:
    """Return `report` as of a venue that takes no client order ids."""
    return msgspec.structs.replace(report, client_order_id=None)


def old_fill(qty: str, exec_id: str) -> Fill:
    return Fill(
        client_order_id=OLD,
        symbol=SYMBOL,
        strategy="a",
        side=Side.BUY,
        qty=Decimal(qty),
        price=Decimal(99),
        exec_id=ExecId(exec_id),
    )


# --- links --------------------------------------------------------------------------------------


def test_what_rested_when_the_link_was_lost_is_canceled_before_the_venue_is_up() -> None:
    bench = Bench().started()
    order = bench.place()
    bench.down(1)
    assert (order.ord_status, bench.canceled()) == (OrdStatus.UNKNOWN, [])

    bench.up(2)
    assert bench.canceled() == [order.client_order_id]
    assert not bench.is_up()
    bench.rig.report(order, OrdStatus.NEW, 2.5)
    assert not bench.is_up(), "it rests: that does not settle it"
    bench.rig.report(order, OrdStatus.CANCELED, 3)
    assert bench.is_up()
    assert bench.actor.of("on_venue")[-3:] == [
        ("on_venue", "paper", False),
        ("on_venue", "paper", False),
        ("on_venue", "paper", True),
    ]


def test_a_cancel_that_the_lost_link_took_along_is_sent_anew() -> None:
    bench = Bench().started()
    order = bench.place()
    order.cancel()
    bench.down(0.2)
    bench.up(0.4)
    assert bench.canceled() == [order.client_order_id] * 2, "long before the first was overdue"


def test_under_keep_orders_are_asked_for_and_left() -> None:
    bench = Bench(on_disconnect={"paper": "keep"}).started()
    order, unwanted = bench.place(), bench.place("98")
    unwanted.cancel()
    bench.down(1)
    bench.up(2)
    bench.engine.handle(Tick(time_ns(2.1)))
    assert {each.client_order_id for each in bench.rig.of(AskStatus)} >= {order.client_order_id}
    assert order.client_order_id not in bench.canceled()

    bench.rig.report(order, OrdStatus.NEW, 3)
    assert not bench.is_up(), "the other is still to be canceled"
    bench.rig.report(unwanted, OrdStatus.CANCELED, 3)
    assert bench.is_up()
    assert order.ord_status is OrdStatus.NEW


def test_an_order_to_be_kept_is_kept_through_a_lost_link() -> None:
    bench = Bench().started()
    stop = bench.place(keep=True)
    bench.down(1)
    bench.up(2)
    bench.rig.report(stop, OrdStatus.NEW, 3)
    assert (bench.is_up(), bench.canceled()) == (True, [])


@pytest.mark.parametrize("rest_cancel", [True, False])
def test_cancels_go_at_once_where_there_is_another_way(*, rest_cancel: bool) -> None:
    bench = Bench(capabilities=capable(rest_cancel=rest_cancel)).started()
    order = bench.place()
    bench.down(1)
    assert bench.canceled() == [order.client_order_id] * rest_cancel
    bench.rig.report(order, OrdStatus.CANCELED, 1.5)
    bench.up(2)
    assert bench.is_up()


def test_a_fill_settles_and_counts_and_a_second_loss_begins_anew() -> None:
    bench = Bench().started()
    order = bench.place()
    bench.down(1)
    bench.up(2)
    bench.down(3)
    bench.rig.fill(order, "2", "99", 3.5, exec_id="e-1")
    assert not bench.is_up(), "the link is down"
    bench.up(4)
    assert bench.is_up()
    assert bench.actor.position() == 2


def test_an_order_found_working_after_its_cancel_missed_it_is_canceled_at_once() -> None:
    bench = Bench().started()
    order = bench.actor.buy(bench.actor.instrument, 2, price="99")
    order.cancel()
    bench.down(1)
    bench.up(2)
    before = len(bench.rig.cancels)
    bench.rig.report(order, OrdStatus.NEW, 2.2)
    bench.engine.handle(Tick(time_ns(2.2)))
    assert len(bench.rig.cancels) == before + 1


# --- the start ----------------------------------------------------------------------------------


def test_nothing_starts_before_the_venue_is_listed() -> None:
    bench = Bench(listed=["paper"])
    ready: list[bool] = []
    bench.engine.lifecycle.on_ready = lambda: ready.append(True)
    bench.up(0)
    assert "not listed yet" in bench.engine.lifecycle.venue_status["paper"].reason
    bench.listing(0.5, complete=False)
    assert not ready, "a listing cut short says nothing"
    bench.engine.handle(Tick(time_ns(2.5)))
    assert len(bench.rig.of(AskListing)) == 2
    bench.listing(3, build_report("stranger", OrdStatus.NEW))
    assert ready
    assert bench.rig.lines("an order of others rests here: left alone")
    assert bench.canceled() == []
    bench.down(4)
    bench.up(5)
    assert len(bench.rig.of(AskListing)) == 2, "once is enough"


def test_a_listing_that_is_late_or_asked_on_a_lost_link_is_asked_for_again() -> None:
    bench = Bench(listed=["paper"])
    bench.up(0)
    bench.down(1)
    bench.listing(1.5)
    assert not bench.is_up()
    bench.engine.handle(Tick(time_ns(2.5)))
    assert len(bench.rig.of(AskListing)) == 1, "nobody would hear it"
    bench.up(3)
    assert len(bench.rig.of(AskListing)) == 2
    bench.listing(4)
    assert bench.is_up()


def test_orders_of_an_earlier_run_are_swept_before_the_start() -> None:
    bench = Bench()
    ready: list[bool] = []
    bench.engine.lifecycle.on_ready = lambda: ready.append(True)
    order = bench.recover(left(venue_order_ids={VenueOrderId("V-1"): OLD}))
    assert bench.engine.orders.leaves(SYMBOL, Side.BUY) == 5
    assert bench.rig.recorded(Recovered)[0].record.client_order_ids == [OLD]
    bench.up(1)
    assert (bench.canceled(), ready) == ([OLD], [])
    assert bench.rig.cancels[0].venue_order_id == "V-1"
    bench.rig.report(order, OrdStatus.CANCELED, 2, venue_order_id=VenueOrderId("V-1"))
    assert ready
    assert bench.actor.seen == [], "its strategy knows nothing of it"


def test_fills_of_the_earlier_run_do_not_count_again_and_new_ones_do() -> None:
    bench = Bench()
    order = bench.recover(
        left(venue_order_ids={VenueOrderId("V-1"): OLD}, fills=[old_fill("2", "e-1")])
    )
    assert [order.cum_qty, bench.actor.position()] == [2, 0]
    bench.up(1)
    for exec_id in ("e-1", "e-2"):
        bench.rig.report(
            order,
            OrdStatus.PARTIALLY_FILLED,
            2,
            venue_order_id=VenueOrderId("V-1"),
            last_qty="2",
            last_px="99",
            exec_id=exec_id,
        )
    assert [order.cum_qty, bench.actor.position()] == [4, 2]


def test_an_order_that_was_replaced_lives_on_under_its_new_name_and_terms() -> None:
    new = ClientOrderId("rig-old-8")
    replace = ReplaceOrder(
        client_order_id=new,
        orig_client_order_id=OLD,
        symbol=SYMBOL,
        strategy="a",
        side=Side.BUY,
        order_qty=Decimal(7),
        price=Decimal(98),
    )
    done = Bench().recover(
        OrderRecord(
            request=left().request,
            client_order_ids=[OLD, new],
            resting_ids=[new],
            replace=replace,
        )
    )
    assert [done.current_client_order_id, done.order_qty, done.price] == [new, 7, 98]
    bench = Bench()
    under_way = bench.recover(
        OrderRecord(
            request=left().request,
            client_order_ids=[OLD, new],
            resting_ids=[OLD, new],
            replace=replace,
        )
    )
    assert under_way.replacing is not None
    assert bench.engine.orders.leaves(SYMBOL, Side.BUY) == 12, "old and new may both fill"
    assert bench.engine.orders.get(new) is under_way


def test_an_order_to_be_kept_is_taken_over_and_its_strategy_hears_of_it() -> None:
    bench = Bench()
    order = bench.recover(left(keep=True, venue_order_ids={VenueOrderId("V-1"): OLD}))
    bench.up(0)
    bench.rig.report(order, OrdStatus.NEW, 0.1, venue_order_id=VenueOrderId("V-1"))
    assert bench.is_up()
    bench.rig.start()
    assert bench.canceled() == []
    bench.rig.fill(order, "5", "99", 1, exec_id="e-1", venue_order_id=VenueOrderId("V-1"))
    assert bench.actor.of("on_fill") == [("on_fill", OLD, 5, 5)]


def test_one_that_shows_up_after_it_counted_as_absent_is_canceled_for_nobody_owns_it() -> None:
    bench = Bench()
    order = bench.recover(left())
    bench.up(0)
    for at_s in (6, 12):
        bench.engine.handle(Tick(time_ns(at_s)))
        bench.listing(at_s)
    assert order.ord_status is OrdStatus.REJECTED
    bench.rig.start()
    before = len(bench.rig.cancels)
    bench.rig.report(order, OrdStatus.NEW, 20)
    bench.engine.handle(Tick(time_ns(20)))
    assert len(bench.rig.cancels) > before
    assert bench.actor.of("on_order") == []


def test_an_order_with_our_tag_that_no_journal_knew_is_adopted_and_canceled() -> None:
    bench = Bench(listed=["paper"])
    bench.up(0)
    stray = build_report(OLD, OrdStatus.NEW, side=Side.SELL, order_qty=3, price=101)
    named = {"venue_order_id": VenueOrderId("V-9")}
    bench.listing(
        1,
        build_report(OLD, OrdStatus.NEW, side=Side.SELL, order_qty=3, price=101, **named),
        build_report("other-old-7", OrdStatus.NEW, side=Side.SELL, order_qty=3, price=101),
        build_report("rig-old-9", OrdStatus.CANCELED, side=Side.SELL, order_qty=3, price=101),
        stray,
    )
    assert bench.canceled() == [OLD]
    assert not bench.is_up()
    order = bench.engine.orders.get(OLD)
    assert order is not None
    assert bench.engine.orders.leaves(SYMBOL, Side.SELL) == 3
    bench.rig.report(order, OrdStatus.CANCELED, 2, **named)
    assert bench.is_up()
    assert [key for _, key in bench.engine.orders.foreign] == ["other-old-7", "rig-old-9"]


@pytest.mark.parametrize("exclusive", [["paper"], []])
def test_orders_that_may_be_ours_are_canceled_where_nobody_else_trades(
    exclusive: list[str],
) -> None:
    bench = Bench(capabilities=capable(client_order_ids=False), exclusive=exclusive)
    bench.recover(left())
    bench.up(0)
    twins = [
        nameless(
            build_report(
                "",
                OrdStatus.NEW,
                side=Side.BUY,
                order_qty=5,
                price=99,
                venue_order_id=VenueOrderId(name),
            )
        )
        for name in ("V-1", "V-2")
    ]
    bench.engine.handle(Tick(time_ns(1)))
    bench.listing(1, *twins)
    found = [command.venue_order_id for command in bench.rig.cancels]
    assert found == (["V-1", "V-2"] if exclusive else [])
    assert not bench.is_up()


def test_a_run_without_strategies_sweeps_and_is_done() -> None:
    rig = EngineRig()
    bench_order = Recovered(record=left(strategy="gone"), run_id="old", receive_time_ns=time_ns(0))
    rig.engine.handle(bench_order)
    rig.engine.handle(StopRequested(reason="a sweep", receive_time_ns=time_ns(0)))
    assert [command.client_order_id for command in rig.cancels] == [OLD]
    order = rig.engine.orders.get(OLD)
    assert order is not None
    order.cancel(at_once=True)
    rig.report(order, OrdStatus.CANCELED, 1)
    assert order.is_closed


def test_an_order_without_an_id_is_not_taken_for_another_that_the_run_knew() -> None:
    bench = Bench(capabilities=capable(client_order_ids=False))
    known = VenueOrderId("V-1")
    event = Recovered(record=left(), run_id="old", receive_time_ns=time_ns(0), others=(known,))
    bench.engine.handle(event)
    bench.up(0)
    bench.engine.handle(Tick(time_ns(1)))
    terms: dict[str, Any] = {"side": Side.BUY, "order_qty": 5, "price": 99}
    gone = build_report("", OrdStatus.CANCELED, venue_order_id=known, **terms)
    bench.listing(1, nameless(gone))
    order = bench.engine.orders.get(OLD)
    assert order is not None
    assert order.ord_status is OrdStatus.UNKNOWN
    late = build_report("", OrdStatus.NEW, venue_order_id=VenueOrderId("V-2"), **terms)
    bench.listing(2, nameless(gone), nameless(late))
    assert order.venue_order_id == "V-2"


@pytest.mark.parametrize("exclusive", [["paper"], []])
def test_orders_of_equal_terms_are_each_taken_for_one_where_nobody_else_trades(
    exclusive: list[str],
) -> None:
    bench = Bench(capabilities=capable(client_order_ids=False), exclusive=exclusive).started()
    orders = [bench.actor.buy(bench.actor.instrument, 2, price="99") for _ in range(2)]
    bench.down(1)
    bench.up(2)
    bench.engine.handle(Tick(time_ns(3)))
    told = [
        nameless(
            build_report(
                "",
                OrdStatus.FILLED,
                side=Side.BUY,
                order_qty=2,
                price=99,
                last_qty=2,
                last_px=99,
                cum_qty=2,
                exec_id=f"e-{number}",
                venue_order_id=VenueOrderId(f"V-{number}"),
                transact_time_ns=time_ns(number),
            )
        )
        for number in (2, 1)
    ]
    for after_s in (3, 10):
        bench.listing(after_s, *told)
    if exclusive:
        assert [order.venue_order_id for order in orders] == ["V-1", "V-2"]
        assert bench.actor.position() == 4
        told_as = [(r.venue_order_id, r.client_order_id) for r in bench.rig.recorded(type(told[0]))]
        assert ("V-1", orders[0].client_order_id) in told_as, "the next run has the journal alone"
    else:
        assert [order.ord_status for order in orders] == [OrdStatus.UNKNOWN] * 2


def test_more_orders_than_ours_of_equal_terms_are_nobodys() -> None:
    bench = Bench(capabilities=capable(client_order_ids=False), exclusive=["paper"]).started()
    order = bench.actor.buy(bench.actor.instrument, 2, price="99")
    bench.down(1)
    bench.up(2)
    bench.engine.handle(Tick(time_ns(3)))
    terms: dict[str, Any] = {"side": Side.BUY, "order_qty": 2, "price": 99}
    told = [
        nameless(build_report("", OrdStatus.CANCELED, venue_order_id=VenueOrderId(name), **terms))
        for name in ("V-1", "V-2")
    ]
    for after_s in (3, 10):
        bench.listing(after_s, *told)
    assert order.ord_status is OrdStatus.UNKNOWN
