"""What `[venues.NAME]` with `type = "moonbase"` may say, and the instruments made of it."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Final, Literal

import attrs

from botkit.config import Duration, Secret
from botkit.errors import ConfigError
from botkit.model import Instrument
from botkit.ports import FeeSchedule
from venues.moonbase.wire import Info, MarketInfo, SignatureVariant

__all__ = ["MoonbaseOptions", "Sizes", "build_instruments"]

S: Final = 1_000_000_000
LONGEST_BEAT: Final = 55 * S
positive = attrs.validators.gt(0)
above_zero = attrs.validators.gt(Decimal(0))
below_idle = attrs.validators.and_(positive, attrs.validators.le(LONGEST_BEAT))


@attrs.frozen(kw_only=True)
class Sizes:
    """What the venue does not publish of an instrument; `min_trade_vol` None is one lot."""

    min_trade_vol: Decimal | None = attrs.field(
        default=None, validator=attrs.validators.optional(above_zero)
    )
    max_trade_vol: Decimal | None = attrs.field(
        default=None, validator=attrs.validators.optional(above_zero)
    )
    min_notional: Decimal = Decimal(0)


@attrs.frozen(kw_only=True)
class MoonbaseOptions:
    """`[venues.NAME]` with `type = "moonbase"`.

    Parameters
    ----------
    url, rest_url
        Where the WebSocket is, and what the paths of REST calls are put behind.
    key, secret
        Of the API key.
    signature
        What the handshake signs: "seed", as the venue's page says, or "client", as the only known
        program does. Which one the venue takes is not known; a refusal is HTTP 403.
    instruments
        Sizes by the venue's names, such as "ETH:BTC".
    fees
        What a fill is expected to cost; what it has cost the venue tells.
    trades
        Join the public trades as well: one join more for every instrument.
    trade_sign
        "taker": a trade's amount is below 0 if its taker sold. "ignore": it says nothing.
    external_id
        "send": say our order id with each order. The page does not show it over the WebSocket.
    max_joins_per_hour, joins_for_watcher
        Joins the venue allows a key, and how many of them another process is left.
    max_requests_per_minute
        Kept on our side; a tenth of it is for questions only, cancels are not counted.
    heartbeat_every, heartbeat_within
        The heartbeat, and after how long without an answer the link is dead. The venue closes a
        socket that is silent for a minute.
    answer_within
        How long a reply to a question or a join may take.
    rejoin_after
        The pause before a channel that has died is joined again; it doubles up to a minute.
    """

    url: str = "wss://moonbase.exchange/socket/api/websocket"
    rest_url: str = "https://moonbase.exchange/api/v1"
    key: Secret
    secret: Secret
    signature: SignatureVariant = "seed"
    instruments: Mapping[str, Sizes] = attrs.field(factory=dict)
    fees: FeeSchedule = attrs.field(
        factory=lambda: FeeSchedule(maker_bps=Decimal(10), taker_bps=Decimal(10))
    )
    trades: bool = True
    trade_sign: Literal["taker", "ignore"] = "taker"
    external_id: Literal["off", "send"] = "off"
    max_joins_per_hour: int = attrs.field(default=20, validator=positive)
    joins_for_watcher: int = attrs.field(default=4, validator=attrs.validators.ge(0))
    max_requests_per_minute: int = attrs.field(default=300, validator=attrs.validators.ge(10))
    connect_within: Duration = attrs.field(default=10 * S, validator=positive)
    heartbeat_every: Duration = attrs.field(default=30 * S, validator=below_idle)
    heartbeat_within: Duration = attrs.field(default=10 * S, validator=positive)
    answer_within: Duration = attrs.field(default=5 * S, validator=positive)
    rejoin_after: Duration = attrs.field(default=2 * S, validator=positive)


def build_instruments(
    listed: Info, options: MoonbaseOptions, wanted: tuple[str, ...], source: str
) -> dict[str, Instrument]:
    """Return the instruments of the venue's list by full symbol, those `wanted` among them.

    Raises
    ------
    ConfigError
        With every wanted one that the venue does not have.
    """
    venue = wanted[0].partition(":")[0] if wanted else ""
    found = {
        f"{venue}:{name}": _build(f"{venue}:{name}", row, options.instruments.get(name, Sizes()))
        for name, row in listed.markets.items()
        if row.delisted_at is None
    }
    missing = [symbol for symbol in wanted if symbol not in found]
    if missing:
        has = ", ".join(sorted(found)) or "none"
        raise ConfigError(
            [
                f"{source}: found {each!r}, which the venue does not list; it has {has}"
                for each in missing
            ]
        )
    return found


def _build(symbol: str, row: MarketInfo, sizes: Sizes) -> Instrument:
    least = sizes.min_trade_vol
    return Instrument(
        symbol=symbol,
        base=row.base,
        quote=row.quote,
        tick_size=row.tick_size,
        lot_size=row.lot_size,
        min_trade_vol=row.lot_size if least is None else least,
        max_trade_vol=sizes.max_trade_vol,
        min_notional=sizes.min_notional,
    )
