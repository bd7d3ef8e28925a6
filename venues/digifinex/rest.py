"""DigiFinex's REST v3: signed calls, and what their failures mean."""

import logging
from collections.abc import Callable, Mapping
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

__all__ = ["DigiFinexCodeError", "Rest", "explain"]

logger = logging.getLogger(__name__)
NS_PER_S: Final = 1_000_000_000
MINUTE_S: Final = 62.0  # two more than it has: calls may bunch up on their way
WORTH_IT_S: Final = 5
PAUSE_S: Final = 2.0  # after "too many requests"
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
        What the venue's rate leaves; reads wait for theirs, orders are refused before.
    ahead_s
        What the venue's clock is ahead of ours.
    """

    def __init__(self, options: DigiFinexOptions, now_ns: Callable[[], int]) -> None:
        self.posts = Budget(limit=options.posts_per_minute, window_s=MINUTE_S)
        self.gets = Budget(limit=options.gets_per_minute, window_s=MINUTE_S)
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
    ) -> T:
        """Return the answer to a GET; it is asked once more where that may help.

        Raises
        ------
        DigiFinexCodeError
            The venue answered by an error code.
        VenueAuthenticationError
            It does not accept the key.
        VenueError
            No answer, or none that can be read.
        """
        try:
            return await self._read(http, path, decode, parameters or {}, private=private)
        except DigiFinexCodeError as exc:
            if exc.code == ErrorCode.TIMESTAMP_OUT_OF_RANGE:
                await self._correct_clock(http)
            elif exc.code == ErrorCode.TOO_MANY_REQUESTS:
                self.gets.hold(PAUSE_S)
            elif exc.code != ErrorCode.EXCEPTION:
                raise
        return await self._read(http, path, decode, parameters or {}, private=private)

    async def _read(
        self,
        http: HttpLink,
        path: str,
        decode: Callable[[bytes], T],
        parameters: Mapping[str, str],
        *,
        private: bool,
    ) -> T:
        await self.gets.wait()
        query = wire.form(parameters)
        reply = await http.request(
            "GET",
            path,
            params=query or None,
            headers=self._headers(query) if private else None,
            deadline_s=self._options.answer_within / NS_PER_S,
        )
        _check(reply, f"GET {path}")
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
        with trio.CancelScope(shield=True):  # it ends within its deadline
            reply = await http.request(
                "POST",
                path,
                headers=headers,
                content=body.encode(),
                deadline_s=self._options.answer_within / NS_PER_S,
            )
        try:
            _check(reply, f"POST {path}")
            return parse(decode, reply.body, f"answer to POST {path}")
        except DigiFinexCodeError as exc:
            if exc.code == ErrorCode.TOO_MANY_REQUESTS:
                self.posts.hold(PAUSE_S)
            if exc.code != ErrorCode.EXCEPTION:
                raise
            raise OrderOutcomeUnknownError(f"{exc}; it may have been done") from exc
        except (VenueDisconnectedError, VenueProtocolError) as exc:
            raise OrderOutcomeUnknownError(f"{exc}; it may have been done") from exc

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
