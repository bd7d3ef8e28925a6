"""Feed bad frames to a venue's codec.

    python benchmarks/fuzz_codecs.py finery --frames 1000000

A short simulated run of the venue's own config provides sound frames; they are bent at random and
fed to codecs that had been at work. Whatever comes of a frame but events or a `VenueProtocolError`
ends the run with 1 and is printed. Says how memory went.
"""

import argparse
import contextlib
import copy
import importlib
import json
import pkgutil
import resource
import sys
import zlib
from collections.abc import Callable, Iterator
from typing import Any, Final

import numpy as np
import trio
from paths import ROOT

from botkit.config import load
from botkit.errors import VenueProtocolError
from botkit.testing.simulation import simulate

ODD: Final[tuple[Any, ...]] = (
    None, True, 0, -1, 1, 3, 2**31, 2**53, 2**63, 2**64, 10**30, -(10**30), 0.5, 1e-8, 1e308,
    float("nan"), float("inf"), "", "0", "1.5", "-1", "NaN", "x", "9" * 40, [], {}, [[]], [None],
    [[[[[[]]]]]], {"": 0}, {"a": {"b": []}},
)  # fmt: skip
Decode = Callable[[bytes], object]


@contextlib.contextmanager
def recording(venue: str, frames: list[bytes], codecs: list[Any]) -> Iterator[None]:
    """Note every frame that a codec of `venue` reads, and every codec."""
    package = importlib.import_module(f"venues.{venue}")
    before: list[tuple[Any, Any]] = []
    for info in pkgutil.iter_modules(package.__path__):
        module = importlib.import_module(f"venues.{venue}.{info.name}")
        for found in list(vars(module).values()):
            is_codec = isinstance(found, type) and found.__name__.endswith("Codec")
            if is_codec and found.__module__ == module.__name__:
                before.append((found, found.decode))
                found.decode = _noting(found.decode, frames, codecs)
    try:
        yield
    finally:
        for owner, decode in before:
            owner.decode = decode


def _noting(decode: Any, frames: list[bytes], codecs: list[Any]) -> Any:
    def noting(self: Any, frame: bytes) -> Any:
        frames.append(bytes(frame))
        if self not in codecs:
            codecs.append(self)
        return decode(self, frame)

    return noting


class Bender:
    """Bends frames, drawn from a seed."""

    def __init__(self, frames: list[bytes], seed: int) -> None:
        self._rng = np.random.default_rng(seed)
        self._frames = frames

    def next(self) -> bytes:
        """Return a frame that is probably no good."""
        frame = self._frames[self._draw(len(self._frames))]
        packed = frame[:1] == b"\x78"
        if packed and self._draw(4):
            with contextlib.suppress(zlib.error):
                return zlib.compress(self._bent(zlib.decompress(frame)))
        return self._bent(frame)

    def _draw(self, below: int) -> int:
        return int(self._rng.integers(below))

    def _odd(self) -> Any:
        return copy.deepcopy(ODD[self._draw(len(ODD))])

    def _bent(self, frame: bytes) -> bytes:
        how = self._draw(10)
        if how == 0:
            return frame[: self._draw(len(frame) + 1)]
        if how == 1 and frame:
            at = self._draw(len(frame))
            return frame[:at] + bytes([self._draw(256)]) + frame[at + 1 :]
        try:
            tree = json.loads(frame)
        except ValueError:
            return json.dumps(self._odd()).encode()
        for _ in range(1 + self._draw(3)):
            tree = self._bend(tree)
        return json.dumps(tree).encode()

    def _bend(self, tree: Any) -> Any:
        """Return `tree` with one thing in it changed, taken away, doubled or put in."""
        if not isinstance(tree, list | dict) or not tree or not self._draw(6):
            return self._odd()
        keys: list[Any] = list(tree) if isinstance(tree, dict) else list(range(len(tree)))
        key = keys[self._draw(len(keys))]
        how = self._draw(8)
        if how == 0:
            del tree[key]
        elif how == 1 and isinstance(tree, list):
            tree.insert(key, self._odd())
        elif how == 1:
            tree[f"{key}x"] = tree[key]
        else:
            tree[key] = self._bend(tree[key])
        return tree


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("venue")
    parser.add_argument("--frames", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    frames: list[bytes] = []
    codecs: list[Any] = []
    with recording(given.venue, frames, codecs):
        simulate(
            load(str(ROOT / "configs" / f"{given.venue}.toml")),
            given.seed,
            seconds=30.0,
            faults=False,
        )
    return trio.run(feed, given, frames, codecs)


async def feed(given: argparse.Namespace, frames: list[bytes], codecs: list[Any]) -> int:
    """Bend and feed, inside trio, whose clock the codecs' own goes by."""
    await trio.lowlevel.checkpoint()
    bender, refused, read = Bender(frames, given.seed), 0, 0
    sizes: list[int] = []
    for number in range(given.frames):
        frame = bender.next()
        try:
            list(codecs[number % len(codecs)].decode(frame))
            read += 1
        except VenueProtocolError:
            refused += 1
        except Exception:
            print(f"frame {number}, seed {given.seed}: {frame!r}")
            raise
        if number % max(1, given.frames // 10) == 0:
            sizes.append(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)
    print(
        f"{given.venue}: {given.frames:,} frames bent from {len(frames):,} sound ones: {read:,} "
        f"read, {refused:,} refused, nothing else. Memory in MiB: {', '.join(map(str, sizes))}"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
