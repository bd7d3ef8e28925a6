"""The config's numbers against what the instruments take, and rates for what is to be counted."""

from collections.abc import Iterator, Mapping
from decimal import Decimal, InvalidOperation
from typing import Any, Final

import attrs

from botkit.assembly import PlannedStrategy
from botkit.cli.doctor.subject import Subject, fail, ok, warn
from botkit.model import Instrument
from botkit.portfolio.rates import Rates
from botkit.ports import Diagnosis

__all__ = ["loss_limits", "quantities", "rates", "risk_limits"]

QTY_LIMITS: Final = ("max_order_qty", "max_position")
NOTIONAL_LIMIT: Final = "max_order_notional"
LOSS_LIMITS: Final = frozenset({"max_daily_loss", "max_drawdown"})
FOREVER_NS: Final = 2**62


def _traded(subject: Subject) -> dict[str, Instrument]:
    symbols = dict.fromkeys(s for each in subject.plan.strategies for s in each.config.symbols)
    return {symbol: subject.instruments[symbol] for symbol in symbols}


def _least_qty(instrument: Instrument) -> Decimal:
    return max(instrument.min_trade_vol, instrument.lot_size)


def _number(value: Any) -> Decimal | None:
    """Return a limit's number; None if it has none (or is a table of other things)."""
    if isinstance(value, bool) or not isinstance(value, str | int | Decimal):
        return None
    try:
        return Decimal(value)
    except InvalidOperation:
        return None


def _tables(subject: Subject) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield each table of rules with the dotted key it stands at."""
    risk = subject.config.risk
    yield "risk", risk
    for kind in ("strategies", "venues"):
        for name, table in risk.get(kind, {}).items():
            yield f"risk.{kind}.{name}", table


def _limits(table: Mapping[str, Any], key: str, symbol: str) -> Decimal | None:
    value = table.get(key)
    return _number(value.get(symbol) if isinstance(value, Mapping) else value)


def risk_limits(subject: Subject) -> Iterator[Diagnosis]:
    """Look for limits that the smallest order, or an order of a strategy's `qty`, cannot meet."""
    problems = [
        problem
        for source, table in _tables(subject)
        for symbol, instrument in _traded(subject).items()
        for problem in _too_low(source, table, symbol, instrument)
    ]
    problems += [
        problem
        for planned in subject.plan.strategies
        for symbol in planned.config.symbols
        for problem in _too_large(subject, planned, symbol)
    ]
    for told in problems:
        yield fail(told, "raise the limit, or trade what fits it")
    if not problems:
        yield ok("every limit leaves room for the smallest order and for the strategies' qty")


def _too_low(
    source: str, table: Mapping[str, Any], symbol: str, instrument: Instrument
) -> Iterator[str]:
    least = _least_qty(instrument)
    for key in QTY_LIMITS:
        limit = _limits(table, key, symbol)
        if limit is not None and limit < least:
            yield f"{source}.{key} is {limit}, but an order in {symbol} is at least {least}"
    limit = _limits(table, NOTIONAL_LIMIT, symbol)
    if limit is not None and limit < instrument.min_notional:
        yield (
            f"{source}.{NOTIONAL_LIMIT} is {limit}, but an order in {symbol} is worth at least "
            f"{instrument.min_notional} {instrument.quote}"
        )


def _qty_of(planned: PlannedStrategy) -> Decimal | None:
    """Return the parameter `qty`, which our strategies and the template have."""
    fields = attrs.fields_dict(type(planned.params))
    qty = getattr(planned.params, "qty", None) if "qty" in fields else None
    return qty if isinstance(qty, Decimal) else None


def _too_large(subject: Subject, planned: PlannedStrategy, symbol: str) -> Iterator[str]:
    name = planned.config.name
    qty = _qty_of(planned)
    mine = {"risk", f"risk.strategies.{name}", f"risk.venues.{symbol.partition(':')[0]}"}
    for source, table in _tables(subject):
        for key in QTY_LIMITS:
            limit = _limits(table, key, symbol)
            if source in mine and qty is not None and limit is not None and limit < qty:
                yield f"{source}.{key} is {limit}, but {name} orders {qty} of {symbol}"


def quantities(subject: Subject) -> Iterator[Diagnosis]:
    """Look whether each strategy's `qty` is one its instruments take."""
    problems = [
        problem
        for planned in subject.plan.strategies
        if (qty := _qty_of(planned)) is not None
        for symbol in planned.config.symbols
        for problem in _odd(planned.config.name, qty, subject.instruments[symbol])
    ]
    yield from problems
    if not problems:
        yield ok("every strategy's qty lies on its instruments' grid, above their least size")


def _odd(name: str, qty: Decimal, instrument: Instrument) -> Iterator[Diagnosis]:
    key = f"strategies.{name}.params.qty"
    least, most = _least_qty(instrument), instrument.max_trade_vol
    if qty < least:
        todo = "ask for more: such an order is refused"
        yield fail(f"{key} is {qty}, but {instrument} takes {least} or more", todo)
    elif most is not None and qty > most:
        todo = "ask for less, unless the strategy splits it up"
        yield warn(f"{key} is {qty}, but {instrument} takes {most} or less", todo)
    elif qty % instrument.lot_size:
        below, above = instrument.neighbours(qty, instrument.lot_size)
        yield warn(
            f"{key} is {qty}, off the grid of {instrument} (step {instrument.lot_size})",
            f"say {below} or {above}, unless the strategy rounds it",
        )


def loss_limits(subject: Subject) -> Iterator[Diagnosis]:
    """Look whether anything ends a losing bot, and bounds its position."""
    keys = {key for _, table in _tables(subject) for key in table}
    missing = []
    if not keys & LOSS_LIMITS:
        missing.append("no loss halts it (max_daily_loss, max_drawdown)")
    if not keys & {"max_position", "max_exposure"}:
        missing.append("nothing bounds its position (max_position, max_exposure)")
    if missing:
        yield warn("; ".join(missing), "say in [risk] what you can bear to lose")
    else:
        yield ok("a loss halts the bot, and its position is bounded")


def rates(subject: Subject) -> Iterator[Diagnosis]:
    """Look whether instruments lead from what is earned to the currencies it is counted in."""
    traded = _traded(subject)
    wanted = {
        value["currency"]
        for _, table in _tables(subject)
        for key, value in table.items()
        if key not in {"strategies", "venues"} and isinstance(value, Mapping)
        if isinstance(value.get("currency"), str)
    }
    if subject.config.bot.report_currency is not None:
        wanted.add(subject.config.bot.report_currency)
    earned = {each.base if each.inverse else each.quote for each in traded.values()}
    ways = Rates(traded, lambda _: (1.0, 1.0), lambda _: 0, FOREVER_NS)
    lost = [
        f"{currency} into {into}"
        for into in sorted(wanted)
        for currency in sorted(earned)
        if ways.find(currency, into, 0) is None
    ]
    if lost:
        yield fail(
            f"no traded instrument gives a rate of {', '.join(lost)}: totals stay incomplete",
            "count in another currency, or let a strategy trade an instrument between them",
        )
    else:
        told = ", ".join(sorted(wanted))
        yield ok(f"{told}: can be told from what is traded" if told else "nothing is converted")
