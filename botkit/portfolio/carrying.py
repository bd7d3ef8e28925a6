"""Positions of one run as the inventory the next one starts with."""

from collections.abc import Iterable, Mapping

from botkit.model import Adjustment, AdjustmentKind, FeeTold, Fill, Instrument
from botkit.portfolio.ledger import Portfolio

__all__ = ["carried_positions"]


def carried_positions(
    entries: Iterable[Adjustment | Fill | FeeTold], instruments: Mapping[str, Instrument]
) -> list[Adjustment]:
    """Return what a run's entries amount to, as adjustments that give it to the next run.

    Flat positions too: that they are flat must be known, or an opening inventory would be booked
    again. Instruments that are not among `instruments` are left out. A position enters the next
    run at its average price; a rest that fees in base currency left, at the last fill's price.
    """
    portfolio = Portfolio(instruments)
    for entry in entries:
        match entry:
            case Adjustment(kind=AdjustmentKind.DEPOSIT):
                continue
            case _ if entry.symbol not in instruments:
                continue
            case Adjustment():
                portfolio.adjust(entry)
            case Fill():
                portfolio.apply(entry)
            case FeeTold():
                portfolio.amend(entry)
    return [
        Adjustment(
            kind=AdjustmentKind.CARRIED,
            symbol=view.symbol,
            strategy=view.strategy,
            qty=view.qty,
            price=view.average_px or portfolio.last_px(view.symbol, view.strategy),
        )
        for view in portfolio.positions()
    ]
