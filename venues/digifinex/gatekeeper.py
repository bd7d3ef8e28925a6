"""Whom the simulated DigiFinex lets in: signatures, rates, and the rules of conduct."""

import hmac
from collections import deque
from collections.abc import Mapping, Sequence
from typing import Final

from botkit.adapter import Member
from botkit.matching.exchange import OrderState
from botkit.model import OrdStatus
from venues.digifinex import wire
from venues.digifinex.rows import RefusedError
from venues.digifinex.wire import ErrorCode

__all__ = ["Gatekeeper"]

NS_PER_S: Final = 1_000_000_000
CLOCK_S: Final = 60
MINUTE_NS: Final = 60 * NS_PER_S
RATES: Final = {"POST": 60, "GET": 180}
RATE_BAN_NS: Final = 5 * MINUTE_NS
WINDOW_NS: Final = 10 * MINUTE_NS
SHORT_LIFE_NS: Final = 5 * NS_PER_S
CONDUCT_BAN_NS: Final = 30 * MINUTE_NS
LONG_BAN_NS: Final = 24 * 60 * MINUTE_NS
BANS_COUNT_NS: Final = 3 * 60 * MINUTE_NS
THIRD: Final = 3
LEAST_RATIO: Final = 0.01
MOST_SHORT: Final = 0.95
COUNTED: Final = 99
VALUED: Final = 49


class Gatekeeper:
    """Knows the keys, counts calls, and bans those who break the rules.

    Attributes
    ----------
    bans
        By key: when conduct was found wanting.
    """

    def __init__(self, by_key: Mapping[str, Member], *, rate_limits: bool, conduct: bool) -> None:
        self._by_key = by_key
        self._rate_limits = rate_limits
        self._conduct = conduct
        self._calls: dict[tuple[str, str], deque[int]] = {}
        self._shut_out_until: dict[str, int] = {}
        self._banned_until: dict[str, int] = {}
        self.bans: dict[str, list[int]] = {}

    def member_of(self, headers: Mapping[str, str], sent: str, now_ns: int) -> Member:
        """Return who signs `sent`; raise `RefusedError` if the headers do not hold."""
        member = self._by_key.get(headers.get("access-key", ""))
        if member is None:
            raise RefusedError(ErrorCode.WRONG_KEY)
        wanted = wire.rest_headers("", member.secret, sent, timestamp_s=0)["ACCESS-SIGN"]
        given = headers.get("access-sign", "")
        if not hmac.compare_digest(wanted.encode(), given.encode("utf-8", "replace")):
            raise RefusedError(ErrorCode.WRONG_SIGN)
        timestamp = headers.get("access-timestamp", "")
        if not timestamp.isdecimal() or abs(int(timestamp) - now_ns // NS_PER_S) > CLOCK_S:
            raise RefusedError(ErrorCode.TIMESTAMP_OUT_OF_RANGE)
        return member

    def count(self, member: Member, method: str, now_ns: int) -> None:
        """Count a call; raise `RefusedError` for one too many, and for five minutes after it."""
        if not self._rate_limits:
            return
        if now_ns < self._shut_out_until.get(member.key, 0):
            raise RefusedError(ErrorCode.TOO_MANY_REQUESTS)
        calls = self._calls.setdefault((member.key, method), deque())
        while calls and calls[0] <= now_ns - MINUTE_NS:
            calls.popleft()
        calls.append(now_ns)
        if len(calls) > RATES.get(method, RATES["GET"]):
            self._shut_out_until[member.key] = now_ns + RATE_BAN_NS
            raise RefusedError(ErrorCode.TOO_MANY_REQUESTS)

    def judge(self, member: Member, symbol: str, orders: Sequence[OrderState], now_ns: int) -> None:
        """Look at a member's orders in a market; raise `RefusedError` if it is, or must be, banned.

        A ban is for thirty minutes, the third within three hours for a day.
        """
        if not self._conduct:
            return
        if now_ns < self._banned_until.get(member.key, 0):
            raise RefusedError(ErrorCode.BANNED_FOR_CONDUCT)
        lately = [
            order
            for order in orders
            if order.symbol == symbol and order.created_ns > now_ns - WINDOW_NS
        ]
        if not _breaks_rules(lately):
            return
        bans = self.bans.setdefault(member.key, [])
        bans.append(now_ns)
        recent = [at_ns for at_ns in bans if at_ns > now_ns - BANS_COUNT_NS]
        ban_ns = LONG_BAN_NS if len(recent) >= THIRD else CONDUCT_BAN_NS
        self._banned_until[member.key] = now_ns + ban_ns
        raise RefusedError(ErrorCode.BANNED_FOR_CONDUCT)


def _breaks_rules(orders: Sequence[OrderState]) -> bool:
    """Tell whether ten minutes' orders in one market break one of the three rules."""
    filled = sum(order.cum_qty > 0 for order in orders)
    short = sum(_is_short_lived(order) for order in orders)
    ordered = sum(order.order_qty * (order.price or 0) for order in orders)
    traded = sum(order.cum_notional for order in orders)
    count = len(orders)
    if count > COUNTED and (filled < LEAST_RATIO * count or short > MOST_SHORT * count):
        return True
    return count > VALUED and float(traded) < LEAST_RATIO * float(ordered)


def _is_short_lived(order: OrderState) -> bool:
    return (
        order.ord_status is OrdStatus.CANCELED
        and not order.cum_qty
        and order.updated_ns - order.created_ns < SHORT_LIFE_NS
    )
