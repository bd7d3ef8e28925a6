"""What each case of a drill does to a bot, rehearsed without one: in order, once, and healed."""

import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from trio.testing import MockClock

from botkit.testing.drill import CASES, Case
from botkit.testing.drill.bounds import Bounds

SLEEPS = [sys.executable, "-S", "-E", "-c", "import signal; signal.pause()"]
BREAKS = {"refuse", "half_open", "swallow_answers"}


class Teller:
    """Takes any call and tells of it."""

    def __init__(self, said: list[str], **known: object) -> None:
        self._said = said
        self.__dict__.update(known)

    def __getattr__(self, name: str) -> Callable[..., None]:
        return lambda *given, **_: self._said.append(" ".join([name, *map(str, given)]))


class Rehearsal:
    """A stage without a bot: tells what a case does on it, in order."""

    def __init__(self, folder: Path, bot: int, guardian: int) -> None:
        self.said: list[str] = []
        self.folder = folder
        self.problems: list[str] = []
        self.comes_back = False
        self.setting = SimpleNamespace(hung_s=2.0, clean_up_s=10.0)
        self.bounds = Bounds(noticed_s=30.0, ended_s=8.0)
        self.proxy = Teller(self.said)
        self.proxies = [self.proxy]
        market = Teller(self.said)
        late = SimpleNamespace(reached_ns=9, line=lambda: "an order")
        self.desk = SimpleNamespace(
            account="alice",
            resting=lambda: ["an order"],
            trade_with=lambda _, told=1: self.said.append(f"trade told {told}"),
            clock=Teller(self.said),
            exchange=SimpleNamespace(
                now_ns=lambda: 8, orders=lambda _: [late], simulator=SimpleNamespace(market=market)
            ),
        )
        self.bot = SimpleNamespace(
            pid=bot,
            send=lambda number: self.said.append(number.name),
            kill=self._note("kill"),
            process=SimpleNamespace(kill=lambda: self.said.append("kill"), wait=self._note("dead")),
        )
        self._guardian = guardian
        for name in ("start", "working", "comes_back_within", "ends", "until_exists"):
            setattr(self, name, self._note(name))
        for name in ("another_guardian", "without_strays"):
            setattr(self, name, self._note(name))

    def strike(self) -> None:
        self.said.append("strike")

    async def at_next_order(self, act: Callable[[], None]) -> None:
        self.strike()
        act()

    async def guardian_pid(self) -> int:
        return self._guardian

    def _note(self, name: str) -> Callable[..., object]:
        async def note(*_: object) -> None:
            self.said.append(name)

        return note


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Rehearsal]:
    """Give a stage with two processes that sleep, as bot and guardian."""
    sleepers = [subprocess.Popen(SLEEPS) for _ in range(2)]  # noqa: S603  our own interpreter
    yield Rehearsal(tmp_path, sleepers[0].pid, sleepers[1].pid)
    for each in sleepers:
        each.kill()
        each.wait()


@pytest.mark.parametrize("case", CASES.values(), ids=list(CASES))
async def test_a_case_strikes_once_when_orders_work_and_heals_what_it_breaks(
    case: Case, stage: Any, autojump_clock: MockClock
) -> None:
    await case.carry_out(stage)

    said = stage.said
    assert said[0] == "working"
    assert said.count("strike") == 1
    broken = [at for at, what in enumerate(said) if what in BREAKS]
    assert not broken or "heal" in said[broken[-1] :]
    assert case.within_s(stage) > 0
    assert len(said) > 2, "it does something"


async def test_orders_sent_without_a_lease_or_a_journal_are_told(
    stage: Any, autojump_clock: MockClock
) -> None:
    await CASES["lease gone"].carry_out(stage)
    await CASES["full disk"].carry_out(stage)

    assert stage.problems == [
        "sent with its lease gone: an order",
        "sent with no room for its journal: an order",
    ]


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("SIGINT", [signal.SIGINT.name]),
        ("SIGTERM", [signal.SIGTERM.name]),
        ("SIGHUP", [signal.SIGHUP.name]),
        ("second SIGINT", ["stall 3.0", "SIGINT", "SIGINT"]),
        ("short stop", ["SIGSTOP", "SIGCONT", "SIGTERM"]),
        ("told twice", ["trade told 2", "SIGTERM"]),
    ],
)
async def test_signals_come_as_the_case_says(
    name: str, said: list[str], stage: Any, autojump_clock: MockClock
) -> None:
    await CASES[name].carry_out(stage)

    assert stage.said == ["working", "strike", *said, "ends"]
