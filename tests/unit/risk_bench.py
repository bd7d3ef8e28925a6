"""A rig with rules as a config has them, and short words for what the tests of risk do."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final

from botkit.assembly import build_rules
from botkit.config import BotConfig, Config, StrategyConfig, VenueConfig
from botkit.model import Balance, CreditLimit, Halted, OrdStatus, Side, Tick
from botkit.orders import Order
from botkit.ports import Capabilities, Checked, Verdict
from botkit.testing import SYMBOL, build_quote, time_ns
from botkit.testing.engine_rig import CAPABLE, Actor, EngineRig

ETH: Final = "paper:ETH-EUR"
CROSS: Final = "paper:ETH-BTC"


def config(risk: Mapping[str, Any], symbols: tuple[str, ...] = (SYMBOL,)) -> Config:
    """Return a config of the strategies a and b at the venue paper, with rules."""
    return Config(
        bot=BotConfig(name="rig"),
        venues={"paper": VenueConfig(name="paper", type="paper")},
        strategies=tuple(
            StrategyConfig(type="x", name=name, instruments=symbols, clean_up=1) for name in "ab"
        ),
        risk=risk,
        source="rig.toml",
        base_dir=".",
    )


class RiskBench(EngineRig):
    """Two strategies, a and b; a quote of 99 to 101 for every symbol; time in seconds."""

    def __init__(
        self,
        risk: Mapping[str, Any],
        *,
        symbols: tuple[str, ...] = (SYMBOL,),
        capabilities: Capabilities = CAPABLE,
        quoted: bool = True,
        **terms: Any,
    ) -> None:
        self.actors = Actor(), Actor()
        super().__init__(
            *self.actors,
            symbols=symbols,
            rules=build_rules(config(risk, symbols)),
            capabilities=capabilities,
            **terms,
        )
        self.fills = 0
        self.start()
        if quoted:
            for symbol in symbols:
                self.quote(0, 99, 101, symbol=symbol)

    def quote(self, after_s: float, bid: float, ask: float, symbol: str = SYMBOL) -> None:
        """Deliver a quote."""
        self.engine.handle(build_quote(after_s, bid, ask, symbol=symbol))

    def tick(self, after_s: float) -> None:
        """Let time pass."""
        self.engine.handle(Tick(time_ns(after_s)))

    def place(
        self, side: Side, qty: str, price: str | None = None, *, of: int = 0, **terms: Any
    ) -> Order:
        """Place an order of a (0) or b (1)."""
        actor = self.actors[of]
        symbol = terms.pop("symbol", SYMBOL)
        place = actor.buy if side is Side.BUY else actor.sell
        return place(self.engine.channels[symbol].instrument, qty, price=price, **terms)

    def buy(self, qty: str, price: str | None = "100", **terms: Any) -> Order:
        """Place a buy."""
        return self.place(Side.BUY, qty, price, **terms)

    def sell(self, qty: str, price: str | None = "100", **terms: Any) -> Order:
        """Place a sell."""
        return self.place(Side.SELL, qty, price, **terms)

    def ack(self, order: Order) -> None:
        """Let the venue say that it works."""
        self.report(order, OrdStatus.NEW, 0)

    def fills_at(self, order: Order, qty: str, px: str, after_s: float = 0, **fields: Any) -> None:
        """Fill some of an order."""
        self.fills += 1
        self.fill(order, qty, px, after_s, exec_id=f"x{self.fills}", **fields)

    def hold(self, qty: str, px: str = "100", **terms: Any) -> None:
        """Bring about a position: bought, or sold if `qty` is negative."""
        number = Decimal(qty)
        side = Side.BUY if number > 0 else Side.SELL
        order = self.place(side, str(abs(number)), px, **terms)
        self.fills_at(order, str(abs(number)), px, symbol=order.symbol)

    def balance(self, currency: str, total: str, after_s: float = 0, *, locked: str = "0") -> None:
        """Let the venue tell a balance; `locked` is what orders reserve of it there."""
        self.engine.handle(
            Balance(
                venue="paper",
                currency=currency,
                total=Decimal(total),
                available=Decimal(total) - Decimal(locked),
                receive_time_ns=time_ns(after_s),
            )
        )

    def credit(self, currency: str, counterparty: str = "", **terms: str) -> None:
        """Let the venue tell a limit: `net`, `gross`, and `net_used`, `gross_used` (0)."""
        told = {"net_used": "0", "gross_used": "0", **terms}
        limits: dict[str, Any] = {name: Decimal(value) for name, value in told.items()}
        self.engine.handle(
            CreditLimit(venue="paper", currency=currency, counterparty=counterparty, **limits)
        )

    def verdict(self) -> Verdict:
        """Return the last rule's word on the last request."""
        found: Verdict = self.recorded(Checked)[-1].verdicts[-1]
        return found

    def halted(self) -> Halted | None:
        """Return why the engine is halted; None if it is not."""
        return self.engine.guard.halted

    def margin(self) -> Decimal | None:
        """Return the margin of that word."""
        return self.verdict().margin
