"""What a bot holds when it starts: what the run before left it, and what its config says."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from botkit.assembly import Plan
from botkit.journal import JournalReader
from botkit.live.opening import Moved, opening_adjustments
from botkit.model import Adjustment, FeeTold, Fill, Instrument

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
    return opening_adjustments(plan, instruments, lambda: _last_entries(journal, mode), say)


def _last_entries(journal: Path, mode: str) -> list[Moved]:
    """Return what moved positions in the last run of `mode` in which anything did."""
    with JournalReader(journal) as reader:
        for run in reader.runs(MOST_RUNS):
            if run.mode != mode:
                continue
            entries = reader.entries(run.run_id, (Adjustment, Fill, FeeTold))
            found = [each for each in entries if isinstance(each, Moved)]
            if found:
                return found
    return []
