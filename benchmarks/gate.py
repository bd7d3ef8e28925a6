"""What the gate costs per order: with every rule on, and with none.

    python benchmarks/gate.py [--json] [--orders 20000]

(a) an order's way from `buy` to the outbox, ack and cancel, with no rule;
(b) the same with all rules on; (c) with all of them twice, for the bot and for the strategy.
Twenty quotes of the strategy's rest on each side meanwhile. The ratio (b) : (a) is what to compare
between machines.
"""

import gc
import json
import time
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import click

from botkit import Strategy
from botkit.assembly import build_rules
from botkit.config import BotConfig, Config, StrategyConfig, VenueConfig
from botkit.engine.riskview import ScopedRule
from botkit.model import Balance, OrdStatus
from botkit.ports import RiskRule
from botkit.testing import SYMBOL, build_quote, time_ns
from botkit.testing.engine_rig import EngineRig

RESTING = 20
RULES: dict[str, Any] = {
    "max_order_notional": "5000",
    "max_order_qty": "5",
    "price_collar_bps": "200",
    "max_open_orders": 100,
    "max_position": "1000",
    "max_exposure": {"limit": "100000000", "currency": "EUR"},
    "max_order_rate": "1000000/1s",
    "max_cancel_rate": "1000000/1s",
    "self_trade": "refuse",
    "stale_data": "5s",
    "funds": "prefunded",
    "max_daily_loss": "500",
    "max_drawdown": "1000",
}


def rules(risk: dict[str, Any]) -> Sequence[RiskRule | ScopedRule]:
    return build_rules(
        Config(
            bot=BotConfig(name="bench"),
            venues={"paper": VenueConfig(name="paper", type="paper")},
            strategies=(StrategyConfig(type="x", name="a", instrument=SYMBOL, clean_up=1),),
            risk=risk,
            source="benchmarks/gate.py",
            base_dir=".",
        )
    )


def cost_us(risk: dict[str, Any], count: int) -> float:
    """Return microseconds of CPU for one order: submit, ack, cancel, canceled."""
    strategy = Strategy()
    rig = EngineRig(strategy, rules=rules(risk))
    rig.start()
    rig.engine.handle(build_quote(0, 99, 101))
    for currency in ("BTC", "EUR"):
        total = Decimal(10_000_000)
        told = Balance(venue="paper", currency=currency, total=total, available=total,
                       receive_time_ns=time_ns(0))  # fmt: skip
        rig.engine.handle(told)
    instrument = strategy.instrument
    for number in range(RESTING):
        strategy.buy(instrument, "0.01", price=Decimal(98 - number))
        strategy.sell(instrument, "0.01", price=Decimal(102 + number))
    gc.collect()
    started_ns = time.process_time_ns()
    for _ in range(count):
        order = strategy.buy(instrument, "0.01", price="98.5")
        assert order.is_open, order.text
        rig.report(order, OrdStatus.NEW, 0)
        order.cancel()
        rig.report(order, OrdStatus.CANCELED, 0)
    return (time.process_time_ns() - started_ns) / count / 1_000


@click.command()
@click.option("--orders", type=click.IntRange(min=1), default=20_000, show_default=True)
@click.option("--json", "as_json", is_flag=True)
def main(orders: int, *, as_json: bool) -> None:
    """Measure what the gate costs per order."""
    none, every = cost_us({}, orders), cost_us(RULES, orders)
    twice = cost_us({**RULES, "strategies": {"a": RULES}}, orders)
    result = {
        "none_us": round(none, 2),
        "all_us": round(every, 2),
        "all_twice_us": round(twice, 2),
        "gate_us": round(every - none, 2),
        "ratio": round(every / none, 2),
    }
    if as_json:
        print(json.dumps(result))
        return
    for name, value in result.items():
        print(f"{name:<14} {value}")


if __name__ == "__main__":
    main()
