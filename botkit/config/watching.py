"""`[alerts]` and `[metrics]`: who is told of a run, and where it can be looked at."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Any, Final
from urllib.parse import urlsplit

import attrs

from botkit.config.durations import Duration, parse_duration
from botkit.config.secrets import Secret

__all__ = ["AlertKind", "AlertsConfig", "HeartbeatConfig", "MetricsConfig", "concealed"]

_URL_KEYS: Final = frozenset({"url", "urls"})
_HIGHEST_PORT: Final = 65_535


class AlertKind(StrEnum):
    """What an alert may be about."""

    START = "start"
    STOP = "stop"
    HALT = "halt"  # the kill switch has tripped
    DISCONNECT = "disconnect"
    RECONNECT = "reconnect"
    IN_DOUBT = "in_doubt"  # orders are UNKNOWN
    STRATEGY_FAILURE = "strategy_failure"
    GUARDIAN = "guardian"  # it has died, or had to act


def _is_web_address(instance: object, attribute: "attrs.Attribute[Secret]", value: Secret) -> None:
    parts = urlsplit(value.reveal())
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ValueError('it must be a web address, as in "https://example.org/ping/1"')


@attrs.frozen(kw_only=True)
class HeartbeatConfig:
    """`heartbeat = { ... }`: an address to ask for while the bot is well.

    Parameters
    ----------
    every
        Time between two requests, in ns.
    """

    url: Secret = attrs.field(validator=_is_web_address)
    every: Duration = attrs.field(default=parse_duration("1m"), validator=attrs.validators.gt(0))


@attrs.frozen(kw_only=True)
class AlertsConfig:
    """`[alerts]`: who is told when something happens to the bot.

    Parameters
    ----------
    urls
        As apprise understands them; secret, for they hold tokens and passwords.
    on
        What is told of.
    every
        At most one alert of a kind in this time, in ns.
    """

    urls: tuple[Secret, ...] = ()
    on: tuple[AlertKind, ...] = tuple(AlertKind)
    every: Duration = attrs.field(default=parse_duration("1m"), validator=attrs.validators.gt(0))
    heartbeat: HeartbeatConfig | None = None

    def __attrs_post_init__(self) -> None:
        if not self.urls and self.heartbeat is None:
            raise ValueError("nobody is told: give urls, heartbeat or both")

    def secrets(self) -> set[str]:
        """Return every address, which no output may show."""
        beats = [] if self.heartbeat is None else [self.heartbeat.url]
        return {url.reveal() for url in (*self.urls, *beats)}


@attrs.frozen(kw_only=True)
class MetricsConfig:
    """`[metrics]`: where Prometheus reads the bot's figures.

    Parameters
    ----------
    port
        0 takes any free one, which is logged.
    host
        The address to listen at; whoever reaches it can read.
    """

    port: int = attrs.field(
        validator=[attrs.validators.ge(0), attrs.validators.le(_HIGHEST_PORT)],
    )
    host: str = attrs.field(default="127.0.0.1", validator=attrs.validators.min_len(1))


def concealed(value: Any, key: Any = "") -> Any:
    """Return the table `[alerts]` with its addresses made secret, so that no message shows them."""
    if isinstance(value, str) and key in _URL_KEYS:
        return Secret(value)
    if isinstance(value, Mapping):
        return {name: concealed(inner, name) for name, inner in value.items()}
    if isinstance(value, list):
        return [concealed(inner, key) for inner in value]
    return value
