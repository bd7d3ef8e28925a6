"""`botkit status`: one look at a running bot, or at how its last run ended."""

from typing import Any, Final

import click
import msgspec

from botkit.cli.asking import dial, lock_owner, not_running
from botkit.cli.choosing import BotChoice, bot_options, newest_run
from botkit.cli.logs import format_time
from botkit.cli.summary import MEANING
from botkit.cli.tables import writing
from botkit.cli.telling import how_to_clear, order_text, print_orders
from botkit.cli.wording import clock_time, exact_text, fees_text, money, price
from botkit.control import Look, Refusal, StatusTold, StrategyTold, socket_path
from botkit.errors import BotkitError
from botkit.journal import Run
from botkit.killswitch import KillSwitch
from botkit.model import EquityPoint
from botkit.shell import ExitCode

__all__ = ["command"]

SHOWN_MOST: Final = 30
SINGULAR: Final = {"replaces": "replace", "cancels": "cancel", "fills": "fill"}


@click.command("status")
@bot_options
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def command(*, choice: BotChoice, as_json: bool) -> int:
    """Look once at the running bot: venues, strategies, orders, positions, profit.

    The exit code is 0 if it runs, halted or not, and 1 if it does not: then what is told is how
    its last run ended.
    """
    name, line = dial(choice)
    if line is None:
        return _tell_stopped(choice, name, as_json=as_json)
    with line:
        status = line.ask(Look())
    if status is None:
        return _tell_stopped(choice, name, as_json=as_json)
    if not isinstance(status, StatusTold):
        why = status.text if isinstance(status, Refusal) else "is it of another botkit?"
        raise BotkitError(f"bot {name!r} does not tell its status: {why}")
    with writing("the status"):
        if as_json:
            told = {"running": True, **msgspec.to_builtins(status)}
            click.echo(msgspec.json.encode(told))
        else:
            _print(status)
    return ExitCode.CLEAN


def _print(status: StatusTold) -> None:
    doing = status.halted or status.paused.get("") or "trading"
    if status.stopping:
        doing = f"stopping: {status.stopping}"
    click.echo(
        f"{status.mode}  {status.bot}: {doing}\n"
        f"up {clock_time(status.run_ns)}, since {format_time(status.started_ns)}, "
        f"run {status.run_id}, process {status.pid}"
    )
    rows = [*_places(status), *_strategies(status), *_money(status), *_orders(status)]
    for label, text in rows:
        click.echo(f"{label:<12} {text}")
    shown = status.orders[:SHOWN_MOST]
    print_orders(
        "Open orders:" if status.order_count == len(shown) else f"The first {len(shown)}:",
        map(order_text, shown),
    )
    print_orders("Not ours:", status.foreign)


def _places(status: StatusTold) -> list[tuple[str, str]]:
    rows = [
        ("Venue", f"{each.name} " + ("up" if each.up else f"NOT READY: {each.reason or 'down'}"))
        for each in status.venues
    ]
    for market in status.markets:
        age = "never heard" if market.age_s is None else f"heard {market.age_s:.1f} s ago"
        touch = " / ".join(_touch(market.bid_px, market.ask_px))
        blocked = f", no new orders: {market.blocked}" if market.blocked else ""
        rows.append(("Market", f"{market.symbol} {touch}, {age}{blocked}"))
    return rows


def _touch(*prices: float | None) -> list[str]:
    """Return prices with equally many decimals, "-" for one that is not there."""
    places = (
        max(len(f"{px:.10g}".partition(".")[2]) for px in prices if px is not None)
        if any(px is not None for px in prices)
        else 0
    )
    return ["-" if px is None else f"{px:,.{places}f}" for px in prices]


def _strategies(status: StatusTold) -> list[tuple[str, str]]:
    rows: list[tuple[str, str]] = []
    for each in status.strategies:
        why = f" ({each.reason})" if each.reason else ""
        rows.append(
            (
                "Strategy",
                f"{each.name} {each.state}{why}, {each.open_orders} open, {_profit(each)}",
            )
        )
    for held in status.positions:
        at = "" if held.average_px is None else f", entered at {price(held.average_px)}"
        rows.append(
            (
                "Position",
                f"{exact_text(held.qty)} {held.symbol} of {held.strategy or 'no strategy'}{at}",
            )
        )
    return rows


def _profit(strategy: StrategyTold) -> str:
    earned = ", ".join(f"{money(each.equity)} {each.currency}" for each in strategy.profit)
    return f"P&L {earned}" if earned else "no P&L yet"


def _money(status: StatusTold) -> list[tuple[str, str]]:
    rows = [("P&L", _point_text(each)) for each in status.profit]
    total = status.total
    if total is not None and [each.currency for each in status.profit] != [total.currency]:
        told = (
            f"incomplete in {total.currency}: {'; '.join(total.missing)}"
            if total.point is None
            else _point_text(total.point)
        )
        rows.append(("Total", told))
    return rows


def _point_text(point: EquityPoint) -> str:
    return (
        f"{money(point.equity)} {point.currency} (realised {money(point.realised)}, unrealised "
        f"{money(point.unrealised)}, fees {fees_text(point)})"
    )


def _orders(status: StatusTold) -> list[tuple[str, str]]:
    doubt = f", {status.in_doubt} IN DOUBT" if status.in_doubt else ""
    counted = ", ".join(
        f"{count:,} {SINGULAR.get(name, name) if count == 1 else name}"
        for name, count in status.counts.items()
        if count
    )
    return [("Orders", f"{status.order_count} open{doubt}" + (f"; {counted}" if counted else ""))]


# --- not running ----------------------------------------------------------------------------


def _tell_stopped(choice: BotChoice, name: str, *, as_json: bool) -> int:
    """Tell how the last run ended; return 1."""
    if lock_owner(socket_path(choice.state_dir, name)) is not None:
        raise not_running(choice, name)
    _, run = newest_run(BotChoice(choice.state_dir, name, choice.config))
    switch = KillSwitch.of(choice.state_dir, name)
    halted = switch.halted
    with writing("the status"):
        if as_json:
            told: dict[str, Any] = {
                "running": False,
                "bot": name,
                "mode": run.mode,
                "run_id": run.run_id,
                "started_ns": run.started_ns,
                "ended_ns": run.ended_ns,
                "exit_code": run.exit_code,
                "reason": run.reason,
                "halted": "" if halted is None else f"halted by {halted.rule}: {halted.reason}",
            }
            click.echo(msgspec.json.encode(told))
            return ExitCode.ERROR
        click.echo(f"{name} is not running. {_end_of(run)}")
        if halted is not None:
            click.echo(
                f"It was halted by {halted.rule} at {format_time(switch.halted_ns)}: "
                f"{halted.reason}\n{how_to_clear(choice, name)}"
            )
    return ExitCode.ERROR


def _end_of(run: Run) -> str:
    which = f"Its last run {run.run_id} ({run.mode}, started {format_time(run.started_ns)})"
    if run.ended_ns is None or run.exit_code is None:
        return (
            f"{which} was killed: botkit orders --open lists what it left open, and the next start "
            "looks after that."
        )
    meaning = MEANING[ExitCode(run.exit_code)]
    return (
        f"{which} ended at {format_time(run.ended_ns)} with exit code {run.exit_code}, because of: "
        f"{run.reason}; {meaning}."
    )
