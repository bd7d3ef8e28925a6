"""The venue's rules of conduct, kept at 80 % of what they allow. No I/O, no clock.

Per market and ten minutes the venue bans who has too few orders filled, too little of their value,
or too many canceled unfilled within five seconds of placing. The ban is on trading by API as a
whole, cancels included, and lasts from thirty minutes to a day.
"""

from collections import OrderedDict
from collections.abc import Sequence
from decimal import Decimal
from typing import Final

import attrs

__all__ = ["Conduct"]

WINDOW_NS: Final = 600 * 1_000_000_000
SHORT_LIFE_NS: Final = 5 * 1_000_000_000
SHARE: Final = Decimal("0.8")
"""How far towards a ban orders may go."""
LEAST_FILLED: Final = Decimal("0.01") / SHARE
MOST_SHORT: Final = Decimal("0.95") * SHARE
COUNTED: Final = 99
VALUED: Final = 49
ZERO: Final = Decimal(0)


@attrs.define
class _Placed:
    """An order of the last ten minutes."""

    at_ns: int
    value: Decimal  # in quote currency; 0 where it has no price
    filled_value: Decimal = ZERO
    is_filled: bool = False
    was_short: bool = False


class Conduct:
    """What one market has seen of the account lately, and whether another order may be added.

    All orders of the account count, those of other programs too, as the venue counts them.
    """

    def __init__(self) -> None:
        self._orders: OrderedDict[str, _Placed] = OrderedDict()  # by venue's id

    def placed(self, order_id: str, at_ns: int, value: Decimal) -> None:
        """Count an order, if it is not counted yet."""
        self._forget(at_ns)
        if order_id not in self._orders:
            self._orders[order_id] = _Placed(at_ns, value)

    def told(
        self, order_id: str, filled_value: Decimal, at_ns: int, *, is_filled: bool, is_over: bool
    ) -> None:
        """Take what an order has come to; `at_ns` is when it did."""
        order = self._orders.get(order_id)
        if order is None:
            return
        order.filled_value = max(order.filled_value, filled_value)
        order.is_filled = order.is_filled or is_filled
        is_short = is_over and not order.is_filled and at_ns - order.at_ns < SHORT_LIFE_NS
        order.was_short = is_short or (order.was_short and not order.is_filled)

    def refusal(self, value: Decimal, now_ns: int, under_way: Sequence[Decimal] = ()) -> str:
        """Return why an order worth `value` must wait; "" if it need not.

        `under_way` are the values of orders that the venue has not answered yet.
        """
        self._forget(now_ns)
        count = len(self._orders) + len(under_way) + 1
        why = self._value_refusal(sum(under_way, value)) if count > VALUED * SHARE else ""
        if not why and count > COUNTED * SHARE:
            why = self._filled_refusal(count) or self._short_refusal(count)
        return why

    def _forget(self, now_ns: int) -> None:
        while self._orders and next(iter(self._orders.values())).at_ns <= now_ns - WINDOW_NS:
            self._orders.popitem(last=False)

    def _filled_refusal(self, count: int) -> str:
        filled = sum(order.is_filled for order in self._orders.values())
        if filled >= LEAST_FILLED * count:
            return ""
        return (
            f"{filled} of {count} orders of the last ten minutes have filled, allowed: "
            f"{LEAST_FILLED:.2%} or more of them"
        )

    def _short_refusal(self, count: int) -> str:
        short = sum(order.was_short for order in self._orders.values())
        if short <= MOST_SHORT * count:
            return ""
        return (
            f"{short} of {count} orders of the last ten minutes were canceled unfilled within five "
            f"seconds, allowed: {MOST_SHORT:.0%} of them at most"
        )

    def _value_refusal(self, value: Decimal) -> str:
        ordered = sum((order.value for order in self._orders.values()), value)
        traded = sum((order.filled_value for order in self._orders.values()), ZERO)
        if traded >= LEAST_FILLED * ordered:
            return ""
        return (
            f"{traded:.2f} of {ordered:.2f} in value ordered in the last ten minutes has filled, "
            f"allowed: {LEAST_FILLED:.2%} or more of it"
        )
