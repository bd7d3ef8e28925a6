"""A whole bot's risk, played beside its plain model: every word of a rule is held against it.

Each move takes `pick`, which returns a number from 0 to below the one it is given: Hypothesis or
a seeded generator decides by it what happens.
"""

import math
from decimal import Decimal
from fractions import Fraction
from typing import Any, Final

from botkit.model import (
    Adjustment,
    ClientOrderId,
    ExecId,
    ExecType,
    FeedGap,
    FeeTold,
    Fill,
    Operation,
    OperatorCommand,
    OrderCancelReject,
    OrderListing,
    OrdStatus,
    Refused,
    ReplaceOrder,
    RequestKind,
    SendFailed,
    Side,
    TimeInForce,
    VenueOrderId,
)
from botkit.portfolio import carried_positions
from botkit.testing import build_report
from tests.property.plain_risk_parts import (
    SETTLE_S,
    Ask,
    PlainOrder,
)
from tests.property.risk_played import PlayedBot
from tests.property.risk_terms import (
    INSTRUMENTS,
    MIDDLE,
    STRATEGIES,
    SYMBOLS,
    VENUES,
    Pick,
)

__all__ = ["World"]

WAITS_S: Final = ("0.25", "0.5", "1", "1", "2", "5", "6", "12")


class World(PlayedBot):
    """A played bot with all that may happen to it."""

    def send(self, pick: Pick) -> None:
        """Place an order of any kind."""
        symbol = SYMBOLS[(0, 0, 0, 1, 2, 2, 3, 4)[pick(8)]]
        strategy = STRATEGIES[pick(2)]
        side = Side.BUY if pick(2) else Side.SELL
        qty = Decimal((1, 1, 2, 2, 3, 4)[pick(6)])
        tick = INSTRUMENTS[symbol].tick_size
        near = max(tick, MIDDLE[symbol] + (pick(9) - 4) * tick)
        kind = pick(8)
        price: Decimal | None = near
        terms: dict[str, Any] = {}
        if kind == 0:
            price = None
        elif kind == 1:
            price, terms["stop_px"] = None, MIDDLE[symbol] + side.sign * 2 * tick
        elif kind == 2:
            terms["stop_px"] = max(tick, near - side.sign * tick)
        elif kind == 3:
            terms["time_in_force"] = TimeInForce.IOC
        elif kind == 4:
            terms["post_only"] = True
        elif kind == 5:
            terms["keep"] = True
        self.place(symbol, strategy, side, qty, price, **terms)

    def trade(self, pick: Pick) -> None:
        """Place an order at the middle and fill all of it."""
        symbol = SYMBOLS[pick(len(SYMBOLS))]
        side = Side.BUY if pick(2) else Side.SELL
        price = Decimal(MIDDLE[symbol])
        order = self.place(symbol, STRATEGIES[pick(2)], side, Decimal(1 + pick(2)), price)
        if order.is_open and not order.is_held and self.is_linked(symbol):
            plain = self.model.orders[order.client_order_id]
            self._fill(plain, plain.qty, pick)

    def make_market(self, pick: Pick) -> None:
        """Place a buy below the middle and a sell above it."""
        symbol, strategy = SYMBOLS[pick(len(SYMBOLS))], STRATEGIES[pick(2)]
        apart = (1 + pick(3)) * INSTRUMENTS[symbol].tick_size
        for side in Side:
            price = MIDDLE[symbol] - side.sign * apart
            self.place(symbol, strategy, side, Decimal(1 + pick(3)), price)

    def burst(self, pick: Pick) -> None:
        """Place several orders in one hook, before any has left; now and then halt in it."""
        symbol, actor = SYMBOLS[pick(len(SYMBOLS))], self.actors[STRATEGIES[pick(2)]]
        wrong: list[AssertionError] = []

        def react(_: object) -> None:
            try:
                before = set(self.orders)
                for _turn in range(2 + pick(2)):
                    self.send(pick)
                if pick(12) == 0:
                    self.model.halted = self.model.halted or "by word"
                    was_halted = self.engine.guard.halted is not None
                    actor.halt("odd")
                    unsent = [] if was_halted else sorted(set(self.orders) - before)
                    for name in unsent:  # dropped: they never left
                        if not self.orders[name].is_held:
                            self.close(self.model.orders[name])
                    self.count("dropped unsent" if unsent else "halt")
            except AssertionError as exc:  # the engine would end the strategy by it
                wrong.append(exc)

        actor.acts["on_quote"] = react
        bid = float(MIDDLE[symbol])
        self.tell_quote(symbol, bid, bid + float(INSTRUMENTS[symbol].tick_size))
        del actor.acts["on_quote"]
        if wrong:
            raise wrong[0]
        self.absorb()
        self.compare()

    def replace(self, pick: Pick) -> None:
        """Change an order's quantity, price or both."""
        found = [
            each
            for each in self.open_orders()
            if each.change is None and each.price is not None and each.stop is None
        ]
        if not found:
            return
        plain = found[pick(len(found))]
        handle = self.orders[plain.name]
        qty = max(Decimal(1), handle.order_qty + pick(4) - 1)
        assert handle.price is not None
        tick = handle.instrument.tick_size
        price = max(tick, handle.price + (pick(7) - 3) * tick)
        ask = Ask(
            symbol=plain.symbol,
            strategy=plain.strategy,
            side=plain.side,
            qty=Fraction(qty),
            price=Fraction(price),
            order=plain,
        )
        if qty <= handle.cum_qty:
            return
        judged, before = self.model.judge(ask), self.mark()
        handle.replace(price=price, qty=qty)
        sent = [e for e in self.entries[before:] if isinstance(e, ReplaceOrder)]
        if sent:
            name: str = sent[0].client_order_id
        else:
            refused = [e for e in self.entries[before:] if isinstance(e, Refused)]
            name = next(e.client_order_id for e in refused if e.request is RequestKind.REPLACE)
        self.hold_against(name, ask, judged, before, passed=bool(sent))
        if sent:
            self.model.replaces(name, ask)
            self.count("replace passed")
        self.absorb()
        self.compare()

    # --- what venues say --------------------------------------------------------------------

    def _reachable(self) -> list[PlainOrder]:
        """Return the open orders whose venue can speak."""
        return [each for each in self.open_orders() if self.is_linked(each.symbol)]

    def _report(self, plain: PlainOrder, status: OrdStatus, **fields: Any) -> None:
        """Deliver a report; `venue_order_id` is always the same for one order."""
        handle = self.orders[plain.name]
        report = build_report(
            handle.current_client_order_id,
            status,
            symbol=plain.symbol,
            receive_time_ns=self.now_ns,
            venue_order_id=VenueOrderId(f"V{plain.name}"),
            **fields,
        )
        self.tell(report)

    def acknowledge(self, pick: Pick) -> None:
        """Let the venue say that an order works."""
        found = self._reachable()
        if found:
            plain = found[pick(len(found))]
            plain.spoken_of, plain.presumed = True, False
            self._report(plain, OrdStatus.NEW)
            self.compare()

    def fill(self, pick: Pick) -> None:
        """Fill some of an open order, or more of one that has ended with fills on their way."""
        found = [each for each in self._reachable() if each.qty > each.cum]
        if found:
            plain = found[pick(len(found))]
            room = int((plain.told if plain.over_when_counted else plain.qty) - plain.cum)
            self._fill(plain, Fraction(1 + pick(room)), pick)

    def fill_late(self, pick: Pick) -> None:
        """Fill an order that was canceled: the match came first."""
        found = [
            each
            for each in self.model.orders.values()
            if each.canceled and each.cum < each.qty and self.is_linked(each.symbol)
        ]
        if found:
            plain = found[pick(len(found))]
            self._fill(plain, Fraction(1), pick)
            self.count("fill after cancel")

    def _fill(self, plain: PlainOrder, qty: Fraction, pick: Pick) -> None:
        self._numbers += 1
        exec_id = f"x{self._numbers}"
        handle, thing = self.orders[plain.name], self.model.things[plain.symbol]
        price = handle.price
        if price is None:
            tick = INSTRUMENTS[plain.symbol].tick_size
            price = MIDDLE[plain.symbol] + plain.side * pick(3) * tick
        is_full = plain.cum + qty == plain.qty
        fee: tuple[Fraction, str] | None = None
        fields: dict[str, Any] = {}
        how = pick(6)  # the last two: not told yet
        if how < 4:
            currency = (thing.quote, thing.base, "EUR", thing.quote)[how]
            number = Decimal(("0", "0.25", "0.5", "1")[pick(4)])
            fee = (Fraction(number), currency)
            fields = {"commission": number, "commission_currency": currency}
        told = {
            "last_qty": Decimal(int(qty)),
            "last_px": price,
            "exec_id": ExecId(exec_id),
            **fields,
        }
        status = OrdStatus.FILLED if is_full else OrdStatus.PARTIALLY_FILLED
        self.model.fills(plain, qty, Fraction(price), exec_id, fee)
        if is_full or (plain.over_when_counted and plain.cum >= plain.told):
            self.close(plain)
        if fee is None:
            self.untold.append((plain, exec_id))
        self.model.look()
        self._report(plain, status, **told)
        self.fills.append((plain, told))
        self.count("fill")
        self.compare()

    def close(self, plain: PlainOrder) -> None:
        plain.is_open, plain.change = False, None

    def repeat(self, pick: Pick) -> None:
        """Tell a fill once more, as a second stream does."""
        found = [each for each in self.fills if each[1].get("commission") is not None]
        if found:
            plain, told = found[pick(len(found))]
            if self.is_linked(plain.symbol):
                is_full = plain.cum == plain.qty
                self._report(
                    plain, OrdStatus.FILLED if is_full else OrdStatus.PARTIALLY_FILLED, **told
                )
                self.compare()

    def tell_fee(self, pick: Pick) -> None:
        """Tell the fee of a fill that came without one."""
        if not self.untold:
            return
        plain, exec_id = self.untold.pop(pick(len(self.untold)))
        told = next(told for each, told in self.fills if told["exec_id"] == exec_id)
        thing = self.model.things[plain.symbol]
        fee = Decimal(("0.25", "0.5", "1")[pick(3)])
        self.model.fee_told(plain, exec_id, (Fraction(fee), thing.quote))
        told.update(commission=fee, commission_currency=thing.quote)
        is_full = plain.cum == plain.qty
        self._report(plain, OrdStatus.FILLED if is_full else OrdStatus.PARTIALLY_FILLED, **told)
        self.count("fee told later")
        self.compare()

    def end(self, pick: Pick) -> None:
        """Let the venue end an order, asked to or not; it may owe fills that came before."""
        found = [
            each for each in self._reachable() if each.change is None and not each.over_when_counted
        ]
        if not found:
            return
        plain = found[pick(len(found))]
        status = (OrdStatus.CANCELED, OrdStatus.CANCELED, OrdStatus.EXPIRED)[pick(3)]
        owed = pick(2) * int(plain.qty - plain.cum > 1)
        plain.spoken_of = True
        if owed:
            plain.told, plain.over_when_counted = plain.cum + owed, True
            self._report(plain, status, cum_qty=Decimal(int(plain.told)))
        else:
            self.close(plain)
            plain.canceled = status is OrdStatus.CANCELED
            self._report(plain, status)
        self.count("end before its fills" if owed else "end")
        self.compare()

    def reject(self, pick: Pick) -> None:
        """Let the venue refuse an order it has not spoken of."""
        found = [each for each in self._reachable() if not each.spoken_of and each.change is None]
        if found:
            plain = found[pick(len(found))]
            plain.spoken_of = True
            self.close(plain)
            self._report(plain, OrdStatus.REJECTED)
            self.compare()

    def cancel(self, pick: Pick) -> None:
        """Cancel one order."""
        found = [*self.open_orders(), *(each.plain for each in self.held.values())]
        if found:
            self.orders[found[pick(len(found))].name].cancel()
            self.absorb()
            self.count("cancel")
            self.compare()

    def decline_cancel(self, pick: Pick) -> None:
        """Let the venue decline a cancel: the order works on, or nobody knows."""
        found = [each for each in self._reachable() if each.cancels]
        if not found:
            return
        plain = found[pick(len(found))]
        is_unknown = bool(pick(2))
        if is_unknown:
            self.doubt(plain)
        self.tell(
            OrderCancelReject(
                symbol=plain.symbol,
                client_order_id=self.orders[plain.name].current_client_order_id,
                response_to=RequestKind.CANCEL,
                ord_status=None if is_unknown else OrdStatus.NEW,
                unknown_order=is_unknown,
                receive_time_ns=self.now_ns,
            )
        )
        self.compare()

    def confirm_replace(self, pick: Pick) -> None:
        """Let the venue do a replace."""
        found = [
            each
            for each in self._reachable()
            if each.change is not None and each.change[1] > each.cum
        ]
        if not found:
            return
        plain = found[pick(len(found))]
        assert plain.change is not None
        name, qty, price, _ = plain.change
        plain.qty, plain.price, plain.change = qty, price, None
        plain.spoken_of = True
        status = OrdStatus.PARTIALLY_FILLED if plain.cum else OrdStatus.NEW
        self.tell(
            build_report(
                name,
                status,
                symbol=plain.symbol,
                exec_type=ExecType.REPLACED,
                order_qty=Decimal(int(qty)),
                receive_time_ns=self.now_ns,
                venue_order_id=VenueOrderId(f"V{plain.name}"),
            )
        )
        self.count("replaced")
        self.compare()

    def decline_replace(self, pick: Pick) -> None:
        """Let the venue decline a replace: the order stands as it was, or nobody knows."""
        found = [each for each in self._reachable() if each.change is not None]
        if not found:
            return
        plain = found[pick(len(found))]
        assert plain.change is not None
        name, plain.change = plain.change[0], None
        self.tell(
            OrderCancelReject(
                symbol=plain.symbol,
                client_order_id=ClientOrderId(name),
                response_to=RequestKind.REPLACE,
                ord_status=OrdStatus.NEW,
                receive_time_ns=self.now_ns,
            )
        )
        self.compare()

    def lose_request(self, pick: Pick) -> None:
        """Let the transport say that an order did not leave, or that nobody knows."""
        found = [
            each
            for each in self.open_orders()
            if not each.spoken_of and each.change is None and not each.cum
        ]
        if not found:
            return
        plain = found[pick(len(found))]
        reached = bool(pick(3))
        if reached:
            self.doubt(plain)
        else:
            self.close(plain)
            plain.presumed = True
        self.tell(
            SendFailed(
                symbol=plain.symbol,
                client_order_id=ClientOrderId(plain.name),
                request=RequestKind.NEW,
                reached_venue=reached,
                text="told by a test",
                receive_time_ns=self.now_ns,
            )
        )
        self.compare()

    def appear(self, pick: Pick) -> None:
        """Let an order turn up that had been given up."""
        found = [
            each
            for each in self.model.orders.values()
            if each.presumed and not each.is_open and self.is_linked(each.symbol)
        ]
        if found:
            plain = found[pick(len(found))]
            plain.presumed, plain.is_open, plain.spoken_of = False, True, True
            plain.after_halt = bool(self.model.halted)
            self._report(plain, OrdStatus.NEW)
            self.count("appeared late")
            self.compare()

    # --- links ------------------------------------------------------------------------------

    def turn_link(self, pick: Pick) -> None:
        """Lose a venue's link, or find it again."""
        venue = VENUES[pick(2)]
        is_up = venue in self.model.up
        if is_up and pick(3):
            return
        for plain in self.open_orders():
            if plain.symbol.startswith(venue):
                self.doubt(plain)
        self.turn(venue, up=not is_up)
        self.count("link lost" if is_up else "link found")
        self.compare()

    def list_orders(self, pick: Pick) -> None:
        """Let a venue list its orders twice, far apart; those it never got are not in it."""
        venue = VENUES[pick(2)]
        is_complete = pick(3) > 0
        gaps = ((0, 6), (6, 6), (6, 2))[pick(3)]
        for gap in gaps:
            self.let_pass(Fraction(gap))
            if venue not in self.model.up:
                return
            began_ns = self.now_ns
            self.let_pass(Fraction(1, 4))
            if is_complete:
                self._miss(venue, Fraction(began_ns, 1_000_000_000))
            self.model.look()
            self.tell(
                OrderListing(
                    venue=venue,
                    listing_id=1,
                    began_ns=began_ns,
                    complete=is_complete,
                    receive_time_ns=self.now_ns,
                )
            )
            self.compare()
        self.count("listed")

    def _miss(self, venue: str, began_s: Fraction) -> None:
        """Note who is absent from a listing: twice, far enough apart, is the end of an order."""
        for plain in self.open_orders():
            doubted_s = plain.doubted_s
            if plain.spoken_of or doubted_s is None or began_s <= doubted_s:
                continue
            if not plain.symbol.startswith(venue):
                continue
            if plain.absent_s is None:
                plain.absent_s = began_s
            elif began_s - plain.absent_s >= SETTLE_S:
                self.close(plain)
                plain.presumed = True
                self.count("ended by absence")

    # --- market, money, time ----------------------------------------------------------------

    def quote(self, pick: Pick) -> None:
        """Tell a quote near the middle."""
        symbol = SYMBOLS[pick(len(SYMBOLS))]
        tick = float(INSTRUMENTS[symbol].tick_size)
        bid = MIDDLE[symbol] + (pick(9) - 5) * tick
        self.tell_quote(symbol, bid, bid + pick(3) * tick)

    def quote_all(self, pick: Pick) -> None:
        """Tell a quote of every instrument."""
        for symbol in SYMBOLS:
            tick = float(INSTRUMENTS[symbol].tick_size)
            bid = MIDDLE[symbol] + (pick(3) - 1) * tick
            self.tell_quote(symbol, bid, bid + (1 + pick(2)) * tick)

    def quote_oddly(self, pick: Pick) -> None:
        """Tell a quote with a side missing, at 0, or crossed."""
        symbol = SYMBOLS[pick(len(SYMBOLS))]
        bid = float(MIDDLE[symbol])
        odd = ((bid, math.nan), (math.nan, bid), (0.0, bid), (bid + 1, bid), (math.nan, math.nan))
        self.tell_quote(symbol, *odd[pick(len(odd))])

    def miss_messages(self, pick: Pick) -> None:
        """Tell that market data were missed."""
        venue = VENUES[pick(2)]
        for symbol in SYMBOLS:
            if symbol.startswith(venue):
                self.model.quotes.pop(symbol, None)
        self.tell(FeedGap(venue=venue, reason="told by a test", receive_time_ns=self.now_ns))

    def tell_balance(self, pick: Pick) -> None:
        """Tell a balance."""
        venue, currency = VENUES[pick(2)], ("EUR", "USD", "BTC")[pick(3)]
        total = (4, 9)[pick(2)] if currency == "BTC" else (100, 250, 2000)[pick(3)]
        self.set_balance(venue, currency, total)
        self.compare()

    def wait(self, pick: Pick) -> None:
        """Let time pass."""
        self.let_pass(Fraction(WAITS_S[pick(len(WAITS_S))]))
        self.compare()
        if pick(3):
            self.quote_all(pick)

    # --- the bot ----------------------------------------------------------------------------

    def halt(self, pick: Pick) -> None:
        """Trip the kill switch by a person's or a strategy's word; seldom."""
        if pick(8):
            return
        self.model.halted = self.model.halted or "by word"
        if pick(2):
            self.actors["a"].halt("odd")
            self.absorb()
        else:
            self.tell(OperatorCommand(operation=Operation.HALT, receive_time_ns=self.now_ns))
        self.count("halt")
        self.compare()

    def restart(self, pick: Pick) -> None:
        """End the bot and start it again, as the command line does."""
        guard, kept = self.engine.guard, (Adjustment, Fill, FeeTold)
        carried = {} if guard.halted else guard.carried()  # cleared: losses begin anew
        entries = [each for each in self.journal.entries if isinstance(each, kept)]
        opening = carried_positions(entries, INSTRUMENTS)
        self.now_ns += (1, 61, 61, 86_400)[pick(4)] * 1_000_000_000
        self.model.next_look_s = None
        self.model.advance(self.now_s)
        self.model.restart(
            {
                (each.strategy, each.symbol): (
                    Fraction(each.qty),
                    None if each.price is None else Fraction(each.price),
                )
                for each in opening
            }
        )
        self.count("restart")
        self.begin(carried, opening)
        self.fund(pick)
        self.quote_all(pick)

    def fund(self, pick: Pick) -> None:
        """Tell balances that pay for much."""
        for venue in VENUES:
            for currency, total in (("EUR", 900), ("USD", 900), ("BTC", 30)):
                if pick(8):
                    self.set_balance(venue, currency, total)
                    self.set_credit(venue, currency, "", total)
