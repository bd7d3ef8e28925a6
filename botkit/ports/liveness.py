"""How soon a venue's adapter notices that something has died, and how soon orders can be ended.

Every figure is made from the options and constants that the adapter itself goes by.
"""

from typing import Protocol, runtime_checkable

import attrs

__all__ = ["AttendedVenue", "Liveness", "NativeCancel", "Term", "Watched"]


@attrs.frozen
class Term:
    """One part of a worst case: what takes so long, and how long at most, in seconds."""

    what: str
    seconds: float


@attrs.frozen(kw_only=True)
class Watched:
    """A stream, and by what it is noticed that nothing comes over it any more."""

    name: str
    terms: tuple[Term, ...]

    @property
    def noticed_s(self) -> float:
        """Within how many seconds a half-open or silent link is given up."""
        return sum(term.seconds for term in self.terms)


@attrs.frozen(kw_only=True)
class NativeCancel:
    """The venue's own cancel-on-disconnect, as this adapter asks for it.

    Parameters
    ----------
    asked
        Whether the options ask for it.
    ended
        How long it takes once a connection has ended; None: the venue documents no figure.
    silent
        How long until the venue notices a client that has fallen silent; None: not documented.
    """

    asked: bool
    ended: tuple[Term, ...] | None = None
    silent: tuple[Term, ...] | None = None


@attrs.frozen(kw_only=True)
class Liveness:
    """What an adapter's figures are, as configured.

    Parameters
    ----------
    streams
        Every stream whose death must be noticed.
    cancel
        From the wish to cancel until the venue has answered, over a road that is up.
    cancel_while_down
        The same by REST while the streaming link is down; None: there is no such road.
    cancels_at_once
        How many orders one such call, or those that may be under way together, can end; None:
        as many as there are.
    most_orders
        How many orders the adapter lets rest; None: it has no limit.
    connect
        From an attempt to connect until orders can be sent and canceled by it.
    prepare
        What a new process (the guardian) must fetch before anything else.
    native
        None: the venue has no cancel-on-disconnect.
    budgets
        What limits how often can be connected or canceled, for people.
    deadlines
        How long each kind of answer is waited for.
    """

    streams: tuple[Watched, ...]
    cancel: tuple[Term, ...]
    cancel_while_down: tuple[Term, ...] | None
    connect: tuple[Term, ...]
    prepare: tuple[Term, ...]
    cancels_at_once: int | None = None
    most_orders: int | None = None
    native: NativeCancel | None = None
    budgets: tuple[str, ...] = ()
    deadlines: tuple[Term, ...] = ()


@runtime_checkable
class AttendedVenue(Protocol):
    """A venue that tells its figures; `botkit exposure` asks."""

    def liveness(self) -> Liveness:
        """Return them, from the options it was built with."""
        ...
