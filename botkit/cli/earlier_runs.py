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
    journal: SqliteJournal, venues: Mapping[str, Venue], say: Callable[[str], None]
) -> None:
    """Say of each run that was left open what became of its orders, and close it.

    Raises
    ------
    ConfigError
        Orders of one may still rest at a venue that outlives the process.
    """
    problems: list[str] = []
    for run in journal.unfinished():
        resting = [order for order in run.orders if not _ended_with_its_process(run, order, venues)]
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


def _named(run: OpenRun) -> str:
    ended = "was killed" if run.exit_code is None else f"ended with exit code {run.exit_code}"
    return f"Earlier run {run.run_id} ({run.mode}, started {format_time(run.started_ns)}) {ended}"


def _ended_with_its_process(run: OpenRun, order: OrderRecord, venues: Mapping[str, Venue]) -> bool:
    venue = venues.get(order.request.symbol.partition(":")[0])
    return run.mode in IN_PROCESS or (venue is not None and not venue.keeps_orders)


def _still_there(run: OpenRun, orders: list[OrderRecord]) -> list[str]:
    head = (
        f"{_named(run)}, and {plural(len(orders), 'order')} may still rest at a venue; "
        "look there and cancel them, this botkit cannot sweep it, then say how each ended, as in "
        "botkit resolve ORDER --as canceled --reason TEXT:"
    )
    return [
        head,
        *(
            f"  {'/'.join(order.resting_ids)}  {order.request.side.value.lower()} "
            f"{order.request.order_qty} {order.request.symbol} at {order.request.price}"
            for order in orders
        ),
    ]
