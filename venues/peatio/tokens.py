"""JWTs: where the adapter has them from.

Reading one needs no package; making and checking are in `signing`, which needs `cryptography`.
"""

import base64
import binascii
from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any, Final, Protocol

import attrs
import msgspec

from botkit.config import Duration, Secret
from botkit.errors import ConfigError, VenueAuthenticationError

__all__ = [
    "BadTokenError",
    "FileToken",
    "FixedToken",
    "SignedToken",
    "Signer",
    "TokenSource",
    "import_signing",
    "read_claims",
    "unbase64",
]

S: Final = 1_000_000_000
MARGIN_NS: Final = 30 * S  # a token is renewed this long before its end
PARTS: Final = 3
JTI_DIGITS: Final = 20

decode_object = msgspec.json.Decoder(dict[str, Any]).decode


class BadTokenError(ValueError):
    """A token that does not hold; the text says why and shows nothing of it."""


class TokenSource(Protocol):
    """What the adapter asks for a token whenever it signs in or calls."""

    def bearer(self) -> str:
        """Return `Bearer TOKEN`; raise `VenueAuthenticationError` if there is none that holds."""
        ...


@attrs.frozen(kw_only=True)
class Signer:
    """`[venues.NAME.signer]`: a private key that makes tokens, for who runs the issuer himself.

    Parameters
    ----------
    private_key_file
        PEM, RSA; relative to the config file.
    uid, email, issuer, audience, level, role
        Claims. The first generation finds the member by `email`, the second by `uid`.
    lifetime
        Of each token.
    """

    private_key_file: str
    uid: str
    email: str
    issuer: str = "barong"
    audience: str = "peatio"
    level: int = 3
    role: str = "member"
    lifetime: Duration = attrs.field(default=600 * S, validator=attrs.validators.gt(2 * MARGIN_NS))


# --- sources ------------------------------------------------------------------------------------


class FixedToken:
    """One token, until its end."""

    def __init__(self, token: Secret, now_ns: Callable[[], int]) -> None:
        self._token = token
        self._now_ns = now_ns

    def bearer(self) -> str:
        """Return it; raise `VenueAuthenticationError` once it has ended."""
        token = self._token.reveal().removeprefix("Bearer ").strip()
        _check_lasts(token, self._now_ns(), "token")
        return f"Bearer {token}"


class FileToken:
    """A token that something else keeps fresh in a file: read again before the end of the last."""

    def __init__(self, path: Path, now_ns: Callable[[], int]) -> None:
        self._path = path
        self._now_ns = now_ns
        self._token = ""
        self._renew_ns = 0

    def bearer(self) -> str:
        """Return the token of the file; raise `VenueAuthenticationError` if it does not hold."""
        now_ns = self._now_ns()
        if now_ns >= self._renew_ns:
            try:
                text = self._path.read_text(encoding="ascii")
            except (OSError, UnicodeDecodeError) as exc:
                raise VenueAuthenticationError(
                    f"token_file {self._path}: no token can be read there: {exc}"
                ) from None
            self._token = text.strip().removeprefix("Bearer ")
            end_ns = _check_lasts(self._token, now_ns, f"token_file {self._path}")
            self._renew_ns = end_ns - MARGIN_NS
        return f"Bearer {self._token}"


class SignedToken:
    """Tokens made here by a private key, each used until shortly before its end."""

    def __init__(
        self,
        signer: Signer,
        sign: Callable[[Mapping[str, Any]], str],
        now_ns: Callable[[], int],
    ) -> None:
        self._signer = signer
        self._sign = sign
        self._now_ns = now_ns
        self._token = ""
        self._renew_ns = 0
        self._made = 0

    def bearer(self) -> str:
        """Return a token that holds for half a minute at least."""
        now_ns = self._now_ns()
        if now_ns >= self._renew_ns:
            signer, now_s = self._signer, now_ns // S
            self._made += 1
            claims = {
                "iat": now_s,
                "exp": now_s + signer.lifetime // S,
                "sub": "session",
                "iss": signer.issuer,
                "aud": [signer.audience],
                "jti": f"{now_ns:x}-{self._made}".rjust(JTI_DIGITS, "0"),
                "uid": signer.uid,
                "email": signer.email,
                "role": signer.role,
                "level": signer.level,
                "state": "active",
            }
            self._token = self._sign(claims)
            self._renew_ns = now_ns + signer.lifetime - MARGIN_NS
        return f"Bearer {self._token}"


def _check_lasts(token: str, now_ns: int, what: str) -> int:
    """Return when `token` ends; raise `VenueAuthenticationError` if it has, or is none."""
    try:
        end_s = read_claims(token).get("exp")
    except BadTokenError as exc:
        raise VenueAuthenticationError(f"{what}: {exc}") from None
    if not isinstance(end_s, int):
        raise VenueAuthenticationError(f"{what}: it has no `exp`; ask its issuer for a session")
    end_ns = end_s * S
    if now_ns >= end_ns:
        ago_s = (now_ns - end_ns) // S
        raise VenueAuthenticationError(
            f"{what}: it ended {ago_s} s ago; ask its issuer for another"
        )
    return end_ns


# --- reading ------------------------------------------------------------------------------------


def read_claims(token: str) -> dict[str, Any]:
    """Return what a token says, its signature not looked at; raise `BadTokenError`."""
    parts = token.split(".")
    if len(parts) != PARTS:
        raise BadTokenError(f"found {len(parts)} parts between dots, a JWT has 3")
    try:
        return decode_object(unbase64(parts[1]))
    except (msgspec.MsgspecError, UnicodeError, ValueError, RecursionError):
        raise BadTokenError("its second part is no JSON object in base64") from None


def unbase64(text: str) -> bytes:
    """Return what `text` stands for; raise ValueError if it is no base64."""
    try:
        raw = text.encode("ascii")
        return base64.b64decode(raw + b"=" * (-len(raw) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, UnicodeEncodeError) as exc:
        raise ValueError(f"no base64: {exc}") from None


def import_signing(source: str) -> Any:
    """Return `venues.peatio.signing`; raise `ConfigError` where its package is not installed."""
    try:
        return import_module("venues.peatio.signing")
    except ImportError as exc:
        raise ConfigError(
            f"{source}: needs cryptography, which is not installed; pip install 'botkit[peatio]'"
        ) from exc
