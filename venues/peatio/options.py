"""What `[venues.NAME]` with `type = "peatio"` may say, and the instruments made of it."""

from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Final, Literal

import attrs

from botkit.config import Duration, Secret
from botkit.errors import ConfigError
from botkit.model import Instrument
from botkit.ports import FeeSchedule
from venues.peatio import wire
from venues.peatio.tokens import (
    FileToken,
    FixedToken,
    SignedToken,
    Signer,
    TokenSource,
    import_signing,
)

__all__ = ["Grid", "PeatioOptions", "build_instruments", "build_tokens"]

S: Final = 1_000_000_000
DIGITS: Final = 8  # of a grid that is told by nobody
positive = attrs.validators.gt(0)
above_zero = attrs.validators.gt(Decimal(0))


@attrs.frozen(kw_only=True)
class Grid:
    """What the venue does not publish of a market: of the first generation, everything here.

    None takes what the venue says, and where it says nothing 0.01 for `tick_size`, 0.00000001 for
    `lot_size`, one lot for `min_trade_vol`.
    """

    base: str = ""
    quote: str = ""
    tick_size: Decimal | None = attrs.field(
        default=None, validator=attrs.validators.optional(above_zero)
    )
    lot_size: Decimal | None = attrs.field(
        default=None, validator=attrs.validators.optional(above_zero)
    )
    min_trade_vol: Decimal | None = None
    max_trade_vol: Decimal | None = None
    min_notional: Decimal = Decimal(0)


@attrs.frozen(kw_only=True)
class PeatioOptions:
    """`[venues.NAME]` with `type = "peatio"`.

    Parameters
    ----------
    generation
        "websocket_api" until August 2018, "ranger" after; they have nothing in common.
    url, rest_url
        Where the WebSocket is (of the second generation: what `public/` and `private/` are put
        behind), and where `/api/v2` is.
    token, token_file, signer
        One of them: a token as it is; a file that something else keeps a fresh one in; or a
        private key and the claims that it signs.
    instruments
        Grids by the venue's names, such as btcusd.
    fees
        The venue tells no fee with a trade; the commission is computed from these.
    fee_in
        "received": fees are taken from what is received; "unknown": no commission is told.
    connect_within, answer_within
        Of signing in, and of one REST call.
    ping_every, pong_within
        The second generation's heartbeat.
    silent_for
        The first generation's: nothing heard for so long (it pings every 10 s) is a dead link.
    check_after
        After that long without a word on an order sent or canceled, REST is asked about it.
    check_books_every, poll_trades_every, poll_balances_every
        The first generation's book is compared with REST, its public trades are fetched, and the
        balances of either, this often.
    max_requests_per_second, cancel_reserve
        Kept on our side, for REST; so many of them are for cancels only.
    history
        How far back the orders and fills of a listing go at most.
    """

    generation: Literal["websocket_api", "ranger"]
    url: str
    rest_url: str
    token: Secret | None = None
    token_file: str = ""
    signer: Signer | None = None
    instruments: Mapping[str, Grid] = attrs.field(factory=dict)
    fees: FeeSchedule = attrs.field(factory=FeeSchedule)
    fee_in: Literal["received", "unknown"] = "received"
    connect_within: Duration = attrs.field(default=10 * S, validator=positive)
    answer_within: Duration = attrs.field(default=5 * S, validator=positive)
    ping_every: Duration = attrs.field(default=20 * S, validator=positive)
    pong_within: Duration = attrs.field(default=10 * S, validator=positive)
    silent_for: Duration = attrs.field(default=30 * S, validator=positive)
    check_after: Duration = attrs.field(default=1 * S, validator=positive)
    check_books_every: Duration = attrs.field(default=30 * S, validator=positive)
    poll_trades_every: Duration = attrs.field(default=2 * S, validator=positive)
    poll_balances_every: Duration = attrs.field(default=30 * S, validator=positive)
    max_requests_per_second: int = attrs.field(default=20, validator=attrs.validators.ge(4))
    cancel_reserve: int = attrs.field(default=5, validator=attrs.validators.ge(1))
    history: Duration = attrs.field(default=7 * 24 * 3600 * S, validator=positive)

    def __attrs_post_init__(self) -> None:
        given = [self.token is not None, bool(self.token_file), self.signer is not None]
        if sum(given) > 1:
            raise ValueError("found more than one of token, token_file and signer, allowed: one")
        if self.cancel_reserve >= self.max_requests_per_second:
            raise ValueError(
                f"cancel_reserve is {self.cancel_reserve}: it must be below "
                f"max_requests_per_second, {self.max_requests_per_second}"
            )


def build_tokens(
    options: PeatioOptions, source: str, base_dir: str, now_ns: Callable[[], int]
) -> TokenSource | None:
    """Return where tokens come from; None if nothing says it.

    Raises
    ------
    ConfigError
        The private key cannot be read, or what signs by it is not installed.
    """
    if options.token is not None:
        return FixedToken(options.token, now_ns)
    if options.token_file:
        return FileToken(Path(base_dir) / options.token_file, now_ns)
    if options.signer is None:
        return None
    signing = import_signing(f"{source}.signer")
    key = signing.load_key(Path(base_dir) / options.signer.private_key_file)
    return SignedToken(options.signer, partial(signing.sign, key=key), now_ns)


def build_instruments(
    listed: Sequence[wire.MarketRow], options: PeatioOptions, wanted: tuple[str, ...], source: str
) -> dict[str, Instrument]:
    """Return the instruments of the venue's list by full symbol, those `wanted` among them.

    Raises
    ------
    ConfigError
        With every wanted one that the venue does not have, or whose currencies nobody tells.
    """
    if not wanted:
        return {}
    venue = wanted[0].partition(":")[0]
    rows = {f"{venue}:{row.id}": row for row in listed}
    problems: list[str] = []
    found: dict[str, Instrument] = {}
    for symbol, row in rows.items():
        grid = options.instruments.get(row.id, Grid())
        base, quote = _currencies(row, grid)
        if base and quote:
            found[symbol] = _build(symbol, base, quote, row, grid)
        elif symbol in wanted:
            problems.append(
                f"{source}.{row.id}: base and quote are missing: the venue calls it {row.name!r}, "
                'which does not tell them; write base = "BTC", quote = "USD"'
            )
    has = ", ".join(sorted(rows)) or "none"
    problems += [
        f"{source}: found {each!r}, which the venue does not list; it has {has}"
        for each in wanted
        if each not in rows
    ]
    if problems:
        raise ConfigError(problems)
    return found


def _currencies(row: wire.MarketRow, grid: Grid) -> tuple[str, str]:
    named = row.name.partition("/")
    base, quote = row.base_unit or named[0], row.quote_unit or named[2]
    return (grid.base or base.upper(), grid.quote or quote.upper())


def _build(symbol: str, base: str, quote: str, row: wire.MarketRow, grid: Grid) -> Instrument:
    lot_size = grid.lot_size or _step(row.amount_precision, DIGITS)
    least = row.min_amount if grid.min_trade_vol is None else grid.min_trade_vol
    return Instrument(
        symbol=symbol,
        base=base,
        quote=quote,
        tick_size=grid.tick_size or _step(row.price_precision, 2),
        lot_size=lot_size,
        min_trade_vol=lot_size if not least or not least.is_finite() else least,
        max_trade_vol=grid.max_trade_vol,
        min_notional=grid.min_notional,
    )


def _step(digits: int | None, otherwise: int) -> Decimal:
    return Decimal(1).scaleb(-(otherwise if digits is None else digits))
