"""Order scopes: however a block is left, on whatever venue, nothing it placed rests unnoticed."""

import math

import pytest
import trio
from trio.testing import MockClock

from botkit.errors import OrdersInDoubtError
from botkit.model import OrdStatus
from botkit.scope import CleanUpBudget
from botkit.shell import ExitCode
from botkit.strategy import Strategy
from tests.unit.shell_bench import DEAD, SlowVenue, buy, idle, play, run_alone, strategy_of

# --- scopes: the venue answers ------------------------------------------------------------------


async def test_leaving_by_return_waits_for_the_venue(autojump_clock: MockClock) -> None:
    async def run(self: Strategy) -> None:
        async with self.order_scope() as scope:
            orders = [buy(scope, self), buy(scope, self)]
            assert scope.orders == tuple(orders)
        assert [order.ord_status for order in orders] == [OrdStatus.CANCELED] * 2
        assert trio.current_time() == 0.5

    ran = await run_alone(run, 0.5)

    assert ran.exit_code is ExitCode.CLEAN


async def test_leaving_by_an_error_waits_and_the_error_goes_on(autojump_clock: MockClock) -> None:
    async def run(self: Strategy) -> None:
        async def fail() -> None:
            async with self.order_scope() as scope:
                buy(scope, self)
                raise ValueError("mine")

        with pytest.raises(ValueError, match="mine"):
            await fail()
        assert self.orders() == []
        assert trio.current_time() == 0.5

    assert (await run_alone(run, 0.5)).exit_code is ExitCode.CLEAN


async def test_leaving_by_cancellation_waits_for_the_venue(autojump_clock: MockClock) -> None:
    async def run(self: Strategy) -> None:
        with trio.move_on_after(1) as timeout:
            async with self.order_scope() as scope:
                order = buy(scope, self)
                await trio.sleep_forever()
        assert timeout.cancelled_caught
        assert order.ord_status is OrdStatus.CANCELED
        assert trio.current_time() == 1.5

    assert (await run_alone(run, 0.5)).exit_code is ExitCode.CLEAN


async def test_an_order_that_fills_while_its_cancel_is_out_ends_the_wait(
    autojump_clock: MockClock,
) -> None:
    venue = SlowVenue(0.5)
    venue.fills_instead = True

    async def run(self: Strategy) -> None:
        async with self.order_scope() as scope:
            order = buy(scope, self)
        assert order.ord_status is OrdStatus.FILLED
        assert self.position() == 1

    assert (await play(strategy_of(run), venues=(venue,))).exit_code is ExitCode.CLEAN


async def test_without_open_orders_nothing_is_waited_for(autojump_clock: MockClock) -> None:
    async def run(self: Strategy) -> None:
        with trio.CancelScope() as canceled:
            async with self.order_scope() as scope:
                order = buy(scope, self)
                scope.cancel_all()
                await order.closed()
                canceled.cancel()
            passed = trio.current_time()  # reached: leaving has met no checkpoint
        assert passed == 0.5

    assert not (await run_alone(run, 0.5)).bot.stop.error


async def test_orders_to_keep_are_left(autojump_clock: MockClock) -> None:
    async def run(self: Strategy) -> None:
        async with self.order_scope() as scope:
            order = buy(scope, self, keep=True)
        assert order.ord_status is OrdStatus.NEW

    ran = await run_alone(run, 0.5)

    assert ran.exit_code is ExitCode.CLEAN
    assert [order.keep for order in ran.bot.kept()] == [True]


async def test_orders_are_placed_inside_the_block_only(autojump_clock: MockClock) -> None:
    async def run(self: Strategy) -> None:
        scope = self.order_scope()
        with pytest.raises(RuntimeError, match="has not begun"):
            buy(scope, self)
        async with scope:
            self.build_bars(60)
        with pytest.raises(RuntimeError, match="has ended"):
            scope.sell(self.instrument, 1)
        with pytest.raises(RuntimeError, match="entered once"):
            await scope.__aenter__()

    assert (await run_alone(run)).exit_code is ExitCode.CLEAN


async def test_scopes_of_child_tasks_end_each_on_their_own(autojump_clock: MockClock) -> None:
    ends: dict[float, float] = {}

    async def run(self: Strategy) -> None:
        async def work(seconds: float) -> None:
            async with self.order_scope() as scope:
                order = scope.sell(self.instrument, 1, price=200)
                await trio.sleep(seconds)
            assert order.is_closed
            ends[seconds] = trio.current_time()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(work, 1)
            nursery.start_soon(work, 2)

    assert (await run_alone(run, 0.5)).exit_code is ExitCode.CLEAN
    assert ends == {1: 1.5, 2: 2.5}


# --- scopes: the venue is dead ------------------------------------------------------------------


async def test_in_doubt_by_return_raises_an_error_that_names_the_orders(
    autojump_clock: MockClock,
) -> None:
    async def run(self: Strategy) -> None:
        with pytest.raises(OrdersInDoubtError) as caught:
            async with self.order_scope(timeout_s=2) as scope:
                order = buy(scope, self)
        assert caught.value.client_order_ids == (order.client_order_id,)
        assert caught.value.waited_s == 2
        assert order.ord_status is OrdStatus.UNKNOWN

    ran = await run_alone(run, DEAD)

    assert ran.exit_code is ExitCode.ORDERS_MAY_REST
    assert len(ran.expired) == 2  # the scope's, and the bot's


async def test_in_doubt_by_an_error_both_leave_in_a_group(autojump_clock: MockClock) -> None:
    async def run(self: Strategy) -> None:
        async def fail() -> None:
            async with self.order_scope(timeout_s=2) as scope:
                buy(scope, self)
                raise ValueError("mine")

        with pytest.raises(ExceptionGroup) as caught:
            await fail()
        assert [type(each) for each in caught.value.exceptions] == [ValueError, OrdersInDoubtError]

    assert (await run_alone(run, DEAD)).exit_code is ExitCode.ORDERS_MAY_REST


async def test_in_doubt_by_cancellation_the_cancellation_goes_on(autojump_clock: MockClock) -> None:
    async def run(self: Strategy) -> None:
        with trio.move_on_after(1) as timeout:
            async with self.order_scope(timeout_s=2) as scope:
                order = buy(scope, self)
                await trio.sleep_forever()
        assert timeout.cancelled_caught
        assert trio.current_time() == 3
        assert order.ord_status is OrdStatus.UNKNOWN
        await self.sleep(30)

    venue = SlowVenue(DEAD)
    ran = await play(strategy_of(run), venues=(venue,))

    assert ran.exit_code is ExitCode.ORDERS_MAY_REST
    assert len(venue.canceled) > 2  # pursued: the cancel was sent again
    assert ran.bot.engine.slots["made0"].error == ""


@pytest.mark.parametrize("way", ["return", "error", "cancel"])
@pytest.mark.parametrize("nursery", ["", "nursery"])
@pytest.mark.parametrize("cancel_s", [DEAD, 1.5])
async def test_three_nested_scopes_take_one_deadline(
    way: str, nursery: str, cancel_s: float, autojump_clock: MockClock
) -> None:
    left_at = math.nan

    async def run(self: Strategy) -> None:
        nonlocal left_at

        async def innermost() -> None:
            async with self.order_scope(timeout_s=2) as inner:
                buy(inner, self)
                if way == "error":
                    raise ValueError("mine")
                if way == "cancel":
                    await trio.sleep_forever()

        try:
            with trio.move_on_after(1):
                async with self.order_scope(timeout_s=2) as outer:
                    buy(outer, self)
                    async with self.order_scope(timeout_s=2) as middle:
                        buy(middle, self)
                        if nursery:
                            async with trio.open_nursery() as children:
                                children.start_soon(innermost)
                        else:
                            await innermost()
        except* (OrdersInDoubtError, ValueError):
            pass
        left_at = trio.current_time()

    await run_alone(run, cancel_s)

    began = 1 if way == "cancel" else 0
    confirmed = cancel_s < DEAD and way == "return"  # a fresh deadline after each that was kept
    assert left_at - began == (3 * 1.5 if confirmed else 2)


async def doubtful(strategy: Strategy) -> None:
    async with strategy.order_scope(timeout_s=2) as scope:
        buy(scope, strategy)


async def test_a_scope_that_went_on_after_doubt_has_a_fresh_deadline(
    autojump_clock: MockClock,
) -> None:
    async def run(self: Strategy) -> None:
        async def work() -> None:
            async with self.order_scope(timeout_s=2) as outer:
                with pytest.raises(OrdersInDoubtError):
                    await doubtful(self)
                await trio.sleep(5)
                buy(outer, self)

        with pytest.raises(OrdersInDoubtError):
            await work()
        assert trio.current_time() == 2 + 5 + 2

    await run_alone(run, DEAD)


async def test_an_error_that_was_held_back_brings_no_spent_deadline(
    autojump_clock: MockClock,
) -> None:
    async def run(self: Strategy) -> None:
        async def work() -> None:
            async with self.order_scope(timeout_s=2) as outer:
                with pytest.raises(OrdersInDoubtError) as held:
                    await doubtful(self)
                await trio.sleep(5)
                buy(outer, self)
                raise held.value

        with pytest.raises(ExceptionGroup):
            await work()
        assert trio.current_time() == 2 + 5 + 2

    await run_alone(run, DEAD)


async def test_a_clean_up_under_way_is_bound_by_a_stop_that_comes_later(
    autojump_clock: MockClock,
) -> None:
    async def run(self: Strategy) -> None:
        async with self.order_scope(timeout_s=60) as scope:
            buy(scope, self)

    ran = await run_alone(run, DEAD, stop_at=3, clean_up_s=4)

    assert ran.ended_at == 3 + 4
    assert ran.exit_code is ExitCode.ORDERS_MAY_REST


async def test_a_failing_hook_starts_the_strategys_own_deadline(autojump_clock: MockClock) -> None:
    left: list[float] = []

    async def run(self: Strategy) -> None:
        try:
            async with self.order_scope(timeout_s=60) as scope:
                buy(scope, self)
                await trio.sleep_forever()
        finally:
            left.append(trio.current_time())

    def on_start(self: Strategy) -> None:
        self.set_timer("fail", 1)

    def on_timer(self: Strategy, name: str) -> None:
        raise ValueError(name)

    failing = strategy_of(run, on_start=on_start, on_timer=on_timer)
    bystander = strategy_of(idle)
    ran = await play(failing, bystander, venues=(SlowVenue(DEAD),), strategy_s=2, stop_at=20)

    assert left == [1 + 2]
    assert ran.bot.stop.reason == "told by the test"
    assert ran.bot.engine.slots["made0"].error == "ValueError: fail"


async def test_a_budget_starts_once_and_its_parents_binds(autojump_clock: MockClock) -> None:
    bot = CleanUpBudget(10)
    strategy = CleanUpBudget(5, parent=bot)
    assert strategy.deadline == math.inf
    bot.start()
    await trio.sleep(2)
    assert strategy.start() == 7
    assert strategy.start() == 7
    await trio.sleep(1)
    assert bot.start() == 10
