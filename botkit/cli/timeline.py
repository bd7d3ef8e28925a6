"""An order's life as steps that a person reads, and the sentence that sums it up."""

from collections.abc import Callable, Iterator, Sequence
from decimal import Decimal
from itertools import pairwise
from typing import Any, Final

import attrs

from botkit.cli.lives import HELD, REFUSED, Life, time_of
from botkit.cli.wording import exact_text, price
from botkit.model import (
    CancelOrder,
    CleanUpExpired,
    ExecType,
    ExecutionReport,
    FeeTold,
    Fill,
    Halted,
    NewOrder,
    OperatorCommand,
    OrderCancelReject,
    Refused,
    ReplaceOrder,
    RequestKind,
    ResolveOrder,
    SendFailed,
    StrategyEnded,
    VenueStatus,
)
from botkit.ports import Checked, Held, JournalEntry

__all__ = ["Step", "outcome", "steps"]


@attrs.frozen(kw_only=True)
class Step:
    """One thing that happened; a verdict has `rule` and its numbers. `time_ns` 0: as the next."""

    time_ns: int
    event: str
    text: str
    rule: str | None = None
    limit: Decimal | None = None
    measured: Decimal | None = None
    margin: Decimal | None = None


def steps(life: Life) -> list[Step]:
    """Return what happened to an order, in the order of the journal."""
    found: list[Step] = []
    latest_ns = time_of(life.request)
    for entry, following in pairwise([*life.entries, None]):
        about = following if isinstance(entry, Checked) else entry  # verdicts have no time
        latest_ns = (0 if about is None else time_of(about)) or latest_ns
        if entry is not None and not _is_told(entry, found):
            found += _told(entry, latest_ns)
    if life.may_rest and life.doubt:
        found.append(Step(time_ns=latest_ns, event="in doubt", text=life.doubt))
    return found


def _is_told(entry: JournalEntry, found: Sequence[Step]) -> bool:
    """Tell whether the last step, a verdict, has said all that `entry`, a refusal, says."""
    if not found or not isinstance(entry, Refused):
        return False
    last = found[-1]
    return (entry.request, entry.rule, entry.text) == (RequestKind.NEW, last.rule, last.text)


def outcome(life: Life) -> str:
    """Return one sentence: what became of the order, and why."""
    return f"{_asked(life)} by {life.request.strategy}: {_became(life)}"


# --- the sentence -------------------------------------------------------------------------------


def _asked(life: Life) -> str:
    request = life.request
    if request.side is None or request.order_qty is None:
        return f"an order for {request.symbol}"
    return f"{request.side.value.lower()} {request.order_qty} {request.symbol}{_at(request)}"


def _at(request: NewOrder | ReplaceOrder | Refused) -> str:
    stop_px = getattr(request, "stop_px", None)
    stop = "" if stop_px is None else f", stop at {price(stop_px)}"
    if request.price is not None:
        return f" at {price(request.price)}{stop}"
    return f" at market{stop}"


def _became(life: Life) -> str:
    if life.status == REFUSED:
        assert isinstance(life.request, Refused)
        return f"refused by {life.request.rule}, so it never left: {life.text}"
    if life.status == HELD:
        return f"held back {life.text}"
    why = life.doubt if life.may_rest else life.text
    if life.status == "FILLED":
        why = ""  # what was said last is of a cancel that came too late
    words = STATUS_WORDS.get(life.status, life.status)
    if life.status == "CANCELED":
        ours = any(isinstance(entry, CancelOrder) for entry in life.entries)
        words += " at our request" if ours else " by the venue"
    filled = _filled(life)
    return words + (f" ({why})" if why else "") + (f"; {filled}" if filled else "")


STATUS_WORDS: Final = {
    "PENDING_NEW": "sent, and may rest",
    "NEW": "rests at the venue",
    "PARTIALLY_FILLED": "filled in part, and the rest may still fill",
    "PENDING_CANCEL": "being canceled, and may still fill",
    "PENDING_REPLACE": "being changed, and may still fill",
    "UNKNOWN": "UNKNOWN, and may rest",
    "FILLED": "filled",
    "CANCELED": "canceled",
    "REJECTED": "rejected",
    "EXPIRED": "expired",
}


def _filled(life: Life) -> str:
    average = life.avg_px
    if average is None:
        return f"{exact_text(life.cum_qty)} filled" if life.cum_qty else ""
    fees: dict[str, Decimal] = {}
    for fill in life.fills:
        if fill.commission is not None:
            currency = fill.commission_currency
            fees[currency] = fees.get(currency, Decimal(0)) + fill.commission
    untold = sum(fill.commission is None for fill in life.fills)
    told = [f"{paid:f} {currency}".rstrip() for currency, paid in fees.items()]
    told += [f"{untold} not told yet"] if untold else []
    return (
        f"{exact_text(life.cum_qty)} of {life.order_qty} filled at {price(average)} on average, "
        f"fees {' and '.join(told)}"
    )


# --- the steps ----------------------------------------------------------------------------------


def _told(entry: JournalEntry, time_ns: int) -> Iterator[Step]:
    if isinstance(entry, Checked):
        yield from _verdicts(entry, time_ns)
        return
    tell = TELL.get(type(entry))
    if tell is not None:
        event, text = tell(entry)
        yield Step(time_ns=time_ns, event=event, text=text)
    else:  # of a kind that this page does not know yet
        yield Step(time_ns=time_ns, event=_tag(entry), text=getattr(entry, "reason", ""))


def _tag(entry: JournalEntry) -> str:
    return str(type(entry).__struct_config__.tag).replace("_", " ")


def _verdicts(checked: Checked, time_ns: int) -> Iterator[Step]:
    for verdict in checked.verdicts:
        yield Step(
            time_ns=time_ns,
            event="passed" if verdict.passed else "waits" if verdict.waits else "refused",
            text=verdict.text,
            rule=verdict.rule,
            limit=verdict.limit,
            measured=verdict.measured,
            margin=verdict.margin,
        )


def _new(request: NewOrder) -> tuple[str, str]:
    also = [request.time_in_force.value, request.ord_type.value.lower()]
    also += [name for name in ("post_only", "reduce_only", "keep") if getattr(request, name)]
    return "sent", (
        f"{request.client_order_id}: {request.side.value.lower()} {request.order_qty} "
        f"{request.symbol}{_at(request)} ({', '.join(also)})"
    )


def _held(held: Held) -> tuple[str, str]:
    return "held back", f"until {', '.join(held.waits_for)} is confirmed gone"


def _replace(request: ReplaceOrder) -> tuple[str, str]:
    return "replace sent", (
        f"{request.client_order_id} in place of {request.orig_client_order_id}: "
        f"{request.order_qty}{_at(request)}"
    )


def _refused(refused: Refused) -> tuple[str, str]:
    what = "refused" if refused.request is RequestKind.NEW else "replace refused"
    numbers = (
        f" (limit {refused.limit}, measured {refused.measured})"
        if refused.limit and refused.measured
        else ""
    )
    return what, f"by {refused.rule}: {refused.text}{numbers}"


def _cancel(cancel: CancelOrder) -> tuple[str, str]:
    return "cancel sent", f"{cancel.client_order_id}" + (
        f": {cancel.reason}" if cancel.reason else ""
    )


def _report(report: ExecutionReport) -> tuple[str, str]:
    if report.exec_type is ExecType.TRADE and report.last_qty:
        what = f"{report.last_qty} at {price(report.last_px)}"
    else:
        what = report.exec_type.value
    parts = [f"{what}, now {report.ord_status.value}"]
    if report.cum_qty is not None:
        parts.append(f"filled {exact_text(report.cum_qty)}")
    if report.venue_order_id is not None:
        parts.append(f"the venue's id {report.venue_order_id}")
    return "venue says", ", ".join(parts) + (f": {report.text}" if report.text else "")


def _cancel_reject(reject: OrderCancelReject) -> tuple[str, str]:
    parts = [reject.text or "no reason given"]
    if reject.unknown_order:
        parts.append("the venue does not know the order, so it is asked for")
    if reject.ord_status is not None:
        parts.append(f"it is {reject.ord_status.value}")
    return f"{reject.response_to.value.lower()} declined", ", ".join(parts)


def _failed(failure: SendFailed) -> tuple[str, str]:
    reached = "it may have arrived" if failure.reached_venue else "it surely never left"
    return "not sent" if not failure.reached_venue else "no answer", (
        f"{failure.request.value.lower()}: {failure.text}; {reached}"
    )


def _fill(fill: Fill) -> tuple[str, str]:
    fee = (
        "fee not told yet"
        if fill.commission is None
        else f"fee {fill.commission:f} {fill.commission_currency}".rstrip()
    )
    liquidity = "" if fill.liquidity is None else f", liquidity {fill.liquidity.value}"
    return "fill booked", (
        f"{fill.side.value.lower()} {fill.qty} at {price(fill.price)}, {fee}{liquidity}"
    )


def _fee(told: FeeTold) -> tuple[str, str]:
    return "fee told", f"{told.commission:f} {told.commission_currency}, of {told.exec_id}"


def _halted(halted: Halted) -> tuple[str, str]:
    return "bot halted", f"by {halted.rule}: {halted.reason}"


def _operator(command: OperatorCommand) -> tuple[str, str]:
    target = f" {command.target}" if command.target else ""
    because = f": {command.reason}" if command.reason else ""
    return "operator", f"{command.operation.value}{target}{because}"


def _strategy_ended(ended: StrategyEnded) -> tuple[str, str]:
    return "strategy ended", f"{ended.strategy}" + (f": {ended.error}" if ended.error else "")


def _venue(status: VenueStatus) -> tuple[str, str]:
    reason = f": {status.reason}" if status.reason else ""
    return "venue up" if status.up else "venue not ready", f"{status.venue}{reason}"


def _expired(_: CleanUpExpired) -> tuple[str, str]:
    return "gave up waiting", "the clean-up deadline passed without the venue's confirmation"


def _resolved(word: ResolveOrder) -> tuple[str, str]:
    filled = "" if word.cum_qty is None else f", filled {word.cum_qty}"
    return (
        "resolved",
        f"{word.ord_status.value}{filled}: {word.reason} ({word.by or 'nobody named'})",
    )


TELL: Final[dict[type, Callable[[Any], tuple[str, str]]]] = {
    NewOrder: _new,
    Held: _held,
    ReplaceOrder: _replace,
    Refused: _refused,
    CancelOrder: _cancel,
    ExecutionReport: _report,
    OrderCancelReject: _cancel_reject,
    SendFailed: _failed,
    Fill: _fill,
    FeeTold: _fee,
    Halted: _halted,
    OperatorCommand: _operator,
    StrategyEnded: _strategy_ended,
    VenueStatus: _venue,
    CleanUpExpired: _expired,
    ResolveOrder: _resolved,
}
