"""From a config to a bot: plug-ins found and checked, then put together around an engine."""

import hashlib
import inspect
import math
import traceback
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import attrs

from botkit.adapter import DryRunVenue
from botkit.clock import Clock, wall_time_ns
from botkit.config import (
    Config,
    DryRunOptions,
    StrategyConfig,
    found,
    load_plugin,
    load_strategy_class,
    strategy_key,
    structure,
)
from botkit.config.emitting import quote_key
from botkit.engine import Engine, EngineSettings
from botkit.engine.core import Log, tell_nobody
from botkit.engine.dispatch import Dispatcher
from botkit.engine.riskview import ScopedRule
from botkit.errors import ConfigError
from botkit.model import Halted, Instrument
from botkit.orders import OrderTiming
from botkit.ports import (
    Journal,
    Recovered,
    RiskRule,
    RiskScope,
    SimulatedVenue,
    Venue,
    VenueRule,
    VenueSetup,
)
from botkit.scope import CleanUpBudget
from botkit.shell import Bot
from botkit.strategy import HOOKS, Strategy

__all__ = ["Plan", "PlannedStrategy", "assemble", "build_rules", "check", "replay_run_id"]

NS_PER_S = 1_000_000_000
GUARDIAN = "guardian"  # of a venue's options, what its guardian uses instead


@attrs.frozen(kw_only=True)
class PlannedStrategy:
    """One strategy of a config, its class found and its parameters checked."""

    config: StrategyConfig
    strategy_class: type[Strategy]
    params: Any


@attrs.frozen(kw_only=True)
class Plan:
    """A config with all its plug-ins built; nothing has connected.

    `live` says whether orders go to the venues or are matched in this process.
    """

    config: Config
    live: bool = False
    venues: Mapping[str, Venue]
    strategies: tuple[PlannedStrategy, ...]
    rules: tuple[RiskRule | ScopedRule, ...]

    async def prepare(self) -> dict[str, Instrument]:
        """Let every venue fetch its instruments; return them all by symbol.

        Raises
        ------
        ConfigError
            A strategy wants an instrument its venue does not have.
        """
        instruments: dict[str, Instrument] = {}
        for venue in self.venues.values():
            await venue.prepare()
            instruments.update(venue.instruments)
        missing = [
            f"{self.config.source}: {strategy_key(planned.config.name)}: found {symbol!r}, "
            f"allowed: {', '.join(sorted(instruments)) or 'nothing'}"
            for planned in self.strategies
            for symbol in planned.config.symbols
            if symbol not in instruments
        ]
        if missing:
            raise ConfigError([self.config.located(problem) for problem in missing])
        return instruments

    def simulated(self) -> list[SimulatedVenue]:
        """Return the venues that live in this process."""
        return [venue for venue in self.venues.values() if isinstance(venue, SimulatedVenue)]

    def is_full_speed(self) -> bool:
        """Tell whether every feed is to be played as fast as it goes.

        Raises
        ------
        ConfigError
            Some are and some are not: their times could not be merged.
        """
        fast = [name for name, venue in self.venues.items() if _speed(venue) == math.inf]
        if fast and len(fast) < len(self.venues):
            slow = [name for name in self.venues if name not in fast]
            raise ConfigError(
                f'{self.config.source}: venues {", ".join(fast)} play at speed "max" and '
                f"{', '.join(slow)} do not: give all the same speed"
            )
        return bool(fast)


def _speed(venue: Venue) -> float:
    return venue.speed if isinstance(venue, SimulatedVenue) else 1.0


def check(
    config: Config,
    known: Sequence[str] = (),
    *,
    live: bool = False,
    guardian: bool = False,
    symbols: Sequence[str] = (),
    now_ns: Callable[[], int] = wall_time_ns,
) -> Plan:
    """Find and build every plug-in of `config`; nothing connects.

    Not `live`, a real venue gives its market data and nothing else: see `DryRunVenue`. The plan
    of a `guardian` has venues alone, as it uses them: nothing of strategies is imported, and
    nothing stands between it and its cancels. `symbols` are instruments besides those that the
    strategies trade; `now_ns` is the time that venues sign requests with.

    Raises
    ------
    ConfigError
        With the problems of all of them at once, after those `known` from reading the config.
    """
    problems = list(known)

    def attempt(build: Callable[[], Any]) -> Any:
        try:
            return build()
        except ConfigError as exc:
            problems.extend(exc.problems)

    def build_venues(*, guardian: bool) -> dict[str, Any]:
        return {
            name: attempt(
                partial(
                    _build_venue,
                    config,
                    name,
                    also=symbols,
                    live=live,
                    guardian=guardian,
                    now_ns=now_ns,
                )
            )
            for name, table in config.venues.items()
            if not guardian or GUARDIAN in table.options
        }

    venues = build_venues(guardian=False)
    own = {} if problems else build_venues(guardian=True)  # in any case: a mistake shows at once
    if guardian:
        if problems:
            raise ConfigError([config.located(problem) for problem in problems])
        return Plan(config=config, live=live, venues={**venues, **own}, strategies=(), rules=())
    strategies = [attempt(partial(_plan_strategy, config, each)) for each in config.strategies]
    rules = attempt(partial(build_rules, config)) or ()
    if not known:  # else strategies may be missing, and what they trade
        problems += _untraded(config)
    if problems:
        raise ConfigError([config.located(problem) for problem in problems])
    return Plan(config=config, live=live, venues=venues, strategies=tuple(strategies), rules=rules)


def _build_venue(
    config: Config,
    name: str,
    *,
    also: Sequence[str],
    live: bool,
    guardian: bool,
    now_ns: Callable[[], int],
) -> Venue:
    table = config.venues[name]
    source = f"{config.source}: venues.{name}"
    plugin: Any = load_plugin("botkit.venues", table.type, f"{source}.type")
    symbols = [*(symbol for each in config.strategies for symbol in each.symbols), *also]
    market_data = getattr(plugin, "market_data", None)
    options = dict(table.options)
    own = options.pop(GUARDIAN, {})
    if not isinstance(own, Mapping):
        raise ConfigError(f"{source}.{GUARDIAN}: found {found(own)}, allowed: a table of options")
    if guardian:
        options |= own
        source = f"{source}.{GUARDIAN}"
    paper = options.pop("paper", {}) if market_data is not None else {}
    if market_data is None and table.on_disconnect is not None:
        options["on_disconnect"] = table.on_disconnect  # matched here, it decides by itself
    setup = VenueSetup(
        name=name,
        options=options,
        symbols=tuple(dict.fromkeys(s for s in symbols if s.partition(":")[0] == name)),
        source=source,
        base_dir=config.base_dir_of(f"venues.{name}"),
        now_ns=now_ns,
        on_disconnect=table.on_disconnect or "cancel",
    )
    dry_run = structure(DryRunOptions, paper, source, key="paper")
    if market_data is not None and not live:
        return DryRunVenue(market_data(setup), dry_run)
    venue: Venue = plugin.from_setup(setup)
    if venue.keeps_orders and not live:
        raise ConfigError(
            f"{source}.type: {table.type!r} cannot be had without its orders, since it has no "
            "market_data(); add --live to send real orders"
        )
    if live and table.account != "exclusive" and _is_nameless(venue):
        raise ConfigError(
            f"{source}.account: found {table.account!r}, allowed: 'exclusive' with --live, since "
            f"{table.type} takes no order ids of ours, so that an order of a lost answer can only "
            "be told by its side, price and quantity: trade on an account that nobody else trades "
            'on, and say so by account = "exclusive"'
        )
    return venue


def _is_nameless(venue: Venue) -> bool:
    """Tell whether its orders outlive us and do not carry ids of ours."""
    return venue.keeps_orders and not venue.capabilities.client_order_ids


def _plan_strategy(config: Config, table: StrategyConfig) -> PlannedStrategy:
    source = f"{config.source}: {strategy_key(table.name)}"
    base_dir = config.base_dir_of("strategies")
    found = load_strategy_class(table.type, f"{source}.type", base_dir)
    if not issubclass(found, Strategy):
        raise ConfigError(
            f"{source}.type: {table.type!r} is the class {found.__qualname__}, which is no "
            "botkit.Strategy: derive it from Strategy"
        )
    if not attrs.has(found.Params):
        raise ConfigError(
            f"{source}.type: {found.__qualname__}.Params is no attrs class: "
            "put @attrs.frozen above it"
        )
    if wrong := _wrong_hooks(found):
        raise ConfigError([f"{source}.type: {found.__qualname__}.{text}" for text in wrong])
    params = structure(found.Params, table.params, source, key="params")
    return PlannedStrategy(config=table, strategy_class=found, params=params)


def _wrong_hooks(found: type[Strategy]) -> list[str]:
    """Return a clause for each hook that waits, which nobody would wait for, and a plain `run`."""
    waiting = [
        f"{name} is a coroutine function, but hooks do not wait: make it a plain def, and put "
        "what waits into async def run(self)"
        for name in sorted(HOOKS)
        if _waits(getattr(found, name))
    ]
    run = found.run
    if not inspect.iscoroutinefunction(run) and not hasattr(run, "__wrapped__"):
        waiting.append("run is a plain function: make it async def run(self)")
    return waiting


def _waits(hook: object) -> bool:
    return inspect.iscoroutinefunction(hook) or inspect.isasyncgenfunction(hook)


def build_rules(config: Config) -> tuple[RiskRule | ScopedRule, ...]:
    """Return the rules of `[risk]`, then those of its tables by strategy and by venue.

    Raises
    ------
    ConfigError
        With the problems of all of them.
    """
    problems: list[str] = []
    rules: list[RiskRule | ScopedRule] = []
    for prefix, scope, table in _risk_tables(config, problems):
        for key, value in table.items():
            try:
                rule = _build_rule(key, value, f"{config.source}: risk.{prefix}{key}")
            except ConfigError as exc:
                problems.extend(exc.problems)
                continue
            if isinstance(rule, VenueRule):
                problems += [
                    f"{config.source}: risk.{prefix}{key}: found {name!r}, allowed: "
                    f"{', '.join(config.venues)}"
                    for name in rule.venues()
                    if name not in config.venues
                ]
            rules.append(ScopedRule(f"{prefix}{key}", scope, rule) if prefix else rule)
    if problems:
        raise ConfigError(problems)
    return tuple(rules)


def _risk_tables(
    config: Config, problems: list[str]
) -> list[tuple[str, RiskScope, Mapping[str, Any]]]:
    """Return each table of rules with where it stands and what it is about."""
    scopes = {
        "strategies": {each.name: RiskScope(strategy=each.name) for each in config.strategies},
        "venues": {name: RiskScope(venue=name) for name in config.venues},
    }
    everywhere = {key: value for key, value in config.risk.items() if key not in scopes}
    found: list[tuple[str, RiskScope, Mapping[str, Any]]] = [("", RiskScope(), everywhere)]
    for kind, known in scopes.items():
        tables = config.risk.get(kind, {})
        source = f"{config.source}: risk.{kind}"
        if not isinstance(tables, Mapping):
            problems.append(f"{source}: found {tables!r}, allowed: tables [risk.{kind}.NAME]")
            continue
        for name, table in tables.items():
            if name not in known:
                problems.append(f"{source}: found {name!r}, allowed: {', '.join(known)}")
            elif not isinstance(table, Mapping):
                problems.append(f"{source}.{name}: found {table!r}, allowed: a table of rules")
            else:
                found.append((f"{kind}.{name}.", known[name], table))
    return found


def _build_rule(key: str, value: Any, source: str) -> RiskRule:
    plugin: Any = load_plugin("botkit.risk", key, source)
    rule: RiskRule = plugin.from_config(value, source)
    return rule


def _untraded(config: Config) -> list[str]:
    """Return a sentence for each limit of an instrument that nobody trades: never looked at."""
    traded = dict.fromkeys(symbol for each in config.strategies for symbol in each.symbols)
    return [
        f"{config.source}: risk.{prefix}{key}.{quote_key(name)}: no strategy trades it, allowed: "
        f"{', '.join(traded)}"
        for prefix, _, table in _risk_tables(config, [])
        for key, value in table.items()
        if isinstance(value, Mapping)
        for name in value
        if ":" in name and name not in traded
    ]


def assemble(
    plan: Plan,
    instruments: Mapping[str, Instrument],
    *,
    journal: Journal,
    clock: Clock,
    run_id: str,
    log: Log,
    make_dispatcher: Callable[..., Dispatcher] = Dispatcher,
    on_halt: Callable[[Halted], None] = tell_nobody,
    carried: Mapping[str, Mapping[str, str]] | None = None,
    keep_running: bool = False,
    left_open: Sequence[Recovered] = (),
    timing: OrderTiming | None = None,
) -> Bot:
    """Put the parts of `plan` around an engine.

    `on_halt` is told once the kill switch has tripped; `carried` is what rules left behind;
    `keep_running` leaves a halted bot up for reducing orders; `left_open` are orders of earlier
    runs, which this one takes over; `timing` says how long answers may take.
    """
    config = plan.config
    used = dict.fromkeys(symbol for each in plan.strategies for symbol in each.config.symbols)
    used |= dict.fromkeys(each.record.request.symbol for each in left_open)
    traded = {symbol: instruments[symbol] for symbol in used}
    dispatcher = make_dispatcher(journal, plan.venues, traded)
    engine = Engine(
        EngineSettings(
            bot=config.bot.name,
            instruments=traded,
            capabilities={name: venue.capabilities for name, venue in plan.venues.items()},
            rules=plan.rules,
            journal=journal,
            dispatch=dispatcher,
            stamp=clock.now_ns,
            log=log,
            equity_every_ns=config.bot.equity_every,
            on_halt=on_halt,
            recall=dispatcher.recall,
            carried=carried or {},
            keep_running=keep_running,
            fees={name: venue.fees for name, venue in plan.venues.items()},
            report_currency=config.bot.report_currency,
            rate_stale_ns=config.bot.rate_stale,
            flatten=config.bot.flatten,
            timing=timing or OrderTiming(),
            on_disconnect={
                name: venue.on_disconnect or "cancel" for name, venue in config.venues.items()
            },
            listed=[name for name, venue in plan.venues.items() if venue.keeps_orders],
            exclusive=[
                name for name, venue in config.venues.items() if venue.account == "exclusive"
            ],
        )
    )
    dispatcher.connect(engine.handle, lambda: engine.now_ns)
    budget = CleanUpBudget(config.bot.clean_up / NS_PER_S)
    for planned in plan.strategies:
        engine.add_strategy(
            _made(planned, config.source),
            name=planned.config.name,
            symbols=planned.config.symbols,
            params=planned.params,
            budget=CleanUpBudget(planned.config.clean_up / NS_PER_S, parent=budget),
            stop_on_error=planned.config.on_error == "stop",
        )
    return Bot(
        name=config.bot.name,
        run_id=run_id,
        engine=engine,
        dispatcher=dispatcher,
        clock=clock,
        budget=budget,
        left_open=left_open,
    )


def _made(planned: PlannedStrategy, source: str) -> Strategy:
    cls = planned.strategy_class
    try:
        return cls()
    except Exception as exc:
        (*_, last) = traceback.extract_tb(exc.__traceback__)
        raise ConfigError(
            f"{source}: {strategy_key(planned.config.name)}: {cls.__qualname__}() cannot be made: "
            f"{type(exc).__name__}: {exc} ({last.filename}, line {last.lineno}); __init__ takes "
            "no arguments, set up in on_start"
        ) from exc


def replay_run_id(config: Config) -> str:
    """Return the run id of a full-speed run: the same for the same config, seeds included."""
    return hashlib.blake2b(config.show().encode(), digest_size=5).hexdigest()
