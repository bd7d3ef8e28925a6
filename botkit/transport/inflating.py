"""Decompression that stops at a limit, so that a small frame cannot fill the memory."""

import zlib
from typing import Final

from botkit.errors import VenueProtocolError

__all__ = ["inflate"]

_EITHER: Final = 32 + zlib.MAX_WBITS  # zlib or gzip, told apart by the header


def inflate(compressed: bytes, size_max: int, *, raw: bool = False) -> bytes:
    """Return what `compressed` holds: zlib or gzip, or with `raw` deflate without a header.

    Raises `VenueProtocolError` for anything else, for a stream that ends early or has bytes after
    its end, and for one that holds more than `size_max` bytes; never more than that is allocated.
    """
    stream = zlib.decompressobj(-zlib.MAX_WBITS if raw else _EITHER)
    try:
        plain = stream.decompress(compressed, size_max + 1)
    except zlib.error as exc:
        raise VenueProtocolError(
            f"cannot decompress {len(compressed)} bytes starting {compressed[:8]!r}: {exc}"
        ) from exc
    if len(plain) > size_max:
        raise VenueProtocolError(
            f"{len(compressed)} compressed bytes hold more than the {size_max} bytes allowed"
        )
    if not stream.eof or stream.unused_data:
        ending = "are cut short" if not stream.eof else "have more after their end"
        raise VenueProtocolError(f"{len(compressed)} compressed bytes {ending}")
    return plain
