"""The status view: what a running bot looks like on a terminal, about four times a second.

`snapshot` only looks, in the loop; drawing happens in the output's thread, from the snapshot.
"""

from collections import deque
from collections.abc import Sequence
from decimal import Decimal
from math import isnan, nan
from typing import Final

import attrs
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from botkit.cli.logs import format_time
from botkit.cli.tally import Tally
from botkit.cli.wording import clock_time, fees_text, incomplete_text, money, number, price
from botkit.model import EquityPoint
from botkit.orders import Order
from botkit.portfolio import PositionView, Total
from botkit.shell import Bot

__all__ = ["LogLine", "Snapshot", "StatusSink", "render", "snapshot"]

NS_PER_S: Final = 1_000_000_000
ORDERS_SHOWN: Final = 8
LINES_SHOWN: Final = 6
ECHO_WIDTH: Final = 4
LOUD: Final = frozenset({"error", "critical"})
MODE_STYLE: Final = {"LIVE": "bold white on red", "PAPER": "bold black on green"}


@attrs.frozen
class LogLine:
    """One finished line of the log."""

    level: str
    text: str


@attrs.frozen(kw_only=True)
class MarketLine:
    """One instrument: its best bid and ask, and how old the last word is (nan: none yet)."""

    symbol: str
    bid_px: float
    ask_px: float
    age_s: float
    blocked: str


@attrs.frozen(kw_only=True)
class Snapshot:
    """Everything the view shows, as plain values."""

    mode: str
    bot: str
    stopping: str
    now_ns: int
    run_ns: int
    event_count: int
    venues: dict[str, str]  # name -> "" if up, else why not
    markets: list[MarketLine]
    positions: list[PositionView]
    orders: list[str]
    order_count: int
    equity: list[EquityPoint]
    counts: dict[str, int]
    total: Total | None = None


def snapshot(bot: Bot, tally: Tally, *, mode: str, started_ns: int) -> Snapshot:
    """Return what `bot` looks like now; reads only."""
    engine, now_ns = bot.engine, bot.clock.now_ns()
    working = engine.orders.working()
    status = engine.lifecycle.venue_status
    venues = dict.fromkeys(channel.instrument.venue for channel in engine.channels.values())
    return Snapshot(
        mode=mode,
        bot=bot.name,
        stopping=engine.lifecycle.stopping or _halted(bot),
        now_ns=now_ns,
        run_ns=now_ns - started_ns,
        event_count=engine.event_count,
        venues={
            name: ("" if status[name].up else status[name].reason or "down")
            if name in status
            else "not connected yet"
            for name in venues
        },
        markets=[_market_line(bot, symbol, now_ns) for symbol in engine.channels],
        positions=[view for view in engine.portfolio.positions() if view.qty or view.realised],
        orders=[order_line(order) for order in working[:ORDERS_SHOWN]],
        order_count=len(working),
        equity=engine.portfolio.equity(engine.touch_of, now_ns),
        counts=tally.counts,
        total=engine.money.total(),
    )


def _halted(bot: Bot) -> str:
    halted = bot.engine.guard.halted
    return "" if halted is None else f"halted by {halted.rule}: {halted.reason}"


def _market_line(bot: Bot, symbol: str, now_ns: int) -> MarketLine:
    channel = bot.engine.channels[symbol]
    market = channel.market
    told = [event.receive_time_ns for event in (market.quote, market.trade) if event is not None]
    bid_px, ask_px = market.touch
    return MarketLine(
        symbol=symbol,
        bid_px=bid_px,
        ask_px=ask_px,
        age_s=(now_ns - max(told)) / NS_PER_S if told else nan,
        blocked=channel.blocked,
    )


def order_line(order: Order) -> str:
    """Return what a person wants to know of one order."""
    price = f" at {order.price}" if order.price is not None else " at market"
    filled = f", {order.cum_qty} filled" if order.cum_qty else ""
    return (
        f"{order.client_order_id}  {order.side.value.lower()} {order.order_qty} "
        f"{order.symbol}{price}  {order.ord_status.value}{filled}"
    )


class StatusSink:
    """Redraws the newest snapshot in place; errors stay above it, other lines pass through it."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._lines: deque[LogLine] = deque(maxlen=LINES_SHOWN)
        self._rate = _Rate()
        self._latest: Snapshot | None = None
        self._live = Live(console=console, auto_refresh=False, transient=True)
        self._live.start()

    def write(self, item: LogLine | Snapshot) -> None:
        """Take a line or a newer snapshot."""
        if isinstance(item, Snapshot):
            self._rate.add(item.run_ns, item.event_count)
            self._latest = item
            # Room on the right: the terminal echoes ^C there, which must not begin another line.
            width = max(self._console.width - ECHO_WIDTH, 1)
            picture = render(item, self._lines, self._rate.per_s, width)
            self._live.update(picture, refresh=True)
        elif item.level in LOUD:
            self._live.console.print(Text(item.text, style="red"))
        else:
            self._lines.append(item)

    def idle(self) -> None:
        """Leave the last picture standing."""

    def close(self) -> None:
        """Take the view away and give the cursor back; the last lines stay."""
        self._live.stop()
        for line in self._lines:
            self._console.print(Text(line.text, style=_line_style(line)))


class _Rate:
    """Events per second of the bot's time over the last few snapshots."""

    def __init__(self) -> None:
        self._seen: deque[tuple[int, int]] = deque(maxlen=9)

    def add(self, run_ns: int, event_count: int) -> None:
        self._seen.append((run_ns, event_count))

    @property
    def per_s(self) -> float:
        (from_ns, from_count), (to_ns, to_count) = self._seen[0], self._seen[-1]
        return (to_count - from_count) * NS_PER_S / (to_ns - from_ns) if to_ns > from_ns else 0.0


def render(view: Snapshot, lines: Sequence[LogLine], per_s: float, width: int) -> RenderableType:
    """Return the picture of one snapshot, `width` columns wide."""
    head = Text.assemble(
        (f" {view.mode} ", MODE_STYLE[view.mode]),
        (f" {view.bot} ", "bold"),
        f" {clock_time(view.run_ns)}  {format_time(view.now_ns)}  {number(per_s)} events/s",
    )
    if view.stopping:
        head.append(f"  stopping: {view.stopping}", style="bold yellow")
    counted = "  ".join(f"{name} {count:,}" for name, count in view.counts.items() if count)
    parts: list[RenderableType] = [head, _markets(view)]
    if view.positions or view.equity:
        parts.append(_money(view))
    parts.append(_orders(view, counted))
    if lines:
        parts.append(Text("\n").join(Text(each.text, style=_line_style(each)) for each in lines))
    hint = "Ctrl-C cancels every order and ends; twice ends at once"
    border = "red" if view.mode == "LIVE" else "dim"
    return Panel(Group(*parts), subtitle=hint, border_style=border, width=width)


def _line_style(line: LogLine) -> str:
    return {"warning": "yellow", "error": "red", "critical": "bold red"}.get(line.level, "dim")


def _table(*columns: str) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    for index, column in enumerate(columns):
        table.add_column(column, justify="right" if index else "left", no_wrap=True)
    return table


def _markets(view: Snapshot) -> RenderableType:
    table = _table("market", "bid", "ask", "heard", "venue")
    for market in view.markets:
        down = view.venues[market.symbol.partition(":")[0]]
        state = Text(down or market.blocked or "up", style="red" if down or market.blocked else "")
        age = "never" if isnan(market.age_s) else f"{max(market.age_s, 0.0):.1f} s ago"
        table.add_row(market.symbol, _px(market.bid_px), _px(market.ask_px), age, state)
    return table


def _px(price: float) -> str:
    return "-" if isnan(price) else f"{price:,.10g}"


def _money(view: Snapshot) -> RenderableType:
    positions = _table("position", "qty", "entered at", "strategy")
    for each in view.positions:
        entered = "-" if each.average_px is None else price(each.average_px)
        positions.add_row(each.symbol, str(each.qty), entered, each.strategy)
    profit = _table("P&L", "realised", "unrealised", "fees", "total")
    for point in view.equity:
        _add_profit(profit, point.currency, point)
    total = view.total
    if total is None:
        return Group(positions, profit)
    if total.point is None:
        return Group(positions, profit, Text(f"total {incomplete_text(total)}", style="yellow"))
    _add_profit(profit, f"total {total.currency}", total.point)
    return Group(positions, profit)


def _add_profit(table: Table, name: str, point: EquityPoint) -> None:
    total = Text(money(point.equity), style="red" if point.equity < Decimal(0) else "green")
    table.add_row(name, money(point.realised), money(point.unrealised), fees_text(point), total)


def _orders(view: Snapshot, counted: str) -> RenderableType:
    head = Text(f"working orders {view.order_count}   {counted}", style="dim")
    more = view.order_count - len(view.orders)
    lines = [*view.orders, *([f"... and {more} more"] if more > 0 else [])]
    return Group(head, *(Text(line) for line in lines))
