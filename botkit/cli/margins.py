"""How near each rule came to its limit in a run, and what it refused."""

from collections.abc import Iterable
from decimal import Decimal

import attrs

from botkit.cli.lives import time_of
from botkit.model import ClientOrderId, Refused
from botkit.ports import Checked, JournalEntry, Verdict

__all__ = ["RuleRecord", "rule_records"]


@attrs.define(kw_only=True)
class RuleRecord:
    """One rule in one run.

    `asked` counts its verdicts that had a number. `tightest` is the one with the least of its
    limit left, for the order `tightest_id`. `last` is the latest refusal.
    """

    rule: str
    asked: int = 0
    refused: int = 0
    tightest: Verdict | None = None
    tightest_id: ClientOrderId | None = None
    last: Refused | None = None
    last_ns: int = 0


def rule_records(entries: Iterable[JournalEntry]) -> list[RuleRecord]:
    """Return what the journal says of each rule, in the order in which they first spoke."""
    records: dict[str, RuleRecord] = {}

    def of(rule: str) -> RuleRecord:
        return records.setdefault(rule, RuleRecord(rule=rule))

    for entry in entries:
        if isinstance(entry, Checked):
            for verdict in entry.verdicts:
                _note(of(verdict.rule), verdict, entry.client_order_id)
        elif isinstance(entry, Refused):
            record = of(entry.rule)
            record.refused += 1
            record.last, record.last_ns = entry, time_of(entry)
    return list(records.values())


def _note(record: RuleRecord, verdict: Verdict, client_order_id: ClientOrderId) -> None:
    if verdict.margin is None:
        return
    record.asked += 1
    if record.tightest is None or _left(verdict) < _left(record.tightest):
        record.tightest, record.tightest_id = verdict, client_order_id


def _left(verdict: Verdict) -> Decimal:
    """Return the share of the limit that is left; the margin itself where the limit is 0."""
    assert verdict.margin is not None
    return verdict.margin / abs(verdict.limit) if verdict.limit else verdict.margin
