"""Every config we ship can be run as it is."""

from pathlib import Path

import pytest

from botkit.assembly import check
from botkit.config import load

CONFIGS = sorted((Path(__file__).parents[2] / "configs").glob("*.toml"))
RECORDINGS = CONFIGS[0].parents[2] / "shared" / "data" / "binance_frames_20240808"


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_a_shipped_config_has_nothing_wrong_with_it(path: Path) -> None:
    """Its plug-ins exist and take what it gives them, and limits are set."""
    if path.stem == "replay" and not RECORDINGS.is_dir():
        pytest.skip(f"the recordings are not at {RECORDINGS}")
    plan = check(load(path))
    assert plan.strategies
    assert plan.rules


def test_there_is_a_config_for_each_way_to_begin() -> None:
    """Paper, replay, several at once."""
    assert {path.stem for path in CONFIGS} >= {"paper", "replay", "several"}
