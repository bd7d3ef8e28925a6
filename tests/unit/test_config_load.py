"""A config file is read whole: overridden, filled in, checked, and shown without its secrets."""

import tomllib
import traceback
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from botkit.config import BotConfig, Config, Secret, StrategyConfig, VenueConfig, emit, load, show
from botkit.errors import ConfigError

NAME = 'up to 32 letters, digits, ".", "_" and "-", without accents, the first a letter or a digit'
GOOD = """
[bot]
name = "demo"

[venues.paper]
type = "paper"
feed = { type = "synthetic", seed = 7 }

[[strategies]]
type = "market_maker"
instrument = "paper:BTC-EUR"
params = { qty = "0.01" }

[risk]
max_position = { "paper:BTC-EUR" = "2" }
"""


def write(folder: Path, text: str) -> Path:
    path = folder / "bot.toml"
    path.write_text(text, encoding="utf-8")
    return path


def problems(
    folder: Path,
    text: str,
    overrides: Sequence[str] = (),
    environ: Mapping[str, str] | None = None,
) -> list[str]:
    path = write(folder, text)
    with pytest.raises(ConfigError) as caught:
        load(path, overrides, environ=environ)
    assert all(problem.startswith(f"{path}: ") for problem in caught.value.problems)
    return [problem.removeprefix(f"{path}: ") for problem in caught.value.problems]


def test_a_byte_order_mark_is_no_part_of_a_config(tmp_path: Path) -> None:
    assert load(write(tmp_path, "\ufeff" + GOOD)) == load(write(tmp_path, GOOD))


def test_a_config_is_read_with_its_defaults(tmp_path: Path) -> None:
    path = write(tmp_path, GOOD)
    assert load(path) == Config(
        bot=BotConfig(
            name="demo",
            state_dir="var",
            clean_up=10_000_000_000,
            equity_every=60_000_000_000,
            journal_synchronous="NORMAL",
        ),
        venues={
            "paper": VenueConfig(
                name="paper", type="paper", options={"feed": {"type": "synthetic", "seed": 7}}
            )
        },
        strategies=(
            StrategyConfig(
                type="market_maker",
                name="market_maker",
                instrument="paper:BTC-EUR",
                params={"qty": "0.01"},
                on_error="end",
                clean_up=10_000_000_000,
            ),
        ),
        risk={"max_position": {"paper:BTC-EUR": "2"}},
        source=str(path),
        base_dir=str(tmp_path),
    )


def test_a_config_with_seven_mistakes_tells_seven(tmp_path: Path) -> None:
    assert problems(
        tmp_path,
        """
        [bot]
        name = "a b"
        clean_up = 10
        state_dri = 3

        [venus.paper]
        type = "paper"

        [venues.paper]
        feed = "${FEED}"

        [[strategies]]
        type = "market_maker"
        instrument = "papr:BTC-EUR"
        on_error = "stopp"
        """,
        environ={},
    ) == [
        (
            "venues.paper.feed: the environment variable FEED is not set; "
            "set it before starting the bot"
        ),
        (
            "venus: unknown key, allowed: bot, venues, strategies, risk, alerts, metrics; "
            "did you mean 'venues'?"
        ),
        f'bot.name: found "a b" (text), allowed: {NAME}',
        'bot.clean_up: found 10 (integer), allowed: a duration as text such as "20ms"',
        (
            "bot.state_dri: unknown key, allowed: name, state_dir, clean_up, equity_every, "
            "journal_synchronous, report_currency, rate_stale, opening, flatten, guardian; "
            "did you mean 'state_dir'?"
        ),
        "venues.paper.type: missing, allowed: text",
        (
            'strategies.market_maker.on_error: found "stopp" (text), allowed: "end", "stop"; '
            "did you mean 'stop'?"
        ),
    ]


def test_an_empty_file_lacks_bot_venues_and_strategies(tmp_path: Path) -> None:
    assert problems(tmp_path, "") == [
        "bot.name: missing, allowed: text",
        "venues: missing, allowed: at least one table [venues.NAME]",
        "strategies: missing, allowed: at least one table [[strategies]]",
    ]


def test_sections_of_another_kind_are_told(tmp_path: Path) -> None:
    assert problems(tmp_path, "bot = 1\nvenues = 2\nstrategies = 3\nrisk = 4\n") == [
        "bot: found 1 (integer), allowed: a table",
        "venues: found 2 (integer), allowed: tables [venues.NAME]",
        "strategies: found 3 (integer), allowed: tables [[strategies]]",
        "risk: found 4 (integer), allowed: a table",
    ]
    assert problems(
        tmp_path, "strategies = [1]\n[bot]\nname='a'\n[venues]\npaper=1\n'a:b'={type='x'}\n"
    ) == [
        "venues.paper: found 1 (integer), allowed: a table",
        f'venues."a:b": found the name "a:b" (text), allowed: {NAME}',
        "strategies.0: found 1 (integer), allowed: a table",
    ]


@pytest.mark.parametrize(
    ("raw", "told"),
    [
        (b"a = 1\nb = \n", "is not TOML: Invalid value (at line 2, column 5)"),
        (b"a = \xff\n", "is not UTF-8 text: byte 4"),
        (b"a = " + b"1" * 5000, "is not TOML that can be read: Exceeds the limit"),
        (b"a = " + b"[" * 5000, "is not TOML that can be read: "),
    ],
)
def test_a_file_that_is_no_toml_is_told_with_the_place(
    tmp_path: Path, raw: bytes, told: str
) -> None:
    path = tmp_path / "bot.toml"
    path.write_bytes(raw)
    with pytest.raises(ConfigError) as caught:
        load(path)
    assert str(caught.value).startswith(f"{path}: {told}")


def test_nesting_that_could_exhaust_the_stack_is_refused(tmp_path: Path) -> None:
    deep = "a" + ".a" * 2000
    told = ["tables and arrays nested deeper than 50, allowed: less"]
    assert problems(tmp_path, f"{deep} = 1\n") == told
    assert problems(tmp_path, GOOD, [f"risk.{deep}=1"]) == told
    assert problems(tmp_path, "a = " + "[" * 300 + "]" * 300) == told
    nested = GOOD + "deep = " + "[" * 40 + "]" * 40
    assert load(write(tmp_path, nested)).risk["deep"]


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"none\.toml: cannot be read: No such file"):
        load(tmp_path / "none.toml")


# Strategies ---------------------------------------------------------------------------------------


def strategies(folder: Path, text: str) -> tuple[StrategyConfig, ...]:
    head = "[bot]\nname = 'a'\nclean_up = '3s'\n[venues.paper]\ntype = 'paper'\n"
    return load(write(folder, head + text)).strategies


def strategy(type_: str, *lines: str) -> str:
    given = "\n".join(lines or ["instrument = 'paper:A'"])
    return f"[[strategies]]\ntype = '{type_}'\n{given}\n"


def test_strategies_are_named_by_their_type_and_numbered(tmp_path: Path) -> None:
    read = strategies(
        tmp_path,
        strategy("grid")
        + strategy("grid")
        + strategy("grid")
        + strategy("grid", "name = 'grid_3'", "instrument = 'paper:A'")
        + strategy("a.b:Maker")
        + strategy("./a/maker.py:Maker")
        + strategy("./a/taker.py"),
    )
    assert [each.name for each in read] == [
        "grid",
        "grid_2",
        "grid_4",
        "grid_3",
        "Maker",
        "Maker_2",
        "taker",
    ]


def test_a_strategy_cleans_up_as_long_as_the_bot_unless_it_says(tmp_path: Path) -> None:
    read = strategies(
        tmp_path,
        strategy("a") + strategy("b", "clean_up = '1s'", "instruments = ['paper:A', 'paper:B']"),
    )
    assert [each.clean_up for each in read] == [3_000_000_000, 1_000_000_000]
    assert [each.symbols for each in read] == [("paper:A",), ("paper:A", "paper:B")]


def test_names_and_instruments_that_cannot_be_are_told(tmp_path: Path) -> None:
    head = "[bot]\nname = 'a'\n[venues.paper]\ntype = 'paper'\n"
    text = (
        strategy("a", "name = 'x'", "instrument = 'paper:A'", "instruments = ['paper:B']")
        + strategy("b", "name = 'x'")
        + strategy("./my file.py", "instrument = 'BTC-EUR'")
        + strategy("d", "instruments = ['paper:A', 'papr:B']")
        + strategy("e", "clean_up = '0s'", "instrument = 'paper:A'")
        + strategy("", "name = ''", "instrument = 'paper:A'")
    )
    assert problems(tmp_path, head + text) == [
        'strategies.e.clean_up: found "0s" (text), allowed: > 0',
        'strategies.5.type: found "" (text), allowed: a length >= 1',
        f'strategies.5.name: found "" (text), allowed: {NAME}',
        'strategies.1.name: found "x" (text), which another strategy has, allowed: its own name',
        (f'strategies.2.name: missing, since "./my file.py" (text) makes none, allowed: {NAME}'),
        ('strategies.0: found both of instrument and instruments, allowed: one, as "venue:SYMBOL"'),
        (
            "strategies.1: found neither of instrument and instruments, allowed: one, as "
            '"venue:SYMBOL"'
        ),
        'strategies.2.instrument: found "BTC-EUR" (text), allowed: a full name "venue:SYMBOL"',
        (
            'strategies.d.instruments.1: found "papr:B" (text), allowed: a symbol of the venues '
            "\"paper\"; did you mean 'paper'?"
        ),
    ]


# Overrides ----------------------------------------------------------------------------------------


def test_an_override_replaces_one_value(tmp_path: Path) -> None:
    config = load(
        write(tmp_path, GOOD),
        [
            "bot.state_dir=elsewhere",
            "bot.clean_up=1s",
            "venues.paper.feed.seed = 9",
            "venues.paper.fees={ maker_bps = 0.1 }",
            "strategies.0.params.qty=0.02",
            "strategies.market_maker.on_error=stop",
            'strategies.0.params.text="quoted"',
            "strategies.0.params.odd=1\ny = 2",
            'risk.max_position."paper:BTC-EUR"=3',
            "risk.'max.x'=true",
        ],
    )
    assert config.bot.state_dir == "elsewhere"
    assert config.bot.clean_up == 1_000_000_000
    assert config.venues["paper"].options == {
        "feed": {"type": "synthetic", "seed": 9},
        "fees": {"maker_bps": "0.1"},
    }
    assert config.strategies[0].params == {"qty": "0.02", "text": "quoted", "odd": "1\ny = 2"}
    assert config.strategies[0].on_error == "stop"
    assert config.risk == {"max_position": {"paper:BTC-EUR": 3}, "max.x": True}


def test_an_override_makes_the_tables_on_its_way(tmp_path: Path) -> None:
    config = load(write(tmp_path, GOOD), ["venues.other.type=paper", "risk.a.b.c=1"])
    assert config.venues["other"].type == "paper"
    assert config.risk["a"] == {"b": {"c": 1}}


def test_an_override_that_cannot_be_is_told(tmp_path: Path) -> None:
    overrides = [
        "bot.name.x=1",
        "bot.name",
        "=1",
        "strategies.1.type=x",
        "strategies.market.type=x",
        "strategies.0.type.x.y=x",
    ]
    assert problems(tmp_path, GOOD, overrides) == [
        "--set bot.name.x: bot.name is a single value, it holds no x",
        "--set: found no key and value, allowed: KEY.KEY=VALUE",
        ('--set strategies.1: found no such entry, or several, allowed: "0", "market_maker"'),
        (
            "--set strategies.market: found no such entry, or several, allowed: "
            '"0", "market_maker"; did you mean \'market_maker\'?'
        ),
        "--set strategies.0.type.x: strategies.0.type is a single value, it holds no x",
    ]


def test_an_override_into_an_array_of_values_is_told(tmp_path: Path) -> None:
    text = GOOD + "list = [1, 2]\n"
    assert problems(tmp_path, text, ["risk.list.5=1"]) == [
        '--set risk.list.5: found no such entry, or several, allowed: "0", "1"'
    ]
    assert load(write(tmp_path, text), ["risk.list.1=5"]).risk["list"] == [1, 5]


# Environment and secrets --------------------------------------------------------------------------

SECRET = "correct-horse"  # noqa: S105 - what the tests look for
WITH_SECRETS = GOOD.replace(
    'type = "paper"\n',
    'type = "paper"\nkey = "${KEY}"\nurl = "wss://${KEY}@host/$$x/${EMPTY}"\n'
    'list = ["a", "${KEY}"]\napi_secret = "written-down"\nprice = "5$ $${KEY}"\n',
)
ENVIRON = {"KEY": SECRET, "EMPTY": ""}


def test_variables_are_filled_in(tmp_path: Path) -> None:
    options = load(write(tmp_path, WITH_SECRETS), environ=ENVIRON).venues["paper"].options
    assert options["key"] == SECRET
    assert options["url"] == f"wss://{SECRET}@host/$x/"
    assert options["list"] == ["a", SECRET]
    assert options["price"] == "5$ ${KEY}"


def test_the_environment_of_the_process_is_the_default(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BOTKIT_TEST_NAME", "from-outside")
    path = write(tmp_path, GOOD.replace('"demo"', '"${BOTKIT_TEST_NAME}"'))
    assert load(path).bot.name == "from-outside"


def test_overrides_take_variables_too(tmp_path: Path) -> None:
    config = load(write(tmp_path, GOOD), ["venues.paper.key=${KEY}"], environ=ENVIRON)
    assert config.venues["paper"].options["key"] == SECRET
    assert SECRET not in show(config)


def test_a_variable_that_is_not_set_is_told_once_with_its_key(tmp_path: Path) -> None:
    text = GOOD.replace('"demo"', '"${NAME}"').replace('"paper:BTC-EUR"\n', '"${SYMBOL}"\n')
    text += 'odd = ["${", "${a b}"]\n'
    assert problems(tmp_path, text, environ={}) == [
        "bot.name: the environment variable NAME is not set; set it before starting the bot",
        (
            "strategies.market_maker.instrument: the environment variable SYMBOL is not set; "
            "set it before starting the bot"
        ),
        'risk.odd.0: found "${", allowed: "${NAME}" for a variable, "$$" for a dollar',
        'risk.odd.1: found "${a b}", allowed: "${NAME}" for a variable, "$$" for a dollar',
    ]


def test_show_masks_secrets_and_keeps_the_rest(tmp_path: Path) -> None:
    config = load(write(tmp_path, WITH_SECRETS), environ=ENVIRON)
    text = show(config)
    assert text == config.show()
    assert SECRET not in text
    assert "written-down" not in text
    shown = tomllib.loads(text)
    assert shown["venues"]["paper"] == {
        "type": "paper",
        "key": "***",
        "url": "wss://***@host/$x/***",
        "list": ["a", "***"],
        "api_secret": "***",
        "price": "5$ $${KEY}",
        "feed": {"type": "synthetic", "seed": 7},
    }
    assert shown["bot"]["clean_up"] == "10s"
    assert shown["strategies"] == [
        {
            "type": "market_maker",
            "name": "market_maker",
            "instrument": "paper:BTC-EUR",
            "params": {"qty": "0.01"},
            "on_error": "end",
            "clean_up": "10s",
        }
    ]


def test_what_show_says_is_the_same_config(tmp_path: Path) -> None:
    path = write(tmp_path, GOOD.replace('"0.01"', '"$${A} $$$$ $x"'))
    config = load(path)
    path.write_text(show(config), encoding="utf-8")
    assert load(path) == config


def test_redact_masks_every_secret_of_four_characters_or_more(tmp_path: Path) -> None:
    text = GOOD.replace('type = "paper"\n', 'type = "paper"\na = "${A}"\nb = "${B}"\nc="${C}"\n')
    environ = {"A": "abcd", "B": "abcdefgh", "C": "xyz"}
    config = load(write(tmp_path, text), environ=environ)
    assert config.redact("abcdefgh abcd abc xyz") == "*** *** abc xyz"
    assert load(write(tmp_path, GOOD)).redact("abcd") == "abcd"


def test_no_secret_is_in_repr_or_in_the_text_of_an_error(tmp_path: Path) -> None:
    config = load(write(tmp_path, WITH_SECRETS), environ=ENVIRON)
    assert SECRET not in repr(config)
    assert "written-down" not in repr(config)
    broken = WITH_SECRETS.replace('"demo"', '"${KEY} "').replace('"paper:BTC', '"${KEY}:BTC')
    path = write(tmp_path, broken + 'plain = "correct-horse:X"\n')
    with pytest.raises(ConfigError) as caught:
        load(
            path,
            ["bot.name.x=correct-horse", "bot.clean_up=correct-horse", "correct-horse=1"],
            environ=ENVIRON,
        )
    text = "".join(traceback.format_exception(caught.value)).replace(__file__, "")
    message = str(caught.value)
    assert SECRET not in message
    assert len(caught.value.problems) == 5
    assert 'bot.name: found "*** " (text)' in message
    assert 'bot.clean_up: found "***" (text), allowed: a duration' in message
    assert "bot.toml: ***: unknown key" in message
    assert message in text


def test_a_secret_object_in_the_options_is_masked() -> None:
    venue = VenueConfig(name="a", type="paper", options={"key": Secret("hunter22")})
    assert "hunter22" not in repr(venue)


def test_a_lone_surrogate_is_emitted_as_a_replacement() -> None:
    assert tomllib.loads(emit({"a": "x\udc80\x00\x7f\n"})) == {"a": "x\ufffd\x00\x7f\n"}


def test_only_plain_values_can_be_emitted() -> None:
    with pytest.raises(TypeError, match="TOML has no object"):
        emit({"a": object()})
