"""The kill switch on the disk: tripped it stays so across restarts, until a person clears it."""

import contextlib
import errno
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import msgspec

from botkit.errors import ConfigError, JournalError
from botkit.model import Halted

__all__ = ["Clearance", "KillSwitch"]


class Clearance(msgspec.Struct, frozen=True, kw_only=True):
    """One trip that a person has cleared, and why."""

    halted: Halted
    halted_ns: int
    cleared_ns: int
    reason: str


class _State(msgspec.Struct, kw_only=True):
    halted: Halted | None = None
    halted_ns: int = 0  # by the machine's clock; `halted` has the engine's time
    history: list[Clearance] = msgspec.field(default_factory=list)
    carried: dict[str, dict[str, str]] = msgspec.field(default_factory=dict)


decode: Final = msgspec.json.Decoder(_State).decode


class KillSwitch:
    """One bot's file `<bot>.risk.json` in its state_dir; whoever changes it holds the bot's lock.

    Parameters
    ----------
    path
        The file. It need not exist: then nothing has tripped.

    Raises
    ------
    JournalError
        It is there and cannot be read, so whether the bot may trade cannot be told.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._unforced = False  # something was written that a loss of power may take
        self._unwritten = False  # the file lacks what is known here: writing it has failed
        try:
            self._state = decode(path.read_bytes())
        except FileNotFoundError:
            self._state = _State()
        except (OSError, msgspec.MsgspecError) as exc:
            raise JournalError(
                f"{path}: cannot be read ({exc}), so it cannot be told whether the kill switch "
                "has tripped: mend it, or remove it if you are sure that the bot may trade"
            ) from exc

    @classmethod
    def of(cls, state_dir: Path, bot: str) -> "KillSwitch":
        """Return the kill switch of `bot`."""
        return cls(state_dir / f"{bot}.risk.json")

    @property
    def halted(self) -> Halted | None:
        """Why the bot may not trade; None if it may."""
        return self._state.halted

    @property
    def halted_ns(self) -> int:
        """When it tripped, by the machine's clock; 0 if it has not."""
        return self._state.halted_ns

    @property
    def history(self) -> list[Clearance]:
        """The trips that were cleared, oldest first."""
        return list(self._state.history)

    @property
    def carried(self) -> Mapping[str, Mapping[str, str]]:
        """What rules left behind for the next start, by their keys."""
        return self._state.carried

    def trip(self, halted: Halted, now_ns: int) -> None:
        """Keep the bot from trading from now on; on the disk, loss of power included, on return.

        A trip that was there stays.

        Raises
        ------
        JournalError
            It cannot be written.
        """
        if self._state.halted is None:
            self._state.halted, self._state.halted_ns = halted, now_ns
            self._write(durable=True)

    def carry(self, carried: Mapping[str, Mapping[str, str]], *, durable: bool = False) -> None:
        """Keep what rules must know at the next start; it survives the process at once.

        Loss of power it survives if `durable`, once `sync` was called, and after a trip.

        Raises
        ------
        JournalError
            It cannot be written.
        """
        told = {key: dict(values) for key, values in carried.items()}
        if told != self._state.carried or self._unwritten:
            self._state.carried = told
            self._write(durable=durable or self._state.halted is not None)
        elif durable:
            self.sync()

    def sync(self) -> None:
        """Force to the disk what `carry` has written since it was last forced; a thread may call.

        Raises
        ------
        JournalError
            It cannot be forced; the next call tries again.
        """
        if not self._unforced:
            return
        self._unforced = False  # before: what is carried meanwhile is for the next call
        try:
            file = os.open(self.path, os.O_RDONLY)
            try:
                os.fsync(file)
            finally:
                os.close(file)
            self._sync_folder()
        except OSError as exc:
            self._unforced = True
            raise JournalError(
                f"{self.path}: cannot be forced to the disk ({exc.strerror or exc}), so that a "
                "loss of power may forget what the day has lost: mend the disk"
            ) from exc

    def clear(self, reason: str, now_ns: int) -> Clearance:
        """Let the bot trade again; what rules carried starts anew. Return what was cleared.

        Raises
        ------
        ConfigError
            Nothing has tripped, or `reason` is empty.
        JournalError
            It cannot be written.
        """
        state = self._state
        if state.halted is None:
            raise ConfigError(f"{self.path}: the kill switch has not tripped: nothing to clear")
        if not reason.strip():
            raise ConfigError("found an empty reason, allowed: why the bot may trade again")
        clearance = Clearance(
            halted=state.halted, halted_ns=state.halted_ns, cleared_ns=now_ns, reason=reason
        )
        self._state = _State(history=[*state.history, clearance])
        self._write(durable=True)
        return clearance

    def _write(self, *, durable: bool) -> None:
        """Put the state in place of the file in one step: a reader finds the old or the new."""
        text = msgspec.json.format(msgspec.json.encode(self._state), indent=2)
        beside = self.path.with_suffix(".tmp")
        self._unwritten = True  # what failed is tried again, though nothing new has come
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with beside.open("wb") as file:
                file.write(text + b"\n")
                file.flush()
                if durable:
                    os.fsync(file.fileno())
            beside.replace(self.path)
            if durable:
                self._sync_folder()
            self._unforced, self._unwritten = not durable, False
        except OSError as exc:
            with contextlib.suppress(OSError):
                beside.unlink(missing_ok=True)
            raise JournalError(
                f"{self.path}: cannot be written ({exc.strerror or exc}); the kill switch is kept "
                f"there: {_remedy(exc)}"
            ) from exc

    def _sync_folder(self) -> None:
        folder = os.open(self.path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def _remedy(exc: OSError) -> str:
    if exc.errno in (errno.ENOSPC, errno.EDQUOT):
        return "free space on its disk"
    return "give the bot a state_dir that its user may write to"
