"""How soon Moonbase's adapter notices what dies, and how soon it can end orders."""

from typing import Final

from botkit.ports import Liveness, Term, Watched
from venues.moonbase.options import MoonbaseOptions

__all__ = ["JOIN_WINDOW_S", "liveness"]

NS_PER_S: Final = 1_000_000_000
JOIN_WINDOW_S: Final = 3_600.0
"""In which the venue counts joins."""


def liveness(options: MoonbaseOptions) -> Liveness:
    """Return it, as configured."""
    beat_s, within_s = options.heartbeat_every / NS_PER_S, options.heartbeat_within / NS_PER_S
    answer_s, connect_s = options.answer_within / NS_PER_S, options.connect_within / NS_PER_S
    joins = options.max_joins_per_hour - options.joins_for_watcher
    return Liveness(
        streams=(
            Watched(
                name="books, orders, order entry",
                terms=(Term("heartbeat_every", beat_s), Term("heartbeat_within", within_s)),
            ),
        ),
        cancel=(Term("answer_within", answer_s),),
        cancel_while_down=(Term("answer_within (REST)", answer_s),),
        cancels_at_once=1,  # a nonce must not overtake another
        connect=(
            Term("the hour's joins are spent", JOIN_WINDOW_S),
            Term("connect_within", connect_s),
            Term("answer_within (the join)", answer_s),
        ),
        prepare=(Term("connect_within (list of instruments)", connect_s),),
        budgets=(
            f"{joins} joins an hour, {options.joins_for_watcher} more left to a watcher",
            f"{options.max_requests_per_minute} requests a minute; cancels are not counted",
        ),
        deadlines=(
            Term("connect_within", connect_s),
            Term("heartbeat_within", within_s),
            Term("answer_within", answer_s),
        ),
    )
