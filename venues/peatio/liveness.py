"""How soon Peatio's adapter notices what dies, and how soon it can end orders."""

from typing import Final

from botkit.ports import Liveness, Term, Watched
from botkit.transport import HttpLimits
from venues.peatio.options import PeatioOptions

__all__ = ["liveness"]

NS_PER_S: Final = 1_000_000_000


def liveness(options: PeatioOptions) -> Liveness:
    """Return it, as configured."""
    answer_s, connect_s = options.answer_within / NS_PER_S, options.connect_within / NS_PER_S
    check_s = options.check_after / NS_PER_S
    if options.generation == "websocket_api":
        silence: tuple[Term, ...] = (Term("silent_for", options.silent_for / NS_PER_S),)
    else:
        silence = (
            Term("ping_every", options.ping_every / NS_PER_S),
            Term("pong_within", options.pong_within / NS_PER_S),
        )
    by_rest = (Term("answer_within (REST)", answer_s),)
    return Liveness(
        streams=(Watched(name="books, orders", terms=silence),),
        cancel=by_rest,
        cancel_while_down=by_rest,
        cancels_at_once=HttpLimits().max_connections,
        connect=(
            Term("connect_within (and to sign in)", 2 * connect_s),
            Term("answer_within (balances, orders)", 2 * answer_s),
        ),
        prepare=(Term("answer_within (list of markets)", answer_s),),
        budgets=(
            f"{options.max_requests_per_second} requests a second",
            f"{options.cancel_reserve} of them for cancels alone",
        ),
        deadlines=(
            Term("connect_within", connect_s),
            Term("answer_within", answer_s),
            Term("check_after, a cancel that nothing is said of", check_s),
        ),
    )
