"""A thing that fails for a while: said once when it begins, and once when it is over."""

from collections.abc import Callable, Mapping

__all__ = ["Log", "Outage"]

Log = Callable[[str, str, Mapping[str, object]], None]
"""(level, message, fields), as the engine's."""


class Outage:
    """Tells the log of the first failure and of the first success after it."""

    def __init__(self, what: str, log: Log) -> None:
        self._what = what
        self._log = log
        self.lasts = False

    def failed(self, why: str) -> None:
        """Note a failure."""
        if not self.lasts:
            self.lasts = True
            self._log("error", f"{self._what} does not work", {"error": why})

    def worked(self) -> None:
        """Note a success."""
        if self.lasts:
            self.lasts = False
            self._log("info", f"{self._what} works again", {})
