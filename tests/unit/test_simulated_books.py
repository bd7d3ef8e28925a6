"""The invariants of a simulation, each broken by hand at an exchange."""

from decimal import Decimal
from typing import Any

import attrs
import trio

from botkit.adapter import SimulatorSetup
from botkit.clock import LiveClock
from botkit.matching.exchange import OrderTerms
from botkit.model import ClientOrderId, Fill, Side, VenueOrderId
from botkit.testing import MemoryJournal
from botkit.testing.chronicle import Chronicle
from botkit.testing.invariants import Books, Death, QuantityLimits
from botkit.testing.planting import plant
from botkit.testing.settling import sums_of
from venues.finery.simulator import FinerySimulator

RISK = {
    "max_position": {"finery:BTC-EUR": "2"},
    "max_order_qty": "1",
    "max_order_notional": "500",
    "max_open_orders": 3,
}


@attrs.define
class Bench:
    """An exchange that only tests trade on, its books, and what they complain of."""

    books: Books
    problems: list[str]
    alive: list[bool]

    @classmethod
    def open(cls, **risk: Any) -> "Bench":
        simulator = FinerySimulator(SimulatorSetup(clock=LiveClock(origin_ns=1), quiet=True))
        problems: list[str] = []
        alive = [True]
        books = Books(
            venue="finery",
            simulator=simulator,
            member="alice",
            limits=QuantityLimits(risk={**RISK, **risk}),
            chronicle=Chronicle(keep=True),
            problem=problems.append,
            deaths=[],
            is_alive=lambda: alive[0],
            tells_orders_apart=True,
        )
        simulator.market.exchange.observe(books.on_events)
        return cls(books, problems, alive)

    def submit(self, side: Side, qty: str, price: str, account: str = "alice") -> int:
        market = self.books.simulator.market
        terms = OrderTerms(
            symbol="BTC-EUR", side=side, order_qty=Decimal(qty), price=Decimal(price)
        )
        events: Any = market.exchange.submit(account, terms, market.catch_up())
        order_id: int = events[0].order.order_id
        return order_id

    def cancel(self, order_id: int) -> None:
        market = self.books.simulator.market
        market.exchange.cancel("alice", order_id, market.catch_up())

    def die(self, *, guarded: bool = True) -> None:
        death = Death(number=1, at=trio.current_time(), guarded=guarded)
        self.books.deaths = [death]
        self.books.on_death(death)
        self.alive[0] = False


async def test_within_all_limits_nothing_is_complained_of() -> None:
    bench = Bench.open()
    for _ in range(2):
        bench.submit(Side.BUY, "1", "100")
    bench.submit(Side.SELL, "1", "101")
    assert bench.problems == []
    assert len(bench.books.resting()) == 3


async def test_each_quantity_limit_is_held_by_the_exchanges_books() -> None:
    for qty, price, count, key in (
        ("1.1", "100", 1, "max_order_qty"),
        ("1", "501", 1, "max_order_notional"),
        ("0.9", "100", 3, "max_position"),
        ("0.1", "100", 4, "max_open_orders"),
    ):
        bench = Bench.open()
        for _ in range(count):
            bench.submit(Side.BUY, qty, price)
        (problem,) = bench.problems
        assert key in problem


async def test_what_was_bought_counts_towards_the_position() -> None:
    bench = Bench.open()
    for _ in range(2):
        bench.submit(Side.SELL, "1", "100", "bob")
        bench.submit(Side.BUY, "1", "100")
    assert (bench.problems, bench.books.fills) == ([], 2)
    bench.submit(Side.BUY, "0.1", "90")
    assert "max_position is 2" in bench.problems[0]


async def test_an_order_has_to_be_gone_two_seconds_after_the_death_of_its_bot(
    autojump_clock: trio.testing.MockClock,
) -> None:
    bench = Bench.open()
    soon, late = bench.submit(Side.BUY, "1", "100"), bench.submit(Side.BUY, "1", "99")
    bench.die()
    await trio.sleep(1)
    bench.cancel(soon)
    on_its_way = bench.submit(Side.SELL, "1", "101")
    await trio.sleep(1.5)
    bench.cancel(on_its_way)
    assert (bench.problems, bench.books.gone_after_s) == ([], [1.0, 1.5])
    bench.cancel(late)
    assert "rested 2.500 s after death 1" in bench.problems[0]


async def test_without_a_guardian_or_a_road_to_the_venue_the_two_seconds_do_not_hold(
    autojump_clock: trio.testing.MockClock,
) -> None:
    for guarded in (True, False):
        bench = Bench.open()
        order_id = bench.submit(Side.BUY, "1", "100")
        bench.books.excused = lambda venue, since, until: (venue, until - since) == ("finery", 9.0)
        bench.die(guarded=guarded)
        await trio.sleep(9)
        bench.cancel(order_id)
        assert (bench.problems, bench.books.gone_after_s) == ([], [])


async def test_whoever_cancels_an_order_of_others_is_told_of() -> None:
    bench = Bench.open()
    bench.submit(Side.BUY, "1", "100", "bob")
    plant(bench.books)
    assert sorted(set(bench.books.planted.values())) == [
        "a person",
        "another account",
        "another bot",
    ]
    assert (bench.books.orders, bench.problems) == (0, [])
    (theirs,) = [each for each, whose in bench.books.planted.items() if whose == "another bot"]
    bench.cancel(theirs)
    assert bench.problems == [f"finery order {theirs} of another bot was canceled"]


async def test_a_fill_that_is_not_counted_or_counted_twice_is_found() -> None:
    bench = Bench.open()
    bench.submit(Side.SELL, "1", "100", "bob")
    order_id = bench.submit(Side.BUY, "1", "100")
    (order,) = bench.books.simulator.market.exchange.accounts["alice"].history()
    fill = Fill(
        client_order_id=ClientOrderId(order.client_order_id),
        symbol="finery:BTC-EUR",
        strategy="s",
        side=Side.BUY,
        qty=Decimal(1),
        price=Decimal(100),
        venue_order_id=VenueOrderId(bench.books.simulator.venue_order_id(order)),
    )
    for count in (0, 1, 2):
        journal = MemoryJournal()
        journal.begin_run(run_id="a", mode="LIVE", config="", started_ns=1)
        for _ in range(count):
            journal.record(fill)
        journal.commit()
        told = sums_of(journal, {"finery": bench.books}, None)
        assert told == (
            []
            if count == 1
            else [
                f"finery BTC-EUR: fills of all runs come to {count}, the exchange's to 1.00000",
                f"finery order {order_id}: {count} counted, 1.00000 filled",
            ]
        )


async def test_money_that_no_trade_explains_is_found() -> None:
    bench = Bench.open()
    market = bench.books.simulator.market
    bench.submit(Side.SELL, "1", "100", "bob")
    bench.submit(Side.BUY, "1", "100")
    assert bench.books.differing_money() == []
    market.exchange.deposit("alice", "EUR", Decimal(5), market.catch_up())
    (problem,) = bench.books.differing_money()
    assert problem.startswith("finery EUR: the account has ")
