"""What `[venues.NAME]` with `type = "blinktrade"` may say, and the instruments made of it."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Final, Literal

import attrs

from botkit.config import Duration, Secret
from botkit.errors import ConfigError
from botkit.model import Instrument
from botkit.ports import FeeSchedule
from venues.blinktrade import wire

__all__ = ["BlinkTradeOptions", "Grid", "build_instruments"]

S: Final = 1_000_000_000
LEAST_VOL: Final = Decimal("0.0001")
BASE_LETTERS: Final = 3
positive = attrs.validators.gt(0)
above_zero = attrs.validators.gt(Decimal(0))


@attrs.frozen(kw_only=True)
class Grid:
    """What the venue does not publish of an instrument, or publishes otherwise than it is.

    `tick_size` None takes the pip of the quote currency in the venue's list.
    """

    tick_size: Decimal | None = attrs.field(
        default=None, validator=attrs.validators.optional(above_zero)
    )
    lot_size: Decimal = attrs.field(default=Decimal("1e-8"), validator=above_zero)
    min_trade_vol: Decimal = attrs.field(
        default=LEAST_VOL, validator=attrs.validators.ge(Decimal(0))
    )
    max_trade_vol: Decimal | None = None
    min_notional: Decimal = Decimal(0)


@attrs.frozen(kw_only=True)
class BlinkTradeOptions:
    """`[venues.NAME]` with `type = "blinktrade"`.

    Parameters
    ----------
    url, rest_url
        Where the WebSocket is, and what `message` is put behind for the REST bridge.
    broker_id
        Of the broker the account is with: 3 VBTC, 5 testnet, 8 Urdubit, 9 Chilebit, 11 BitCambio.
    key, password
        Of the API key (or the user's name and password). Market data need neither.
    secret
        Of the API key; with it, orders can be canceled by REST while the socket is down.
    second_factor
        The code of two-factor authentication, where a user name logs in.
    fingerprint
        Any text that stays the same.
    instruments
        Grids by the venue's names, such as BTCUSD.
    fees
        What a fill costs while the venue has not told it.
    commission
        "computed" of the rates that the login tells, since reports tell none; or "ignore".
    ord_types, times_in_force, post_only
        What the broker takes; its documentation promises limit orders only. The venue's open
        server takes FOK and does not honour it.
    beat_every, beat_within
        The heartbeat: how often, and after how long without an answer the link is dead.
    answer_within
        How long a reply to a question may take.
    cancel_within
        After how long a cancel that nothing was said of is looked up: late ones are not answered.
    crossed_for
        How long the book may be crossed before it counts as broken.
    resubscribe_every
        How often at most a broken book is asked for anew.
    balances_every
        How often balances are asked for, besides those the venue tells of trades.
    history
        How far back an order in doubt is looked for.
    max_messages_per_second
        Kept on our side; the venue closes the connection at 16. Two fifths are for cancels only.
    max_open_orders
        More are refused, so that all can be canceled within
        `max_open_orders / max_messages_per_second` seconds.
    """

    url: str = "wss://ws.blinktrade.com/trade/"
    rest_url: str = "https://api.blinktrade.com/tapi/v1"
    broker_id: int = attrs.field(validator=positive)
    key: Secret | None = None
    password: Secret | None = None
    secret: Secret | None = None
    second_factor: Secret | None = None
    fingerprint: str = "botkit"
    instruments: Mapping[str, Grid] = attrs.field(factory=dict)
    fees: FeeSchedule = attrs.field(factory=FeeSchedule)
    commission: Literal["computed", "ignore"] = "computed"
    ord_types: tuple[Literal["LIMIT", "MARKET", "STOP", "STOP_LIMIT"], ...] = ("LIMIT",)
    times_in_force: tuple[Literal["GTC", "FOK", "DAY"], ...] = ("GTC", "FOK")
    post_only: bool = True
    connect_within: Duration = attrs.field(default=10 * S, validator=positive)
    beat_every: Duration = attrs.field(default=20 * S, validator=positive)
    beat_within: Duration = attrs.field(default=10 * S, validator=positive)
    answer_within: Duration = attrs.field(default=5 * S, validator=positive)
    cancel_within: Duration = attrs.field(default=2 * S, validator=positive)
    crossed_for: Duration = attrs.field(default=5 * S, validator=positive)
    resubscribe_every: Duration = attrs.field(default=5 * S, validator=positive)
    balances_every: Duration = attrs.field(default=30 * S, validator=positive)
    history: Duration = attrs.field(default=24 * 3600 * S, validator=positive)
    max_messages_per_second: int = attrs.field(
        default=10, validator=[attrs.validators.ge(5), attrs.validators.le(15)]
    )
    max_open_orders: int = attrs.field(default=20, validator=positive)

    @property
    def reserve(self) -> int:
        """How many of a second's messages only cancels and heartbeats may be."""
        return self.max_messages_per_second * 2 // 5

    def check_keys(self, source: str) -> None:
        """Raise `ConfigError` if there is nothing to log in with."""
        lacking = [name for name in ("key", "password") if not getattr(self, name)]
        if lacking:
            raise ConfigError(
                [
                    f"{source}: {name}: it is missing; orders need it, a dry run does not"
                    for name in lacking
                ]
            )


def build_instruments(
    listed: wire.Securities, options: BlinkTradeOptions, wanted: tuple[str, ...], source: str
) -> dict[str, Instrument]:
    """Return the instruments of the venue's list by full symbol, those `wanted` among them.

    Raises
    ------
    ConfigError
        With every wanted one that the venue does not have.
    """
    pips = {row.code: row.pip for row in listed.currencies}
    venue = wanted[0].partition(":")[0] if wanted else ""
    found = {
        f"{venue}:{row.symbol}": _build(row, options, pips.get(row.currency) or 1, venue)
        for row in listed.instruments
        if row.symbol
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


def _build(row: wire.InstrumentRow, options: BlinkTradeOptions, pip: int, venue: str) -> Instrument:
    grid = options.instruments.get(row.symbol, Grid())
    has_quote = row.symbol.endswith(row.currency) and row.symbol != row.currency
    return Instrument(
        symbol=f"{venue}:{row.symbol}",
        base=row.symbol.removesuffix(row.currency) if has_quote else row.symbol[:BASE_LETTERS],
        quote=row.currency,
        tick_size=wire.from_units(pip) if grid.tick_size is None else grid.tick_size,
        lot_size=grid.lot_size,
        min_trade_vol=grid.min_trade_vol,
        max_trade_vol=grid.max_trade_vol,
        min_notional=grid.min_notional,
    )
