"""What is said of a run when it is over."""

from collections.abc import Callable
from typing import Any, Final

import attrs

from botkit.cli.status import order_line
from botkit.cli.tally import Tally
from botkit.cli.wording import (
    clock_time,
    exact_text,
    fees_text,
    incomplete_text,
    money,
    plural,
    price,
)
from botkit.model import EquityPoint
from botkit.portfolio import Total
from botkit.shell import Bot, ExitCode

__all__ = ["MEANING", "Outcome", "summarise", "summary_lines", "write_summary"]

MEANING: Final = {
    ExitCode.CLEAN: "nothing of ours rests at a venue",
    ExitCode.ERROR: "an error ended it or one of its strategies; nothing of ours rests at a venue",
    ExitCode.USAGE: "usage or configuration",
    ExitCode.ORDERS_MAY_REST: "ORDERS MAY STILL REST, see above: look at the venue",
    ExitCode.STOPPED_BY_RISK: "halted by risk; nothing of ours rests at a venue",
}
NS_PER_S: Final = 1_000_000_000


@attrs.frozen(kw_only=True)
class Outcome:
    """How a run went besides what its engine knows."""

    mode: str
    exit_code: ExitCode
    reason: str
    run_ns: int
    cpu_ns: int
    full_speed: bool
    remarks: tuple[str, ...] = ()


def summarise(bot: Bot, tally: Tally, outcome: Outcome) -> dict[str, Any]:
    """Return the summary as the journal and `--log json` keep it: numbers and text only."""
    engine = bot.engine
    per_cpu_s = engine.event_count * NS_PER_S / max(outcome.cpu_ns, 1)
    return {
        "mode": outcome.mode,
        "exit_code": int(outcome.exit_code),
        "reason": outcome.reason,
        "seconds": round(outcome.run_ns / NS_PER_S, 3),
        "events": engine.event_count,
        "cpu_seconds": round(outcome.cpu_ns / NS_PER_S, 3),
        "events_per_cpu_second": round(per_cpu_s),
        "orders": tally.counts,
        "profit": [
            {
                "currency": point.currency,
                "realised": str(point.realised),
                "unrealised": str(point.unrealised),
                "fees": str(point.fees),
                "fees_estimated": str(point.fees_estimated),
                "total": str(point.equity),
            }
            for point in engine.portfolio.equity(engine.touch_of, engine.now_ns)
        ],
        "unpriced": {
            currency: list(symbols)
            for currency, symbols in engine.portfolio.incomplete(engine.touch_of).items()
        },
        "total": _total_told(engine.money.total()),
        "positions": [
            {"strategy": view.strategy, "symbol": view.symbol, "qty": str(view.qty)}
            for view in engine.portfolio.positions()
        ],
        "halted": _halted(bot),
        "data": list(outcome.remarks),
        "failed": {slot.name: slot.error for slot in engine.slots.values() if slot.error},
        "resting": [order_line(order) for order in bot.resting()],
        "kept": [order_line(order) for order in bot.kept()],
    }


def write_summary(bot: Bot, tally: Tally, outcome: Outcome, say: Callable[[str], None]) -> None:
    """Say the summary line by line."""
    for line in ["", *summary_lines(bot, tally, outcome)]:
        say(line)


def summary_lines(bot: Bot, tally: Tally, outcome: Outcome) -> list[str]:
    """Return the summary as people read it."""
    return [f"{label:<10} {text}".rstrip() for label, text in _lines(bot, tally, outcome)]


def _lines(bot: Bot, tally: Tally, outcome: Outcome) -> list[tuple[str, str]]:
    return [
        ("Ended", f"{outcome.reason}, after {clock_time(outcome.run_ns)}"),
        *_trading_lines(tally),
        *_money_lines(bot),
        *_resting_lines(bot),
        *(("Data", remark) for remark in outcome.remarks),
        ("Events", _speed(bot.engine.event_count, outcome)),
        ("Exit code", f"{int(outcome.exit_code)}: {MEANING[outcome.exit_code]}"),
    ]


def _trading_lines(tally: Tally) -> list[tuple[str, str]]:
    counts = tally.counts
    also = "".join(
        f", {counts[name]:,} {text}"
        for name, text in (
            ("refused", "refused by the gate"),
            ("rejected", "rejected by the venue"),
            ("replaces", "replaced"),
        )
        if counts[name]
    )
    return [
        ("Orders", f"{counts['submitted']:,} submitted{also}"),
        ("Cancels", f"{counts['cancels']:,}"),
        ("Fills", f"{counts['fills']:,}"),
    ]


def _money_lines(bot: Bot) -> list[tuple[str, str]]:
    engine = bot.engine
    lines = [
        (
            "P&L",
            _profit(point),
        )
        for point in engine.portfolio.equity(engine.touch_of, engine.now_ns)
    ]
    lines += [
        ("P&L", f"unknown in {currency}: no price for {', '.join(symbols)}")
        for currency, symbols in engine.portfolio.incomplete(engine.touch_of).items()
    ]
    currencies = [
        point.currency for point in engine.portfolio.equity(engine.touch_of, engine.now_ns)
    ]
    total = engine.money.total()
    if lines and total is not None and (total.point is None or currencies != [total.currency]):
        lines.append(("Total", _total_line(total)))
    for view in engine.portfolio.positions():
        entered = "" if view.average_px is None else f", entered at {price(view.average_px)}"
        held = f"{exact_text(view.qty)} {view.symbol}" if view.qty else f"flat in {view.symbol}"
        lines.append(("Position", f"{held} ({view.strategy or 'no strategy'}){entered}"))
    return lines or [("P&L", "nothing was traded")]


def _profit(point: EquityPoint) -> str:
    return (
        f"{money(point.equity)} {point.currency}: realised {money(point.realised)}, "
        f"unrealised {money(point.unrealised)}, fees {fees_text(point)}"
    )


def _total_line(total: Total) -> str:
    return incomplete_text(total) if total.point is None else _profit(total.point)


def _total_told(total: Total | None) -> dict[str, Any] | None:
    """Return a total as the journal keeps it; None if none was asked for."""
    if total is None:
        return None
    point = total.point
    return {
        "currency": total.currency,
        "equity": None if point is None else str(point.equity),
        "missing": list(total.missing),
        "rates": {rate.currency: str(rate.value) for rate in total.rates},
    }


def _resting_lines(bot: Bot) -> list[tuple[str, str]]:
    resting, kept = bot.resting(), bot.kept()
    lines = [
        ("Failed", f"{slot.name}: {slot.error}") for slot in bot.engine.slots.values() if slot.error
    ]
    lines += [("Halted", text) for text in [_halted(bot)] if text]
    lines.append(("Resting", f"{plural(len(resting), 'order')} MAY REST" if resting else "nothing"))
    lines += [("", order_line(order)) for order in resting]
    if kept:
        lines.append(("Kept", f"{plural(len(kept), 'order')}, as the strategy wanted"))
        lines += [("", order_line(order)) for order in kept]
    return lines


def _halted(bot: Bot) -> str:
    halted = bot.engine.guard.halted
    return "" if halted is None else f"by {halted.rule}: {halted.reason}"


def _speed(event_count: int, outcome: Outcome) -> str:
    cpu_s = outcome.cpu_ns / NS_PER_S
    if outcome.full_speed and outcome.cpu_ns:
        return f"{event_count:,} in {cpu_s:.2f} s of CPU: {event_count / cpu_s:,.0f} events/s"
    return f"{event_count:,}, {cpu_s:.2f} s of CPU"
