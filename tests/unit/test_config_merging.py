"""Several config files are one: later override earlier, and errors name the file of the key."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from botkit.assembly import check
from botkit.config import BotConfig, Config, examine, load
from botkit.config.merging import read_files
from botkit.errors import ConfigError

MAIN = """
[bot]
name = "demo"
clean_up = "3s"

[venues.paper]
type = "paper"
feed = { type = "synthetic", seed = 7 }
balances = { BTC = "1", EUR = "1000" }

[[strategies]]
type = "market_maker"
instrument = "paper:BTC-EUR"
params = { qty = "0.01" }

[risk]
max_position = { "paper:BTC-EUR" = "2" }
"""


def write(folder: Path, **texts: str) -> list[Path]:
    paths = []
    for name, text in texts.items():
        path = folder / f"{name}.toml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        paths.append(path)
    return paths


def build(paths: Sequence[Path], environ: Mapping[str, str] | None) -> None:
    reading = examine(paths, environ=environ)
    if reading.config is None:
        raise ConfigError(reading.problems)
    check(reading.config, reading.problems)


def problems(*paths: Path, environ: Mapping[str, str] | None = None) -> list[str]:
    """Return what is wrong with the files and their plug-ins, folders left out."""
    with pytest.raises(ConfigError) as caught:
        build(paths, environ)
    return [text.replace(f"{paths[0].parent}/", "") for text in caught.value.problems]


# What takes effect --------------------------------------------------------------------------------


def test_tables_merge_key_by_key_and_the_later_file_wins(tmp_path: Path) -> None:
    paths = write(
        tmp_path,
        a=MAIN,
        b='[bot]\nclean_up = "5s"\n[venues.paper]\nfeed = { seed = 9 }\nlatency = "1ms"\n',
    )

    config = load(paths)

    assert config.bot.name == "demo"
    assert config.bot.clean_up == 5_000_000_000
    assert config.venues["paper"].options == {
        "feed": {"type": "synthetic", "seed": 9},
        "balances": {"BTC": "1", "EUR": "1000"},
        "latency": "1ms",
    }
    assert load([*reversed(paths)]).bot.clean_up == 3_000_000_000


def test_arrays_are_replaced_and_the_strategies_too(tmp_path: Path) -> None:
    other = '[[strategies]]\ntype = "grid"\ninstruments = ["paper:B"]\n'
    paths = write(tmp_path, a=MAIN, b=other)

    assert [each.name for each in load(paths).strategies] == ["grid"]
    assert len(load(paths[0]).strategies) == 1


def test_a_value_replaces_a_table_and_a_table_a_value(tmp_path: Path) -> None:
    paths = write(tmp_path, a=MAIN, b='[risk]\nmax_position = "3"\n')

    assert load(paths).risk == {"max_position": "3"}
    assert load([*reversed(paths)]).risk == {"max_position": {"paper:BTC-EUR": "2"}}


def test_overrides_and_variables_hold_over_all_files(tmp_path: Path) -> None:
    paths = write(tmp_path, a=MAIN, b='[bot]\nname = "${WHO}"\nclean_up = "5s"\n')

    config = load(paths, ["bot.clean_up=9s"], environ={"WHO": "someone"})

    assert config.bot.name == "someone"
    assert config.bot.clean_up == 9_000_000_000


def test_one_file_is_what_it_was_and_none_is_refused(tmp_path: Path) -> None:
    (path,) = write(tmp_path, a=MAIN)

    assert load(path) == load([path]) == load(str(path))
    with pytest.raises(ConfigError, match="found no config file, allowed: one or more"):
        load([])


def test_secrets_of_every_file_are_masked(tmp_path: Path) -> None:
    paths = write(
        tmp_path,
        a=MAIN,
        b='[venues.paper]\napi_key = "hunter22"\n',
        c='[venues.paper]\nodd = "x-${KEY}"\n',
    )

    config = load(paths, environ={"KEY": "swordfish"})

    assert config.redact("hunter22 swordfish") == "*** ***"
    assert "hunter22" not in config.show() + repr(config)
    assert "swordfish" not in config.show() + repr(config)


def test_it_is_known_which_files_have_keys_written_down_in_them(tmp_path: Path) -> None:
    paths = write(
        tmp_path,
        a=MAIN,
        b='[venues.paper]\napi_key = "hunter22"\n',
        c='[venues.paper]\napi_secret = "${KEY}"\npassword = ""\n[alerts]\nurls = ["${KEY}"]\n',
        d='[alerts]\nurls = ["json://localhost/a"]\n',
        e='[alerts]\non = ["halt"]\nheartbeat = { url = "https://localhost/a", every = "1m" }\n',
        f='[alerts]\non = ["halt"]\n',
    )

    files = load(paths, environ={"KEY": "swordfish"}).files

    assert [(Path(file.source).name, file.holds_keys) for file in files] == [
        ("a.toml", False),
        ("b.toml", True),
        ("c.toml", False),
        ("d.toml", True),
        ("e.toml", True),
        ("f.toml", False),
    ]


# Include ------------------------------------------------------------------------------------------


def test_an_included_file_counts_as_if_given_after_the_one_that_includes_it(
    tmp_path: Path,
) -> None:
    main, deep, later = write(
        tmp_path,
        a='include = ["sub/private.toml"]\n' + MAIN,
        b='[bot]\nname = "deep"\n',
        c='[bot]\nequity_every = "7s"\n',
    )
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub/private.toml").write_text(
        'include = ["../b.toml"]\n[bot]\nname = "private"\nclean_up = "4s"\n'
    )

    config = load([main, later])

    assert config.bot.name == "deep"
    assert config.bot.clean_up == 4_000_000_000
    assert config.bot.equity_every == 7_000_000_000
    names = [Path(file.source).name for file in config.files]
    assert names == ["a.toml", "private.toml", "b.toml", "c.toml"]
    assert deep.exists()


@pytest.mark.parametrize(
    ("include", "told"),
    [
        ("3", "include: found 3 (integer), allowed: an array of files"),
        ('"b.toml"', 'include: found "b.toml" (text), allowed: an array of files'),
        ('["b.toml", 3, ""]', "include.1: found 3 (integer), allowed: an array of files"),
        ('["\\u0000"]', "include.0: found "),
    ],
)
def test_an_include_that_is_none_is_told(tmp_path: Path, include: str, told: str) -> None:
    (path,) = write(tmp_path, a=f"include = {include}\n{MAIN}")

    assert problems(path)[0].startswith(f"a.toml: {told}")


def test_an_included_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    (path,) = write(tmp_path, a=f'include = ["none.toml"]\n{MAIN}')

    assert problems(path) == ["none.toml: cannot be read: No such file or directory"]


def test_a_loop_of_includes_is_refused(tmp_path: Path) -> None:
    a, _ = write(tmp_path, a=f'include = ["b.toml"]\n{MAIN}', b='include = ["./a.toml"]\n')

    assert problems(a) == [
        (
            "b.toml: include.0: a loop: a.toml, which includes b.toml, which includes a.toml; "
            "take one of these includes out"
        )
    ]


def test_a_file_may_be_included_twice_without_a_loop_but_not_a_hundred_times(
    tmp_path: Path,
) -> None:
    names = ", ".join(['"b.toml"'] * 99)
    (path, _) = write(tmp_path, a=f"include = [{names}]\n{MAIN}", b='[bot]\nname = "b"\n')

    assert load(path).bot.name == "b"
    assert problems(path, path)[0] == "a.toml: more than 100 files, allowed: fewer"


def test_a_file_too_deep_to_walk_is_refused_whichever_it_is(tmp_path: Path) -> None:
    a, b = write(tmp_path, a=MAIN, b="a" + ".a" * 2000 + " = 1\n")

    assert problems(a, b) == ["b.toml: tables and arrays nested deeper than 50, allowed: less"]


# Whose mistake ------------------------------------------------------------------------------------


def test_every_problem_names_the_file_of_its_key(tmp_path: Path) -> None:
    a, b, c = write(
        tmp_path,
        a=MAIN.replace('"3s"', "3").replace('"0.01"', '"x"') + "odd = 1\n",
        b='[bot]\nstate_dri = 3\n[venues.paper]\nlatency = 5\nfeed = { sede = 1 }\napi_key = "k"\n',
        c='[risk]\nmax_position = { "paper:ETH-EUR" = "2" }\nmax_order_qty = 0.5\n[venus]\na = 1\n',
    )

    told = problems(a, b, c)

    assert [": ".join(text.split(": ")[:2]) for text in told] == [
        "c.toml: venus",
        "a.toml: bot.clean_up",
        "b.toml: bot.state_dri",
        "b.toml: venues.paper.latency",
        "b.toml: venues.paper.api_key",
        "b.toml: venues.paper.feed.sede",
        "a.toml: strategies.market_maker.params.qty",
        "a.toml: risk.odd",
        "c.toml: risk.max_order_qty",
    ]


def test_a_limit_of_what_nobody_trades_names_the_file_it_is_in(tmp_path: Path) -> None:
    a, b = write(tmp_path, a=MAIN, b='[risk]\nmax_position = { "paper:ETH-EUR" = "2" }\n')

    (told,) = problems(a, b)
    assert told == (
        'b.toml: risk.max_position."paper:ETH-EUR": no strategy trades it, allowed: paper:BTC-EUR'
    )


def test_what_a_replaced_value_held_is_forgotten(tmp_path: Path) -> None:
    a, b = write(tmp_path, a=MAIN + "odd = { x = 1 }\n", b='[risk]\n"odd" = "3"\n')

    origins = read_files([str(a), str(b)]).origins
    assert origins.file_of("risk.odd.x") == origins.file_of("risk.odd") == str(b)


def test_keys_in_quotes_and_arrays_are_found_too(tmp_path: Path) -> None:
    replay = (
        '[venues.paper]\nfeed = { type = "replay", files = [{ path = "q.csv", kind = "quotes", '
        'symbol = "BTC-EUR" }] }\n[venues.paper.instruments."A B:C"]\nbase = 3\n'
    )
    a, b = write(tmp_path, a=MAIN, b=replay)

    told = problems(a, b)

    assert told[0].startswith('b.toml: venues.paper.instruments."A B:C".base: found 3')
    assert "a.toml: venues.paper.feed.seed: unknown key" in told[1]
    bare, fixed = write(
        tmp_path,
        a=MAIN.replace(", seed = 7", ""),
        b=replay.partition("[venues.paper.instruments")[0],
    )
    assert problems(bare, fixed)[0].startswith("b.toml: venues.paper.feed.files[0]: no file ")


def test_an_unset_variable_names_the_file_it_stands_in(tmp_path: Path) -> None:
    a, b = write(tmp_path, a=MAIN, b='[venues.paper]\nlatency = "${LATENCY}"\n')

    assert problems(a, b, environ={}) == [
        (
            "b.toml: venues.paper.latency: the environment variable LATENCY is not set; "
            "set it before starting the bot"
        )
    ]


def test_what_is_missing_is_missing_from_the_file_that_has_the_table(tmp_path: Path) -> None:
    a, b = write(
        tmp_path,
        a=MAIN.replace('name = "demo"\n', "").replace('type = "paper"\n', ""),
        b='[venues.second]\nlatency = "1ms"\n',
    )

    assert [": ".join(text.split(": ")[:2]) for text in problems(a, b)] == [
        "a.toml: bot.name",
        "a.toml: venues.paper.type",
        "b.toml: venues.second.type",
    ]


# Relative paths -----------------------------------------------------------------------------------


def test_relative_paths_start_at_the_file_that_first_has_the_table(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "mine.py").write_text(
        "from botkit import Strategy\n\n\nclass Mine(Strategy):\n    pass\n"
    )
    (elsewhere / "q.csv").write_text("receive_time_ns,bid_px,bid_qty,ask_px,ask_qty\n1,1,1,2,1\n")
    (a,) = write(tmp_path, a='[bot]\nname = "demo"\n[risk]\n')
    (b,) = write(
        elsewhere,
        b='[venues.paper]\ntype = "paper"\nfeed = { type = "replay", files = [{ path = "q.csv", '
        'kind = "quotes", symbol = "BTC-EUR" }] }\n'
        '[[strategies]]\ntype = "./mine.py"\ninstrument = "paper:BTC-EUR"\n',
    )
    (c,) = write(tmp_path, c='[venues.paper]\nlatency = "1ms"\n')

    config = load([a, b, c])

    assert config.base_dir == str(tmp_path)
    assert config.base_dir_of("venues.paper") == str(elsewhere)
    assert config.base_dir_of("strategies") == str(elsewhere)
    assert config.base_dir_of("nowhere") == str(tmp_path)
    assert list(check(config).venues) == ["paper"]


def test_a_config_made_by_hand_has_its_base_dir_everywhere() -> None:
    config = Config(
        bot=BotConfig(name="demo"), venues={}, strategies=(), source="x.toml", base_dir="somewhere"
    )

    assert config.base_dir_of("venues.paper") == "somewhere"
    assert config.located("x.toml: bot: odd") == "x.toml: bot: odd"
