"""What `[venues.NAME]` with `type = "digifinex"` may say, and the instruments made of its lists."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Final

import attrs

from botkit.config import Duration, Secret
from botkit.errors import ConfigError
from botkit.model import Instrument
from botkit.ports import FeeSchedule
from venues.digifinex import wire

__all__ = ["DigiFinexOptions", "build_instruments"]

S: Final = 1_000_000_000
positive = attrs.validators.gt(0)
not_negative = attrs.validators.ge(0)


@attrs.frozen(kw_only=True)
class DigiFinexOptions:
    """`[venues.NAME]` with `type = "digifinex"`.

    Parameters
    ----------
    url, rest_url
        Where the WebSocket and REST v3 are.
    key, secret
        Of the API key. Market data need none; orders do.
    fees
        What a fill costs while the venue has not told it.
    connect_within
        For connecting, by WebSocket or for one REST call with all that belongs to it.
    ping_every, pong_within
        The heartbeat: the venue closes a link on which we are silent for 60 s.
    answer_within
        How long a reply may take; an order or a cancel without one is UNKNOWN then.
    snapshot_within
        How long the whole of a book may take after it was asked for, and how long a book may stay
        crossed, before it is asked for anew.
    refresh_every
        How often the whole of every book is asked for as a routine: the venue numbers nothing, so
        a change that was lost would not be noticed.
    fills_every
        How soon after a fill its fee is looked up, and the least time between two look-ups.
    min_life
        How old an unfilled order must be before its strategy's wish to cancel it is carried out;
        the venue bans who cancels sooner too often. Clean-up, risk rules and people do not wait.
    conduct
        Whether new orders are refused at 80 % of what the venue bans for.
    posts_per_minute, gets_per_minute
        Kept on our side. New orders leave enough for canceling every open order one by one.
    cancels_per_call
        How many cancels that wait at the same time may be told in one.
    page_size
        Rows asked for at once of a list.
    """

    url: str = "wss://openapi.digifinex.com/ws/v1/"
    rest_url: str = "https://openapi.digifinex.com/v3"
    key: Secret = attrs.field(factory=lambda: Secret(""))
    secret: Secret = attrs.field(factory=lambda: Secret(""))
    fees: FeeSchedule = attrs.field(
        factory=lambda: FeeSchedule(maker_bps=Decimal(20), taker_bps=Decimal(20))
    )
    connect_within: Duration = attrs.field(default=10 * S, validator=positive)
    ping_every: Duration = attrs.field(default=15 * S, validator=positive)
    pong_within: Duration = attrs.field(default=10 * S, validator=positive)
    answer_within: Duration = attrs.field(default=5 * S, validator=positive)
    snapshot_within: Duration = attrs.field(default=5 * S, validator=positive)
    refresh_every: Duration = attrs.field(default=300 * S, validator=positive)
    fills_every: Duration = attrs.field(default=S, validator=positive)
    min_life: Duration = attrs.field(default=5_500_000_000, validator=not_negative)
    conduct: bool = True
    posts_per_minute: int = attrs.field(default=60, validator=attrs.validators.ge(4))
    gets_per_minute: int = attrs.field(default=180, validator=attrs.validators.ge(10))
    cancels_per_call: int = attrs.field(default=20, validator=attrs.validators.ge(1))
    page_size: int = attrs.field(default=100, validator=attrs.validators.ge(1))


def build_instruments(
    listed: Sequence[wire.SymbolRow], wanted: Sequence[str], source: str
) -> dict[str, Instrument]:
    """Return the instruments of the venue's list by full symbol, those `wanted` among them.

    Raises
    ------
    ConfigError
        With every wanted one that the venue does not have, or does not trade now.
    """
    venue = wanted[0].partition(":")[0] if wanted else ""
    open_rows = [row for row in listed if row.status.upper() == "TRADING" and row.is_allow]
    found = {each.symbol: each for row in open_rows for each in [_build(row, venue)]}
    missing = [symbol for symbol in wanted if symbol not in found]
    if missing:
        has = ", ".join(sorted(found)) or "none"
        raise ConfigError(
            [
                f"{source}: found {each!r}, which the venue does not trade; it trades {has}"
                for each in missing
            ]
        )
    return found


def _build(row: wire.SymbolRow, venue: str) -> Instrument:
    lot_size = Decimal(1).scaleb(-row.amount_precision)
    return Instrument(
        symbol=f"{venue}:{row.symbol.upper()}",
        base=row.base_asset.upper(),
        quote=row.quote_asset.upper(),
        tick_size=Decimal(1).scaleb(-row.price_precision),
        lot_size=lot_size,
        min_trade_vol=max(lot_size, wire.exact(row.minimum_amount, "minimum_amount")),
        min_notional=wire.exact(row.minimum_value, "minimum_value"),
    )
