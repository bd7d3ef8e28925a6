"""Positions, profit and fees from fills: exact Decimals, per strategy and instrument.

A position is kept as a signed quantity and the signed *worth* it was entered at, not as an
average price, so that money always adds up: what was realised plus what is still held at cost
is exactly what the fills paid. Worth is price x quantity x multiplier in quote currency; for an
inverse contract it is minus quantity x multiplier / price, in base currency, which makes profit
of both the worth now less the worth at entry.

Only two things are divided, and so rounded, to 24 decimal places: the share of the worth that a
partial close releases, and the worth of an inverse contract. Nothing is lost by it: what one
part does not get the other keeps.
"""

from collections.abc import Callable, Iterator, Mapping
from decimal import ROUND_HALF_EVEN, Context, Decimal, Inexact
from math import isnan
from typing import Final

import attrs

from botkit.errors import InvariantError
from botkit.model import ClientOrderId, EquityPoint, ExecId, Fill, Instrument, Side

__all__ = ["Portfolio", "PositionView", "QuoteOf"]

QuoteOf = Callable[[str], tuple[float, float]]
"""Best bid and ask of a symbol; nan where unknown."""

ZERO: Final = Decimal(0)
EXACT: Final = Context(prec=120, traps=[Inexact])  # refuses to round rather than do it silently
DIVIDE: Final = Context(prec=64, rounding=ROUND_HALF_EVEN)
SHARE: Final = Decimal("1e-24")


@attrs.frozen(kw_only=True)
class PositionView:
    """One strategy's position in one instrument, as it is now.

    `qty` is signed, in base units (contracts). `average_px` is None when flat. `realised` is in
    `currency` (quote; base for an inverse contract), before `fees`, which are by currency.
    `fees_untold` counts fills whose commission the venue has not told yet.
    """

    strategy: str
    symbol: str
    qty: Decimal
    average_px: Decimal | None
    realised: Decimal
    currency: str
    fees: Mapping[str, Decimal]
    fees_untold: int


class _Position:
    """One strategy's holding of one instrument."""

    __slots__ = ("currency", "fees", "fees_untold", "instrument", "qty", "realised", "worth")

    def __init__(self, instrument: Instrument) -> None:
        self.instrument = instrument
        self.currency = instrument.base if instrument.inverse else instrument.quote
        self.qty = ZERO
        self.worth = ZERO  # what `qty` was entered at; of its sign (opposite for inverse)
        self.realised = ZERO
        self.fees: dict[str, Decimal] = {}
        self.fees_untold = 0

    def worth_of(self, qty: Decimal, price: Decimal) -> Decimal:
        """Return the signed worth of a signed quantity at `price`."""
        instrument = self.instrument
        if instrument.inverse:
            contracts = EXACT.multiply(qty, instrument.contract_multiplier)
            return -DIVIDE.quantize(DIVIDE.divide(contracts, price), SHARE)
        worth = EXACT.multiply(qty, price)
        if instrument.contract_multiplier == 1:
            return worth
        return EXACT.multiply(worth, instrument.contract_multiplier)

    def trade(self, qty: Decimal, price: Decimal) -> None:
        """Book a signed quantity at `price`."""
        held, worth = self.qty, self.worth_of(qty, price)
        after = EXACT.add(held, qty)
        self.qty = after
        if not held or (held > 0) is (qty > 0):
            self.worth = EXACT.add(self.worth, worth)
            return
        if not after or (after > 0) is (held > 0):
            kept = self._share(self.worth, after, held)
            left = ZERO
        else:  # through zero: part of this trade closes, the rest opens the other way
            kept = ZERO
            left = self._share(worth, after, qty)
        # Realised is what closing paid less what the closed part was entered at.
        closing = EXACT.subtract(worth, left)
        released = EXACT.subtract(self.worth, kept)
        self.realised = EXACT.subtract(self.realised, EXACT.add(closing, released))
        self.worth = EXACT.add(kept, left)

    @staticmethod
    def _share(worth: Decimal, part: Decimal, whole: Decimal) -> Decimal:
        if not part:
            return ZERO
        return DIVIDE.quantize(DIVIDE.divide(EXACT.multiply(worth, part), whole), SHARE)

    def pay(self, commission: Decimal, currency: str) -> None:
        """Book a fee; negative for a rebate."""
        self.fees[currency] = EXACT.add(self.fees.get(currency, ZERO), commission)

    def average_px(self) -> Decimal | None:
        """Return the price at which `qty` has this worth; None when flat."""
        if not self.qty:
            return None
        contracts = self.qty * self.instrument.contract_multiplier
        return -contracts / self.worth if self.instrument.inverse else self.worth / contracts

    def unrealised(self, bid_px: float, ask_px: float) -> Decimal | None:
        """Return profit if it were closed at the bid (long) or ask (short); None if unknown."""
        if not self.qty:
            return ZERO
        mark = bid_px if self.qty > 0 else ask_px
        if isnan(mark):
            return None
        now = self.worth_of(self.qty, Decimal(repr(float(mark))))
        return EXACT.subtract(now, self.worth)


class Portfolio:
    """What the fills so far amount to.

    A position is the sum of fills, also where a fee is taken in the base currency: such a fee
    is under that currency in `fees`. Each strategy's position is marked by itself, so two that
    hold opposite positions of one instrument show its spread as a loss: the cautious figure.
    """

    def __init__(self, instruments: Mapping[str, Instrument]) -> None:
        self._instruments = instruments
        self._positions: dict[tuple[str, str], _Position] = {}  # by strategy and symbol
        self._net: dict[str, Decimal] = {}  # by symbol
        self._untold: dict[tuple[ClientOrderId, ExecId | None], int] = {}

    def apply(self, fill: Fill) -> None:
        """Book one fill. The caller sees to it that each fill comes once."""
        symbol = fill.symbol
        position = self._positions.get((fill.strategy, symbol))
        if position is None:
            position = self._open(fill)
        qty = fill.qty if fill.side is Side.BUY else -fill.qty
        position.trade(qty, fill.price)
        self._net[symbol] = EXACT.add(self._net[symbol], qty)
        if fill.commission is None:
            position.fees_untold += 1
            key = (fill.client_order_id, fill.exec_id)
            self._untold[key] = self._untold.get(key, 0) + 1
        elif fill.commission:
            position.pay(fill.commission, fill.commission_currency)

    def amend(self, fill: Fill) -> None:
        """Book the commission of a fill applied without one. Quantity and price are not looked at.

        Raises
        ------
        InvariantError
            `fill` still has no commission, or no fill of this order and exec id waits for one.
        """
        key = (fill.client_order_id, fill.exec_id)
        waiting = self._untold.get(key, 0)
        position = self._positions.get((fill.strategy, fill.symbol))
        if fill.commission is None or not waiting or position is None:
            raise InvariantError(
                f"order {fill.client_order_id}, execution {fill.exec_id}: cannot book a commission "
                f"of {fill.commission} {fill.commission_currency}, since {waiting} such fills of "
                f"{fill.symbol} wait for one; compare the fees with the venue's statement"
            )
        if waiting == 1:
            del self._untold[key]
        else:
            self._untold[key] = waiting - 1
        position.fees_untold -= 1
        position.pay(fill.commission, fill.commission_currency)

    def position(self, symbol: str, strategy: str | None = None) -> Decimal:
        """Return the signed quantity a strategy holds, or all of them together."""
        if strategy is None:
            return self._net.get(symbol, ZERO)
        position = self._positions.get((strategy, symbol))
        return ZERO if position is None else position.qty

    def average_px(self, symbol: str, strategy: str) -> Decimal | None:
        """Return the average entry price of a strategy's position; None when flat."""
        position = self._positions.get((strategy, symbol))
        return None if position is None else position.average_px()

    def realised(self, currency: str, strategy: str | None = None) -> Decimal:
        """Return profit realised in `currency`, before fees, of a strategy or of all."""
        held = self._held(strategy)
        return _total(position.realised for position in held if position.currency == currency)

    def fees(self, currency: str, strategy: str | None = None) -> Decimal:
        """Return fees paid in `currency` (as told so far), by a strategy or by all."""
        return _total(position.fees.get(currency, ZERO) for position in self._held(strategy))

    def positions(self) -> list[PositionView]:
        """Return every position there was, flat ones too, in order of their first fills."""
        return [
            PositionView(
                strategy=strategy,
                symbol=symbol,
                qty=position.qty,
                average_px=position.average_px(),
                realised=position.realised,
                currency=position.currency,
                fees=dict(position.fees),
                fees_untold=position.fees_untold,
            )
            for (strategy, symbol), position in self._positions.items()
        ]

    def equity(self, quote_of: QuoteOf, now_ns: int) -> list[EquityPoint]:
        """Return one point per currency in which anything was earned, held or paid.

        Nothing is guessed: a currency with a position that has no mark is left out, and named
        by `incomplete`. Currencies are not converted.
        """
        lacking = self.incomplete(quote_of)
        points: list[EquityPoint] = []
        for currency in self._currencies():
            if currency in lacking:
                continue
            realised, fees = self.realised(currency), self.fees(currency)
            unrealised = _total(
                position.unrealised(*quote_of(symbol)) or ZERO
                for (_, symbol), position in self._positions.items()
                if position.currency == currency
            )
            points.append(
                EquityPoint(
                    currency=currency,
                    realised=realised,
                    unrealised=unrealised,
                    fees=fees,
                    equity=EXACT.subtract(EXACT.add(realised, unrealised), fees),
                    receive_time_ns=now_ns,
                )
            )
        return points

    def profit(
        self, quote_of: QuoteOf, wanted: Callable[[str, str], bool]
    ) -> dict[str, Decimal] | None:
        """Return profit after fees by currency of the positions that `wanted(strategy, symbol)`.

        None if one of them has no mark.
        """
        profit: dict[str, Decimal] = {}
        for (strategy, symbol), position in self._positions.items():
            if not wanted(strategy, symbol):
                continue
            unrealised = position.unrealised(*quote_of(symbol))
            if unrealised is None:
                return None
            made = EXACT.add(position.realised, unrealised)
            profit[position.currency] = EXACT.add(profit.get(position.currency, ZERO), made)
            for currency, fee in position.fees.items():
                profit[currency] = EXACT.subtract(profit.get(currency, ZERO), fee)
        return profit

    def incomplete(self, quote_of: QuoteOf) -> dict[str, tuple[str, ...]]:
        """Return, by currency, the symbols held without a mark; empty if `equity` is whole."""
        lacking: dict[str, dict[str, None]] = {}
        for (_, symbol), position in self._positions.items():
            if position.unrealised(*quote_of(symbol)) is None:
                lacking.setdefault(position.currency, {})[symbol] = None
        return {currency: tuple(symbols) for currency, symbols in lacking.items()}

    def _open(self, fill: Fill) -> _Position:
        instrument = self._instruments.get(fill.symbol)
        if instrument is None:
            raise InvariantError(
                f"fill {fill.exec_id} of order {fill.client_order_id}: {fill.symbol} is not among "
                f"the instruments ({', '.join(self._instruments)}), so it cannot be booked"
            )
        position = _Position(instrument)
        self._positions[fill.strategy, fill.symbol] = position
        self._net.setdefault(fill.symbol, ZERO)
        return position

    def _held(self, strategy: str | None) -> list[_Position]:
        return [
            position
            for (owner, _), position in self._positions.items()
            if strategy is None or owner == strategy
        ]

    def _currencies(self) -> list[str]:
        found: dict[str, None] = {}
        for position in self._positions.values():
            found[position.currency] = None
            found.update(dict.fromkeys(position.fees))
        return list(found)


def _total(values: Iterator[Decimal]) -> Decimal:
    total = ZERO
    for value in values:
        total = EXACT.add(total, value)
    return total
