"""One side of a synthetic book, in whole ticks and lots."""

from bisect import bisect_left, insort

__all__ = ["Ladder"]


class Ladder:
    """Price levels by *distance key*, best first: the tick number for asks, minus it for bids.

    So both sides read alike: a smaller key is a better price. `changed` collects what was touched
    since it was last emptied, with 0 lots for a level that is gone.
    """

    __slots__ = ("changed", "keys", "lots")

    def __init__(self) -> None:
        self.keys: list[int] = []
        self.lots: dict[int, int] = {}
        self.changed: dict[int, int] = {}

    @property
    def best(self) -> int:
        """Key of the best level; there must be one."""
        return self.keys[0]

    def put(self, key: int, lots: int) -> None:
        """Set a level's size: at least one lot."""
        if key not in self.lots:
            insort(self.keys, key)
        self.lots[key] = self.changed[key] = lots

    def remove(self, key: int) -> None:
        """Take a level out."""
        del self.keys[bisect_left(self.keys, key)]
        del self.lots[key]
        self.changed[key] = 0

    def retreat(self, key: int) -> None:
        """Take out every level better than `key`."""
        while self.keys and self.keys[0] < key:
            self.remove(self.keys[0])

    def trim(self, depth: int) -> None:
        """Take out the worst levels beyond `depth` of them."""
        while len(self.keys) > depth:
            self.remove(self.keys[-1])

    def take(self, lots: int, levels: int) -> list[tuple[int, int]]:
        """Trade up to `lots` off the best `levels`, leaving one lot in all; return (key, lots)s."""
        taken: list[tuple[int, int]] = []
        for key in self.keys[:levels]:
            here = min(lots, self.lots[key])
            if here == self.lots[key] and len(self.keys) == 1:
                here -= 1
            if here == 0:
                break
            taken.append((key, here))
            lots -= here
            if here == self.lots[key]:
                self.remove(key)
            else:
                self.put(key, self.lots[key] - here)
        return taken
