"""What a bot holds when it starts: what the run before left it, and what its config says."""

from collections.abc import Callable, Mapping, Sequence

from botkit.assembly import Plan
from botkit.model import Adjustment, AdjustmentKind, FeeTold, Fill, Instrument
from botkit.portfolio import carried_positions

__all__ = ["Moved", "opening_adjustments"]

Moved = Adjustment | Fill | FeeTold
"""What moves positions."""


def opening_adjustments(
    plan: Plan,
    instruments: Mapping[str, Instrument],
    last_entries: Callable[[], Sequence[Moved]],
    say: Callable[[str], None],
) -> list[Adjustment]:
    """Return the adjustments to start with.

    Positions are carried over where the venue keeps them; an opening of the config counts where
    nothing was carried.

    Parameters
    ----------
    last_entries
        Returns what moved positions in the last run in which anything did.
    """
    kept = {name for name, venue in plan.venues.items() if venue.keeps_orders}
    carried: list[Adjustment] = []
    if kept:
        entries = last_entries()
        strays = {e.symbol for e in entries if e.symbol and e.symbol not in instruments}
        for symbol in sorted(strays):
            say(f"{symbol}: its venue does not have it now, so its position is not carried over.")
        everything = carried_positions(entries, instruments)
        carried = [each for each in everything if each.symbol.partition(":")[0] in kept]
    known = {(each.strategy, each.symbol) for each in carried}
    configured = [
        Adjustment(
            kind=AdjustmentKind.OPENING,
            symbol=each.symbol,
            strategy=each.strategy,
            qty=each.qty,
            price=each.price,
            reason="the config",
        )
        for each in plan.config.bot.opening
        if (each.strategy, each.symbol) not in known
    ]
    return [*carried, *configured]
