"""A made-up market: seeded, believable, endless; needs no network and no files."""

import heapq
from collections.abc import Iterator, Mapping
from decimal import Decimal
from itertools import takewhile
from operator import attrgetter
from typing import Any, Final

import attrs
from attrs.validators import ge, gt, in_, le

from botkit.config import Duration, structure
from botkit.errors import ConfigError
from botkit.model import Instrument, MarketEvent
from venues.paper.feeds.base import nearest, parse_speed
from venues.paper.feeds.draws import Draws
from venues.paper.feeds.flow import MarketShape, flow

__all__ = ["SyntheticFeed", "SyntheticOptions", "build_synthetic"]

USUAL_PRICES: Final[Mapping[str, str]] = {
    "ADA": "0.4",
    "AVAX": "25",
    "BCH": "350",
    "BNB": "550",
    "BTC": "60000",
    "DOGE": "0.12",
    "DOT": "5",
    "ETH": "2500",
    "EUR": "1.1",
    "GBP": "1.3",
    "LINK": "12",
    "LTC": "70",
    "SOL": "150",
    "USDC": "1",
    "USDT": "1",
    "XAU": "2500",
    "XRP": "0.6",
}


@attrs.frozen(kw_only=True)
class SyntheticOptions:
    """`feed = { type = "synthetic", ... }`.

    Parameters
    ----------
    seed
        The same seed makes the same market, event for event; an instrument's does not depend on
        which others there are.
    prices
        Where an instrument starts, such as { "BTC-EUR" = "60000" }; the rest start at a usual price
        of their base currency, or 100.
    volatility
        Of a year: 0.8 is 80 %.
    spread_bps
        The usual spread; it widens with volatility and is never below a tick.
    rate
        Events a second of each instrument, on average.
    depth
        Levels of the book on each side.
    level_notional
        Median size of a level, in quote currency.
    duration
        When the feed ends, such as "10m"; without it, never.
    speed
        "realtime", "max", or how many times faster, such as "10x".
    """

    seed: int = attrs.field(default=0, validator=ge(0))
    prices: Mapping[str, Decimal] = attrs.field(factory=dict)
    volatility: float = attrs.field(default=0.8, validator=[ge(0), le(20)])
    spread_bps: float = attrs.field(default=2.0, validator=[gt(0), le(1_000)])
    rate: float = attrs.field(default=25.0, validator=[gt(0), le(100_000)])
    depth: int = attrs.field(default=10, validator=in_(range(2, 1_001)))
    level_notional: float = attrs.field(default=10_000.0, validator=gt(0))
    duration: Duration | None = None
    speed: str = "realtime"


class SyntheticFeed:
    """Made-up market data of several instruments. Implements `venues.paper.feeds.Feed`."""

    def __init__(
        self,
        shapes: Mapping[str, MarketShape],
        instruments: Mapping[str, Instrument],
        *,
        seed: int,
        duration_ns: int | None,
        speed: float,
    ) -> None:
        self.speed = speed
        self._shapes = shapes
        self._instruments = instruments
        self._seed = seed
        self._duration_ns = duration_ns

    def first_time_ns(self) -> None:
        """Return None: it starts whenever it is run."""

    def remarks(self) -> tuple[str, ...]:
        """Return nothing: what is made up is in order."""
        return ()

    def events(self, start_ns: int) -> Iterator[MarketEvent]:
        """Yield from the beginning, the first events at `start_ns`."""
        streams = [
            flow(self._instruments[symbol], shape, Draws(self._seed, symbol), start_ns)
            for symbol, shape in self._shapes.items()
        ]
        merged = (
            streams[0]
            if len(streams) == 1
            else heapq.merge(*streams, key=attrgetter("receive_time_ns"))
        )
        if self._duration_ns is None:
            return merged
        end_ns = start_ns + self._duration_ns
        return takewhile(lambda event: event.receive_time_ns < end_ns, merged)


def build_synthetic(
    options: Mapping[str, Any],
    *,
    symbols: tuple[str, ...],
    instruments: Mapping[str, Instrument],
    source: str,
    base_dir: str,  # every builder takes it; this one reads no files
) -> SyntheticFeed:
    """Build the feed; see `build_feed`."""
    settings = structure(SyntheticOptions, options, source)
    speed = parse_speed(settings.speed, source)
    names = [instruments[symbol].name for symbol in symbols]
    problems = [
        f"{source}.prices: no strategy trades {name!r}; traded are {', '.join(names)}"
        f"{nearest(name, names)}"
        for name in settings.prices
        if name not in names
    ]
    problems += [
        f"{source}.prices.{name}: {price} found; a price must be a number above 0"
        for name, price in settings.prices.items()
        if not (price.is_finite() and price > 0)
    ]
    if problems:
        raise ConfigError(problems)
    return SyntheticFeed(
        {symbol: _shape(settings, instruments[symbol]) for symbol in symbols},
        instruments,
        seed=settings.seed,
        duration_ns=settings.duration,
        speed=speed,
    )


def _shape(settings: SyntheticOptions, instrument: Instrument) -> MarketShape:
    usual = Decimal(USUAL_PRICES.get(instrument.base.upper(), "100"))
    return MarketShape(
        price=float(settings.prices.get(instrument.name, usual)),
        volatility=settings.volatility,
        spread_bps=settings.spread_bps,
        rate=settings.rate,
        depth=settings.depth,
        level_notional=settings.level_notional,
    )
