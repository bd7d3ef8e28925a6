"""What fills and adjustments amount to, per strategy, instrument, venue and currency."""

from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal

import attrs

from botkit.errors import InvariantError
from botkit.model import (
    Adjustment,
    AdjustmentKind,
    ClientOrderId,
    EquityPoint,
    ExecId,
    FeeTold,
    Fill,
    Instrument,
    Side,
)
from botkit.portfolio.position import EXACT, ZERO, Position, QuoteOf
from botkit.ports import FeeSchedule

__all__ = ["Portfolio", "PositionView"]

BUY = Side.BUY
NO_FEES = FeeSchedule()


@attrs.frozen(kw_only=True)
class PositionView:
    """One strategy's position in one instrument, as it is now.

    `qty` is signed, in base units (contracts), less the fees that a spot venue took out of it.
    `average_px` is None when flat. `realised` is in `currency` (quote; base for an inverse
    contract), before `fees`, which are by currency and as told. `fees_untold` counts fills whose
    commission the venue has not told yet; `fees_estimated` is what they cost at the taker rate,
    in `currency`.
    """

    strategy: str
    symbol: str
    qty: Decimal
    average_px: Decimal | None
    realised: Decimal
    currency: str
    fees: Mapping[str, Decimal]
    fees_untold: int
    fees_estimated: Decimal = ZERO


@attrs.define(eq=False)
class _Untold:
    """What of a fill waits for its commission, and the estimate booked for that."""

    exec_id: ExecId | None
    qty: Decimal
    price: Decimal
    fee: Decimal


class Portfolio:
    """What the fills and adjustments so far amount to.

    Each strategy's position is marked by itself, so two that hold opposite positions of one
    instrument show its spread as a loss: the cautious figure. Where `strategy`, `symbol` or
    `venue` may be named, only positions of that strategy, instrument or venue are looked at.

    `fees` are the venues' schedules by name, for fees not told yet; a venue without one is taken
    to be free. `revision` counts what was booked.
    """

    def __init__(
        self,
        instruments: Mapping[str, Instrument],
        fees: Mapping[str, FeeSchedule] | None = None,
    ) -> None:
        self.revision = 0
        self._instruments = instruments
        self._schedules = fees or {}
        self._positions: dict[tuple[str, str], Position] = {}  # by strategy and symbol
        self._of_symbol: dict[str, list[Position]] = {}
        self._untold: dict[ClientOrderId, list[_Untold]] = {}
        self._deposited: dict[tuple[str, str], Decimal] = {}  # by venue and currency; see adjust

    def apply(self, fill: Fill) -> None:
        """Book one fill. The caller sees to it that each fill comes once."""
        self.revision += 1
        position = self._positions.get((fill.strategy, fill.symbol))
        if position is None:
            position = self._open(fill.strategy, fill.symbol, f"fill {fill.exec_id}")
        position.trade(fill.qty if fill.side is BUY else -fill.qty, fill.price)
        commission = fill.commission
        if commission is None:
            fee = position.estimate_fee(fill.qty, fill.price)
            untold = _Untold(fill.exec_id, fill.qty, fill.price, fee)
            self._untold.setdefault(fill.client_order_id, []).append(untold)
        elif commission:
            position.pay(commission, fill.commission_currency)

    def amend(self, told: Fill | FeeTold) -> None:
        """Book the commission of what was applied without one; the estimate made for it goes.

        That is the fill of the same exec id; where a venue tells totals, as much of the order's
        fills as the execution was, those first that name none. The price is not looked at.

        Raises
        ------
        InvariantError
            There still is no commission, or not as much of this order's fills waits for one.
        """
        waiting = self._untold.get(told.client_order_id, [])
        position = self._positions.get((told.strategy, told.symbol))
        charged = _charged(waiting, told)
        if told.commission is None or not charged or position is None:
            raise InvariantError(
                f"order {told.client_order_id}, execution {told.exec_id}: cannot book a commission "
                f"of {told.commission} {told.commission_currency} for {told.qty or 'all of it'}, "
                f"since {_total(each.qty for each in waiting)} {told.symbol} of this order wait "
                "for one; compare the fees with the venue's statement"
            )
        self.revision += 1
        for untold, qty in charged:
            position.forget_estimate(untold.fee)
            untold.qty = EXACT.subtract(untold.qty, qty)
            if untold.qty:
                untold.fee = position.estimate_fee(untold.qty, untold.price)
            else:
                waiting.remove(untold)
        if not waiting:
            del self._untold[told.client_order_id]
        position.pay(told.commission, told.commission_currency)

    def adjust(self, adjustment: Adjustment) -> None:
        """Book what came or went without an order of ours; it changes no realised profit.

        Raises
        ------
        InvariantError
            The instrument is not known, or a quantity has no price.
        """
        self.revision += 1
        if adjustment.kind is AdjustmentKind.DEPOSIT:
            self._deposit(adjustment.venue, adjustment.currency, adjustment.amount)
            return
        symbol, qty, price = adjustment.symbol, adjustment.qty, adjustment.price
        position = self._positions.get((adjustment.strategy, symbol))
        if position is None:
            position = self._open(adjustment.strategy, symbol, f"adjustment of {qty}")
        if not qty:
            return  # flat, and known to be: an opening inventory is not to be booked again
        if price is None:
            raise InvariantError(
                f"adjustment of {qty} {symbol}: it has no price; give what it counts as bought at"
            )
        added = position.adjust(qty, price)
        if not position.is_spot:
            return
        # `balance_change` reads the balances from qty and worth; bring it to what really moved.
        venue, base, quote = (
            position.instrument.venue,
            position.instrument.base,
            position.instrument.quote,
        )
        if adjustment.kind is AdjustmentKind.TRADE:
            self._deposit(venue, quote, EXACT.subtract(added, EXACT.multiply(qty, price)))
        else:
            self._deposit(venue, base, -qty)
            self._deposit(venue, quote, added)

    def position(self, symbol: str, strategy: str | None = None) -> Decimal:
        """Return the signed quantity a strategy holds, or all of them together.

        A fee that a spot venue takes in base currency is taken off.
        """
        if strategy is not None:
            position = self._positions.get((strategy, symbol))
            return ZERO if position is None else position.held
        held = self._of_symbol.get(symbol, ())
        if len(held) == 1:
            return held[0].held
        return _total(position.held for position in held)

    def average_px(self, symbol: str, strategy: str) -> Decimal | None:
        """Return the average entry price of a strategy's position; None when flat."""
        position = self._positions.get((strategy, symbol))
        return None if position is None else position.average_px()

    def realised(self, currency: str, strategy: str | None = None) -> Decimal:
        """Return profit realised in `currency`, before fees, of a strategy or of all."""
        held = self._within(strategy)
        return _total(position.realised for position in held if position.currency == currency)

    def fees(self, currency: str, strategy: str | None = None) -> Decimal:
        """Return fees paid in `currency` (as told so far), by a strategy or by all."""
        return _total(position.fees.get(currency, ZERO) for position in self._within(strategy))

    def positions(self) -> list[PositionView]:
        """Return every position there was, flat ones too, in order of their first fills."""
        return [
            PositionView(
                strategy=strategy,
                symbol=symbol,
                qty=position.held,
                average_px=position.average_px(),
                realised=position.realised,
                currency=position.currency,
                fees=dict(position.fees),
                fees_untold=position.fees_untold,
                fees_estimated=position.fees_estimated,
            )
            for (strategy, symbol), position in self._positions.items()
        ]

    def last_px(self, symbol: str, strategy: str) -> Decimal | None:
        """Return the price of the last fill or adjustment of a position; None if there was none."""
        position = self._positions.get((strategy, symbol))
        return None if position is None else position.last_px

    def equity(
        self,
        quote_of: QuoteOf,
        now_ns: int,
        *,
        strategy: str | None = None,
        symbol: str | None = None,
        venue: str | None = None,
    ) -> list[EquityPoint]:
        """Return one point per currency in which anything was earned, held or paid.

        Nothing is guessed: a currency with a position that has no mark is left out, and named
        by `incomplete`. Currencies are not converted; `total_of` does that.
        """
        positions = self._within(strategy, symbol, venue)
        lacking = _lacking(positions, quote_of)
        return [
            _point(positions, currency, quote_of, now_ns)
            for currency in _currencies(positions)
            if currency not in lacking
        ]

    def incomplete(
        self,
        quote_of: QuoteOf,
        *,
        strategy: str | None = None,
        symbol: str | None = None,
        venue: str | None = None,
    ) -> dict[str, tuple[str, ...]]:
        """Return, by currency, the symbols held without a mark; empty if `equity` is whole."""
        lacking = _lacking(self._within(strategy, symbol, venue), quote_of)
        return {currency: tuple(symbols) for currency, symbols in lacking.items()}

    def balance_change(self, venue: str, currency: str) -> Decimal | None:
        """Return by how much a balance has changed, as fills, fees and adjustments say.

        None where they cannot: a fee of this venue is not told yet, or contracts settle in this
        currency there.
        """
        change = self._deposited.get((venue, currency), ZERO)
        for position in self._within(venue=venue):
            if position.fees_untold or not (position.is_spot or position.currency != currency):
                return None
            if position.is_spot:
                change = EXACT.add(change, position.balance_change(currency))
            else:
                change = EXACT.subtract(change, position.fees.get(currency, ZERO))
        return change

    def _open(self, strategy: str, symbol: str, what: str) -> Position:
        instrument = self._instruments.get(symbol)
        if instrument is None:
            raise InvariantError(
                f"{what} of strategy {strategy or 'none'}: {symbol} is not among the instruments "
                f"({', '.join(self._instruments)}), so it cannot be booked"
            )
        schedule = self._schedules.get(instrument.venue, NO_FEES)
        position = Position(instrument, schedule.taker_bps)
        self._positions[strategy, symbol] = position
        self._of_symbol.setdefault(symbol, []).append(position)
        return position

    def _deposit(self, venue: str, currency: str, amount: Decimal) -> None:
        key = (venue, currency)
        self._deposited[key] = EXACT.add(self._deposited.get(key, ZERO), amount)

    def _within(
        self, strategy: str | None = None, symbol: str | None = None, venue: str | None = None
    ) -> list[Position]:
        return [
            position
            for (owner, name), position in self._positions.items()
            if strategy in (None, owner)
            and symbol in (None, name)
            and venue in (None, position.instrument.venue)
        ]


def _charged(waiting: Iterable[_Untold], told: Fill | FeeTold) -> list[tuple[_Untold, Decimal]]:
    """Return what a commission is for, and how much of each; nothing if it is not all there."""
    named = [each for each in waiting if each.exec_id == told.exec_id]
    if not told.qty:
        return [(each, each.qty) for each in named[:1]]
    others = [each for each in waiting if each.exec_id != told.exec_id]
    others.sort(key=lambda each: each.exec_id is not None)
    left, charged = told.qty, []
    for each in (*named, *others):
        if left:
            qty = min(left, each.qty)
            charged.append((each, qty))
            left = EXACT.subtract(left, qty)
    return [] if left else charged


def _point(
    positions: Iterable[Position], currency: str, quote_of: QuoteOf, now_ns: int
) -> EquityPoint:
    own = [position for position in positions if position.currency == currency]
    realised = _total(position.realised for position in own)
    estimated = _total(position.fees_estimated for position in own)
    told = _total(position.fees.get(currency, ZERO) for position in positions)
    fees = EXACT.add(told, estimated)
    unrealised = _total(
        position.unrealised(*quote_of(position.instrument.symbol)) or ZERO for position in own
    )
    return EquityPoint(
        currency=currency,
        realised=realised,
        unrealised=unrealised,
        fees=fees,
        fees_estimated=estimated,
        equity=EXACT.subtract(EXACT.add(realised, unrealised), fees),
        receive_time_ns=now_ns,
    )


def _lacking(positions: Iterable[Position], quote_of: QuoteOf) -> dict[str, dict[str, None]]:
    """Return, by currency, the symbols held without a mark."""
    lacking: dict[str, dict[str, None]] = {}
    for position in positions:
        symbol = position.instrument.symbol
        if position.unrealised(*quote_of(symbol)) is None:
            lacking.setdefault(position.currency, {})[symbol] = None
    return lacking


def _currencies(positions: Iterable[Position]) -> list[str]:
    found: dict[str, None] = {}
    for position in positions:
        found[position.currency] = None
        found.update(dict.fromkeys(position.fees))
    return list(found)


def _total(values: Iterator[Decimal]) -> Decimal:
    total = ZERO
    for value in values:
        total = EXACT.add(total, value)
    return total
