"""BlinkTrade's REST bridge: one message of the WebSocket's a call, signed by its nonce."""

from collections.abc import Callable
from typing import Final, TypeVar

import msgspec
import trio

from botkit.errors import VenueAuthenticationError, VenueError, VenueProtocolError
from botkit.model import CancelOrder, ExecutionReport
from botkit.transport import HttpLink
from venues.blinktrade import outbound, wire
from venues.blinktrade.codec import Answered, Codec, order_message
from venues.blinktrade.options import BlinkTradeOptions

__all__ = ["Bridge", "BridgeRoad"]

NS_PER_S: Final = 1_000_000_000
NS_PER_US: Final = 1_000
FAILED: Final = 500
OF_THE_KEY: Final = ("ApiKey", "Signature", "Nonce", "Not authorized")
REFUSED: Final = frozenset({401, 403})
R = TypeVar("R", bound=wire.Reply)

_reply = msgspec.json.Decoder(wire.RestReply).decode


class Bridge:
    """Signs and sends, one at a time: a nonce below the last that arrived is refused.

    Nonces rise for as long as it lives, and from process to process with the clock: they are
    microseconds, and no process sends more than one call in each.
    """

    def __init__(self, options: BlinkTradeOptions, now_ns: Callable[[], int]) -> None:
        self._options = options
        self._now_ns = now_ns
        self._last_nonce = 0
        self._turn = trio.Lock()

    async def send(self, http: HttpLink, message: outbound.Request) -> list[bytes]:
        """Send one message and return the messages that answer it.

        Raises
        ------
        VenueUnreachableError
            It was not sent.
        OrderOutcomeUnknownError
            It was sent, or perhaps was, and nobody knows what became of it.
        VenueAuthenticationError
            Key, signature or nonce were not accepted.
        VenueError
            The venue refused it otherwise, or its answer cannot be read.
        """
        async with self._turn:
            return await self._send(http, message)

    async def _send(self, http: HttpLink, message: outbound.Request) -> list[bytes]:
        options = self._options
        assert options.key is not None
        assert options.secret is not None
        self._last_nonce = max(self._last_nonce + 1, self._now_ns() // NS_PER_US)
        reply = await http.request(
            "POST",
            "message",
            headers=wire.rest_headers(
                options.key.reveal(), options.secret.reveal(), nonce=self._last_nonce
            ),
            content=wire.encode(message),
            deadline_s=options.answer_within / NS_PER_S,
        )
        try:
            told = wire.parse(_reply, reply.body, "REST answer")
        except VenueProtocolError:
            if reply.ok:
                raise
            told = wire.RestReply(status=reply.status)
        if reply.ok and told.status != FAILED:
            return [bytes(each) for each in told.responses or ()]
        said = wire.cut(told.description or "no reason given")
        text = f"blinktrade: a message by REST was answered {reply.status}, {told.status}: {said}"
        if reply.status in REFUSED or any(each in said for each in OF_THE_KEY):
            raise VenueAuthenticationError(f"{text}: look at key, secret and clock")
        raise VenueError(text)


class BridgeRoad:
    """The way of cancels and questions while there is no connection.

    Parameters
    ----------
    name
        Our name for the venue.
    """

    def __init__(
        self, name: str, bridge: Bridge, http: HttpLink, codec: Codec, broker_id: int
    ) -> None:
        self.name = name
        self.codec = codec
        self._bridge = bridge
        self._http = http
        self._broker_id = broker_id

    async def cancel(self, order: CancelOrder) -> list[ExecutionReport]:
        """Return the reports that answer a cancel: none if it came late. Raises `VenueError`."""
        answers = await self._bridge.send(self._http, order_message(order, self._broker_id))
        events = [event for answer in answers for event in self.codec.decode(answer)]
        return [event for event in events if isinstance(event, ExecutionReport)]

    async def ask(self, question: outbound.Question, kind: type[R]) -> R:
        """Return the answer to a question; raise `VenueError` if there is none."""
        for answer in await self._bridge.send(self._http, question):
            for event in self.codec.decode(answer):
                if isinstance(event, Answered) and isinstance(event.reply, kind):
                    return event.reply
        raise VenueError(f"{self.name}: {type(question).__name__} had no answer by REST")
