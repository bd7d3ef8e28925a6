"""The life of a run inside the engine: start, stop, and who may trade in between."""

import traceback
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Final

import msgspec

from botkit.engine.channel import Channel, Route
from botkit.model import (
    Balance,
    CleanUpExpired,
    CreditLimit,
    FeedEnded,
    Halted,
    JournalStatus,
    Operation,
    OperatorCommand,
    RunStarted,
    StopRequested,
    StrategyEnded,
    VenueStatus,
)

if TYPE_CHECKING:
    from botkit.engine.core import Engine
    from botkit.engine.slot import StrategySlot

__all__ = ["MISTAKES", "Lifecycle"]

Notify = Callable[[], None]
# What a strategy may raise and end alone by: `sys.exit()` in it must not take the clean-up along.
MISTAKES: Final = (Exception, SystemExit)


class Lifecycle:
    """Keeps what blocks trading: a venue that is not ready, a pause, a fault, the end.

    Attributes
    ----------
    stopping
        Why the run is ending; empty while it is not.
    journal_fault
        Why the journal cannot record; empty while it can.
    stop_wanted
        Why the shell should stop the run (a strategy failed under `on_error = "stop"`, or all
        of them have ended); empty while it should not.
    venue_status, balances, credit
        The latest word of each venue; of credit that of each counterparty, "" all together.
    has_started
        The strategies have been started.
    on_stop_wanted, on_ready
        Called when `stop_wanted` is set, and once when every venue is up for the first time.
    on_journal_ok
        Called when the journal records again.
    """

    def __init__(self, engine: "Engine") -> None:
        self._engine = engine
        self.journal_fault = ""
        self._paused: dict[str, str] = {}
        self.stopping = ""
        self.stop_wanted = ""
        self.on_stop_wanted: Notify = _nothing
        self.on_ready: Notify = _nothing
        self.on_journal_ok: Notify = _nothing
        self._is_ready = False
        self.has_started = False
        self._feeds_ended: dict[str, bool] = {}
        self.venue_status: dict[str, VenueStatus] = {}
        self.balances: dict[tuple[str, str], Balance] = {}
        self.credit: dict[tuple[str, str, str], CreditLimit] = {}
        self.routes: dict[type, Route] = {
            RunStarted: self._on_run_started,
            StopRequested: self._on_stop_requested,
            StrategyEnded: self._on_strategy_ended,
            CleanUpExpired: self._on_clean_up_expired,
            VenueStatus: self._on_venue_status,
            Balance: self._on_balance,
            CreditLimit: self._on_credit,
            JournalStatus: self._on_journal_status,
            OperatorCommand: self._on_operator_command,
            FeedEnded: self._on_feed_ended,
        }

    # --- start and stop ---------------------------------------------------------------------

    def _on_run_started(self, event: RunStarted) -> None:
        engine = self._engine
        if self.stopping:
            return  # asked to stop before every venue was up
        engine.desk.start(event.run_id)
        self.refresh()
        self.has_started = True
        engine.guard.start()
        for slot in engine.slots.values():
            engine.call(slot, "on_start")
        for channel in engine.channels.values():
            channel.wake()
        if engine.settings.equity_every_ns:
            self._schedule_equity()

    def _schedule_equity(self) -> None:
        engine = self._engine
        due_ns = engine.now_ns + engine.settings.equity_every_ns

        def record() -> None:
            self.record_equity()
            self._schedule_equity()

        engine.call_at(due_ns, record)

    def record_equity(self) -> None:
        """Record profit and loss as it stands, per currency."""
        engine = self._engine
        for point in engine.portfolio.equity(engine.touch_of, engine.now_ns):
            engine.journal.record(point)
        engine.touched = True

    def _on_stop_requested(self, event: StopRequested) -> None:
        if self.stopping:
            return
        engine = self._engine
        if self.has_started:
            for slot in engine.slots.values():
                engine.call(slot, "on_stop")
        self.stopping = event.reason or "no reason given"
        for slot in engine.slots.values():
            slot.timers.clear()
        for channel in engine.channels.values():
            channel.silence()
        self.refresh()
        engine.flattener.stop(f"the bot is stopping: {self.stopping}")
        engine.desk.cancel_each(engine.orders.working())

    def want_stop(self, reason: str) -> None:
        """Ask the shell to end the run."""
        if not self.stop_wanted:
            self.stop_wanted = reason
            self.on_stop_wanted()

    # --- strategies -------------------------------------------------------------------------

    def fail(self, slot: "StrategySlot", exc: BaseException) -> None:
        """End a strategy that raised: alone, unless it is configured to take the bot along."""
        self._engine.log(
            "error",
            "strategy failed",
            {"strategy": slot.name, "error": "".join(traceback.format_exception(exc))},
        )
        self._end(slot, f"{type(exc).__name__}: {exc}")

    def _on_strategy_ended(self, event: StrategyEnded) -> None:
        self._end(self._engine.slots[event.strategy], event.error)

    def _end(self, slot: "StrategySlot", error: str) -> None:
        if slot.ended:
            return
        engine = self._engine
        slot.ended, slot.error = True, error
        slot.blocked = f"strategy {slot.name} has ended{': ' + error if error else ''}"
        slot.hooks.clear()
        slot.timers.clear()
        for symbol in slot.symbols:
            engine.channels[symbol].rebuild()
        engine.journal.record(
            StrategyEnded(strategy=slot.name, error=error, receive_time_ns=engine.now_ns)
        )
        engine.desk.cancel_each(engine.orders.working(strategy=slot.name))
        engine.touched = True
        slot.on_end()
        if error and slot.stop_on_error:
            self.want_stop(f"strategy {slot.name} failed: {error}")
        elif all(each.ended for each in engine.slots.values()):
            self.want_stop("all strategies have ended")

    def _on_clean_up_expired(self, event: CleanUpExpired) -> None:
        engine = self._engine
        engine.journal.record(event)
        for order in engine.orders.mark_unknown(event.client_order_ids, engine.now_ns):
            engine.log("critical", "order may still rest", {"order": order.client_order_id})
            engine.desk.tell(order)
        engine.touched = True

    # --- what blocks trading ----------------------------------------------------------------

    def refresh(self) -> None:
        """Work out anew why each instrument's and strategy's new orders would be refused."""
        for symbol, channel in self._engine.channels.items():
            channel.blocked = self._blocked(symbol, channel)
        for slot in self._engine.slots.values():
            if not slot.ended:
                slot.blocked = self._paused.get(slot.name, "")

    def _blocked(self, symbol: str, channel: Channel) -> str:
        return self._hindrance(channel) or self._paused.get(symbol, "") or self._paused.get("", "")

    def hindrance(self, symbol: str) -> str:
        """Return why no new order of this instrument could pass even if none were paused."""
        return self._hindrance(self._engine.channels[symbol])

    def _hindrance(self, channel: Channel) -> str:
        status = self.venue_status.get(channel.instrument.venue)
        if self.stopping:
            return f"the bot is stopping: {self.stopping}"
        if self.journal_fault:
            return f"the journal cannot record: {self.journal_fault}"
        if status is None or not (status.order_entry and status.private):
            reason = status.reason if status is not None else "not connected yet"
            return f"{channel.instrument.venue} is not ready for orders: {reason}"
        return channel.suspended

    def pause(self, target: str, why: str) -> None:
        """Let no new order of a strategy, an instrument or (with "") anybody pass until resumed."""
        self._paused[target] = f"{target or 'everything'} {why}"
        self.refresh()

    @property
    def paused(self) -> Mapping[str, str]:
        """Why each strategy or instrument, or everything (""), is paused by an operator."""
        return self._paused

    def suspend(self, symbol: str, reason: str) -> None:
        """Let no new order of this instrument pass until an operator resumes it."""
        channel = self._engine.channels.get(symbol)
        if channel is not None:
            channel.suspended = f"{symbol} is suspended: {reason}"
            self.refresh()

    def _on_venue_status(self, told: VenueStatus) -> None:
        reconciler = self._engine.reconciler
        before = reconciler.told(told.venue)
        was_private = before is not None and before.private
        self._publish(reconciler.effective(told))
        if was_private and not told.private:
            lost = self._engine.orders.link_lost(told.venue, self._engine.now_ns)
            reconciler.lost(told.venue, lost)
            for order in lost:
                self._engine.desk.tell(order)
        elif told.private and not was_private:
            reconciler.restored(told.venue)
        self._tell_of(told.venue)

    def review(self, venue: str) -> None:
        """Work out anew what strategies may know of `venue`, and tell them if that has changed."""
        told = self._engine.reconciler.told(venue)
        if told is None:
            return
        now = msgspec.structs.replace(told, receive_time_ns=self._engine.now_ns)
        status = self._engine.reconciler.effective(now)
        if _facts(status) != _facts(self.venue_status[venue]):
            self._publish(status)
            self._tell_of(venue)

    def _publish(self, status: VenueStatus) -> None:
        """Let `status` hold from now on; strategies are told by `_tell_of`."""
        engine = self._engine
        before = self.venue_status.get(status.venue)
        self.venue_status[status.venue] = status
        engine.journal.record(status)
        engine.touched = True
        self.refresh()
        lost = before is not None and before.up and not self.stopping
        engine.log(
            "warning" if lost else "info",
            "venue up" if status.up else "venue not ready",
            {"venue": status.venue, "reason": status.reason},
        )

    def _tell_of(self, venue: str) -> None:
        """Tell the strategies of a venue's status, and the shell once every venue is up."""
        engine = self._engine
        if self.has_started:  # before, `on_start` has not set the strategies up
            for slot in list(engine.slots.values()):
                engine.call(slot, "on_venue", self.venue_status[venue])
        if not self._is_ready and self._all_up():
            self._is_ready = True
            self.on_ready()

    def _venues(self) -> list[str]:
        channels = self._engine.channels.values()
        return list(dict.fromkeys(channel.instrument.venue for channel in channels))

    def _all_up(self) -> bool:
        status = self.venue_status
        return all(venue in status and status[venue].up for venue in self._venues())

    def _on_feed_ended(self, event: FeedEnded) -> None:
        self._feeds_ended[event.venue] = True
        if all(venue in self._feeds_ended for venue in self._venues()):
            self.want_stop("end of the data")

    def _on_balance(self, balance: Balance) -> None:
        self.balances[balance.venue, balance.currency] = balance
        self._engine.guard.on_balance(balance)
        self._engine.money.check_balance(balance)

    def _on_credit(self, limit: CreditLimit) -> None:
        self.credit[limit.venue, limit.currency, limit.counterparty] = limit
        self._engine.guard.on_credit(limit)

    def _on_journal_status(self, status: JournalStatus) -> None:
        engine = self._engine
        self.journal_fault = "" if status.ok else status.reason
        self.refresh()
        if status.ok:
            engine.log("warning", "the journal records again", {})
            self.on_journal_ok()
        else:
            engine.log(
                "critical",
                "the journal cannot record: no new orders, canceling all",
                {"reason": status.reason},
            )
            engine.desk.cancel_each(engine.orders.working())

    def _on_operator_command(self, command: OperatorCommand) -> None:
        engine = self._engine
        engine.journal.record(command)
        engine.touched = True
        target = command.target
        if target and target not in engine.slots and target not in engine.channels:
            known = ", ".join([*engine.slots, *engine.channels])
            engine.log("error", "no such target", {"target": target, "allowed": known})
            return
        told = {"operation": command.operation, "target": target or "all"}
        engine.log("warning", "operator command", {**told, **_said(command)})
        reason = command.reason or "no reason given"
        match command.operation:
            case Operation.PAUSE:
                self.pause(target, f"is paused: {reason}")
                self._cancel_target(target)
            case Operation.RESUME:
                self._resume(target)
            case Operation.CANCEL_ALL:
                self._cancel_target(target)
            case Operation.HALT:
                halted = Halted(rule="operator", reason=reason, receive_time_ns=engine.now_ns)
                engine.guard.trip(halted)
            case Operation.FLATTEN:
                engine.flattener.start(target, reason)
        self.refresh()

    def _resume(self, target: str) -> None:
        """Take back a pause, and an instrument's suspension; "" takes back all of them."""
        if target:
            self._paused.pop(target, None)
        else:
            self._paused.clear()
        for symbol, channel in self._engine.channels.items():
            if target in ("", symbol):
                channel.suspended = ""
        self._engine.flattener.resumed(target)

    def _cancel_target(self, target: str) -> None:
        orders = self._engine.orders
        if target in self._engine.slots:
            self._engine.desk.cancel_each(orders.working(strategy=target))
        else:
            self._engine.desk.cancel_each(orders.working(symbol=target or None))


def _facts(status: VenueStatus) -> tuple[bool, bool, bool, str]:
    return status.market_data, status.private, status.order_entry, status.reason


def _said(command: OperatorCommand) -> dict[str, str]:
    """Return what the log says of a person's word besides what is to be done."""
    told = {"reason": command.reason, "by": command.by}
    return {name: value for name, value in told.items() if value}


def _nothing() -> None:
    pass
