"""Rates from the bot's own instruments, and totals at them."""

from decimal import Decimal
from math import inf, nan

import pytest

from botkit.model import ClientOrderId, Fill, Side
from botkit.portfolio import Portfolio, Rates, Total, total_of
from botkit.testing import build_instrument

S = 1_000_000_000
NOW_NS = 1_000 * S
Quotes = dict[str, tuple[float, float, int]]  # bid, ask, age in s

SYMBOLS = ("far:BTC-USD", "paper:BTC-EUR", "paper:EUR-USDT", "paper:ETH-BTC", "paper:XRP-DOGE")
INSTRUMENTS = {symbol: build_instrument(symbol) for symbol in SYMBOLS}
FRESH: Quotes = {
    "far:BTC-USD": (65_990.0, 66_010.0, 1),
    "paper:BTC-EUR": (59_990.0, 60_010.0, 2),
    "paper:EUR-USDT": (1.24, 1.26, 3),
    "paper:ETH-BTC": (0.04, 0.06, 4),
    "paper:XRP-DOGE": (4.0, 6.0, 5),
}


def build_rates(quotes: Quotes = FRESH, stale_s: int = 60) -> Rates:
    return Rates(
        INSTRUMENTS,
        lambda symbol: quotes.get(symbol, (nan, nan, 0))[:2],
        lambda symbol: NOW_NS - quotes[symbol][2] * S if symbol in quotes else 0,
        stale_s * S,
    )


@pytest.mark.parametrize(
    ("currency", "into", "value", "symbols", "age_s"),
    [
        ("EUR", "EUR", "1", (), 0),
        ("BTC", "EUR", "60000", ("paper:BTC-EUR",), 2),
        ("USDT", "EUR", "0.8", ("paper:EUR-USDT",), 3),
        ("ETH", "EUR", "3000", ("paper:ETH-BTC", "paper:BTC-EUR"), 4),
        (
            "USD",
            "EUR",
            "0.90909090909090909090909090909090909",
            ("far:BTC-USD", "paper:BTC-EUR"),
            2,
        ),
    ],
)
def test_a_rate_is_direct_inverted_or_over_one_hop(
    currency: str, into: str, value: str, symbols: tuple[str, ...], age_s: int
) -> None:
    rate = build_rates().find(currency, into, NOW_NS)

    assert rate is not None
    assert abs(rate.value - Decimal(value)) < Decimal("1e-28")
    assert rate.symbols == symbols
    assert rate.age_ns == age_s * S


@pytest.mark.parametrize("pair", [("DOGE", "EUR"), ("USDT", "USD"), ("ETH", "USDT"), ("X", "Y")])
def test_no_currency_is_taken_for_another_and_two_hops_are_too_many(pair: tuple[str, str]) -> None:
    """USDT to USD would be three legs: EUR, BTC, USD."""
    assert build_rates().find(*pair, NOW_NS) is None


@pytest.mark.parametrize(
    ("quote", "why"),
    [
        ((nan, nan, 0), "paper:BTC-EUR has no quote"),
        ((59_990.0, nan, 0), "paper:BTC-EUR has no ask"),
        ((nan, 60_010.0, 0), "paper:BTC-EUR has no bid"),
        ((59_990.0, 60_010.0, 61), "the quote of paper:BTC-EUR is 61.0 s old, limit 60 s"),
    ],
)
def test_a_missing_or_stale_quote_makes_no_rate_and_says_why(
    quote: tuple[float, float, int], why: str
) -> None:
    rates = build_rates({**FRESH, "paper:BTC-EUR": quote})

    assert rates.find("BTC", "EUR", NOW_NS) is None
    assert why in rates.why_not("BTC", "EUR", NOW_NS)
    assert rates.why_not("DOGE", "EUR", NOW_NS) == "no rate for DOGE"


def test_a_quote_as_old_as_allowed_is_fresh() -> None:
    rates = build_rates({**FRESH, "paper:BTC-EUR": (1.0, 3.0, 60)})
    rate = rates.find("BTC", "EUR", NOW_NS)
    assert rate is not None
    assert rate.value == 2


def test_prices_that_cancel_out_make_no_rate() -> None:
    assert build_rates({"paper:BTC-EUR": (0.0, 0.0, 0)}).find("EUR", "BTC", NOW_NS) is None


def test_a_direct_rate_goes_before_one_over_two_instruments() -> None:
    symbols = ("paper:ETH-BTC", "paper:BTC-EUR", "paper:EUR-ETH")
    prices = dict(zip(symbols, (0.5, 8.0, 0.125), strict=True))
    rates = Rates(
        {symbol: build_instrument(symbol) for symbol in symbols},
        lambda symbol: (prices[symbol],) * 2,
        lambda _: NOW_NS,
        60 * S,
    )
    rate = rates.find("ETH", "EUR", NOW_NS)
    assert rate is not None
    assert rate.value == 8


def test_another_way_is_taken_where_the_first_is_stale_and_spot_goes_before_contracts() -> None:
    contract = build_instrument("paper:BTC-EUR", contract_multiplier="0.1")
    spot = build_instrument("far:BTC-EUR")
    quotes = {contract.symbol: (90.0, 110.0), spot.symbol: (99.0, 103.0)}
    age_s = {contract.symbol: 0, spot.symbol: 0}
    rates = Rates(
        {each.symbol: each for each in (contract, spot)},
        quotes.__getitem__,
        lambda symbol: NOW_NS - age_s[symbol] * S,
        60 * S,
    )

    first = rates.find("BTC", "EUR", NOW_NS)
    age_s[spot.symbol] = 61
    second = rates.find("BTC", "EUR", NOW_NS)

    assert first is not None
    assert second is not None
    assert (first.value, second.value) == (Decimal(101), Decimal(100))


@pytest.mark.parametrize(
    ("amount", "currency", "into", "worth"),
    [
        ("2", "BTC", "EUR", "119980"),  # sold at the bid
        ("-2", "BTC", "EUR", "-120020"),  # bought at the ask
        ("126", "USDT", "EUR", "100"),  # each EUR costs 1.26
        ("-124", "USDT", "EUR", "-100"),  # each EUR brings 1.24
        ("1", "ETH", "EUR", "2399.6"),
        ("-1", "ETH", "EUR", "-3600.6"),
        ("0", "LIE", "EUR", "0"),
        ("5", "EUR", "EUR", "5"),
    ],
)
def test_the_least_worth_of_an_amount_is_at_the_worse_side_of_each_instrument(
    amount: str, currency: str, into: str, worth: str
) -> None:
    told = build_rates().least_worth(Decimal(amount), currency, into, NOW_NS)
    assert told is not None
    assert abs(told - Decimal(worth)) < Decimal("1e-20")


@pytest.mark.parametrize(
    "quote", [(59_990.0, 60_010.0, 61), (nan, 60_010.0, 0), (0.0, 60_010.0, 0), (9.0, inf, 0)]
)
def test_the_least_worth_needs_a_whole_and_fresh_quote(quote: tuple[float, float, int]) -> None:
    rates = build_rates({"paper:BTC-EUR": quote})
    amount = Decimal(-1 if quote[1] == inf else 1)
    assert rates.least_worth(amount, "BTC", "EUR", NOW_NS) is None


# --- totals -----------------------------------------------------------------------------------


def booked(*trades: tuple[str, str, str, str, str]) -> Portfolio:
    """Book (symbol, signed quantity, price, fee, its currency) each."""
    portfolio = Portfolio(INSTRUMENTS)
    for symbol, signed, price, fee, currency in trades:
        qty = Decimal(signed)
        portfolio.apply(
            Fill(
                client_order_id=ClientOrderId("demo-r-1"),
                symbol=symbol,
                strategy="maker",
                side=Side.BUY if qty > 0 else Side.SELL,
                qty=abs(qty),
                price=Decimal(price),
                commission=Decimal(fee),
                commission_currency=currency,
            )
        )
    return portfolio


def total(portfolio: Portfolio, quotes: Quotes = FRESH) -> Total:
    return total_of(portfolio, build_rates(quotes), "EUR", NOW_NS)


def test_a_total_converts_each_currency_at_its_present_rate() -> None:
    told = total(
        booked(
            ("paper:BTC-EUR", "1", "59000", "50", "EUR"),  # 59990 - 59000 - 50 = 940 EUR
            ("paper:EUR-USDT", "-100", "1.36", "2", "USDT"),  # 100 x 0.10 - 2 = 8 USDT
        )
    )

    assert told.missing == ()
    assert told.point is not None
    assert told.point.equity == Decimal(940) + 8 * Decimal("0.8")
    assert told.point.fees == Decimal("51.6")
    assert [rate.currency for rate in told.rates] == ["EUR", "USDT"]


def test_a_total_without_a_rate_is_incomplete_and_names_the_currency() -> None:
    told = total(booked(("paper:BTC-EUR", "1", "59000", "0.1", "BNB")))

    assert told.point is None
    assert told.missing == ("no rate for BNB",)


def test_a_total_without_a_fresh_mark_is_incomplete_and_names_the_instrument() -> None:
    trade = ("paper:EUR-USDT", "1", "1.2", "0", "USDT")
    told = total(booked(trade), {**FRESH, "paper:EUR-USDT": (1.24, 1.26, 100)})

    assert told.point is None
    assert told.missing == (
        "no price for paper:EUR-USDT (the quote of paper:EUR-USDT is 100.0 s old, limit 60 s)",
        "no rate for USDT (the quote of paper:EUR-USDT is 100.0 s old, limit 60 s)",
    )


def test_a_currency_in_which_nothing_happened_needs_no_rate() -> None:
    trade = ("paper:XRP-DOGE", "1", "4", "0", "DOGE")
    told = total(booked(trade, ("paper:XRP-DOGE", "-1", "4", "0", "DOGE")))

    assert told.point is not None
    assert told.point.equity == 0


def test_of_nothing_the_total_is_nothing() -> None:
    told = total(booked())
    assert told.point is not None
    assert told.point.equity == 0
