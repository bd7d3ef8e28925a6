"""What a running bot answers to a person, on a venue that confirms late or never."""

from collections.abc import Awaitable, Callable
from decimal import Decimal

import pytest
import trio
from trio.testing import MockClock

from botkit.control import Adjust, Answer, Done, Look, Operate, Refusal, Resolve, StatusTold
from botkit.live import Operating, serve_links
from botkit.live.control import Peer
from botkit.model import (
    Adjustment,
    AdjustmentKind,
    ClientOrderId,
    ExecType,
    ExecutionReport,
    Operation,
    OperatorCommand,
    OrdStatus,
    Quote,
    VenueOrderId,
)
from botkit.orders import Order
from botkit.shell import run_bot
from botkit.strategy import Strategy
from botkit.testing import START_NS
from tests.unit.shell_bench import DEAD, Ran, SlowVenue, build, buy, strategy_of

PEER = Peer(pid=7, uid=1000)
SYMBOL = "paper:BTC-EUR"
Ask = Callable[..., Awaitable[Answer]]


class Bench:
    """A bot of one strategy with one order, and one it wants kept."""

    def __init__(self, cancel_s: float, *, again: bool = False, **terms: float) -> None:
        self.venue = SlowVenue(cancel_s)

        def on_quote(strategy: Strategy, _: Quote) -> None:
            buy(strategy, strategy)
            buy(strategy, strategy, keep=True)

        def on_order(strategy: Strategy, order: Order) -> None:
            if again and order.is_closed and order.ord_status is OrdStatus.CANCELED:
                buy(strategy, strategy)

        made = strategy_of(on_quote=on_quote, on_order=on_order)
        self.ran: Ran = build(made, venues=(self.venue,), **terms)
        self.bot = self.ran.bot
        self.operating = Operating(
            bot=self.bot,
            mode="PAPER",
            started_ns=5,
            began_ns=START_NS,
            keep_running=False,
            counts=lambda: {"submitted": 2},
        )

    async def play(self, test: Callable[["Bench"], Awaitable[None]]) -> None:
        """Run the bot, `test` beside it, until `test` has ended."""

        async def run() -> None:
            await run_bot(self.bot, lambda: serve_links(self.bot.engine, [self.venue], clock))
            self.operating.end()

        clock = self.bot.clock
        async with trio.open_nursery() as nursery:
            nursery.start_soon(run)
            await trio.testing.wait_all_tasks_blocked()
            self.venue.send(Quote(SYMBOL, 99.0, 101.0, 1.0, 1.0, receive_time_ns=START_NS))
            await test(self)
            self.bot.stop.request("told by the test")

    async def done(self, operation: Operation, target: str = "", wait_s: float = 10.0) -> Done:
        answer = await self.operating.answer(
            Operate(operation=operation, target=target, reason="lunch", wait_s=wait_s), PEER
        )
        assert isinstance(answer, Done), answer
        return answer

    async def look(self) -> StatusTold:
        answer = await self.operating.answer(Look(), PEER)
        assert isinstance(answer, StatusTold)
        return answer

    async def refusal(self, question: Operate | Resolve | Adjust) -> str:
        answer = await self.operating.answer(question, PEER)
        assert isinstance(answer, Refusal), answer
        return answer.text


async def test_cancel_all_answers_once_the_venue_has_confirmed(autojump_clock: MockClock) -> None:
    async def test(bench: Bench) -> None:
        done = await bench.done(Operation.CANCEL_ALL)
        assert trio.current_time() == 2
        assert [each.ord_status for each in done.orders] == [OrdStatus.CANCELED]
        assert [each.ord_status for each in done.kept] == [OrdStatus.NEW]
        assert done.placed == ()
        assert done.text == "canceled what rests of everything"

    bench = Bench(2.0)
    await bench.play(test)
    (command,) = [each for each in bench.ran.journal.entries if isinstance(each, OperatorCommand)]
    assert (command.by, command.reason) == ("uid 1000, pid 7", "lunch")


async def test_what_the_venue_does_not_confirm_in_time_is_told_as_it_stands(
    autojump_clock: MockClock,
) -> None:
    async def test(bench: Bench) -> None:
        done = await bench.done(Operation.CANCEL_ALL, SYMBOL, wait_s=1.5)
        assert trio.current_time() == 1.5
        assert [each.ord_status for each in done.orders] == [OrdStatus.PENDING_CANCEL]
        done = await bench.done(Operation.CANCEL_ALL, wait_s=1e9)
        assert trio.current_time() == 61.5, "nobody waits longer than a minute"

    await Bench(DEAD).play(test)


async def test_orders_placed_since_are_told(autojump_clock: MockClock) -> None:
    async def test(bench: Bench) -> None:
        done = await bench.done(Operation.CANCEL_ALL, "made0")
        assert [each.ord_status for each in done.placed] == [OrdStatus.NEW]

    await Bench(1.0, again=True).play(test)


async def test_a_pause_waits_holds_and_is_taken_back_one_by_one(
    autojump_clock: MockClock,
) -> None:
    async def test(bench: Bench) -> None:
        done = await bench.done(Operation.PAUSE, "made0")
        assert trio.current_time() == 1
        assert done.text == "made0 is paused: no new order and no replace of it passes"
        assert done.placed == (), "it would have placed again"
        assert [each.state for each in (await bench.look()).strategies] == ["paused"]
        await bench.done(Operation.PAUSE)
        one = await bench.done(Operation.RESUME, "made0")
        assert one.text == "made0 is resumed; still: everything is paused: lunch"
        assert (await bench.look()).strategies[0].reason == "everything is paused: lunch"
        other = await bench.done(Operation.RESUME, SYMBOL)
        assert other.text.startswith(f"{SYMBOL} was not paused by itself; still: everything")
        assert (await bench.done(Operation.RESUME)).text == "everything is resumed"
        assert (await bench.look()).strategies[0].state == "trading"

    await Bench(1.0, again=True).play(test)


async def test_a_halt_answers_when_all_is_confirmed_and_ends_the_bot(
    autojump_clock: MockClock,
) -> None:
    async def test(bench: Bench) -> None:
        done = await bench.done(Operation.HALT)
        assert trio.current_time() == 1
        assert {each.ord_status for each in done.orders} == {OrdStatus.CANCELED}
        assert len(done.orders) == 2, "the kill switch leaves nothing, kept or not"
        assert (done.ends, done.halted) == (True, "halted by operator: lunch")
        assert done.stopping == "halted by operator: lunch"
        resumed = await bench.done(Operation.RESUME)
        assert resumed.halted == "halted by operator: lunch", "resume does not clear it"

    await Bench(1.0).play(test)


async def test_a_halt_on_a_dead_venue_answers_when_the_run_is_over(
    autojump_clock: MockClock,
) -> None:
    async def test(bench: Bench) -> None:
        done = await bench.done(Operation.HALT, wait_s=60)
        assert trio.current_time() == 3, "the deadline of the clean-up"
        told = {each.keep: each.ord_status for each in done.orders}
        assert told == {False: OrdStatus.UNKNOWN, True: OrdStatus.UNKNOWN}
        assert [each.in_doubt for each in done.orders] == [True, True]

    await Bench(DEAD, clean_up_s=3.0).play(test)


async def test_a_flatten_answers_when_it_is_over_and_leaves_its_target_paused(
    autojump_clock: MockClock,
) -> None:
    async def test(bench: Bench) -> None:
        done = await bench.done(Operation.FLATTEN, "made0", wait_s=60)
        assert trio.current_time() == 1
        assert {each.ord_status for each in done.orders} == {OrdStatus.CANCELED}
        assert done.flattened is not None
        assert (done.flattened.target, done.flattened.positions) == ("made0", ())
        assert done.text == "made0 stays paused until it is resumed"
        assert (await bench.look()).strategies[0].state == "paused"

    await Bench(1.0, again=True).play(test)


async def test_a_flatten_that_takes_longer_is_told_as_not_over_and_no_second_begins(
    autojump_clock: MockClock,
) -> None:
    async def test(bench: Bench) -> None:
        done = await bench.done(Operation.FLATTEN, wait_s=2)
        assert trio.current_time() == 2
        assert done.flattened is None
        again = Operate(operation=Operation.FLATTEN)
        assert "everything is being flattened, for" in await bench.refusal(again)

    await Bench(DEAD, clean_up_s=3.0).play(test)


async def test_nobody_waits_once_the_run_is_over(autojump_clock: MockClock) -> None:
    async def test(bench: Bench) -> None:
        bench.operating.end()
        await bench.done(Operation.CANCEL_ALL)
        assert trio.current_time() == 0

    await Bench(DEAD, clean_up_s=3.0).play(test)


async def test_status_tells_everything(autojump_clock: MockClock) -> None:
    async def test(bench: Bench) -> None:
        order, _ = bench.bot.engine.orders.working()
        bench.venue.report(
            order.client_order_id,
            OrdStatus.FILLED,
            exec_type=ExecType.TRADE,
            exec_id="e",
            last_qty=Decimal(1),
            last_px=Decimal(100),
        )
        bench.venue.send(
            ExecutionReport(
                symbol=SYMBOL,
                ord_status=OrdStatus.NEW,
                exec_type=ExecType.ORDER_STATUS,
                venue_order_id=VenueOrderId("V-9"),
                order_qty=Decimal(3),
                price=Decimal(98),
                side=order.side,
                receive_time_ns=START_NS,
            )
        )
        await trio.sleep(2)
        status = await bench.look()
        assert (status.mode, status.run_id, status.run_ns) == ("PAPER", "r1", 2_000_000_000)
        assert (status.markets[0].bid_px, status.markets[0].age_s) == (99.0, 2.0)
        assert [each.qty for each in status.positions] == [Decimal(1)]
        assert [each.average_px for each in status.positions] == [Decimal(100)]
        assert status.foreign == ("V-9  buy 3 paper:BTC-EUR at 98  NEW",)
        assert [each.keep for each in status.orders] == [True]
        assert (status.order_count, status.in_doubt) == (1, 0)
        assert status.strategies[0].profit[0].equity == -1, "marked at the bid"
        assert status.venues[0].up
        assert status.counts == {"submitted": 2}
        slot = bench.bot.engine.slots["made0"]
        bench.bot.engine.lifecycle.fail(slot, ValueError("odd"))
        assert [each.state for each in (await bench.look()).strategies] == ["failed"]

    await Bench(1.0).play(test)


async def test_a_venue_that_has_not_come_yet_is_told(autojump_clock: MockClock) -> None:
    bench = Bench(1.0)
    status = await bench.look()
    assert (status.venues[0].up, status.venues[0].reason) == (False, "not connected yet")
    assert (status.markets[0].bid_px, status.markets[0].age_s) == (None, None)


async def test_a_word_ends_an_order_in_doubt_and_nothing_else(autojump_clock: MockClock) -> None:
    async def test(bench: Bench) -> None:
        order, _ = bench.bot.engine.orders.working()
        name = order.client_order_id
        resolve = Resolve(client_order_id=name, ord_status=OrdStatus.CANCELED, reason="seen")
        assert "it is NEW, allowed: an UNKNOWN order; cancel it" in await bench.refusal(resolve)
        bench.venue.report(name, OrdStatus.UNKNOWN)
        nobody = Resolve(client_order_id=ClientOrderId("x"), ord_status=OrdStatus.CANCELED)
        assert await bench.refusal(nobody) == f"order 'x' is not UNKNOWN; those that are: {name}"
        done = await bench.operating.answer(resolve, PEER)
        assert isinstance(done, Done)
        assert done.orders[0].ord_status is OrdStatus.CANCELED
        assert order.is_closed

    await Bench(1.0).play(test)


@pytest.mark.parametrize(
    ("adjustment", "told"),
    [
        (
            Adjustment(
                kind=AdjustmentKind.DEPOSIT, venue="paper", currency="EUR", amount=Decimal(-5)
            ),
            "booked -5 EUR at paper",
        ),
        (
            Adjustment(kind=AdjustmentKind.TRADE, symbol=SYMBOL, qty=Decimal(2), price=Decimal(9)),
            "the position of no strategy is 2 now; it is no profit and no loss",
        ),
    ],
)
async def test_adjustments_are_booked(
    autojump_clock: MockClock, adjustment: Adjustment, told: str
) -> None:
    async def test(bench: Bench) -> None:
        done = await bench.operating.answer(Adjust(adjustment=adjustment), PEER)
        assert isinstance(done, Done)
        assert told in done.text

    await Bench(1.0).play(test)


async def test_what_cannot_be_done_is_refused_by_name_and_the_bot_goes_on(
    autojump_clock: MockClock,
) -> None:
    def trade(qty: str) -> Adjust:
        return Adjust(
            adjustment=Adjustment(
                kind=AdjustmentKind.TRADE, symbol=SYMBOL, qty=Decimal(qty), price=Decimal(9)
            )
        )

    async def test(bench: Bench) -> None:
        nobody = Operate(operation=Operation.PAUSE, target="nobody")
        assert await bench.refusal(nobody) == (
            f"target: found 'nobody', allowed: made0, {SYMBOL}, all"
        )
        carried = Adjustment(kind=AdjustmentKind.CARRIED, symbol=SYMBOL)
        assert "allowed: DEPOSIT, TRADE" in await bench.refusal(Adjust(adjustment=carried))
        for wild in ("NaN", "Infinity", "1E+50", "1e-50", "1" * 41):
            told = await bench.refusal(trade(wild))
            assert "allowed: a number of at most 40 digits" in told
        assert (await bench.refusal(trade("0"))).startswith("qty: found 0")
        assert not bench.bot.stop.requested

    await Bench(1.0).play(test)
