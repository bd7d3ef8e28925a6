"""A simulated BlinkTrade, and clients that speak to it in JSON, for tests."""

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import Any

import attrs
import pytest
import trio

from botkit.adapter import SimulatorSetup
from botkit.clock import LiveClock
from botkit.errors import VenueDisconnectedError
from botkit.matching.exchange import OrderTerms
from botkit.model import Side
from botkit.testing.network import SimulatedNetwork, open_network
from botkit.testing.simulated import START_NS
from botkit.transport import WsLink, open_ws
from venues.blinktrade.simulator import BlinkTradeSimulator

__all__ = [
    "BTC",
    "connect",
    "login",
    "open_client",
    "open_exchange",
    "order",
    "stranger_trades",
    "subscription",
]

BTC = 10**8


@attrs.define(kw_only=True, eq=False)
class Client:
    """One WebSocket, spoken to in JSON."""

    link: WsLink
    simulator: BlinkTradeSimulator
    network: SimulatedNetwork
    heard: list[dict[str, Any]] = attrs.field(factory=list)

    async def send(self, **message: Any) -> None:
        await self.link.send(json.dumps(message))

    async def expect(self, kind: str, **fields: Any) -> dict[str, Any]:
        """Return the next message of a kind with these fields; what comes before is kept."""
        with trio.fail_after(5):
            while True:
                for message in [*self.heard]:
                    self.heard.remove(message)
                    if message["MsgType"] == kind and fields.items() <= message.items():
                        return message
                await self._receive()
        raise AssertionError("not reached")

    async def _receive(self) -> None:
        self.heard += [json.loads(frame) for frame in await self.link.receive_batch()]

    async def settle(self) -> list[dict[str, Any]]:
        """Return everything that comes within a second."""
        with trio.move_on_after(1.0):
            while True:
                await self._receive()
        heard, self.heard = self.heard, []
        return heard

    async def log_in(self, name: str = "test-key-alice", **fields: Any) -> dict[str, Any]:
        await self.send(**login(name, **fields))
        return await self.expect("BF")

    async def order(self, name: str, side: str, price: int, qty: float = 1, **more: Any) -> None:
        """Send a limit order in whole dollars and bitcoins."""
        await self.send(**order(name, side, price, qty), **more)

    async def ended(self) -> tuple[dict[str, Any], int | None]:
        """Return the ERROR that came, and the code the link was closed with."""
        error = await self.expect("ERROR")
        with pytest.raises(VenueDisconnectedError):
            await self._drain()
        return error, self.link.close_code

    async def _drain(self) -> None:
        while True:  # what was on its way
            await self._receive()


def login(name: str = "test-key-alice", **fields: Any) -> dict[str, Any]:
    member = name.rpartition("-")[2]
    return {
        "MsgType": "BE", "UserReqID": 7, "BrokerID": 5, "Username": name,
        "Password": f"test-password-{member}", "UserReqTyp": "1", "FingerPrint": 1, **fields,
    }  # fmt: skip


def order(name: str, side: str, price: int, qty: float = 1) -> dict[str, Any]:
    return {
        "MsgType": "D", "ClOrdID": name, "Symbol": "BTCUSD", "Side": side, "OrdType": "2",
        "Price": price * BTC, "OrderQty": int(qty * BTC), "BrokerID": 5,
    }  # fmt: skip


def subscription(req_id: int = 77, **fields: Any) -> dict[str, Any]:
    return {
        "MsgType": "V", "MDReqID": req_id, "SubscriptionRequestType": "1", "MarketDepth": 0,
        "MDUpdateType": "1", "MDEntryTypes": ["0", "1", "2"], "Instruments": ["BTCUSD"], **fields,
    }  # fmt: skip


@asynccontextmanager
async def open_exchange(
    quirks: Mapping[str, Any] | None = None, *, quiet: bool = True
) -> AsyncIterator[tuple[BlinkTradeSimulator, SimulatedNetwork]]:
    clock = LiveClock(origin_ns=START_NS)
    simulator = BlinkTradeSimulator(
        SimulatorSetup(clock=clock, seed=1, quirks=quirks or {}, quiet=quiet)
    )
    async with trio.open_nursery() as nursery, open_network() as network:
        nursery.start_soon(simulator.run)
        network.listen("exchange.test", 80, simulator.server.serve)
        yield simulator, network
        nursery.cancel_scope.cancel()


@asynccontextmanager
async def connect(
    simulator: BlinkTradeSimulator, network: SimulatedNetwork
) -> AsyncIterator[Client]:
    async with open_ws("ws://exchange.test/trade/", dial=network.dial) as link:
        yield Client(link=link, simulator=simulator, network=network)


@asynccontextmanager
async def open_client(name: str = "test-key-alice", **quirks: Any) -> AsyncIterator[Client]:
    """Connect and log in; "" stays a stranger."""
    async with open_exchange(quirks) as ends, connect(*ends) as client:
        if name:
            await client.log_in(name)
        yield client


def stranger_trades(client: Client, side: Side, price: int, qty: str) -> None:
    """Have bob send an order at the exchange."""
    market = client.simulator.market
    terms = OrderTerms(symbol="BTCUSD", side=side, order_qty=Decimal(qty), price=Decimal(price))
    market.tell(market.exchange.submit("bob", terms, market.catch_up()))
