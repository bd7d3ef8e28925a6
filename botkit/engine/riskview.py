"""What risk rules see of the engine: one view for the bot, and one for each narrower scope."""

from decimal import Decimal
from math import inf, nan
from typing import TYPE_CHECKING, Final

import attrs

from botkit.engine.accounts import Accounts
from botkit.model import Instrument, NewOrder, ReplaceOrder, Side
from botkit.orders import Order
from botkit.ports import RiskContext, RiskRule, RiskScope, Verdict

if TYPE_CHECKING:
    from collections.abc import Mapping

    from botkit.engine.core import Engine

__all__ = ["EngineView", "ScopedRule"]

ZERO: Final = Decimal(0)


@attrs.frozen
class ScopedRule:
    """A rule for a part of the bot; `key` is where the config has it.

    Requests from outside its scope pass.
    """

    key: str
    scope: RiskScope
    rule: RiskRule

    def check(self, request: NewOrder | ReplaceOrder, context: RiskContext) -> Verdict:
        """Ask the rule, with the context of the scope."""
        if not self.scope.covers(request.symbol, request.strategy):
            return Verdict(self.key, passed=True)
        narrow = context.view.narrowed(self.scope).context(request.symbol)
        verdict = self.rule.check(request, narrow)
        return Verdict(
            self.key,
            verdict.passed,
            verdict.limit,
            verdict.measured,
            verdict.text and f"{self.key}: {verdict.text}",
            verdict.in_the_way,
            verdict.waits,
        )


class EngineView:
    """One scope of a running engine. Implements `botkit.ports.RiskView`."""

    def __init__(
        self, engine: "Engine", scope: RiskScope, accounts: Accounts | None = None
    ) -> None:
        self._engine = engine
        # One for all scopes: an account knows no strategies.
        settings = engine.settings
        self.accounts = accounts or Accounts(settings.instruments, settings.fees, self.reserved)
        self.scope = scope
        self.instruments: Mapping[str, Instrument] = {
            symbol: instrument
            for symbol, instrument in engine.settings.instruments.items()
            if scope.covers(symbol, scope.strategy)
        }
        self._narrowed: dict[RiskScope, EngineView] = {scope: self}
        self._contexts: dict[str, RiskContext] = {}
        self._spot: dict[tuple[str, str], tuple[list[str], list[str]]] = {}

    @property
    def now_ns(self) -> int:
        """The engine's time."""
        return self._engine.now_ns

    def narrowed(self, scope: RiskScope) -> "EngineView":
        """Return the view of a part of the bot, always the same."""
        view = self._narrowed.get(scope)
        if view is None:
            view = self._narrowed[scope] = EngineView(self._engine, scope, self.accounts)
        return view

    def context(self, symbol: str) -> RiskContext:
        """Return this scope's context for one instrument, brought up to date."""
        context = self._contexts.get(symbol)
        if context is None:
            context = self._contexts[symbol] = RiskContext(
                instrument=self._engine.settings.instruments[symbol],
                bid_px=nan,
                ask_px=nan,
                now_ns=0,
                workload=self if self.scope.strategy or self.scope.venue else self._engine.orders,
                position=self.position,
                view=self,
            )
        context.bid_px, context.ask_px = self.touch(symbol)
        context.now_ns = self._engine.now_ns
        return context

    # --- orders -----------------------------------------------------------------------------

    def leaves(self, symbol: str, side: Side) -> Decimal:
        """Return the most that may still fill on `side`."""
        orders, strategy = self._engine.orders, self.scope.strategy
        if not strategy:
            return orders.leaves(symbol, side)
        return sum(
            (
                order.worst_leaves()
                for order in orders.working(strategy=strategy, symbol=symbol)
                if order.side is side
            ),
            ZERO,
        )

    def open_orders(self, symbol: str | None = None) -> int:
        """Return how many orders may be working, of one instrument or of all."""
        scope = self.scope
        if not (scope.strategy or scope.venue):
            return self._engine.orders.open_orders(symbol)
        return len(self._working(symbol))

    def _working(self, symbol: str | None = None) -> list[Order]:
        scope = self.scope
        return self._engine.orders.working(
            strategy=scope.strategy or None, symbol=symbol, venue=scope.venue or None
        )

    def added_leaves(self, request: ReplaceOrder) -> Decimal:
        """Return by how much a replace raises what may fill, old plus new if not atomic."""
        return self._engine.orders.added_leaves(request)

    def meeting(self, symbol: str, side: Side, price: Decimal | None) -> list[Order]:
        """Return the open orders of the scope that an order of `side` at `price` could meet."""
        strategy = self.scope.strategy
        found = self._engine.orders.meeting(symbol, side, price)
        return [order for order in found if order.strategy == strategy] if strategy else found

    # --- markets ----------------------------------------------------------------------------

    def touch(self, symbol: str) -> tuple[float, float]:
        """Return best bid and ask; nan where unknown."""
        return self._engine.channels[symbol].market.touch

    def mark(self, symbol: str) -> tuple[float, float]:
        """Return best bid and ask to value a position at; nan where unknown or stale."""
        return self._engine.money.rates.fresh_quote(symbol, self._engine.now_ns)

    def age_ns(self, symbol: str) -> int | None:
        """Return how old the last quote or book is; None if there is none, or a gap since."""
        channel = self._engine.channels[symbol]
        quote = channel.market.quote
        if quote is None:
            return None
        return self._engine.now_ns - max(quote.receive_time_ns, channel.book_ns)

    # --- money ------------------------------------------------------------------------------

    def position(self, symbol: str) -> Decimal:
        """Return the signed position, in base units (contracts)."""
        return self._engine.portfolio.position(symbol, self.scope.strategy or None)

    def total(self, venue: str, currency: str) -> Decimal | None:
        """Return what the account surely has: the venue's total less what fills took since."""
        return self.accounts.total(venue, currency)

    def foreign_locks(self, venue: str, currency: str) -> Decimal:
        """Return what orders that are not ours lock of the total, as last told."""
        return self.accounts.foreign(venue, currency)

    def credit(self, venue: str, currency: str) -> Decimal | None:
        """Return the least headroom any counterparty gives, less what fills took since."""
        return self.accounts.credit(venue, currency)

    def fee_rate(self, venue: str) -> Decimal:
        """Return the most a trade may cost, as a share of its notional."""
        return self.accounts.fee_rate(venue)

    def reserved(self, venue: str, currency: str) -> Decimal | None:
        """Return the most our open spot orders may spend; None if one has no price to tell by.

        Fees of buys are included. Of the whole bot, in every scope: an account knows no strategies.
        """
        spot = self._spot.get((venue, currency))
        if spot is None:
            spot = self._spot[venue, currency] = self._spot_of(venue, currency)
        sold, bought = spot
        orders = self._engine.orders
        total = orders.reserved(bought, self._worth_of)
        if total is None:
            return None
        if total:
            total += total * self.accounts.fee_rate(venue)
        for symbol in sold:
            total += orders.leaves(symbol, Side.SELL)
        return total

    def _spot_of(self, venue: str, currency: str) -> tuple[list[str], list[str]]:
        """Return the spot symbols of `venue` that sell `currency`, and those bought with it."""
        spot = [
            each
            for each in self._engine.settings.instruments.values()
            if each.venue == venue and not each.inverse and each.contract_multiplier == 1
        ]
        return (
            [each.symbol for each in spot if each.base == currency],
            [each.symbol for each in spot if each.quote == currency],
        )

    def _worth_of(self, order: Order) -> Decimal | None:
        """Return the most a buy without a limit, or being replaced, may pay; None if unknown."""
        prices = [price for price in order.prices() if price is not None]
        if not prices:
            ask = _known(self.touch(order.symbol)[1])
            if ask is None:
                return None
            prices = [ask if order.stop_px is None else max(ask, order.stop_px)]
        return max(prices) * order.worst_leaves()

    def is_flat(self) -> bool:
        """Tell whether no strategy of the scope holds anything: two that net out are not flat."""
        covers = self.scope.covers
        positions = self._engine.portfolio.positions()
        return not any(each.qty and covers(each.symbol, each.strategy) for each in positions)

    def profit(self, currency: str, *, settled: bool = False) -> Decimal | None:
        """Return realised + unrealised - fees of this run; None if a mark or rate is not fresh.

        With `settled`, what open positions are up or down is left out.
        """
        portfolio, touch = self._engine.portfolio, self.mark
        strategy, venue = self.scope.strategy or None, self.scope.venue or None
        if portfolio.incomplete(touch, strategy=strategy, venue=venue):
            return None
        total = ZERO
        for point in portfolio.equity(touch, self.now_ns, strategy=strategy, venue=venue):
            earned = point.realised - point.fees if settled else point.equity
            converted = self.convert(earned, point.currency, currency)
            if converted is None:
                return None
            total += converted
        return total

    def convert(self, amount: Decimal, source: str, target: str) -> Decimal | None:
        """Return an amount in another currency, at the touch that makes it least; None unknown."""
        engine = self._engine
        return engine.money.rates.least_worth(amount, source, target, engine.now_ns)


def _known(px: float) -> Decimal | None:
    """Return a price of the market as money; None if there is none."""
    return Decimal(repr(float(px))) if 0 < px < inf else None
