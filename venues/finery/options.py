"""What `[venues.NAME]` with `type = "finery"` may say, and the instruments made of it."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Final, Literal

import attrs

from botkit.config import Duration, Secret
from botkit.errors import ConfigError
from botkit.model import Instrument
from botkit.ports import FeeSchedule
from venues.finery import wire

__all__ = ["FineryOptions", "Grid", "build_instruments"]

S: Final = 1_000_000_000
positive = attrs.validators.gt(0)
above_zero = attrs.validators.gt(Decimal(0))


@attrs.frozen(kw_only=True)
class Grid:
    """What the venue does not publish of an instrument, or publishes otherwise than it is.

    `lot_size` None takes the step of the base currency in the venue's list; `min_trade_vol` None
    is one lot.
    """

    tick_size: Decimal = attrs.field(default=Decimal("0.01"), validator=above_zero)
    lot_size: Decimal | None = attrs.field(
        default=None, validator=attrs.validators.optional(above_zero)
    )
    min_trade_vol: Decimal | None = None
    max_trade_vol: Decimal | None = None
    min_notional: Decimal = Decimal(0)


@attrs.frozen(kw_only=True)
class FineryOptions:
    """`[venues.NAME]` with `type = "finery"`.

    Parameters
    ----------
    url, rest_url
        Where the WebSocket is, and what method names are put behind for REST.
    key, secret
        Of the API key.
    book
        "F": the book we may trade with; "B": the global one, for makers.
    instruments
        Grids by the venue's names, such as BTC-EUR.
    fees
        What a fill costs while the venue has not told it.
    delta
        What a deal's `delta` is: "fee", in quote currency, or "ignore".
    ping_every, pong_within
        The heartbeat: how often, and after how long without an answer the link is dead.
    answer_within
        How long a reply to a question may take.
    balances_every
        How often balances are asked for when nothing trades.
    history
        How far back fills of an order in doubt are looked for.
    max_requests_per_second
        Kept on our side; a fifth of it is for cancels only.
    """

    url: str = "wss://trade.finerymarkets.com/ws"
    rest_url: str = "https://trade.finerymarkets.com/api"
    key: Secret
    secret: Secret
    book: Literal["F", "B"] = "F"
    instruments: Mapping[str, Grid] = attrs.field(factory=dict)
    fees: FeeSchedule = attrs.field(factory=FeeSchedule)
    delta: Literal["fee", "ignore"] = "fee"
    connect_within: Duration = attrs.field(default=10 * S, validator=positive)
    ping_every: Duration = attrs.field(default=20 * S, validator=positive)
    pong_within: Duration = attrs.field(default=10 * S, validator=positive)
    answer_within: Duration = attrs.field(default=5 * S, validator=positive)
    balances_every: Duration = attrs.field(default=30 * S, validator=positive)
    history: Duration = attrs.field(default=24 * 3600 * S, validator=positive)
    max_requests_per_second: int = attrs.field(default=20, validator=attrs.validators.ge(5))


def build_instruments(
    listed: wire.Instruments, options: FineryOptions, wanted: tuple[str, ...], source: str
) -> dict[str, Instrument]:
    """Return the instruments of the venue's list by full symbol, those `wanted` among them.

    Raises
    ------
    ConfigError
        With every wanted one that the venue does not have.
    """
    steps = {row.name: row.balance_step for row in listed.currencies}
    venue = wanted[0].partition(":")[0] if wanted else ""
    found = {
        f"{venue}:{row.name}": _build(row, options, steps.get(row.asset, 1), venue)
        for row in listed.instruments
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


def _build(row: wire.InstrumentRow, options: FineryOptions, step: int, venue: str) -> Instrument:
    grid = options.instruments.get(row.name, Grid())
    lot_size = grid.lot_size or wire.from_units(max(step, 1))
    return Instrument(
        symbol=f"{venue}:{row.name}",
        base=row.asset,
        quote=row.balance,
        tick_size=grid.tick_size,
        lot_size=lot_size,
        min_trade_vol=lot_size if grid.min_trade_vol is None else grid.min_trade_vol,
        max_trade_vol=grid.max_trade_vol,
        min_notional=grid.min_notional,
    )
