"""Who may trade at the simulated Peatio, and the key that signs their tokens: public, for tests."""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from functools import partial
from typing import Any, Final

from botkit.adapter import Member
from venues.peatio.tokens import BadTokenError, import_signing

__all__ = ["ISSUED_S", "LASTS_UNTIL_S", "Issuer"]

ISSUED_S: Final = 1_700_000_000  # November 2023: before every test, simulated or not
LASTS_UNTIL_S: Final = 4_102_444_800  # the year 2100
BALANCES: Final = {"BTC": Decimal(10), "ETH": Decimal(100), "USD": Decimal(1_000_000)}
NAMES: Final = ("alice", "bob", "carol")
P: Final = (
    "f840b8714740d0210e5b468c62e2898b7b1fa8cf0a4e4c4d30288ffc81fae4ae"
    "b495051bc3308789c155b0f370b75e887d126a1c84da471637061156e68d08ab"
    "b971e0ec6c97f94a4dfaa79b304e98792f7349a9455f06af53e6cd5b8c11eb3e"
    "7b810ab5fee96f5f73b95ff2228d73454179249c42cb25054d19ab82e5e87fc1"
)
Q: Final = (
    "efab99deb47cb23e4343dd727105f313a4c85dca1b0074f9974f4d4fc08b0828"
    "64dac25ef86174e9143dd07d638f90ed7a346827e8e0e3769356aaeb9fe1fd68"
    "396852864929eabad9f351864beec175974de0ab085c5ed9928c44573c22a13e"
    "ed48cf2fb349e87c8c2d543492b4e9e7894add4a98ee969c433cc60ade229f95"
)
"""The primes of a key that was made for this file: it guards nothing."""


class Issuer:
    """Issues tokens, which the real venue leaves to another service, and checks them."""

    def __init__(self) -> None:
        signing = import_signing("the simulated peatio")
        self.key = signing.build_key(int(P, 16), int(Q, 16))
        self._sign = partial(signing.sign, key=self.key)
        self._verify = partial(signing.verify, key=self.key.public_key())
        self.members: Sequence[Member] = tuple(
            Member(name=name, key=uid_of(name), secret=self.issue(name), balances=BALANCES)
            for name in NAMES
        )
        self._by_email = {email_of(member.name): member for member in self.members}
        self._by_uid = {member.key: member for member in self.members}

    def issue(self, name: str, **changes: Any) -> str:
        """Return a token of a member's, with `changes` made to its claims; None leaves one out."""
        claims = {
            "iat": ISSUED_S,
            "exp": LASTS_UNTIL_S,
            "sub": "session",
            "iss": "barong",
            "aud": ["peatio"],
            "jti": f"{name}-0",
            "uid": uid_of(name),
            "email": email_of(name),
            "role": "member",
            "level": 3,
            "state": "active",
            **changes,
        }
        token: str = self._sign({key: each for key, each in claims.items() if each is not None})
        return token

    def check(self, header: str, now_s: int) -> tuple[Member, Mapping[str, Any]]:
        """Return whose token `Bearer TOKEN` is and what it says.

        Raises
        ------
        BadTokenError
            It does not hold.
        """
        kind, _, token = header.partition(" ")
        if kind != "Bearer":
            raise BadTokenError("the word Bearer is missing")
        claims: dict[str, Any] = self._verify(token, now_s=now_s)
        member = self._by_email.get(str(claims.get("email"))) or self._by_uid.get(
            str(claims.get("uid"))
        )
        if member is None:
            raise BadTokenError("nobody has this email or uid")
        return member, claims


def uid_of(name: str) -> str:
    """Return a member's uid."""
    return f"ID{name.upper()}001"


def email_of(name: str) -> str:
    """Return a member's email."""
    return f"{name}@example.com"
