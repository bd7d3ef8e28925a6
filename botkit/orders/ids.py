"""Client order ids that say whose they are: `demo-3f9k2c-17`.

A bot recognises its own orders at the venue by the tag alone, even when its journal is lost.
"""

import hashlib
import re
from typing import Final

from botkit.model import ClientOrderId

__all__ = ["MAX_LENGTH", "ClientOrderIds", "tag_of"]

MAX_LENGTH: Final = 32  # characters; venues allow 32 to 36 of [a-z0-9-]
TAG_LENGTH: Final = 12
HASH_LENGTH: Final = 5
RUN_LENGTH: Final = 8
DIGITS: Final = "0123456789abcdefghijklmnopqrstuvwxyz"


def tag_of(bot: str) -> str:
    """Return the tag of a bot's name: the name itself where it is short and plain enough.

    Otherwise the beginning of the name and a hash of the whole of it, so that two long names
    which begin alike have different tags. At most 12 characters of [a-z0-9].
    """
    if re.fullmatch(f"[a-z0-9]{{1,{TAG_LENGTH - HASH_LENGTH}}}", bot):
        return bot
    plain = re.sub("[^a-z0-9]", "", bot.lower())
    return plain[: TAG_LENGTH - HASH_LENGTH] + _hash(bot, HASH_LENGTH)


def _hash(text: str, length: int) -> str:
    """Return `length` characters of [0-9a-z] that depend on all of `text`."""
    number = int.from_bytes(hashlib.sha256(text.encode()).digest()[:10])
    digits = ""
    for _ in range(length):
        number, digit = divmod(number, len(DIGITS))
        digits += DIGITS[digit]
    return digits


class ClientOrderIds:
    """Makes the client order ids of one run of one bot: tag, run and a count.

    Parameters
    ----------
    bot
        The bot's name; its tag begins every id.
    run_id
        Differs from run to run, so ids are unique across restarts. One longer than 8 characters
        or outside [a-z0-9] goes in by its hash.
    """

    __slots__ = ("_count", "_own", "_start")

    def __init__(self, bot: str, run_id: str) -> None:
        if not (bot and run_id):
            raise ValueError(
                f"bot {bot!r}, run_id {run_id!r}: neither may be empty; "
                "the ids made from them must tell this bot and this run apart"
            )
        plain = re.fullmatch(f"[a-z0-9]{{1,{RUN_LENGTH}}}", run_id)
        run = run_id if plain else _hash(run_id, RUN_LENGTH)
        tag = tag_of(bot)
        self._start = f"{tag}-{run}-"
        self._count = 0
        self._own = re.compile(rf"{tag}-[a-z0-9]{{1,{RUN_LENGTH}}}-[1-9][0-9]*")

    def next(self) -> ClientOrderId:
        """Return a new id."""
        self._count += 1
        return ClientOrderId(f"{self._start}{self._count}")

    def owns(self, text: str) -> bool:
        """Return True if `text` is an id of this bot, from this run or any other."""
        return self._own.fullmatch(text) is not None
