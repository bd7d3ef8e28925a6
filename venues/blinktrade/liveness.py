"""How soon BlinkTrade's adapter notices what dies, and how soon it can end orders."""

from typing import Final

from botkit.ports import Liveness, NativeCancel, Term, Watched
from venues.blinktrade.options import BlinkTradeOptions

__all__ = ["liveness"]

NS_PER_S: Final = 1_000_000_000


def liveness(options: BlinkTradeOptions, *, asks: bool) -> Liveness:
    """Return it, as configured; `asks` for the venue's own cancel-on-disconnect."""
    beat_s, within_s = options.beat_every / NS_PER_S, options.beat_within / NS_PER_S
    answer_s, connect_s = options.answer_within / NS_PER_S, options.connect_within / NS_PER_S
    turns = Term(
        "max_open_orders at max_messages_per_second",
        options.max_open_orders / options.max_messages_per_second,
    )
    cancel = (turns, Term("cancel_within", options.cancel_within / NS_PER_S))
    by_rest = (Term("answer_within (REST)", answer_s),)
    return Liveness(
        streams=(
            Watched(
                name="books, orders, order entry",
                terms=(Term("beat_every", beat_s), Term("beat_within", within_s)),
            ),
        ),
        cancel=cancel,
        cancel_while_down=by_rest if options.secret is not None else None,
        connect=(
            Term("connect_within", connect_s),
            Term("answer_within (login, balances, orders)", 3 * answer_s),
        ),
        prepare=(
            Term("connect_within", connect_s),
            Term("answer_within (list of instruments)", answer_s),
        ),
        most_orders=options.max_open_orders,
        cancels_at_once=1,  # a nonce must not overtake another
        native=NativeCancel(asked=asks),  # no figure is documented
        budgets=(
            f"{options.max_messages_per_second} messages a second",
            f"{options.reserve} of them for cancels and heartbeats alone",
        ),
        deadlines=(
            Term("connect_within", connect_s),
            Term("beat_within", within_s),
            Term("answer_within", answer_s),
            Term("cancel_within", options.cancel_within / NS_PER_S),
        ),
    )
