"""A config of one's own, turned to simulated exchanges: no address or key of a real one left."""

from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlsplit, urlunsplit

import attrs

from botkit.adapter import Member, SimulatorSetup
from botkit.assembly import check
from botkit.clock import BacktestClock
from botkit.config import Config, VenueConfig, names
from botkit.errors import ConfigError
from botkit.testing.simulated import START_NS
from botkit.testing.world import HOST, simulator_of

__all__ = ["at_simulators"]

PLAIN: Final = {"wss": "ws", "https": "http"}
ADDRESSES: Final = ("url", "rest_url")


def at_simulators(config: Config) -> Config:
    """Return `config` with every venue's addresses and keys those of its simulator.

    A key that is one of the simulator's test keys stays. Alerts and metrics go to nobody.

    Raises
    ------
    ConfigError
        Something in it is wrong, or a venue has no simulator.
    """
    simulated = names("botkit.simulators")
    problems = [
        f"{config.source}: venues.{name}.type: a simulation needs a simulated exchange for every "
        f'venue; found "{each.type}", allowed: {", ".join(simulated)}'
        for name, each in config.venues.items()
        if each.type not in simulated
    ]
    if problems:
        raise ConfigError(*problems)
    plan = check(config, live=True)
    venues = {
        name: _moved(each, plan.venues[name], _members(config, name))
        for name, each in config.venues.items()
    }
    return attrs.evolve(config, venues=venues, alerts=None, metrics=None)


def _members(config: Config, name: str) -> list[Member]:
    clock = BacktestClock()
    clock.begin(START_NS)
    simulator = simulator_of(config, name)(SimulatorSetup(clock=clock, seed=0))
    return list(simulator.members)


def _moved(table: VenueConfig, venue: object, members: list[Member]) -> VenueConfig:
    """Return a venue's table as its simulator needs it; `venue` is what was built of it."""
    given = dict(table.options)
    taken: Any = getattr(venue, "options", None)
    addresses = {
        key: _plain(str(getattr(taken, key))) for key in ADDRESSES if getattr(taken, key, None)
    }
    guardian = given.get("guardian")
    moved = {**given, **addresses, **_keys(given, members)}
    if isinstance(guardian, Mapping):
        moved["guardian"] = {
            **{key: value for key, value in guardian.items() if key not in ADDRESSES},
            **_keys(guardian, members),
        }
    return attrs.evolve(table, options=moved)


def _keys(given: Mapping[str, Any], members: list[Member]) -> dict[str, str]:
    """Return the keys a table has, the simulator's instead of foreign ones."""
    if "key" not in given or any(given["key"] in (each.key, each.name) for each in members):
        return {}
    member = members[0]
    ours = {
        "key": member.key,
        "secret": member.secret,
        "password": member.key.replace("key", "password"),
    }
    return {key: ours[key] for key in ours if key in given}


def _plain(address: str) -> str:
    """Return an address of the simulated network: no TLS, the same path."""
    parts = urlsplit(address)
    scheme = PLAIN.get(parts.scheme, parts.scheme)
    return urlunsplit(parts._replace(scheme=scheme, netloc=HOST))
