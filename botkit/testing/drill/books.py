"""What an exchange's book and a bot's journal say, side by side."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Final

import trio

from botkit.clock import Clock
from botkit.journal import JournalReader, Run
from botkit.matching.exchange import ExchangeEvent, Execution, OrderTerms
from botkit.model import OrdStatus, Side, TimeInForce
from botkit.shell import ExitCode
from botkit.testing.loopback import SeenOrder, SimulatedExchange

__all__ = ["Desk", "JumpingClock", "disagreements", "journal_at", "kept_ids", "open_runs"]

NS_PER_S: Final = 1_000_000_000
ANOTHER_BOT: Final = str((77 << 47) + 1)  # carries another bot's tag, where ids are numbers too
RUNS: Final = 50
Traded = tuple[str, Side]


class JumpingClock:
    """A venue's own clock, which may jump."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._ahead_ns = 0

    def jump(self, seconds: float) -> None:
        """Be so much later at once."""
        self._ahead_ns += round(seconds * NS_PER_S)

    def now_ns(self) -> int:
        """Return the time it shows."""
        return self._clock.now_ns() + self._ahead_ns

    def trio_deadline(self, due_ns: int) -> float:
        """Return `due_ns` on trio's clock, unless it jumps before."""
        return self._clock.trio_deadline(due_ns - self._ahead_ns)

    async def sleep_until(self, due_ns: int) -> None:
        """Return once `due_ns` is reached."""
        await trio.sleep_until(self.trio_deadline(due_ns))


class Desk:
    """One venue of a drill: its simulated exchange, the bot's account there, and what it trades.

    Attributes
    ----------
    name
        The venue's, in the config.
    exchange, clock
        The exchange, and the clock that it goes by.
    account
        The bot's.
    symbols
        What the bot trades, as the exchange names it.
    filled
        Base units by symbol and side that the bot has traded there.
    """

    def __init__(
        self,
        name: str,
        exchange: SimulatedExchange,
        clock: JumpingClock,
        account: str,
        symbols: Sequence[str],
    ) -> None:
        self.name = name
        self.exchange = exchange
        self.clock = clock
        self.account = account
        self.symbols = tuple(symbols)
        self.filled: dict[Traded, Decimal] = defaultdict(Decimal)
        self._planted: list[SeenOrder] = []
        exchange.simulator.market.exchange.observe(self._on_events)

    def resting(self) -> list[SeenOrder]:
        """Return the bot's orders in the book."""
        return self.exchange.resting(self.account)

    def plant_others(self, *, on_same_account: bool) -> None:
        """Have others trade there; a person and another bot `on_same_account`, too."""
        exchange = self.exchange
        stranger = self._strangers()[-1]
        for symbol in self.symbols:
            self._planted += [exchange.plant(stranger, side, symbol=symbol) for side in Side]
        if on_same_account:
            symbol = self.symbols[0]
            self._planted += [exchange.plant(self.account, side, symbol=symbol) for side in Side]
            self._planted.append(
                exchange.plant(self.account, Side.BUY, client_order_id=ANOTHER_BOT, symbol=symbol)
            )

    def touched(self) -> list[SeenOrder]:
        """Return what others had there and somebody has canceled or changed; it may be filled."""
        return [each for each in self._planted if not self._is_as_planted(each)]

    def trade_with(self, order: SeenOrder, *, told: int = 1) -> None:
        """Have another account fill half of one of the bot's orders, or all if it is too small.

        What happens is told so many times.
        """
        market, state = self.exchange.simulator.market, order.state
        now_ns = market.catch_up()
        if not order.rests or state.price is None:
            return
        traded = market.exchange.markets[state.symbol]
        before = sum(
            (
                size
                for px, size, _ in traded.levels(state.side)
                if (px - state.price) * state.side.sign > 0
            ),
            Decimal(0),
        )
        half = traded.instrument.quantity(state.order_qty / 2)
        terms = OrderTerms(
            symbol=state.symbol,
            side=state.side.opposite,
            order_qty=before + (half or state.order_qty),
            price=state.price,
            time_in_force=TimeInForce.IOC,
        )
        events = market.exchange.submit(self._strangers()[0], terms, now_ns)
        for _ in range(told):
            market.tell(events)

    def names_of(self, order: SeenOrder) -> set[str]:
        """Return the ids that clients know an order by."""
        state = order.state
        return {state.client_order_id, self.exchange.simulator.venue_order_id(state)} - {""}

    def _is_as_planted(self, planted: SeenOrder) -> bool:
        then = planted.state
        if not planted.rests:
            return planted.ended_as is OrdStatus.FILLED
        now = self.exchange.simulator.market.exchange.accounts[then.account].order(then.order_id)
        return now is not None and (now.price, now.order_qty) == (then.price, then.order_qty)

    def _strangers(self) -> list[str]:
        members = self.exchange.simulator.members
        return [each.name for each in members if each.name != self.account]

    def _on_events(self, events: Sequence[ExchangeEvent]) -> None:
        for event in events:
            if isinstance(event, Execution):
                for leg in event.legs(self.account):
                    if not self._is_planted(leg.order.order_id):
                        self.filled[event.symbol, leg.order.side] += event.qty

    def _is_planted(self, order_id: int) -> bool:
        return any(each.state.order_id == order_id for each in self._planted)


def journal_at(state_dir: Path, bot: str) -> Path:
    """Return where a bot's journal lies."""
    return state_dir / f"{bot}.sqlite"


def disagreements(journal: Path, desks: Mapping[str, Desk]) -> Iterator[str]:
    """Yield a sentence for each instrument of which the journal holds other fills."""
    held: dict[tuple[str, str, Side], Decimal] = defaultdict(Decimal)
    with JournalReader(journal) as reader:
        for run in reader.runs(RUNS):
            for fill in reader.fills(run.run_id):
                venue, _, symbol = fill.symbol.partition(":")
                held[venue, symbol, fill.side] += fill.qty
    true = {
        (name, symbol, side): qty
        for name, desk in desks.items()
        for (symbol, side), qty in desk.filled.items()
    }
    for key in sorted({*true, *(key for key in held if key[0] in desks)}):
        venue, symbol, side = key
        if held[key] != true.get(key, 0):
            yield (
                f"{venue}:{symbol}: the journal has {side.value.lower()} fills of {held[key]}, "
                f"the exchange of {true.get(key, 0)}"
            )


def open_runs(journal: Path) -> list[str]:
    """Return a sentence for each run that nobody has closed or swept."""
    with JournalReader(journal) as reader:
        return [
            f"run {run.run_id} is left open in the journal (exit code {run.exit_code})"
            for run in reader.runs(RUNS)
            if _is_open(run)
        ]


def _is_open(run: Run) -> bool:
    unsettled = run.ended_ns is None or run.exit_code == ExitCode.ORDERS_MAY_REST
    return unsettled and run.swept is None


def kept_ids(journal: Path) -> set[str]:
    """Return the ids of orders that are meant to rest after the bot."""
    with JournalReader(journal) as reader:
        return {
            name
            for run in reader.runs(RUNS)
            for order in reader.orders(run.run_id)
            if order.keep
            for name in (*order.client_order_ids, *order.venue_order_ids)
        }
