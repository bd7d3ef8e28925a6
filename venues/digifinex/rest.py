"""DigiFinex's REST v3: signed calls, and what their failures mean."""

import logging
import math
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Final, TypeVar

import msgspec
import trio

from botkit.errors import (
    OrderOutcomeUnknownError,
    VenueAuthenticationError,
    VenueDisconnectedError,
    VenueError,
    VenueProtocolError,
)
from botkit.transport import Budget, HttpLink, HttpReply
from venues.digifinex import wire
from venues.digifinex.options import DigiFinexOptions
from venues.digifinex.wire import ErrorCode, parse

__all__ = ["MINUTE_S", "DigiFinexCodeError", "Rest", "explain"]

logger = logging.getLogger(__name__)
NS_PER_S: Final = 1_000_000_000
MINUTE_S: Final = 62.0  # two more than it has: calls may bunch up on their way
WORTH_IT_S: Final = 5
PAUSE_S: Final = 0.5  # after "too many requests": it is busy; doubled, for it may be a ban
LONGEST_PAUSE_S: Final = 30.0
UNSEEN: Final = 4  # of so many calls that left a trace, one more may have left none
SHARES: Final = 3  # of reads: ours, what cannot wait, and a process's that was here before us
T = TypeVar("T")
KEY_CODES: Final = frozenset(
    {
        ErrorCode.WRONG_KEY,
        ErrorCode.WRONG_SIGN,
        ErrorCode.UNAUTHORIZED,
        ErrorCode.ADDRESS_NOT_ALLOWED,
        ErrorCode.KEY_EXPIRED,
        ErrorCode.ACCOUNT_BANNED,
    }
)

_answer = msgspec.json.Decoder(wire.Answer, strict=False).decode
_time = msgspec.json.Decoder(wire.ServerTime, strict=False).decode


class DigiFinexCodeError(VenueError):
    """A call that the venue answered by an error code: it did not do it."""

    def __init__(self, code: int, what: str) -> None:
        self.code = code
        super().__init__(f"{what} was answered {explain(code)}")


def explain(code: int) -> str:
    """Return an error code as a person reads it."""
    try:
        name = ErrorCode(code).name.lower().replace("_", " ")
    except ValueError:
        name = "see the venue's list of errors"
    return f"digifinex error {code} ({name})"


class Rest:
    """Calls over one `HttpLink`.

    Attributes
    ----------
    posts, gets
        What the venue's rate leaves; reads and cancels wait for theirs, orders are refused before.
        The rate is of the key, and another process may have spent of it just before this one.
    asked
        How many reads were sent.
    ahead_s
        What the venue's clock is ahead of ours.
    """

    def __init__(self, options: DigiFinexOptions, now_ns: Callable[[], int]) -> None:
        self.posts = Budget(limit=options.posts_per_minute, window_s=MINUTE_S)
        limit = options.gets_per_minute
        self.gets = Budget(limit=limit, window_s=MINUTE_S, reserve=limit // SHARES)
        self.asked = 0
        self._earlier: list[float] = []  # when what others have spent is the venue's past
        self._refused = 0  # in a row, for too many requests
        self._refused_until = -math.inf
        self._options = options
        self._now_ns = now_ns
        self.ahead_s = 0

    async def read(
        self,
        http: HttpLink,
        path: str,
        decode: Callable[[bytes], T],
        parameters: Mapping[str, str] | None = None,
        *,
        private: bool = True,
        urgent: bool = False,
    ) -> T:
        """Return the answer to a GET; it is asked once more where that may help.

        "Too many requests" is waited out, however long it takes, but for what is `urgent`: that
        has a part of the rate to itself, and its caller goes on without it.

        Raises
        ------
        DigiFinexCodeError
            The venue answered by an error code.
        VenueAuthenticationError
            It does not accept the key.
        VenueError
            No answer, or none that can be read.
        """
        sent = parameters or {}
        call = partial(self._read, http, path, decode, sent, private=private, urgent=urgent)
        may_wait, is_second = private and not urgent, False
        while True:
            try:
                return await call()
            except DigiFinexCodeError as exc:
                is_busy = exc.code == ErrorCode.TOO_MANY_REQUESTS
                if is_second and not (is_busy and may_wait):
                    raise
                if exc.code == ErrorCode.TIMESTAMP_OUT_OF_RANGE:
                    await self._correct_clock(http)
                elif not is_busy and exc.code != ErrorCode.EXCEPTION:
                    raise
                is_second = True

    async def _read(
        self,
        http: HttpLink,
        path: str,
        decode: Callable[[bytes], T],
        parameters: Mapping[str, str],
        *,
        private: bool,
        urgent: bool = False,
    ) -> T:
        if not self.asked:  # a process before us may have spent its share
            self.gets.take(self.gets.reserve, urgent=True)
        self.asked += 1
        await self.gets.wait(urgent=urgent)
        query, sent_at = wire.form(parameters), trio.current_time()
        reply = await http.request(
            "GET",
            path,
            params=query or None,
            headers=self._headers(query) if private else None,
            deadline_s=self._options.answer_within / NS_PER_S,
        )
        self._checked(reply, f"GET {path}", sent_at)
        return parse(decode, reply.body, f"answer to GET {path}")

    async def post(
        self,
        http: HttpLink,
        path: str,
        decode: Callable[[bytes], T],
        parameters: Mapping[str, str],
    ) -> T:
        """Return the answer to a POST, which is not cut short by cancellation.

        It is sent once, and once more after one that was refused because our clock is off.

        Raises
        ------
        DigiFinexCodeError
            The venue answered by an error code: it was not done.
        OrderOutcomeUnknownError
            It may have been done.
        VenueUnreachableError
            It was not sent.
        """
        try:
            return await self._post(http, path, decode, parameters)
        except DigiFinexCodeError as exc:
            if exc.code != ErrorCode.TIMESTAMP_OUT_OF_RANGE:
                raise
            with trio.CancelScope(shield=True):
                await self._correct_clock(http)
        return await self._post(http, path, decode, parameters)

    async def _post(
        self,
        http: HttpLink,
        path: str,
        decode: Callable[[bytes], T],
        parameters: Mapping[str, str],
    ) -> T:
        body = wire.form(parameters)
        headers = {"Content-Type": "application/x-www-form-urlencoded", **self._headers(body)}
        sent_at = trio.current_time()
        with trio.CancelScope(shield=True):  # it ends within its deadline
            reply = await http.request(
                "POST",
                path,
                headers=headers,
                content=body.encode(),
                deadline_s=self._options.answer_within / NS_PER_S,
            )
        try:
            self._checked(reply, f"POST {path}", sent_at)
            return parse(decode, reply.body, f"answer to POST {path}")
        except DigiFinexCodeError as exc:
            if exc.code != ErrorCode.EXCEPTION:
                raise
            raise OrderOutcomeUnknownError(f"{exc}; it may have been done") from exc
        except (VenueDisconnectedError, VenueProtocolError) as exc:
            raise OrderOutcomeUnknownError(f"{exc}; it may have been done") from exc

    # --- rates ------------------------------------------------------------------------------

    def orders_left(self) -> int:
        """Return how many new orders and cancels the rate surely leaves; 0 while it is exceeded."""
        now = trio.current_time()
        if now < self._refused_until:
            return 0
        self._earlier = [over_at for over_at in self._earlier if over_at > now]
        seen = len(self._earlier)
        return max(0, self.posts.left(urgent=True) - seen - seen // UNSEEN)

    def count_earlier(self, ages_s: Iterable[float]) -> None:
        """Take note of orders and cancels by others on this key, so many seconds ago each.

        They leave less for new orders. Cancels do without: each of those processes had kept as
        many calls as there were orders to cancel.
        """
        now = trio.current_time()
        self._earlier += [now + MINUTE_S - age_s for age_s in ages_s]

    def _checked(self, reply: HttpReply, what: str, sent_at: float) -> None:
        """Raise unless the reply says that it was done; keep away for a while if it is too much.

        Cancels do not keep away: they are the first to go again.
        """
        try:
            _check(reply, what)
        except DigiFinexCodeError as exc:
            if exc.code == ErrorCode.TOO_MANY_REQUESTS and sent_at >= self._refused_until:
                pause_s = min(PAUSE_S * 2**self._refused, LONGEST_PAUSE_S)
                self._refused += 1
                self._refused_until = trio.current_time() + pause_s
                self.gets.hold(pause_s)
                logger.warning("%s; reads and new orders wait for %g s", exc, pause_s)
            raise
        self._refused = 0

    async def _correct_clock(self, http: HttpLink) -> None:
        told = await self._read(http, "/time", _time, {}, private=False)
        self.set_clock(told.server_time)

    def set_clock(self, told_s: float) -> None:
        """Take the venue's time, in seconds: calls signed by a clock that is off are refused."""
        ahead_s = round(told_s) - self._now_ns() // NS_PER_S
        if abs(ahead_s - self.ahead_s) >= WORTH_IT_S:
            self.ahead_s = ahead_s
            logger.warning("digifinex: our clock is %d s behind the venue's", ahead_s)

    def _headers(self, sent: str) -> dict[str, str]:
        options = self._options
        return wire.rest_headers(
            options.key.reveal(),
            options.secret.reveal(),
            sent,
            timestamp_s=self._now_ns() // NS_PER_S + self.ahead_s,
        )


def _check(reply: HttpReply, what: str) -> None:
    """Raise unless the reply says that it was done."""
    if not reply.ok:
        try:
            code = _answer(reply.body).code
        except msgspec.MsgspecError:
            code = 0
        if not code:
            raise VenueDisconnectedError(f"digifinex: {what} was answered HTTP {reply.status}")
    else:
        code = parse(_answer, reply.body, f"answer to {what}").code
    if code in KEY_CODES:
        raise VenueAuthenticationError(
            f"{what} was answered {explain(code)}: look at key, secret, its rights and its "
            "addresses"
        )
    if code:
        raise DigiFinexCodeError(code, what)
