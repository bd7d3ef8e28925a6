"""Making and checking JWTs by RS256. Needs `cryptography`, the extra `peatio`."""

import base64
import functools
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from botkit.errors import ConfigError
from venues.peatio.tokens import BadTokenError, read_claims, unbase64

__all__ = ["build_key", "load_key", "sign", "verify"]

HEADER: Final = {"alg": "RS256", "typ": "JWT"}
EXPONENT: Final = 65_537

_object = msgspec.json.Decoder(dict[str, Any]).decode
_encode = msgspec.json.Encoder().encode


def load_key(path: Path) -> rsa.RSAPrivateKey:
    """Return the RSA key of a PEM file; raise `ConfigError` if there is none."""
    try:
        key = serialization.load_pem_private_key(path.read_bytes(), password=None)
    except (OSError, ValueError, TypeError) as exc:
        kind = type(exc).__name__  # the text of a parser may show what it read
        raise ConfigError(
            f"private_key_file {path}: no PEM key without a password can be read there ({kind})"
        ) from None
    if not isinstance(key, rsa.RSAPrivateKey):
        raise ConfigError(f"private_key_file {path}: found no RSA key, RS256 needs one")
    return key


@functools.cache
def build_key(p: int, q: int) -> rsa.RSAPrivateKey:
    """Return the key of two primes: for tests, whose keys are no secrets."""
    d = rsa.rsa_recover_private_exponent(EXPONENT, p, q)
    return rsa.RSAPrivateNumbers(
        p=p,
        q=q,
        d=d,
        dmp1=rsa.rsa_crt_dmp1(d, p),
        dmq1=rsa.rsa_crt_dmq1(d, q),
        iqmp=rsa.rsa_crt_iqmp(p, q),
        public_numbers=rsa.RSAPublicNumbers(EXPONENT, p * q),
    ).private_key(unsafe_skip_rsa_key_validation=True)  # they are ours, and slow to check


def sign(claims: Mapping[str, Any], key: rsa.RSAPrivateKey) -> str:
    """Return the token that says `claims`."""
    body = f"{_base64(_encode(HEADER))}.{_base64(_encode(claims))}"
    return f"{body}.{_base64(key.sign(body.encode(), padding.PKCS1v15(), hashes.SHA256()))}"


def verify(token: str, key: rsa.RSAPublicKey, now_s: int) -> dict[str, Any]:
    """Return the claims of a session's token, as Peatio checks one; raise `BadTokenError`."""
    claims = read_claims(token)
    header, payload, signature = token.split(".")
    try:
        algorithm = _object(unbase64(header)).get("alg")
        signed = unbase64(signature)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        raise BadTokenError("its header or signature cannot be read") from None
    if algorithm != HEADER["alg"]:
        raise BadTokenError("its algorithm is not RS256")
    try:
        key.verify(signed, f"{header}.{payload}".encode(), padding.PKCS1v15(), hashes.SHA256())
    except InvalidSignature:
        raise BadTokenError("its signature is not the key's") from None
    _check_claims(claims, now_s)
    return claims


def _check_claims(claims: Mapping[str, Any], now_s: int) -> None:
    begin, end = claims.get("iat"), claims.get("exp")
    if not isinstance(end, int) or end <= now_s:
        raise BadTokenError("it has ended")
    if not isinstance(begin, int) or begin > now_s:
        raise BadTokenError("it was issued in the future")
    if not claims.get("jti"):
        raise BadTokenError("it has no jti")
    if claims.get("sub") != "session":
        raise BadTokenError("its sub is not session")


def _base64(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
