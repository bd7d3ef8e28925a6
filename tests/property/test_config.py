"""Whatever a config holds, it is read, or refused by a `ConfigError` that shows no secret."""

import contextlib
import datetime as dt
import enum
import tomllib
import traceback
from collections.abc import Mapping
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Literal

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from botkit.config import (
    Config,
    Duration,
    Secret,
    emit,
    format_duration,
    load,
    parse_duration,
    structure,
    unstructure,
)
from botkit.config.environment import Expansion, escaped
from botkit.config.secrets import EnvironmentText
from botkit.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path


class Kind(enum.StrEnum):
    """An enum of words."""

    ONE = "one"
    TWO = "two"


@attrs.frozen(kw_only=True)
class Inner:
    """A nested table with a tag."""

    type: Literal["inner"] = "inner"
    exact: Decimal = Decimal(0)


@attrs.frozen(kw_only=True)
class Other:
    """The table it is told from."""

    type: Literal["other"]
    sizes: Mapping[str, Decimal] = attrs.field(factory=dict)


@attrs.frozen(kw_only=True)
class Outer:
    """A field of every kind."""

    text: str
    whole: int = attrs.field(default=1, validator=attrs.validators.gt(0))
    number: float = 0.0
    flag: bool = False
    latency: Duration = 0
    kind: Kind = Kind.ONE
    maybe: Decimal | None = None
    feed: Inner | Other | str = ""
    row: tuple[int, str] = (0, "")
    names: tuple[str, ...] = ()
    inners: list[Inner] = attrs.field(factory=list)
    by_name: Mapping[str, Inner] = attrs.field(factory=dict)
    tags: frozenset[str] = frozenset()


texts = st.text(max_size=20)
exacts = st.decimals(allow_nan=False, allow_infinity=False)
durations = st.integers(0, 2**63 - 1)
inners = st.builds(Inner, exact=exacts)
outers = st.builds(
    Outer,
    text=texts,
    whole=st.integers(min_value=1),
    number=st.floats(allow_nan=False, allow_infinity=False),
    flag=st.booleans(),
    latency=durations,
    kind=st.sampled_from(Kind),
    maybe=st.none() | exacts,
    feed=inners
    | texts
    | st.builds(Other, type=st.just("other"), sizes=st.dictionaries(texts, exacts)),
    row=st.tuples(st.integers(), texts),
    names=st.lists(texts).map(tuple),
    inners=st.lists(inners, max_size=3),
    by_name=st.dictionaries(texts, inners, max_size=3),
    tags=st.frozensets(texts, max_size=3),
)

scalars = (
    texts
    | st.integers()
    | st.booleans()
    | st.floats(allow_nan=False)
    | st.datetimes(timezones=st.none() | st.just(dt.UTC))
    | st.dates()
    | st.times()
)
documents = st.dictionaries(
    texts,
    st.recursive(
        scalars,
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
        max_leaves=15,
    ),
    max_size=5,
)
anything = st.recursive(
    scalars | st.none() | st.binary() | st.complex_numbers() | st.decimals(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts | st.integers(), inner),
    max_leaves=8,
)
field_names = st.sampled_from([field.name for field in attrs.fields(Outer)])


@given(outers)
def test_structure_reads_back_what_unstructure_wrote(outer: Outer) -> None:
    assert structure(Outer, unstructure(outer), "f") == outer


@given(outers)
def test_toml_carries_what_unstructure_wrote(outer: Outer) -> None:
    assert structure(Outer, tomllib.loads(emit(unstructure(outer))), "f") == outer


@given(durations)
def test_a_duration_is_read_as_it_was_written(length_ns: int) -> None:
    assert parse_duration(format_duration(length_ns)) == length_ns


@given(documents)
def test_toml_reads_back_what_was_emitted(document: dict[str, Any]) -> None:
    assert tomllib.loads(emit(document)) == document


@given(documents)
def test_filling_in_undoes_escaping(document: dict[str, Any]) -> None:
    expansion = Expansion({})
    assert expansion.fill(escaped(document)) == document
    assert expansion.problems == []


@given(anything | st.dictionaries(field_names, anything, max_size=6))
def test_junk_only_ever_raises_a_config_error(value: Any) -> None:
    with contextlib.suppress(ConfigError):
        assert isinstance(structure(Outer, value, "f"), Outer)


sections = st.fixed_dictionaries(
    {},
    optional={
        "bot": documents | st.dictionaries(st.sampled_from(["name", "seed", "clean_up"]), scalars),
        "venues": documents | st.dictionaries(texts, st.dictionaries(st.just("type"), texts)),
        "strategies": scalars
        | st.lists(
            st.dictionaries(
                st.sampled_from(["type", "name", "instrument", "instruments", "params"]),
                scalars | st.lists(texts),
            )
        ),
        "risk": documents,
        "other": scalars,
    },
)


@given(document=sections, overrides=st.lists(texts | st.from_regex(r"[a-z.0-9]+=.*"), max_size=2))
def test_a_file_of_junk_only_ever_raises_a_config_error(
    tmp_path_factory: pytest.TempPathFactory, document: dict[str, Any], overrides: list[str]
) -> None:
    path = tmp_path_factory.getbasetemp() / "junk.toml"
    path.write_bytes(emit(document).encode())
    with contextlib.suppress(ConfigError):
        assert isinstance(load(path, overrides, environ={}), Config)


secrets = st.text(alphabet="§¶µ", min_size=4, max_size=12)


def in_place_of_leaves(value: Any, secret: str) -> Any:
    """Return `value` with every text in it taken from the environment."""
    if isinstance(value, str):
        return EnvironmentText(f"{secret}{value}", f"***{value}", [secret])
    if isinstance(value, dict):
        return {name: in_place_of_leaves(inner, secret) for name, inner in value.items()}
    if isinstance(value, list):
        return [in_place_of_leaves(inner, secret) for inner in value]
    return value


@given(secret=secrets, value=st.dictionaries(field_names, anything, min_size=1, max_size=6))
def test_an_error_never_shows_what_came_from_the_environment(
    secret: str, value: dict[str, Any]
) -> None:
    shown = ""
    try:
        structure(Outer, in_place_of_leaves(value, secret), "f")
    except ConfigError as error:
        shown = "".join(traceback.format_exception(error))
    assert secret not in shown


@given(secret=secrets, text=texts)
def test_no_way_to_show_a_secret_shows_it(secret: str, text: str) -> None:
    hidden = Secret(secret + text)
    assert secret not in f"{hidden} {hidden!r} {[hidden]} {hidden:>30}"


@given(secret=secrets)
def test_show_and_repr_never_hold_a_secret(
    tmp_path_factory: pytest.TempPathFactory, secret: str
) -> None:
    path: Path = tmp_path_factory.getbasetemp() / "secret.toml"
    document = {
        "bot": {"name": "demo"},
        "venues": {"a": {"type": "paper", "key": "${S}", "in": [{"url": "x${S}y", "t": secret}]}},
        "strategies": [{"type": "grid", "instrument": "a:${S}", "params": {"x": "${S}${S}"}}],
        "risk": {"note": "${S}"},
    }
    path.write_bytes(emit(document).encode())
    config = load(path, environ={"S": secret})
    assert config.risk["note"] == secret
    assert secret not in config.show()
    assert secret not in config.redact(f"{config!r} a{secret}b")
