"""The JSON Schema of configs: a schema by its own rules, true of every config, strict on typos."""

import tomllib
from collections.abc import Callable
from decimal import Decimal
from enum import StrEnum
from importlib import import_module
from pathlib import Path
from typing import Any, Literal

import attrs
import pytest

from botkit.config import Duration, Secret, structure
from botkit.config.document_schema import document_schema
from botkit.config.schema import BY_TYPE, Schemas, parameter_docs
from botkit.errors import ConfigError

jsonschema: Any = import_module("jsonschema")  # it has no types of its own
CONFIGS = sorted((Path(__file__).resolve().parents[2] / "configs").glob("*.toml"))
GOOD = """
[bot]
name = "demo"

[venues.paper]
type = "paper"
feed = { type = "synthetic", seed = 7 }
balances = { BTC = "1" }
latency = { kind = "lognormal", median = "20ms" }

[[strategies]]
type = "market_maker"
instrument = "paper:BTC-EUR"
params = { qty = "0.01" }

[risk]
max_position = { "paper:BTC-EUR" = "2" }
max_daily_loss = "500"
stale_data = "5s"
max_exposure = { limit = "9", currency = "EUR" }
self_trade = "refuse"

[risk.strategies.market_maker]
max_order_qty = "1"
"""


@pytest.fixture(scope="module")
def whole() -> dict[str, Any]:
    return document_schema()


@pytest.fixture(scope="module")
def objections(whole: dict[str, Any]) -> Callable[[str], list[str]]:
    """Return what the schema of a whole config objects to in a text."""
    validator = jsonschema.Draft7Validator(whole)
    return lambda text: [error.message for error in validator.iter_errors(tomllib.loads(text))]


def test_it_is_a_schema_by_the_rules_of_schemas(whole: dict[str, Any]) -> None:
    jsonschema.Draft7Validator.check_schema(whole)
    jsonschema.Draft7Validator.check_schema(document_schema(partial=True))


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.name)
def test_every_config_that_is_shipped_fits(
    path: Path, objections: Callable[[str], list[str]]
) -> None:
    assert objections(path.read_text("utf-8")) == []


def test_a_good_config_fits_and_variables_may_stand_for_anything(
    objections: Callable[[str], list[str]],
) -> None:
    assert objections(GOOD) == []
    text = GOOD.replace('"20ms"', '"${MEDIAN}"').replace("= 7", '= "${SEED}"')
    assert objections(text.replace('"refuse"', '"${SELF_TRADE}"')) == []


@pytest.mark.parametrize(
    ("good", "bad"),
    [
        ('name = "demo"', 'nam = "demo"'),
        ('name = "demo"', 'name = "a b"'),
        ('name = "demo"', 'name = "demo"\nclean_up = 5'),
        ('name = "demo"', 'name = "demo"\nclean_up = "5 minutes"'),
        ('name = "demo"', 'name = "demo"\njournal_synchronous = "OFF"'),
        ('name = "demo"', 'name = "demo"\nstate_dir = ""'),
        ('name = "demo"', 'name = "demo"\nopening = [{ strategy = "a" }]'),
        ("[bot]\n", ""),
        ("[bot]", "[bott]"),
        ('type = "paper"', 'type = "papr"'),
        ('type = "paper"\n', ""),
        ("seed = 7", "sede = 7"),
        ("seed = 7", "seed = -1"),
        ("seed = 7", "volatility = 21"),
        ('"synthetic"', '"synthetical"'),
        ('BTC = "1"', "BTC = 1.5"),
        ('kind = "lognormal"', 'kind = "normal"'),
        ("[venues.paper]", '[venues."a b"]'),
        ('type = "market_maker"', 'type = "market_makr"'),
        ("instrument = ", "instrment = "),
        ('qty = "0.01"', 'qyt = "0.01"'),
        ('params = { qty = "0.01" }', ""),
        ('qty = "0.01"', 'qty = "0.01", skew_bps = 0.5'),
        ("max_position", "max_positon"),
        ('= "2" }', "= 0.5 }"),
        ('"5s"', '"soon"'),
        ('"refuse"', '"refused"'),
        ('max_order_qty = "1"', 'max_order_quantity = "1"'),
        ("[risk.strategies", "[risk.strategy"),
        ('limit = "9"', 'limt = "9"'),
    ],
)
def test_a_typo_does_not_fit(objections: Callable[[str], list[str]], good: str, bad: str) -> None:
    assert good in GOOD
    assert objections(GOOD.replace(good, bad, 1))


def test_a_class_of_ones_own_is_a_type_too(objections: Callable[[str], list[str]]) -> None:
    for type_ in ("./dip.py:Dip", "dip.py", "package.module:Class", "${WHICH}"):
        text = GOOD.replace('"market_maker"', f'"{type_}"').replace("{ qty =", "{ anything =")
        assert objections(text) == []


def test_a_file_with_an_include_may_leave_the_rest_to_it(
    objections: Callable[[str], list[str]],
) -> None:
    assert objections('include = ["rest.toml"]\n[bot]\nname = "demo"\n') == []
    assert objections('include = "rest.toml"\n[bot]\nname = "demo"\n')


def test_what_a_guardian_uses_instead_is_any_part_of_a_venues_options(
    objections: Callable[[str], list[str]],
) -> None:
    real = GOOD + '[venues.real]\ntype = "finery"\nkey = "k"\nsecret = "s"\n'

    assert objections(real + '[venues.real.guardian]\nkey = "another"\n') == []
    assert objections(real + '[venues.real.guardian]\nkeys = "another"\n')


def test_a_part_of_a_config_needs_nothing_but_has_no_typos() -> None:
    validator = jsonschema.Draft7Validator(document_schema(partial=True))

    def fits(text: str) -> bool:
        return not list(validator.iter_errors(tomllib.loads(text)))

    assert fits('[venues.paper]\nfeed = { seed = 3 }\n[bot]\nclean_up = "1s"\n')
    assert not fits('[bot]\nclean_pu = "1s"\n')


def test_plug_ins_of_others_are_in_it_as_far_as_they_say(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "somebodys.py").write_text("class Rule:\n    pass\n\n\nclass Venue:\n    pass\n")
    dist = tmp_path / "somebodys-1.0.dist-info"
    dist.mkdir()
    (dist / "METADATA").write_text("Metadata-Version: 2.1\nName: somebodys\nVersion: 1.0\n")
    (dist / "entry_points.txt").write_text(
        "[botkit.risk]\nodd = somebodys:Rule\nbroken = nowhere:Rule\n"
        "[botkit.venues]\nelsewhere = somebodys:Venue\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))

    schema = document_schema()

    validator = jsonschema.Draft7Validator(schema)
    text = GOOD + '[venues.far]\ntype = "elsewhere"\nurl = "x"\n'
    text = text.replace("[risk]", "[risk]\nodd = [1, 2]\nbroken = 3")
    assert not list(validator.iter_errors(tomllib.loads(text)))


# From a class to a schema -------------------------------------------------------------------------


class Side(StrEnum):
    """One of two, less one."""

    BUY = "buy"


@attrs.frozen(kw_only=True)
class Inner:
    """The `inner` one.

    Not in the schema.
    """

    kind: Literal["a"]
    again: "Inner | None" = None


@attrs.frozen(kw_only=True)
class Outer:
    """The outer one.

    Parameters
    ----------
    number, other
        Of two
        lines.
    fixed
        A pair.

    Raises
    ------
    nothing
        At all.
    """

    number: Decimal = attrs.field(validator=attrs.validators.gt(Decimal(0)))
    other: float = attrs.field(default=1.5, validator=[attrs.validators.ge(1)])
    least: int | None = attrs.field(
        default=None, validator=attrs.validators.optional(attrs.validators.le(9))
    )
    names: tuple[str, ...] = attrs.field(default=("x",), validator=attrs.validators.min_len(1))
    fixed: tuple[int, str] = (1, "a")
    side: Side = Side.BUY
    wait: Duration = 1_000_000_000
    key: Secret = attrs.field(factory=lambda: Secret(""))
    inner: Inner | None = None
    feed: dict[str, Any] = attrs.field(factory=dict, metadata={BY_TYPE: {"one": Inner}})
    on: bool = False
    free: Any = None
    anything: list = attrs.field(factory=list)  # type: ignore[type-arg]
    _hidden: int = attrs.field(init=False, default=0)


def outer() -> tuple[dict[str, Any], Any]:
    schemas = Schemas()
    schema = schemas.of(Outer)
    name = schema["$ref"].rpartition("/")[2]
    validator = jsonschema.Draft7Validator({**schema, "definitions": schemas.definitions})
    return schemas.definitions[name], validator


def test_docstrings_defaults_and_what_is_required_are_taken_over() -> None:
    schema, _ = outer()

    assert schema["description"] == "The outer one."
    assert schema["required"] == ["number"]
    assert schema["properties"]["number"]["description"] == "Of two lines."
    assert schema["properties"]["other"]["description"] == "Of two lines."
    assert schema["properties"]["other"]["default"] == 1.5
    assert schema["properties"]["side"]["default"] == "buy"
    assert schema["properties"]["wait"]["default"] == "1s"
    assert "default" not in schema["properties"]["key"]
    assert "hidden" not in schema["properties"]
    assert parameter_docs(Outer)["fixed"] == "A pair."
    assert "nothing" not in parameter_docs(Outer)
    assert parameter_docs(Inner) == {}


@pytest.mark.parametrize(
    "table",
    [
        {"number": "1"},
        {"number": 1, "other": 2, "least": 3, "names": ["a"], "fixed": [1, "a"], "side": "buy"},
        {"number": "1", "wait": "1.5s", "key": "k", "on": True, "free": [1], "anything": [1]},
        {"number": "1", "inner": {"kind": "a", "again": {"kind": "a"}}},
        {"number": "1", "other": "2.5"},
    ],
)
def test_what_structure_reads_fits(table: dict[str, Any]) -> None:
    structure(Outer, table, "test")
    assert not list(outer()[1].iter_errors(table))


@pytest.mark.parametrize(
    "wrong",
    [
        {"number": 1.5},
        {"number": "one"},
        {"other": 0.5},
        {"other": "much"},
        {"least": 10},
        {"names": []},
        {"names": [1]},
        {"fixed": [1]},
        {"side": "sell"},
        {"wait": "1 fortnight"},
        {"key": 3},
        {"inner": {"kind": "b"}},
        {"inner": {"kind": "a", "again": {"kind": "b"}}},
        {"on": "yes"},
        {"anything": 1},
        {"hidden": 1},
    ],
)
def test_what_structure_refuses_does_not_fit(wrong: dict[str, Any]) -> None:
    table = {"number": "1", **wrong}

    with pytest.raises(ConfigError):
        structure(Outer, table, "test")
    assert list(outer()[1].iter_errors(table))


def test_a_tables_type_says_what_the_rest_of_it_is() -> None:
    _, validator = outer()

    assert not list(validator.iter_errors({"number": "1", "feed": {"type": "one", "kind": "a"}}))
    assert list(validator.iter_errors({"number": "1", "feed": {"type": "one", "knd": "a"}}))
    assert list(validator.iter_errors({"number": "1", "feed": {"kind": "a"}}))
