"""Moonbase's account calls as `botkit account` lists them."""

from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from functools import partial
from typing import Any, Final

from botkit.adapter import Network
from botkit.adapter.account import AccountCall, AccountDesk, AccountParameter, Kind
from botkit.errors import ConfigError
from botkit.ports import VenueSetup
from venues.moonbase.account import Account, open_account

__all__ = ["account_calls"]

ASSET: Final = AccountParameter(name="asset", help="Of one alone.", default=None)
LIMIT: Final = AccountParameter(name="limit", kind=Kind.INTEGER, help="How many.", default=1_000)


def account_calls(setup: VenueSetup, network: Network | None = None) -> AccountDesk[Account]:
    """Return what `botkit account` may do here."""
    return AccountDesk(partial(open_account, setup, network), CALLS)


async def _candles(account: Account, values: Mapping[str, Any]) -> object:
    return (await account.candles(**values)).candles


async def _deposit_address(account: Account, values: Mapping[str, Any]) -> object:
    return {"asset": values["asset"], "address": await account.deposit_address(**values)}


async def _assign(account: Account, values: Mapping[str, Any]) -> object:
    margins: dict[str, Decimal] = {}
    for symbol, text in values["margins"].items():
        try:
            margins[symbol] = Decimal(text)
        except (InvalidOperation, TypeError):
            raise ConfigError(
                f'margins: {symbol}: found {text!r}, allowed: a number as text such as "0.1"'
            ) from None
    return await account.assign_margin(margins)


CALLS: Final = (
    AccountCall[Account](
        name="tickers",
        help="The state of markets, of all if none is named.",
        run=lambda account, values: account.tickers(**values),
        parameters=(
            AccountParameter(
                name="symbols", kind=Kind.TEXTS, help="By the venue's names.", default=()
            ),
        ),
    ),
    AccountCall[Account](
        name="candles",
        help="Candles of a market.",
        run=_candles,
        parameters=(
            AccountParameter(name="symbol", help="By the venue's name, such as ETH:BTC."),
            AccountParameter(name="since_s", kind=Kind.INTEGER, help="From, Unix seconds."),
            AccountParameter(name="to_s", kind=Kind.INTEGER, help="To, Unix seconds."),
            AccountParameter(name="resolution_s", kind=Kind.INTEGER, help="Seconds of each."),
        ),
    ),
    AccountCall[Account](
        name="positions",
        help="The margin positions.",
        run=lambda account, _: account.positions(),
    ),
    AccountCall[Account](
        name="deposits",
        help="Deposits, of one asset or of all.",
        run=lambda account, values: account.deposits(**values),
        parameters=(ASSET, LIMIT),
    ),
    AccountCall[Account](
        name="withdrawals",
        help="Withdrawals, of one asset or of all.",
        run=lambda account, values: account.withdrawals(**values),
        parameters=(ASSET, LIMIT),
    ),
    AccountCall[Account](
        name="deposit-address",
        help="Where an asset can be deposited; the venue may make a new address for it.",
        run=_deposit_address,
        parameters=(AccountParameter(name="asset", help="Which."),),
    ),
    AccountCall[Account](
        name="withdraw",
        help="Send money out of the account.",
        moves="sends {amount} {asset} to {address}, which nobody can take back",
        run=lambda account, values: account.create_withdrawal(**values),
        parameters=(
            AccountParameter(name="asset", help="What."),
            AccountParameter(name="address", help="Where to."),
            AccountParameter(name="amount", kind=Kind.NUMBER, help="How much."),
        ),
    ),
    AccountCall[Account](
        name="assign-margin",
        help="Put margin aside, by market.",
        moves="puts margin aside: {margins}",
        run=_assign,
        parameters=(
            AccountParameter(name="margins", kind=Kind.JSON, help='By market: {"ETH:BTC": "0.1"}.'),
        ),
    ),
)
