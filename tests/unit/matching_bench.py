"""A matcher on a bench: calls made short, and everything delivered kept in `heard`."""

from decimal import Decimal
from typing import Any, TypeVar

from botkit.matching import ConstantLatency, PaperMatcher, RiskAverseQueue
from botkit.model import (
    Approved,
    AskListing,
    AskStatus,
    Balance,
    BookDelta,
    BookSnapshot,
    CancelOrder,
    ClientOrderId,
    Event,
    ExecType,
    ExecutionReport,
    FeedGap,
    Instrument,
    NewOrder,
    OrdType,
    Quote,
    ReplaceOrder,
    Side,
    Trade,
)
from botkit.ports import FeeSchedule

BUY, SELL = Side.BUY, Side.SELL
SYMBOL = "paper:BTC-EUR"
MS = 1_000_000
R = TypeVar("R", NewOrder, ReplaceOrder)


def approved(request: R) -> Approved[R]:
    """Return `request` as the gate would; tests of matching have no gate."""
    passed: Approved[R] = object.__new__(Approved)
    passed.request = request
    return passed


def instrument(**changes: Any) -> Instrument:
    """Return BTC-EUR with a tick of 0.5 and a lot of 0.1."""
    fields: dict[str, Any] = {
        "symbol": SYMBOL,
        "base": "BTC",
        "quote": "EUR",
        "tick_size": Decimal("0.5"),
        "lot_size": Decimal("0.1"),
    }
    return Instrument(**(fields | changes))


class Bench:
    """One matcher with no latency and no fees unless told otherwise; a millisecond per call."""

    def __init__(self, instruments: tuple[Instrument, ...] = (), **options: Any) -> None:
        traded = instruments or (instrument(),)
        settings: dict[str, Any] = {
            "venue": "paper",
            "instruments": {each.symbol: each for each in traded},
            "fees": FeeSchedule(),
            "latency": ConstantLatency(delay_ns=0),
            "queue": RiskAverseQueue(),
            "balances": {"BTC": Decimal(100), "EUR": Decimal(100_000)},
            "seed": 1,
        }
        self.matcher = PaperMatcher(**(settings | options))
        self.heard: list[Event] = []
        self.now_ns = 0
        self.count = 0
        self.matcher.start(self.heard.append, 0)

    # -- requests -----------------------------------------------------------------------------

    def order(
        self,
        side: Side,
        qty: str,
        price: str | None = None,
        *,
        at_ns: int | None = None,
        **more: Any,
    ) -> ClientOrderId:
        """Send an order (a limit if it has a price) and let it arrive if nothing delays it."""
        self.count += 1
        name = ClientOrderId(more.pop("name", f"c{self.count}"))
        default_type = OrdType.MARKET if price is None else OrdType.LIMIT
        request = NewOrder(
            client_order_id=name,
            symbol=more.pop("symbol", SYMBOL),
            strategy="bench",
            side=side,
            order_qty=Decimal(qty),
            ord_type=more.pop("ord_type", default_type),
            price=None if price is None else Decimal(price),
            stop_px=Decimal(more.pop("stop_px")) if "stop_px" in more else None,
            transact_time_ns=self._time(at_ns),
            **more,
        )
        self.matcher.submit(approved(request))
        self.matcher.advance(self.now_ns)
        return name

    def replace(
        self, name: str, qty: str, price: str | None, *, at_ns: int | None = None, **more: Any
    ) -> ClientOrderId:
        """Send a replace of order `name`; return its new name."""
        self.count += 1
        new_name = ClientOrderId(more.pop("new_name", f"c{self.count}"))
        request = ReplaceOrder(
            client_order_id=new_name,
            orig_client_order_id=ClientOrderId(name),
            symbol=SYMBOL,
            strategy="bench",
            side=more.pop("side", BUY),
            order_qty=Decimal(qty),
            price=None if price is None else Decimal(price),
            transact_time_ns=self._time(at_ns),
            **more,
        )
        self.matcher.replace(approved(request))
        self.matcher.advance(self.now_ns)
        return new_name

    def cancel(self, name: str, *, at_ns: int | None = None) -> None:
        """Send a cancel."""
        request = CancelOrder(
            client_order_id=ClientOrderId(name), symbol=SYMBOL, transact_time_ns=self._time(at_ns)
        )
        self.matcher.cancel(request)
        self.matcher.advance(self.now_ns)

    def ask(self, name: str) -> Event:
        """Ask where an order stands and return the answer."""
        question = AskStatus(
            client_order_id=ClientOrderId(name), symbol=SYMBOL, transact_time_ns=self._time(None)
        )
        self.matcher.ask(question)
        self.matcher.advance(self.now_ns)
        return self.heard[-1]

    def listing(self, since_ns: int = 0) -> Event:
        """Ask for everything and return the answer."""
        question = AskListing(
            venue="paper", listing_id=7, since_ns=since_ns, transact_time_ns=self._time(None)
        )
        self.matcher.ask(question)
        self.matcher.advance(self.now_ns)
        return self.heard[-1]

    # -- market data --------------------------------------------------------------------------

    def quote(
        self, bid: float, bid_qty: float, ask: float, ask_qty: float, *, at_ns: int | None = None
    ) -> None:
        """Let the market show a best bid and ask."""
        self.matcher.apply(
            Quote(SYMBOL, bid, bid_qty, ask, ask_qty, receive_time_ns=self._time(at_ns))
        )

    def snapshot(self, bids: list[tuple[float, float]], asks: list[tuple[float, float]]) -> None:
        """Let the market show its book."""
        self.matcher.apply(BookSnapshot(SYMBOL, bids, asks, receive_time_ns=self._time(None)))

    def delta(self, bids: list[tuple[float, float]], asks: list[tuple[float, float]]) -> None:
        """Let levels change."""
        self.matcher.apply(BookDelta(SYMBOL, bids, asks, receive_time_ns=self._time(None)))

    def trade(
        self, price: float, qty: float, aggressor: str = "", *, at_ns: int | None = None
    ) -> None:
        """Let the public trade."""
        self.matcher.apply(Trade(SYMBOL, price, qty, aggressor, receive_time_ns=self._time(at_ns)))

    def gap(self, symbol: str = "") -> None:
        """Let messages be missed."""
        self.matcher.apply(
            FeedGap("paper", reason="lost", symbol=symbol, receive_time_ns=self._time(None))
        )

    # -- what was heard -----------------------------------------------------------------------

    def reports(self, name: str | None = None) -> list[ExecutionReport]:
        """Return the execution reports, of one order or of all."""
        return [
            event
            for event in self.heard
            if isinstance(event, ExecutionReport) and name in (None, event.client_order_id)
        ]

    def story(self, name: str) -> list[str]:
        """Return one order's life as exec types."""
        return [str(report.exec_type) for report in self.reports(name)]

    def last(self, name: str) -> ExecutionReport:
        """Return the last report of an order."""
        return self.reports(name)[-1]

    def fills(self, name: str | None = None) -> list[tuple[str, str]]:
        """Return (quantity, price) of every fill, as text."""
        return [
            (str(report.last_qty), str(report.last_px))
            for report in self.reports(name)
            if report.exec_type is ExecType.TRADE
        ]

    def filled(self, name: str) -> Any:
        """Return how much of an order has filled."""
        return sum(
            (r.last_qty for r in self.reports(name) if r.exec_type is ExecType.TRADE), Decimal(0)
        )

    def balance(self, currency: str) -> tuple[str, str]:
        """Return (total, available) of `currency` as the matcher holds them now, as text."""
        for balance in self.matcher.balances():
            if balance.currency == currency:
                return f"{balance.total.normalize():f}", f"{balance.available.normalize():f}"
        raise KeyError(currency)

    def balance_events(self) -> list[Balance]:
        """Return the balances that were delivered."""
        return [event for event in self.heard if isinstance(event, Balance)]

    def _time(self, at_ns: int | None) -> int:
        self.now_ns = self.now_ns + MS if at_ns is None else max(at_ns, self.now_ns)
        return self.now_ns if at_ns is None else at_ns
