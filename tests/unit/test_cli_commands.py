"""Every command of `botkit`, and what it says to bad input."""

import csv
import io
import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from botkit.cli import main
from botkit.cli.main import call
from botkit.cli.session import Session
from botkit.journal import JournalReader

CONFIG = """
[bot]
name = "unit"

[venues.paper]
type = "paper"
feed = { type = "synthetic", seed = 7, speed = "max" }
balances = { BTC = "1", EUR = "100000" }
fees = { maker_bps = "1", taker_bps = "5" }

[[strategies]]
type = "market_maker"
instrument = "paper:BTC-EUR"
params = { qty = "0.01", half_spread_bps = "2" }

[risk]
max_order_notional = "5000"
"""

Cli = Callable[..., tuple[int, str, str]]


@pytest.fixture
def cli(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Cli:
    """Call a command in an empty folder that holds `unit.toml`; return code, stdout, stderr."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "unit.toml").write_text(CONFIG)

    def call_cli(*words: str) -> tuple[int, str, str]:
        code = call(list(words), Session())
        out, err = capsys.readouterr()
        return int(code), out, err

    return call_cli


def test_a_total_that_lacks_a_rate_says_which(cli: Cli) -> None:
    code, out, _ = cli("run", "unit.toml", "--for", "10s", "--set", "bot.report_currency=USD")

    assert code == 0
    assert "Total      incomplete in USD: no rate for EUR" in out


def install(folder: Path, monkeypatch: pytest.MonkeyPatch, entry_points: str) -> None:
    """Make a distribution with these entry points known for this test."""
    dist = folder / "somebodys-1.0.dist-info"
    dist.mkdir()
    (dist / "METADATA").write_text("Metadata-Version: 2.1\nName: somebodys\nVersion: 1.0\n")
    (dist / "entry_points.txt").write_text(entry_points)
    monkeypatch.syspath_prepend(str(folder))


# --- help and usage -----------------------------------------------------------------------------


def test_help_names_every_command(cli: Cli) -> None:
    code, out, _ = cli("--help")

    assert code == 0
    for name in ("run", "check", "new", "list", "show-config", "fills"):
        assert re.search(rf"^  {name} ", out, re.MULTILINE)


@pytest.mark.parametrize(
    "words",
    [
        ["nonsense"],
        ["run"],
        ["run", "unit.toml", "--for", "soon"],
        ["run", "unit.toml", "--for", "0s"],
        ["run", "unit.toml", "--log", "xml"],
        ["list", "planets"],
        ["new", "strategy"],
    ],
)
def test_wrong_usage_exits_2_and_says_why(cli: Cli, words: list[str]) -> None:
    code, out, err = cli(*words)

    assert code == 2
    assert "Error: " in err
    assert not out


def test_help_does_not_load_what_only_a_run_needs() -> None:
    probe = (
        "import sys; before = set(sys.modules);"
        "from botkit.cli.main import call; from botkit.cli.session import Session;"
        "call(['--help'], Session());"
        "print(sorted({'rich', 'structlog', 'numpy', 'sqlite3'} & set(sys.modules) - before))"
    )
    done = subprocess.run(  # noqa: S603  our own words
        [sys.executable, "-c", probe], capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[-1] == "[]"


def test_main_exits_with_the_code(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        main(["check", "nowhere.toml"])

    assert left.value.code == 2
    assert "nowhere.toml: cannot be read" in capsys.readouterr().err


# --- run ----------------------------------------------------------------------------------------


def test_run_prints_mode_first_and_hash_last(cli: Cli, tmp_path: Path) -> None:
    code, out, err = cli("run", "unit.toml", "--for", "2m")

    lines = out.splitlines()
    assert (code, err) == (0, "")
    assert lines[0].startswith("PAPER  unit: market_maker on paper:BTC-EUR")
    with JournalReader(tmp_path / "var" / "unit.sqlite") as reader:
        run = reader.last_run()
        assert run is not None
        assert run.run_hash == lines[-1]
        assert run.mode == "REPLAY"
        assert run.summary is not None
        assert run.summary["orders"]["fills"] == len(reader.fills(run.run_id)) > 0


def test_a_run_can_be_repeated_and_hashes_the_same(cli: Cli) -> None:
    _, first, _ = cli("run", "unit.toml", "--for", "1m")
    code, second, _ = cli("run", "unit.toml", "--for", "1m")

    assert code == 0
    assert first.splitlines()[-1] == second.splitlines()[-1]


def test_run_refuses_to_be_live_on_paper(cli: Cli) -> None:
    code, _, err = cli("run", "unit.toml", "--live")

    assert code == 2
    assert "nothing to be live on; leave --live out" in err


REAL = """
from venues.paper import PaperVenue


class Kraken(PaperVenue):
    def __init__(self, **terms):
        super().__init__(**terms)
        self.keeps_orders = True
"""


def test_run_does_not_trade_a_real_venue_unasked(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "kraken_plugin.py").write_text(REAL)
    install(tmp_path, monkeypatch, "[botkit.venues]\nkraken = kraken_plugin:Kraken\n")

    code, out, err = cli("run", "unit.toml", "--set", "venues.paper.type=kraken", "--for", "1s")

    assert code == 2
    assert "cannot be had without its orders" in err
    assert "add --live to send real orders" in err
    assert not out


@pytest.mark.parametrize("live", [(), ("--live",)])
def test_run_names_a_venue_that_is_not_installed(cli: Cli, live: tuple[str, ...]) -> None:
    code, out, err = cli("run", "unit.toml", *live, "--set", "venues.paper.type=papr")

    assert code == 2
    assert "did you mean 'paper'?" in err
    assert not out


def test_run_tells_every_problem_on_its_own_line(cli: Cli) -> None:
    code, _, err = cli("run", "unit.toml", "--set", "bot.nam=x", "--set", "risk.max_ordr=1")

    assert code == 2
    assert len(err.splitlines()) >= 1
    assert "bot.nam" in err


def test_rows_left_out_of_a_replay_are_told_at_its_end(cli: Cli, tmp_path: Path) -> None:
    rows = [f"{1_700_000_000 + second},99,1,101,1\n" for second in range(9)]
    header = "receive_time_s,bid_px,bid_qty,ask_px,ask_qty\n"
    (tmp_path / "quotes.csv").write_text("".join([header, *rows[:4], "x,99,1\n", *rows[4:]]))
    replay = """feed.type = "replay"
feed.speed = "max"
feed.on_bad_row = "skip"
feed.files = [{ path = "quotes.csv", kind = "quotes", symbol = "BTC-EUR" }]
"""
    (tmp_path / "skip.toml").write_text(re.sub("feed = .*\n", lambda _: replay, CONFIG))

    code, out, err = cli("run", "skip.toml")

    assert code == 0, err
    assert "quotes.csv: 1 malformed row left out" in out


def test_run_refuses_feeds_of_different_speeds(cli: Cli, tmp_path: Path) -> None:
    other = CONFIG.replace('speed = "max"', 'speed = "10x"') + (
        '[venues.other]\ntype = "paper"\nfeed = { type = "synthetic", speed = "20x" }\n'
        '[[strategies]]\ntype = "market_maker"\nname = "two"\ninstrument = "other:BTC-EUR"\n'
        'params = { qty = "0.01" }\n'
    )
    (tmp_path / "two.toml").write_text(other)

    code, _, err = cli("run", "two.toml", "--for", "1s")

    assert code == 2
    assert "give all the same speed" in err


def test_a_failing_strategy_makes_the_exit_code_1_and_shows_where(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "bad.py").write_text(
        "from botkit import Quote, Strategy\n"
        "class Bad(Strategy):\n"
        "    def on_quote(self, quote: Quote) -> None:\n"
        "        raise ValueError('hunter2 is my password')\n"
    )
    words = ("--set", "strategies.0.type=./bad.py:Bad", "--set", "strategies.0.params={}")
    code, out, _ = cli("run", "unit.toml", "--for", "1m", *words)

    assert code == 1
    assert "bad.py" in out
    assert "all strategies have ended" in out
    assert re.search(r"^Exit code +1", out, re.MULTILINE)


def test_secrets_are_printed_nowhere(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UNIT_KEY", "hunter2hunter2")
    (tmp_path / "leaky.py").write_text(
        "import attrs\n"
        "from botkit import Quote, Strategy\n"
        "class Leaky(Strategy):\n"
        "    @attrs.frozen\n"
        "    class Params:\n"
        "        key: str\n"
        "    def on_quote(self, quote: Quote) -> None:\n"
        "        self.log('key ' + self.params.key, key=self.params.key, event=1)\n"
        "        raise ValueError(self.params.key)\n"
    )
    text = re.sub("params = .*", 'params = { key = "${UNIT_KEY}" }', CONFIG)
    (tmp_path / "leaky.toml").write_text(text.replace("market_maker", "./leaky.py:Leaky"))

    told = ""
    for words in (
        ("run", "leaky.toml", "--for", "1m"),
        ("run", "leaky.toml", "--for", "1m", "--log", "json"),
        ("show-config", "leaky.toml"),
        ("check", "leaky.toml"),
    ):
        _, out, err = cli(*words)
        told += out + err

    assert "ValueError: ***" in told
    assert "hunter2" not in told
    with JournalReader(tmp_path / "var" / "unit.sqlite") as reader:
        run = reader.last_run()
        assert run is not None
        assert "hunter2" not in run.config
        assert "hunter2" not in str(run.summary)
        assert "hunter2" not in str(list(reader.entries(run.run_id)))


def test_an_order_that_is_kept_is_listed_and_does_not_count(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "keeper.py").write_text(
        "from botkit import Quote, Strategy\n"
        "class Keeper(Strategy):\n"
        "    def on_quote(self, quote: Quote) -> None:\n"
        "        if not self.orders():\n"
        "            price = self.instrument.price(quote.bid_px * 0.9)\n"
        "            self.buy(self.instrument, '0.01', price=price, keep=True)\n"
    )
    words = ("--set", "strategies.0.type=./keeper.py:Keeper", "--set", "strategies.0.params={}")
    code, out, _ = cli("run", "unit.toml", "--for", "1m", *words)

    assert code == 0
    assert re.search(
        r"^Resting +nothing\nKept +1 order, as the strategy wanted\n", out, re.MULTILINE
    )
    assert re.search(r"^ +unit-\S+  buy 0.01 paper:BTC-EUR at \S+  NEW$", out, re.MULTILINE)


def test_a_journal_that_cannot_be_closed_makes_the_exit_code_1(cli: Cli, tmp_path: Path) -> None:
    """Another process holds the file when the run ends."""
    (tmp_path / "locking.py").write_text(
        "import sqlite3\n"
        "from botkit import Strategy\n"
        "HELD = []\n"
        "class Locking(Strategy):\n"
        "    def on_stop(self) -> None:\n"
        "        HELD.append(sqlite3.connect('var/unit.sqlite'))\n"
        "        HELD[0].execute('BEGIN IMMEDIATE')\n"
        "def release() -> None:\n"
        "    HELD.pop().close()\n"
    )
    words = ("--set", "strategies.0.type=./locking.py:Locking", "--set", "strategies.0.params={}")
    code, out, _ = cli("run", "unit.toml", "--for", "1m", *words)
    (module,) = (each for name, each in sys.modules.items() if "botkit_file_locking" in name)
    module.release()

    assert code == 1
    assert "the run is not closed in it" in out
    assert re.search(r"^Exit code +1", out, re.MULTILINE)


def test_what_nobody_expected_is_shown_without_secrets(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UNIT_KEY", "hunter2hunter2")
    (tmp_path / "odd.py").write_text(
        "import attrs\n"
        "from botkit import Strategy\n"
        "class Odd(Strategy):\n"
        "    @attrs.frozen\n"
        "    class Params:\n"
        "        def __attrs_post_init__(self) -> None:\n"
        "            raise RuntimeError('hunter2hunter2')\n"
    )
    text = re.sub("params = .*", "", CONFIG).replace("market_maker", "./odd.py:Odd")
    (tmp_path / "odd.toml").write_text(text.replace('name = "unit"', 'name = "${UNIT_KEY}"'))

    code, _, err = cli("run", "odd.toml", "--for", "1m")

    assert code == 1
    assert "RuntimeError: ***" in err
    assert "hunter2" not in err


# --- check, show-config, list -------------------------------------------------------------------


def test_check_prints_what_it_found(cli: Cli) -> None:
    code, out, _ = cli("check", "unit.toml")

    assert code == 0
    for word in ("unit", "paper:BTC-EUR", "MarketMaker", "half_spread_bps = 2", "5000", "EUR"):
        assert word in out


def test_check_exits_2_with_every_problem(cli: Cli) -> None:
    words = ("--set", "strategies.0.params.qty=x", "--set", "risk.max_order_notional=-1")
    code, out, err = cli("check", "unit.toml", *words)

    assert code == 2
    assert not out
    assert "qty" in err
    assert "max_order_notional" in err


def test_check_tells_the_problems_of_file_venues_strategies_and_rules_together(
    cli: Cli, tmp_path: Path
) -> None:
    wrong = (
        CONFIG.replace('name = "unit"', 'nmae = "unit"')
        .replace("seed = 7", "sede = 7")
        .replace("maker_bps", "maker_bsp")
        .replace('qty = "0.01"', 'qty = "-1"')
        .replace("max_order_notional", "max_order_notionl")
    )
    (tmp_path / "wrong.toml").write_text(wrong)

    code, _, err = cli("check", "wrong.toml")

    assert code == 2
    for place in (
        "bot.name",
        "bot.nmae",
        "venues.paper.fees.maker_bsp",
        "venues.paper.feed.sede",
        "strategies.market_maker.params.qty",
        "risk.max_order_notionl",
    ):
        assert f"wrong.toml: {place}: " in err


def test_check_leaves_alone_what_an_unset_variable_would_have_filled_in(
    cli: Cli, tmp_path: Path
) -> None:
    (tmp_path / "unset.toml").write_text(CONFIG.replace('"0.01"', '"${BOTKIT_UNSET}"'))

    code, _, err = cli("check", "unset.toml")

    assert code == 2
    assert len(err.splitlines()) == 1
    assert "BOTKIT_UNSET is not set" in err


def test_check_says_nothing_of_limits_while_strategies_cannot_be_read(
    cli: Cli, tmp_path: Path
) -> None:
    limits = CONFIG.replace('= "5000"', '= { "paper:BTC-EUR" = "5000" }')
    (tmp_path / "wrong.toml").write_text(limits.replace('type = "market_maker"', "type = 5"))

    code, _, err = cli("check", "wrong.toml")

    assert code == 2
    assert [line.split(": ")[1] for line in err.splitlines()] == ["strategies.0.type"]


def test_check_says_where_there_are_no_rules(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "free.toml").write_text(CONFIG.partition("[risk]")[0])

    assert "no rules" in cli("check", "free.toml")[1]


def test_show_config_prints_what_takes_effect(cli: Cli) -> None:
    code, out, _ = cli("show-config", "unit.toml", "--set", "bot.name=other")

    assert code == 0
    assert 'name = "other"' in out
    assert 'state_dir = "var"' in out


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("venues", ["paper", "botkit 0.1.0", "venues.paper:PaperVenue"]),
        ("risk", ["max_order_notional", "price_collar_bps"]),
        ("strategies", ["market_maker", "qty: number as text, required", "side: BUY or SELL"]),
    ],
)
def test_list_shows_plug_ins(cli: Cli, kind: str, words: list[str]) -> None:
    code, out, _ = cli("list", kind)

    assert code == 0
    assert out.startswith(kind)
    assert [word for word in words if word not in out] == []


def test_list_goes_on_past_a_plug_in_that_cannot_be_loaded(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(tmp_path, monkeypatch, "[botkit.risk]\naardvark = no_such_module:Rule\n")

    code, out, _ = cli("list", "risk")

    assert code == 0
    assert "aardvark            cannot be loaded: " in out
    assert "max_open_orders " in out


def test_list_alone_shows_all_kinds(cli: Cli) -> None:
    _, out, _ = cli("list")

    assert [line for line in out.splitlines() if line and not line.startswith(" ")] == [
        "venues",
        "strategies",
        "risk",
    ]


# --- new ----------------------------------------------------------------------------------------


def test_a_new_strategy_and_its_test_run_at_once(cli: Cli, tmp_path: Path) -> None:
    code, out, _ = cli("new", "strategy", "my_first", "--dir", "mine")

    assert code == 0
    commands = [line.strip().partition("#")[0].strip() for line in out.splitlines() if "#" in line]
    assert commands == [
        "python -m pytest mine/test_my_first.py",
        "botkit run mine/my_first.toml --for 30s",
    ]
    tested = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "mine/test_my_first.py"],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
    )
    assert tested.returncode == 0, tested.stdout
    ran = cli(*commands[1].split()[1:], "--set", "venues.paper.feed.speed=max")
    assert ran[0] == 0
    assert re.search(r"^Orders +[1-9]", ran[1], re.MULTILINE)


def test_new_overwrites_nothing(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "test_mine.py").write_text("precious")

    code, _, err = cli("new", "strategy", "mine")

    assert code == 2
    assert "test_mine.py: there already" in err
    assert (tmp_path / "test_mine.py").read_text() == "precious"
    assert not (tmp_path / "mine.py").exists()


@pytest.mark.parametrize(
    "name", ["Mine", "2nd", "my-maker", "../up", "", "random", "class", "run", "trio"]
)
def test_new_refuses_what_is_no_good_module_name(cli: Cli, tmp_path: Path, name: str) -> None:
    before = sorted(tmp_path.iterdir())

    code, _, err = cli("new", "strategy", name)

    assert code == 2
    assert repr(name) in err
    assert sorted(tmp_path.iterdir()) == before


def test_new_says_where_it_cannot_write(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    code, _, err = cli("new", "strategy", "mine", "--dir", "file/below")

    assert code == 2
    assert "file/below: cannot be written to" in err


# --- fills --------------------------------------------------------------------------------------


def test_fills_in_three_forms_are_the_same_fills(cli: Cli) -> None:
    cli("run", "unit.toml", "--for", "2m")

    _, table, _ = cli("fills")
    _, lines, _ = cli("fills", "unit.toml", "--csv")
    _, objects, _ = cli("fills", "--json")

    rows = list(csv.DictReader(io.StringIO(lines)))
    told = [json.loads(line) for line in objects.splitlines()]
    assert [row["exec_id"] for row in rows] == [fill["exec_id"] for fill in told]
    assert table.startswith("REPLAY  run ")
    assert f"{len(rows)} fill" in table
    assert table.count("paper:BTC-EUR") == len(rows) > 0


def test_fills_of_a_run_by_its_id(cli: Cli, tmp_path: Path) -> None:
    cli("run", "unit.toml", "--for", "2m")
    cli("run", "unit.toml", "--for", "1s", "--set", "bot.name=other")
    with JournalReader(tmp_path / "var" / "unit.sqlite") as reader:
        (run,) = reader.runs()

    assert run.run_id in cli("fills", "--run", run.run_id)[1]
    assert "other.sqlite" in cli("fills")[1]
    assert run.run_id in cli("fills", "unit.toml")[1]
    code, _, err = cli("fills", "--run", "nonesuch")
    assert code == 1
    assert "no run 'nonesuch'; the last ones are: " in err
    assert run.run_id in err


@pytest.mark.parametrize("form", ["--csv", "--json"])
def test_fills_that_cannot_be_written_make_the_exit_code_1(cli: Cli, form: str) -> None:
    cli("run", "unit.toml", "--for", "1m")
    code = "from botkit.cli import main; main()"
    with Path("/dev/full").open("wb") as full:  # a device that takes nothing
        ran = subprocess.run(  # noqa: S603  our own interpreter
            [sys.executable, "-c", code, "fills", form],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )

    assert ran.returncode == 1
    assert "the fills could not be written (No space left on device)" in ran.stderr
    assert "Exception ignored" not in ran.stderr
    assert "Traceback" not in ran.stderr


def test_fills_before_any_run_says_how_to_start_one(cli: Cli) -> None:
    code, _, err = cli("fills")
    assert code == 2
    assert "no bot has run here: start one with botkit run CONFIG" in err

    code, _, err = cli("fills", "unit.toml", "--state-dir", "elsewhere")
    assert code == 2
    assert "elsewhere: bot 'unit' has not run here" in err


def test_a_new_rule_and_its_test_run_at_once(cli: Cli, tmp_path: Path) -> None:
    code, out, _ = cli("new", "rule", "my_spread", "--dir", "mine")

    assert code == 0
    assert 'my_spread = "my_spread:MySpread"' in out
    folder = tmp_path / "mine"
    assert sorted(path.name for path in folder.iterdir()) == ["my_spread.py", "test_my_spread.py"]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_my_spread.py"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    for path in folder.glob("*.py"):
        assert "@" not in path.read_text().replace("@attrs", "").replace("@classmethod", "")
    code, _, err = cli("new", "rule", "my_spread", "--dir", "mine")
    assert code == 2
    assert "there already" in err
