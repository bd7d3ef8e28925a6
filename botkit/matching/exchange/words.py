"""The exchange's own vocabulary: why it refuses, why it cancels, and the rules it can be given."""

from enum import StrEnum

__all__ = ["BookAction", "CancelReason", "FeeIn", "RejectReason", "SelfTradeRule"]


class RejectReason(StrEnum):
    """Why a request was refused. The request has changed nothing."""

    UNKNOWN_SYMBOL = "UNKNOWN_SYMBOL"
    HALTED = "HALTED"  # the market takes cancels only
    MISSING_FIELD = "MISSING_FIELD"  # `field` is needed for this kind of order
    UNEXPECTED_FIELD = "UNEXPECTED_FIELD"  # `field` makes no sense for this kind of order
    UNREADABLE = "UNREADABLE"  # not a number, or longer than any on the grid
    NOT_POSITIVE = "NOT_POSITIVE"
    OFF_GRID = "OFF_GRID"  # `limit` is the tick or lot size
    BELOW_MIN_QTY = "BELOW_MIN_QTY"
    ABOVE_MAX_QTY = "ABOVE_MAX_QTY"
    BELOW_MIN_NOTIONAL = "BELOW_MIN_NOTIONAL"
    ABOVE_MAX_NOTIONAL = "ABOVE_MAX_NOTIONAL"
    EXPIRED = "EXPIRED"  # it would end no later than it arrived
    CANNOT_REST = "CANNOT_REST"  # post-only on an order that never rests
    WOULD_TAKE = "WOULD_TAKE"  # post-only at a price that trades at once
    DUPLICATE_CLIENT_ORDER_ID = "DUPLICATE_CLIENT_ORDER_ID"  # an open order has it
    TOO_MANY_ORDERS = "TOO_MANY_ORDERS"
    INSUFFICIENT_FUNDS = "INSUFFICIENT_FUNDS"
    UNKNOWN_ORDER = "UNKNOWN_ORDER"  # never seen, or another account's
    ORDER_CLOSED = "ORDER_CLOSED"  # filled, canceled or expired before
    QTY_NOT_ABOVE_FILLED = "QTY_NOT_ABOVE_FILLED"  # a replace asks for no more than is filled


class CancelReason(StrEnum):
    """Why an accepted order ended before it was filled."""

    CLIENT = "CLIENT"
    DISCONNECTED = "DISCONNECTED"  # the caller's cancel-on-disconnect
    OPERATOR = "OPERATOR"
    REMAINDER = "REMAINDER"  # of an IOC or market order that traded
    NO_MATCH = "NO_MATCH"  # an IOC or market order that met no one
    NOT_ALL = "NOT_ALL"  # a FOK that could not be filled whole
    WOULD_TAKE = "WOULD_TAKE"  # a post-only stop limit that was triggered into the book
    SELF_TRADE = "SELF_TRADE"
    INSUFFICIENT_FUNDS = "INSUFFICIENT_FUNDS"
    COUNTERPARTY_LIMIT = "COUNTERPARTY_LIMIT"  # it crosses only those it may not trade with


class SelfTradeRule(StrEnum):
    """What happens when an order meets another of its own account."""

    NONE = "NONE"  # they trade
    CANCEL_RESTING = "CANCEL_RESTING"
    CANCEL_TAKING = "CANCEL_TAKING"
    DECREMENT = "DECREMENT"  # both shrink by the smaller; what shrinks to nothing is canceled


class FeeIn(StrEnum):
    """Which currency a fee is taken in. On what is received it is deducted, else it is on top."""

    BASE = "BASE"
    QUOTE = "QUOTE"
    RECEIVED = "RECEIVED"


class BookAction(StrEnum):
    """What became of an order in the book."""

    ADD = "ADD"
    UPDATE = "UPDATE"
    REMOVE = "REMOVE"
