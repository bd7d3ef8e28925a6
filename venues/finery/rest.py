"""Finery's REST: the methods of the WebSocket, each signed by itself."""

from collections.abc import Callable, Mapping
from typing import Any, Final

import msgspec

from botkit.errors import VenueAuthenticationError, VenueDisconnectedError, VenueError
from botkit.model import CancelOrder, Event
from botkit.transport import HttpLink
from venues.finery import wire
from venues.finery.codec import Answered, Codec, Notice
from venues.finery.options import FineryOptions
from venues.finery.wire import ErrorCode

__all__ = ["FineryCodeError", "Rest", "RestRoad", "refusal"]

NS_PER_S: Final = 1_000_000_000
NS_PER_MS: Final = 1_000_000
BAD_REQUEST: Final = 400
REFUSED: Final = frozenset({ErrorCode.NONCE_OR_SIGNATURE, ErrorCode.TIMESTAMP})

_reply = msgspec.json.Decoder(wire.Reply).decode
_request = msgspec.json.Decoder(wire.RequestMessage).decode
_encode = msgspec.json.Encoder().encode


class FineryCodeError(VenueDisconnectedError):
    """A call that was answered by an error code: it was not done."""

    def __init__(self, text: str, code: int) -> None:
        super().__init__(text)
        self.code = code


class Rest:
    """Signs and sends. Nonces are nanoseconds, and never fall or repeat in this process.

    A second process of the same key is ahead as soon as it starts later: no process can send
    more than one call a nanosecond, so none runs ahead of its clock.
    """

    def __init__(self, options: FineryOptions, now_ns: Callable[[], int]) -> None:
        self._options = options
        self._now_ns = now_ns
        self._last_nonce = 0

    def nonce(self) -> int:
        """Return the next one."""
        self._last_nonce = max(self._last_nonce + 1, self._now_ns())
        return self._last_nonce

    async def call(
        self, http: HttpLink, method: str, content: Mapping[str, Any], *, within_ns: int
    ) -> bytes:
        """Return the body of a call's answer.

        Raises
        ------
        VenueAuthenticationError
            The key or signature was not accepted.
        FineryCodeError
            Another error code.
        VenueError
            No answer.
        """
        options = self._options
        now_ms = self._now_ns() // NS_PER_MS
        body = _encode({"nonce": self.nonce(), "timestamp": now_ms, **content})
        headers = wire.rest_headers(
            options.key.reveal(), options.secret.reveal(), method=method, body=body.decode()
        )
        reply = await http.request(
            "POST", method, headers=headers, content=body, deadline_s=within_ns / NS_PER_S
        )
        if not reply.ok:
            raise refusal(f"{method} was answered {reply.status}", reply.body)
        return reply.body


class RestRoad:
    """The way of cancels and questions while there is no connection."""

    def __init__(self, rest: Rest, http: HttpLink, codec: Codec, options: FineryOptions) -> None:
        self.codec = codec
        self._rest = rest
        self._http = http
        self._options = options

    async def cancel(self, order: CancelOrder) -> list[Event | Notice]:
        """Return what became of an order that was to be canceled; raise `VenueError` if unknown."""
        return await self._exchange(self.codec.encode(order))

    async def ask(self, method: str, **content: object) -> Any:
        """Return the answer to a question; raise `VenueError` if there is none."""
        _, frame = self.codec.ask(method, content)
        (answered,) = await self._exchange(frame)
        assert isinstance(answered, Answered)
        if answered.error:
            raise VenueError(f"finery: {method} was answered error {answered.error}")
        return answered.value

    async def _exchange(self, frame: bytes) -> list[Event | Notice]:
        """Send what a frame asks, and read the answer as the reply to it."""
        request = _request(frame)
        content: Any = request.content
        told: dict[str, Any] = {"reqId": request.req_id}
        unheard = _encode({**told, "error": int(ErrorCode.NOT_CONNECTED)})
        try:
            body = await self._rest.call(
                self._http, request.method, content, within_ns=self._options.answer_within
            )
        except FineryCodeError as exc:
            if exc.code in (0, ErrorCode.NOT_CONNECTED):
                self.codec.decode(unheard)  # no reply is waited for any more
                raise
            told["error"] = exc.code
        except VenueError:
            self.codec.decode(unheard)
            raise
        else:
            told["reply"] = msgspec.Raw(body)
        return self.codec.decode(_encode(told))


def refusal(what: str, body: bytes) -> VenueError:
    """Return the error for a refusal whose body names the code."""
    try:
        code = _reply(body).error or 0
    except msgspec.MsgspecError:
        code = 0
    if code in REFUSED:
        why = "nonce or signature" if code == ErrorCode.NONCE_OR_SIGNATURE else "timestamp"
        return VenueAuthenticationError(
            f"finery: {what}: error {code}, {why} not accepted: look at key, secret and clock"
        )
    return FineryCodeError(f"finery: {what}: error {code}", code)
