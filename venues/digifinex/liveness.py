"""How soon DigiFinex's adapter notices what dies, and how soon it can end orders."""

from typing import Final

from botkit.ports import Liveness, Term, Watched
from venues.digifinex.options import DigiFinexOptions

__all__ = ["liveness"]

NS_PER_S: Final = 1_000_000_000


def liveness(options: DigiFinexOptions) -> Liveness:
    """Return it, as configured."""
    ping_s, pong_s = options.ping_every / NS_PER_S, options.pong_within / NS_PER_S
    answer_s, connect_s = options.answer_within / NS_PER_S, options.connect_within / NS_PER_S
    by_rest = (Term("answer_within (REST)", answer_s),)
    return Liveness(
        streams=(
            Watched(
                name="books, orders",
                terms=(Term("ping_every", ping_s), Term("pong_within", pong_s)),
            ),
        ),
        cancel=by_rest,
        cancel_while_down=by_rest,
        cancels_at_once=options.cancels_per_call,
        connect=(
            Term("connect_within", connect_s),
            Term("answer_within (time, login, balances, orders)", 5 * answer_s),
        ),
        prepare=(Term("answer_within (list of markets)", answer_s),),
        budgets=(
            f"{options.posts_per_minute} orders and cancels a minute",
            f"up to {options.cancels_per_call} cancels in a call",
        ),
        deadlines=(
            Term("connect_within", connect_s),
            Term("pong_within", pong_s),
            Term("answer_within", answer_s),
        ),
    )
