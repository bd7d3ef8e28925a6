"""Who may do what at the simulated BlinkTrade: passwords, API keys and their permissions."""

import hmac
from collections.abc import Mapping
from typing import Any, Final

import attrs

from botkit.adapter import Member
from venues.blinktrade import wire
from venues.blinktrade.rows import FatalError, date_time

__all__ = ["ApiKey", "Keys", "Login", "password_of", "permits"]

ALL: Final[Mapping[str, Any]] = {"*": []}
TRADING: Final[Mapping[str, Any]] = {
    each: [] for each in ("BF", "D", "F", "U2", "U4", "U32", "U34", "U42")
}
FORBIDDEN: Final = frozenset(
    {"*", "B", "BE", "C", "U0", "U10", "U12", "U16", "U38", "U44", "U46", "U50", "U52", "U54"}
)
"""What no API key may be given."""
USED: Final = "nonce too small"


@attrs.frozen
class Login:
    """Somebody who has proved who they are, and what they may do."""

    member: Member
    permissions: Mapping[str, Any]


@attrs.define
class ApiKey:
    """A key of a member's; its secret signs REST calls, its password opens the socket."""

    member: Member
    key: str
    password: str
    secret: str
    label: str = "Test"
    permissions: Mapping[str, Any] = TRADING
    addresses: list[str] = attrs.field(factory=list)
    revocable: bool = True
    created_ns: int = 0
    used_ns: int = 0
    last_nonce: int = -1

    def row(self) -> list[Any]:
        """Return what the list of keys tells of it."""
        times = [date_time(self.created_ns), date_time(self.used_ns)]
        return [self.key, self.label, self.addresses, self.permissions, *times]


def password_of(name: str) -> str:
    """Return the password of a member, and of its API key: public, for tests alone."""
    return f"test-password-{name}"


def permits(permissions: Mapping[str, Any], message: Mapping[str, Any]) -> bool:
    """Tell whether a message may be sent: its kind is listed, without conditions or meeting one."""
    if "*" in permissions:
        return True
    conditions = permissions.get(str(message.get("MsgType")))
    if conditions is None:
        return False
    return not conditions or any(_meets(message, each) for each in conditions)


def _meets(message: Mapping[str, Any], condition: list[str]) -> bool:
    """Tell whether every triple of `condition`, (tag, "eq", value), holds."""
    triples = zip(condition[::3], condition[1::3], condition[2::3], strict=False)
    return all(word == "eq" and str(message.get(tag)) == str(value) for tag, word, value in triples)


class Keys:
    """Every password and API key."""

    def __init__(self, members: Mapping[str, Member], second_factor: str | None) -> None:
        self._members = members
        self._second_factor = second_factor
        self._passwords = {name: password_of(name) for name in members}
        self.api_keys: dict[str, ApiKey] = {
            member.key: ApiKey(member, member.key, password_of(name), member.secret)
            for name, member in members.items()
        }

    def sign_in(self, name: str, password: str, second_factor: str | None, now_ns: int) -> Login:
        """Return who logs in by user name or API key; raise `KeyError` with the venue's words."""
        key = self.api_keys.get(name)
        if key is not None and hmac.compare_digest(key.password, password):
            key.used_ns = now_ns
            return Login(key.member, key.permissions)
        known = self._passwords.get(name)
        if known is None or not hmac.compare_digest(known, password):
            raise KeyError("MSG_LOGIN_ERROR_INVALID_USERNAME_OR_PASSWORD")
        if self._second_factor not in (None, second_factor):
            raise KeyError("MSG_LOGIN_ERROR_INVALID_SECOND_STEP")
        return Login(self._members[name], ALL)

    def change_password(self, name: str, password: str, new: str) -> bool:
        """Give a user a new password; False if the old one is wrong."""
        if self._passwords.get(name) != password:
            return False
        self._passwords[name] = new
        return True

    def of_member(self, member: Member) -> list[ApiKey]:
        """Return a member's keys, the first one first."""
        return [each for each in self.api_keys.values() if each.member is member]

    def create(self, member: Member, key: ApiKey) -> ApiKey:
        """Take a new key; refuse what no key may be allowed."""
        if FORBIDDEN & set(key.permissions):
            raise FatalError("Not authorized")
        self.api_keys[key.key] = attrs.evolve(key, member=member)
        return self.api_keys[key.key]

    def revoke(self, member: Member, name: str) -> None:
        """Let a key hold no more."""
        key = self.api_keys.get(name)
        if key is None:
            raise FatalError("ApiKey is not valid")
        if key.member is not member or not key.revocable:
            raise FatalError("Not authorized")
        del self.api_keys[name]

    def check_rest(self, headers: Mapping[str, str], now_ns: int) -> Login:
        """Return who signed a REST call; raise `FatalError` if the headers do not hold."""
        key = self.api_keys.get(headers.get("apikey", ""))
        if key is None:
            raise FatalError("ApiKey is not valid")
        nonce = headers.get("nonce", "")
        if not nonce.isdecimal():
            raise FatalError("Invalid Parameter")
        wanted = wire.sign(key.secret, int(nonce))
        if not hmac.compare_digest(wanted, headers.get("signature", "")):
            raise FatalError("Invalid Signature")
        if int(nonce) <= key.last_nonce:
            raise FatalError("Invalid Nonce")
        key.last_nonce, key.used_ns = int(nonce), now_ns
        return Login(key.member, key.permissions)
