"""What every risk rule should say, worked out again from what was sent and what was told.

Dicts, lists and fractions; nothing is kept in step that can be counted anew, and nothing of
`botkit` is used. Slow on purpose, so that it can be read and believed.
"""

import math
from collections.abc import Callable, Iterable, Mapping
from fractions import Fraction
from typing import Any, Final

import attrs

from tests.property.plain_risk_parts import (
    CANNOT_TELL,
    DAY_S,
    NOISE,
    NOTHING,
    PASSES,
    Ask,
    Book,
    Judgement,
    Loss,
    Placed,
    PlainOrder,
    Thing,
    at_most,
    known,
    venue_of,
)

__all__ = ["PlainModel"]

# What is settled in one place, because it may be settled otherwise.
BLIND_LETS_PRICED_REDUCING_PASS: Final = True  # where data are stale or there is no touch
FUNDS_COUNT_TAKER_FEES: Final = True
RATE_STALE_S: Final = Fraction(10)  # as the test configures it


class PlainModel:
    """All orders, positions, balances and prices of a bot, and what its rules should say."""

    def __init__(
        self,
        things: Iterable[Thing],
        placed: Iterable[Placed],
        taker: Mapping[str, Fraction],
        now_s: Fraction,
    ) -> None:
        self.things = {each.symbol: each for each in things}
        self.placed = list(placed)
        self.taker = taker
        self.now_s = now_s
        self.sent: list[tuple[Fraction, str, str, str]] = []  # when, what, strategy, symbol
        self.losses = {p.key: Loss() for p in self.placed if p.kind in LOSSES}
        self.forget_run()
        self.books: dict[tuple[str, str], Book] = {}

    def forget_run(self) -> None:
        """Begin a run: nothing rests, nothing has been heard."""
        self.orders: dict[str, PlainOrder] = {}
        self.quotes: dict[str, tuple[float, float, Fraction]] = {}
        self.balances: dict[tuple[str, str], Fraction] = {}
        self.foreign: dict[tuple[str, str], Fraction] = {}  # locked by others, as last told
        self.credit: dict[tuple[str, str], dict[str, Fraction]] = {}  # by counterparty
        self.paused: set[str] = set()  # strategies, instruments, "" everything
        self.up: set[str] = set()
        self.taken: dict[str, Fraction] = {}  # for fees not told yet, off the balances
        self.halted = ""
        self.next_look_s: Fraction | None = None
        self.must_be_canceled: list[PlainOrder] = []

    # --- what happens ----------------------------------------------------------------------

    def advance(self, to_s: Fraction) -> None:
        """Let time pass; rules look once a second."""
        while self.next_look_s is not None and self.next_look_s <= to_s:
            self.now_s = self.next_look_s
            self.next_look_s += 1
            self.look()
        self.now_s = to_s

    def start(self) -> None:
        """Begin to look."""
        self.look()
        self.next_look_s = self.now_s + 1

    def restart(self, carried: Mapping[tuple[str, str], tuple[Fraction, Fraction | None]]) -> None:
        """End the run, and begin one with these positions at these prices.

        Where the bot had halted a person has cleared it, and losses and rates start anew. What a
        position was up or down when the run ended is measured again in the next, so it is left out
        here; where there is none any more it stays as it was at the last look.
        """
        for placed in self.placed:
            if placed.kind in LOSSES:
                loss = self.losses[placed.key]
                is_held = any(
                    qty and placed.covers(it, who) for (who, it), (qty, _) in carried.items()
                )
                kept = loss.settled if is_held else loss.profit
                anew = Loss(day=loss.day, start=loss.start - kept, profit=loss.profit - kept)
                self.losses[placed.key] = Loss() if self.halted else anew
        if self.halted:
            self.sent.clear()
        self.books = {key: self.carried_book(key, *terms) for key, terms in carried.items()}
        self.forget_run()

    def carried_book(self, key: tuple[str, str], qty: Fraction, price: Fraction | None) -> Book:
        old, thing = self.books[key], self.things[key[1]]
        assert qty == old.held(thing), (key, qty, old)
        if old.qty:
            average = old.entry / old.qty / thing.multiplier
            average = -1 / (old.entry / old.qty / thing.multiplier) if thing.inverse else average
            assert price is not None
            assert abs(price - average) < Fraction(1, 10**9), (key, price, average)
        book = Book()
        if qty:
            assert price is not None
            book.trade(thing, qty, price)
        return book

    def new(self, name: str, ask: Ask, *, is_atomic: bool, keep: bool = False) -> PlainOrder:
        """Note that a new order was sent."""
        order = PlainOrder(
            name,
            ask.symbol,
            ask.strategy,
            ask.side,
            ask.qty,
            ask.price,
            ask.stop,
            is_atomic,
            self.now_s,
            keep,
        )
        self.orders[name] = order
        self.sent.append((self.now_s, "order", ask.strategy, ask.symbol))
        return order

    def holds(self, name: str, ask: Ask, *, is_atomic: bool, keep: bool) -> PlainOrder:
        """Note that a new order counts, and is sent once what it would meet has gone."""
        order = self.new(name, ask, is_atomic=is_atomic, keep=keep)
        order.is_held = True
        self.sent.pop()
        return order

    def releases(self, order: PlainOrder) -> None:
        """Note that an order that was held is sent."""
        order.is_held, order.sent_s = False, self.now_s
        self.sent.append((self.now_s, "order", order.strategy, order.symbol))

    def may_trade(self, symbol: str, strategy: str) -> bool:
        """Tell whether no pause holds it back."""
        return not self.paused & {"", symbol, strategy}

    def replaces(self, name: str, ask: Ask) -> None:
        """Note that a replace was sent."""
        order = ask.order
        assert order is not None
        order.change = (name, ask.qty, ask.price, order.cum)
        self.sent.append((self.now_s, "order", ask.strategy, ask.symbol))

    def cancels(self, order: PlainOrder, at_s: Fraction) -> None:
        """Note that a cancel was sent."""
        order.cancels += 1
        self.sent.append((at_s, "cancel", order.strategy, order.symbol))

    def fills(
        self,
        order: PlainOrder,
        qty: Fraction,
        price: Fraction,
        exec_id: str,
        fee: tuple[Fraction, str] | None,
    ) -> None:
        """Note a fill; `fee` None is not told yet."""
        thing = self.things[order.symbol]
        order.cum += qty
        order.spoken_of, order.presumed = True, False
        book = self.books.setdefault((order.strategy, order.symbol), Book())
        book.trade(thing, qty * order.side, price)
        if fee is None:
            estimate = abs(thing.value(qty, price)) * self.taker[thing.venue]
            book.estimates.append((exec_id, estimate))
            taken = thing.size(qty, price) * self.taker[thing.venue]
            self.spends(thing.venue, thing.quote, taken)
            self.taken[exec_id] = taken
        else:
            self.pays(book, *fee)
        if thing.is_spot:
            spent = price * qty if order.side > 0 else qty
            self.spends(thing.venue, thing.quote if order.side > 0 else thing.base, spent)
        if fee is not None:
            self.spends(thing.venue, fee[1], max(NOTHING, fee[0]))

    def fee_told(self, order: PlainOrder, exec_id: str, fee: tuple[Fraction, str]) -> None:
        """Note the fee of a fill that was told without one."""
        book = self.books[order.strategy, order.symbol]
        book.estimates = [each for each in book.estimates if each[0] != exec_id]
        self.pays(book, *fee)
        venue, quote = venue_of(order.symbol), self.things[order.symbol].quote
        more = fee[0] - (self.taken[exec_id] if fee[1] == quote else NOTHING)
        self.spends(venue, fee[1], max(NOTHING, more))

    def pays(self, book: Book, fee: Fraction, currency: str) -> None:
        book.fees[currency] = book.fees.get(currency, NOTHING) + fee

    def spends(self, venue: str, currency: str, spent: Fraction) -> None:
        """Take it off the balance, and off all credit, until the venue tells the next."""
        key = (venue, currency)
        if key in self.balances:
            self.balances[key] -= spent
        for counterparty in self.credit.get(key, {}):
            self.credit[key][counterparty] -= spent

    def told_balance(self, venue: str, currency: str, total: Fraction, locked: Fraction) -> None:
        """Note a balance: what is locked beyond what ours may spend now, others have locked."""
        self.balances[venue, currency] = total
        ours = self.reserved(venue, currency) if locked else NOTHING
        self.foreign[venue, currency] = max(NOTHING, locked - (ours or NOTHING))

    # --- orders ----------------------------------------------------------------------------

    def open_orders(self, placed: Placed, symbol: str | None = None) -> list[PlainOrder]:
        return [
            order
            for order in self.orders.values()
            if order.is_open
            and placed.covers(order.symbol, order.strategy)
            and symbol in (None, order.symbol)
        ]

    def may_fill(self, placed: Placed, symbol: str, side: int) -> Fraction:
        """Return the most that may still fill on one side, of no scope's venue but the symbol's."""
        orders = self.open_orders(placed, symbol)
        return sum((order.left() for order in orders if order.side == side), NOTHING)

    def position(self, placed: Placed, symbol: str) -> Fraction:
        thing = self.things[symbol]
        held = (
            book.held(thing)
            for (strategy, name), book in self.books.items()
            if name == symbol and placed.strategy in ("", strategy)
        )
        return sum(held, NOTHING)

    def reduces(self, placed: Placed, ask: Ask) -> bool:
        """Tell whether all that may fill on its side, and itself, stop short of zero."""
        held = self.position(placed, ask.symbol)
        return held * ask.side < 0 and self.may_fill(
            placed, ask.symbol, ask.side
        ) + ask.added() <= abs(held)

    # --- prices ----------------------------------------------------------------------------

    def bid(self, symbol: str) -> Fraction | None:
        return known(self.quotes[symbol][0]) if symbol in self.quotes else None

    def ask_px(self, symbol: str) -> Fraction | None:
        return known(self.quotes[symbol][1]) if symbol in self.quotes else None

    def mark(self, symbol: str) -> tuple[Fraction | None, Fraction | None]:
        """Return bid and ask, unless they are too old to value anything at."""
        is_fresh = symbol in self.quotes and self.now_s - self.quotes[symbol][2] <= RATE_STALE_S
        return (self.bid(symbol), self.ask_px(symbol)) if is_fresh else (None, None)

    def ways(self, source: str, target: str) -> list[list[tuple[Thing, bool]]]:
        """Return the ways from a currency to another, best first: direct, turned over, two hops."""
        spot_first = sorted(self.things.values(), key=lambda thing: not thing.is_spot)
        steps = [(thing.base, thing.quote, thing, False) for thing in spot_first]
        steps += [(thing.quote, thing.base, thing, True) for thing in spot_first]
        direct = [[(thing, turned)] for a, b, thing, turned in steps if (a, b) == (source, target)]
        hops = [
            [(first, turned), (second, turned_too)]
            for a, middle, first, turned in steps
            if a == source and middle not in (source, target)
            for b, c, second, turned_too in steps
            if (b, c) == (middle, target)
        ]
        return direct + hops

    def in_currency(self, amount: Fraction, source: str, target: str) -> Fraction | None:
        """Return an amount in another currency: what is owned is sold, what is owed is bought."""
        if source == target:
            return amount
        if abs(amount) < NOISE:  # of dividing: what is nothing needs no rate
            return NOTHING
        for way in self.ways(source, target):
            worth: Fraction | None = amount
            for thing, turned in way:
                sides = self.quotes.get(thing.symbol, (math.nan, math.nan, NOTHING))[:2]
                px = self.mark(thing.symbol)[0 if (amount > 0) is not turned else 1]
                if px is None or worth is None or any(math.isnan(each) for each in sides):
                    worth = None
                else:
                    worth = worth / px if turned else worth * px
            if worth is not None:
                return worth
        return None

    def profit(self, placed: Placed, *, settled: bool = False) -> Fraction | None:
        """Return what the scope has earned in the rule's currency; None if nobody can tell.

        With `settled`, what open positions are up or down is left out.
        """
        sums: dict[str, Fraction] = {}
        for (strategy, symbol), book in self.books.items():
            if not placed.covers(symbol, strategy):
                continue
            thing = self.things[symbol]
            worth = book.entry
            if book.qty and not settled:
                mark = self.mark(symbol)[0 if book.qty > 0 else 1]
                if mark is None:
                    return None
                worth = thing.value(book.qty, mark)
            parts = [(thing.settles_in, book.cash + worth)]
            parts += [(thing.settles_in, -fee) for _, fee in book.estimates]
            parts += [(currency, -fee) for currency, fee in book.fees.items()]
            for currency, part in parts:
                sums[currency] = sums.get(currency, NOTHING) + part
        total = NOTHING
        for currency, part in sums.items():
            converted = self.in_currency(part, currency, placed.currency)
            if converted is None:
                return None
            total += converted
        return total

    # --- looking ---------------------------------------------------------------------------

    def look(self) -> None:
        """Do what rules do at every fill and balance and once a second."""
        for placed in self.placed:
            if placed.kind in LOSSES:
                self.look_at_loss(placed)
            elif placed.kind == "stale_data":
                for symbol in self.things:
                    if placed.venue in ("", venue_of(symbol)) and self.is_stale(placed, symbol):
                        everywhere = Placed("", "")
                        resting = self.open_orders(everywhere, symbol)
                        self.must_be_canceled += [each for each in resting if not each.keep]

    def look_at_loss(self, placed: Placed) -> None:
        loss = self.losses[placed.key]
        profit, settled = self.profit(placed), self.profit(placed, settled=True)
        if profit is None or settled is None:
            loss.judgement = CANNOT_TELL
            if loss.unknown_since_s is None:
                loss.unknown_since_s = self.now_s
            if self.now_s - loss.unknown_since_s >= placed.mark_stale_s:
                self.halted = self.halted or placed.key
            return
        loss.unknown_since_s = None
        measured = LOSSES[placed.kind](loss, profit, self.now_s)
        loss.profit, loss.settled = profit, settled
        is_sure = measured == placed.limit or abs(measured - placed.limit) > NOISE
        loss.judgement = Judgement(measured < placed.limit, measured, placed.limit, is_sure)
        if measured >= placed.limit:
            self.halted = self.halted or placed.key

    def is_stale(self, placed: Placed, symbol: str) -> bool:
        limit_s = placed.limit_of(symbol)
        if limit_s is None:
            return False
        if symbol not in self.quotes:
            return True
        bid, ask, told_s = self.quotes[symbol]
        return self.now_s - told_s > limit_s or bid > ask

    # --- the rules -------------------------------------------------------------------------

    def judge(self, ask: Ask) -> dict[str, Judgement]:
        """Return what each rule should say, by its place in the config."""
        return {
            placed.key: (
                getattr(self, f"_{placed.kind}")(placed, ask)
                if placed.covers(ask.symbol, ask.strategy)
                else PASSES
            )
            for placed in self.placed
        }

    def _max_order_qty(self, placed: Placed, ask: Ask) -> Judgement:
        limit = placed.limit_of(ask.symbol)
        return PASSES if limit is None else at_most(ask.qty, limit)

    def _max_order_notional(self, placed: Placed, ask: Ask) -> Judgement:
        limit, thing = placed.limit_of(ask.symbol), self.things[ask.symbol]
        if limit is None:
            return PASSES
        if ask.stop is not None:
            prices: list[Fraction | None] = [ask.price or ask.stop]
        elif ask.side > 0:  # at most its price
            prices = [ask.price or self.ask_px(ask.symbol)]
        else:  # at least its price
            prices = [ask.price, self.bid(ask.symbol)]
        if thing.inverse:
            prices = [Fraction(1)]  # worth the same at any price
        found = [each for each in prices if each is not None]
        if not found:
            return CANNOT_TELL
        return at_most(thing.size(ask.qty, max(found)), limit)

    def _price_collar_bps(self, placed: Placed, ask: Ask) -> Judgement:
        limit = placed.limit_of(ask.symbol)
        if limit is None:
            return PASSES
        touch = self.ask_px(ask.symbol) if ask.side > 0 else self.bid(ask.symbol)
        if touch is None:
            excused = ask.price is not None and self.reduces(placed, ask)
            return Judgement(passes=BLIND_LETS_PRICED_REDUCING_PASS and excused)
        if ask.price is None:
            return PASSES
        origin = touch if ask.stop is None else ask.stop
        return at_most((ask.price - origin) * ask.side / origin * 10_000, limit)

    def _max_position(self, placed: Placed, ask: Ask) -> Judgement:
        limit = placed.limit_of(ask.symbol)
        if limit is None:
            return PASSES
        bought_or_sold = self.may_fill(placed, ask.symbol, ask.side) + ask.added()
        return at_most(self.position(placed, ask.symbol) * ask.side + bought_or_sold, limit)

    def _max_exposure(self, placed: Placed, ask: Ask) -> Judgement:
        total: Fraction | None = NOTHING
        for symbol in self.things:
            if placed.venue in ("", venue_of(symbol)):
                worth = self.worth_at_worst(placed, ask, symbol)
                total = None if worth is None or total is None else total + worth
        if self.reduces(placed, ask):
            return attrs.evolve(PASSES, measured=total, limit=placed.limit)
        return CANNOT_TELL if total is None else at_most(total, placed.limit)

    def worth_at_worst(self, placed: Placed, ask: Ask, symbol: str) -> Fraction | None:
        """Return the larger of all bought and all sold, at the ask or what is asked for."""
        thing, mine = self.things[symbol], ask.symbol == symbol
        held = self.position(placed, symbol)
        ends = []
        for side in (1, -1):
            more = ask.added() if mine and ask.side == side else NOTHING
            ends.append(abs(held + side * (self.may_fill(placed, symbol, side) + more)))
        if not max(ends):
            return NOTHING
        price = Fraction(1) if thing.inverse else self.mark(symbol)[1]
        if price is None:
            return None
        if mine and ask.price is not None:
            price = max(price, ask.price)
        debt = self.in_currency(-thing.size(max(ends), price), thing.quote, placed.currency)
        return None if debt is None else -debt

    def _max_open_orders(self, placed: Placed, ask: Ask) -> Judgement:
        limit = placed.limit_of(ask.symbol)
        if limit is None:
            return PASSES
        only = None if placed.by_symbol is None else ask.symbol
        count = len(self.open_orders(placed, only)) + (ask.order is None)
        return at_most(Fraction(count), limit)

    def sent_within(self, placed: Placed, what: str) -> int:
        return sum(
            1
            for at_s, kind, strategy, symbol in self.sent
            if kind == what and at_s > self.now_s - placed.per_s and placed.covers(symbol, strategy)
        )

    def _max_order_rate(self, placed: Placed, ask: Ask) -> Judgement:
        return at_most(Fraction(self.sent_within(placed, "order") + 1), placed.limit)

    def _max_cancel_rate(self, placed: Placed, ask: Ask) -> Judgement:
        if ask.order is not None or ask.at_once:
            return PASSES
        needed = self.sent_within(placed, "cancel") + len(self.open_orders(placed)) + 1
        return at_most(Fraction(needed), placed.limit)

    def _self_trade(self, placed: Placed, ask: Ask) -> Judgement:
        met = [
            order
            for order in self.open_orders(placed, ask.symbol)
            if order.side != ask.side
            and any(
                ask.price is None or price is None or (ask.price - price) * ask.side >= 0
                for price in order.prices()
            )
        ]
        return at_most(Fraction(len(met)), NOTHING)

    def _stale_data(self, placed: Placed, ask: Ask) -> Judgement:
        excused = (
            BLIND_LETS_PRICED_REDUCING_PASS and ask.price is not None and self.reduces(placed, ask)
        )
        return Judgement(passes=excused or not self.is_stale(placed, ask.symbol))

    def _funds(self, placed: Placed, ask: Ask) -> Judgement:
        thing = self.things[ask.symbol]
        if not thing.is_spot:
            return PASSES
        currency = thing.quote if ask.side > 0 else thing.base
        total = self.has(placed, (thing.venue, currency))
        reserved = self.reserved(thing.venue, currency)
        if ask.side < 0:
            spends: Fraction | None = ask.added()
        else:
            spends = self.cost(ask.symbol, ask.qty, [ask.price], ask.stop)
        if total is None or reserved is None or spends is None:
            return Judgement(passes=self.reduces(placed, ask))
        return at_most(spends, total - reserved)

    def has(self, placed: Placed, key: tuple[str, str]) -> Fraction | None:
        """Return what there is to spend; None if nobody has told."""
        if placed.setting == "credit":
            return min(self.credit[key].values()) if key in self.credit else None
        if key not in self.balances:
            return None
        return self.balances[key] - self.foreign.get(key, NOTHING)

    def reserved(self, venue: str, currency: str) -> Fraction | None:
        """Return the most that open orders may spend of a currency."""
        total = NOTHING
        for order in self.orders.values():
            thing = self.things[order.symbol]
            if not order.is_open or thing.venue != venue or not thing.is_spot:
                continue
            if order.side < 0 and thing.base == currency:
                total += order.left()
            if order.side > 0 and thing.quote == currency:
                cost = self.cost(order.symbol, order.left(), order.prices(), order.stop)
                if cost is None:
                    return None
                total += cost
        return total

    def cost(
        self,
        symbol: str,
        qty: Fraction,
        prices: list[Fraction | None],
        stop: Fraction | None,
    ) -> Fraction | None:
        """Return what a buy costs: at the highest limit, or else at the ask or its stop."""
        limits = [price for price in prices if price is not None]
        if not limits:
            ask_px = self.ask_px(symbol)
            if ask_px is None:
                return None
            limits = [ask_px, stop or NOTHING]
        fee = self.taker[venue_of(symbol)] if FUNDS_COUNT_TAKER_FEES else NOTHING
        return qty * max(limits) * (1 + fee)

    def _max_daily_loss(self, placed: Placed, ask: Ask) -> Judgement:
        judged = self.losses[placed.key].judgement
        if self.reduces(placed, ask):
            return attrs.evolve(judged, passes=True)
        return judged

    _max_drawdown = _max_daily_loss


def daily(loss: Loss, profit: Fraction, now_s: Fraction) -> Fraction:
    """Return what was lost since the last look before midnight UTC."""
    day = int(now_s // DAY_S)
    if loss.day != day:
        loss.start = NOTHING if loss.day is None else loss.profit
        loss.day = day
    return loss.start - profit


def drawdown(loss: Loss, profit: Fraction, now_s: Fraction) -> Fraction:
    """Return how far profit is below its highest."""
    del now_s
    loss.start = max(loss.start, profit)
    return loss.start - profit


LOSSES: Final[Mapping[str, Callable[[Loss, Fraction, Fraction], Any]]] = {
    "max_daily_loss": daily,
    "max_drawdown": drawdown,
}
