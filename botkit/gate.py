"""The gate: the one road from a strategy to a venue, and the only maker of `Approved`.

Before the rules of `[risk]` come the checks that need no setting: is the venue ready, can it do
what is asked, does the order lie on the instrument's grid and above its least sizes.
"""

from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal, InvalidOperation
from typing import TypeVar

from botkit.model import (
    Approved,
    Instrument,
    NewOrder,
    OrdType,
    Refused,
    ReplaceOrder,
    RequestKind,
    TimeInForce,
)
from botkit.ports import Capabilities, Checker, RiskContext, Verdict

__all__ = ["Gate"]

ZERO = Decimal(0)
R = TypeVar("R", NewOrder, ReplaceOrder)
# Looking a member up in its enum costs as much as a call (Python 3.11).
_LIMIT = OrdType.LIMIT
_GTC = TimeInForce.GTC
PRICED = frozenset({OrdType.LIMIT, OrdType.STOP_LIMIT})
STOPS = frozenset({OrdType.STOP, OrdType.STOP_LIMIT})
AT_ONCE = frozenset({TimeInForce.IOC, TimeInForce.FOK})


class _Passed(Approved[R]):
    """The approval. No other module can make one: see `Approved.__init_subclass__`."""

    __slots__ = ()

    def __init__(self, request: R) -> None:
        self.request = request


class Gate:
    """Approves or refuses new orders and replaces; refusing is a value, never an exception.

    Parameters
    ----------
    rules
        Run in this order; the first that refuses decides.
    capabilities
        By venue name.
    """

    def __init__(self, rules: Sequence[Checker], capabilities: Mapping[str, Capabilities]) -> None:
        self._checks: tuple[Callable[[NewOrder | ReplaceOrder, RiskContext], Verdict], ...] = tuple(
            rule.check for rule in rules
        )
        self._capabilities = capabilities
        self.restraint = ""  # why only reducing orders pass; empty while all may
        self.verdicts: Sequence[Verdict] = ()  # on the latest request, by rules with a limit

    def approve_new(self, request: NewOrder, context: RiskContext) -> Approved[NewOrder] | Refused:
        """Return `request` approved, or the refusal that says which rule and by how much."""
        self.verdicts = ()
        instrument = context.instrument
        verdict = _offered(request, self._capabilities[instrument.venue])
        if verdict is None and not _is_plain(request, instrument):
            verdict = (
                _grid(request.order_qty, request.price, instrument)
                or _shape(request)
                or _stop(request.stop_px, instrument)
            )
        if verdict is None:
            verdict = self._rules(request, context)
        if verdict is None:
            return _Passed(request)
        return refusal(request, RequestKind.NEW, verdict)

    def approve_replace(
        self, request: ReplaceOrder, context: RiskContext
    ) -> Approved[ReplaceOrder] | Refused:
        """Return `request` approved, or the refusal."""
        self.verdicts = ()
        instrument = context.instrument
        if not self._capabilities[instrument.venue].replace:
            text = f"{instrument.venue} has no replace: cancel the order and send a new one"
            verdict: Verdict | None = Verdict("venue_offers", passed=False, text=text)
        else:
            verdict = (
                _grid(request.order_qty, request.price, instrument)
                or _price_shape(request)
                or self._rules(request, context)
            )
        if verdict is None:
            return _Passed(request)
        return refusal(request, RequestKind.REPLACE, verdict)

    def _rules(self, request: NewOrder | ReplaceOrder, context: RiskContext) -> Verdict | None:
        if self.restraint and not context.is_reducing(request):
            text = f"{self.restraint}; only orders that reduce a position pass"
            return Verdict("kill_switch", passed=False, text=text)
        verdicts: list[Verdict] = []
        self.verdicts = verdicts
        for check in self._checks:
            verdict = check(request, context)
            if not verdict.passed:
                verdicts.append(verdict)
                return verdict
            if verdict.limit is not None:
                verdicts.append(verdict)
        return None


def refusal(request: NewOrder | ReplaceOrder, kind: RequestKind, verdict: Verdict) -> Refused:
    """Return the refusal of `request` for the reason in `verdict`."""
    return Refused(
        client_order_id=request.client_order_id,
        symbol=request.symbol,
        strategy=request.strategy,
        request=kind,
        rule=verdict.rule,
        limit="" if verdict.limit is None else str(verdict.limit),
        measured="" if verdict.measured is None else str(verdict.measured),
        text=verdict.text,
        side=request.side,
        order_qty=request.order_qty,
        price=request.price,
        ord_type=request.ord_type,
        orig_client_order_id=(
            request.orig_client_order_id if isinstance(request, ReplaceOrder) else None
        ),
        transact_time_ns=request.transact_time_ns,
    )


def _offered(request: NewOrder, can: Capabilities) -> Verdict | None:
    """Refuse what the venue does not offer."""
    asked: str
    offered: list[str]
    if request.ord_type not in can.ord_types:
        asked, offered = request.ord_type, [*sorted(can.ord_types)]
    elif request.time_in_force not in can.times_in_force:
        asked, offered = request.time_in_force, [*sorted(can.times_in_force)]
    elif request.post_only and not can.post_only:
        asked, offered = "post-only", ["orders without post_only"]
    else:
        return None
    venue = request.symbol.partition(":")[0]
    text = f"{asked} is not offered by {venue}; it offers {', '.join(offered)}"
    return Verdict("venue_offers", passed=False, text=text)


def _is_plain(request: NewOrder, instrument: Instrument) -> bool:
    """Return True for most orders, at once: a well-formed limit till canceled."""
    return (
        request.ord_type is _LIMIT
        and request.time_in_force is _GTC
        and request.price is not None
        and request.stop_px is None
        and not request.expire_time_ns
        and instrument.takes(request.price, request.order_qty)
    )


def _grid(qty: Decimal, price: Decimal | None, instrument: Instrument) -> Verdict | None:
    """Refuse what lies off the grid, naming both neighbours."""
    if not _fits(qty, instrument.lot_size):
        return _off_grid("order_qty", qty, instrument.lot_size, instrument)
    if price is not None and not _fits(price, instrument.tick_size):
        return _off_grid("price", price, instrument.tick_size, instrument)
    if qty < instrument.min_trade_vol or qty <= 0:
        least = max(instrument.min_trade_vol, instrument.lot_size)
        text = f"order_qty {qty} is below the least of {instrument}, {least}"
        return Verdict("min_trade_vol", passed=False, limit=least, measured=qty, text=text)
    most = instrument.max_trade_vol
    if most is not None and qty > most:
        text = f"order_qty {qty} is above the most {instrument} takes, {most}"
        return Verdict("max_trade_vol", passed=False, limit=most, measured=qty, text=text)
    if price is not None:
        return _notional(qty, price, instrument)
    return None


def _fits(value: Decimal, step: Decimal) -> bool:
    """Tell whether `value` is a whole number of steps; one too long for Decimal to tell is not."""
    try:
        return not value % step
    except InvalidOperation:
        return False


def _above_zero(what: str, price: Decimal, instrument: Instrument) -> Verdict | None:
    if price > 0:
        return None
    text = f"{what} {price} of {instrument} must be above 0"
    return Verdict(what, passed=False, limit=ZERO, measured=price, text=text)


def _notional(qty: Decimal, price: Decimal, instrument: Instrument) -> Verdict | None:
    refused = _above_zero("price", price, instrument)
    if refused is not None:
        return refused
    least = instrument.min_notional
    if least and instrument.notional(price, qty) < least:
        value = instrument.notional(price, qty)
        text = f"{qty} x {price} is {value} {instrument.quote}, below the least, {least}"
        return Verdict("min_notional", passed=False, limit=least, measured=value, text=text)
    return None


def _off_grid(what: str, value: Decimal, step: Decimal, instrument: Instrument) -> Verdict:
    if value.is_finite():
        below, above = instrument.neighbours(value, step)
        rounds = "quantity" if what == "order_qty" else "price"
        text = (
            f"{what} {value} is off the grid of {instrument}, steps of {step}: "
            f"use {below} or {above} (instrument.{rounds}() rounds)"
        )
    else:
        text = f"{what} {value} of {instrument} must be a finite number on steps of {step}"
    return Verdict("grid", passed=False, limit=step, measured=value, text=text)


def _shape(request: NewOrder) -> Verdict | None:
    """Refuse an order whose parts contradict one another."""
    kind, tif = request.ord_type, request.time_in_force
    if (request.stop_px is not None) is not (kind in STOPS):
        text = f"a {kind} order {'needs' if kind in STOPS else 'takes no'} stop_px"
    elif request.post_only and kind is not OrdType.LIMIT:
        text = f"post_only goes with LIMIT, not with {kind}"
    elif request.post_only and tif in AT_ONCE:
        text = f"post_only adds liquidity, {tif} only takes it: leave one of them out"
    elif (request.expire_time_ns > 0) is not (tif is TimeInForce.GTD):
        text = f"{tif} {'needs' if tif is TimeInForce.GTD else 'takes no'} expire_time_ns"
    else:
        return _price_shape(request)
    return Verdict("order_shape", passed=False, text=text)


def _price_shape(request: NewOrder | ReplaceOrder) -> Verdict | None:
    kind = request.ord_type
    if (request.price is not None) is (kind in PRICED):
        return None
    text = f"a {kind} order {'needs' if kind in PRICED else 'takes no'} price"
    return Verdict("order_shape", passed=False, text=text)


def _stop(stop_px: Decimal | None, instrument: Instrument) -> Verdict | None:
    if stop_px is None:
        return None
    if not _fits(stop_px, instrument.tick_size):
        return _off_grid("stop_px", stop_px, instrument.tick_size, instrument)
    return _above_zero("stop_px", stop_px, instrument)
