"""What earlier runs of a bot left behind, looked at before the next one starts."""

from collections.abc import Callable, Mapping
from typing import Final

from botkit.cli.logs import format_time
from botkit.cli.wording import plural
from botkit.errors import ConfigError
from botkit.journal import OpenRun, SqliteJournal
from botkit.ports import OrderRecord, Venue

__all__ = ["settle_earlier_runs"]

IN_PROCESS: Final = frozenset({"PAPER", "REPLAY"})


def settle_earlier_runs(
    journal: SqliteJournal,
    venues: Mapping[str, Venue],
    say: Callable[[str], None],
    *,
    live: bool = False,
) -> list[OpenRun]:
    """Say of each run that was left open what became of its orders; return those to take over.

    A run whose orders ended with its process is closed. One with orders at a venue that outlives
    it can be taken over by a `live` run alone.

    Raises
    ------
    ConfigError
        Orders may still rest where this run sends none.
    """
    problems: list[str] = []
    left: list[OpenRun] = []
    for run in journal.unfinished():
        resting = [order for order in run.orders if not _ended_with_its_process(run, order, venues)]
        if resting and live and all(_venue_of(order) in venues for order in resting):
            count = plural(len(resting), "order")
            say(f"{_named(run)}; {count} may rest and will be canceled before anything trades.")
            left.append(run)
            continue
        if resting:
            problems += _still_there(run, resting)
            continue
        gone = ""
        if run.orders:
            gone = (
                f"; its {plural(len(run.orders), 'open order')} ended with it, since its venue "
                "was inside the process"
            )
        say(f"{_named(run)}{gone}.")
        journal.mark_swept(run.run_id, f"ended with their process: {len(run.orders)}")
    if problems:
        raise ConfigError(problems)
    return left


def _venue_of(order: OrderRecord) -> str:
    return order.request.symbol.partition(":")[0]


def _named(run: OpenRun) -> str:
    ended = "was killed" if run.exit_code is None else f"ended with exit code {run.exit_code}"
    return f"Earlier run {run.run_id} ({run.mode}, started {format_time(run.started_ns)}) {ended}"


def _ended_with_its_process(run: OpenRun, order: OrderRecord, venues: Mapping[str, Venue]) -> bool:
    venue = venues.get(_venue_of(order))
    return run.mode in IN_PROCESS or (venue is not None and not venue.keeps_orders)


def _still_there(run: OpenRun, orders: list[OrderRecord]) -> list[str]:
    head = (
        f"{_named(run)}, and {plural(len(orders), 'order')} may still rest at a venue that this "
        "run sends no orders to: botkit guard CONFIG --now cancels them (--live does so too), or "
        "look there and say how each ended, as in "
        "botkit resolve ORDER --as canceled --reason TEXT:"
    )
    return [
        head,
        *(
            f"  {'/'.join(order.resting_ids or order.client_order_ids)}  "
            f"{order.request.side.value.lower()} {order.request.order_qty} "
            f"{order.request.symbol} at {order.request.price}"
            for order in orders
        ),
    ]
