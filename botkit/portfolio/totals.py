"""Profit and loss of several currencies in one."""

from decimal import Decimal

import attrs

from botkit.model import EquityPoint
from botkit.portfolio.ledger import Portfolio
from botkit.portfolio.position import EXACT, ZERO
from botkit.portfolio.rates import Rate, Rates

__all__ = ["Total", "total_of"]


@attrs.frozen(kw_only=True)
class Total:
    """Profit and loss in `currency`; `point` is None if it cannot be said.

    Then `missing` says what is missing, a phrase each: "no rate for USDT". `rates` are those
    it was converted at.
    """

    currency: str
    point: EquityPoint | None
    missing: tuple[str, ...] = ()
    rates: tuple[Rate, ...] = ()


def total_of(
    portfolio: Portfolio,
    rates: Rates,
    currency: str,
    now_ns: int,
    *,
    strategy: str | None = None,
    symbol: str | None = None,
    venue: str | None = None,
) -> Total:
    """Return everything, or one strategy, instrument or venue, in `currency` at present rates.

    Incomplete if a position has no fresh mark or a currency no fresh rate; never a guess. A
    currency in which nothing was earned or paid needs no rate.
    """

    def quote_of(name: str) -> tuple[float, float]:
        return rates.fresh_quote(name, now_ns)

    points = portfolio.equity(quote_of, now_ns, strategy=strategy, symbol=symbol, venue=venue)
    unmarked = portfolio.incomplete(quote_of, strategy=strategy, symbol=symbol, venue=venue)
    missing = {
        f"no price for {name} ({rates.lack_of(name, now_ns)})": None
        for names in unmarked.values()
        for name in names
    }
    used: list[Rate] = []
    converted: list[EquityPoint] = []
    for point in points:
        if not (point.realised or point.unrealised or point.fees or point.fees_estimated):
            continue
        rate = rates.find(point.currency, currency, now_ns)
        if rate is None:
            missing[rates.why_not(point.currency, currency, now_ns)] = None
            continue
        used.append(rate)
        converted.append(_converted(point, rate))
    for held_in in unmarked:
        if rates.find(held_in, currency, now_ns) is None:
            missing[rates.why_not(held_in, currency, now_ns)] = None
    whole = None if missing else _sum(converted, currency, now_ns)
    return Total(currency=currency, point=whole, missing=tuple(missing), rates=tuple(used))


def _converted(point: EquityPoint, rate: Rate) -> EquityPoint:
    def at_rate(amount: Decimal) -> Decimal:
        return EXACT.multiply(amount, rate.value)

    return EquityPoint(
        currency=rate.into,
        realised=at_rate(point.realised),
        unrealised=at_rate(point.unrealised),
        fees=at_rate(point.fees),
        fees_estimated=at_rate(point.fees_estimated),
        equity=at_rate(point.equity),
        receive_time_ns=point.receive_time_ns,
    )


def _sum(points: list[EquityPoint], currency: str, now_ns: int) -> EquityPoint:
    realised = unrealised = fees = estimated = equity = ZERO
    for point in points:
        realised = EXACT.add(realised, point.realised)
        unrealised = EXACT.add(unrealised, point.unrealised)
        fees = EXACT.add(fees, point.fees)
        estimated = EXACT.add(estimated, point.fees_estimated)
        equity = EXACT.add(equity, point.equity)
    return EquityPoint(
        currency=currency,
        realised=realised,
        unrealised=unrealised,
        fees=fees,
        fees_estimated=estimated,
        equity=equity,
        receive_time_ns=now_ns,
    )
