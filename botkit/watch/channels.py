"""Ways for an alert to leave: one for each URL, by apprise."""

import logging
import re
import threading
import warnings
from collections.abc import Sequence
from typing import Any, Final, Protocol
from urllib.parse import unquote

import attrs

from botkit.config import Secret
from botkit.config.secrets import redacted
from botkit.errors import ConfigError
from botkit.watch.alert import Severity
from botkit.watch.extras import import_extra

__all__ = ["AppriseChannel", "Channel", "open_channels"]

_PIECE: Final = re.compile(r"[^/:@?&=,;#\s]+")


class Channel(Protocol):
    """A way for an alert to leave."""

    @property
    def name(self) -> str:
        """What to call it where anybody may read."""
        ...

    def send(self, title: str, body: str, severity: Severity) -> str:
        """Send a message; return why it was not taken, or nothing. Blocks; never raises."""
        ...


class _Said(logging.Handler):
    """What apprise says while one thread sends; nothing of it is printed."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self._by_thread: dict[int, list[str]] = {}

    def begin(self) -> None:
        self._by_thread[threading.get_ident()] = []

    def end(self) -> list[str]:
        return self._by_thread.pop(threading.get_ident(), [])

    def emit(self, record: logging.LogRecord) -> None:
        lines = self._by_thread.get(threading.get_ident())
        if lines is not None:
            lines.append(record.getMessage())


_said: Final = _Said()


@attrs.frozen(kw_only=True)
class AppriseChannel:
    """One URL. Implements `Channel`."""

    name: str
    _service: Any = attrs.field(repr=False)
    _secrets: frozenset[str] = attrs.field(repr=False)

    def send(self, title: str, body: str, severity: Severity) -> str:
        """Send by apprise; return why it failed, free of everything that is in the URL."""
        _said.begin()
        try:
            went = self._service.notify(
                body=body, title=title, notify_type=severity, body_format="text"
            )
        except Exception as exc:  # noqa: BLE001  a service of apprise may raise anything; it is told as the reason
            return redacted(f"{type(exc).__name__}: {exc}", self._secrets)
        finally:
            lines = _said.end()
        if went:
            return ""
        return redacted("; ".join(lines) or "the service did not take it", self._secrets)


def open_channels(urls: Sequence[Secret], source: str) -> list[AppriseChannel]:
    """Return a channel for each URL; nothing connects.

    `source` is the config file, for messages.

    Raises
    ------
    ConfigError
        apprise is not installed, or does not understand a URL.
    """
    apprise = import_extra("apprise", extra="alerts", source=f"{source}: alerts")
    _silence()
    # Without a time limit of its own it sends in the thread that asks for it.
    asset = apprise.AppriseAsset(
        app_id="botkit", app_desc="botkit", storage_mode="memory", service_timeout=0
    )
    channels: list[AppriseChannel] = []
    problems: list[str] = []
    for number, url in enumerate(urls):
        key, text = f"alerts.urls.{number}", url.reveal()
        service = apprise.Apprise(asset=asset)
        said = _read(service, text)
        secrets = pieces(text)
        if len(service) == 1:
            scheme = text.partition(":")[0]
            channels.append(
                AppriseChannel(name=f"{key} ({scheme})", service=service, secrets=secrets)
            )
        else:
            told = redacted("; ".join(said), secrets)
            problems.append(
                f"{source}: {key}: found *** (text), allowed: one URL as apprise understands it, "
                f'such as "json://host/path" or "tgram://TOKEN/CHAT"{told and f": {told}"}'
            )
    if problems:
        raise ConfigError(problems)
    return channels


def _read(service: Any, url: str) -> list[str]:
    """Have apprise read a URL; return what it says."""
    _said.begin()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of its own, loading its services
        service.add(url)
    return _said.end()


def _silence() -> None:
    """Keep apprise's log, which may show URLs, away from everyone but `_said`."""
    logger = logging.getLogger("apprise")
    logger.propagate = False
    if _said not in logger.handlers:
        logger.addHandler(_said)


def pieces(url: str) -> frozenset[str]:
    """Return the URL and every part of it but the scheme, as written and as unquoted."""
    _, _, rest = url.partition("://")
    parts = _PIECE.findall(rest)
    return frozenset({url, rest, *parts, *map(unquote, parts)})
