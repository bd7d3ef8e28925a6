"""Config files to a `Config`: read, overridden, filled in from the environment, checked."""

import os
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Literal, TypeVar

import attrs

from botkit.config.describing import found, listed, nearest
from botkit.config.durations import Duration
from botkit.config.emitting import quote_key
from botkit.config.environment import Expansion
from botkit.config.merging import read_files, refuse_depth
from botkit.config.naming import NAME_PATTERN, NAME_WORDS, IsName, effective_names, strategy_keys
from botkit.config.overriding import apply_overrides
from botkit.config.secrets import redacted, secrets_in
from botkit.config.sections import BotConfig, Config, StrategyConfig, VenueConfig
from botkit.config.structuring import structure
from botkit.config.watching import AlertsConfig, MetricsConfig, concealed
from botkit.errors import ConfigError

__all__ = ["Reading", "examine", "load"]

T = TypeVar("T")

_SECTIONS: Final = ("bot", "venues", "strategies", "risk", "alerts", "metrics")
_SYMBOL: Final = re.compile(r"([^:\s]+):(\S+)")
_STRATEGY: Final = re.compile(r"strategies\.(\d+)(?![^.])")


@attrs.frozen
class Reading:
    """What could be read of some files, and what is wrong with the rest, secrets masked.

    `config` is None if its plug-ins cannot judge what they would be given. With problems, it is
    fit for nothing but to ask them.
    """

    config: Config | None
    problems: tuple[str, ...]


def load(
    paths: str | Path | Sequence[str | Path],
    overrides: Sequence[str] = (),
    *,
    environ: Mapping[str, str] | None = None,
) -> Config:
    """Return the config in the TOML file, or files, at `paths`.

    Parameters
    ----------
    paths
        Later files override earlier ones, see `read_files`.
    overrides
        "a.b.c=value" each, as `--set` takes them; see `apply_overrides`.
    environ
        Where `${NAME}` is looked up; the process's environment if None.

    Raises
    ------
    ConfigError
        With every problem at once, a sentence each that names the file, secrets masked.
    """
    reading = examine(paths, overrides, environ=environ)
    if reading.config is None or reading.problems:
        raise ConfigError(reading.problems)
    return reading.config


def examine(
    paths: str | Path | Sequence[str | Path],
    overrides: Sequence[str] = (),
    *,
    environ: Mapping[str, str] | None = None,
) -> Reading:
    """Return what can be read of the files at `paths`, with what is wrong; see `load`.

    Raises
    ------
    ConfigError
        Nothing can: one is no TOML, say.
    """
    several = [paths] if isinstance(paths, str | Path) else list(paths)
    if not several:
        raise ConfigError("found no config file, allowed: one or more")
    given = tuple(str(path) for path in several)
    merged = read_files(given)
    source, document = merged.origins.main, merged.document
    refused = [f"{source}: {text}" for text in apply_overrides(document, overrides)]
    refuse_depth(document, source)
    keys = strategy_keys(document.get("strategies"))
    expansion = Expansion(os.environ if environ is None else environ)
    document = expansion.fill(document)
    unfilled = [(_with_name(key, keys), text) for key, text in expansion.problems]
    reader = _Reader(source=source, unfilled={key for key, _ in unfilled}, keys=keys)
    config = reader.read(document, str(Path(source).parent))
    config = attrs.evolve(config, files=merged.files, given=given, origins=merged.origins)
    problems = [*refused, *(f"{source}: {key}: {text}" for key, text in unfilled)]
    problems += reader.problems
    secrets = secrets_in(document)
    masked = tuple(
        redacted(merged.origins.located(problem), secrets) for problem in dict.fromkeys(problems)
    )
    return Reading(None if expansion.problems else config, masked)


def _with_name(key: str, keys: Sequence[str]) -> str:
    """Return a dotted key with a strategy's name in place of its index."""
    match = _STRATEGY.match(key)
    return key if match is None else keys[int(match[1])] + key[match.end() :]


@attrs.frozen(kw_only=True)
class _VenueTable:
    type: str = attrs.field(validator=attrs.validators.min_len(1))
    on_disconnect: Literal["cancel", "keep"] | None = None
    account: Literal["shared", "exclusive"] = "shared"


@attrs.frozen(kw_only=True)
class _StrategyTable:
    """A strategy as written: before its name and its clean-up are settled."""

    type: str = attrs.field(validator=attrs.validators.min_len(1))
    name: str | None = attrs.field(
        default=None,
        validator=attrs.validators.optional(IsName()),
    )
    instrument: str | None = None
    instruments: tuple[str, ...] | None = None
    params: Mapping[str, Any] = attrs.field(factory=dict)
    on_error: Literal["end", "stop"] = "end"
    clean_up: Duration | None = attrs.field(
        default=None, validator=attrs.validators.optional(attrs.validators.gt(0))
    )


@attrs.define(kw_only=True)
class _Reader:
    """Reads the sections of one document and gathers what is wrong with them.

    Nothing is said about keys whose variable is not set: they have been reported. `keys` are
    what each of `[[strategies]]` is called in messages.
    """

    source: str
    unfilled: set[str]
    keys: Sequence[str]
    problems: list[str] = attrs.field(factory=list)

    def read(self, document: Mapping[str, Any], base_dir: str) -> Config:
        """Return the config, without what could not be read of it."""
        for name in document:
            if name not in _SECTIONS:
                hint = nearest(name, _SECTIONS)
                self._object(quote_key(name), f"unknown key, allowed: {', '.join(_SECTIONS)}{hint}")
        bot = self._structured(BotConfig, document.get("bot", {}), "bot")
        venues = self._venues(document.get("venues", {}))
        strategies = self._strategies(document.get("strategies", []), venues, bot)
        if bot is not None:
            self._check_opening(bot, strategies)
        risk = document.get("risk", {})
        if not isinstance(risk, Mapping):
            self._object("risk", f"found {found(risk)}, allowed: a table")
            risk = {}
        alerts = self._optional(AlertsConfig, concealed(document.get("alerts"), "urls"), "alerts")
        return Config(
            bot=bot or BotConfig(name="unnamed"),
            venues={name: venue for name, venue in venues.items() if venue.type},
            strategies=strategies,
            risk=risk,
            alerts=alerts,
            metrics=self._optional(MetricsConfig, document.get("metrics"), "metrics"),
            source=self.source,
            base_dir=base_dir,
            secrets=frozenset(secrets_in(document) | (alerts.secrets() if alerts else set())),
        )

    def _optional(self, cls: type[T], table: Any, key: str) -> T | None:
        return None if table is None else self._structured(cls, table, key)

    def _object(self, key: str, text: str) -> None:
        if key not in self.unfilled:
            self.problems.append(f"{self.source}: {key}: {text}")

    def _structured(self, cls: type[T], table: Any, key: str) -> T | None:
        try:
            return structure(cls, table, self.source, key=key)
        except ConfigError as error:
            reported = tuple(f"{self.source}: {unfilled}: " for unfilled in self.unfilled)
            self.problems += [text for text in error.problems if not text.startswith(reported)]
            return None

    def _venues(self, tables: Any) -> dict[str, VenueConfig]:
        if not isinstance(tables, Mapping):
            self._object("venues", f"found {found(tables)}, allowed: tables [venues.NAME]")
            return {}
        if not tables:
            self._object("venues", "missing, allowed: at least one table [venues.NAME]")
        return {name: self._venue(name, table) for name, table in tables.items()}

    def _venue(self, name: str, table: Any) -> VenueConfig:
        key = f"venues.{quote_key(name)}"
        if not re.fullmatch(NAME_PATTERN, name):
            self._object(key, f"found the name {found(name)}, allowed: {NAME_WORDS}")
        if not isinstance(table, Mapping):
            self._structured(_VenueTable, table, key)
            return VenueConfig(name=name, type="")
        ours = {field.name for field in attrs.fields(_VenueTable)}
        head = self._structured(_VenueTable, {k: table[k] for k in table if k in ours}, key)
        if head is None:
            return VenueConfig(name=name, type="")
        return VenueConfig(
            name=name,
            type=head.type,
            on_disconnect=head.on_disconnect,
            account=head.account,
            options={k: v for k, v in table.items() if k not in ours},
        )

    def _strategies(
        self, tables: Any, venues: Mapping[str, VenueConfig], bot: BotConfig | None
    ) -> tuple[StrategyConfig, ...]:
        if not isinstance(tables, list):
            self._object("strategies", f"found {found(tables)}, allowed: tables [[strategies]]")
            return ()
        if not tables:
            self._object("strategies", "missing, allowed: at least one table [[strategies]]")
        read = [
            self._structured(_StrategyTable, table, key)
            for key, table in zip(self.keys, tables, strict=True)
        ]
        names = self._names(read)
        for key, table in zip(self.keys, read, strict=True):
            if table is not None:
                self._check_instruments(table, key, venues)
        clean_up = bot.clean_up if bot else 0
        return tuple(
            StrategyConfig(
                type=table.type,
                name=name,
                instrument=table.instrument,
                instruments=table.instruments or (),
                params=table.params,
                on_error=table.on_error,
                clean_up=table.clean_up or clean_up,
            )
            for table, name in zip(read, names, strict=True)
            if table is not None
        )

    def _names(self, tables: Sequence[_StrategyTable | None]) -> list[str]:
        names = effective_names([(each.name, each.type) if each else (None, "") for each in tables])
        for i, (table, name) in enumerate(zip(tables, names, strict=True)):
            if table is None:
                continue
            if name in names[:i]:
                text = f"found {found(name)}, which another strategy has, allowed: its own name"
                self._object(f"{self.keys[i]}.name", text)
            elif not re.fullmatch(NAME_PATTERN, name):
                text = f"missing, since {found(table.type)} makes none, allowed: {NAME_WORDS}"
                self._object(f"{self.keys[i]}.name", text)
        return names

    def _check_instruments(
        self, table: _StrategyTable, key: str, venues: Mapping[str, VenueConfig]
    ) -> None:
        """Object unless one of the two ways is used, with full names of known venues."""
        if (table.instrument is None) is (not table.instruments):
            both = "both" if table.instruments else "neither"
            self._object(
                key, f'found {both} of instrument and instruments, allowed: one, as "venue:SYMBOL"'
            )
        if table.instrument is not None:
            self._check_symbol(table.instrument, f"{key}.instrument", venues)
        for i, symbol in enumerate(table.instruments or ()):
            self._check_symbol(symbol, f"{key}.instruments.{i}", venues)

    def _check_opening(self, bot: BotConfig, strategies: Sequence[StrategyConfig]) -> None:
        """Object unless each is of a strategy of this config, in what it trades, and said once."""
        traded = {each.name: each.symbols for each in strategies}
        said: set[tuple[str, str]] = set()
        for i, opening in enumerate(bot.opening):
            key, place = f"bot.opening.{i}", (opening.strategy, opening.symbol)
            if opening.strategy not in traded:
                hint = nearest(opening.strategy, traded)
                text = f"found {found(opening.strategy)}, allowed: {listed(traded)}{hint}"
                self._object(f"{key}.strategy", text)
            elif opening.symbol not in traded[opening.strategy]:
                allowed = listed(traded[opening.strategy])
                text = f"found {found(opening.symbol)}, allowed: what {opening.strategy} trades: "
                self._object(f"{key}.symbol", text + allowed)
            if place in said:
                self._object(key, "the same strategy and symbol as before, allowed: each once")
            said.add(place)

    def _check_symbol(self, symbol: str, key: str, venues: Iterable[str]) -> None:
        match = _SYMBOL.fullmatch(symbol)
        if match is None:
            self._object(key, f'found {found(symbol)}, allowed: a full name "venue:SYMBOL"')
        elif venues and match[1] not in venues:
            hint = nearest(match[1], venues)
            self._object(
                key,
                f"found {found(symbol)}, allowed: a symbol of the venues {listed(venues)}{hint}",
            )
