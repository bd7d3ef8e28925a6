"""What has to come before an order: its record, and the end of what rested before a break."""

from collections.abc import Callable, Mapping
from typing import Final

import attrs

from botkit.matching.exchange import OrderState
from botkit.model import NewOrder, OrdType, VenueStatus
from botkit.ports import JournalEntry
from botkit.testing.invariants import Books, Death
from botkit.testing.memory_journal import MemoryJournal

__all__ = ["Precedence"]

SHOWN: Final = 3


@attrs.define(kw_only=True, eq=False)
class Precedence:
    """Holds what a bot records against the exchanges' books, at the moment it does.

    Attributes
    ----------
    unsettled
        By venue, the orders that rested there when the link was lost or the bot died: as long as
        one of them does, no other may be sent. Those that are to be kept do not count.
    """

    books: Mapping[str, Books]
    journal: MemoryJournal
    keeps: Callable[[str], bool]
    unsettled: dict[str, set[int]] = attrs.field(factory=dict)

    def on_entry(self, entry: JournalEntry) -> None:
        """Take what a bot records, before it has an effect."""
        if isinstance(entry, VenueStatus) and not entry.private:
            self._break(entry.venue)
        elif isinstance(entry, NewOrder):
            self._check_settled(entry)

    def on_death(self, _: Death) -> None:
        """Take note that the bot is dead: what rests now is of before."""
        for venue in self.books:
            self._break(venue)

    def on_accepted(self, venue: str, order: OrderState) -> None:
        """Hold an order that has reached the book against the journal."""
        if not any(self._is_of(entry, venue, order) for entry in reversed(self.journal.entries)):
            books = self.books[venue]
            books.problem(f"{books.text(order)} was sent, and no journal has it")

    def _break(self, venue: str) -> None:
        if venue in self.books and not self.keeps(venue):
            self.unsettled[venue] = set(self.books[venue].open)

    def _check_settled(self, request: NewOrder) -> None:
        venue = request.symbol.partition(":")[0]
        books = self.books[venue]
        resting = [books.open[each] for each in self.unsettled.pop(venue, ()) if each in books.open]
        if resting:
            what = ", ".join(books.text(order) for order in resting[:SHOWN])
            books.problem(f"{request.client_order_id} was sent while one of before rests: {what}")

    def _is_of(self, entry: JournalEntry, venue: str, order: OrderState) -> bool:
        return (
            isinstance(entry, NewOrder)
            and entry.symbol == f"{venue}:{order.symbol}"
            and entry.side is order.side
            and (entry.order_qty == order.order_qty or entry.ord_type is not OrdType.LIMIT)
            and (entry.price == order.price or entry.ord_type is not OrdType.LIMIT)
        )
