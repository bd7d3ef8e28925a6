"""Totals add up over currencies, strategies and conversions, and are incomplete only with cause."""

from collections.abc import Sequence
from decimal import Decimal, localcontext
from math import nan

from hypothesis import given
from hypothesis import strategies as st

from botkit.model import Balance, ClientOrderId, ExecId, Fill, Side
from botkit.portfolio import BalanceCheck, Portfolio, Rates, Total, total_of
from botkit.ports import FeeSchedule
from botkit.testing import build_instrument

SYMBOLS = ("paper:BTC-EUR", "paper:ETH-USD", "paper:EUR-USD", "paper:XRP-BTC")
INSTRUMENTS = {symbol: build_instrument(symbol) for symbol in SYMBOLS}
# Exact in binary, bid and ask alike: what is converted at a fixed rate is exact as well.
PRICES = {
    "paper:BTC-EUR": 4096.5,
    "paper:ETH-USD": 256.25,
    "paper:EUR-USD": 2.0,
    "paper:XRP-BTC": 0.03125,
}
IN_EUR = {
    "EUR": Decimal(1),
    "USD": Decimal("0.5"),
    "BTC": Decimal("4096.5"),
    "XRP": Decimal("0.03125") * Decimal("4096.5"),
    "ETH": Decimal("256.25") / 2,
}
OWNERS = ("maker", "taker", "grid")
SCHEDULE = {"paper": FeeSchedule(taker_bps=Decimal("12.5"))}

trades = st.lists(
    st.tuples(
        st.sampled_from(SYMBOLS),
        st.sampled_from(OWNERS),
        st.integers(-5_000, 5_000).filter(bool),  # quantity, hundredths
        st.integers(1, 1_000_000),  # price, hundredths
        st.none() | st.tuples(st.integers(-50, 500), st.sampled_from(sorted(IN_EUR))),
    ),
    max_size=25,
)
Trades = Sequence[tuple[str, str, int, int, tuple[int, str] | None]]


def build_fills(some: Trades, *, told: bool) -> list[Fill]:
    """Return fills; a fee that is None is 0 EUR where all are `told`."""
    fills = []
    for number, (symbol, owner, qty, price, fee) in enumerate(some):
        amount, currency = fee or (0, "EUR")
        untold = fee is None and not told
        fills.append(
            Fill(
                client_order_id=ClientOrderId(f"demo-r-{number}"),
                exec_id=ExecId("e"),
                symbol=symbol,
                strategy=owner,
                side=Side.BUY if qty > 0 else Side.SELL,
                qty=Decimal(abs(qty)).scaleb(-2),
                price=Decimal(price).scaleb(-2),
                commission=None if untold else Decimal(amount).scaleb(-3),
                commission_currency="" if untold else currency,
            )
        )
    return fills


def booked(fills: Sequence[Fill]) -> Portfolio:
    portfolio = Portfolio(INSTRUMENTS, SCHEDULE)
    for fill in fills:
        portfolio.apply(fill)
    return portfolio


def build_rates(known: Sequence[str] = SYMBOLS) -> Rates:
    return Rates(
        INSTRUMENTS,
        lambda symbol: (PRICES[symbol],) * 2 if symbol in known else (nan, nan),
        lambda _: 0,
        stale_ns=1,
    )


def total(portfolio: Portfolio, known: Sequence[str] = SYMBOLS, **scope: str) -> Total:
    return total_of(portfolio, build_rates(known), "EUR", 0, **scope)


def purse_of(fills: Sequence[Fill]) -> dict[str, Decimal]:
    """Return what the fills did to an account, by currency: the plain model."""
    purse = dict.fromkeys(IN_EUR, Decimal(0))
    for fill in fills:
        base, quote = fill.symbol.partition(":")[2].split("-")
        purse[base] += fill.side.sign * fill.qty
        purse[quote] -= fill.side.sign * fill.qty * fill.price
        if fill.commission is not None:
            purse[fill.commission_currency] -= fill.commission
    return purse


@given(trades)
def test_a_total_is_what_the_account_gained_at_the_rates_of_now(some: Trades) -> None:
    """Cash and inventory of all currencies, each turned into EUR, are the whole profit."""
    with localcontext() as context:
        context.prec = 100
        fills = build_fills(some, told=True)
        expected = sum(
            (amount * IN_EUR[currency] for currency, amount in purse_of(fills).items()), Decimal(0)
        )

        whole = total(booked(fills)).point

        assert whole is not None
        assert abs(whole.equity - expected) < Decimal("1e-15")  # shares of worth are rounded


@given(trades)
def test_strategies_instruments_and_venues_each_sum_to_the_total(some: Trades) -> None:
    with localcontext() as context:
        context.prec = 100
        portfolio = booked(build_fills(some, told=False))
        whole = total(portfolio).point
        assert whole is not None
        parts = (
            [total(portfolio, strategy=owner).point for owner in OWNERS],
            [total(portfolio, symbol=symbol).point for symbol in SYMBOLS],
            [total(portfolio, venue="paper").point],
        )
        for part in parts:
            for figure in ("realised", "unrealised", "fees", "fees_estimated", "equity"):
                assert sum(getattr(each, figure) for each in part) == getattr(whole, figure)


@given(trades, st.data())
def test_the_order_of_fills_does_not_move_the_total(some: Trades, data: st.DataObject) -> None:
    other = data.draw(st.permutations(some))

    first, second = (total(booked(build_fills(each, told=True))).point for each in (some, other))

    assert first is not None
    assert second is not None
    assert first.fees == second.fees
    assert abs(first.equity - second.equity) < Decimal("1e-15")


@given(trades, st.data())
def test_estimated_fees_end_exactly_at_the_told_ones(some: Trades, data: st.DataObject) -> None:
    """However late and in whichever order the venue tells them."""
    early, late = booked(build_fills(some, told=True)), booked(build_fills(some, told=False))
    fills = [
        fill
        for fill, (*_, fee) in zip(build_fills(some, told=True), some, strict=True)
        if fee is None
    ]
    before = total(late).point
    for fill in data.draw(st.permutations(fills)):
        late.amend(fill)

    first, second = total(early).point, total(late).point

    assert before is not None
    assert before.fees_estimated >= 0
    assert first == second
    assert second is not None
    assert second.fees_estimated == 0


@given(trades, st.sets(st.sampled_from(SYMBOLS)))
def test_a_total_is_incomplete_only_where_a_mark_or_a_rate_is_missing(
    some: Trades, known: set[str]
) -> None:
    portfolio = booked(build_fills(some, told=True))
    told = total(portfolio, sorted(known))

    marks_needed = {symbol for (symbol, _), qty in _held(some).items() if qty}
    points = portfolio.equity(lambda symbol: (PRICES[symbol],) * 2, 0)
    moved = {each.currency for each in points if each.realised or each.unrealised or each.fees}
    usable = {
        "EUR": True,
        "BTC": "paper:BTC-EUR" in known,
        "USD": "paper:EUR-USD" in known,
        "XRP": {"paper:XRP-BTC", "paper:BTC-EUR"} <= known,
        "ETH": {"paper:ETH-USD", "paper:EUR-USD"} <= known,
    }
    whole = marks_needed <= known and all(usable[currency] for currency in moved)

    assert (told.point is not None) is whole
    assert bool(told.missing) is not whole


def _held(some: Trades) -> dict[tuple[str, str], int]:
    """Return what each strategy holds of each instrument, in hundredths."""
    held: dict[tuple[str, str], int] = {}
    for symbol, owner, qty, *_ in some:
        held[symbol, owner] = held.get((symbol, owner), 0) + qty
    return held


@given(trades)
def test_balances_are_what_fills_and_fees_say_and_a_deposit_is_not(some: Trades) -> None:
    fills = build_fills(some, told=True)
    portfolio = Portfolio(INSTRUMENTS)
    check = BalanceCheck(portfolio)
    for currency in IN_EUR:
        check.tell(build_balance(currency, Decimal(1_000)))
    for fill in fills:
        portfolio.apply(fill)
    with localcontext() as context:
        context.prec = 100
        for currency, change in purse_of(fills).items():
            check.tell(build_balance(currency, 1_000 + change))
            assert check.difference("paper", currency) is None
            check.tell(build_balance(currency, 1_007 + change))
            difference = check.difference("paper", currency)
            assert difference is not None
            assert difference.told - difference.expected == 7
            check.accept(difference)
            assert check.difference("paper", currency) is None


def build_balance(currency: str, total: Decimal) -> Balance:
    return Balance(venue="paper", currency=currency, total=total, available=total)


prices = st.integers(1, 10_000).map(lambda hundredths: hundredths / 100)
spreads = st.tuples(prices, prices).map(lambda pair: (min(pair), max(pair)))


@given(
    quotes=st.fixed_dictionaries(dict.fromkeys(SYMBOLS, spreads)),
    amount=st.integers(-1_000, 1_000).map(Decimal),
    ends=st.tuples(st.sampled_from(sorted(IN_EUR)), st.sampled_from(sorted(IN_EUR))),
)
def test_the_least_worth_is_never_more_than_at_the_mid_and_what_is_owed_weighs_more(
    quotes: dict[str, tuple[float, float]], amount: Decimal, ends: tuple[str, str]
) -> None:
    rates = Rates(INSTRUMENTS, quotes.__getitem__, lambda _: 0, 1)
    least, rate = rates.least_worth(amount, *ends, 0), rates.find(*ends, 0)
    if rate is None:
        assert least is None or not amount
        return
    opposite = rates.least_worth(-amount, *ends, 0)
    assert least is not None
    assert opposite is not None
    hair = Decimal("1e-20")  # of the rounding to 34 digits
    assert least <= amount * rate.value + hair
    assert least + opposite <= hair
