"""What every simulated exchange shares: a matching engine that lives, accounts, and clients.

A venue's `simulator.py` puts its own protocol in front of this. It answers for `botkit serve`
over TCP or TLS, and for tests over streams in memory; it reads no clock of its own.
"""

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any, Final, Protocol

import attrs
import numpy as np
import trio

from botkit.clock import Clock
from botkit.errors import ConfigError, VenueError
from botkit.matching.exchange import Exchange, ExchangeEvent, ExchangeRules, OrderState
from botkit.matching.exchange.traders import TraderParams, Traders
from botkit.model import Instrument
from botkit.ports import FeeSchedule
from botkit.transport import Server, WsLink

__all__ = ["Mailbox", "Member", "SimulatedMarket", "Simulator", "SimulatorSetup", "TradedAs"]

MOST_WAITING: Final = 10_000  # frames for a client that does not read; then its link is cut
NEVER_NS: Final = (1 << 63) - 1
Listener = Callable[[Sequence[ExchangeEvent]], None]


@attrs.frozen(kw_only=True)
class Member:
    """An account of a simulated exchange; its key and secret are public, for tests alone."""

    name: str
    key: str
    secret: str
    balances: Mapping[str, Decimal]
    credit: Mapping[str, Decimal] = attrs.field(factory=dict)


@attrs.frozen(kw_only=True)
class TradedAs:
    """One market of a simulated exchange: its instrument and what background trade it has."""

    instrument: Instrument
    trade: TraderParams


@attrs.frozen(kw_only=True)
class SimulatorSetup:
    """What a simulator is built with.

    Parameters
    ----------
    clock
        Tells it the time.
    seed
        Of the background traders and of everything the venue leaves open.
    quirks
        By name, what a venue's page marks unknown or assumed, decided; a simulator has its own.
    pace
        How many times as busy background traders are as the venue's own simulator has them.
    quiet
        Without background traders: the book holds what its accounts put there.
    """

    clock: Clock
    seed: int = 0
    quirks: Mapping[str, Any] = attrs.field(factory=dict)
    pace: float = 1.0
    quiet: bool = False

    def decided(self, defaults: Mapping[str, Any]) -> dict[str, Any]:
        """Return what holds of a simulator's quirks; raise `ConfigError` for one it has not."""
        unknown = [name for name in self.quirks if name not in defaults]
        if unknown:
            allowed = ", ".join(defaults)
            raise ConfigError([f"quirk: found {name!r}, allowed: {allowed}" for name in unknown])
        return {**defaults, **self.quirks}


class Simulator(Protocol):
    """An exchange of a venue's own protocol. Entry points of `botkit.simulators` are such."""

    title: str
    """What it simulates, for people."""
    server: Server
    members: Sequence[Member]
    market: "SimulatedMarket"

    def __init__(self, setup: SimulatorSetup) -> None: ...

    async def run(self) -> None:
        """Live until canceled: background trade, heartbeats."""
        ...

    def venue_order_id(self, order: OrderState) -> str:
        """Return the id that clients know an order of the exchange by, the latest it has."""
        ...


class SimulatedMarket:
    """The matching engine, its accounts and its background traders.

    Attributes
    ----------
    exchange
        For looking; what changes it goes through `do`.
    rng
        The one source of chance.
    """

    def __init__(
        self,
        setup: SimulatorSetup,
        traded: Sequence[TradedAs],
        members: Sequence[Member],
        *,
        fees: FeeSchedule,
        rules: ExchangeRules | None = None,
    ) -> None:
        self.rng = np.random.default_rng(setup.seed)
        self.clock = setup.clock
        self.exchange = Exchange([each.instrument for each in traded], fees, rules)
        for member in members:
            self.exchange.open_account(member.name, member.balances, credit=member.credit)
        self._last_ns = setup.clock.now_ns()
        self._traders = [
            Traders(
                self.exchange,
                each.instrument.name,
                self.rng,
                attrs.evolve(
                    each.trade,
                    quote_interval_ns=round(each.trade.quote_interval_ns / setup.pace),
                    takes_per_s=each.trade.takes_per_s * setup.pace,
                ),
                start_ns=self._last_ns,
            )
            for each in traded
            if not setup.quiet
        ]
        self._paused = False
        self._listeners: list[Listener] = []
        self._changed = trio.Event()

    def catch_up(self) -> int:
        """Let everything happen that is due by now, and return the time, which never falls.

        Before every request: the exchange takes nothing that lies behind what it has done.
        """
        now_ns = self._last_ns = max(self._last_ns, self.clock.now_ns())
        while (due_ns := self._next_due_ns()) <= now_ns:
            for traders in self._traders:
                if traders.next_due_ns <= due_ns and not self._paused:
                    self.tell(traders.act(due_ns))
            # Others may have traded while the traders paused.
            self.tell(self.exchange.advance(max(due_ns, self.exchange.now_ns)))
        return now_ns

    def now_ns(self) -> int:
        """Return the time of the last `catch_up`."""
        return self._last_ns

    def _next_due_ns(self) -> int:
        expiry_ns = self.exchange.next_due_ns
        dues = [] if self._paused else [each.next_due_ns for each in self._traders]
        return min([NEVER_NS if expiry_ns is None else expiry_ns, *dues])

    def pause(self, *, paused: bool = True) -> None:
        """Let background traders do nothing from now on, or go on."""
        self._paused = paused
        self._changed.set()

    def listen(self, listener: Listener) -> None:
        """Tell `listener` everything that happens from now on."""
        self._listeners.append(listener)

    def leave(self, listener: Listener) -> None:
        """Tell `listener` nothing any more."""
        self._listeners.remove(listener)

    def tell(self, events: Sequence[ExchangeEvent]) -> None:
        """Tell every listener what has happened."""
        if events:
            for listener in list(self._listeners):
                listener(events)
        self._changed.set()

    async def run(self) -> None:
        """Let the background traders act, and orders expire, when it is time."""
        while True:
            self.catch_up()
            self._changed = trio.Event()
            with trio.CancelScope(deadline=self.clock.trio_deadline(self._next_due_ns())):
                await self._changed.wait()

    def report(self, members: Sequence[Member]) -> dict[str, Any]:
        """Return what each member's account did and what it has resting; plain values."""
        told = self.exchange.report()
        return {member.name: told[member.name] for member in members}


class Mailbox:
    """Frames on their way to one client, put by plain calls and sent by one task."""

    def __init__(self) -> None:
        self._frames: deque[bytes] = deque()
        self._news = trio.Event()

    def put(self, frame: bytes) -> None:
        """Have `frame` sent after those before it."""
        self._frames.append(frame)
        self._news.set()

    async def serve(self, link: WsLink, *, binary: bool | None = False) -> None:
        """Send what comes until the link ends, or its client has read too little for too long.

        With `binary` None a frame that starts as a JSON object goes as text, any other as binary.
        """
        while True:
            while not self._frames:
                self._news = trio.Event()
                await self._news.wait()
            if len(self._frames) > MOST_WAITING:
                raise VenueError(f"{link.name} does not read: {len(self._frames)} frames wait")
            frame = self._frames.popleft()
            is_binary = frame[:1] != b"{" if binary is None else binary
            await link.send(frame, binary=is_binary)
