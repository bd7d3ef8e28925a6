"""Client order ids as the numbers that Finery takes."""

import hashlib
from collections import OrderedDict
from typing import Final

from botkit.model import ClientOrderId

__all__ = ["Numbers"]

TAG_BITS: Final = 16
NAME_BITS: Final = 47
REMEMBERED: Final = 100_000


class Numbers:
    """Turns client order ids into numbers of 1 to 2^63 - 1, and those it has made back.

    A number is 16 bits of hash of the bot's tag, then 47 of the whole id: another run, or the
    guardian, finds the same one for an id of the journal, and the bot's orders have their first
    bits in common. Two of a bot's last 100,000 ids meet with a chance of one in 28,000; the venue
    refuses the second while the first still works.
    """

    def __init__(self) -> None:
        self._names: OrderedDict[int, ClientOrderId] = OrderedDict()
        self._further: OrderedDict[ClientOrderId, int] = OrderedDict()
        self._placed: set[int] = set()

    def place(self, name: ClientOrderId) -> int:
        """Return the number of an order that is placed now; see `is_placed`."""
        number = self.number(name)
        self._placed.add(number)
        return number

    def is_placed(self, name: ClientOrderId) -> bool:
        """Tell whether this process has placed the order, so that no fill of it was missed."""
        return self.number(name) in self._placed

    def number(self, name: ClientOrderId) -> int:
        """Return the number of `name`, which is known by it from now on."""
        further = self._further.get(name)
        if further is not None:
            return further
        tag = _hash(name.partition("-")[0], TAG_BITS)
        number = tag << NAME_BITS | _hash(name, NAME_BITS) or 1
        self._names[number] = name
        if len(self._names) > REMEMBERED:
            self._placed.discard(self._names.popitem(last=False)[0])
        return number

    def call_also(self, name: ClientOrderId, number: int) -> None:
        """Have `name` stand for a number the venue has: of an order that a replace names anew."""
        self._further[name] = number
        if len(self._further) > REMEMBERED:
            self._further.popitem(last=False)

    def name(self, number: int) -> ClientOrderId:
        """Return the id behind `number`; of one we have not made, the number as text."""
        return self._names.get(number) or ClientOrderId(str(number))


def _hash(text: str, bits: int) -> int:
    digest = hashlib.blake2b(text.encode(), digest_size=8).digest()
    return int.from_bytes(digest) >> 64 - bits
