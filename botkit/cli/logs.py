"""Log lines: structured, stamped by the bot's clock, free of secrets."""

import datetime as dt
from collections.abc import Callable, Mapping
from typing import Any, Final, Literal

import structlog

from botkit.engine.core import Log

__all__ = ["LEVELS", "LogForm", "build_log", "format_time", "render_line", "without_secrets"]

LogForm = Literal["console", "json"]
LEVELS: Final = ("debug", "info", "warning", "error", "critical")
NS_PER_S: Final = 1_000_000_000
Fields = structlog.typing.EventDict


class _Lines:
    """The end of structlog's chain: finished lines and their level go to `put`."""

    def __init__(self, put: Callable[[str, str], None]) -> None:
        self._put = put

    def __getattr__(self, level: str) -> Callable[[str], None]:
        return lambda line: self._put(level, line)


def build_log(
    put: Callable[[str, str], None],
    *,
    form: LogForm,
    level: str,
    now_ns: Callable[[], int],
    redact: Callable[[str], str],
    run: str = "",
) -> Log:
    """Return a log whose lines of `level` and above go to `put(level, line)`.

    Every line names `run`, unless that is empty.
    """
    ours = {"run": run} if run else {}

    def stamp(_: object, level: str, fields: Fields) -> Fields:
        event = fields.pop("event")
        return {"time": format_time(now_ns()), "level": level, **ours, "event": event, **fields}

    def hide(_: object, __: str, fields: Fields) -> Fields:
        return {name: without_secrets(value, redact) for name, value in fields.items()}

    logger = structlog.wrap_logger(
        _Lines(put),
        processors=[stamp, hide, _renderer(form)],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        cache_logger_on_first_use=True,
    )

    def log(level: str, message: str, fields: Mapping[str, object]) -> None:
        # A strategy's field may be called like one of ours; its own name must not get lost.
        taken = {f"{name}_" if name in _OURS else name: fields[name] for name in fields}
        getattr(logger, level)(message, **taken)

    return log


_OURS: Final = frozenset({"time", "level", "run", "event", "exception"})


def _renderer(form: LogForm) -> structlog.typing.Processor:
    if form == "json":
        return structlog.processors.JSONRenderer(default=str)
    return _render_line


def _render_line(_: object, __: str, fields: Fields) -> str:
    time = fields["time"][11:]
    return render_line({**fields, "time": time})


def render_line(fields: Mapping[str, Any]) -> str:
    """Return `time level message key=value ...`; text of several lines follows below."""
    time, level, event = fields["time"], fields["level"], fields["event"]
    others = {name: fields[name] for name in fields if name not in ("time", "level", "event")}
    plain = {name: value for name, value in others.items() if "\n" not in str(value)}
    below = [str(value).rstrip() for name, value in others.items() if name not in plain]
    told = "  ".join(f"{name}={value}" for name, value in plain.items())
    first = f"{time} {level:<8} {event}" + (f"  {told}" if told else "")
    return "\n".join([first, *below])


def without_secrets(value: Any, redact: Callable[[str], str]) -> Any:
    """Return a nest of mappings and sequences, redacted; what is no number becomes text."""
    if isinstance(value, bool | int | float) or value is None:
        return value
    if isinstance(value, Mapping):
        return {key: without_secrets(inner, redact) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [without_secrets(inner, redact) for inner in value]
    return redact(str(value))


def format_time(time_ns: int) -> str:
    """Return a time as ISO 8601 in UTC, to the millisecond."""
    time = dt.datetime.fromtimestamp(time_ns // NS_PER_S, tz=dt.UTC)
    return f"{time:%Y-%m-%dT%H:%M:%S}.{time_ns % NS_PER_S // 1_000_000:03d}Z"
