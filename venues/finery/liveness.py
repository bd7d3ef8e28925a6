"""How soon Finery's adapter notices what dies, and how soon it can end orders."""

from typing import Final

from botkit.ports import Liveness, NativeCancel, Term, Watched
from botkit.transport import HttpLimits
from venues.finery.options import FineryOptions

__all__ = ["SILENT_S", "liveness"]

NS_PER_S: Final = 1_000_000_000
SILENT_S: Final = 80.0
"""After how long the venue closes a connection on which it hears nothing: its API page."""


def liveness(options: FineryOptions, *, asks: bool) -> Liveness:
    """Return it, as configured; `asks` for the venue's own cancel-on-disconnect."""
    ping_s, pong_s = options.ping_every / NS_PER_S, options.pong_within / NS_PER_S
    answer_s, connect_s = options.answer_within / NS_PER_S, options.connect_within / NS_PER_S
    beat = (Term("ping_every", ping_s), Term("pong_within", pong_s))
    return Liveness(
        streams=(Watched(name="books, orders, order entry", terms=beat),),
        cancel=(Term("answer_within", answer_s),),
        cancel_while_down=(Term("answer_within (REST)", answer_s),),
        cancels_at_once=HttpLimits().max_connections,
        connect=(Term("connect_within", connect_s), Term("answer_within", answer_s)),
        prepare=(Term("connect_within (list of instruments)", connect_s),),
        native=NativeCancel(
            asked=asks,
            ended=None,  # "is canceled": no figure
            silent=(Term("until the venue closes a silent connection (its page)", SILENT_S),),
        ),
        budgets=(
            f"{options.max_requests_per_second} requests a second, a fifth for cancels alone",
        ),
        deadlines=(
            Term("connect_within", connect_s),
            Term("pong_within", pong_s),
            Term("answer_within", answer_s),
        ),
    )
