"""What one request costs the simulated exchange.

    python benchmarks/exchange.py [--json] [--orders 20000]

Twenty levels of three orders rest on each side meanwhile. A request's cost includes its events.
`rest` and `cancel` are one order's, `replace` one that loses its place, `trade` an order that
takes part of a resting one, `traders_per_s` how many seconds of a background market with the
default parameters one second of CPU moves.
"""

import gc
import json
import time
from collections.abc import Callable
from decimal import Decimal

import click
import numpy as np

from botkit.matching.exchange import Exchange, OrderAccepted, OrderTerms, TraderParams, Traders
from botkit.model import Instrument, Side, TimeInForce
from botkit.ports import FeeSchedule

SYMBOL = "BTC-EUR"
LEVELS, ORDERS_A_LEVEL = 20, 3
SECOND_NS = 1_000_000_000
LIMIT_US = 30.0


def build() -> Exchange:
    """Return an exchange with a book of sixty orders a side."""
    listed = Instrument(
        symbol=f"sim:{SYMBOL}",
        base="BTC",
        quote="EUR",
        tick_size=Decimal("0.01"),
        lot_size=Decimal("0.0001"),
    )
    fees = FeeSchedule(maker_bps=Decimal(10), taker_bps=Decimal(20))
    exchange = Exchange([listed], fees)
    for name in ("ann", "bob"):
        exchange.open_account(name, {"BTC": Decimal(10**6), "EUR": Decimal(10**10)})
    for level in range(LEVELS):
        for _ in range(ORDERS_A_LEVEL):
            exchange.submit("ann", terms(Side.BUY, 10_000 - level, "100"), 0)
            exchange.submit("ann", terms(Side.SELL, 10_001 + level, "100"), 0)
    return exchange


def terms(side: Side, price: int, qty: str, in_force: TimeInForce = TimeInForce.GTC) -> OrderTerms:
    return OrderTerms(
        symbol=SYMBOL,
        side=side,
        order_qty=Decimal(qty),
        price=Decimal(price),
        time_in_force=in_force,
    )


def cost_us(count: int, step: Callable[[int], object]) -> float:
    """Return microseconds of CPU for one call of `step`."""
    gc.collect()
    started_ns = time.process_time_ns()
    for number in range(count):
        step(number)
    return (time.process_time_ns() - started_ns) / count / 1_000


def measure(count: int) -> dict[str, float]:
    """Return every figure."""
    exchange = build()
    ids: list[int] = []

    def rest(number: int) -> None:
        accepted = exchange.submit("bob", terms(Side.BUY, 9_990 - number % 7, "0.1"), number)[0]
        assert isinstance(accepted, OrderAccepted)
        ids.append(accepted.order.order_id)

    def replace(number: int) -> None:
        exchange.replace("bob", ids[number], count, price=Decimal(9_980 - number % 7))

    figures = {
        "rest_us": cost_us(count, rest),
        "replace_us": cost_us(count, replace),
        "cancel_us": cost_us(count, lambda number: exchange.cancel("bob", ids[number], count)),
        "trade_us": cost_us(
            count,
            lambda _: exchange.submit(
                "bob", terms(Side.BUY, 10_021, "0.01", TimeInForce.IOC), count
            ),
        ),
    }
    figures["step_us"] = max(figures.values())
    params = TraderParams(fair_px=Decimal(10_000))
    traders = Traders(build(), SYMBOL, np.random.default_rng(1), params, start_ns=0)
    moved_s = max(1, count // 200)
    spent_us = cost_us(1, lambda _: traders.act(moved_s * SECOND_NS))
    figures["traders_per_s"] = moved_s / spent_us * 1e6
    return {name: round(value, 2) for name, value in figures.items()}


@click.command()
@click.option("--orders", type=click.IntRange(min=1), default=20_000, show_default=True)
@click.option("--json", "as_json", is_flag=True)
def main(orders: int, *, as_json: bool) -> None:
    """Measure what a request costs; the dearest should stay below 30 us."""
    result = measure(orders)
    if as_json:
        print(json.dumps(result))
        return
    for name, value in result.items():
        print(f"{name:<14} {value}")
    print(f"{'limit_us':<14} {LIMIT_US}")


if __name__ == "__main__":
    main()
