"""A simulated exchange on loopback: what is seen of its books, and who is sent there."""

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import trio

from botkit.config import load
from botkit.errors import ConfigError
from botkit.matching.exchange import OrderTerms
from botkit.model import OrdStatus, Side, TimeInForce
from botkit.testing.loopback import SeenOrder, SimulatedExchange, has_quirk, open_exchange
from botkit.testing.processes import redirected

CONFIGS = Path(__file__).parents[2] / "configs"
SYMBOL = "BTC-EUR"


def order_of_alice(exchange: SimulatedExchange, side: Side, px: str, **terms: Any) -> SeenOrder:
    """Place an order as a client of the exchange does, and return it as it was seen."""
    market = exchange.simulator.market
    now_ns = market.catch_up()
    wanted = OrderTerms(
        symbol=SYMBOL, side=side, order_qty=Decimal("0.001"), price=Decimal(px), **terms
    )
    market.exchange.submit("alice", wanted, now_ns)  # its clients are not told: the watcher is
    return exchange.orders("alice")[-1]


async def test_an_order_is_seen_from_reaching_the_book_to_leaving_it() -> None:
    async with open_exchange("finery") as exchange:
        before_ns = exchange.now_ns()
        seen = order_of_alice(exchange, Side.BUY, "40000")
        assert before_ns <= seen.reached_ns <= exchange.now_ns()
        assert exchange.resting("alice") == [seen]
        assert seen.rested_at(exchange.now_ns())
        assert not seen.rested_at(before_ns - 1)

        exchange.simulator.market.exchange.cancel_all("alice", exchange.now_ns())
        assert (exchange.resting("alice"), seen.ended_as) == ([], OrdStatus.CANCELED)
        assert seen.left_ns is not None
        assert not seen.rested_at(seen.left_ns)
        assert "BUY 0.00100 BTC-EUR at 40000.00" in seen.line()


async def test_orders_that_fill_or_expire_have_left() -> None:
    async with open_exchange("finery") as exchange:
        taker = order_of_alice(exchange, Side.BUY, "60000")
        assert taker.ended_as is OrdStatus.FILLED
        due_ns = exchange.now_ns() + 1_000_000
        mortal = order_of_alice(
            exchange, Side.BUY, "40000", time_in_force=TimeInForce.GTD, expire_time_ns=due_ns
        )
        assert await exchange.until(lambda: not mortal.rests, 5.0)
        assert mortal.ended_as is OrdStatus.EXPIRED


async def test_an_order_that_is_filled_in_part_rests() -> None:
    async with open_exchange("finery") as exchange:
        market = exchange.simulator.market
        ((bid_px, _, _),) = market.exchange.markets[SYMBOL].levels(Side.BUY, 1)
        px = str(bid_px + Decimal("0.01"))
        seen = order_of_alice(exchange, Side.BUY, px)
        terms = OrderTerms(
            symbol=SYMBOL, side=Side.SELL, order_qty=Decimal("0.0004"), price=Decimal(px)
        )
        market.exchange.submit("bob", terms, market.catch_up())
        assert exchange.resting("alice") == [seen]
        (taker,) = exchange.orders("bob")
        assert taker.ended_as is OrdStatus.FILLED


async def test_planted_orders_are_told_from_the_bots_and_watched_for_change() -> None:
    async with open_exchange("finery") as exchange:
        person = exchange.plant("alice", Side.SELL)
        other = exchange.plant("bob", Side.BUY, client_order_id="7", symbol="ETH-EUR")
        assert exchange.planted() == [*exchange.orders("alice", planted=True), other]
        assert exchange.resting("alice") == []
        assert exchange.untouched(person)
        assert exchange.untouched(other)

        engine = exchange.simulator.market.exchange
        engine.replace("bob", other.state.order_id, exchange.now_ns(), price=Decimal(1000))
        engine.cancel("alice", person.state.order_id, exchange.now_ns())
        assert not exchange.untouched(person)
        assert not exchange.untouched(other)


async def test_what_the_exchange_does_not_take_cannot_be_planted() -> None:
    async with open_exchange("finery") as exchange:
        exchange.plant("alice", Side.BUY, client_order_id="7")
        with pytest.raises(ValueError, match="finery does not take"):
            exchange.plant("alice", Side.BUY, client_order_id="7")
        exchange.plant("alice", Side.BUY, client_order_id="8")
        assert len(exchange.planted()) == 2


async def test_orders_are_told_at_the_moment_and_waited_for() -> None:
    async with open_exchange("finery") as exchange:
        told: list[SeenOrder] = []
        exchange.on_order.append(told.append)
        assert not await exchange.until(lambda: bool(told), 0.01)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(exchange.until, lambda: bool(told), 60.0)
            await trio.testing.wait_all_tasks_blocked()
            seen = order_of_alice(exchange, Side.BUY, "40000")
        assert told == [seen]


async def test_the_account_is_told_by_its_key() -> None:
    async with open_exchange("finery") as exchange:
        assert exchange.account_of({"key": "test-key-bob"}) == "bob"
        assert exchange.account_of({"key": "another"}) == "alice"


async def test_quirks_are_asked_for_by_name() -> None:
    assert has_quirk("finery", "ignores_cod")
    assert not has_quirk("peatio", "ignores_cod")


async def test_a_bot_is_sent_to_the_exchanges_here_and_nowhere_else(tmp_path: Path) -> None:
    async with open_exchange("finery", proxied=True) as exchange:
        config = load(CONFIGS / "finery.toml")
        assert exchange.proxy is not None
        assert exchange.port == exchange.proxy.port
        assert redirected(config, {"finery": exchange}) == [
            f'venues.finery.url="ws://127.0.0.1:{exchange.port}/ws"',
            f'venues.finery.rest_url="http://127.0.0.1:{exchange.port}/api"',
        ]
        with pytest.raises(ConfigError, match="would trade at the real venue"):
            redirected(config, {})
        real = tmp_path / "real.toml"
        text = (CONFIGS / "finery.toml").read_text()
        real.write_text("\n".join(each for each in text.split("\n") if "rest_url =" not in each))
        with pytest.raises(ConfigError, match="would trade at the real venue"):
            redirected(load(real), {"finery": exchange})
        assert redirected(load(CONFIGS / "paper.toml"), {}) == []
