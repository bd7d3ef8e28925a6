"""Walks: moves of a played bot in an order that a seeded generator chooses."""

from collections.abc import Callable, Mapping, Sequence
from typing import Final

import numpy as np

from tests.property.risk_operated import OperatedWorld as World
from tests.property.risk_played import Bend
from tests.property.risk_terms import Pick, Plant, honest

__all__ = ["MOVES", "Move", "walk"]

Move = Callable[[World, Pick], None]
MOVES: Final[Sequence[Move]] = (
    *(World.send,) * 8,
    *(World.trade,) * 3,
    *(World.quote,) * 2,
    *(World.quote_all,) * 2,
    World.quote_oddly,
    World.miss_messages,
    *(World.fill,) * 3,
    World.fill_late,
    *(World.acknowledge,) * 2,
    *(World.replace,) * 2,
    World.confirm_replace,
    World.decline_replace,
    World.cancel,
    World.decline_cancel,
    World.end,
    World.reject,
    World.lose_request,
    World.appear,
    World.repeat,
    World.tell_fee,
    World.turn_link,
    World.list_orders,
    World.tell_balance,
    *(World.wait,) * 2,
    World.make_market,
    *(World.burst,) * 2,
    World.halt,
    World.pause,
    *(World.resume,) * 2,
    World.flatten,
    World.lock,
    World.tell_credit,
    World.close_against_own,
    World.confirm_cancel,
    World.restart,
)
# What a rule is about happens more often where it is looked at.
IN_FOCUS: Final[Mapping[str, Sequence[Move]]] = {
    "held": (*(World.close_against_own,) * 12, *(World.confirm_cancel,) * 8, *(World.trade,) * 6),
    "funds": (
        *(World.tell_balance,) * 3,
        *(World.lock,) * 3,
        *(World.tell_credit,) * 3,
        *(World.send,) * 4,
        World.turn_link,
        World.tell_fee,
    ),
    "max_cancel_rate": (World.cancel, World.cancel, World.make_market, World.restart),
    "max_daily_loss": (
        *(World.trade,) * 5,
        *(World.restart,) * 2,
        *(World.wait,) * 2,
        *(World.quote,) * 2,
        World.miss_messages,
    ),
    "max_drawdown": (*(World.trade,) * 4, *(World.quote,) * 4, World.wait, World.restart),
    "max_exposure": (*(World.make_market,) * 4, World.turn_link, World.trade),
    "max_open_orders": (World.make_market, World.turn_link),
    "max_order_notional": (*(World.quote_oddly,) * 3, *(World.miss_messages,) * 2),
    "max_order_rate": (
        World.restart,
        *(World.wait,) * 3,
        *(World.send,) * 4,
        *(World.replace,) * 4,
    ),
    "max_position": (*(World.make_market,) * 4, World.turn_link, World.trade, World.cancel),
    "price_collar_bps": (*(World.quote_oddly,) * 3, *(World.miss_messages,) * 2),
    "self_trade": (*(World.replace,) * 3, *(World.cancel,) * 2, World.turn_link),
    "stale_data": (World.wait, World.miss_messages, *(World.quote_oddly,) * 3),
}


def walk(
    generator: np.random.Generator,
    steps: int,
    *,
    plant: Plant = honest,
    focus: str = "",
    decisions_only: bool = False,
    bend: Bend = lambda _: None,
) -> World:
    """Return a world after some moves, all by a generator's word."""

    def pick(below: int) -> int:
        return int(generator.integers(below))

    tight = "" if focus == "held" else focus
    world = World(pick, plant, focus=tight, decisions_only=decisions_only, bend=bend)
    world.fund(pick)
    world.quote_all(pick)
    moves = (*MOVES, *IN_FOCUS.get(focus, ()))
    for _ in range(steps):
        moves[pick(len(moves))](world, pick)
    return world
