"""What an operator does to a played bot, and what others do to its account; held orders."""

from typing import Final

from botkit.model import Operation, OperatorCommand, OrdStatus, Side
from tests.property.risk_played import expect
from tests.property.risk_terms import INSTRUMENTS, MIDDLE, STRATEGIES, SYMBOLS, VENUES, Pick
from tests.property.risk_world import World

__all__ = ["OperatedWorld"]

TARGETS: Final = (*STRATEGIES, *SYMBOLS, "")
CURRENCIES: Final = ("EUR", "USD", "BTC")


class OperatedWorld(World):
    """A world with an operator, other users of its accounts, and orders in one another's way."""

    # --- the operator -----------------------------------------------------------------------

    def command(self, operation: Operation, target: str) -> None:
        """Say a word to the bot."""
        self.tell(OperatorCommand(operation=operation, target=target, receive_time_ns=self.now_ns))
        self.compare()

    def pause(self, pick: Pick) -> None:
        """Pause a strategy, an instrument or everything; seldom, for nothing happens then."""
        if pick(3):
            return
        target = TARGETS[pick(len(TARGETS))]
        self.model.paused.add(target)
        self.command(Operation.PAUSE, target)
        self.count("pause")
        for plain in self.open_orders():
            is_meant = target in ("", plain.strategy, plain.symbol) and not plain.keep
            told = not is_meant or plain.cancels > 0
            expect(that=told, or_else=f"rests in spite of a pause of {target!r}: {plain}")

    def resume(self, pick: Pick) -> None:
        """Take a pause back: mostly all of them."""
        if not self.model.paused:
            return
        target = sorted(self.model.paused)[pick(len(self.model.paused))] if pick(3) == 0 else ""
        self.model.paused = self.model.paused - {target} if target else set()
        self.command(Operation.RESUME, target)
        self.count("resume")

    def flatten(self, pick: Pick) -> None:
        """Flatten a strategy, an instrument or everything."""
        target = TARGETS[pick(len(TARGETS))]
        if self.engine.flattener.target is None:
            self.model.paused.add(target)
            self.count("flatten")
        self.command(Operation.FLATTEN, target)

    # --- the account ------------------------------------------------------------------------

    def lock(self, pick: Pick) -> None:
        """Tell a balance some of which is locked, by ours or by others."""
        venue, currency = VENUES[pick(2)], CURRENCIES[pick(3)]
        total = 12 if currency == "BTC" else 400
        self.set_balance(venue, currency, total, locked=total * (1 + pick(4)) // 4)
        self.count("lock")
        self.compare()

    def tell_credit(self, pick: Pick) -> None:
        """Tell a counterparty's limit."""
        venue, currency = VENUES[pick(2)], CURRENCIES[pick(3)]
        headroom = (3, 30)[pick(2)] if currency == "BTC" else (60, 300, 900)[pick(3)]
        self.set_credit(venue, currency, ("", "x", "y")[pick(3)], headroom)
        self.compare()

    # --- orders in the way of others --------------------------------------------------------

    def close_against_own(self, pick: Pick) -> None:
        """Quote beside a position, and then close it through that quote: the close is held."""
        held = [
            (strategy, symbol, book.held(self.model.things[symbol]))
            for (strategy, symbol), book in self.model.books.items()
        ]
        held = [each for each in held if abs(each[2]) >= 1]
        if not held:
            return
        strategy, symbol, qty = held[pick(len(held))]
        side = Side.SELL if qty > 0 else Side.BUY
        tick, middle = INSTRUMENTS[symbol].tick_size, MIDDLE[symbol]
        if pick(2):
            other = STRATEGIES[pick(2)]
            self.place(
                symbol, other, side.opposite, tick / tick, middle - side.opposite.sign * tick
            )
        through = max(tick, middle + side.sign * (1 + pick(2)) * tick)
        self.place(symbol, strategy, side, tick / tick * (1 + pick(int(abs(qty)))), through)

    def confirm_cancel(self, pick: Pick) -> None:
        """Let a venue confirm a cancel, rather of an order that another waits for."""
        awaited = {name for each in self.held.values() for name in each.waits_for}
        found = [
            each
            for each in self._reachable()
            if each.cancels and each.change is None and not each.over_when_counted
        ]
        found = [each for each in found if each.name in awaited] or found
        if not found:
            return
        plain = found[pick(len(found))]
        plain.spoken_of = plain.canceled = True
        self.close(plain)
        self._report(plain, OrdStatus.CANCELED, cum_qty=None)
        self.count("cancel confirmed")
        self.compare()
