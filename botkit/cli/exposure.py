"""How long an order can be unattended: for each failure, by whichever layer ends it first.

Every figure is a sum of the deadlines that the code goes by: those of the venue's adapter
(`Venue.liveness`), of `[bot]` and of `[bot.guardian]`. One thing fails at a time, unless said so.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any, Final

import attrs

from botkit.adapter.persistence import LONGEST_PAUSE_S
from botkit.assembly import Plan
from botkit.cli.guarding import LOCK_AGAIN_S
from botkit.ports import AttendedVenue, Liveness, Term, Venue
from botkit.transport import BackOff

__all__ = ["Bound", "Exposure", "Failure", "Layer", "exposure_of", "sum_of"]

NS_PER_S: Final = 1_000_000_000
STALE: Final = "stale_data"


@attrs.frozen
class Layer:
    """One layer of cancel-on-disconnect: whether it is there as configured, and what it does."""

    name: str
    active: bool
    what: str


@attrs.frozen(kw_only=True)
class Bound:
    """Who ends orders after a failure, and within which sum."""

    by: str
    terms: tuple[Term, ...]

    @property
    def seconds(self) -> float:
        """The sum."""
        return sum(term.seconds for term in self.terms)


@attrs.frozen(kw_only=True)
class Failure:
    """One failure; `bounds` are empty if nothing helps, `note` says more."""

    name: str
    bounds: tuple[Bound, ...]
    note: str = ""

    @property
    def worst(self) -> Bound | None:
        """The bound that holds: the earliest; None is without bound."""
        return min(self.bounds, key=lambda bound: bound.seconds, default=None)


@attrs.frozen(kw_only=True)
class Exposure:
    """All of it for one venue; `liveness` None: its adapter does not tell its figures."""

    venue: str
    type: str
    on_disconnect: str
    orders: int | None
    layers: tuple[Layer, ...]
    failures: tuple[Failure, ...]
    liveness: Liveness | None
    back_off_s: float


def exposure_of(plan: Plan, name: str) -> Exposure:
    """Return what holds of one venue of `plan`, which was built to send real orders."""
    venue = plan.venues[name]
    table = plan.config.venues[name]
    liveness = venue.liveness() if isinstance(venue, AttendedVenue) else None
    orders = _most_orders(plan.config.risk, liveness)
    reckoning = None
    if liveness is not None and venue.keeps_orders:
        reckoning = _Reckoning(plan, liveness, orders, keeps=table.on_disconnect == "keep")
    return Exposure(
        venue=name,
        type=table.type,
        on_disconnect=table.on_disconnect or "cancel",
        orders=orders,
        layers=tuple(_layers(plan, venue, liveness, keeps=table.on_disconnect == "keep")),
        failures=_in_process(venue) if reckoning is None else reckoning.failures(),
        liveness=liveness,
        back_off_s=BackOff().most_s,
    )


def _most_orders(risk: Mapping[str, Any], liveness: Liveness | None) -> int | None:
    """Return how many orders may rest at a venue; None if nothing limits them."""
    limit = risk.get("max_open_orders")
    known = [limit] if isinstance(limit, int) else []
    if liveness is not None and liveness.most_orders is not None:
        known.append(liveness.most_orders)
    return min(known, default=None)


def _in_process(venue: Venue) -> tuple[Failure, ...]:
    if venue.keeps_orders:
        note = "its adapter does not tell its figures"
        return tuple(Failure(name=name, bounds=(), note=note) for name in FAILURES)
    bound = Bound(by="end of the process", terms=())
    note = "orders are matched in this process and end with it"
    return tuple(Failure(name=name, bounds=(bound,), note=note) for name in FAILURES)


LINK_CUT: Final = "link cut"
HALF_OPEN: Final = "half-open or silent link"
HUNG: Final = "bot hung"
KILLED: Final = "bot killed"
BOTH: Final = "bot and guardian, or host, lost"
VENUE_DOWN: Final = "venue down"
FAILURES: Final = (LINK_CUT, HALF_OPEN, HUNG, KILLED, BOTH, VENUE_DOWN)


class _Reckoning:
    """The sums of one venue."""

    def __init__(self, plan: Plan, liveness: Liveness, orders: int | None, *, keeps: bool) -> None:
        self._plan = plan
        self._told = liveness
        self._orders = orders
        self._keeps = keeps

    def failures(self) -> tuple[Failure, ...]:
        """Return every failure with what ends orders after it."""
        silence = max(self._told.streams, key=lambda stream: stream.noticed_s).terms
        return (
            self._of_link(LINK_CUT, (), native=self._native("ended")),
            self._of_link(HALF_OPEN, silence, native=self._native("silent")),
            self._of_process(HUNG, self._hung(), native=self._native("silent")),
            self._of_process(KILLED, (), native=self._native("ended")),
            Failure(
                name=BOTH,
                bounds=self._native("silent"),
                note="the next start cancels what rests; botkit guard on another machine helps",
            ),
            Failure(name=VENUE_DOWN, bounds=(), note=self._after_return()),
        )

    # --- who ends them ----------------------------------------------------------------------

    def _of_link(self, name: str, noticed: Sequence[Term], native: tuple[Bound, ...]) -> Failure:
        if self._keeps:
            return Failure(name=name, bounds=(), note='kept: on_disconnect = "keep"')
        road = self._cancel_while_down() or (*self._reconnect(), *self._cancel())
        by = "reconnecting" if self._told.cancel_while_down is None else "REST"
        return Failure(name=name, bounds=(Bound(by=by, terms=(*noticed, *road)), *native))

    def _of_process(self, name: str, noticed: Sequence[Term], native: tuple[Bound, ...]) -> Failure:
        if not self._has_guardian:
            return Failure(name=name, bounds=native, note="no guardian: [bot.guardian] enabled")
        lock = Term("until it has the bot's lock", LOCK_AGAIN_S[1])
        road = self._cancel_while_down() or (*self._told.connect, *self._cancel())
        terms = (*noticed, lock, *self._told.prepare, *road)
        return Failure(name=name, bounds=(Bound(by="guardian", terms=terms), *native))

    def _native(self, when: str) -> tuple[Bound, ...]:
        """Return the venue's own bound where it is asked for and documented."""
        native = self._told.native
        if native is None or not native.asked:
            return ()
        terms = native.ended if when == "ended" else native.silent
        return () if terms is None else (Bound(by="venue", terms=terms),)

    def _after_return(self) -> str:
        road = self._cancel_while_down()
        if road is not None:
            terms = (Term("longest pause between attempts", LONGEST_PAUSE_S), *road)
        else:
            terms = (*self._reconnect(), *self._cancel())
        return f"once it is back: {sum(term.seconds for term in terms):g} s = {sum_of(terms)}"

    # --- parts ------------------------------------------------------------------------------

    @property
    def _has_guardian(self) -> bool:
        return self._plan.config.bot.guardian.enabled is not False  # None: with --live

    def _hung(self) -> tuple[Term, ...]:
        return (Term("hung_after", self._plan.config.bot.guardian.hung_after / NS_PER_S),)

    def _reconnect(self) -> tuple[Term, ...]:
        return (Term("longest back-off", BackOff().most_s), *self._told.connect)

    def _cancel(self) -> tuple[Term, ...]:
        return self._told.cancel

    def _cancel_while_down(self) -> tuple[Term, ...] | None:
        """Return the calls that cancel every order, one after another where it must be so."""
        terms, at_once = self._told.cancel_while_down, self._told.cancels_at_once
        if terms is None or at_once is None or self._orders is None:
            return terms
        calls = math.ceil(self._orders / at_once)
        if calls == 1:
            return terms
        return tuple(
            Term(f"for {calls} calls in turn, each {term.what}", calls * term.seconds)
            for term in terms
        )


def sum_of(terms: Sequence[Term]) -> str:
    """Return a sum with its terms, as people read it."""
    return " + ".join(f"{term.seconds:g} s {term.what}" for term in terms)


def _layers(plan: Plan, venue: Venue, told: Liveness | None, *, keeps: bool) -> list[Layer]:
    bot, can = plan.config.bot, venue.capabilities
    clean_up_s = bot.clean_up / NS_PER_S
    has_guardian = bot.guardian.enabled is not False
    hung_s = bot.guardian.hung_after / NS_PER_S
    is_stale_watched = STALE in plan.config.risk
    rest = "by REST at once" if told and told.cancel_while_down else "after reconnecting"
    return [
        Layer(
            "scope", active=True, what=f"the end of an order scope cancels, within {clean_up_s:g} s"
        ),
        Layer("strategy", active=True, what="its end, or an error in it, cancels its orders"),
        Layer("link", active=not keeps, what=f"orders UNKNOWN, canceled {rest}"),
        Layer("venue", active=can.cancel_on_disconnect, what=_native_text(told)),
        Layer(
            "data",
            active=is_stale_watched,
            what=f"{STALE} of [risk]: orders on data nobody hears of are canceled",
        ),
        Layer(
            "bot",
            active=True,
            what=f"signal, error or end: cancels, confirms within {clean_up_s:g} s",
        ),
        Layer(
            "hang",
            active=has_guardian,
            what=f"guardian: silent for {hung_s:g} s is killed, then swept",
        ),
        Layer(
            "process", active=has_guardian, what="guardian: cancels what the journal says may rest"
        ),
        Layer(
            "start",
            active=True,
            what="what an earlier run left is canceled before any strategy starts",
        ),
    ]


def _native_text(told: Liveness | None) -> str:
    native = None if told is None else told.native
    if native is None:
        return "the venue has no cancel-on-disconnect"
    if not native.asked:
        return "the venue's own cancel-on-disconnect is not asked for"
    ended = "no figure documented" if native.ended is None else sum_of(native.ended)
    return f"its own cancel-on-disconnect: {ended}; verified, not believed"
