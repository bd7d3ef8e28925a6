"""Where a venue tells totals, each execution's fee is booked once and whole, whatever comes first.

Totals and executions come in any order, mixed, repeated, with fees at once or late; some totals
carry the execution they end with, some no name at all.
"""

from decimal import Decimal
from typing import Any

import attrs
from hypothesis import given
from hypothesis import strategies as st

from botkit.cli.booking import told_fills
from botkit.cli.lives import give_fee
from botkit.model import (
    ExecId,
    ExecutionReport,
    FeeTold,
    Fill,
    FillSource,
    OrdStatus,
)
from botkit.ports import Capabilities, FeeSchedule
from botkit.testing import build_report
from botkit.testing.engine_rig import Actor, EngineRig

PX = Decimal(100)
SCHEDULE = FeeSchedule(taker_bps=Decimal(10))
CURRENCIES = ("EUR", "BNB")


@attrs.frozen
class Execution:
    """What the venue matched at once, and what it charged for that."""

    name: str
    qty: int
    fee: Decimal
    currency: str
    cum_qty: int


@st.composite
def executions(draw: st.DrawFn) -> list[Execution]:
    found: list[Execution] = []
    for number in range(draw(st.integers(1, 5))):
        qty = draw(st.integers(1, 3))
        fee = draw(st.integers(-2, 5).map(lambda cents: Decimal(cents).scaleb(-2)))
        cum_qty = qty + (found[-1].cum_qty if found else 0)
        currency = draw(st.sampled_from(CURRENCIES))
        found.append(Execution(f"e{number}", qty, fee, currency, cum_qty))
    return found


@st.composite
def told(draw: st.DrawFn, some: list[Execution]) -> list[dict[str, Any]]:
    """Return reports of all that was matched: each total, each execution, each fee, and repeats."""
    news: list[dict[str, Any]] = []
    for each in some:
        last = {"exec_id": ExecId(each.name), "last_qty": Decimal(each.qty), "last_px": PX}
        fee = {"commission": each.fee, "commission_currency": each.currency}
        total = {"cum_qty": Decimal(each.cum_qty), "avg_px": PX}
        bare, with_last, with_all = total, {**total, **last}, {**total, **last, **fee}
        news += draw(st.lists(st.sampled_from([bare, with_last, with_all]), max_size=2))
        news += draw(st.lists(st.just(last), max_size=1))
        news += [{**last, **fee}] * draw(st.integers(1, 2))
    news.append({"cum_qty": Decimal(some[-1].cum_qty), "avg_px": PX})
    return draw(st.permutations(news))


def paid(some: list[Execution]) -> dict[str, Decimal]:
    sums = dict.fromkeys(CURRENCIES, Decimal(0))
    for each in some:
        sums[each.currency] += each.fee
    return sums


def play(news: list[dict[str, Any]], ordered: int) -> EngineRig:
    actor = Actor()
    capabilities = Capabilities(client_order_ids=True, fill_source=FillSource.TOTALS)
    rig = EngineRig(actor, capabilities=capabilities, fees={"paper": SCHEDULE})
    rig.start()
    order = actor.buy(actor.instrument, ordered, price=PX)
    for number, fields in enumerate(news):
        report: ExecutionReport = build_report(
            order.client_order_id,
            OrdStatus.PARTIALLY_FILLED,
            receive_time_ns=rig.engine.now_ns + number,
            **fields,
        )
        rig.engine.handle(report)
    return rig


@given(st.data())
def test_every_fee_is_booked_once_and_whole(data: st.DataObject) -> None:
    some = data.draw(executions())
    rig = play(data.draw(told(some)), some[-1].cum_qty + 1)

    portfolio = rig.engine.portfolio
    (view,) = portfolio.positions()
    assert view.qty == some[-1].cum_qty
    assert {currency: portfolio.fees(currency) for currency in CURRENCIES} == paid(some)
    assert (view.fees_untold, view.fees_estimated) == (0, Decimal(0))


@given(st.data())
def test_what_waits_is_estimated_for_as_much_as_has_no_fee(data: st.DataObject) -> None:
    some = data.draw(executions())
    news = data.draw(told(some))
    rig = play(news[: data.draw(st.integers(1, len(news)))], some[-1].cum_qty + 1)

    for view in rig.engine.portfolio.positions():
        charged = _charged_qty(rig.recorded(Fill), rig.recorded(FeeTold))
        rate = SCHEDULE.taker_bps / 10_000
        assert view.fees_estimated == (view.qty - charged) * PX * rate
        assert bool(view.fees_untold) is (charged < view.qty)


def _charged_qty(fills: list[Fill], fees: list[FeeTold]) -> Decimal:
    at_once = sum((each.qty for each in fills if each.commission is not None), Decimal(0))
    return at_once + sum((each.qty for each in fees), Decimal(0))


@given(st.data())
def test_the_fills_shown_have_the_fees_that_were_booked(data: st.DataObject) -> None:
    some = data.draw(executions())
    rig = play(data.draw(told(some)), some[-1].cum_qty + 1)

    fills = told_fills([*rig.recorded(Fill), *rig.recorded(FeeTold)])
    shown = dict.fromkeys(CURRENCIES, Decimal(0))
    for fill in fills:
        assert fill.commission is not None
        if fill.commission:
            shown[fill.commission_currency] += fill.commission
    assert shown == paid(some)
    assert sum(fill.qty for fill in fills) == some[-1].cum_qty


def test_a_fee_for_more_than_waits_is_given_to_what_waits() -> None:
    rig = play([{"cum_qty": Decimal(1), "avg_px": PX}], 5)
    row = [rig.recorded(Fill)[0]]
    give_fee(
        [row],
        FeeTold(
            client_order_id=row[0].client_order_id,
            symbol=row[0].symbol,
            strategy=row[0].strategy,
            exec_id=ExecId("e"),
            qty=Decimal(2),
            commission=Decimal(1),
            commission_currency="EUR",
        ),
    )
    assert [(each.qty, each.commission) for each in row] == [(1, 1)]
