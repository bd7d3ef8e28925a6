"""Play recorded files as market data: quotes, trades, depth and bars, merged by receive time."""

import heapq
from collections.abc import Iterator, Mapping
from operator import attrgetter
from pathlib import Path
from typing import Any, Literal

import attrs

from botkit.config import structure
from botkit.errors import ConfigError
from botkit.model import Instrument, MarketEvent
from venues.paper.feeds.base import nearest, parse_speed
from venues.paper.feeds.fields import RecordedFile, resolve
from venues.paper.feeds.recording import Recording
from venues.paper.feeds.tables import open_table

__all__ = ["ReplayFeed", "ReplayOptions", "build_replay"]


@attrs.frozen(kw_only=True)
class ReplayOptions:
    """`feed = { type = "replay", ... }`.

    Parameters
    ----------
    files
        Where two have events of one receive time, those of the first come first.
    dir
        Folder of the files, relative to the config.
    speed
        "realtime", "max", or how many times faster, such as "10x".
    on_bad_row
        "error" ends the run at a malformed row; "skip" leaves it out and counts it.
    """

    files: tuple[RecordedFile, ...] = attrs.field(validator=attrs.validators.min_len(1))
    dir: str = "."
    speed: str = "realtime"
    on_bad_row: Literal["error", "skip"] = "error"


class ReplayFeed:
    """Recorded events, as they came. Implements `venues.paper.feeds.Feed`."""

    def __init__(self, recordings: tuple[Recording, ...], speed: float) -> None:
        self.speed = speed
        self.skipped: dict[str, int] = {}
        """Bad rows left out so far, by file; filled while events are taken."""
        self._recordings = recordings

    def first_time_ns(self) -> int | None:
        """Return the receive time of the first event; None if the files hold none."""
        first = next(self._merged({}), None)
        return None if first is None else first.receive_time_ns

    def events(self, start_ns: int) -> Iterator[MarketEvent]:  # the recording has its own
        """Yield every event from the beginning, ordered by `receive_time_ns`.

        Raises
        ------
        DataError
            Where a file is damaged or, unless they are skipped, a row is malformed.
        """
        self.skipped.clear()
        return self._merged(self.skipped)

    def remarks(self) -> list[str]:
        """Return the bad rows left out, by file."""
        return [
            f"{path}: {count:,} malformed {'row' if count == 1 else 'rows'} left out"
            for path, count in self.skipped.items()
        ]

    def _merged(self, skipped: dict[str, int]) -> Iterator[MarketEvent]:
        streams = [recording.events(skipped) for recording in self._recordings]
        return heapq.merge(*streams, key=attrgetter("receive_time_ns"))


def build_replay(
    options: Mapping[str, Any],
    *,
    symbols: tuple[str, ...],
    instruments: Mapping[str, Instrument],
    source: str,
    base_dir: str,
) -> ReplayFeed:
    """Build the feed and check that every file is there and has the columns; see `build_feed`."""
    settings = structure(ReplayOptions, options, source)
    speed = parse_speed(settings.speed, source)
    names = {instruments[symbol].name: symbol for symbol in symbols}
    folder = Path(base_dir) / Path(settings.dir).expanduser()
    problems: list[str] = []
    recordings: list[Recording] = []
    for place, entry in enumerate(settings.files):
        recording = _open(
            entry,
            names=names,
            path=folder / Path(entry.path).expanduser(),
            skip_bad_rows=settings.on_bad_row == "skip",
            problems=problems,
            where=f"{source}.files[{place}]",
        )
        if recording is not None:
            recordings.append(recording)
    problems += _unfed(settings.files, names, source)
    if problems:
        raise ConfigError(problems)
    return ReplayFeed(tuple(recordings), speed)


def _open(
    entry: RecordedFile,
    *,
    names: Mapping[str, str],
    path: Path,
    skip_bad_rows: bool,
    problems: list[str],
    where: str,
) -> Recording | None:
    """Return the recording; None if it holds no instrument of ours, or after adding a problem."""
    if entry.symbol:
        if entry.symbol not in names:
            return None
        names = {entry.symbol: names[entry.symbol]}
    if not path.is_file():
        feed = where.rpartition(": ")[2].rpartition(".files")[0]
        problems.append(
            f"{where}: no file {path}; point at your own recordings with "
            f"--set '{feed}.dir=FOLDER', or change path"
        )
        return None
    try:
        table = open_table(path)
    except ConfigError as exc:
        problems.extend(f"{where}: {problem}" for problem in exc.problems)
        return None
    before = len(problems)
    sources = resolve(entry, table.columns, problems, where)
    if not entry.symbol and "symbol" not in sources:
        problems.append(f'{where}: whose data are these? Say symbol = "..." or columns.symbol')
    if entry.kind == "bars" and not entry.interval:
        problems.append(f'{where}: how long is a bar? Say interval = "1m", for example')
    if len(problems) > before:
        return None
    return Recording(
        entry=entry, table=table, sources=sources, names=names, skip_bad_rows=skip_bad_rows
    )


def _unfed(files: tuple[RecordedFile, ...], names: Mapping[str, str], source: str) -> Iterator[str]:
    """Yield a problem for each instrument that no file is for."""
    fixed = sorted({entry.symbol for entry in files})
    if "" in fixed:  # a file with a column of symbols: who knows before reading it
        return
    for name in names:
        if name not in fixed:
            yield (
                f"{source}: no file is for {name}, which a strategy trades; "
                f"they are for {', '.join(fixed)}{nearest(name, fixed)}"
            )
