"""Numbers and times as people read them."""

from decimal import ROUND_HALF_EVEN, Decimal
from typing import Final

from botkit.model import EquityPoint
from botkit.portfolio import Total

__all__ = [
    "clock_time",
    "exact_text",
    "fees_text",
    "incomplete_text",
    "money",
    "number",
    "plural",
    "price",
]

NS_PER_S: Final = 1_000_000_000
SMALL: Final = 10
MOST_PLACES: Final = 10


def money(value: Decimal) -> str:
    """Return an amount with two decimals; small ones with three figures that count."""
    return _figures(value, 3)


def fees_text(point: EquityPoint) -> str:
    """Return fees, and how much of them is an estimate."""
    estimated = point.fees_estimated
    return money(point.fees) + (f" ({money(estimated)} of it estimated)" if estimated else "")


def incomplete_text(total: Total) -> str:
    """Return what a total that cannot be said lacks."""
    return f"incomplete in {total.currency}: {'; '.join(total.missing)}"


def price(value: Decimal) -> str:
    """Return a price with at least two decimals and seven figures that count."""
    return _figures(value, 7)


def exact_text(value: Decimal, *, thousands: bool = False) -> str:
    """Return a number with all its figures, and no zeros at its end."""
    text = f"{value:,f}" if thousands else f"{value:f}"
    text = text.rstrip("0").rstrip(".") if "." in text else text
    return "0" if text == "-0" else text


def _figures(value: Decimal, count: int) -> str:
    if not value:
        return "0.00"
    places = max(2, min(MOST_PLACES, count - 1 - value.adjusted()))
    return f"{value.quantize(Decimal(1).scaleb(-places), ROUND_HALF_EVEN):,f}"


def number(value: float) -> str:
    """Return a number with thousands set apart."""
    return f"{value:,.0f}" if abs(value) >= SMALL else f"{value:,.2f}"


def clock_time(length_ns: int) -> str:
    """Return a length of time as h:mm:ss."""
    seconds = max(length_ns, 0) // NS_PER_S
    return f"{seconds // 3600}:{seconds // 60 % 60:02d}:{seconds % 60:02d}"


def plural(count: int, word: str) -> str:
    """Return "1 order", "2 orders"."""
    return f"{count:,} {word}" if count == 1 else f"{count:,} {word}s"
