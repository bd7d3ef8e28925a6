"""The right of a bot to send new orders: it lasts from one sign of life to the next."""

from collections.abc import Callable
from typing import Final

from botkit.clock import boot_time_ns

__all__ = ["Lease"]

NS_PER_S: Final = 1_000_000_000


def _tell_nobody(_: str) -> None:
    """Tell nobody."""


class Lease:
    """Held by a bot that has shown within `lasts_ns` that it lives; once lost, never held again.

    A guardian kills a bot that is silent for so long and cancels its orders. One that was held up,
    or slept with its machine, and wakes before that must not send on the strength of what it knew
    then. What counts is when a pulse was sent, not when it came: the guardian never acts earlier.

    Parameters
    ----------
    on_loss
        Told why, once; by whoever found out, so it only takes note.
    """

    def __init__(
        self,
        lasts_ns: int,
        *,
        on_loss: Callable[[str], object] = _tell_nobody,
        now_ns: Callable[[], int] = boot_time_ns,
    ) -> None:
        self.lost = ""
        self._lasts_ns = lasts_ns
        self._on_loss = on_loss
        self._now_ns = now_ns
        self._renewed_ns = now_ns()

    def renew(self) -> bool:
        """Take note of a sign of life; return whether the lease still held."""
        if self.refusal():
            return False
        self._renewed_ns = self._now_ns()
        return True

    def refusal(self) -> str:
        """Return why no new order may leave; empty if one may."""
        if self.lost:
            return self.lost
        silent_ns = self._now_ns() - self._renewed_ns
        if silent_ns <= self._lasts_ns:
            return ""
        self.lost = (
            f"the bot could not say for {silent_ns / NS_PER_S:.1f} s that it lives, and after "
            f"{self._lasts_ns / NS_PER_S:g} s its guardian counts it as hung: it cancels and ends"
        )
        self._on_loss(self.lost)
        return self.lost
