"""What a person's command and a running bot say to one another over `<bot>.sock`.

One question and one answer a connection, each a JSON line. Both ends import this module.
"""

import contextlib
import os
from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Final

import msgspec

from botkit.errors import ConfigError
from botkit.model import (
    Adjustment,
    ClientOrderId,
    EquityPoint,
    Flattened,
    Operation,
    OrdStatus,
    Side,
)

__all__ = [
    "ANSWER_MAX",
    "QUESTION_MAX",
    "Adjust",
    "Answer",
    "Done",
    "Look",
    "MarketTold",
    "Operate",
    "OrderTold",
    "PositionTold",
    "Question",
    "Refusal",
    "Resolve",
    "StatusTold",
    "StrategyTold",
    "TotalTold",
    "VenueTold",
    "decode_answer",
    "decode_question",
    "encode_line",
    "named",
    "socket_path",
]

QUESTION_MAX: Final = 16_384
ANSWER_MAX: Final = 16_777_216
NAME_MAX: Final = 103  # bytes: Linux has room for 107, others for 103
DESCRIPTORS: Final = Path("/proc/self/fd")


class Operate(msgspec.Struct, frozen=True, kw_only=True, tag="operate"):
    """Do `operation` to `target` ("" for all); answer once orders are gone, or after `wait_s`."""

    operation: Operation
    target: str = ""
    reason: str = ""
    wait_s: float = 10.0


class Resolve(msgspec.Struct, frozen=True, kw_only=True, tag="resolve"):
    """End an UNKNOWN order by a person's word; see `botkit.model.ResolveOrder`."""

    client_order_id: ClientOrderId
    ord_status: OrdStatus
    cum_qty: Decimal | None = None
    avg_px: Decimal | None = None
    reason: str = ""


class Adjust(msgspec.Struct, frozen=True, kw_only=True, tag="adjust"):
    """Book what came or went without an order of ours."""

    adjustment: Adjustment


class Look(msgspec.Struct, frozen=True, kw_only=True, tag="look"):
    """Tell how it goes."""


Question = Operate | Resolve | Adjust | Look


class OrderTold(msgspec.Struct, frozen=True, kw_only=True):
    """One order of ours; `price` None is at market."""

    client_order_id: ClientOrderId
    strategy: str
    symbol: str
    side: Side
    order_qty: Decimal
    price: Decimal | None
    ord_status: OrdStatus
    cum_qty: Decimal
    keep: bool = False
    in_doubt: bool = False
    text: str = ""


class Done(msgspec.Struct, frozen=True, kw_only=True, tag="done"):
    """It was done; `text` says what.

    Parameters
    ----------
    orders
        Those that were canceled for it, as they stand now; what is open among them may rest.
    kept
        Those left alone since their strategy wants them kept.
    placed
        Those open now that were placed since.
    foreign
        A line for each open order on the account that is not ours.
    halted, stopping
        Why the bot is halted, or ends; empty if it does not.
    ends
        The bot's process ends now, and this connection with it.
    flattened
        What came of a flatten; None if it is not over, or was none.
    """

    run_id: str
    text: str
    orders: tuple[OrderTold, ...] = ()
    kept: tuple[OrderTold, ...] = ()
    placed: tuple[OrderTold, ...] = ()
    foreign: tuple[str, ...] = ()
    halted: str = ""
    stopping: str = ""
    ends: bool = False
    flattened: Flattened | None = None


class Refusal(msgspec.Struct, frozen=True, kw_only=True, tag="refusal"):
    """Nothing was done, because of `text`."""

    text: str


class VenueTold(msgspec.Struct, frozen=True, kw_only=True):
    """A venue: up, or why not."""

    name: str
    up: bool
    reason: str = ""


class MarketTold(msgspec.Struct, frozen=True, kw_only=True):
    """An instrument: its touch, how old the last word is, why no new order of it passes."""

    symbol: str
    bid_px: float | None
    ask_px: float | None
    age_s: float | None
    blocked: str = ""


class PositionTold(msgspec.Struct, frozen=True, kw_only=True):
    """What a strategy holds of an instrument, and what it paid on average."""

    strategy: str
    symbol: str
    qty: Decimal
    average_px: Decimal | None


class StrategyTold(msgspec.Struct, frozen=True, kw_only=True):
    """A strategy: `state` is trading, paused, ended or failed; `reason` says why not trading."""

    name: str
    state: str
    reason: str
    symbols: tuple[str, ...]
    open_orders: int
    profit: tuple[EquityPoint, ...]


class TotalTold(msgspec.Struct, frozen=True, kw_only=True):
    """Profit and loss in one currency; `point` None if it cannot be said, for what is `missing`."""

    currency: str
    point: EquityPoint | None
    missing: tuple[str, ...] = ()


class StatusTold(msgspec.Struct, frozen=True, kw_only=True, tag="status"):
    """One look at a running bot. `started_ns` is by the machine's clock, `now_ns` the bot's."""

    bot: str
    mode: str
    run_id: str
    pid: int
    started_ns: int
    run_ns: int
    now_ns: int
    stopping: str
    halted: str
    paused: Mapping[str, str]
    venues: tuple[VenueTold, ...]
    markets: tuple[MarketTold, ...]
    strategies: tuple[StrategyTold, ...]
    positions: tuple[PositionTold, ...]
    orders: tuple[OrderTold, ...]
    order_count: int
    in_doubt: int
    foreign: tuple[str, ...]
    counts: Mapping[str, int]
    profit: tuple[EquityPoint, ...]
    total: TotalTold | None = None


Answer = Done | Refusal | StatusTold

decode_question: Final[Callable[[bytes], Question]] = msgspec.json.Decoder(Question).decode
decode_answer: Final[Callable[[bytes], Answer]] = msgspec.json.Decoder(Answer).decode


def encode_line(message: Question | Answer) -> bytes:
    """Return `message` as a line."""
    return msgspec.json.encode(message) + b"\n"


def socket_path(state_dir: Path, bot: str) -> Path:
    """Return where the control socket of `bot` lies."""
    return state_dir / f"{bot}.sock"


@contextlib.contextmanager
def named(path: Path, descriptors: Path = DESCRIPTORS) -> Iterator[str]:
    """Yield a name for the socket at `path` that the system takes: it takes only short ones.

    A long one goes through an open descriptor of its folder, where the system shows them
    (`descriptors`).

    Raises
    ------
    ConfigError
        It is too long all the same.
    """
    length = len(os.fsencode(path))
    if length <= NAME_MAX:
        yield str(path)
        return
    if not descriptors.is_dir() or len(os.fsencode(path.name)) > NAME_MAX - 30:
        raise ConfigError(
            f"{path}: the name of a socket may have {NAME_MAX} bytes here, and this one has "
            f"{length}: give the bot a shorter state_dir or name"
        )
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield str(descriptors / str(folder) / path.name)
    finally:
        os.close(folder)
