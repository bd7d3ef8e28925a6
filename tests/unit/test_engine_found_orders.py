"""An order that the venue names by its terms alone: the journal has to tell whose it is."""

from decimal import Decimal

import msgspec
import pytest

from botkit.journal import OrderFold
from botkit.model import (
    AskListing,
    ExecutionReport,
    OrderListing,
    OrdStatus,
    SendFailed,
    VenueOrderId,
)
from botkit.model.words import RequestKind
from botkit.ports import Capabilities, OrderRecord
from botkit.testing import build_report, time_ns
from botkit.testing.engine_rig import CAPABLE, Actor, EngineRig

NAMELESS = Capabilities(client_order_ids=False, fill_source=CAPABLE.fill_source)


class Bench:
    """One order whose answer was lost, at a venue that takes no ids of ours."""

    def __init__(self) -> None:
        actor = Actor()
        self.rig = EngineRig(actor, capabilities=NAMELESS)
        self.rig.start()
        self.order = actor.buy(actor.instrument, 2, price="99")
        failure = SendFailed(
            symbol=self.order.symbol,
            client_order_id=self.order.client_order_id,
            request=RequestKind.NEW,
            reached_venue=True,
            text="no answer",
            receive_time_ns=time_ns(1),
        )
        self.rig.engine.handle(failure)

    def row(self, ord_status: OrdStatus) -> ExecutionReport:
        """Return how a listing of the venue's has the order."""
        report = build_report(
            "",
            ord_status,
            receive_time_ns=time_ns(2),
            symbol=self.order.symbol,
            side=self.order.side,
            order_qty=Decimal(2),
            price=Decimal(99),
            venue_order_id=VenueOrderId("V-7"),
        )
        return msgspec.structs.replace(report, client_order_id=None)

    def told(self, ord_status: OrdStatus, *, listed: bool) -> None:
        row = self.row(ord_status)
        if not listed:
            self.rig.engine.handle(row)
            return
        asked = self.rig.of(AskListing)
        listing = OrderListing(
            venue="paper",
            listing_id=asked[-1].listing_id if asked else 1,
            began_ns=time_ns(2),
            complete=True,
            reports=(row,),
            receive_time_ns=time_ns(2),
        )
        self.rig.engine.handle(listing)

    def left(self) -> list[OrderRecord]:
        """Return what whoever takes over finds in the journal."""
        self.rig.journal.commit()
        fold = OrderFold()
        for entry in self.rig.journal.entries:
            fold.apply(entry)
        return fold.orders()


@pytest.mark.parametrize("listed", [True, False])
def test_who_takes_over_knows_the_venues_id_of_an_order_found_by_its_terms(*, listed: bool) -> None:
    bench = Bench()
    bench.told(OrdStatus.NEW, listed=listed)
    assert bench.order.venue_order_id == "V-7"
    (record,) = bench.left()
    assert record.venue_order_ids == {"V-7": bench.order.client_order_id}


@pytest.mark.parametrize("listed", [True, False])
def test_an_order_found_by_its_terms_when_it_was_over_is_over_for_the_journal(
    *, listed: bool
) -> None:
    bench = Bench()
    bench.told(OrdStatus.CANCELED, listed=listed)
    assert bench.order.is_closed
    assert bench.left() == []
