"""What the bot's accounts surely have: the venues' words, less what our fills took since."""

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Final

from botkit.model import Balance, CreditLimit, Fill, Instrument, Side
from botkit.ports import FeeSchedule

__all__ = ["Accounts", "fee_rate"]

ZERO: Final = Decimal(0)
_BUY: Final = Side.BUY  # looking a member up in its enum costs as much as a call (Python 3.11)
BPS: Final = Decimal(10_000)

Key = tuple[str, str]
"""A venue and a currency."""


Told = tuple[Decimal, Decimal]
"""What a venue has told, and how much had been spent by then."""


class Accounts:
    """Holds totals, foreign locks and credit by venue and currency.

    What a fill took is taken off until the venue tells anew; what it brought is not added. A fee
    that is not told yet counts at the venue's rate, in the currency the fill was paid in.

    Parameters
    ----------
    reserved
        The most that our open orders may spend now, by venue and currency; None if unknown.
    """

    def __init__(
        self,
        instruments: Mapping[str, Instrument],
        fees: Mapping[str, FeeSchedule],
        reserved: Callable[[str, str], Decimal | None],
    ) -> None:
        self._instruments = instruments
        self._reserved = reserved
        self._rates = {venue: fee_rate(schedule) for venue, schedule in fees.items()}
        self._spent: dict[Key, Decimal] = {}  # since the start
        self._balances: dict[Key, tuple[Balance, Decimal]] = {}  # and what was spent by then
        self._foreign: dict[Key, Decimal] = {}  # of those that somebody has asked about
        self._credit: dict[Key, dict[str, Told]] = {}  # by counterparty

    def fee_rate(self, venue: str) -> Decimal:
        """Return the most a trade at `venue` may cost, as a share of its notional."""
        return self._rates.get(venue, ZERO)

    def total(self, venue: str, currency: str) -> Decimal | None:
        """Return the venue's total less what fills took since; None if it told none."""
        key = (venue, currency)
        told = self._balances.get(key)
        return None if told is None else self._left((told[0].total, told[1]), key)

    def foreign(self, venue: str, currency: str) -> Decimal:
        """Return what orders that are not ours had locked when the balance was last told."""
        key = (venue, currency)
        foreign = self._foreign.get(key)
        return self._look(key) if foreign is None else foreign

    def credit(self, venue: str, currency: str) -> Decimal | None:
        """Return the least headroom of all counterparties; None if no limit was told."""
        key = (venue, currency)
        rows = self._credit.get(key)
        return None if rows is None else min(self._left(each, key) for each in rows.values())

    def on_fill(self, fill: Fill) -> None:
        """Note what a fill took."""
        instrument = self._instruments[fill.symbol]
        venue, notional = instrument.venue, instrument.notional(fill.price, fill.qty)
        if instrument.inverse or instrument.contract_multiplier != 1:
            pass  # a contract is not paid for
        elif fill.side is _BUY:
            self._spend(venue, instrument.quote, notional)
        else:
            self._spend(venue, instrument.base, fill.qty)
        if fill.commission is None:
            self._spend(venue, instrument.quote, self._estimate(fill))
        elif fill.commission > 0:
            self._spend(venue, fill.commission_currency, fill.commission)

    def on_fee_told(self, fill: Fill) -> None:
        """Note by how much a fee, told late, is more than was taken off for it."""
        instrument, fee = self._instruments[fill.symbol], fill.commission
        if fee is None:
            return
        if fill.commission_currency == instrument.quote:
            fee -= self._estimate(fill)
        if fee > 0:
            self._spend(instrument.venue, fill.commission_currency, fee)

    def on_balance(self, balance: Balance) -> None:
        """Take the venue's word."""
        key = (balance.venue, balance.currency)
        self._balances[key] = (balance, self._spent.get(key, ZERO))
        if key in self._foreign:
            self._look(key)

    def _look(self, key: Key) -> Decimal:
        """Hold what is locked against what ours reserve now: what is more is another's.

        If what ours reserve cannot be told, all of it counts as another's.
        """
        told = self._balances.get(key)
        locked = ZERO if told is None else told[0].total - told[0].available
        ours = self._reserved(*key) if locked > 0 else None
        foreign = self._foreign[key] = max(ZERO, locked - (ours or ZERO))
        return foreign

    def on_credit(self, limit: CreditLimit) -> None:
        """Take the venue's word on one counterparty."""
        key = (limit.venue, limit.currency)
        self._credit.setdefault(key, {})[limit.counterparty] = (
            limit.headroom,
            self._spent.get(key, ZERO),
        )

    def _estimate(self, fill: Fill) -> Decimal:
        instrument = self._instruments[fill.symbol]
        return instrument.notional(fill.price, fill.qty) * self.fee_rate(instrument.venue)

    def _spend(self, venue: str, currency: str, qty: Decimal) -> None:
        key = (venue, currency)
        self._spent[key] = self._spent.get(key, ZERO) + qty

    def _left(self, told: Told, key: Key) -> Decimal:
        qty, spent = told
        return qty - (self._spent.get(key, ZERO) - spent)


def fee_rate(schedule: FeeSchedule) -> Decimal:
    """Return the dearer of a venue's two fees as a share of the notional; a rebate is none."""
    return max(schedule.taker_bps, schedule.maker_bps, ZERO) / BPS
