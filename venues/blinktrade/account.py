"""What can be done with a BlinkTrade account besides trading: never called by the engine.

Most of it is for the user's own name and password: no API key may be allowed it.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final

import attrs
import msgspec
import trio

from botkit.adapter import Network
from botkit.config import Secret, structure
from botkit.errors import VenueError
from botkit.ports import VenueSetup
from botkit.transport import Budget, open_ws
from venues.blinktrade import outbound, wire
from venues.blinktrade.codec import Codec
from venues.blinktrade.connection import Connection
from venues.blinktrade.options import BlinkTradeOptions

__all__ = ["Account", "ApiKey", "Broker", "NewApiKey", "open_account"]

NS_PER_S: Final = 1_000_000_000
LOGGED_IN: Final = 1
MOST_PAGES: Final = 50
Permissions = Mapping[str, Sequence[Sequence[str]]]
"""By kind of message: conditions, any of which is enough, each of (tag, "eq", value) triples."""


class Broker(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """One broker of the exchange; what else the venue tells of it is in `more`."""

    broker_id: int
    short_name: str
    more: dict[str, Any]


class ApiKey(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """One API key, without its password and secret: those are told once, when it is made."""

    key: str
    label: str
    permissions: Any
    addresses: Any
    created: str
    last_used: str


@attrs.frozen(kw_only=True)
class NewApiKey:
    """A key that was just made; keep its parts now, the venue never tells them again."""

    key: str
    password: Secret
    secret: Secret
    label: str
    revocable: bool


class Account:
    """The calls. Made by `open_account`; each raises `VenueError` if the venue does not do it.

    A call the venue refuses ends the connection, as everything does that it refuses.
    """

    def __init__(self, connection: Connection, options: BlinkTradeOptions) -> None:
        self._connection = connection
        self._options = options

    # --- looking ----------------------------------------------------------------------------

    async def brokers(self) -> list[Broker]:
        """Return the brokers of the exchange."""
        found: list[Broker] = []
        for page in range(MOST_PAGES):
            question = outbound.BrokerListRequest(req_id=self._next_id(), page=page)
            table = await self._connection.ask(question, wire.Brokers)
            for row in table.read(dict[str, Any]):
                broker_id, name = row.pop("BrokerID", 0), row.pop("ShortName", "")
                found.append(Broker(broker_id=broker_id, short_name=str(name), more=row))
            if _is_last(table, question):
                break
        return found

    async def api_keys(self) -> list[ApiKey]:
        """Return the account's API keys."""
        found: list[ApiKey] = []
        for page in range(MOST_PAGES):
            question = outbound.ApiKeyListRequest(req_id=self._next_id(), page=page)
            table = await self._connection.ask(question, wire.ApiKeys)
            found += [_api_key(row) for row in table.read(dict[str, Any])]
            if _is_last(table, question):
                break
        return found

    # --- changing ---------------------------------------------------------------------------

    async def create_api_key(
        self,
        label: str,
        permissions: Permissions,
        *,
        addresses: Sequence[str] = (),
        revocable: bool = True,
    ) -> NewApiKey:
        """Make an API key that may do what `permissions` say, from `addresses` (none: any)."""
        question = outbound.ApiKeyCreateRequest(
            req_id=self._next_id(),
            label=label,
            permission_list=wire.encode(permissions).decode(),
            ip_white_list=wire.encode(list(addresses)).decode(),
            revocable=revocable,
        )
        made = await self._connection.ask(question, wire.ApiKeyCreated)
        return NewApiKey(
            key=made.api_key,
            password=Secret(made.api_password),
            secret=Secret(made.api_secret),
            label=made.label,
            revocable=made.revocable,
        )

    async def revoke_api_key(self, key: str) -> None:
        """Let an API key hold no more."""
        question = outbound.ApiKeyRevokeRequest(req_id=self._next_id(), api_key=key)
        gone = await self._connection.ask(question, wire.ApiKeyRevoked)
        if gone.api_key != key:
            raise VenueError(f"blinktrade: the venue has revoked another key: {gone.api_key!r}")

    async def update_profile(self, fields: Mapping[str, Any], user_id: int | None = None) -> None:
        """Change fields of the profile, `user_id`'s where we may."""
        question = outbound.ProfileRequest(
            req_id=self._next_id(), fields=dict(fields), user_id=user_id
        )
        reply = await self._connection.ask(question, wire.Reply)
        if not isinstance(reply, wire.ProfileUpdated | wire.ProfileRefreshed):
            raise VenueError(f"blinktrade: the profile was answered by {type(reply).__name__}")

    async def change_password(self, new: Secret) -> None:
        """Give the user who is logged in a new password.

        The venue's page has the new one in `Password`; its server and its later library, which
        this follows, in `NewPassword` beside the old one.
        """
        options = self._options
        assert options.key is not None
        assert options.password is not None
        factor = options.second_factor
        question = outbound.Login(
            req_id=self._next_id(),
            broker_id=options.broker_id,
            username=options.key.reveal(),
            password=options.password.reveal(),
            new_password=new.reveal(),
            user_req_typ="3",
            finger_print=options.fingerprint,
            second_factor=None if factor is None else factor.reveal(),
        )
        reply = await self._connection.ask(question, wire.LoginReply)
        if not (reply.user_status == LOGGED_IN or "SUCCESS" in reply.user_status_text):
            raise VenueError(f"blinktrade: the password stands: {reply.user_status_text}")

    def _next_id(self) -> int:
        return self._connection.codec.next_id()


@asynccontextmanager
async def open_account(setup: VenueSetup, network: Network | None = None) -> AsyncIterator[Account]:
    """Log in with the venue's table of the config, for the length of the block.

    Raises `ConfigError` without a key, `VenueAuthenticationError` for one that does not hold.
    """
    options = structure(BlinkTradeOptions, setup.options, setup.source)
    options.check_keys(setup.source)
    network = network or Network()
    budget = Budget(limit=options.max_messages_per_second, window_s=1.0)
    codec = Codec(setup.name, {}, setup.now_ns, broker_id=options.broker_id)
    async with open_ws(
        options.url,
        connect_timeout_s=options.connect_within / NS_PER_S,
        ssl_context=network.ssl_context,
        dial=network.dial,
    ) as ws:
        connection = Connection(setup.name, ws, codec, options, budget)
        failures: list[VenueError] = []
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(_serve, connection, nursery.cancel_scope, failures)
                await connection.log_in(cancels=False)  # it has no orders to end
                yield Account(connection, options)
                nursery.cancel_scope.cancel()
        except BaseExceptionGroup as group:
            if failures:  # why what was asked is not answered
                raise failures[0] from None
            raise (group.exceptions[0] if len(group.exceptions) == 1 else group) from None
        if failures:
            raise failures[0]


async def _serve(
    connection: Connection, scope: trio.CancelScope, failures: list[VenueError]
) -> None:
    """Serve a connection; should it end, keep why, and let whoever waits for it go."""
    try:
        await connection.serve()
    except VenueError as exc:
        failures.append(exc)
        scope.cancel()


def _is_last(table: wire.Table, question: outbound.PageRequest) -> bool:
    return len(table.rows) < (table.page_size or question.page_size)


def _api_key(row: Mapping[str, Any]) -> ApiKey:
    return ApiKey(
        key=str(row.get("APIKey", "")),
        label=str(row.get("Label", "")),
        permissions=row.get("PermissionList"),
        addresses=row.get("IPWhiteList"),
        created=str(row.get("Created", "")),
        last_used=str(row.get("LastUsed", "")),
    )
