"""What a bot holds when it starts: what the run before left it, and what its config says."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from botkit.assembly import Plan
from botkit.journal import JournalReader
from botkit.model import Adjustment, AdjustmentKind, FeeTold, Fill, Instrument
from botkit.portfolio import carried_positions

__all__ = ["opening_inventory"]

MOST_RUNS: Final = 10_000


def opening_inventory(
    plan: Plan,
    instruments: Mapping[str, Instrument],
    *,
    journal: Path,
    mode: str,
    say: Callable[[str], None],
) -> list[Adjustment]:
    """Return the adjustments to start with.

    Positions are carried over from the last run of this `mode` that had any, where the venue
    keeps them; an opening of the config counts where nothing was carried.
    """
    kept = {name for name, venue in plan.venues.items() if venue.keeps_orders}
    carried: list[Adjustment] = []
    if kept:
        entries = _last_entries(journal, mode)
        strays = {e.symbol for e in entries if e.symbol and e.symbol not in instruments}
        for symbol in sorted(strays):
            say(f"{symbol}: its venue does not have it now, so its position is not carried over.")
        everything = carried_positions(entries, instruments)
        carried = [each for each in everything if each.symbol.partition(":")[0] in kept]
    known = {(each.strategy, each.symbol) for each in carried}
    opening = [
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
    return [*carried, *opening]


def _last_entries(journal: Path, mode: str) -> list[Adjustment | Fill | FeeTold]:
    """Return what moved positions in the last run of `mode` in which anything did."""
    with JournalReader(journal) as reader:
        for run in reader.runs(MOST_RUNS):
            if run.mode != mode:
                continue
            entries = reader.entries(run.run_id, (Adjustment, Fill, FeeTold))
            found = [each for each in entries if isinstance(each, Adjustment | Fill | FeeTold)]
            if found:
                return found
    return []
