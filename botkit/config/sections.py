"""What a config says, as classes: `Config` and the sections it is made of."""

import shlex
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal

import attrs

from botkit.config.durations import Duration, parse_duration
from botkit.config.emitting import emit
from botkit.config.environment import escaped
from botkit.config.guarding import GuardianConfig
from botkit.config.merging import ConfigFile, Origins
from botkit.config.naming import IsName
from botkit.config.secrets import masked, redacted
from botkit.config.structuring import unstructure
from botkit.config.watching import AlertsConfig, MetricsConfig

__all__ = [
    "BotConfig",
    "Config",
    "FlattenConfig",
    "OpeningConfig",
    "StrategyConfig",
    "VenueConfig",
    "show",
]


def _masked_repr(value: Any) -> str:
    return repr(masked(value))


def _not_zero(instance: object, attribute: "attrs.Attribute[Decimal]", value: Decimal) -> None:
    if not value:
        raise ValueError("it must not be 0")


@attrs.frozen(kw_only=True)
class OpeningConfig:
    """One of `[[bot.opening]]`: what a strategy holds of an instrument before the first run.

    Parameters
    ----------
    qty
        Signed, in base units (contracts); below 0 for a short position.
    price
        What it counts as bought (sold) at, in quote currency.
    """

    strategy: str
    symbol: str
    qty: Decimal = attrs.field(validator=_not_zero)
    price: Decimal = attrs.field(validator=attrs.validators.gt(Decimal(0)))


@attrs.frozen(kw_only=True)
class FlattenConfig:
    """`[bot.flatten]`: how `flatten` closes positions.

    Parameters
    ----------
    collar_bps
        How far through the touch an order may be priced: below the bid, above the ask.
    deadline
        When it gives up, in ns.
    quote_stale
        From which age, in ns, a quote makes no price: what is left then stays.
    retry
        Until an order that has not filled is canceled and priced anew, in ns.
    """

    collar_bps: Decimal = attrs.field(
        default=Decimal(50),
        validator=[attrs.validators.ge(Decimal(0)), attrs.validators.lt(Decimal(10_000))],
    )
    deadline: Duration = attrs.field(
        default=parse_duration("30s"), validator=attrs.validators.gt(0)
    )
    quote_stale: Duration = attrs.field(
        default=parse_duration("5s"), validator=attrs.validators.gt(0)
    )
    retry: Duration = attrs.field(default=parse_duration("1s"), validator=attrs.validators.gt(0))


@attrs.frozen(kw_only=True)
class BotConfig:
    """`[bot]`: what concerns the bot as a whole.

    Parameters
    ----------
    name
        Tags our order ids; one bot of a name runs at a time over one `state_dir`.
    state_dir
        Where journal, lock and kill switch lie, relative to the working directory.
    clean_up
        How long orders may take to be gone at the end, in ns; strategies and scopes share it.
    equity_every
        Time between two equity points in the journal, in ns.
    journal_synchronous
        SQLite's `synchronous`: FULL survives the loss of power, NORMAL that of the process.
    report_currency
        What totals are converted to; None for no total.
    rate_stale
        From which age, in ns, a quote makes no rate and no mark of a total.
    opening
        What strategies hold from the start.
    flatten
        How positions are closed when an operator says so.
    guardian
        Who cancels what the bot leaves when it is killed.
    """

    name: str = attrs.field(validator=IsName())
    state_dir: str = attrs.field(default="var", validator=attrs.validators.min_len(1))
    clean_up: Duration = attrs.field(
        default=parse_duration("10s"), validator=attrs.validators.gt(0)
    )
    equity_every: Duration = attrs.field(
        default=parse_duration("1m"), validator=attrs.validators.gt(0)
    )
    journal_synchronous: Literal["NORMAL", "FULL"] = "NORMAL"
    report_currency: str | None = attrs.field(
        default=None, validator=attrs.validators.optional(attrs.validators.min_len(1))
    )
    rate_stale: Duration = attrs.field(
        default=parse_duration("1m"), validator=attrs.validators.gt(0)
    )
    opening: tuple[OpeningConfig, ...] = ()
    flatten: FlattenConfig = attrs.field(factory=FlattenConfig)
    guardian: GuardianConfig = attrs.field(factory=GuardianConfig)


@attrs.frozen(kw_only=True)
class VenueConfig:
    """`[venues.NAME]`: which plug-in, what holds of every venue, and the rest for the plug-in.

    Parameters
    ----------
    on_disconnect
        What becomes of orders that rest when the link is lost: they are
        canceled, or (`keep`) asked for and left. What a killed run has left is canceled anyway.
    account
        `exclusive`: nobody and nothing else trades on it, so an order that may be ours is ours.
        Venues without client order ids need it for `--live`.
    """

    name: str
    type: str
    on_disconnect: Literal["cancel", "keep"] | None = None
    account: Literal["shared", "exclusive"] = "shared"
    options: Mapping[str, Any] = attrs.field(factory=dict, repr=_masked_repr)

    def terms(self) -> dict[str, str]:
        """Return what holds of every venue, as far as it is not left as it is."""
        told: dict[str, str] = {}
        if self.on_disconnect is not None:
            told["on_disconnect"] = self.on_disconnect
        return told if self.account == "shared" else {**told, "account": self.account}


@attrs.frozen(kw_only=True)
class StrategyConfig:
    """One of `[[strategies]]`.

    Parameters
    ----------
    type
        An entry point, `package.module:Class` or `./path/to/file.py:Class`.
    instrument, instruments
        Full names `venue:SYMBOL`; one of the two is given.
    on_error
        What a failing strategy ends: itself, or (`stop`) the bot.
    clean_up
        As for the bot, in ns; the earliest deadline counts.
    """

    type: str
    name: str
    instrument: str | None = None
    instruments: tuple[str, ...] = ()
    params: Mapping[str, Any] = attrs.field(factory=dict, repr=_masked_repr)
    on_error: Literal["end", "stop"] = "end"
    clean_up: Duration

    @property
    def symbols(self) -> tuple[str, ...]:
        """The full names of what it trades, however they were given."""
        return self.instruments if self.instrument is None else (self.instrument,)


@attrs.frozen(kw_only=True)
class Config:
    """A whole config, checked as far as it can be without its plug-ins.

    `source` is the path of the (first) file as given, for messages; relative paths start at
    `base_dir`, or where `base_dir_of` says. `files` are all that were read, `given` those that
    were asked for.
    """

    bot: BotConfig
    venues: Mapping[str, VenueConfig]
    strategies: tuple[StrategyConfig, ...]
    risk: Mapping[str, Any] = attrs.field(factory=dict, repr=_masked_repr)
    alerts: AlertsConfig | None = None
    metrics: MetricsConfig | None = None
    source: str
    base_dir: str
    files: tuple[ConfigFile, ...] = attrs.field(default=(), eq=False)
    given: tuple[str, ...] = attrs.field(default=(), eq=False)
    _secrets: frozenset[str] = attrs.field(default=frozenset(), repr=False, eq=False)
    _origins: Origins = attrs.field(factory=Origins, repr=False, eq=False)

    def redact(self, text: str) -> str:
        """Return `text` with `***` for every secret of this config (four characters or more)."""
        return redacted(text, self._secrets)

    @property
    def words(self) -> str:
        """The files that were asked for, as a command line names them."""
        return shlex.join(self.given or (self.source,))

    def located(self, problem: str) -> str:
        """Return a sentence that begins with `source` and a key with the file that has the key."""
        return self._origins.located(problem)

    def base_dir_of(self, key: str) -> str:
        """Return the folder of the file that has (first had) the table at the dotted `key`."""
        file = self._origins.file_of(key)
        return str(Path(file).parent) if file else self.base_dir

    def show(self) -> str:
        """Return this config as TOML text: what holds now, defaults filled in, secrets masked."""
        tables: dict[str, Any] = {
            "bot": _without_empty(unstructure(self.bot)),
            "venues": {
                name: {"type": venue.type, **venue.terms(), **venue.options}
                for name, venue in self.venues.items()
            },
            "strategies": [_without_empty(unstructure(each)) for each in self.strategies],
            "risk": self.risk,
        }
        for name, section in (("alerts", self.alerts), ("metrics", self.metrics)):
            if section is not None:
                tables[name] = _without_empty(unstructure(section))
        return emit(escaped(masked(tables, self._secrets)))


def _without_empty(table: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in table.items() if value not in (None, [], (), {})}


def show(config: Config) -> str:
    """Return `config` as TOML text: what holds now, defaults filled in, secrets masked."""
    return config.show()
