"""BlinkTrade's account calls as `botkit account` lists them."""

from collections.abc import Mapping
from functools import partial
from typing import Any, Final

from botkit.adapter import Network
from botkit.adapter.account import AccountCall, AccountDesk, AccountParameter, Kind
from botkit.ports import VenueSetup
from venues.blinktrade.account import Account, open_account

__all__ = ["account_calls"]


def account_calls(setup: VenueSetup, network: Network | None = None) -> AccountDesk[Account]:
    """Return what `botkit account` may do here."""
    return AccountDesk(partial(open_account, setup, network), CALLS)


async def _create(account: Account, values: Mapping[str, Any]) -> object:
    """Return the new key with what is told only once: shown now, or never."""
    made = await account.create_api_key(**values)
    return {
        "key": made.key,
        "password": made.password.reveal(),
        "secret": made.secret.reveal(),
        "label": made.label,
        "revocable": made.revocable,
    }


CALLS: Final = (
    AccountCall[Account](
        name="brokers",
        help="The brokers of the exchange.",
        run=lambda account, _: account.brokers(),
    ),
    AccountCall[Account](
        name="api-keys",
        help="The API keys of the account; for its own name and password.",
        run=lambda account, _: account.api_keys(),
    ),
    AccountCall[Account](
        name="create-api-key",
        help="Make an API key; its password and secret are shown once, now.",
        moves="makes an API key {label} that may do {permissions}, from {addresses}",
        run=_create,
        parameters=(
            AccountParameter(name="label", help="What to call it."),
            AccountParameter(
                name="permissions",
                kind=Kind.JSON,
                help='What it may do, by kind of message: {"D": [], "F": []}.',
            ),
            AccountParameter(
                name="addresses", kind=Kind.TEXTS, help="From where; anywhere.", default=()
            ),
            AccountParameter(
                name="revocable", kind=Kind.YES_NO, help="It can be revoked.", default=True
            ),
        ),
    ),
    AccountCall[Account](
        name="revoke-api-key",
        help="Let an API key hold no more.",
        moves="revokes the API key {key}: whoever trades with it is locked out",
        run=lambda account, values: account.revoke_api_key(**values),
        parameters=(AccountParameter(name="key", help="The key."),),
    ),
    AccountCall[Account](
        name="update-profile",
        help="Change fields of the profile.",
        moves="changes the profile to {fields}",
        run=lambda account, values: account.update_profile(**values),
        parameters=(
            AccountParameter(name="fields", kind=Kind.JSON, help="By name."),
            AccountParameter(
                name="user_id", kind=Kind.INTEGER, help="Whose, where we may.", default=None
            ),
        ),
    ),
    AccountCall[Account](
        name="change-password",
        help="Give the user who is logged in a new password.",
        moves="changes the password of the user who is logged in",
        run=lambda account, values: account.change_password(**values),
        parameters=(AccountParameter(name="new", kind=Kind.HIDDEN, help="The new one."),),
    ),
)
