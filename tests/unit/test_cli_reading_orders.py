"""`botkit orders` and `botkit explain` over journals of every kind of end an order can have."""

import csv
import io
import json
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest

from botkit.cli.lives import Lives, average_px
from botkit.model import (
    CancelOrder,
    CleanUpExpired,
    ExecType,
    Halted,
    NewOrder,
    Operation,
    OperatorCommand,
    OrderCancelReject,
    OrdStatus,
    OrdType,
    Refused,
    ReplaceOrder,
    RequestKind,
    ResolveOrder,
    SendFailed,
    Side,
    StrategyEnded,
    VenueOrderId,
    VenueStatus,
)
from botkit.ports import Checked, Held, JournalEntry, Traded, Verdict
from tests.unit.journal_bench import (
    SELL,
    SYMBOL,
    T0,
    TRADED,
    S,
    acknowledged,
    calling,
    checked,
    fee_told,
    fill,
    name,
    new_order,
    report,
    write_run,
)

Cli = Callable[..., tuple[int, str, str]]
PASSED = Verdict("max_order_qty", passed=True, limit=Decimal(5), measured=Decimal(1))
DENIED = Verdict(
    "max_order_qty", passed=False, limit=Decimal(5), measured=Decimal(7), text="7 is above 5"
)


@pytest.fixture
def cli(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Cli:
    return calling(capsys, tmp_path)


def refused(number: int, kind: RequestKind = RequestKind.NEW, orig: int | None = None) -> Refused:
    return Refused(
        client_order_id=name(number),
        symbol=SYMBOL,
        strategy="maker",
        request=kind,
        rule="max_order_qty",
        limit="5",
        measured="7",
        text="7 is above 5",
        side=Side.BUY,
        order_qty=Decimal(7),
        price=Decimal(100),
        ord_type=OrdType.LIMIT,
        orig_client_order_id=None if orig is None else name(orig),
        transact_time_ns=T0,
    )


def cancel(number: int, reason: str = "") -> CancelOrder:
    return CancelOrder(
        client_order_id=name(number), symbol=SYMBOL, reason=reason, transact_time_ns=T0 + S
    )


def replace(new: int, orig: int) -> ReplaceOrder:
    return ReplaceOrder(
        client_order_id=name(new),
        orig_client_order_id=name(orig),
        symbol=SYMBOL,
        strategy="maker",
        side=Side.BUY,
        order_qty=Decimal(3),
        price=Decimal(99),
        transact_time_ns=T0 + 2 * S,
    )


def failed(number: int, kind: RequestKind = RequestKind.NEW, *, reached: bool) -> SendFailed:
    return SendFailed(
        symbol=SYMBOL,
        client_order_id=name(number),
        request=kind,
        reached_venue=reached,
        text="the link broke",
        receive_time_ns=T0 + S,
    )


def reject(number: int, *, unknown: bool = False) -> OrderCancelReject:
    return OrderCancelReject(
        symbol=SYMBOL,
        client_order_id=name(number),
        ord_status=None if unknown else OrdStatus.NEW,
        unknown_order=unknown,
        text="too late",
        receive_time_ns=T0 + 2 * S,
    )


def lost(venue: str = "kestrel") -> VenueStatus:
    return VenueStatus(
        venue=venue,
        market_data=True,
        private=False,
        order_entry=False,
        reason="it hung up",
        receive_time_ns=T0 + 5 * S,
    )


CANCELED = report(1, OrdStatus.CANCELED, ExecType.CANCELED)
REPLACED = report(2, OrdStatus.NEW, ExecType.REPLACED, orig_client_order_id=name(1))
ON: list[JournalEntry] = [new_order(1), acknowledged(1)]
STORIES: dict[str, tuple[list[JournalEntry], str, str]] = {
    "sent": ([new_order(1)], "PENDING_NEW", "sent, not answered yet"),
    "resting": (ON, "NEW", ""),
    "part": (
        [*ON, report(1, OrdStatus.PARTIALLY_FILLED, ExecType.TRADE, cum_qty=Decimal("0.5"))],
        "PARTIALLY_FILLED",
        "",
    ),
    "canceling": ([*ON, cancel(1)], "PENDING_CANCEL", "cancel not answered yet"),
    "filled while canceling": (
        [*ON, cancel(1), report(1, OrdStatus.PARTIALLY_FILLED, ExecType.TRADE)],
        "PENDING_CANCEL",
        "cancel not answered yet",
    ),
    "cancel declined": ([*ON, cancel(1), reject(1)], "NEW", "too late"),
    "canceled": ([*ON, cancel(1, "pulled"), CANCELED], "CANCELED", "pulled"),
    "replacing": ([*ON, replace(2, 1)], "PENDING_REPLACE", "replace not answered yet"),
    "replaced": ([*ON, replace(2, 1), REPLACED], "NEW", ""),
    "rejected": (
        [new_order(1), report(1, OrdStatus.REJECTED, ExecType.REJECTED, text="no money")],
        "REJECTED",
        "no money",
    ),
    "never left": ([new_order(1), failed(1, reached=False)], "REJECTED", "the link broke"),
    "may have left": (
        [new_order(1), failed(1, reached=True)],
        "UNKNOWN",
        "sent, and may or may not have arrived: the link broke",
    ),
    "cancel may have left": (
        [*ON, cancel(1), failed(1, RequestKind.CANCEL, reached=True)],
        "UNKNOWN",
        "cancel sent, and may or may not have arrived: the link broke",
    ),
    "link lost": ([*ON, lost()], "UNKNOWN", "kestrel was lost: it hung up"),
    "another link lost": ([*ON, lost("other")], "NEW", ""),
    "canceling in doubt": ([*ON, lost(), cancel(1), replace(2, 1)], "UNKNOWN", "kestrel was lost"),
    "found again": ([*ON, lost(), acknowledged(1)], "NEW", ""),
    "venue cannot say": (
        [*ON, report(1, OrdStatus.UNKNOWN, ExecType.ORDER_STATUS)],
        "UNKNOWN",
        "the venue does not say where it stands",
    ),
    "no confirmation": (
        [
            *ON,
            cancel(1),
            CleanUpExpired(client_order_ids=(name(1),), receive_time_ns=T0 + 9 * S),
        ],
        "UNKNOWN",
        "no confirmation that it is gone came before the clean-up deadline",
    ),
    "another's deadline": (
        [*ON, CleanUpExpired(client_order_ids=(name(9),), receive_time_ns=T0 + 9 * S)],
        "NEW",
        "",
    ),
    "a person's word": (
        [
            *ON,
            lost(),
            ResolveOrder(
                client_order_id=name(1),
                ord_status=OrdStatus.CANCELED,
                reason="the venue's support says so",
                by="ann",
            ),
        ],
        "CANCELED",
        "by a person's word: the venue's support says so",
    ),
}


@pytest.mark.parametrize("story", STORIES)
def test_an_order_stands_where_the_journal_says_and_why(
    story: str, cli: Cli, tmp_path: Path
) -> None:
    entries, status, why = STORIES[story]
    write_run(tmp_path, *entries, exit_code=None)

    _, lines, _ = cli("orders", "--json")
    _, table, _ = cli("orders")

    (told,) = [json.loads(line) for line in lines.splitlines()]
    assert told["ord_status"] == status
    assert why in (told["in_doubt"] or told["text"] or "")
    assert bool(told["in_doubt"]) is status.startswith(("PENDING", "UNKNOWN"))
    assert why in table
    assert ("1 order" in cli("orders", "--open")[1]) is told["may_rest"]
    assert cli("explain", "demo-r1-1")[0] == 0


def test_a_replaced_order_has_its_new_size_and_price_and_both_names(
    cli: Cli, tmp_path: Path
) -> None:
    write_run(tmp_path, *ON, replace(2, 1), REPLACED)

    (told,) = [json.loads(line) for line in cli("orders", "--json")[1].splitlines()]

    assert (told["order_qty"], told["price"], told["leaves_qty"]) == ("3", "99", "3")
    for order in ("demo-r1-1", "demo-r1-2", "K-1", "K-2"):
        assert "demo-r1-1  demo-r1-2  K-1  K-2" in cli("explain", order)[1]


def test_a_replace_by_the_venue_counts_as_it_tells_it(cli: Cli, tmp_path: Path) -> None:
    amended = report(
        1, OrdStatus.NEW, ExecType.REPLACED, order_qty=Decimal("0.4"), price=Decimal(98)
    )
    silent = report(1, OrdStatus.NEW, ExecType.REPLACED)
    write_run(tmp_path, *ON, amended, silent)

    (told,) = [json.loads(line) for line in cli("orders", "--json")[1].splitlines()]
    assert (told["order_qty"], told["price"]) == ("0.4", "98")


def test_refused_orders_are_listed_apart_with_the_id_that_explain_takes(
    cli: Cli, tmp_path: Path
) -> None:
    write_run(tmp_path, *ON, checked(2, PASSED, DENIED), refused(2))

    code, table, _ = cli("orders")
    assert "1 order, and 1 refused: --refused lists them" in table
    assert "demo-r1-2" not in table
    _, table, _ = cli("orders", "--refused")
    assert "1 refused order" in table
    assert "demo-r1-2" in table
    _, story, _ = cli("explain", "demo-r1-2")
    assert (
        "buy 7 kestrel:BTC-EUR at 100.0000 by maker: refused by max_order_qty, so it never "
        "left: 7 is above 5."
    ) in story
    steps = [json.loads(line) for line in cli("explain", "r1-2", "--json")[1].splitlines()]
    assert [(step["event"], step["rule"], step["margin"]) for step in steps] == [
        ("outcome", None, None),
        ("passed", "max_order_qty", "4"),
        ("refused", "max_order_qty", "-2"),
    ]
    assert story.count("7 is above 5") == 1, "nothing is said twice"
    assert code == 0


def test_a_refusal_of_an_older_journal_is_told_without_what_was_asked(
    cli: Cli, tmp_path: Path
) -> None:
    plain = msgspec.structs.replace(refused(1), side=None, order_qty=None, limit="", measured="")
    write_run(tmp_path, plain)

    assert "an order for kestrel:BTC-EUR by maker: refused" in cli("explain", "1")[1]


WAITS = Verdict(
    "self_trade", passed=False, limit=Decimal(0), measured=Decimal(1), text="in the way", waits=True
)


def held(number: int, *waits_for: int) -> Held:
    request = new_order(number, at_s=1)
    names = tuple(map(name, waits_for))
    return Held(client_order_id=request.client_order_id, request=request, waits_for=names)


def test_an_order_that_is_held_back_is_listed_and_explained(cli: Cli, tmp_path: Path) -> None:
    write_run(tmp_path, *ON, checked(2, PASSED, WAITS), held(2, 1))

    [_, order] = [json.loads(line) for line in cli("orders", "--json")[1].splitlines()]
    told = (order["ord_status"], order["may_rest"], order["leaves_qty"], order["cum_qty"])
    assert told == ("HELD", False, "1", "0")
    _, story, _ = cli("explain", "2")
    assert "held back until demo-r1-1 is confirmed gone; nothing of it has left." in story
    steps = [json.loads(line) for line in cli("explain", "2", "--json")[1].splitlines()]
    assert [(step["event"], step["time_ns"] - T0) for step in steps[1:]] == [
        ("passed", S),
        ("waits", S),
        ("held back", S),
    ]


def test_an_order_that_was_held_and_sent_has_both_times_and_both_judgements(
    cli: Cli, tmp_path: Path
) -> None:
    sent = new_order(2, at_s=4)
    write_run(tmp_path, *ON, checked(2, WAITS), held(2, 1), checked(2, PASSED), sent)

    steps = [json.loads(line) for line in cli("explain", "2", "--json")[1].splitlines()]
    assert [(step["event"], step["time_ns"] - T0) for step in steps[1:]] == [
        ("waits", S),
        ("held back", S),
        ("passed", 4 * S),
        ("sent", 4 * S),
        ("in doubt", 4 * S),
    ]
    [_, order] = [json.loads(line) for line in cli("orders", "--json")[1].splitlines()]
    assert (order["ord_status"], order["may_rest"], order["text"]) == ("PENDING_NEW", True, "")


def test_an_order_that_was_held_and_refused_is_one_refused_order(cli: Cli, tmp_path: Path) -> None:
    write_run(tmp_path, *ON, checked(2, WAITS), held(2, 1), refused(2))

    assert "1 order, and 1 refused" in cli("orders")[1]
    steps = [json.loads(line) for line in cli("explain", "2", "--json")[1].splitlines()]
    assert [step["event"] for step in steps[1:]] == ["waits", "held back", "refused"]
    assert "so it never left: 7 is above 5" in steps[0]["text"]


def test_a_bare_number_is_ours_before_it_is_the_venues(cli: Cli, tmp_path: Path) -> None:
    answer = msgspec.structs.replace(acknowledged(2), venue_order_id=VenueOrderId("K-1"))
    write_run(tmp_path, new_order(1), new_order(2), answer)

    assert cli("explain", "1")[1].startswith("demo-r1-1\n")
    assert cli("explain", "K-1")[1].startswith("demo-r1-2  K-1\n")


def test_a_refused_replace_is_part_of_its_orders_story(cli: Cli, tmp_path: Path) -> None:
    write_run(tmp_path, *ON, checked(2, DENIED), refused(2, RequestKind.REPLACE, 1))

    _, story, _ = cli("explain", "demo-r1-2")

    assert "replace refused" in story
    assert story.startswith("demo-r1-1  demo-r1-2  K-1")
    assert "rests at the venue" in story


def test_a_story_tells_fills_fees_cancels_and_what_befell_the_bot(cli: Cli, tmp_path: Path) -> None:
    stop = NewOrder(
        client_order_id=name(1),
        symbol=SYMBOL,
        strategy="maker",
        side=Side.SELL,
        order_qty=Decimal(2),
        ord_type=OrdType.STOP,
        stop_px=Decimal(90),
        reduce_only=True,
        transact_time_ns=T0,
    )
    write_run(
        tmp_path,
        TRADED,
        checked(1, PASSED),
        stop,
        acknowledged(1),
        report(
            1,
            OrdStatus.PARTIALLY_FILLED,
            ExecType.TRADE,
            last_qty=Decimal(1),
            last_px=Decimal(90),
            cum_qty=Decimal(1),
            text="triggered",
        ),
        fill(1, SELL, price="90"),
        fill(1, SELL, price="91", qty="0.5", fee=None, exec_id="K-1.2"),
        fill(1, SELL, price="91", qty="0.5", fee=None, exec_id="K-1.3"),
        fee_told(1, "0.25", exec_id="K-1.2"),
        fee_told(1, "9", exec_id="nobody's"),
        Halted(rule="max_daily_loss", reason="lost too much", receive_time_ns=T0 + 3 * S),
        OperatorCommand(
            operation=Operation.PAUSE, target=SYMBOL, reason="news", receive_time_ns=T0 + 3 * S
        ),
        OperatorCommand(operation=Operation.CANCEL_ALL, target="other", receive_time_ns=T0 + 3 * S),
        StrategyEnded(strategy="maker", error="ValueError: x", receive_time_ns=T0 + 3 * S),
        StrategyEnded(strategy="other", error="", receive_time_ns=T0 + 3 * S),
        replace(2, 1),
        reject(1, unknown=True),
        cancel(1, "halted"),
        failed(1, RequestKind.CANCEL, reached=False),
        failed(1, RequestKind.CANCEL, reached=True),
        lost(),
        VenueStatus(venue="kestrel", market_data=True, private=True, order_entry=True),
        CleanUpExpired(client_order_ids=(name(1),), receive_time_ns=T0 + 9 * S),
        exit_code=None,
    )

    code, story, _ = cli("explain", "K-1")

    assert code == 0
    assert "sell 2 kestrel:BTC-EUR at market, stop at 90.00000 by maker: UNKNOWN" in story
    assert "2 of 2 filled at 90.50000 on average, fees 0.35 EUR and 1 not told yet" in story
    for text in (
        "passed",
        "(GTC, stop, reduce_only)",
        "1 at 90.00000, now PARTIALLY_FILLED, filled 1, the venue's id K-1: triggered",
        "sell 1 at 90.00000, fee 0.1 EUR",
        "fee not told yet",
        "0.25 EUR, of K-1.2",
        "by max_daily_loss: lost too much",
        "PAUSE kestrel:BTC-EUR: news",
        "maker: ValueError: x",
        "demo-r1-2 in place of demo-r1-1: 3 at 99.00000",
        "the venue does not know the order, so it is asked for",
        "demo-r1-1: halted",
        "it surely never left",
        "it may have arrived",
        "kestrel: it hung up",
        "venue up",
        "gave up waiting",
        "in doubt",
    ):
        assert text in story, text
    assert "other" not in story


def test_a_filled_order_is_not_explained_by_a_cancel_that_came_too_late(
    cli: Cli, tmp_path: Path
) -> None:
    filled = report(1, OrdStatus.FILLED, ExecType.TRADE, cum_qty=Decimal(1))
    write_run(tmp_path, *ON, cancel(1), filled, fill(1), reject(1))

    assert "by maker: filled; 1 of 1 filled at 100.0000" in cli("explain", "1")[1]


def test_a_cancel_says_whose_it_was(cli: Cli, tmp_path: Path) -> None:
    write_run(tmp_path, *ON, CANCELED, lost())
    story = cli("explain", "1")[1]
    assert "by maker: canceled by the venue." in story
    assert "hung up" not in story  # the order was over by then

    write_run(tmp_path, *ON, cancel(1), CANCELED, run_id="r2")
    assert "by maker: canceled at our request." in cli("explain", "1")[1]


def test_an_order_is_found_by_the_end_of_its_id_in_the_newest_run_that_has_it(
    cli: Cli, tmp_path: Path
) -> None:
    write_run(tmp_path, *[new_order(number) for number in (1, 2, 12)])
    write_run(tmp_path, new_order(5), run_id="r2", started_ns=T0 + S)

    assert cli("explain", "2")[1].startswith("demo-r1-2\n")  # its number, not the end of 12
    assert cli("explain", "1-12")[1].startswith("demo-r1-12\n")
    assert "run r2" in cli("explain", "5")[1]
    code, _, err = cli("explain", "demo-r1-1", "--run", "r2")
    assert (code, "run r2 has no order 'demo-r1-1'" in err) == (1, True)
    code, _, err = cli("explain", "nonesuch", "--bot", "demo")
    assert (code, "no run of bot 'demo' has an order 'nonesuch'" in err) == (1, True)


def test_an_id_that_may_mean_several_lists_them(cli: Cli, tmp_path: Path) -> None:
    write_run(tmp_path, *[new_order(number) for number in range(1, 13)])

    code, out, err = cli("explain", "demo-r1")

    assert (code, out) == (2, "")
    assert "'demo-r1' may be any of 12 orders of run r1; give more of its id:" in err
    assert "demo-r1-10" in err
    assert "demo-r1-11" not in err
    assert "... and 2 more" in err


def test_orders_are_filtered_by_instrument_and_strategy(cli: Cli, tmp_path: Path) -> None:
    write_run(tmp_path, new_order(1))

    def count(*words: str) -> int:
        return len(list(csv.DictReader(io.StringIO(cli("orders", "--csv", *words)[1]))))

    assert count("--symbol", SYMBOL, "--strategy", "maker") == 1
    assert count("--symbol", "kestrel:ETH-EUR") == count("--strategy", "taker") == 0


def test_the_mean_price_of_inverse_contracts_is_harmonic() -> None:
    fills = [fill(1, price="100"), fill(1, price="50")]

    assert average_px(fills) == 75
    assert average_px([]) is None
    assert average_px(fills, inverse=True) == Decimal(2) / (Decimal(1) / 100 + Decimal(1) / 50)
    inverse = Traded(
        symbol=SYMBOL,
        base="BTC",
        quote="USD",
        tick_size=Decimal(1),
        lot_size=Decimal(1),
        inverse=True,
    )
    (life,) = Lives([inverse, new_order(1), *fills]).all()
    assert life.avg_px == average_px(fills, inverse=True)


def test_what_is_about_no_order_of_ours_changes_nothing() -> None:
    foreign = report(7, OrdStatus.NEW, ExecType.NEW)
    orphan = Checked(client_order_id=name(8), verdicts=(PASSED,))
    kinds: list[Any] = [foreign, orphan, TRADED, lost()]
    assert Lives(kinds).all() == []
