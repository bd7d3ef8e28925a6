"""SIGINT, SIGTERM and SIGHUP: the first asks for an end, the second ends the process at once.

Plain handlers count them. Python calls a handler in the main thread between two bytecodes, so
it also runs while a strategy's hook never returns, when trio could not.
"""

import contextlib
import os
import signal
from collections.abc import Callable, Sequence
from types import FrameType
from typing import Final

import trio

from botkit.shell import ExitCode, Stop

__all__ = ["SIGNALS", "SignalWatch"]

SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
SHOW_CURSOR: Final = b"\x1b[?25h"
STDOUT, STDERR = 1, 2


class SignalWatch:
    """Counts signals from before the run and acts on them once it can.

    Parameters
    ----------
    received
        Signals that came before: `run.py` counts them while botkit is being imported.
    end_process
        Ends the process with an exit code, at once.
    """

    def __init__(
        self,
        received: list[int] | None = None,
        end_process: Callable[[int], object] = os._exit,
    ) -> None:
        self._received = [] if received is None else received
        self.end_process = end_process
        self._stop: Stop | None = None
        self._token: trio.lowlevel.TrioToken | None = None
        self._list_orders: Callable[[], Sequence[str]] = list
        self._exit_code: int = ExitCode.ORDERS_MAY_REST
        self._prepared = b""

    @property
    def asked(self) -> bool:
        """Whether a signal has come: an end is wanted."""
        return bool(self._received)

    def install(self) -> None:
        """Take the signals over from whoever has them."""
        for number in SIGNALS:
            signal.signal(number, self._on_signal)

    def attach(self, stop: Stop, list_orders: Callable[[], Sequence[str]]) -> None:
        """Pass the first signal to `stop`, also one that has come already; call inside trio.

        `list_orders` returns a line per order that may rest. It is called at any moment, in the
        middle of anything, so it must only look.
        """
        self._list_orders = list_orders
        self._token = trio.lowlevel.current_trio_token()
        self._stop = stop
        if self._received:
            stop.request(_named(self._received[0]))

    def finish(self, exit_code: int) -> None:
        """Let a further signal end the process with the exit code of the run, which has ended."""
        self._stop = None
        self._list_orders = list
        self._exit_code = exit_code

    def _on_signal(self, number: int, _: FrameType | None) -> None:
        self._received.append(number)
        self._prepare()
        if len(self._received) > 1:
            self._end_at_once()
            return
        stop, token = self._stop, self._token
        if stop is None or token is None:
            return
        reason = _named(number)
        stop.note(reason)  # a loop that does not await sees this
        with contextlib.suppress(trio.RunFinishedError):
            token.run_sync_soon(stop.request, reason)

    def _prepare(self) -> None:
        """Write down what may rest, in the middle of whatever the signal interrupted."""
        try:
            orders = self._list_orders()
        except Exception as exc:  # noqa: BLE001  caught half-way through a change; the older list holds
            orders = [f"(the orders could not be listed: {exc!r})"]
            if self._prepared:
                return
        self._prepared = "".join(f"  {line}\n" for line in orders).encode(errors="replace")

    def _end_at_once(self) -> None:
        """End without waiting for anything: no flush, no clean-up, no `finally`."""
        if self._exit_code == ExitCode.ORDERS_MAY_REST:
            head = b"botkit: ended at once by a second signal, orders were not waited for.\n"
            what = b"These may rest:\n" if self._prepared else b"No order was open.\n"
            _write(STDERR, b"\n" + head + what + self._prepared)
        if os.isatty(STDOUT):
            _write(STDOUT, SHOW_CURSOR)
        self.end_process(self._exit_code)


def _named(number: int) -> str:
    return f"signal {signal.Signals(number).name}"


def _write(descriptor: int, text: bytes) -> None:
    with contextlib.suppress(OSError):
        os.write(descriptor, text)
