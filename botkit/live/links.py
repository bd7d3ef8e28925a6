"""The tasks that feed the engine in real time: one a venue, and one for its timers."""

import logging
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Final

import attrs
import numpy as np
import trio

from botkit.clock import Clock
from botkit.engine import Engine
from botkit.errors import VenueAuthenticationError, VenueDisconnectedError, VenueError
from botkit.model import Event, Tick, VenueStatus
from botkit.ports import StandbyVenue, Venue
from botkit.transport import BudgetedVenue, supervise

__all__ = ["serve_links", "serve_timers"]

logger = logging.getLogger(__name__)
PREPARE_AGAIN_S: Final = 1.0


async def serve_links(
    engine: Engine,
    venues: Sequence[Venue],
    clock: Clock,
    also: Sequence[Callable[[], Awaitable[None]]] = (),
    *,
    rng: np.random.Generator | None = None,
) -> None:
    """Serve the engine's timers and every venue until canceled; then raise what failed.

    A venue whose link fails stops the run; the others are served on, so that their orders can
    be pulled. `also` are further tasks that must live as long as the links; `rng` draws the
    jitter of reconnecting, unpredictably if there is none.
    """
    rng = rng or np.random.default_rng()
    failures: list[Exception] = []
    try:
        async with trio.open_nursery() as nursery:
            for task in also:
                nursery.start_soon(task)
            nursery.start_soon(serve_timers, engine, clock)
            for venue in venues:
                nursery.start_soon(partial(_serve_venue, engine, venue, clock, failures, rng=rng))
    finally:
        if failures:
            raise ExceptionGroup("links failed", failures)


async def _serve_venue(
    engine: Engine,
    venue: Venue,
    clock: Clock,
    failures: list[Exception],
    *,
    rng: np.random.Generator,
) -> None:
    """Serve one venue, again and again; should that end before we cancel it, stop the run.

    A lost link is made anew, with back-off; what trying again would not mend ends the run.
    """
    told: list[str] = []
    uptime = _Uptime()

    def deliver(event: Event) -> None:
        if isinstance(event, VenueStatus):
            uptime.note(is_up=event.up)
        engine.handle(event)

    def lost(loss: VenueError) -> None:
        if told != [str(loss)]:
            told[:] = [str(loss)]
            engine.handle(_down(venue, f"the link was lost: {loss}", clock))

    async with trio.open_nursery() as nursery:
        if (
            isinstance(venue, StandbyVenue) and venue.instruments
        ):  # goes on after `run` has ended: orders may rest
            await nursery.start(_stand_by, venue, engine, clock)
        try:
            if not venue.instruments:  # what a sweep has at one venue does not wait for another
                await _prepare(venue)
            await supervise(
                lambda: venue.run(deliver, clock),
                name=venue.name,
                rng=rng,
                budget=venue.connect_budget if isinstance(venue, BudgetedVenue) else None,
                on_loss=lost,
                fatal=(VenueAuthenticationError,),  # a frame we cannot read may come right anew
                up_s=uptime.take_s,
            )
            failure: Exception = VenueDisconnectedError(f"{venue.name} ended its link by itself")
        except Exception as exc:  # noqa: BLE001  raised again once the other venues are done
            failure = exc
        failures.append(failure)
        reason = f"the link to {venue.name} failed: {failure}"
        engine.handle(_down(venue, reason, clock))
        engine.lifecycle.want_stop(reason)


@attrs.define
class _Uptime:
    """How long a session has been up, in one stretch."""

    _since: float | None = None
    _longest_s: float = 0.0

    def note(self, *, is_up: bool) -> None:
        """Take what the venue says of itself."""
        now = trio.current_time()
        if is_up and self._since is None:
            self._since = now
        elif not is_up and self._since is not None:
            self._longest_s = max(self._longest_s, now - self._since)
            self._since = None

    def take_s(self) -> float:
        """Return the longest stretch, and begin anew: the session has ended."""
        self.note(is_up=False)
        longest_s, self._longest_s = self._longest_s, 0.0
        return longest_s


async def _prepare(venue: Venue) -> None:
    """Let a venue prepare, again and again until it can."""
    while True:
        try:
            await venue.prepare()
        except VenueAuthenticationError:
            raise
        except VenueError as exc:
            logger.warning("%s cannot be prepared: %s; trying again", venue.name, exc)
            await trio.sleep(PREPARE_AGAIN_S)
        else:
            return


async def _stand_by(
    venue: StandbyVenue,
    engine: Engine,
    clock: Clock,
    *,
    task_status: "trio.TaskStatus[None]" = trio.TASK_STATUS_IGNORED,
) -> None:
    """Let a venue stand by; it knows that it does before `run` is called."""
    task_status.started()
    await venue.stand_by(engine.handle, clock)


def _down(venue: Venue, reason: str, clock: Clock) -> VenueStatus:
    return VenueStatus(
        venue=venue.name,
        market_data=False,
        private=False,
        order_entry=False,
        reason=reason,
        receive_time_ns=clock.now_ns(),
    )


async def serve_timers(engine: Engine, clock: Clock) -> None:
    """Give the engine a `Tick` whenever its next timer is due, stamped with the due time."""
    while True:
        with trio.CancelScope() as sleeping:

            def alarm() -> None:
                sleeping.deadline = clock.trio_deadline(engine.next_due_ns)

            engine.on_due_sooner = alarm
            alarm()
            await trio.sleep_forever()
        # By trio's clock, as the alarm was set: by ours the due time may be a rounding away.
        if clock.trio_deadline(engine.next_due_ns) <= trio.current_time():
            engine.handle(Tick(receive_time_ns=engine.next_due_ns))
