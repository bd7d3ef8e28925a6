"""Journals written for the tests of the commands that read them: real files, made-up runs."""

from collections.abc import Callable, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

from botkit.cli.main import call
from botkit.cli.session import Session
from botkit.journal import SqliteJournal
from botkit.model import (
    ClientOrderId,
    ExecId,
    ExecType,
    ExecutionReport,
    FeeTold,
    Fill,
    NewOrder,
    OrdStatus,
    Side,
    VenueOrderId,
)
from botkit.ports import Checked, JournalEntry, Traded, Verdict

SYMBOL = "kestrel:BTC-EUR"
S = 1_000_000_000
DAY = 86_400 * S
T0 = 1_704_067_200 * S  # 2024-01-01
TRADED = Traded(
    symbol=SYMBOL, base="BTC", quote="EUR", tick_size=Decimal("0.01"), lot_size=Decimal("0.001")
)
BUY, SELL = Side.BUY, Side.SELL


def name(number: int) -> ClientOrderId:
    return ClientOrderId(f"demo-r1-{number}")


def new_order(number: int, side: Side = BUY, qty: str = "1", *, at_s: float = 0) -> NewOrder:
    return NewOrder(
        client_order_id=name(number),
        symbol=SYMBOL,
        strategy="maker",
        side=side,
        order_qty=Decimal(qty),
        price=Decimal(100),
        transact_time_ns=T0 + int(at_s * S),
    )


def report(number: int, status: OrdStatus, exec_type: ExecType, **more: Any) -> ExecutionReport:
    return ExecutionReport(
        symbol=SYMBOL,
        ord_status=status,
        exec_type=exec_type,
        client_order_id=name(number),
        venue_order_id=VenueOrderId(f"K-{number}"),
        receive_time_ns=T0 + S,
        **more,
    )


def acknowledged(number: int) -> ExecutionReport:
    return report(number, OrdStatus.NEW, ExecType.NEW)


def fill(
    number: int,
    side: Side = BUY,
    qty: str = "1",
    price: str = "100",
    *,
    fee: str | None = "0.1",
    currency: str = "EUR",
    exec_id: str | None = None,
    at_s: float = 2,
    strategy: str = "maker",
    symbol: str = SYMBOL,
) -> Fill:
    return Fill(
        client_order_id=name(number),
        symbol=symbol,
        strategy=strategy,
        side=side,
        qty=Decimal(qty),
        price=Decimal(price),
        exec_id=ExecId(exec_id or f"K-{number}.1"),
        venue_order_id=VenueOrderId(f"K-{number}"),
        commission=None if fee is None else Decimal(fee),
        commission_currency="" if fee is None else currency,
        receive_time_ns=T0 + int(at_s * S),
    )


def fee_told(number: int, fee: str, *, exec_id: str | None = None, at_s: float = 3) -> FeeTold:
    return FeeTold(
        client_order_id=name(number),
        symbol=SYMBOL,
        strategy="maker",
        exec_id=ExecId(exec_id or f"K-{number}.1"),
        commission=Decimal(fee),
        commission_currency="EUR",
        receive_time_ns=T0 + int(at_s * S),
    )


def checked(number: int, *verdicts: Verdict) -> Checked:
    return Checked(client_order_id=name(number), verdicts=verdicts)


def write_run(
    folder: Path,
    *entries: JournalEntry,
    run_id: str = "r1",
    mode: str = "PAPER",
    bot: str = "demo",
    started_ns: int = T0,
    exit_code: int | None = 0,
    summary: dict[str, Any] | None = None,
) -> None:
    """Write one run to the journal of `bot` in `folder`; `exit_code` None leaves it open."""
    journal = SqliteJournal.open(folder, bot)
    try:
        journal.begin_run(run_id=run_id, mode=mode, config="[bot]\n", started_ns=started_ns)
        for entry in entries:
            journal.record(entry)
        journal.commit()
        if exit_code is not None:
            journal.end_run(
                ended_ns=started_ns + 60 * S,
                exit_code=exit_code,
                reason="the time is up",
                summary=summary,
            )
    finally:
        journal.close()


def calling(capsys: Any, folder: Path) -> Callable[..., tuple[int, str, str]]:
    """Return a function that calls a command on the journals in `folder`: code, stdout, stderr."""

    def call_cli(*words: str, where: Sequence[str] = ()) -> tuple[int, str, str]:
        code = call([*words, "--state-dir", str(folder), *where], Session())
        out, err = capsys.readouterr()
        return int(code), out, err

    return call_cli
