"""Bots killed with SIGKILL by real processes: their orders go within 2 s, and nobody else's."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from botkit.testing.killing import Kill, Moment, Scene, kill_once
from botkit.testing.processes import adopted_orphans

ROOT = Path(__file__).parents[2]
STRATEGY = '''
import trio

from botkit import Strategy


class Worker(Strategy):
    """Keeps one order at work, far off, each in a scope of its own."""

    async def run(self) -> None:
        while True:
            quote = await self.next_quote()
            price = self.instrument.price(quote.bid_px * 0.99)
            async with self.order_scope() as scope:
                order = scope.buy(self.instrument, "0.01", price=price)
                with trio.move_on_after(6.0):
                    await order.closed()
'''
OTHERS = {"finery": ("4611686018427387904",)}


@pytest.fixture(scope="module", autouse=True)
def _parent_of_all() -> Iterator[None]:
    with adopted_orphans():
        yield


def scene(venue: str, folder: Path, *sets: str) -> Scene:
    """Return a bot whose only strategy works in scopes, with the rest of the venue's config."""
    (folder / "worker.py").write_text(STRATEGY)
    head, _, tail = (ROOT / "configs" / f"{venue}.toml").read_text().partition("[[strategies]]\n")
    instrument = next(line for line in tail.splitlines() if line.startswith("instrument"))
    table = f'[[strategies]]\ntype = "./worker.py:Worker"\n{instrument}\n'
    (folder / "bot.toml").write_text(head + table)
    (folder / "bot.toml").chmod(0o600)
    return Scene(
        venue=venue, config=folder / "bot.toml", sets=sets, other_ids=OTHERS.get(venue, ())
    )


@pytest.mark.parametrize(
    ("venue", "moment", "after_s"),
    [
        ("finery", Moment.TAKEN, 0.0),
        ("peatio", Moment.LATER, 0.5),
    ],
)
async def test_orders_of_a_killed_bot_are_gone_within_two_seconds(
    tmp_path: Path, venue: str, moment: Moment, after_s: float
) -> None:
    kill = Kill(seed=3, moment=moment, after_s=after_s, is_alone=True)
    outcome = await kill_once(scene(venue, tmp_path), kill, tmp_path)

    assert not outcome.problems, "\n".join(outcome.problems)
    assert outcome.guardian_s is not None
    assert (outcome.rested, outcome.late) == (1, 0)
    assert len(outcome.waits_s) == 1


async def test_a_request_under_way_at_the_death_is_found_when_it_arrives(tmp_path: Path) -> None:
    kill = Kill(seed=4, moment=Moment.RENEWED, after_s=0.0, held_s=0.7, is_alone=True)
    outcome = await kill_once(scene("finery", tmp_path), kill, tmp_path)

    assert not outcome.problems, "\n".join(outcome.problems)
    assert (outcome.rested, outcome.late) == (0, 1)


async def test_what_an_unguarded_bot_leaves_is_seen_to_rest(tmp_path: Path) -> None:
    kill = Kill(seed=5, moment=Moment.TAKEN, after_s=0.0, is_alone=True)
    unguarded = scene("finery", tmp_path, "bot.guardian.enabled=false")
    outcome = await kill_once(unguarded, kill, tmp_path)

    rests, unguarded_orders = outcome.problems
    assert "rests still" in rests
    assert "without a guardian" in unguarded_orders
