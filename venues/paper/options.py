"""The options of a paper venue's table in the config, and what is built from them."""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, Final, Literal

import attrs

from botkit.config import Duration
from botkit.config.schema import BY_TYPE
from botkit.errors import ConfigError
from botkit.matching import (
    ConstantLatency,
    Latency,
    LogNormalLatency,
    ProbabilisticQueue,
    QueueModel,
    RiskAverseQueue,
    SelfTrade,
)
from botkit.model import Instrument
from botkit.ports import FeeSchedule
from venues.paper.feeds.build import OPTIONS as FEED_OPTIONS

__all__ = ["InstrumentOptions", "LogNormalOptions", "PaperOptions"]

SYNTHETIC: Final[Mapping[str, Any]] = {"type": "synthetic"}
positive = attrs.validators.gt(Decimal(0))
not_negative = attrs.validators.ge(Decimal(0))


def _check_balances(_: object, field: object, balances: Mapping[str, Decimal]) -> None:
    problems = [
        f"{currency}: found a number below 0, allowed: 0 or more"  # unseen: may be masked text
        for currency, qty in balances.items()
        if qty < 0
    ]
    if problems:
        raise ConfigError(problems)


@attrs.frozen(kw_only=True)
class LogNormalOptions:
    """`{ kind = "lognormal", median = "20ms", sigma = "0.5" }`."""

    kind: Literal["lognormal"]
    median: Duration = attrs.field(validator=attrs.validators.gt(0))
    sigma: Decimal = attrs.field(default=Decimal("0.5"), validator=not_negative)


@attrs.frozen(kw_only=True)
class InstrumentOptions:
    """Grid and least sizes of one instrument; `min_trade_vol` is one lot if not given."""

    base: str = ""
    quote: str = ""
    tick_size: Decimal = attrs.field(default=Decimal("0.01"), validator=positive)
    lot_size: Decimal = attrs.field(default=Decimal("0.00001"), validator=positive)
    min_trade_vol: Decimal | None = None
    max_trade_vol: Decimal | None = None
    min_notional: Decimal = attrs.field(default=Decimal(0), validator=not_negative)
    contract_multiplier: Decimal = attrs.field(default=Decimal(1), validator=positive)
    inverse: bool = False

    def build(self, symbol: str, source: str) -> Instrument:
        """Return the instrument `symbol`; base and quote are read from BASE-QUOTE if not given.

        Raises
        ------
        ConfigError
            They are not given and `symbol` is not of that form.
        """
        base, dash, quote = symbol.partition(":")[2].partition("-")
        if not (self.base and self.quote) and not (base and dash and quote and "-" not in quote):
            name = symbol.partition(":")[2]
            raise ConfigError(
                f"{source}: instrument {name!r} does not read as BASE-QUOTE, so its currencies are "
                f'unknown; say instruments = {{ "{name}" = {{ base = "...", quote = "..." }} }}'
            )
        return Instrument(
            symbol=symbol,
            base=self.base or base,
            quote=self.quote or quote,
            tick_size=self.tick_size,
            lot_size=self.lot_size,
            min_trade_vol=self.lot_size if self.min_trade_vol is None else self.min_trade_vol,
            max_trade_vol=self.max_trade_vol,
            min_notional=self.min_notional,
            contract_multiplier=self.contract_multiplier,
            inverse=self.inverse,
        )


@attrs.frozen(kw_only=True)
class PaperOptions:
    """`[venues.NAME]` with `type = "paper"`.

    Parameters
    ----------
    feed
        Where market data come from: `type` is "synthetic" or "replay", the rest is the feed's.
    balances
        What the account starts with, by currency.
    fees
        `maker_bps` and `taker_bps`, of the notional, paid in quote currency.
    latency, cancel_latency
        The way of an order and its answer: a duration, or a log-normal table. Cancels take as
        long as orders if not told otherwise.
    queue, queue_power
        "risk-averse": only trades advance our orders; "probabilistic": cancels do too.
    on_disconnect
        "cancel": a gap of the whole feed cancels what rests; "keep" leaves it.
    seed
        Of the latency draws.
    """

    feed: Mapping[str, Any] = attrs.field(
        factory=lambda: dict(SYNTHETIC), metadata={BY_TYPE: FEED_OPTIONS}
    )
    balances: Mapping[str, Decimal] = attrs.field(factory=dict, validator=_check_balances)
    fees: FeeSchedule = attrs.field(factory=FeeSchedule)
    latency: Duration | LogNormalOptions = 20_000_000
    cancel_latency: Duration | LogNormalOptions | None = None
    queue: Literal["risk-averse", "probabilistic"] = "risk-averse"
    queue_power: Decimal = attrs.field(default=Decimal(3), validator=positive)
    instruments: Mapping[str, InstrumentOptions] = attrs.field(factory=dict)
    on_disconnect: Literal["cancel", "keep"] = "keep"
    self_trade: SelfTrade = SelfTrade.CANCEL_RESTING
    seed: int = attrs.field(default=0, validator=attrs.validators.ge(0))

    def build_instruments(
        self, venue: str, symbols: Sequence[str], source: str
    ) -> dict[str, Instrument]:
        """Return the instruments of `symbols` and of the table, by full symbol.

        Raises
        ------
        ConfigError
            With every instrument whose currencies are not known.
        """
        wanted = dict.fromkeys([*symbols, *(f"{venue}:{name}" for name in self.instruments)])
        instruments: dict[str, Instrument] = {}
        problems: list[str] = []
        for symbol in wanted:
            options = self.instruments.get(symbol.partition(":")[2], InstrumentOptions())
            try:
                instruments[symbol] = options.build(symbol, source)
            except ConfigError as error:
                problems += error.problems
        if problems:
            raise ConfigError(problems)
        return instruments

    def build_queue(self) -> QueueModel:
        """Return the queue model that was named."""
        if self.queue == "probabilistic":
            return ProbabilisticQueue(float(self.queue_power))
        return RiskAverseQueue()

    def build_latency(self) -> Latency:
        """Return the latency of orders."""
        return _latency(self.latency)

    def build_cancel_latency(self) -> Latency | None:
        """Return the latency of cancels; None if it is that of orders."""
        return None if self.cancel_latency is None else _latency(self.cancel_latency)


def _latency(options: int | LogNormalOptions) -> Latency:
    if isinstance(options, int):
        return ConstantLatency(delay_ns=options)
    return LogNormalLatency(median_ns=options.median, sigma=float(options.sigma))
