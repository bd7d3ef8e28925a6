"""Same events in, same commands out, byte for byte, whatever the hash seed."""

import os
import re
import subprocess
import sys
from pathlib import Path

SCRIPT = Path(__file__).with_name("engine_commands.py")


def commands(hash_seed: str) -> list[bytes]:
    """Return the commands of a process of its own, a line each, and a line of counts."""
    done = subprocess.run(  # noqa: S603  our own interpreter and script
        [sys.executable, str(SCRIPT)],
        capture_output=True,
        check=True,
        env={**os.environ, "PYTHONHASHSEED": hash_seed},
    )
    return done.stdout.splitlines()


def test_two_processes_with_different_hash_seeds_emit_the_same_commands() -> None:
    first, second = commands("1"), commands("4242")
    assert first == second
    *lines, counts = [line.decode() for line in first]
    kinds = {match[1] for line in lines if (match := re.search(r'"type":"(\w+)"', line))}
    assert kinds == {"new_order", "cancel_order", "replace_order", "ask_status", "ask_listing"}
    assert counts.endswith("errors=[]")
    for what in ("submitted", "refused", "cancels", "fills"):
        told = re.search(rf"{what}=(\d+)", counts)
        assert told is not None
        assert int(told[1]) >= 20, counts
