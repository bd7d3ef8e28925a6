"""docs/money.md against the code: the worked example, figure by figure."""

import re
from decimal import Decimal
from pathlib import Path

from botkit.engine.money import QUIET_NS
from botkit.model import AdjustmentKind, ClientOrderId, ExecId, Fill, Side
from botkit.portfolio import Portfolio, Rates, total_of
from botkit.ports import FeeSchedule
from botkit.testing import SYMBOL, build_instrument

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "money.md").read_text("utf-8")
EXAMPLE = PAGE[PAGE.index("## A worked example") : PAGE.index("## One currency")]


def build_fill(number: int, row: tuple[str, ...]) -> Fill:
    side, qty, price, fee = row
    amount, _, currency = fee.partition(" ")
    untold = fee == "not told yet"
    return Fill(
        client_order_id=ClientOrderId(f"demo-r-{number}"),
        exec_id=ExecId("e"),
        symbol=SYMBOL,
        strategy="maker",
        side=Side(side.upper()),
        qty=Decimal(qty),
        price=Decimal(price),
        commission=None if untold else Decimal(amount),
        commission_currency="" if untold else currency,
    )


def number_in(text: str) -> float:
    found = re.search(text, EXAMPLE)
    assert found is not None, text
    return float(found[1])


def test_the_worked_example_comes_out_as_it_says() -> None:
    rows = re.findall(r"^\| (buy|sell) ([\d.]+) \| (\d+) \| (.*) \|$", EXAMPLE, re.MULTILINE)
    quote = (number_in(r"at (\d+) bid"), number_in(r"bid, (\d+) ask"))
    told = [
        Decimal(text)
        for text in re.findall(r"^\| [a-z ]+ \| ([\d.]+) [A-Z]{3}", EXAMPLE, re.MULTILINE)
    ]
    instruments = {SYMBOL: build_instrument(SYMBOL)}
    schedule = FeeSchedule(taker_bps=Decimal(str(number_in(r"fee is (\d+) bps"))))
    portfolio = Portfolio(instruments, {"paper": schedule})
    for number, row in enumerate(rows):
        portfolio.apply(build_fill(number, row))

    (view,) = portfolio.positions()
    euros, bitcoins = portfolio.equity(lambda _: quote, 0)
    total = total_of(portfolio, Rates(instruments, lambda _: quote, lambda _: 0, 1), "EUR", 0)

    assert len(rows) == 3
    assert total.point is not None
    assert told == [
        view.qty,
        view.average_px,
        euros.realised,
        euros.unrealised,
        euros.fees,
        bitcoins.fees,
        total.point.equity,
    ]
    assert f"of which {euros.fees_estimated.normalize():f} is estimated" in EXAMPLE


def test_every_kind_of_adjustment_is_told_and_how_long_a_difference_stands() -> None:
    assert re.findall(r"^\| `([A-Z]+)` \|", PAGE, re.MULTILINE) == list(AdjustmentKind)
    assert f"stands for {QUIET_NS // 10**9} s" in PAGE
