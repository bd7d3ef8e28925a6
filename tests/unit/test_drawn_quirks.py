"""What simulations may draw of each venue's open questions: its `DRAWN` beside its `QUIRKS`."""

import sys
from pathlib import Path

import pytest

from botkit.config import load
from botkit.testing.drawing import drawn_of
from botkit.testing.world import simulator_of

ROOT = Path(__file__).parents[2]
VENUES = ("blinktrade", "digifinex", "finery", "moonbase", "peatio")


@pytest.mark.parametrize("venue", VENUES)
def test_every_quirk_says_what_may_be_drawn_of_it(venue: str) -> None:
    config = load(str(ROOT / "configs" / f"{venue}.toml"))
    quirks = vars(sys.modules[simulator_of(config, venue).__module__])["QUIRKS"]
    drawn = drawn_of(config, venue)
    assert list(drawn) == list(quirks)
    assert all(drawn.values())
