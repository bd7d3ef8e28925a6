"""What happened in a simulation, in order: a hash of it, and lines for people."""

import hashlib
from typing import Final

import attrs
import trio

__all__ = ["Chronicle"]

TEXT_AT: Final = 24  # columns


@attrs.define(kw_only=True, eq=False)
class Chronicle:
    """Takes lines as things happen; `keep` says whether they are to be had as `lines`.

    The hash has them in any case, and what `mark` is given besides.
    """

    keep: bool = False
    lines: list[str] = attrs.field(factory=list, init=False)
    _hash: hashlib.blake2b = attrs.field(
        factory=lambda: hashlib.blake2b(digest_size=12), init=False
    )

    def tell(self, what: str, text: str) -> None:
        """Note that something happened, now on trio's clock."""
        line = f"{trio.current_time():12.6f}  {what:<8}  {text}"
        self._hash.update(line.encode())
        if self.keep:
            self.lines.append(line)

    def note(self, what: str, text: str) -> None:
        """Add a line for people alone: the hash has nothing of it."""
        if self.keep:
            indented = text.replace("\n", "\n" + " " * TEXT_AT)
            self.lines.append(f"{trio.current_time():12.6f}  {what:<8}  {indented}")

    def mark(self, happened: bytes) -> None:
        """Note what the hash alone is to have."""
        self._hash.update(happened)

    def hexdigest(self) -> str:
        """Return the hash of all so far."""
        return self._hash.hexdigest()
