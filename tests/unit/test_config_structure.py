"""Plain tables become checked classes, and every mistake is one sentence of one error."""

import copy
import datetime as dt
import enum
import json
import pickle
import traceback
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Literal, NewType

import attrs
import pytest

from botkit.config import Duration, Secret, format_duration, parse_duration, structure, unstructure
from botkit.config.environment import Expansion
from botkit.errors import ConfigError
from botkit.model import Side

Label = NewType("Label", str)


@attrs.frozen(kw_only=True)
class Synthetic:
    """One way to say where data come from."""

    type: Literal["synthetic"]
    seed: int = 0


@attrs.frozen(kw_only=True)
class Replay:
    """The other way."""

    type: Literal["replay"]
    path: str


@attrs.frozen(kw_only=True)
class Fees:
    """A nested table."""

    maker_bps: Decimal = Decimal(0)


class Level(enum.IntEnum):
    """An enum of numbers."""

    LOW = 1
    HIGH = 2


class Colour(enum.Enum):
    """An enum that is neither text nor number."""

    RED = "red"


@attrs.frozen(kw_only=True)
class Everything:
    """A field of every kind."""

    text: str = ""
    label: Label = Label("")
    whole: int = 0
    number: float = 0.0
    exact: Decimal = Decimal(0)
    flag: bool = False
    latency: Duration = 0
    side: Side = Side.BUY
    level: Level = Level.LOW
    colour: Colour = Colour.RED
    mode: Literal["NORMAL", "FULL"] = "NORMAL"
    maybe: int | None = None
    feed: Synthetic | Replay = attrs.field(factory=lambda: Synthetic(type="synthetic"))
    fees: str | Fees = attrs.field(factory=Fees)
    row: tuple[int, str] = (0, "")
    names: tuple[str, ...] = ()
    counts: list[int] = attrs.field(factory=list)
    tags: frozenset[str] = frozenset()
    sizes: Mapping[str, Decimal] = attrs.field(factory=dict)
    key: Secret | None = None
    path: Path = Path()
    day: dt.date = dt.date(2020, 1, 1)
    noted: Annotated[int, "a note"] = 0
    anything: Any = None
    bare: list = attrs.field(factory=list)  # type: ignore[type-arg]  # a plug-in may say so
    table: dict = attrs.field(factory=dict)  # type: ignore[type-arg]  # a plug-in may say so
    _hidden: int = 0
    derived: int = attrs.field(default=0, init=False)


def problems(cls: type, value: Any, source: str = "f.toml", key: str = "") -> list[str]:
    with pytest.raises(ConfigError) as caught:
        structure(cls, value, source, key=key)
    return list(caught.value.problems)


def problem(**value: Any) -> str:
    (text,) = problems(Everything, value)
    return text.removeprefix("f.toml: ")


def filled(text: str, **environ: str) -> Any:
    return Expansion(environ).fill(text)


def test_every_kind_of_field_is_read() -> None:
    read = structure(
        Everything,
        {
            "text": "a",
            "label": "b",
            "whole": 3,
            "number": "1.5",
            "exact": "0.10",
            "flag": True,
            "latency": "20ms",
            "side": "SELL",
            "level": 2,
            "mode": "FULL",
            "maybe": 4,
            "feed": {"type": "replay", "path": "x"},
            "fees": {"maker_bps": 10},
            "row": [1, "c"],
            "names": ["d", "e"],
            "counts": [1],
            "tags": ["f"],
            "sizes": {"paper:BTC-EUR": "2"},
            "key": "hush",
            "path": "a/b",
            "day": dt.date(2024, 8, 8),
            "noted": 5,
            "anything": {"g": [1]},
            "bare": [1, "h"],
            "table": {"i": 1},
            "hidden": 6,
        },
        "f.toml",
    )
    assert read == Everything(
        text="a",
        label=Label("b"),
        whole=3,
        number=1.5,
        exact=Decimal("0.10"),
        flag=True,
        latency=20_000_000,
        side=Side.SELL,
        level=Level.HIGH,
        mode="FULL",
        maybe=4,
        feed=Replay(type="replay", path="x"),
        fees=Fees(maker_bps=Decimal(10)),
        row=(1, "c"),
        names=("d", "e"),
        counts=[1],
        tags=frozenset({"f"}),
        sizes={"paper:BTC-EUR": Decimal(2)},
        key=Secret("hush"),
        path=Path("a/b"),
        day=dt.date(2024, 8, 8),
        noted=5,
        anything={"g": [1]},
        bare=[1, "h"],
        table={"i": 1},
        hidden=6,
    )
    assert type(read.names) is tuple
    assert type(read.side) is Side


def test_values_of_the_right_type_are_taken_as_they_are() -> None:
    given = {"exact": Decimal("0.1"), "path": Path("a"), "level": Level.HIGH, "colour": Colour.RED}
    assert structure(Everything, given, "f") == Everything(
        exact=Decimal("0.1"), path=Path("a"), level=Level.HIGH
    )


def test_the_sentence_names_file_key_what_was_found_and_what_is_allowed() -> None:
    assert problems(Everything, {"latency": 20}, "configs/paper.toml", "venues.paper") == [
        (
            "configs/paper.toml: venues.paper.latency: found 20 (integer), "
            'allowed: a duration as text such as "20ms"'
        )
    ]


def test_a_source_may_carry_the_key_or_its_beginning() -> None:
    told = problems(Everything, {"latency": 20}, "configs/paper.toml", "venues.paper")
    assert problems(Everything, {"latency": 20}, "configs/paper.toml: venues.paper") == told
    assert problems(Everything, {"latency": 20}, "configs/paper.toml: venues", "paper") == told


@pytest.mark.parametrize(
    ("value", "sentence"),
    [
        ({"text": 1}, "text: found 1 (integer), allowed: text"),
        ({"label": 1.5}, "label: found 1.5 (float), allowed: text"),
        ({"whole": True}, "whole: found true (boolean), allowed: an integer"),
        ({"whole": "1"}, 'whole: found "1" (text), allowed: an integer'),
        ({"whole": 1.0}, "whole: found 1.0 (float), allowed: an integer"),
        ({"flag": 0}, "flag: found 0 (integer), allowed: true or false"),
        ({"flag": "true"}, 'flag: found "true" (text), allowed: true or false'),
        ({"number": "1_0"}, 'number: found "1_0" (text), allowed: a number'),
        ({"number": False}, "number: found false (boolean), allowed: a number"),
        ({"number": "1e999"}, 'number: found "1e999" (text), allowed: a number that is finite'),
        ({"number": float("nan")}, "number: found nan (float), allowed: a number that is finite"),
        (
            {"number": 10**400},
            "number: found an integer of 1329 bits (integer), allowed: a number that is finite",
        ),
        (
            {"exact": 0.1},
            (
                'exact: found 0.1 (float), allowed: a number as text such as "0.1", or an integer; '
                "write it in quotes, 0.1 as float is not exact"
            ),
        ),
        (
            {"exact": "NaN"},
            'exact: found "NaN" (text), allowed: a number as text such as "0.1", or an integer',
        ),
        (
            {"exact": Decimal("Infinity")},
            (
                "exact: found Decimal('Infinity') (Decimal), "
                'allowed: a number as text such as "0.1", or an integer'
            ),
        ),
        (
            {"exact": True},
            'exact: found true (boolean), allowed: a number as text such as "0.1", or an integer',
        ),
        (
            {"latency": "20"},
            (
                'latency: found "20" (text), allowed: a duration as text such as "20ms"; '
                'a duration is a number and a unit (ns, us, ms, s, m, h, d), as in "1.5s"'
            ),
        ),
        (
            {"side": "BYU"},
            'side: found "BYU" (text), allowed: "BUY", "SELL"; did you mean \'BUY\'?',
        ),
        ({"level": True}, "level: found true (boolean), allowed: 1, 2"),
        ({"mode": 3}, 'mode: found 3 (integer), allowed: "NORMAL", "FULL"'),
        ({"maybe": "x"}, 'maybe: found "x" (text), allowed: an integer'),
        ({"feed": "x"}, 'feed: found "x" (text), allowed: a table'),
        ({"feed": {}}, "feed.type: missing, allowed: "),
        (
            {"feed": {"type": "reply"}},
            (
                'feed.type: found "reply" (text), allowed: "synthetic", "replay"; '
                "did you mean 'replay'?"
            ),
        ),
        ({"feed": {"type": 1}}, 'feed.type: found 1 (integer), allowed: "synthetic", "replay"'),
        ({"feed": {"type": "replay"}}, "feed.path: missing, allowed: text"),
        ({"fees": 3}, "fees: found 3 (integer), allowed: text or a table"),
        (
            {"fees": {"maker": 3}},
            "fees.maker: unknown key, allowed: maker_bps; did you mean 'maker_bps'?",
        ),
        ({"row": [1]}, "row: found an array of 1, allowed: an array of an integer, text in turn"),
        ({"row": [1, 2]}, "row.1: found 2 (integer), allowed: text"),
        ({"names": "ab"}, 'names: found "ab" (text), allowed: an array of text'),
        ({"names": ["a", 2]}, "names.1: found 2 (integer), allowed: text"),
        ({"bare": 1}, "bare: found 1 (integer), allowed: an array"),
        ({"table": 1}, "table: found 1 (integer), allowed: a table"),
        (
            {"sizes": [1, 2]},
            (
                "sizes: found an array of 2, allowed: a table of a number as text such as "
                '"0.1", or an integer'
            ),
        ),
        ({"sizes": {"a:B": "x"}}, 'sizes."a:B": found "x" (text), allowed: a number as text'),
        ({"sizes": {3: "1"}}, "sizes.3: found 3 (integer), allowed: text"),
        ({"path": 3}, "path: found 3 (integer), allowed: a path as text"),
        ({"path": "a\0b"}, 'path: found "a\\u0000b" (text), allowed: a path as text'),
        ({"day": "2024-08-08"}, 'day: found "2024-08-08" (text), allowed: a date'),
        (
            {"day": dt.datetime(2024, 8, 8, tzinfo=dt.UTC)},
            "day: found 2024-08-08 00:00:00+00:00 (date or time), allowed: a date",
        ),
        ({"text": "x", "noted": None}, "noted: found None (NoneType), allowed: an integer"),
        ({"text": {"a": 1}}, "text: found a table of 1, allowed: text"),
        ({"_hidden": 1}, "_hidden: unknown key, allowed: text, label"),
        ({"derived": 1}, "derived: unknown key, allowed: text, label"),
        ({"latensy": "1s"}, "latensy: unknown key, allowed: text, label"),
    ],
)
def test_a_bad_value_is_told(value: dict[str, Any], sentence: str) -> None:
    assert problem(**value).startswith(sentence)


def test_an_unknown_key_is_held_against_the_known_ones() -> None:
    assert problem(latensy="1s").endswith("; did you mean 'latency'?")
    assert problem(LATENCY="1s").endswith("; did you mean 'latency'?")
    assert "did you mean" not in problem(zzzzzz="1s")


def test_long_values_are_cut() -> None:
    assert problem(whole="x" * 500) == f'whole: found "{"x" * 60}..." (text), allowed: an integer'


def test_all_mistakes_are_told_at_once_in_the_order_of_the_fields() -> None:
    texts = problems(
        Everything,
        {
            "zzz": 1,
            "sizes": {"a": 0.5, "b": "x"},
            "text": 1,
            "feed": {"type": "replay", "pth": 1},
            "names": [1, 2],
        },
    )
    assert [text.split(": ")[1] for text in texts] == [
        "text",
        "feed.path",
        "feed.pth",
        "names.0",
        "names.1",
        "sizes.a",
        "sizes.b",
        "zzz",
    ]


def test_what_is_no_table_is_told_with_the_key() -> None:
    assert problems(Fees, 3, "f", "fees") == ["f: fees: found 3 (integer), allowed: a table"]
    assert problems(Fees, 3, "f") == ["f: found 3 (integer), allowed: a table"]


@attrs.frozen(kw_only=True)
class Nothing:
    """A table without keys."""


def test_a_class_without_fields_allows_no_keys() -> None:
    assert problems(Nothing, {"a": 1}) == ["f.toml: a: unknown key, allowed: no keys"]


# Validators ---------------------------------------------------------------------------------------


def _even(_: Any, __: Any, value: int) -> None:
    if value % 2:
        raise ConfigError("must be even")


def _whole_number(text: str) -> int:
    return int(text)


@attrs.define(kw_only=True)
class Checked:
    """Validators and converters of every kind."""

    qty: Decimal = attrs.field(default=Decimal(1), validator=attrs.validators.gt(Decimal(0)))
    name: str = attrs.field(default="a", validator=attrs.validators.matches_re("a+"))
    speed: int = attrs.field(default=1, validator=attrs.validators.in_([1, 2]))
    even: int = attrs.field(default=2, validator=_even)
    code: str = attrs.field(default="1", converter=_whole_number)
    twice: str = attrs.field(
        default="1",
        converter=attrs.Converter(lambda text, _, __: int(text), takes_self=True, takes_field=True),  # type: ignore[misc]  # attrs types only the plain form
    )
    low: int = 0
    high: int = attrs.field(default=10)
    made: list[int] = attrs.field(factory=list)
    fits: int = attrs.field(default=0)
    key: Secret = attrs.field(default=Secret("long enough"))

    @high.validator
    def _check_high(self, _: Any, value: int) -> None:
        if value <= self.low:
            raise ValueError(f"must be above low, which is {self.low}")

    @fits.validator
    def _check_fits(self, _: Any, value: int) -> None:
        if value > len(self.made):
            raise ValueError

    @key.validator
    def _check_key(self, _: Any, value: Secret) -> None:
        if len(value.reveal()) < 8:
            raise ValueError(f"{value.reveal()} is too short for a key")

    def __attrs_post_init__(self) -> None:
        if self.low == 5:
            raise ValueError("5 is never low")
        if self.low == 6:
            raise ConfigError(["six", "sechs"])


def test_validators_of_all_fields_are_asked_even_where_others_cannot_be_read() -> None:
    assert problems(
        Checked,
        {
            "qty": 0,
            "name": "b",
            "speed": 3,
            "even": 3,
            "code": "x",
            "twice": "y",
            "low": 3,
            "high": 2,
            "made": 1,
        },
    ) == [
        "f.toml: qty: found 0 (integer), allowed: > 0",
        "f.toml: name: found \"b\" (text), allowed: match regex 'a+'",
        "f.toml: speed: found 3 (integer), allowed: in [1, 2]",
        "f.toml: even: must be even",
        "f.toml: code: found \"x\" (text): invalid literal for int() with base 10: 'x'",
        "f.toml: twice: found \"y\" (text): invalid literal for int() with base 10: 'y'",
        "f.toml: high: found 2 (integer): must be above low, which is 3",
        "f.toml: made: found 1 (integer), allowed: an array of an integer",
    ]


def test_a_validator_that_needs_more_than_is_there_is_asked_when_the_whole_is() -> None:
    assert structure(Checked, {"low": 3}, "f").high == 10
    assert problems(Checked, {"fits": 1}) == ["f.toml: ValueError"]
    assert problems(Checked, {"fits": 1, "made": []}) == [
        "f.toml: fits: found 1 (integer): ValueError"
    ]
    assert problems(Checked, {"high": 20, "low": "x"}) == [
        'f.toml: low: found "x" (text), allowed: an integer'
    ]


def test_what_the_whole_objects_to_is_told() -> None:
    assert problems(Checked, {"low": 5}) == ["f.toml: 5 is never low"]
    assert problems(Checked, {"low": 6}, key="a.b") == ["f.toml: a.b: six", "f.toml: a.b: sechs"]


# Secrets ------------------------------------------------------------------------------------------


def test_a_secret_shows_itself_nowhere() -> None:
    secret = Secret("hunter22")
    assert secret.reveal() == "hunter22"
    shown = [repr(secret), str(secret), f"{secret}", f"{secret:>5}", repr([secret]), "%s" % secret]  # noqa: UP031 - one of the ways to show it
    assert all("***" in text and "hunter22" not in text for text in shown)
    with pytest.raises(TypeError):
        pickle.dumps(secret)
    with pytest.raises(TypeError):
        json.dumps({"key": secret})
    assert not hasattr(secret, "__dict__")


def test_secrets_compare_and_copy_by_value() -> None:
    assert Secret("a") == Secret("a")
    assert Secret("a") != Secret("b")
    assert Secret("a") != "a"
    assert len({Secret("a"), Secret("a")}) == 1
    assert Secret("a")
    assert not Secret("")
    assert copy.deepcopy(Secret("a")) == Secret("a")


def test_a_secret_that_is_wrong_is_not_shown() -> None:
    read = structure(Everything, {"key": Secret("x")}, "f")
    assert read.key == Secret("x")
    assert problem(key=12345) == (
        'key: found *** (integer), allowed: text, best taken from the environment as "${NAME}"'
    )
    (text,) = problems(Checked, {"key": "hush"})
    assert text == "f.toml: key: found *** (text): *** is too short for a key"


def test_values_from_the_environment_are_read_but_not_shown() -> None:
    assert structure(Everything, {"whole": filled("${N}", N="42")}, "f").whole == 42
    assert structure(Everything, {"flag": filled("${N}", N="true")}, "f").flag is True
    assert structure(Everything, {"text": filled("a${N}", N="b")}, "f").text == "ab"
    secret = filled("${N}", N="xyzzy")
    for name in ("whole", "number", "exact", "flag", "latency", "side", "level", "names", "day"):
        text = problem(**{name: secret})
        assert text.startswith(f'{name}: found "***" (text), allowed: ')
        assert "xyzzy" not in text
    (text,) = problems(Checked, {"code": filled("${N}", N="qq")})
    assert text == (
        "f.toml: code: found \"***\" (text): invalid literal for int() with base 10: '***'"
    )


def test_the_traceback_of_a_config_error_holds_no_secret() -> None:
    secret = filled("${N}", N="xyzzy")
    with pytest.raises(ConfigError) as caught:
        structure(Checked, {"code": secret, "key": "hu" + "sh", "qty": secret}, "f")
    text = "".join(traceback.format_exception(caught.value))
    assert "xyzzy" not in text
    assert "hush" not in text


def test_text_from_the_environment_is_not_pickled() -> None:
    text = filled("a ${N}", N="xyzzy")
    assert text == "a xyzzy"
    assert repr(text) == "'a ***'"
    assert copy.deepcopy(text) is text
    with pytest.raises(TypeError):
        pickle.dumps(text)


# Back ---------------------------------------------------------------------------------------------


def test_unstructure_writes_what_a_config_says() -> None:
    plain = unstructure(
        Everything(
            latency=1_500_000_000, exact=Decimal("0.10"), side=Side.SELL, key=Secret("x"), hidden=2
        )
    )
    assert plain["latency"] == "1500ms"
    assert plain["exact"] == "0.10"
    assert type(plain["side"]) is str
    assert plain["key"] == "***"
    assert plain["feed"] == {"type": "synthetic", "seed": 0}


@pytest.mark.parametrize(
    ("text", "length_ns"),
    [
        ("10ns", 10),
        ("500us", 500_000),
        ("250ms", 250_000_000),
        ("1.5s", 1_500_000_000),
        ("2m", 120_000_000_000),
        ("1h", 3_600_000_000_000),
        ("1d", 86_400_000_000_000),
        ("0s", 0),
        ("1 s", 1_000_000_000),
    ],
)
def test_a_duration_is_a_number_and_a_unit(text: str, length_ns: int) -> None:
    assert parse_duration(text) == length_ns


@pytest.mark.parametrize(
    "text", ["", "1", "s", "-1s", "1.s", ".5s", "1e3s", "1S", "1m30s", " 1s", "1s\n", "\u0661s"]
)
def test_other_text_is_no_duration(text: str) -> None:
    with pytest.raises(ValueError, match="number and a unit"):
        parse_duration(text)


def test_a_duration_is_whole_and_not_endless() -> None:
    with pytest.raises(ValueError, match="whole number of nanoseconds"):
        parse_duration("0.5ns")
    with pytest.raises(ValueError, match="at most 106751 days"):
        parse_duration("106752d")


def test_a_duration_is_written_in_the_largest_unit_that_keeps_it_whole() -> None:
    assert format_duration(0) == "0s"
    assert format_duration(90_000_000_000) == "90s"
    assert format_duration(1_500_000_000) == "1500ms"
    assert format_duration(2 * 86_400_000_000_000) == "2d"
