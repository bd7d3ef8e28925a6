"""What the doctor's tests share: a config, and what each check found in it."""

from collections.abc import Iterable
from pathlib import Path

from botkit.cli.doctor.examination import CHECKS, examine
from botkit.cli.doctor.subject import Subject

CONFIG = """
[bot]
name = "unit"

[venues.paper]
type = "paper"
feed = { type = "synthetic", seed = 7, speed = "max" }
balances = { BTC = "1", EUR = "100000" }

[venues.paper.instruments.BTC-EUR]
lot_size = "0.01"
min_trade_vol = "0.02"
max_trade_vol = "5"
min_notional = "50"

[[strategies]]
type = "market_maker"
instrument = "paper:BTC-EUR"
params = { qty = "0.02", half_spread_bps = "2" }

[risk]
max_order_qty = "1"
max_order_notional = "5000"
max_position = { "paper:BTC-EUR" = "2" }
max_daily_loss = "500"
"""

NOT_THE_CLOCK = tuple(check for check in CHECKS if check.name != "clock")  # it asks the network


def write(folder: Path, *changes: tuple[str, str], name: str = "unit.toml") -> Path:
    """Write the config with some of its text changed, its state kept in `folder`."""
    text = CONFIG.replace('name = "unit"\n', f'name = "unit"\nstate_dir = "{folder}/var"\n')
    for old, new in changes:
        assert old in text, old
        text = text.replace(old, new)
    path = folder / name
    path.write_text(text)
    return path


def found(path: Path, *names: str) -> list[tuple[str, str, str]]:
    """Return (health, text, todo) of the lines of the checks `names`, in order."""
    subject = Subject(files=[str(path)])
    lines = [line for line in examine(subject, NOT_THE_CLOCK) if line.name in names]
    return [(line.found.health.value, line.found.text, line.found.todo) for line in lines]


def healths(path: Path, names: Iterable[str] = ()) -> dict[str, list[str]]:
    """Return what each check came to, of `names` or of all."""
    told: dict[str, list[str]] = {}
    for line in examine(Subject(files=[str(path)]), NOT_THE_CLOCK):
        told.setdefault(line.name, []).append(line.found.health.value)
    return {name: told[name] for name in names} if names else told
