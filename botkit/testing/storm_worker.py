"""One process of a storm: seeds come in, a line for each goes out. See `botkit.testing.storm`."""

import faulthandler
import logging
import os
import sys
import traceback
from collections.abc import Callable
from functools import partial
from typing import IO, Final

import msgspec

from botkit.clock import cpu_time_ns
from botkit.config import load
from botkit.testing.sandbox import at_simulators
from botkit.testing.simulation import SimulationResult, simulate
from botkit.testing.storm import SeedOutcome, Storm

__all__ = ["main", "outcome_of", "serve"]

NS_PER_S: Final = 1_000_000_000


def main() -> None:
    """Serve stdin and stdout. What a strategy prints goes to stderr."""
    with os.fdopen(os.dup(sys.stdout.fileno()), "wb") as answers:
        os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
        logging.getLogger().addHandler(logging.NullHandler())
        serve(sys.stdin.buffer, answers)


def serve(asked: IO[bytes], answers: IO[bytes]) -> None:
    """Read what to do with every seed, then seeds; answer each, until there are no more."""
    storm = msgspec.json.decode(asked.readline(), type=Storm)
    config = load(storm.configs, storm.overrides)
    moved = at_simulators(config)
    for line in iter(asked.readline, b""):
        faulthandler.dump_traceback_later(storm.limit_s, exit=True)  # a hook that does not return
        outcome = outcome_of(
            partial(simulate, moved, seconds=storm.seconds), int(line), storm.seconds, config.redact
        )
        faulthandler.cancel_dump_traceback_later()
        answers.write(msgspec.json.encode(outcome) + b"\n")
        answers.flush()


def outcome_of(
    run: Callable[[int], SimulationResult],
    seed: int,
    seconds: float,
    redact: Callable[[str], str],
) -> SeedOutcome:
    """Simulate one seed; what it raises is its outcome, too. Texts go through `redact`."""
    began_ns = cpu_time_ns()
    result, error = None, ""
    try:
        result = run(seed)
    except Exception as exc:  # noqa: BLE001  told as the seed's failure
        error = "".join(traceback.format_exception(exc))
    cpu_s = (cpu_time_ns() - began_ns) / NS_PER_S
    if result is None:
        return SeedOutcome(seed=seed, seconds=seconds, error=redact(error), cpu_s=cpu_s)
    return SeedOutcome(
        seed=seed,
        seconds=seconds,
        exit_code=int(result.exit_code),
        problems=tuple(map(redact, result.problems)),
        orders=result.orders,
        fills=result.fills,
        restarts=result.restarts,
        faults=dict(result.faults),
        gone_after_s=tuple(round(float(each), 6) for each in result.gone_after_s),
        cpu_s=cpu_s,
        trace=result.trace,
    )
