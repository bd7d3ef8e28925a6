"""Choose and build a feed from the config."""

from collections.abc import Callable, Mapping
from typing import Any, Final

from botkit.config import structure
from botkit.errors import ConfigError
from botkit.model import Instrument
from venues.paper.feeds.base import Feed, nearest
from venues.paper.feeds.replay import ReplayOptions, build_replay
from venues.paper.feeds.synthetic import SyntheticOptions, build_synthetic

__all__ = ["build_feed", "check_feed"]

BUILDERS: Final[Mapping[str, Callable[..., Feed]]] = {
    "replay": build_replay,
    "synthetic": build_synthetic,
}

OPTIONS: Final[Mapping[str, type[ReplayOptions | SyntheticOptions]]] = {
    "replay": ReplayOptions,
    "synthetic": SyntheticOptions,
}


def check_feed(table: Mapping[str, Any], source: str) -> None:
    """Check a feed's table as far as it goes without the venue's instruments.

    Raises
    ------
    ConfigError
        With every problem of the table.
    """
    kind = _kind(table, source)
    structure(OPTIONS[kind], {key: table[key] for key in table if key != "type"}, source)


def build_feed(
    table: Mapping[str, Any],
    *,
    symbols: tuple[str, ...],
    instruments: Mapping[str, Instrument],
    source: str,
    base_dir: str,
) -> Feed:
    """Build the feed that `feed = { type = ..., ... }` describes.

    Parameters
    ----------
    table
        The config's table, `type` included.
    symbols
        The full symbols (`venue:NAME`) to feed.
    instruments
        At least those of `symbols`, by full symbol.
    source
        What to call the table in messages.
    base_dir
        Folder of the config file; relative paths start there.

    Raises
    ------
    ConfigError
        With every problem of the table, a missing file or column included.
    DataError
        A recorded file is corrupt.
    """
    builder = BUILDERS[_kind(table, source)]
    options = {key: value for key, value in table.items() if key != "type"}
    return builder(
        options, symbols=symbols, instruments=instruments, source=source, base_dir=base_dir
    )


def _kind(table: Mapping[str, Any], source: str) -> str:
    kind = table.get("type")
    if isinstance(kind, str) and kind in BUILDERS:
        return kind
    raise ConfigError(
        f"{source}: type is {kind!r}; it must be one of {', '.join(sorted(BUILDERS))}"
        f"{nearest(str(kind), BUILDERS)}"
    )
