"""Three bots on three accounts of one simulated exchange, doing anything."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final

import trio

from botkit.config import BotConfig, Config, StrategyConfig, VenueConfig
from botkit.shell import Bot, run_bot
from botkit.testing.simulation import (
    QUIET_S,
    World,
    differing_books,
    differing_orders,
    open_world,
    run_seeded,
)

__all__ = ["disagreements"]

MEMBERS: Final = ("alice", "bob", "carol")
ROUND_S: Final = 20.0


def disagreements(
    venue: str,
    symbol: str,
    options: Mapping[str, Mapping[str, Any]],
    *,
    seed: int,
    rounds: int,
    qty: str,
    quirks: Mapping[str, Any] | None = None,
    fees_in_base: bool = False,
) -> tuple[list[str], int]:
    """Return what the bots and the exchange differ in, and how many orders there were.

    Parameters
    ----------
    options
        By member: the venue's table of the config.
    rounds
        Of 20 simulated seconds, 200 actions of each bot; each ends at a quiet point.
    fees_in_base
        Whether the venue tells what fees take of the base currency, so that positions have it.
    """

    async def main() -> tuple[list[str], int]:
        configs = {
            name: _config(symbol, name, options[name], seed=seed, qty=qty) for name in MEMBERS
        }
        async with open_world(configs["alice"], seed, quirks={venue: quirks or {}}) as world:
            return await _trade(world, venue, configs, seed, rounds, fees_in_base=fees_in_base)

    return run_seeded(main, seed)


def _config(symbol: str, member: str, options: Mapping[str, Any], *, seed: int, qty: str) -> Config:
    venue = symbol.partition(":")[0]
    params = {"seed": seed * 10 + MEMBERS.index(member), "qty": qty}
    return Config(
        bot=BotConfig(name=member),
        venues={venue: VenueConfig(name=venue, type=venue, account="exclusive", options=options)},
        strategies=(
            StrategyConfig(
                name="chaos",
                type="tests.simulation.chaos:Chaos",
                instrument=symbol,
                params=params,
                clean_up=10_000_000_000,
            ),
        ),
        source=f"{member}.toml",
        base_dir=".",
    )


async def _trade(
    world: World,
    venue: str,
    configs: Mapping[str, Config],
    seed: int,
    rounds: int,
    *,
    fees_in_base: bool,
) -> tuple[list[str], int]:
    told: list[str] = []
    bots: dict[str, Bot] = {}
    async with trio.open_nursery() as nursery:
        for member, config in configs.items():
            bot, _, links = await world.build(config, run_id=f"s{seed}", seed=seed)
            bots[member] = bot
            nursery.start_soon(run_bot, bot, links)
        market = world.simulators[venue].market
        for number in range(rounds):
            await trio.sleep(ROUND_S)
            _hold(bots, market, held=True)
            await trio.sleep(QUIET_S)
            for member, bot in bots.items():
                faults = [
                    *differing_books(bot, world.simulators),
                    *differing_orders(bot, world.simulators, {venue: member}),
                    *_differing_money(
                        bot, market.exchange.accounts[member], venue, fees_in_base=fees_in_base
                    ),
                ]
                told += [f"round {number}, {member}: {fault}" for fault in faults]
            _hold(bots, market, held=False)
        for bot in bots.values():
            bot.stop.request("the rounds are over")
    orders = sum(market.exchange.accounts[member].orders_received for member in MEMBERS)
    return told, orders


def _hold(bots: Mapping[str, Bot], market: Any, *, held: bool) -> None:
    """Keep everybody from acting, or let them go on."""
    market.pause(paused=held)
    for bot in bots.values():
        for slot in bot.engine.slots.values():
            strategy: Any = slot.strategy
            strategy.is_held = held


def _differing_money(bot: Bot, account: Any, venue: str, *, fees_in_base: bool) -> list[str]:
    """Return a line for each currency in which fills and fees do not explain the balance."""
    moved: dict[str, Decimal] = {}
    for symbol, channel in bot.engine.channels.items():
        instrument = channel.instrument
        for order in (*account.history(), *account.open_orders()):
            if order.symbol != instrument.name:
                continue
            sign = order.side.sign
            takes = fees_in_base and order.fee_currency == instrument.base
            fees = order.fees if takes else Decimal(0)
            change = sign * order.cum_qty - fees
            moved[instrument.base] = moved.get(instrument.base, Decimal(0)) + change
        ours = bot.engine.portfolio.position(symbol)
        if ours != moved.get(instrument.base, Decimal(0)):
            return [f"{venue}: position {ours} for the bot, {moved} at the exchange"]
    return []
