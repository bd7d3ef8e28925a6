"""Which order status may follow which: one table."""

from collections.abc import Mapping
from typing import Final

from botkit.model import OrdStatus

__all__ = ["CLOSED", "TRANSITIONS", "WORKING"]

CLOSED: Final = frozenset(
    {OrdStatus.FILLED, OrdStatus.CANCELED, OrdStatus.REJECTED, OrdStatus.EXPIRED}
)
WORKING: Final = frozenset({OrdStatus.NEW, OrdStatus.PARTIALLY_FILLED})
_PN, _N, _PF = OrdStatus.PENDING_NEW, OrdStatus.NEW, OrdStatus.PARTIALLY_FILLED
_PC, _PR, _U = OrdStatus.PENDING_CANCEL, OrdStatus.PENDING_REPLACE, OrdStatus.UNKNOWN
_F, _C = OrdStatus.FILLED, OrdStatus.CANCELED
_R, _E = OrdStatus.REJECTED, OrdStatus.EXPIRED

# (status now, status reported) -> status next. A pair that is absent is a contradiction.
# NEW and PARTIALLY_FILLED both say "working"; which of them is settled by the quantity counted.
TRANSITIONS: Final[Mapping[tuple[OrdStatus, OrdStatus], OrdStatus]] = {
    (_PN, _PN): _PN,
    (_PN, _N): _N,
    (_PN, _PF): _PF,  # a fill before the ack
    (_PN, _F): _F,  # likewise, all at once
    (_PN, _PC): _PC,  # somebody else cancels it, before the ack
    (_PN, _PR): _PR,
    (_PN, _C): _C,  # IOC that met no one
    (_PN, _R): _R,
    (_PN, _E): _E,
    (_PN, _U): _U,
    (_N, _PN): _N,  # told late
    (_N, _N): _N,
    (_N, _PF): _PF,
    (_N, _F): _F,
    (_N, _PC): _PC,
    (_N, _PR): _PR,
    (_N, _C): _C,
    (_N, _R): _R,  # taken by the gateway, refused by the matching engine (post-only)
    (_N, _E): _E,
    (_N, _U): _U,
    (_PF, _PN): _PF,
    (_PF, _N): _PF,  # the ack was overtaken by the fill
    (_PF, _PF): _PF,
    (_PF, _F): _F,
    (_PF, _PC): _PC,
    (_PF, _PR): _PR,
    (_PF, _C): _C,
    (_PF, _E): _E,  # no REJECTED: what has traded was not refused
    (_PF, _U): _U,
    (_PC, _PN): _PC,
    (_PC, _N): _PC,  # said before the cancel was read; only an OrderCancelReject takes it back
    (_PC, _PF): _PC,
    (_PC, _F): _F,  # the fill won the race
    (_PC, _PC): _PC,
    (_PC, _PR): _PC,
    (_PC, _C): _C,
    (_PC, _R): _R,  # canceled before the ack, and refused anyway
    (_PC, _E): _E,
    (_PC, _U): _U,
    (_PR, _PN): _PR,
    (_PR, _N): _PR,  # of the order as it was; REPLACED or its new id ends PENDING_REPLACE
    (_PR, _PF): _PR,
    (_PR, _F): _F,  # the fill won the race
    (_PR, _PC): _PC,
    (_PR, _PR): _PR,
    (_PR, _C): _C,
    (_PR, _E): _E,
    (_PR, _U): _U,
    (_U, _PN): _U,  # not an answer: it may have come to nothing since
    (_U, _N): _N,
    (_U, _PF): _PF,
    (_U, _F): _F,
    (_U, _PC): _PC,
    (_U, _PR): _PR,
    (_U, _C): _C,
    (_U, _R): _R,
    (_U, _E): _E,
    (_U, _U): _U,
    (_F, _PN): _F,  # everything below: told late, by a slower stream
    (_F, _N): _F,
    (_F, _PF): _F,
    (_F, _F): _F,
    (_F, _PC): _F,
    (_F, _PR): _F,
    (_F, _C): _F,  # canceled, then filled by a late fill, then the cancel once more
    (_F, _E): _F,
    (_F, _U): _F,
    (_C, _PN): _C,
    (_C, _N): _C,
    (_C, _PF): _C,  # a late fill counts and does not reopen
    (_C, _F): _F,  # a fill after the cancel is legal: the match came first
    (_C, _PC): _C,
    (_C, _PR): _C,
    (_C, _C): _C,
    (_C, _E): _C,  # two streams' words for one end
    (_C, _U): _C,
    (_E, _PN): _E,
    (_E, _N): _E,
    (_E, _PF): _E,  # as after a cancel
    (_E, _F): _F,
    (_E, _PC): _E,
    (_E, _PR): _E,
    (_E, _C): _E,
    (_E, _E): _E,
    (_E, _U): _E,
    (_R, _PN): _R,
    (_R, _R): _R,
    (_R, _U): _R,  # no NEW, no fill, no CANCELED: refused orders do not work
}
