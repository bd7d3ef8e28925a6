"""Self-trade: no order that could trade with one of the bot's own, whichever strategy's."""

from decimal import Decimal
from typing import Any, ClassVar, Literal

import attrs

from botkit.errors import ConfigError
from botkit.model import NewOrder, ReplaceOrder
from botkit.ports import RiskContext, Verdict

__all__ = ["SelfTrade"]

ZERO = Decimal(0)
REFUSES = "cancel them first or price it apart"
CANCELS = "they are being canceled, send it again when they are gone"
WAITS = "they are being canceled, and it waits for that"


@attrs.frozen
class SelfTrade:
    """`self_trade = "refuse"`, or `"cancel"` to cancel the resting order as well.

    Every open order on the other side counts: in flight, UNKNOWN, being canceled, either price
    of a replace. One without a limit (MARKET, STOP) meets any price. `measured` is how many are
    in the way. A reducing order has them canceled under either setting: a new one waits until
    they are confirmed gone, is checked again by every rule and goes; a replace is refused until
    then.
    """

    key: ClassVar[str] = "self_trade"
    Value: ClassVar[Any] = Literal["refuse", "cancel"]
    setting: Literal["refuse", "cancel"]

    @classmethod
    def from_config(cls, value: Any, source: str) -> "SelfTrade":
        """Build from the config's value."""
        if value not in ("refuse", "cancel"):
            raise ConfigError(f'{source}: found {value!r}, allowed: "refuse" or "cancel"')
        return cls(value)

    def check(self, request: NewOrder | ReplaceOrder, context: RiskContext) -> Verdict:
        """Refuse what could meet an open order of the bot's own."""
        symbol, side = request.symbol, request.side
        if not context.workload.leaves(symbol, side.opposite):
            return Verdict(self.key, passed=True, limit=ZERO, measured=ZERO)
        met = context.view.meeting(symbol, side, request.price)
        if not met:
            return Verdict(self.key, passed=True, limit=ZERO, measured=ZERO)
        is_reducing = context.is_reducing(request)
        waits = is_reducing and isinstance(request, NewOrder)
        cancels = is_reducing or self.setting == "cancel"
        names = tuple(each.client_order_id for each in met)
        text = (
            f"it could trade with {len(met)} of the bot's own orders in {symbol} "
            f"({', '.join(f'{each.client_order_id} of {each.strategy}' for each in met)}): "
            + (WAITS if waits else CANCELS if cancels else REFUSES)
        )
        return Verdict(
            self.key,
            passed=False,
            limit=ZERO,
            measured=Decimal(len(met)),
            text=text,
            in_the_way=names if cancels else (),
            waits=waits,
        )
