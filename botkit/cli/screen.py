"""Everything a run says: on a terminal or down a pipe, as text or as JSON, and in its log file."""

import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import click
from rich.console import Console

from botkit.cli.log_file import LogFile
from botkit.cli.logs import LEVELS, LogForm, build_log, format_time
from botkit.cli.output import Output, StreamSink
from botkit.cli.status import LogLine, Snapshot, StatusSink
from botkit.clock import wall_time_ns
from botkit.engine.core import Log

__all__ = ["Screen"]


class Screen:
    """Prints a run to stdout: announcement, status view or log lines, summary.

    Parameters
    ----------
    status
        Draw the status view; stdout must be a terminal.
    patient
        Whoever prints waits for the terminal (full speed); else what is too much is dropped.
    log_file
        Where log lines go besides, as JSON, those of level info at least; None for nowhere.
    """

    def __init__(
        self,
        *,
        form: LogForm,
        level: str,
        status: bool,
        patient: bool,
        redact: Callable[[str], str],
        log_file: Path | None = None,
    ) -> None:
        self._form = form
        self._level = level
        self._redact = redact
        self.has_status = status and form == "console"
        self.progress: Callable[[], tuple[int, int]] | None = None
        stdout = StreamSink(sys.stdout, self.tell_progress)
        self._plain: Output[str] = Output(stdout, patient=patient)
        self._view: Output[LogLine | Snapshot] | None = None
        self._file: Output[str] | None = None
        if log_file is not None:
            self._file = Output(LogFile(log_file, self._log_here(wall_time_ns)))
        self.log: Log = self.log_by(wall_time_ns)

    @property
    def waiting(self) -> int:
        """How many lines have not been printed yet."""
        return self._plain.waiting

    def announce(self, text: str, *, mode: str) -> None:
        """Print the first line; the status view starts below it."""
        if self._form == "json":
            self.log("info", text, {"mode": mode})
        elif sys.stdout.isatty():
            colour = "red" if mode == "LIVE" else "green"
            head, _, rest = text.partition("  ")
            self._plain.put(f"{click.style(f' {head} ', bg=colour, fg='black', bold=True)}  {rest}")
        else:
            self._plain.put(text)

    def say(self, text: str) -> None:
        """Print a line for people; as JSON it is a log line."""
        if self._form == "json":
            self.log("info", text, {})
        else:
            self._plain.put(self._redact(text))

    def say_last(self, text: str) -> None:
        """Print a line that is for programs, in every form as it is."""
        self._plain.put(text)

    def log_by(self, now_ns: Callable[[], int], run: str = "") -> Log:
        """Return the log, its lines stamped by `now_ns`; from here on it is `self.log` too.

        In the log file every line names `run`.
        """
        here = self._log_here(now_ns)
        self.log = here if self._file is None else _both(here, self._log_there(now_ns, run))
        return self.log

    def _log_here(self, now_ns: Callable[[], int]) -> Log:
        return build_log(
            self._put_line, form=self._form, level=self._level, now_ns=now_ns, redact=self._redact
        )

    def _log_there(self, now_ns: Callable[[], int], run: str) -> Log:
        file = self._file
        assert file is not None
        level = min(self._level, "info", key=LEVELS.index)
        return build_log(
            lambda _, line: file.put(line),
            form="json",
            level=level,
            now_ns=now_ns,
            redact=self._redact,
            run=run,
        )

    def show(self, view: Snapshot) -> None:
        """Draw the status view anew; the first call starts it."""
        if self._view is None:
            self._view = Output(StatusSink(Console()))
        self._view.put(view)

    def end(self, complaint: str) -> None:
        """Take the status view away and say what went wrong, if anything did."""
        if self._view is not None:
            self._view.close()
            self._view = None
        if complaint:
            self.log("error", "the run was ended by an error", {"error": complaint})

    def close(self) -> None:
        """Print what waits; leave the terminal as it was found."""
        self.end("")
        if self._file is not None:
            self._file.close()
            if self._file.dropped:
                self._plain.put(f"{self._file.dropped} lines are not in the log file: too slow")
        dropped = self._plain.dropped
        if dropped:
            self._plain.put(f"{dropped} lines were not printed: the terminal was too slow")
        self._plain.close()

    def _put_line(self, level: str, line: str) -> None:
        if self._view is not None:
            self._view.put(LogLine(level, line))
        else:
            self._plain.put(line)

    def tell_progress(self) -> str:
        """Return how far a run at full speed is; it is asked for by the printing thread."""
        if self.progress is None:
            return ""
        time_ns, event_count = self.progress()
        if self._form == "json":
            self.log("info", "progress", {"events": event_count})
            return ""
        return f"{format_time(time_ns)}  {event_count:,} events"


def _both(one: Log, other: Log) -> Log:
    def log(level: str, message: str, fields: Mapping[str, object]) -> None:
        one(level, message, fields)
        other(level, message, fields)

    return log
