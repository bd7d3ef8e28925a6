"""`botkit fills|positions|history|statement` over journals: exact, and never a guess."""

import csv
import io
import json
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from botkit.cli.booking import MONEY, Book
from botkit.cli.daybook import Daybook, day_of
from botkit.cli.venue_fills import VenueFill, compare
from botkit.journal import JournalReader
from botkit.model import Adjustment, AdjustmentKind, EquityPoint, Fill
from botkit.portfolio import Portfolio
from botkit.ports import JournalEntry, Traded
from tests.unit.journal_bench import (
    BUY,
    DAY,
    SELL,
    SYMBOL,
    T0,
    TRADED,
    S,
    calling,
    fee_told,
    fill,
    new_order,
    write_run,
)

Cli = Callable[..., tuple[int, str, str]]


@pytest.fixture
def cli(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Cli:
    return calling(capsys, tmp_path)


def rows(cli: Cli, *words: str) -> list[dict[str, Any]]:
    """Return what a command tells programs, having seen that CSV and JSON say the same."""
    objects = [json.loads(line) for line in cli(*words, "--json")[1].splitlines()]
    lines = list(csv.DictReader(io.StringIO(cli(*words, "--csv")[1])))
    assert [list(each) for each in objects] == [list(each) for each in lines]
    for each, line in zip(objects, lines, strict=True):
        for name, value in each.items():
            if value is None or isinstance(value, str):
                assert (value or "") == line[name]
    return objects


def adjust(
    kind: AdjustmentKind = AdjustmentKind.CARRIED,
    qty: str = "1",
    *,
    price: str | None = "90",
    at_s: float = 0,
    symbol: str = SYMBOL,
    **more: Any,
) -> Adjustment:
    return Adjustment(
        kind=kind,
        symbol=symbol,
        strategy="maker",
        qty=Decimal(qty),
        price=None if price is None else Decimal(price),
        receive_time_ns=T0 + int(at_s * S),
        **more,
    )


def point(unrealised: str, *, at_s: float = 5, estimated: str = "0") -> EquityPoint:
    return EquityPoint(
        currency="EUR",
        realised=Decimal(0),
        unrealised=Decimal(unrealised),
        fees=Decimal(0),
        fees_estimated=Decimal(estimated),
        equity=Decimal(unrealised),
        receive_time_ns=T0 + int(at_s * S),
    )


# --- fills --------------------------------------------------------------------------------------


def test_a_late_fee_is_shown_with_its_fill_and_one_not_told_as_untold(
    cli: Cli, tmp_path: Path
) -> None:
    write_run(
        tmp_path,
        fill(1, fee=None),
        fill(1, fee=None, exec_id="K-1.2"),
        fill(2, fee="-0.05"),
        fee_told(1, "0.07", exec_id="K-1.2"),
        fee_told(1, "5", exec_id="of no fill"),
    )

    told = rows(cli, "fills")
    assert [each["commission"] for each in told] == [None, "0.07", "-0.05"]
    table = cli("fills")[1]
    assert table.count("untold") == 1
    assert "0.07000000 EUR" in table


def test_each_late_fee_goes_to_one_of_the_fills_that_wait_for_it(cli: Cli, tmp_path: Path) -> None:
    twins = [fill(1, fee=None, exec_id="same"), fill(1, fee=None, exec_id="same")]
    write_run(tmp_path, *twins, fee_told(1, "1", exec_id="same"), fee_told(1, "2", exec_id="same"))

    assert [each["commission"] for each in rows(cli, "fills")] == ["1", "2"]


# --- positions ----------------------------------------------------------------------------------


def test_positions_are_what_the_portfolio_makes_of_the_same_entries(
    cli: Cli, tmp_path: Path
) -> None:
    entries: list[Any] = [
        adjust(qty="0.5"),
        fill(1, BUY, "2", "100", currency="BTC", fee="0.002"),
        fill(2, SELL, "1", "103.33", fee=None),
        fee_told(2, "0.1"),
        fill(3, SELL, "1", "99", fee=None),
        fill(4, BUY, "1", "98", strategy="taker"),
    ]
    portfolio = Portfolio({SYMBOL: TRADED.instrument()})
    portfolio.adjust(entries[0])
    portfolio.apply(entries[1])
    portfolio.apply(entries[2])
    portfolio.amend(entries[3])
    portfolio.apply(entries[4])
    portfolio.apply(entries[5])
    write_run(tmp_path, TRADED, *entries, exit_code=None)

    told = rows(cli, "positions")

    assert [
        (each["strategy"], Decimal(each["qty"]), Decimal(each["realised"]), each["fees_untold"])
        for each in told
    ] == [
        (view.strategy, view.qty, view.realised, view.fees_untold) for view in portfolio.positions()
    ]
    assert told[0]["fees"] == {"BTC": "0.002", "EUR": "0.1"}
    assert "0.00200 BTC + 0.100 EUR + 1 untold" in cli("positions")[1]


def test_a_mark_is_shown_only_where_the_journal_has_it_for_the_position_as_it_is(
    cli: Cli, tmp_path: Path
) -> None:
    long = fill(1, BUY, "2", "100")
    write_run(tmp_path, TRADED, long, point("4"))
    (told,) = rows(cli, "positions")
    assert (told["unrealised"], told["mark_px"]) == ("4", "102")
    assert "EUR at 2024-01-01T00:00:05.000Z: 4.00 in all" in cli("positions")[1]

    for later in (
        [fill(2, BUY, "1", "100", at_s=6)],  # another size
        [fill(2, SELL, "2", "101", at_s=6), fill(3, BUY, "2", "90", at_s=7)],  # another price
        [fill(2, BUY, "1", "100", at_s=6, strategy="taker"), point("7", at_s=8, estimated="1")],
    ):
        write_run(tmp_path, TRADED, long, point("4"), *later, run_id=f"r{id(later)}")
        assert {each["unrealised"] for each in rows(cli, "positions")} == {None}
        assert cli("positions")[1].count("not known") == 2 * len(rows(cli, "positions"))
    assert "(1.00 of it estimated)" in cli("positions")[1]


def test_a_flat_position_has_nothing_to_mark(cli: Cli, tmp_path: Path) -> None:
    write_run(tmp_path, TRADED, fill(1, BUY), fill(2, SELL, price="101"), point("0"))

    (told,) = rows(cli, "positions")
    assert (told["qty"], told["average_px"], told["unrealised"]) == ("0", None, "0")
    assert "not known" not in cli("positions")[1]


def test_fees_in_base_currency_are_no_part_of_the_mark(cli: Cli, tmp_path: Path) -> None:
    write_run(tmp_path, TRADED, fill(1, BUY, "2", fee="0.5", currency="BTC"), point("4"))

    (told,) = rows(cli, "positions")
    assert (told["qty"], told["mark_px"]) == ("1.5", "102")


def test_an_inverse_contract_has_its_profit_and_no_mark(cli: Cli, tmp_path: Path) -> None:
    inverse = Traded(
        symbol=SYMBOL,
        base="EUR",
        quote="USD",
        tick_size=Decimal(1),
        lot_size=Decimal(1),
        contract_multiplier=Decimal(100),
        inverse=True,
    )
    write_run(tmp_path, inverse, fill(1, BUY, "3", "100"), point("1"))

    (told,) = rows(cli, "positions")
    assert (told["currency"], told["unrealised"], told["mark_px"]) == ("EUR", "1", None)


def test_what_is_carried_on_untraded_is_named(cli: Cli, tmp_path: Path) -> None:
    gone = adjust(symbol="kestrel:OLD-EUR", qty="3")
    flat = adjust(symbol="kestrel:OLDER-EUR", qty="0", price=None)
    write_run(tmp_path, TRADED, gone, flat)

    assert "not traded by this run: 3 kestrel:OLD-EUR (maker)" in cli("positions")[1]
    assert "OLDER" not in cli("positions")[1]


def test_a_journal_that_does_not_describe_its_instruments_is_said(cli: Cli, tmp_path: Path) -> None:
    write_run(tmp_path, fill(1))

    code, _, err = cli("positions")
    assert code == 1
    assert "the journal does not describe that instrument" in err


# --- history ------------------------------------------------------------------------------------


def test_history_tells_how_each_run_ended_and_what_it_earned(cli: Cli, tmp_path: Path) -> None:
    summary = {
        "orders": {"submitted": 7, "refused": 2, "fills": 3},
        "profit": [{"currency": "EUR", "total": "-1.5"}],
        "unpriced": {"USD": ["kestrel:BTC-USD"]},
        "total": {"currency": "USD", "equity": None, "missing": ["no rate"]},
    }
    rated = {**summary, "total": {"currency": "USD", "equity": "12.5", "missing": []}}
    write_run(tmp_path, new_order(1), run_id="r1", summary=summary, exit_code=3)
    write_run(tmp_path, new_order(1), run_id="r2", started_ns=T0 + S, summary=rated)
    write_run(tmp_path, new_order(1), run_id="r3", started_ns=T0 + 2 * S, exit_code=None)
    write_run(tmp_path, run_id="x1", bot="other", started_ns=T0 + 3 * S, mode="REPLAY")

    told = rows(cli, "history")

    assert [each["run"] for each in told] == ["x1", "r3", "r2", "r1"]
    assert [each["exit_code"] for each in told] == [0, None, 0, 3]
    assert told[2]["orders"] == 7
    assert told[2]["total"] == "12.5"
    assert len(told[2]["run_hash"]) == 64
    table = cli("history")[1]
    assert "-1.50 EUR, unknown in USD" in table
    assert "incomplete in USD" in table
    assert "12.50 USD" in table
    assert "running, or killed" in table
    assert "0:01:00" in table
    assert [each["run"] for each in rows(cli, "history", "--limit", "2", "--bot", "demo")] == [
        "r3",
        "r2",
    ]


# --- statement ----------------------------------------------------------------------------------


def adds_up(line: dict[str, Any]) -> bool:
    names = ("opening", "bought", "adjusted", "not_carried")
    total = sum((Decimal(line[name]) for name in names), Decimal(0))
    left = total - Decimal(line["sold"]) - Decimal(line["fees_in_kind"])
    return left == Decimal(line["closing"])


def test_a_day_adds_up_over_runs_that_carry_and_span_midnight(cli: Cli, tmp_path: Path) -> None:
    evening: list[JournalEntry] = [
        TRADED,
        fill(1, BUY, "2", "100", at_s=-3600),
        fill(2, SELL, "0.5", "110", at_s=10),
        fill(3, BUY, "1", "90", currency="BTC", fee="0.01", at_s=11),
    ]
    morning: list[JournalEntry] = [
        TRADED,
        adjust(qty="2.49", at_s=100),
        adjust(AdjustmentKind.TRADE, "0.25", at_s=101),
        adjust(AdjustmentKind.DEPOSIT, "0", at_s=101, currency="EUR", amount=Decimal(500)),
        fill(4, SELL, "1", "120", fee=None, at_s=102),
        fill(5, SELL, "1", "130", at_s=DAY // S),  # the next day's
    ]
    write_run(tmp_path, *evening, started_ns=T0 - 7200 * S)
    write_run(tmp_path, *morning, run_id="r2", started_ns=T0 + 100 * S)

    line, deposit = rows(cli, "statement", "--day", "2024-01-01")

    assert (line["opening"], line["closing"]) == ("2", "1.74")
    assert (line["bought"], line["sold"], line["adjusted"]) == ("1", "1.5", "0.25")
    assert (line["fees_in_kind"], line["not_carried"], line["fills"]) == ("0.01", "0.00", 3)
    assert (line["bought_for"], line["sold_for"]) == ("90", "175.0")
    assert line["fees"] == {"EUR": "0.1", "BTC": "0.01"}
    assert line["fees_untold"] == 1
    assert adds_up(line)
    assert Decimal(line["realised"]) == 5 + (120 - Decimal(90))
    assert (deposit["symbol"], deposit["currency"], deposit["deposited"]) == (None, "EUR", "500")
    table = cli("statement", "--day", "2024-01-01")[1]
    assert "PAPER  bot demo, 2024-01-01 UTC, 2 runs: 3 fills" in table
    assert "1 untold" in table
    assert [
        each["exec_id"] for each in rows(cli, "statement", "--fills", "--day", "2024-01-01")
    ] == [
        "K-2.1",
        "K-3.1",
        "K-4.1",
    ]


def test_what_a_venue_in_the_process_forgets_is_told_as_not_carried(
    cli: Cli, tmp_path: Path
) -> None:
    write_run(tmp_path, TRADED, fill(1, BUY, "2", at_s=-60), started_ns=T0 - 60 * S)
    write_run(tmp_path, TRADED, fill(2, BUY, "1", at_s=10), run_id="r2", started_ns=T0)
    write_run(tmp_path, TRADED, fill(3, SELL, "3", at_s=99), run_id="r3", started_ns=T0 + 9 * S)

    (line,) = rows(cli, "statement", "--day", "2024-01-01")

    assert (line["opening"], line["not_carried"], line["closing"]) == ("2", "-3", "-3")
    assert adds_up(line)


def test_a_run_that_only_carried_opens_and_closes_the_day(cli: Cli, tmp_path: Path) -> None:
    write_run(tmp_path, TRADED, adjust(qty="2", at_s=5))

    (line,) = rows(cli, "statement", "--day", "2024-01-01")
    assert (line["opening"], line["closing"], line["fills"]) == ("2", "2", 0)


def test_of_replays_only_the_newest_counts(cli: Cli, tmp_path: Path) -> None:
    for number in range(3):
        write_run(tmp_path, TRADED, fill(1), run_id=f"r{number}", mode="REPLAY")
    write_run(tmp_path, TRADED, fill(1), run_id="p", mode="PAPER", started_ns=T0 + S)

    day = ("--day", "2024-01-01")
    assert [each["bought"] for each in rows(cli, "statement", *day, "--mode", "replay")] == ["1"]
    assert "PAPER" in cli("statement", *day)[1]
    assert "0 fills" in cli("statement")[1]  # nothing today


def test_a_bad_day_is_refused(cli: Cli, tmp_path: Path) -> None:
    write_run(tmp_path, fill(1))

    code, _, err = cli("statement", "--day", "2024-02-30")
    assert code == 2
    assert "'2024-02-30' is no day" in err


def test_a_day_is_from_midnight_to_midnight_utc() -> None:
    assert day_of("2024-01-01") == (T0, T0 + DAY)
    book = Daybook(T0, T0 + DAY)
    at_s = (-1e-9, 0, DAY / S - 1e-6, DAY / S)
    book.add_run([TRADED, *(fill(n, at_s=each) for n, each in enumerate(at_s))])
    assert [each.client_order_id for each in book.fills] == ["demo-r1-1", "demo-r1-2"]


# --- the venue's fills --------------------------------------------------------------------------


@pytest.fixture
def traded(tmp_path: Path) -> list[Fill]:
    """Write three fills on one day; return them."""
    fills = [fill(1), fill(2, SELL, price="101"), fill(2, SELL, price="101", exec_id="K-2.2")]
    write_run(tmp_path, TRADED, *fills)
    return fills


def test_the_venues_own_list_matches(cli: Cli, tmp_path: Path, traded: list[Fill]) -> None:
    theirs = tmp_path / "venue.csv"
    theirs.write_text(cli("fills", "--csv")[1])
    day = ("--day", "2024-01-01", "--venue-fills", str(theirs))

    code, table, _ = cli("statement", *day)
    assert code == 0
    assert f"{len(traded)} matched, 0 differing, 0 missing here, 0 missing there" in table
    assert {each["result"] for each in rows(cli, "statement", *day)} == {"matched"}

    # Another order of rows, the venue's own symbols, no execution ids: the same fills.
    lines = ["venue_order_id,symbol,side,qty,price"]
    lines += [
        f"{each.venue_order_id},BTC-EUR,{each.side.value.lower()},{each.qty:.3f},{each.price}"
        for each in reversed(traded)
    ]
    theirs.write_text("\n".join(lines))
    assert cli("statement", *day)[0] == 0


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("K-1.1", "K-1.9", "missing there"),
        (",100,", ",100.01,", "price: 100 here, 100.01 there"),
        ("BUY,1,", "SELL,1,", "side: BUY here, SELL there"),
        ("BUY,1,", "BUY,2,", "qty: 1 here, 2 there"),
        ("0.1,EUR", "0.2,EUR", "commission: 0.1 here, 0.2 there"),
        ("0.1,EUR", "0.1,USD", "commission currency: EUR here, USD there"),
        ("kestrel:BTC-EUR", "kestrel:ETH-EUR", "missing here"),
    ],
)
@pytest.mark.usefixtures("traded")
def test_any_difference_is_told_and_makes_the_exit_code_1(
    old: str, new: str, told: str, cli: Cli, tmp_path: Path
) -> None:
    theirs = tmp_path / "venue.csv"
    text = cli("fills", "--csv")[1]
    assert old in text
    theirs.write_text(text.replace(old, new, 1))

    code, table, _ = cli("statement", "--day", "2024-01-01", "--venue-fills", str(theirs))

    assert code == 1
    assert told in table
    assert "2 matched" in table


@pytest.mark.usefixtures("traded")
def test_what_the_venue_dates_on_another_day_is_not_missing(cli: Cli, tmp_path: Path) -> None:
    theirs = tmp_path / "venue.csv"
    text = cli("fills", "--csv")[1]
    yesterday = text.splitlines()[1].replace(str(T0 + 2 * S), str(T0 - S)).replace("K-1", "K-0")
    theirs.write_text(f"{text}{yesterday}\n")
    day = ("--day", "2024-01-01", "--venue-fills", str(theirs))
    assert cli("statement", *day)[0] == 0

    theirs.write_text(f"{text}{yesterday.replace(str(T0 - S), '')}\n")  # of no day
    assert "1 missing here" in cli("statement", *day)[1]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "found columns none"),
        ("symbol,side,qty\n", "lacks price, exec_id or venue_order_id"),
        ("exec_id,symbol,side,qty,price\n,A,BUY,1,1\n", "row 1: found no exec_id"),
        ("exec_id,symbol,side,qty,price\ne,A,LONG,1,1\n", "column side: found 'LONG'"),
        ("exec_id,symbol,side,qty,price\ne,A,BUY,x,1\n", "column qty: found 'x'"),
        ("exec_id,symbol,side,qty,price\ne,A,BUY,1,inf\n", "column price: found 'inf'"),
        ("exec_id,symbol,side,qty,price\ne,A,BUY\n", "column qty: found None"),
        (
            "exec_id,symbol,side,qty,price,receive_time_ns\ne,A,BUY,1,1,noon\n",
            "column receive_time_ns: found 'noon'",
        ),
    ],
)
@pytest.mark.usefixtures("traded")
def test_a_file_that_is_no_list_of_fills_is_refused(
    text: str, told: str, cli: Cli, tmp_path: Path
) -> None:
    theirs = tmp_path / "venue.csv"
    theirs.write_text(text)

    code, _, err = cli("statement", "--venue-fills", str(theirs))
    assert code == 2
    assert told in err
    assert str(theirs) in err


@pytest.mark.usefixtures("traded")
def test_a_file_that_is_not_there_is_said(cli: Cli) -> None:
    code, _, err = cli("statement", "--venue-fills", "nonesuch.csv")
    assert code == 2
    assert "nonesuch.csv: the venue's fills cannot be read" in err


def test_equal_fills_are_matched_before_those_that_differ() -> None:
    ours = [fill(1, price="100", exec_id=None), fill(1, price="200", exec_id=None)]
    theirs = [
        VenueFill(
            venue_order_id="K-1", symbol=SYMBOL, side="BUY", qty=Decimal(1), price=Decimal(price)
        )
        for price in ("200", "150")
    ]

    told = compare(ours, theirs)

    assert [each.result for each in told] == ["differing", "matched"]
    assert told[0].theirs is theirs[1]


def test_a_book_reads_only_what_moves_money(tmp_path: Path) -> None:
    entries: list[JournalEntry] = [TRADED, new_order(1), fill(1)]
    write_run(tmp_path, *entries)
    book = Book()
    with JournalReader(tmp_path / "demo.sqlite") as reader:
        for entry in reader.entries("r1"):
            book.apply(entry)
        kinds = {type(entry) for entry in reader.entries("r1", MONEY)}
    assert kinds == {Traded, Fill}
    assert book.portfolio.position(SYMBOL) == 1
