"""Reconnecting: the same for every venue, patient, and within a budget."""

import logging
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Final

import attrs
import trio

from botkit.errors import VenueAuthenticationError, VenueError, VenueProtocolError
from botkit.transport.budget import Budget

if TYPE_CHECKING:
    import numpy as np

__all__ = ["BackOff", "supervise"]

logger = logging.getLogger(__name__)

FATAL: Final = (VenueAuthenticationError, VenueProtocolError)
Fatal = tuple[type[VenueError], ...]


@attrs.frozen(kw_only=True)
class BackOff:
    """How long to wait before the next attempt, in seconds.

    The wait doubles from `first_s` up to `most_s`; of each, a share of up to `jitter` is taken
    off at random, lest many bots come back at the same moment. After a session that was up for
    `stable_s` it starts anew from `first_s`; one that was only connecting does not count.
    """

    first_s: float = attrs.field(default=0.5, validator=attrs.validators.gt(0.0))
    most_s: float = attrs.field(default=30.0, validator=attrs.validators.gt(0.0))
    jitter: float = attrs.field(
        default=0.5, validator=[attrs.validators.ge(0.0), attrs.validators.le(1.0)]
    )
    stable_s: float = attrs.field(default=10.0, validator=attrs.validators.gt(0.0))

    def wait_s(self, failures: int, draw: float) -> float:
        """Return the wait after `failures` (1 or more) in a row, `draw` uniform in [0, 1)."""
        doublings = min(failures - 1, 60)  # 2 ** 60 is more than any `most_s`
        return min(self.most_s, self.first_s * 2.0**doublings) * (1.0 - self.jitter * draw)


async def supervise(
    session: Callable[[], Awaitable[None]],
    *,
    name: str,
    rng: "np.random.Generator",
    back_off: BackOff | None = None,
    budget: Budget | None = None,
    on_loss: Callable[[VenueError], None] | None = None,
    fatal: Fatal = FATAL,
    up_s: Callable[[], float] | None = None,
) -> None:
    """Run `session` again whenever it raises a `VenueError`; return when it returns.

    Each attempt takes one from `budget`, waiting for it if need be. `on_loss` is called with what
    ended each session, before the wait; the log has it once, not again until it changes. `up_s`
    tells how long the session that has just ended was up; all of it, if nobody tells.

    Raises what `session` raised if that, or anything in its group, is one of `fatal` or no
    `VenueError`: trying again would not help.
    """
    back_off = back_off or BackOff()
    failures, told = 0, ""
    while True:
        if budget is not None:
            await budget.wait()
        started_at = trio.current_time()
        try:
            await session()
        except (VenueError, ExceptionGroup) as exc:
            loss = _loss(exc, fatal)
            if loss is None:
                raise
        else:
            return
        lasted_s = trio.current_time() - started_at if up_s is None else up_s()
        stable = lasted_s >= back_off.stable_s
        failures, told = (1, "") if stable else (failures + 1, told)
        wait_s = back_off.wait_s(failures, rng.random())
        if str(loss) != told:
            told = str(loss)
            logger.warning("%s: link lost: %s; next attempt in %.1f s", name, told, wait_s)
        if on_loss is not None:
            on_loss(loss)
        await trio.sleep(wait_s)


def _loss(exc: VenueError | ExceptionGroup, fatal: Fatal) -> VenueError | None:
    """Return what ended the session; None if trying again would not help."""
    if isinstance(exc, ExceptionGroup):
        losses = [
            _loss(each, fatal) if isinstance(each, VenueError | ExceptionGroup) else None
            for each in exc.exceptions
        ]
        return losses[0] if None not in losses else None
    return None if isinstance(exc, fatal) else exc
