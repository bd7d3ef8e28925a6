"""Tokens: the page's vector, where they come from, and what is refused."""

import sys
import tomllib
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from botkit.config import Secret
from botkit.errors import ConfigError, VenueAuthenticationError
from botkit.ports import VenueSetup
from venues.peatio.issuer import Issuer
from venues.peatio.options import PeatioOptions, build_tokens
from venues.peatio.signing import load_key, sign, verify
from venues.peatio.tokens import (
    BadTokenError,
    FileToken,
    FixedToken,
    Signer,
    import_signing,
    read_claims,
)
from venues.peatio.venue import PeatioMarketData, PeatioVenue

S = 1_000_000_000
ISSUED_S = 1_700_000_000
PUBLIC_KEY = b"""-----BEGIN PUBLIC KEY-----
MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEA8sKaAdQZ2DEnJZhXQ3+N
h6V9+UbdmElIuhvbok6fhDCaIHjs6kXYpI94f716Kpxpp//E460zXeOxiwFNLjU1
LpzYgxgfWQvI0gkJJfJaoDaybxt8OVrkKSsTgAHgv24J4VXZgiMVrnRynYUVz6N3
CcStI0DyjZG22IwUnaJnmtGBTzFlasOxIp80OdzjT+LVkK8RKpkcS/lyZ6Ps/EfL
ZEuQSp/xaBpF/7lUDlQu7OcDrCaezTYtv6LpRQWY38EwIjrPcVDLC759C+zHrtjo
ThsCiPPjT5ZTsInoajVxRD2vWOz9v6zWeyqmyNi7DIptZntl86EzohMptFoiF6gH
0QIDAQAB
-----END PUBLIC KEY-----
"""
VECTOR = (
    "eyJhbGciOiJSUzI1NiIsInR5cCI6IkpXVCJ9."
    "eyJpYXQiOjE3MDAwMDAwMDAsImV4cCI6MTcwMDAwMDYwMCwic3ViIjoic2Vzc2lvbiIsImlzcyI6ImJhcm9uZyIsImF1"
    "ZCI6WyJwZWF0aW8iXSwianRpIjoiYzBmZmVlMDBjMGZmZWUwMGMwZmYiLCJ1aWQiOiJURVNUVUlEMDAxIiwiZW1haWwi"
    "OiJ0cmFkZXJAZXhhbXBsZS5jb20iLCJyb2xlIjoibWVtYmVyIiwibGV2ZWwiOjMsInN0YXRlIjoiYWN0aXZlIn0."
    "Sp3D8x0pRTXToWU6Hmy0XAMlRrZoZD22hWnYRcDjceCwRASbjiFeRRIBDhacbN_TlbKFC8uYnPU4pMJDDdnt4-UVgli2"
    "qN3fiBRvWCVdo7mKCMEESThVjANkkKb3KDsxKY5LsgW8MFnAsyuZXXLNZ7wRl8IHzhM3W-9Hd71H6_2g6Yl3m-w5D-5R"
    "-NedZ6xHZ02w_IjcQsuMuU-CteCH_F2j1HKe3CtOLyFVwm8DUfh1N0QDvi6qowiKS4dp0KHZFCmZSMCXXdod1109JYx_"
    "XXLYki5Ogbs_X-0n_NIjgYkCW-PqMgLgjpYdZAnqy3aHOFF-3FsOmIvlHgbECwz7lQ"
)
CLAIMS = {
    "iat": ISSUED_S,
    "exp": ISSUED_S + 600,
    "sub": "session",
    "iss": "barong",
    "aud": ["peatio"],
    "jti": "c0ffee00c0ffee00c0ff",
    "uid": "TESTUID001",
    "email": "trader@example.com",
    "role": "member",
    "level": 3,
    "state": "active",
}


def public_key() -> rsa.RSAPublicKey:
    key = serialization.load_pem_public_key(PUBLIC_KEY)
    assert isinstance(key, rsa.RSAPublicKey)
    return key


def write_key(path: Path, key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey) -> None:
    path.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )


# --- the vector ---------------------------------------------------------------------------------


def test_the_pages_token_is_verified() -> None:
    assert verify(VECTOR, public_key(), ISSUED_S + 1) == CLAIMS


def test_tokens_are_written_as_the_page_writes_them() -> None:
    assert sign(CLAIMS, Issuer().key).rpartition(".")[0] == VECTOR.rpartition(".")[0]


@pytest.mark.parametrize(
    ("token", "now_s", "why"),
    [
        (VECTOR, ISSUED_S + 600, "ended"),
        (VECTOR, ISSUED_S - 1, "future"),
        (VECTOR[:-8] + "AAAAAAAA", ISSUED_S, "signature"),
        (VECTOR.replace("eyJhbGciOiJSUzI1NiIs", "eyJhbGciOiJIUzI1NiIs"), ISSUED_S, "RS256"),
        (VECTOR.replace("eyJhbGci", "-!-"), ISSUED_S, "cannot be read"),
        ("a.b", ISSUED_S, "3"),
        ("a.b.c", ISSUED_S, "no JSON"),
        ("é.é.é", ISSUED_S, "no JSON"),
    ],
)
def test_tokens_that_do_not_hold_are_refused(token: str, now_s: int, why: str) -> None:
    with pytest.raises(BadTokenError, match=why):
        verify(token, public_key(), now_s)


# --- sources ------------------------------------------------------------------------------------


def test_a_fixed_token_is_used_until_its_end() -> None:
    now = [ISSUED_S * S]
    source = FixedToken(Secret(f"Bearer {VECTOR}"), lambda: now[0])
    assert source.bearer() == f"Bearer {VECTOR}"
    now[0] += 600 * S
    with pytest.raises(VenueAuthenticationError, match="it ended 0 s ago"):
        source.bearer()


@pytest.mark.parametrize(("text", "why"), [("x", "a JWT has 3"), (".e30.", "no `exp`")])
def test_a_token_that_is_none_is_named_without_showing_it(text: str, why: str) -> None:
    with pytest.raises(VenueAuthenticationError, match=why) as refused:
        FixedToken(Secret(text), lambda: 0).bearer()
    assert VECTOR not in str(refused.value)


def test_a_tokens_file_is_read_again_before_the_end(tmp_path: Path) -> None:
    now, path, issuer = [ISSUED_S * S], tmp_path / "token", Issuer()
    source = FileToken(path, lambda: now[0])
    with pytest.raises(VenueAuthenticationError, match="no token can be read"):
        source.bearer()
    path.write_text(VECTOR + "\n")
    assert source.bearer() == f"Bearer {VECTOR}"
    fresh = issuer.issue("alice", exp=ISSUED_S + 1_200)
    path.write_text(fresh)
    assert source.bearer() == f"Bearer {VECTOR}"
    now[0] += 571 * S
    assert source.bearer() == f"Bearer {fresh}"


def test_a_private_key_signs_tokens_and_renews_them(tmp_path: Path) -> None:
    issuer, now = Issuer(), [ISSUED_S * S]
    write_key(tmp_path / "key.pem", issuer.key)
    options = PeatioOptions(
        generation="ranger",
        url="ws://x",
        rest_url="http://x",
        signer=Signer(private_key_file="key.pem", uid="IDALICE001", email="alice@example.com"),
    )
    source = build_tokens(options, "test", str(tmp_path), lambda: now[0])
    assert source is not None
    first = source.bearer()
    member, claims = issuer.check(first, ISSUED_S)
    assert (member.name, claims["exp"]) == ("alice", ISSUED_S + 600)
    now[0] += 569 * S
    assert source.bearer() == first
    now[0] += 2 * S
    second = source.bearer()
    assert second != first
    assert read_claims(second[7:])["jti"] != claims["jti"]


def test_a_key_that_cannot_sign_is_a_mistake_in_the_config(tmp_path: Path) -> None:
    path = tmp_path / "key.pem"
    with pytest.raises(ConfigError, match="FileNotFoundError"):
        load_key(path)
    path.write_text("secret text")
    with pytest.raises(ConfigError, match="no PEM key") as refused:
        load_key(path)
    assert "secret text" not in str(refused.value)
    write_key(path, ec.generate_private_key(ec.SECP256R1()))
    with pytest.raises(ConfigError, match="no RSA key"):
        load_key(path)


def test_a_missing_package_is_named_with_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "venues.peatio.signing", None)
    with pytest.raises(ConfigError, match=r"pip install 'botkit\[peatio\]'"):
        import_signing("test")


# --- what the options say -----------------------------------------------------------------------


def setup(**options: object) -> VenueSetup:
    plain = {"generation": "ranger", "url": "ws://x", "rest_url": "http://x", **options}
    return VenueSetup(
        name="peatio", options=plain, symbols=("peatio:btcusd",), source="bot.toml: venues.peatio"
    )


def test_only_the_second_generations_market_data_need_no_token() -> None:
    assert PeatioMarketData(setup()).tokens is None
    with pytest.raises(ConfigError, match="token is missing"):
        PeatioVenue.from_setup(setup())
    with pytest.raises(ConfigError, match="token is missing"):
        PeatioVenue.market_data(setup(generation="websocket_api"))


def test_options_that_contradict_one_another_are_named() -> None:
    from_file = {"token_file": "peatio.token"}
    with pytest.raises(ConfigError, match="more than one of token"):
        PeatioMarketData(setup(token=VECTOR, **from_file))
    with pytest.raises(ConfigError, match="cancel_reserve is 20"):
        PeatioMarketData(setup(cancel_reserve=20))
    with pytest.raises(ConfigError, match="generation"):
        PeatioMarketData(setup(generation="third"))
    assert PeatioMarketData(setup(**from_file)).tokens is not None


def test_no_secret_is_shown() -> None:
    venue = PeatioVenue.from_setup(setup(token=VECTOR))
    assert VECTOR not in repr(venue.options)
    assert VECTOR not in repr(venue.tokens)


def test_the_configs_token_is_the_simulators() -> None:
    text = (Path(__file__).parents[2] / "configs" / "peatio.toml").read_text(encoding="utf-8")
    assert tomllib.loads(text)["venues"]["peatio"]["token"] == Issuer().members[0].secret
