"""What a person says to a running engine: resolve, adjust, pause; recorded, refused by name."""

from decimal import Decimal
from typing import Any

import pytest

from botkit.journal import OrderFold
from botkit.model import (
    Adjustment,
    AdjustmentKind,
    ClientOrderId,
    Fill,
    FillSource,
    Operation,
    OperatorCommand,
    OrdStatus,
    ResolveOrder,
    VenueOrderId,
)
from botkit.testing.builders import build_venue_status, time_ns
from botkit.testing.engine_rig import CAPABLE, Actor, EngineRig

SYMBOL = "paper:BTC-EUR"
BY = "uid 1000, pid 7"


class Bench:
    """One strategy with one buy of 10 at 100 that is UNKNOWN, 2 of it filled at 90."""

    def __init__(self, source: FillSource = FillSource.EXECUTIONS, *, filled: bool = True) -> None:
        self.actor = Actor()
        capabilities = type(CAPABLE)(
            client_order_ids=True, fill_source=source, replace=True, shows_own_orders=False
        )
        self.rig = EngineRig(self.actor, capabilities=capabilities, on_disconnect={"paper": "keep"})
        self.rig.start()
        self.order = self.actor.buy(self.actor.instrument, 10, price="100")
        self.rig.report(self.order, OrdStatus.NEW, 1)
        if filled:
            self.rig.fill(self.order, "2", "90", 2, exec_id="e1", cum_qty=Decimal(2))
        self.cut(3)

    def cut(self, after_s: float) -> None:
        self.rig.engine.handle(build_venue_status(after_s, up=False))

    def resolve(
        self, ord_status: OrdStatus, cum_qty: str = "", avg_px: str = "", name: str = ""
    ) -> str:
        """Say a word on the order; return the refusal, empty if it was taken."""
        before = len(self.rig.lines("order not resolved"))
        self.rig.engine.handle(
            ResolveOrder(
                client_order_id=ClientOrderId(name or self.order.client_order_id),
                ord_status=ord_status,
                cum_qty=Decimal(cum_qty) if cum_qty else None,
                avg_px=Decimal(avg_px) if avg_px else None,
                reason="seen on the venue's page",
                by=BY,
                receive_time_ns=time_ns(4),
            )
        )
        refused = self.rig.lines("order not resolved")[before:]
        return str(refused[0]["problem"]) if refused else ""

    @property
    def held(self) -> Decimal:
        return self.actor.position()

    def stands(self) -> list[Any]:
        return [self.order.ord_status, self.order.cum_qty, self.held]


def test_a_word_ends_an_unknown_order_is_recorded_and_told_to_its_strategy() -> None:
    bench = Bench()

    assert bench.resolve(OrdStatus.CANCELED) == ""

    assert bench.stands() == [OrdStatus.CANCELED, 2, 2]
    assert bench.actor.of("on_order")[-1] == (
        "on_order",
        bench.order.client_order_id,
        OrdStatus.CANCELED,
    )
    (word,) = bench.rig.recorded(ResolveOrder)
    assert (word.by, word.reason) == (BY, "seen on the venue's page")
    assert bench.rig.lines("order resolved by a person's word")[0]["by"] == BY
    assert bench.rig.engine.orders.working() == []


@pytest.mark.parametrize(
    ("ord_status", "cum_qty", "avg_px", "ended"),
    [
        (OrdStatus.FILLED, "10", "98", [OrdStatus.FILLED, 10, 10]),
        (OrdStatus.EXPIRED, "6", "96", [OrdStatus.EXPIRED, 6, 6]),
    ],
)
def test_what_a_word_says_has_filled_is_booked_so_that_the_mean_comes_out(
    ord_status: OrdStatus, cum_qty: str, avg_px: str, ended: list[Any]
) -> None:
    bench = Bench()

    assert bench.resolve(ord_status, cum_qty, avg_px) == ""

    assert bench.stands() == ended
    assert bench.order.avg_px == Decimal(avg_px)
    first, vouched = bench.rig.recorded(Fill)
    assert (first.qty * first.price + vouched.qty * vouched.price) / Decimal(cum_qty) == Decimal(
        avg_px
    )
    assert vouched.commission is None
    assert [entry[2] for entry in bench.actor.of("on_fill")] == [2, vouched.qty]


@pytest.mark.parametrize(
    ("ord_status", "cum_qty", "avg_px", "problem"),
    [
        (OrdStatus.NEW, "", "", "found NEW, allowed: FILLED, CANCELED, REJECTED, EXPIRED"),
        (OrdStatus.FILLED, "", "", "FILLED without quantities, and only 2 of 10 is counted"),
        (OrdStatus.FILLED, "9", "98", "FILLED with cum_qty 9, allowed: 10, all of it"),
        (OrdStatus.FILLED, "10", "", "avg_px: missing, allowed: the mean price of the 10"),
        (OrdStatus.FILLED, "11", "98", "found cum_qty 11, allowed: 2 to 10"),
        (OrdStatus.CANCELED, "1", "98", "found cum_qty 1, allowed: 2 to 10"),
        (OrdStatus.CANCELED, "10", "98", "CANCELED with cum_qty 10, which is all of it"),
        (OrdStatus.CANCELED, "3", "1", "it would price the last 1 at -177"),
        (OrdStatus.REJECTED, "", "", "REJECTED with 2 filled"),
    ],
)
def test_a_word_that_cannot_be_true_changes_nothing_and_is_told(
    ord_status: OrdStatus, cum_qty: str, avg_px: str, problem: str
) -> None:
    bench = Bench()

    told = bench.resolve(ord_status, cum_qty, avg_px)

    assert told.startswith(f"order {bench.order.client_order_id}: ")
    assert problem in told
    assert bench.stands() == [OrdStatus.UNKNOWN, 2, 2]
    assert bench.rig.recorded(ResolveOrder) == []


def test_only_a_known_order_in_doubt_can_be_resolved() -> None:
    bench = Bench()
    name = bench.order.client_order_id
    assert bench.resolve(OrdStatus.CANCELED, name="nobody") == (
        f"order 'nobody' is not UNKNOWN; those that are: {name}"
    )
    bench.rig.engine.handle(build_venue_status(5, up=True))
    bench.rig.report(bench.order, OrdStatus.NEW, 6)
    assert bench.resolve(OrdStatus.CANCELED) == (
        f"order {name}: it is PARTIALLY_FILLED, allowed: an UNKNOWN order; cancel it instead"
    )
    assert bench.resolve(OrdStatus.CANCELED, name="nobody").endswith(
        "no order is UNKNOWN, so there is none to resolve"
    )
    bench.rig.report(bench.order, OrdStatus.CANCELED, 7)
    assert bench.resolve(OrdStatus.CANCELED).endswith("nothing is left to resolve")


def test_a_fill_told_by_a_person_and_then_by_the_venue_counts_once() -> None:
    bench = Bench()
    bench.resolve(OrdStatus.CANCELED, "5", "96")

    for _ in range(2):  # a repeat is known as one
        bench.rig.fill(bench.order, "2", "100", 5, exec_id="e2", commission=Decimal(1))
    assert bench.held == 5
    bench.rig.fill(bench.order, "1", "100", 6, exec_id="e3")
    assert bench.held == 5
    bench.rig.fill(bench.order, "1", "100", 7, exec_id="e4")
    assert bench.held == 6, "more than the person knew of"
    assert bench.rig.lines("contradiction") == []


def test_an_execution_partly_told_by_a_person_counts_for_the_rest() -> None:
    bench = Bench()
    bench.resolve(OrdStatus.CANCELED, "5", "96")

    for _ in range(2):
        bench.rig.fill(bench.order, "4", "100", 5, exec_id="e2")

    assert bench.held == 6
    assert bench.rig.lines("contradiction") == []


@pytest.mark.parametrize("source", list(FillSource))
def test_totals_contain_what_a_person_has_told(source: FillSource) -> None:
    bench = Bench(source)
    bench.resolve(OrdStatus.CANCELED, "5", "96")
    bench.rig.report(
        bench.order, OrdStatus.CANCELED, 5, cum_qty=Decimal(6), last_qty="1", last_px="100"
    )
    assert bench.stands() == [OrdStatus.CANCELED, 6, 6]


def test_the_journal_knows_a_resolved_order_as_ended_under_all_its_names() -> None:
    bench = Bench()
    other = bench.actor.buy(bench.actor.instrument, 1, price="99")
    assert other.is_closed, "the venue is down"
    entries = bench.rig.journal.entries
    fold = OrderFold(keep_closed=True)
    bench.resolve(OrdStatus.FILLED, "10", "98")
    for entry in entries:
        fold.apply(entry)
    (record,) = [each for each in fold.orders() if each.cum_qty]
    assert (record.may_rest, record.ord_status) == (False, OrdStatus.FILLED)
    assert record.filled_qty == Decimal(10)


def test_a_replace_in_flight_widens_what_may_have_filled() -> None:
    bench = Bench(filled=False)
    bench.rig.engine.handle(build_venue_status(4, up=True))
    bench.rig.report(bench.order, OrdStatus.NEW, 5)
    bench.order.replace(qty=Decimal(12))
    bench.cut(6)
    assert "allowed: 0 to 22" in bench.resolve(OrdStatus.FILLED, "23", "98")
    assert bench.resolve(OrdStatus.FILLED, "12", "98") == ""
    assert bench.held == 12


def adjusted(bench: Bench, **fields: Any) -> str:
    before = len(bench.rig.lines("adjustment refused"))
    bench.rig.engine.handle(Adjustment(by=BY, receive_time_ns=time_ns(9), **fields))
    refused = bench.rig.lines("adjustment refused")[before:]
    return str(refused[0]["problem"]) if refused else ""


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({"qty": Decimal(0)}, "qty: found 0, allowed: what was bought, or below 0 what was sold"),
        ({"strategy": "z"}, "strategy: found 'z', allowed: a, or none"),
        ({"symbol": "paper:X"}, f"symbol: found 'paper:X', allowed: {SYMBOL}"),
        ({"price": Decimal(0)}, "price: found 0, allowed: what it counts as bought at, above 0"),
    ],
)
def test_a_trade_that_cannot_be_booked_is_refused_by_name(
    fields: dict[str, Any], problem: str
) -> None:
    bench = Bench()
    whole = {"symbol": SYMBOL, "strategy": "a", "qty": Decimal(1), "price": Decimal(90), **fields}
    assert adjusted(bench, kind=AdjustmentKind.TRADE, **whole) == problem
    assert bench.held == 2


@pytest.mark.parametrize(
    ("venue", "currency", "amount", "problem"),
    [
        ("far", "EUR", 1, "venue: found 'far', allowed: paper"),
        ("paper", "EUR", 0, "amount: found 0, allowed: what came, below 0 what went"),
        ("paper", "", 1, "currency: missing, allowed: that of the deposit"),
        ("paper", "EURO", 1, "currency: found 'EURO', allowed: BTC, EUR"),
        ("paper", "EUR", 1, ""),
    ],
)
def test_a_deposit_needs_a_venue_a_currency_and_an_amount(
    venue: str, currency: str, amount: int, problem: str
) -> None:
    deposit = {"venue": venue, "currency": currency, "amount": Decimal(amount)}
    assert adjusted(Bench(), kind=AdjustmentKind.DEPOSIT, **deposit) == problem


def test_a_trade_by_hand_moves_the_position_and_says_who_told() -> None:
    bench = Bench()
    told = {"symbol": SYMBOL, "strategy": "a", "qty": Decimal(-1), "price": Decimal(90)}
    assert adjusted(bench, kind=AdjustmentKind.TRADE, reason="by phone", **told) == ""
    assert bench.held == 1
    assert bench.rig.lines("adjusted")[-1]["by"] == BY


def test_who_paused_and_why_is_in_the_log_and_the_pause_is_known() -> None:
    bench = Bench()
    for target in ("a", ""):
        bench.rig.engine.handle(
            OperatorCommand(
                operation=Operation.PAUSE, target=target, by=BY, receive_time_ns=time_ns(9)
            )
        )
    assert bench.rig.engine.lifecycle.paused == {
        "a": "a is paused: no reason given",
        "": "everything is paused: no reason given",
    }
    lines = bench.rig.lines("operator command")
    assert [line["target"] for line in lines] == ["a", "all"]
    assert lines[0]["by"] == BY
    assert "reason" not in lines[0]


def test_an_order_is_found_by_the_name_a_replace_gave_it() -> None:
    bench = Bench(filled=False)
    bench.rig.engine.handle(build_venue_status(4, up=True))
    bench.rig.report(bench.order, OrdStatus.NEW, 5)
    bench.order.replace(price=Decimal(101))
    (replace,) = bench.rig.replaces
    bench.cut(6)
    assert bench.resolve(OrdStatus.CANCELED, name=replace.client_order_id) == ""
    assert bench.order.is_closed
    assert bench.order.venue_order_id == VenueOrderId(f"V-{bench.order.client_order_id}")
