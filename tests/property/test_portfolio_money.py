"""Money adds up whatever is traded, however it is split and in whichever order."""

from collections.abc import Sequence
from decimal import Decimal, localcontext

from hypothesis import given
from hypothesis import strategies as st

from botkit.model import ClientOrderId, Fill, Instrument, Side
from botkit.portfolio import Portfolio

LINEAR = Instrument(
    symbol="paper:ETH-F",
    base="ETH",
    quote="EUR",
    tick_size=Decimal("0.01"),
    lot_size=Decimal("0.0001"),
    contract_multiplier=Decimal("0.1"),
)
INVERSE = Instrument(
    symbol="paper:XBT-USD",
    base="BTC",
    quote="USD",
    tick_size=Decimal("0.01"),
    lot_size=Decimal("0.0001"),
    contract_multiplier=Decimal(100),
    inverse=True,
)
INSTRUMENTS = {LINEAR.symbol: LINEAR, INVERSE.symbol: INVERSE}
MARK = 137.25  # a float that is exact in binary, so that the sums below are too
ROUNDED = Decimal("1e-20")  # a few dozen steps of 1e-24

Lots = tuple[int, int]  # signed quantity and price, in hundredths

lots = st.tuples(st.integers(-5_000, 5_000).filter(bool), st.integers(1, 1_000_000))
strategies = st.sampled_from(["maker", "taker", "grid"])


def build_fill(trade: Lots, instrument: Instrument, strategy: str = "maker") -> Fill:
    qty, price = trade
    return Fill(
        client_order_id=ClientOrderId("demo-r-1"),
        symbol=instrument.symbol,
        strategy=strategy,
        side=Side.BUY if qty > 0 else Side.SELL,
        qty=Decimal(abs(qty)).scaleb(-2),
        price=Decimal(price).scaleb(-2),
        commission=Decimal(abs(qty)).scaleb(-5),
        commission_currency="EUR",
    )


def booked(fills: Sequence[Fill]) -> Portfolio:
    portfolio = Portfolio(INSTRUMENTS)
    for fill in fills:
        portfolio.apply(fill)
    return portfolio


def profit(portfolio: Portfolio, currency: str) -> Decimal:
    """Return realised and unrealised profit together, every position marked at MARK."""
    points = portfolio.equity(lambda _: (MARK, MARK), now_ns=0)
    return sum(
        (point.realised + point.unrealised for point in points if point.currency == currency),
        Decimal(0),
    )


@given(st.lists(st.tuples(lots, strategies), max_size=40))
def test_cash_and_inventory_add_up_exactly(trades: list[tuple[Lots, str]]) -> None:
    """Profit is what selling paid, less what buying cost, plus what is held at its mark."""
    fills = [build_fill(trade, LINEAR, strategy) for trade, strategy in trades]
    with localcontext() as context:
        context.prec = 100
        cash = sum((-f.side.sign * f.qty * f.price for f in fills), Decimal(0))
        held = sum((f.side.sign * f.qty for f in fills), Decimal(0))
        expected = (cash + held * Decimal(MARK)) * LINEAR.contract_multiplier

        portfolio = booked(fills)

        assert profit(portfolio, "EUR") == expected
        assert portfolio.position(LINEAR.symbol) == held
        assert portfolio.fees("EUR") == sum((f.commission or 0 for f in fills), Decimal(0))


@given(st.lists(lots, max_size=40))
def test_an_inverse_contract_adds_up_in_base(trades: list[Lots]) -> None:
    fills = [build_fill(trade, INVERSE) for trade in trades]
    with localcontext() as context:
        context.prec = 100
        expected = sum(
            (f.side.sign * f.qty * 100 * (1 / f.price - 1 / Decimal(MARK)) for f in fills),
            Decimal(0),
        )

        assert abs(profit(booked(fills), "BTC") - expected) < ROUNDED


@given(st.lists(lots, min_size=1, max_size=20), st.data())
def test_splitting_a_fill_changes_nothing(trades: list[Lots], data: st.DataObject) -> None:
    for instrument in (LINEAR, INVERSE):
        at = data.draw(st.integers(0, len(trades) - 1))
        qty, price = trades[at]
        part = data.draw(st.integers(0, abs(qty))) * (1 if qty > 0 else -1)
        pieces = [(piece, price) for piece in (part, qty - part) if piece]
        split = trades[:at] + pieces + trades[at + 1 :]

        whole, parts = (
            booked([build_fill(trade, instrument) for trade in some]).positions()[0]
            for some in (trades, split)
        )

        assert parts.qty == whole.qty
        assert abs(parts.realised - whole.realised) < ROUNDED
        assert parts.fees == whole.fees
        assert (parts.average_px is None) is (whole.average_px is None)
        if parts.average_px is not None and whole.average_px is not None:
            assert abs(parts.average_px / whole.average_px - 1) < Decimal("1e-12")


@given(st.data(), st.lists(lots, min_size=1, max_size=12))
def test_the_order_of_fills_moves_profit_only_between_realised_and_not(
    data: st.DataObject, trades: list[Lots]
) -> None:
    fills = [build_fill(trade, LINEAR) for trade in trades]
    other = data.draw(st.permutations(fills))

    first, second = booked(fills), booked(other)

    assert first.position(LINEAR.symbol) == second.position(LINEAR.symbol)
    assert first.fees("EUR") == second.fees("EUR")
    assert profit(first, "EUR") == profit(second, "EUR")


@given(st.lists(st.tuples(lots, strategies), max_size=30))
def test_strategies_sum_to_the_whole(trades: list[tuple[Lots, str]]) -> None:
    portfolio = booked([build_fill(trade, LINEAR, strategy) for trade, strategy in trades])
    owners = {strategy for _, strategy in trades}

    with localcontext() as context:
        context.prec = 100
        symbol = LINEAR.symbol
        assert sum(portfolio.position(symbol, o) for o in owners) == portfolio.position(symbol)
        assert sum(portfolio.realised("EUR", o) for o in owners) == portfolio.realised("EUR")
        assert sum(portfolio.fees("EUR", o) for o in owners) == portfolio.fees("EUR")


@given(st.lists(lots, max_size=20))
def test_a_position_brought_back_to_zero_has_realised_exactly_its_cash(trades: list[Lots]) -> None:
    """However often a share of the worth was rounded on the way, nothing of it is left over."""
    held = sum(qty for qty, _ in trades)
    closed = [*trades, (-held, 12_345)] if held else trades
    fills = [build_fill(trade, LINEAR) for trade in closed]

    with localcontext() as context:
        context.prec = 100
        cash = sum((-f.side.sign * f.qty * f.price for f in fills), Decimal(0))
        assert booked(fills).realised("EUR") == cash * LINEAR.contract_multiplier
