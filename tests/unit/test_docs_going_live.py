"""docs/going-live.md: its config is one, its service stops in time, its exit codes are ours."""

import configparser
import re
import tomllib
from pathlib import Path

import pytest

from botkit.assembly import Plan, check
from botkit.cli.doctor.examination import CHECKS, examine
from botkit.cli.doctor.subject import Subject
from botkit.config import load
from botkit.shell import ExitCode

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "going-live.md").read_text("utf-8")
BOT, PRIVATE = re.findall(r"^```toml\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
(UNIT,) = re.findall(r"^```ini\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


@pytest.fixture
def bot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Write the page's two files as it says."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "bot.toml").write_text(BOT)
    (tmp_path / "private.toml").write_text(PRIVATE)
    (tmp_path / "private.toml").chmod(0o600)
    return Path("bot.toml")


def plan_of(path: Path) -> Plan:
    return check(load(path))


def test_its_config_is_in_order_and_of_two_files(bot: Path) -> None:
    plan = plan_of(bot)

    assert [file.source for file in plan.config.files] == ["bot.toml", "private.toml"]
    assert plan.config.bot.journal_synchronous == "FULL"


def test_the_doctor_has_nothing_to_say_about_it(bot: Path) -> None:
    offline = [each for each in CHECKS if each.name != "clock"]
    lines = list(examine(Subject(files=[str(bot)]), offline))

    assert {line.found.health.value for line in lines} == {"pass"}, lines


def test_it_has_every_kind_of_limit_that_is_for_everyone() -> None:
    risk = tomllib.loads(BOT)["risk"]

    assert {"max_daily_loss", "max_drawdown", "max_position", "max_order_notional"} <= set(risk)
    assert {"price_collar_bps", "stale_data", "funds", "self_trade", "max_order_rate"} <= set(risk)


def test_its_service_waits_longer_than_orders_may_take_and_restarts_after_errors_only(
    bot: Path,
) -> None:
    unit = configparser.ConfigParser(interpolation=None)
    unit.read_string(UNIT)
    service = unit["Service"]

    assert int(service["TimeoutStopSec"]) > load(bot).bot.clean_up / 1e9
    assert service["KillSignal"] == "SIGTERM"
    assert service["KillMode"] == "mixed"
    codes = {int(code) for code in service["RestartPreventExitStatus"].split()}
    assert codes == set(ExitCode) - {ExitCode.CLEAN, ExitCode.ERROR}


def test_it_says_what_to_do_after_every_exit_code() -> None:
    rows = re.findall(r"^\| \**(\d)\** \|", PAGE, re.MULTILINE)

    assert [int(code) for code in rows] == sorted(ExitCode)


def test_its_steps_are_numbered_in_order() -> None:
    numbers = [int(number) for number in re.findall(r"^## (\d+)\. ", PAGE, re.MULTILINE)]

    assert numbers == list(range(1, len(numbers) + 1))
