"""Whatever three accounts ask of the exchange: money adds up, and the book keeps its order."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from decimal import ROUND_CEILING, Decimal
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from botkit.matching.exchange import (
    BalanceChanged,
    ExchangeEvent,
    ExchangeRules,
    Execution,
    FeeIn,
    OrderAccepted,
    OrderCanceled,
    OrderExpired,
    OrderReduced,
    OrderReplaced,
    OrderState,
    OrderTerms,
    PublicTrade,
    SelfTradeRule,
    StopTriggered,
)
from botkit.matching.exchange.money import Rate
from botkit.matching.exchange.tape import DAY_NS
from botkit.model import OrdStatus, OrdType, Side, TimeInForce
from botkit.ports import FeeSchedule
from tests.unit.exchange_bench import ACCOUNTS, SYMBOL, Bench, Replica, only

START = {"BTC": Decimal(6), "EUR": Decimal(600)}
ZERO = Decimal(0)
ORDER_EVENTS = (
    OrderAccepted,
    OrderCanceled,
    OrderExpired,
    OrderReduced,
    OrderReplaced,
    StopTriggered,
)

prices = st.integers(196, 204).map(lambda ticks: Decimal(ticks) / 2)
quantities = st.integers(1, 30).map(lambda lots: Decimal(lots) / 10)
cash = st.integers(1, 400).map(Decimal)
sides = st.sampled_from(Side)
accounts = st.sampled_from(ACCOUNTS)
waits = st.sampled_from([0, 1, 1_000, DAY_NS // 3])


@st.composite
def terms(draw: st.DrawFn) -> OrderTerms:
    kind = draw(st.sampled_from([OrdType.LIMIT, OrdType.LIMIT, *OrdType]))
    in_force = draw(st.sampled_from([TimeInForce.GTC, *TimeInForce]))
    priced = kind in (OrdType.LIMIT, OrdType.STOP_LIMIT)
    stops = kind in (OrdType.STOP, OrdType.STOP_LIMIT)
    by_cash = kind is OrdType.MARKET and draw(st.booleans())
    rests = priced and in_force not in (TimeInForce.IOC, TimeInForce.FOK)
    return OrderTerms(
        symbol=SYMBOL,
        side=draw(sides),
        ord_type=kind,
        order_qty=None if by_cash else draw(quantities),
        cash_order_qty=draw(cash) if by_cash else None,
        price=draw(prices) if priced else None,
        stop_px=draw(prices) if stops else None,
        time_in_force=in_force,
        expire_time_ns=draw(st.integers(2_000, 2 * DAY_NS)),
        post_only=rests and draw(st.booleans()),
        self_trade=draw(st.one_of(st.none(), st.sampled_from(SelfTradeRule))),
    )


order_numbers = st.integers(0, 30)
actions = st.one_of(
    *[st.tuples(st.just("submit"), accounts, terms())] * 4,
    st.tuples(st.just("cancel"), accounts, order_numbers),
    st.tuples(
        st.just("replace"),
        accounts,
        order_numbers,
        st.one_of(st.none(), quantities),
        st.one_of(st.none(), prices),
        st.one_of(st.none(), prices),
    ),
    st.tuples(st.just("cancel_all"), accounts, st.one_of(st.none(), sides)),
    st.tuples(st.just("deposit"), accounts, st.sampled_from(["BTC", "EUR"]), st.integers(0, 5)),
    st.tuples(st.just("wait"), waits),
)


class RandomLife:
    """Many orders near one another, so that most meet someone."""

    def __init__(self, seed: int) -> None:
        self.rng = np.random.default_rng(seed)

    def actions(self) -> list[tuple[Any, ...]]:
        return [self.action(index) for index in range(50)]

    def pick(self, choices: Sequence[Any]) -> Any:
        return choices[int(self.rng.integers(len(choices)))]

    def price(self) -> Decimal:
        return Decimal(int(self.rng.integers(197, 204))) / 2

    def qty(self) -> Decimal:
        return Decimal(int(self.rng.integers(1, 30))) / 10

    def action(self, index: int) -> tuple[Any, ...]:
        account, number = self.pick(ACCOUNTS), int(self.rng.integers(1, index + 2))
        match int(self.rng.integers(20)):
            case 0:
                return ("cancel", account, number)
            case 1 | 2 | 3:
                qty, price = self.pick([None, self.qty()]), self.pick([None, self.price()])
                return ("replace", account, number, qty, price, None)
            case 4:
                return ("replace", account, number, None, None, self.price())
            case 5:
                return ("cancel_all", account, self.pick([None, *Side]))
            case 6:
                return ("wait", int(self.rng.integers(DAY_NS // 3)))
            case _:
                return ("submit", account, self.terms())

    def terms(self) -> OrderTerms:
        kind = self.pick([OrdType.LIMIT] * 4 + list(OrdType))
        in_force = self.pick([TimeInForce.GTC] * 4 + list(TimeInForce))
        priced = kind in (OrdType.LIMIT, OrdType.STOP_LIMIT)
        by_cash = kind is OrdType.MARKET and self.rng.random() < 0.5
        rests = priced and in_force not in (TimeInForce.IOC, TimeInForce.FOK)
        return OrderTerms(
            symbol=SYMBOL,
            side=self.pick(list(Side)),
            ord_type=kind,
            order_qty=None if by_cash else self.qty(),
            cash_order_qty=Decimal(int(self.rng.integers(1, 400))) if by_cash else None,
            price=self.price() if priced else None,
            stop_px=self.price() if kind in (OrdType.STOP, OrdType.STOP_LIMIT) else None,
            time_in_force=in_force,
            expire_time_ns=int(self.rng.integers(2_000, 2 * DAY_NS)),
            post_only=rests and self.rng.random() < 0.2,
            self_trade=self.pick([None, *SelfTradeRule]),
        )


lives = st.one_of(
    st.lists(actions, max_size=40),
    *[st.integers(0, 2**32).map(lambda seed: RandomLife(seed).actions())] * 3,
)
settings_of = st.builds(
    ExchangeRules,
    fee_in=st.sampled_from(FeeIn),
    fee_digits=st.sampled_from([2, 8]),
    self_trade=st.sampled_from(SelfTradeRule),
    spend_what_is_there=st.booleans(),
)
rates = st.sampled_from([ZERO, Decimal(25), Decimal("7.5"), Decimal(-3)])
schedules = st.builds(FeeSchedule, maker_bps=rates, taker_bps=rates)


def act(bench: Bench, action: tuple[Any, ...]) -> list[ExchangeEvent]:
    """Do one action of a life."""
    exchange, now_ns = bench.exchange, bench.tick()
    match action:
        case ("submit", account, asked):
            return exchange.submit(account, asked, now_ns)
        case ("cancel", account, number):
            return exchange.cancel(account, target(bench, account, number), now_ns)
        case ("replace", account, number, qty, price, stop_px):
            order_id = target(bench, account, number)
            return exchange.replace(
                account, order_id, now_ns, order_qty=qty, price=price, stop_px=stop_px
            )
        case ("cancel_all", account, side):
            return exchange.cancel_all(account, now_ns, side=side)
        case ("deposit", account, currency, amount):
            return exchange.deposit(account, currency, Decimal(amount), now_ns)
        case _:
            bench.now_ns += action[1]
            return exchange.advance(bench.now_ns)


def target(bench: Bench, account: str, number: int) -> int:
    """Return an open order of the account's, now and then any number."""
    ids = [*bench.exchange.accounts[account].open, number]
    return ids[number % len(ids)]


def live(bench: Bench, life: list[tuple[Any, ...]]) -> Iterator[list[ExchangeEvent]]:
    for action in life:
        yield act(bench, action)


def open_orders(bench: Bench) -> list[OrderState]:
    return [o for account in bench.exchange.accounts.values() for o in account.open_orders()]


def check_money(bench: Bench) -> None:
    for name, currency in bench.exchange.currencies.items():
        held = sum((bench.holds(account, name)[0] for account in ACCOUNTS), ZERO)
        assert held + currency.decimal(currency.fees) == currency.decimal(currency.brought_in)
    for account in ACCOUNTS:
        for name in ("BTC", "EUR"):
            total, locked = bench.holds(account, name)
            assert 0 <= locked <= total


def check_locks(bench: Bench, rules: ExchangeRules, fees: FeeSchedule) -> None:
    """Check the locks against what open orders need, worked out anew in Decimals."""
    needed: dict[tuple[str, str], Decimal] = defaultdict(Decimal)
    rate = max(ZERO, fees.maker_bps, fees.taker_bps) / 10_000
    step = Decimal(1).scaleb(-rules.fee_digits)
    for order in open_orders(bench):
        if order.price is None:
            continue
        buys = order.side is Side.BUY
        paid = order.leaves_qty * order.price if buys else order.leaves_qty
        if rules.fee_in is (FeeIn.QUOTE if buys else FeeIn.BASE):
            paid += (paid * rate / step).to_integral_value(ROUND_CEILING) * step
        needed[order.account, "EUR" if buys else "BTC"] += paid
    for account in ACCOUNTS:
        for name in ("BTC", "EUR"):
            assert bench.holds(account, name)[1] == needed[account, name]


def check_book(bench: Bench, replica: Replica) -> None:
    market = bench.market
    for side in Side:
        orders = market.orders(side)
        levels = market.levels(side)
        assert replica.orders[side] == [(o.order_id, o.price, o.leaves_qty) for o in orders]
        assert replica.levels[side] == {px: (qty, count) for px, qty, count in levels}
        by_level: dict[Decimal, tuple[Decimal, int]] = {}
        for order in orders:
            assert order.price is not None
            qty, count = by_level.get(order.price, (ZERO, 0))
            by_level[order.price] = (qty + order.leaves_qty, count + 1)
        assert list(by_level.items()) == [(px, (qty, count)) for px, qty, count in levels]
        assert [px for px, _, _ in levels] == sorted(by_level, reverse=side is Side.BUY)
    bids, asks = market.levels(Side.BUY, 1), market.levels(Side.SELL, 1)
    assert not (bids and asks and bids[0][0] >= asks[0][0])


def check_orders(bench: Bench) -> None:
    for order in open_orders(bench):
        assert order.cash_order_qty is None
        assert order.ord_type is not OrdType.MARKET
        assert order.leaves_qty == order.order_qty - order.cum_qty > 0
        waits_for_print = order.stop_px is not None and not order.triggered
        if order.time_in_force in (TimeInForce.IOC, TimeInForce.FOK):
            assert waits_for_print
        assert order.ord_type is not OrdType.STOP or waits_for_print
        assert not order.expire_time_ns or order.expire_time_ns > bench.now_ns


def check_promises(events: list[ExchangeEvent]) -> None:
    """Post-only adds, FOK trades whole or not at all, and a closed order stays closed."""
    closed: set[int] = set()
    filled: dict[int, Decimal] = defaultdict(Decimal)
    fok: dict[int, OrderState] = {}
    for event in events:
        if isinstance(event, Execution):
            assert not event.taker.order.post_only
            for leg in (event.maker, event.taker):
                assert leg.order.order_id not in closed
                filled[leg.order.order_id] += event.qty
                if leg.order.time_in_force is TimeInForce.FOK:
                    fok[leg.order.order_id] = leg.order
                if leg.order.ord_status is OrdStatus.FILLED:
                    closed.add(leg.order.order_id)
        elif isinstance(event, OrderCanceled | OrderExpired):
            assert event.order.order_id not in closed
            assert event.order.leaves_qty == 0
            closed.add(event.order.order_id)
    for order in fok.values():
        assert order.ord_status is OrdStatus.FILLED
        assert order.cum_qty == filled[order.order_id]
        assert order.cash_order_qty is not None or order.cum_qty == order.order_qty


@given(life=lives, rules=settings_of, fees=schedules)
@settings(max_examples=150)
def test_money_locks_and_book_hold_after_every_request(
    life: list[tuple[Any, ...]], rules: ExchangeRules, fees: FeeSchedule
) -> None:
    bench = Bench(rules, fees, START)
    replica = Replica()
    for events in live(bench, life):
        replica.apply(events)
        check_money(bench)
        check_locks(bench, rules, fees)
        check_book(bench, replica)
        check_orders(bench)
        check_promises(events)


@given(life=lives, rules=settings_of)
@settings(max_examples=100)
def test_stops_become_active_at_the_first_print_that_reaches_them(
    life: list[tuple[Any, ...]], rules: ExchangeRules
) -> None:
    bench = Bench(rules, FeeSchedule(), START)
    waiting: dict[int, OrderState] = {}
    last: Decimal | None = None
    due: list[int] = []
    for events in live(bench, life):
        for event in events:
            match event:
                case OrderAccepted(order=order) | OrderReplaced(order=order):
                    assert not due
                    if order.stop_px is not None and not order.triggered:
                        waiting[order.order_id] = order
                        due = reached(waiting, last)
                case StopTriggered(order=order):
                    assert order.order_id == due.pop(0)
                    assert waiting.pop(order.order_id).stop_px == order.stop_px
                case PublicTrade():
                    assert not due
                    last = event.price
                    due = reached(waiting, last)
                case OrderCanceled(order=order) | OrderExpired(order=order):
                    assert not due
                    waiting.pop(order.order_id, None)
                case _:
                    pass
        assert not due


def reached(waiting: dict[int, OrderState], last: Decimal | None) -> list[int]:
    """Return the ids of the stops that a print at `last` sets off, oldest first."""
    if last is None:
        return []
    return sorted(
        number
        for number, order in waiting.items()
        if order.stop_px is not None and (order.stop_px - last) * order.side.sign <= 0
    )


@given(life=lives, rules=settings_of, steps=st.lists(st.integers(1, 999), max_size=3))
@settings(max_examples=60)
def test_how_often_time_is_advanced_changes_nothing(
    life: list[tuple[Any, ...]], rules: ExchangeRules, steps: list[int]
) -> None:
    whole, split = Bench(rules, balances=START), Bench(rules, balances=START)
    told: list[ExchangeEvent] = []
    expected: list[ExchangeEvent] = []
    for action in life:
        expected += act(whole, action)
        wait_ns = action[1] if action[0] == "wait" else 0
        for step in sorted(steps):
            told += split.exchange.advance(split.now_ns + (wait_ns + 1_000) * step // 1_000)
        told += act(split, action)
    assert told == expected
    assert split.exchange.report() == whole.exchange.report()


class Heard:
    """What a client that hears every event knows of orders and balances."""

    def __init__(self) -> None:
        self.orders: dict[int, OrderState] = {}
        self.balances = {(name, each): (START[each], ZERO) for name in ACCOUNTS for each in START}

    def apply(self, event: ExchangeEvent) -> None:
        if isinstance(event, Execution):
            for leg in (event.maker, event.taker):
                self.orders[leg.order.order_id] = leg.order
        elif isinstance(event, BalanceChanged):
            self.balances[event.account, event.currency] = (event.total, event.locked)
        elif isinstance(event, ORDER_EVENTS):
            self.orders[event.order.order_id] = event.order


@given(life=lives, rules=settings_of, fees=schedules)
@settings(max_examples=60)
def test_what_the_events_tell_is_what_the_exchange_holds(
    life: list[tuple[Any, ...]], rules: ExchangeRules, fees: FeeSchedule
) -> None:
    bench, heard = Bench(rules, fees, START), Heard()
    for events in live(bench, life):
        for event in events:
            heard.apply(event)
    held = {
        (name, each.currency): (each.total, each.locked)
        for name, account in bench.exchange.accounts.items()
        for each in account.balances()
    }
    known = [*open_orders(bench)]
    for account in bench.exchange.accounts.values():
        known += account.history()
    assert heard.balances == held
    assert heard.orders == {order.order_id: order for order in known}


@given(
    bps=st.integers(-9_999, 9_999).map(lambda number: Decimal(number) / 4),
    parts=st.lists(st.integers(1, 10**6), min_size=2, max_size=5),
    step=st.sampled_from([1, 100, 12_345]),
)
def test_a_lock_covers_the_fees_however_an_order_fills(
    bps: Decimal, parts: list[int], step: int
) -> None:
    rate = Rate(bps)
    left = sum(parts)
    reserved = rate.reserve(left, step)
    for part in parts:
        left -= part
        needed = rate.reserve(left, step)
        assert rate.charge(part, step) + needed <= reserved
        reserved = needed


class Naive:
    """Price-time priority as one would say it: sort what rests by price, then by arrival."""

    def __init__(self) -> None:
        self.resting: list[list[Any]] = []  # id, account, side, price, leaves
        self.trades: list[tuple[int, int, Decimal, Decimal]] = []

    def submit(self, number: int, account: str, asked: OrderTerms) -> None:
        assert asked.order_qty is not None
        left = asked.order_qty
        sign = asked.side.sign
        for maker in sorted(self.resting, key=lambda row: row[3] * sign):  # sorting is stable
            crosses = asked.price is None or maker[3] * sign <= asked.price * sign
            if maker[2] is asked.side or not crosses or not left:
                continue
            if maker[1] == account:
                self.resting.remove(maker)
                continue
            qty = min(left, maker[4])
            self.trades.append((number, maker[0], maker[3], qty))
            left -= qty
            maker[4] -= qty
            if not maker[4]:
                self.resting.remove(maker)
        if left and asked.price is not None and asked.time_in_force is TimeInForce.GTC:
            self.resting.append([number, account, asked.side, asked.price, left])


plain_terms = st.builds(
    lambda side, qty, price, in_force: OrderTerms(
        symbol=SYMBOL,
        side=side,
        ord_type=OrdType.LIMIT if price else OrdType.MARKET,
        order_qty=qty,
        price=price,
        time_in_force=in_force,
    ),
    sides,
    quantities,
    st.one_of(st.none(), prices, prices),
    st.sampled_from([TimeInForce.GTC, TimeInForce.IOC]),
)


@given(orders=st.lists(st.tuples(accounts, plain_terms), max_size=40))
@settings(max_examples=150)
def test_trades_are_those_of_a_naive_price_time_book(
    orders: list[tuple[str, OrderTerms]],
) -> None:
    bench, naive = Bench(), Naive()
    trades: list[tuple[int, int, Decimal, Decimal]] = []
    for number, (account, asked) in enumerate(orders, start=1):
        naive.submit(number, account, asked)
        events = bench.exchange.submit(account, asked, bench.tick())
        trades += [
            (e.taker.order.order_id, e.maker.order.order_id, e.price, e.qty)
            for e in only(Execution, events)
        ]
    assert trades == naive.trades
    for side in Side:
        expected = sorted(
            (row for row in naive.resting if row[2] is side), key=lambda r: -r[3] * side.sign
        )
        assert [(o.order_id, o.leaves_qty) for o in bench.market.orders(side)] == [
            (row[0], row[4]) for row in expected
        ]


@given(
    first=quantities,
    second=quantities,
    qty=st.one_of(st.none(), quantities),
    price=st.one_of(st.none(), prices),
)
def test_a_replace_keeps_its_place_only_at_the_same_price_and_no_more(
    first: Decimal, second: Decimal, qty: Decimal | None, price: Decimal | None
) -> None:
    bench = Bench(fees=FeeSchedule())
    bench.buy("ann", str(first), "100")
    bench.buy("bob", str(second), "100")
    (replaced,) = only(
        OrderReplaced,
        bench.exchange.replace("ann", 1, bench.tick(), order_qty=qty, price=price),
    )
    keeps = (price in (None, Decimal(100))) and (qty is None or qty <= first)
    assert replaced.kept_priority is keeps
    assert replaced.order.order_qty == (qty or first)
    assert replaced.order.price == (price or Decimal(100))
    ahead = [o.order_id for o in bench.market.orders(Side.BUY)]
    assert ahead == ([1, 2] if keeps or replaced.order.price > 100 else [2, 1])
    assert bench.holds("ann", "EUR")[1] == replaced.order.order_qty * replaced.order.price
