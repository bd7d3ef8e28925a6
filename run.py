"""Run a bot: `python run.py configs/paper.toml` is the same as `botkit run configs/paper.toml`."""

import signal
from importlib import import_module
from types import FrameType

received: list[int] = []  # signals so far; the bot counts on from here


def note(number: int, _: FrameType | None) -> None:
    """Count a signal that comes before the bot can act on it."""
    received.append(number)


def main() -> None:
    """Count signals first of all, then load everything else and hand over."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, note)
    import_module("botkit.cli").run_main(received)


if __name__ == "__main__":
    main()
