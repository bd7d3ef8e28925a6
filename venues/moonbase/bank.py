"""The simulated exchange beside its trading: deposits, withdrawals and margin."""

from collections.abc import Mapping, Sequence
from decimal import Decimal, InvalidOperation
from typing import Any, Final

from botkit.adapter import Member, SimulatedMarket
from botkit.matching.exchange import ExchangeEvent
from venues.moonbase.rows import RefusedError, iso, number

__all__ = ["Bank"]

ZERO: Final = Decimal(0)
FAR: Final = 20  # digits before or after the point


class Bank:
    """What members have brought, taken out, and put aside as margin."""

    def __init__(self, market: SimulatedMarket, members: Sequence[Member]) -> None:
        self._market = market
        self._opened_ns = market.now_ns()
        self._deposits = {
            member.name: [
                self._deposit(number_, asset, amount)
                for number_, (asset, amount) in enumerate(member.balances.items(), 1)
            ]
            for member in members
        }
        self._withdrawals: dict[str, list[dict[str, Any]]] = {each.name: [] for each in members}
        self._margins: dict[tuple[str, str], Decimal] = {}
        self._withdrawn: dict[tuple[str, str], Decimal] = {}
        self._last_id = 0

    def withdrawn(self, name: str, asset: str) -> Decimal:
        """Return what is on its way out."""
        return self._withdrawn.get((name, asset), ZERO)

    def assigned(self, name: str, asset: str) -> Decimal:
        """Return what is put aside as margin of markets quoted in `asset`."""
        markets = self._market.exchange.markets
        return sum(
            (
                margin
                for (owner, symbol), margin in self._margins.items()
                if owner == name and markets[symbol].quote.name == asset
            ),
            ZERO,
        )

    def deposits(self, name: str, asset: str | None, limit: int) -> list[dict[str, Any]]:
        """Return what was brought."""
        return [row for row in self._deposits[name] if asset in (None, row["asset"])][:limit]

    def withdrawals(self, name: str, asset: str | None, limit: int) -> list[dict[str, Any]]:
        """Return what was taken out, newest first."""
        rows = reversed(self._withdrawals[name])
        return [row for row in rows if asset in (None, row["asset"])][:limit]

    def address(self, name: str, asset: object) -> dict[str, str]:
        """Return where an asset may be brought."""
        if asset not in self._market.exchange.currencies:
            raise RefusedError("not_found", {"asset": asset})
        return {"asset": str(asset), "address": f"{asset}-{name}"}

    def withdraw(self, name: str, payload: Mapping[str, Any]) -> dict[str, Any]:
        """Take money out."""
        asset, address = payload.get("asset"), payload.get("address")
        if asset not in self._market.exchange.currencies or not isinstance(address, str):
            raise RefusedError("invalid_params", {"asset": asset})
        amount = _amount(payload.get("amount"))
        if amount <= 0:
            raise RefusedError("invalid_params", {"amount": str(amount)})
        events = self._take(name, str(asset), amount)
        key = (name, str(asset))
        self._withdrawn[key] = self._withdrawn.get(key, ZERO) + amount
        self._market.tell(events)
        self._last_id += 1
        row = {
            "inserted_at": iso(self._market.now_ns()) + "Z",
            "id": self._last_id,
            "asset": asset,
            "amount": number(amount),
            "address": address,
        }
        self._withdrawals[name].append(row)
        return row

    def assign(self, name: str, payload: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Put margin aside, by market; return the positions concerned."""
        markets = self._market.exchange.markets
        wanted = {symbol: _amount(margin) for symbol, margin in payload.items()}
        for symbol, margin in wanted.items():
            if symbol not in markets or margin < 0:
                raise RefusedError("invalid_params", {"symbol": symbol})
        for symbol, margin in wanted.items():
            before = self._margins.get((name, symbol), ZERO)
            events = self._take(name, markets[symbol].quote.name, margin - before)
            self._margins[name, symbol] = margin
            self._market.tell(events)
        return self.positions(name, list(wanted))

    def positions(self, name: str, symbols: Sequence[str] | None = None) -> list[dict[str, Any]]:
        """Return the margin positions; there is no margin trading here, so they are empty."""
        nothing = number(ZERO)
        return [
            {
                "total": nothing,
                "symbol": symbol,
                "price": nothing,
                "margin": number(self._margins.get((name, symbol), ZERO)),
                "id": place,
                "fee": nothing,
                "amount": nothing,
            }
            for place, symbol in enumerate(self._market.exchange.markets, 1)
            if symbols is None or symbol in symbols
        ]

    def _take(self, name: str, asset: str, amount: Decimal) -> list[ExchangeEvent]:
        """Take money off what may be traded; what happened is told once it is booked elsewhere."""
        try:
            return self._market.exchange.deposit(name, asset, -amount, self._market.now_ns())
        except ValueError as exc:
            raise RefusedError("insufficient_funds", {"message": str(exc)}) from None

    def _deposit(self, place: int, asset: str, amount: Decimal) -> dict[str, Any]:
        return {
            "updated_at": iso(self._opened_ns),
            "transaction_hash": f"BONUS-{asset}",
            "is_processed": True,
            "inserted_at": iso(self._opened_ns),
            "id": place,
            "confirmation_count": 3,
            "asset": asset,
            "amount": number(amount),
            "address": f"{asset}-bonus",
        }


def _amount(value: object) -> Decimal:
    try:
        amount = Decimal(str(value))
    except InvalidOperation:
        amount = Decimal("NaN")
    if not amount.is_finite() or abs(amount.adjusted()) > FAR:
        raise RefusedError("invalid_params", {"found": str(value)})
    return amount
