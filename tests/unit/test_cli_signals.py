"""The first signal asks for an end, the second ends the process, whatever else is going on."""

import signal
from collections.abc import Iterator

import pytest
import trio

from botkit.cli.signals import SIGNALS, SignalWatch
from botkit.shell import ExitCode, Stop


@pytest.fixture
def ended() -> list[int]:
    """Exit codes the process would have ended with."""
    return []


@pytest.fixture
def watch(ended: list[int]) -> Iterator[SignalWatch]:
    """Return a watch that has the signals, until the test is over."""
    before = {number: signal.getsignal(number) for number in SIGNALS}
    watch = SignalWatch(end_process=ended.append)
    watch.install()
    yield watch
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("number", SIGNALS)
async def test_the_first_signal_wakes_the_run(
    watch: SignalWatch, ended: list[int], number: signal.Signals
) -> None:
    stop = Stop()
    watch.attach(stop, list)

    signal.raise_signal(number)

    assert stop.requested  # at once, for a loop that does not await
    with trio.fail_after(5):
        await stop.wait()
    assert stop.reason == f"signal {number.name}"
    assert ended == []


async def test_a_signal_from_before_the_run_counts(ended: list[int]) -> None:
    stop = Stop()
    SignalWatch([signal.SIGTERM], ended.append).attach(stop, list)

    assert stop.reason == "signal SIGTERM"


def test_a_signal_while_nothing_runs_is_kept(watch: SignalWatch, ended: list[int]) -> None:
    signal.raise_signal(signal.SIGINT)

    async def attach() -> str:
        stop = Stop()
        watch.attach(stop, list)
        await stop.wait()
        return stop.reason

    assert trio.run(attach) == "signal SIGINT"
    assert ended == []


async def test_the_second_signal_names_what_may_rest(
    watch: SignalWatch, ended: list[int], capfd: pytest.CaptureFixture[str]
) -> None:
    watch.attach(Stop(), lambda: ["order one", "order two"])

    signal.raise_signal(signal.SIGINT)
    assert ended == []
    signal.raise_signal(signal.SIGTERM)

    assert ended == [ExitCode.ORDERS_MAY_REST]
    assert capfd.readouterr().err.endswith("These may rest:\n  order one\n  order two\n")


async def test_orders_that_cannot_be_listed_are_taken_from_the_first_signal(
    watch: SignalWatch, capfd: pytest.CaptureFixture[str]
) -> None:
    lists = iter([["as it was"]])
    watch.attach(Stop(), lambda: next(lists))

    signal.raise_signal(signal.SIGINT)
    signal.raise_signal(signal.SIGINT)

    assert "These may rest:\n  as it was\n" in capfd.readouterr().err


async def test_orders_that_could_never_be_listed_are_not_taken_for_none(
    watch: SignalWatch, capfd: pytest.CaptureFixture[str]
) -> None:
    watch.attach(Stop(), lambda: next(iter([])))

    signal.raise_signal(signal.SIGINT)
    signal.raise_signal(signal.SIGINT)

    assert "could not be listed" in capfd.readouterr().err


async def test_without_orders_it_says_so(
    watch: SignalWatch, ended: list[int], capfd: pytest.CaptureFixture[str]
) -> None:
    watch.attach(Stop(), list)

    signal.raise_signal(signal.SIGINT)
    signal.raise_signal(signal.SIGINT)

    assert ended == [ExitCode.ORDERS_MAY_REST]
    assert "No order was open." in capfd.readouterr().err


async def test_after_the_end_a_signal_does_not_change_the_exit_code(
    watch: SignalWatch, ended: list[int], capfd: pytest.CaptureFixture[str]
) -> None:
    watch.attach(Stop(), lambda: ["long gone"])
    signal.raise_signal(signal.SIGINT)
    watch.finish(ExitCode.CLEAN)

    signal.raise_signal(signal.SIGINT)

    assert ended == [ExitCode.CLEAN]
    assert capfd.readouterr().err == ""


def test_a_signal_after_trio_has_ended_is_no_error(watch: SignalWatch, ended: list[int]) -> None:
    async def attach() -> None:
        watch.attach(Stop(), list)

    trio.run(attach)
    signal.raise_signal(signal.SIGINT)

    assert ended == []
