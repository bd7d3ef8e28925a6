"""How far the machine's clock is off, by a time server (SNTP).

Source: RFC 4330, sections 4 and 5.
"""

import struct
from typing import Final

import attrs
import trio

from botkit.clock import monotonic_ns, wall_time_ns

__all__ = ["Skew", "measure"]

_NTP_PORT: Final = 123
_LENGTH: Final = 48
_ASK: Final = 0x23  # version 4, client
_ANSWER: Final = 4  # mode of a server
_TIMES: Final = struct.Struct(">24xQQQ")  # originate, receive, transmit: 32.32 bits of seconds
_UNSYNCHRONISED: Final = frozenset({0, 16})  # strata of servers that do not know the time
_TO_1970_S: Final = 2_208_988_800  # from 1900, where NTP's time begins
_NS_PER_S: Final = 1_000_000_000
_ERA: Final = 1 << 64


@attrs.frozen
class Skew:
    """The machine's clock is `behind_ns` behind (below 0: ahead), give or take `error_ns`."""

    behind_ns: int
    error_ns: int


async def measure(server: str, timeout_s: float) -> Skew | None:
    """Return how far the clock is off by `server`, HOST or HOST:PORT; None if nobody told."""
    host, _, port = server.partition(":")
    with trio.move_on_after(timeout_s):
        try:
            return await _ask(host, int(port or _NTP_PORT))
        except (OSError, ValueError):
            return None
    return None


async def _ask(host: str, port: int) -> Skew | None:
    family, kind, protocol, _, address = (
        await trio.socket.getaddrinfo(host, port, type=trio.socket.SOCK_DGRAM)
    )[0]
    with trio.socket.socket(family, kind, protocol) as sock:
        await sock.connect(address)
        sent_ns, started_ns = wall_time_ns(), monotonic_ns()
        mark = _to_ntp(sent_ns)
        await sock.send(bytes([_ASK]) + bytes(_LENGTH - 9) + mark.to_bytes(8, "big"))
        while True:
            answer = await sock.recv(512)
            took_ns = monotonic_ns() - started_ns
            skew = _read(answer, mark, sent_ns, took_ns)
            if skew is not None:
                return skew


def _read(answer: bytes, mark: int, sent_ns: int, took_ns: int) -> Skew | None:
    """Return the skew that an answer tells; None if it is not one to our question."""
    if len(answer) < _LENGTH or answer[0] & 7 != _ANSWER or answer[1] in _UNSYNCHRONISED:
        return None
    originate, received, transmitted = _TIMES.unpack(answer[:_LENGTH])
    if originate != mark or not transmitted:
        return None
    there_ns = _from_ntp(received, sent_ns)
    back_ns = _from_ntp(transmitted, sent_ns)
    behind_ns = ((there_ns - sent_ns) + (back_ns - (sent_ns + took_ns))) // 2
    return Skew(behind_ns, max(took_ns - (back_ns - there_ns), 0) // 2)


def _to_ntp(time_ns: int) -> int:
    seconds, ns = divmod(time_ns, _NS_PER_S)
    return ((seconds + _TO_1970_S << 32) + (ns << 32) // _NS_PER_S) % _ERA


def _from_ntp(stamp: int, near_ns: int) -> int:
    """Return a time stamp as ns since 1970, of the era that brings it nearest to `near_ns`."""
    difference = (stamp - _to_ntp(near_ns) + _ERA // 2) % _ERA - _ERA // 2
    return near_ns + (difference * _NS_PER_S >> 32)
