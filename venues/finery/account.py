"""What can be asked of a Finery account besides trading: never called by the engine.

Nothing here moves money or rights. What cancels orders is trading: `botkit cancel-all`.
"""

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from decimal import Decimal
from functools import partial
from typing import Any, Final

import msgspec

from botkit.adapter import Network
from botkit.adapter.account import AccountCall, AccountDesk, AccountParameter, Kind
from botkit.ports import VenueSetup
from venues.finery import wire
from venues.finery.venue import FineryMarketData
from venues.finery.wire import from_units

__all__ = ["Account", "account_calls", "open_account"]

DEALS_MOST: Final = 250
SIDES: Final = {wire.Side.BID: "BUY", wire.Side.ASK: "SELL"}

_positions = msgspec.json.Decoder(wire.Positions).decode
_limits = msgspec.json.Decoder(list[wire.Limit]).decode
_instruments = msgspec.json.Decoder(wire.Instruments).decode
_deals = msgspec.json.Decoder(list[wire.Deal]).decode


class Held(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """What is held of a currency with one counterparty, signed, and how far it may go."""

    currency: str
    counterparty: int
    held: Decimal
    max_reachable: Decimal
    min_reachable: Decimal


class LimitRow(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """How far we may go in a currency; `used` below 0 is a profit. `free` may still be traded."""

    currency: str
    counterparty: int
    net: Decimal
    net_used: Decimal
    gross: Decimal
    gross_used: Decimal
    free: Decimal


class Listed(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """An instrument of the venue's, and the quantity step of its base currency."""

    instrument: str
    number: int
    base: str
    quote: str
    lot_size: Decimal


class DealRow(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """An execution. Times are milliseconds since 1970 UTC."""

    deal_id: int
    deal_ms: int
    instrument: str
    side: str
    price: Decimal
    qty: Decimal
    volume: Decimal
    delta: Decimal
    order_id: int
    client_order_id: int
    counterparty: int


class Account:
    """The calls, by signed REST; each raises `VenueError` if the venue does not answer it."""

    def __init__(self, venue: FineryMarketData) -> None:
        self._venue = venue

    async def positions(self) -> list[Held]:
        """Return what is held, by currency and counterparty."""
        told = await self._ask(_positions, "positions")
        return [
            Held(
                currency=row.currency,
                counterparty=row.counterparty,
                held=from_units(row.size),
                max_reachable=from_units(row.max_reachable),
                min_reachable=from_units(row.min_reachable),
            )
            for row in told.positions
        ]

    async def limits(self, *, by_counterparty: bool = False) -> list[LimitRow]:
        """Return the limits: those over all counterparties, or each one's."""
        method = "climits" if by_counterparty else "limits"
        return [_limit(row) for row in await self._ask(_limits, method)]

    async def instruments(self) -> list[Listed]:
        """Return the venue's instruments."""
        told = await self._ask(_instruments, "instruments")
        steps = {row.name: row.balance_step for row in told.currencies}
        return [
            Listed(
                instrument=row.name,
                number=row.instrument_id,
                base=row.asset,
                quote=row.balance,
                lot_size=from_units(steps.get(row.asset, 0)),
            )
            for row in told.instruments
        ]

    async def deals(
        self,
        instrument: str | None = None,
        *,
        since_ms: int | None = None,
        to_ms: int | None = None,
        till: int | None = None,
        limit: int = DEALS_MOST,
    ) -> list[DealRow]:
        """Return our executions, newest first; the next page is `till` the last one's id."""
        asked = {
            "instrument": instrument,
            "from": since_ms,
            "to": to_ms,
            "till": till,
            "limit": limit,
        }
        told = {name: value for name, value in asked.items() if value is not None}
        return [_deal(row) for row in await self._ask(_deals, "dealHistory", **told)]

    async def _ask(self, decode: Callable[[Any], Any], method: str, **parameters: object) -> Any:
        return wire.parse(decode, await self._venue.call(method, **parameters), method)


@asynccontextmanager
async def open_account(setup: VenueSetup, network: Network | None = None) -> AsyncIterator[Account]:
    """Give the account of the venue's table in the config; each call connects for itself."""
    venue = FineryMarketData(setup)
    venue.network = network or Network()
    yield Account(venue)


def account_calls(setup: VenueSetup, network: Network | None = None) -> AccountDesk[Account]:
    """Return what `botkit account` may do here."""
    return AccountDesk(partial(open_account, setup, network), CALLS)


def _limit(row: wire.Limit) -> LimitRow:
    return LimitRow(
        currency=row.currency,
        counterparty=row.counterparty,
        net=from_units(row.net),
        net_used=from_units(row.net_used),
        gross=from_units(row.gross),
        gross_used=from_units(row.gross_used),
        free=from_units(min(row.net - row.net_used, row.gross - row.gross_used)),
    )


def _deal(row: wire.Deal) -> DealRow:
    return DealRow(
        deal_id=row.deal_id,
        deal_ms=row.deal_ms,
        instrument=row.instrument,
        side=SIDES[wire.Side(row.side)],
        price=from_units(row.price),
        qty=from_units(row.size),
        volume=from_units(row.volume),
        delta=from_units(row.delta),
        order_id=row.order_id,
        client_order_id=row.client_order_id,
        counterparty=row.counterparty,
    )


async def _run_deals(account: Account, values: Mapping[str, Any]) -> object:
    return await account.deals(**values)


CALLS: Final = (
    AccountCall[Account](
        name="positions",
        help="What is held, by currency and counterparty.",
        run=lambda account, _: account.positions(),
    ),
    AccountCall[Account](
        name="limits",
        help="How far each currency may go, over all counterparties.",
        run=lambda account, _: account.limits(),
    ),
    AccountCall[Account](
        name="climits",
        help="How far each currency may go with each counterparty.",
        run=lambda account, _: account.limits(by_counterparty=True),
    ),
    AccountCall[Account](
        name="instruments",
        help="What the venue trades.",
        run=lambda account, _: account.instruments(),
    ),
    AccountCall[Account](
        name="deals",
        help="Our executions, newest first.",
        run=_run_deals,
        parameters=(
            AccountParameter(name="instrument", help="Of one alone, by its name.", default=None),
            AccountParameter(
                name="since_ms",
                kind=Kind.INTEGER,
                help="Not before this, in ms since 1970 UTC.",
                default=None,
            ),
            AccountParameter(
                name="to_ms", kind=Kind.INTEGER, help="Not after this, likewise.", default=None
            ),
            AccountParameter(
                name="till", kind=Kind.INTEGER, help="Before the deal of this id.", default=None
            ),
            AccountParameter(name="limit", kind=Kind.INTEGER, help="How many.", default=DEALS_MOST),
        ),
    ),
)
