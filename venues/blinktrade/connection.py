"""One connection to BlinkTrade: login, books, heartbeat, and the questions it asks."""

import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Any, Final, TypeVar

import trio

from botkit.adapter import first_of
from botkit.errors import (
    FeedStaleError,
    VenueAuthenticationError,
    VenueDisconnectedError,
    VenueError,
    VenueProtocolError,
)
from botkit.model import Event
from botkit.transport import Budget, WsLink
from venues.blinktrade import outbound, wire
from venues.blinktrade.codec import (
    Answered,
    Beaten,
    Bound,
    Broken,
    Codec,
    Notice,
    Refusal,
    SecurityStatus,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from venues.blinktrade.options import BlinkTradeOptions

__all__ = ["Connection", "login_message"]

logger = logging.getLogger(__name__)
NS_PER_S: Final = 1_000_000_000
LOGGED_IN: Final = 1
OF_THE_KEY: Final = ("Not authorized", "ApiKey is not valid")
R = TypeVar("R", bound=wire.Reply)


class Connection:
    """Sends what it is given at the venue's rate, reads, and gives events on.

    Parameters
    ----------
    name
        Our name for the venue.
    deliver
        Takes the events.
    on_books
        Told of each book that is broken, and None once every book of `names` is there.
    """

    def __init__(
        self,
        name: str,
        ws: WsLink,
        codec: Codec,
        options: "BlinkTradeOptions",
        budget: Budget,
        *,
        names: Sequence[str] = (),
        deliver: Callable[[Event], None] = lambda _: None,
        on_books: Callable[[Broken | None], None] = lambda _: None,
    ) -> None:
        self.name = name
        self.codec = codec
        self.options = options
        self._ws = ws
        self._budget = budget
        self._names = names
        self._deliver = deliver
        self._on_books = on_books
        self._bound = {each: trio.Event() for each in names}
        self._asked_at = dict.fromkeys(names, float("-inf"))
        self._answers: dict[wire.Tag, _Answer] = {}
        self._beaten: dict[wire.Tag, trio.Event] = {}
        self._broken_send, self._broken = trio.open_memory_channel[Broken](len(names) or 1)
        self._notices: Mapping[type, Callable[[Any], None]] = {
            Answered: self._on_answer,
            Beaten: self._on_beaten,
            Bound: self._on_bound,
            Broken: self._on_broken,
            Refusal: self._on_refusal,
            SecurityStatus: lambda _: None,  # the book tells as much, and in order
        }

    async def serve(self, also: Callable[[], Awaitable[None]] | None = None) -> None:
        """Read, keep the books and the heartbeat, and run `also`, until the connection ends."""
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._beat)
                nursery.start_soon(self._keep_books)
                if also is not None:
                    nursery.start_soon(also)
                await self.read()
        except* VenueError as group:
            raise first_of(group) from None
        finally:
            for answer in self._answers.values():
                answer.come.set()  # it will not

    async def read(self) -> None:
        """Give on what comes until the link ends."""
        decode, deliver, notices = self.codec.decode, self._deliver, self._notices
        while True:
            for frame in await self._ws.receive_batch():
                for event in decode(frame):
                    if isinstance(event, Notice):
                        notices[event.__class__](event)
                    else:
                        deliver(event)

    async def send(self, frame: bytes, *, urgent: bool = False) -> None:
        """Send once the rate allows it."""
        await self._budget.wait(urgent=urgent)
        await self._ws.send(frame)

    async def send_now(self, frame: bytes) -> bool:
        """Send if the rate allows it, and tell whether it did: what is beyond does not wait."""
        if not self._budget.take():
            return False
        await self._ws.send(frame)
        return True

    # --- the heartbeat ----------------------------------------------------------------------

    async def _beat(self) -> None:
        within_s = self.options.beat_within / NS_PER_S
        while True:
            await trio.sleep(self.options.beat_every / NS_PER_S)
            req_id = self.codec.next_id()
            beaten = self._beaten[req_id] = trio.Event()
            with trio.move_on_after(within_s):  # its turn to be sent included
                await self.send(wire.encode(outbound.TestRequest(test_req_id=req_id)), urgent=True)
                await beaten.wait()
            del self._beaten[req_id]
            if not beaten.is_set():
                raise FeedStaleError(f"{self.name}: no heartbeat within {within_s:g} s")

    def _on_beaten(self, beaten: Beaten) -> None:
        waiting = self._beaten.get(beaten.test_req_id)
        if waiting is not None:
            waiting.set()

    # --- books ------------------------------------------------------------------------------

    async def _keep_books(self) -> None:
        """Ask for every book, and again for those that turn out to be broken."""
        for name in self._names:
            await self._subscribe(name)
        async for broken in self._broken:
            wait_s = self._asked_at[broken.name] + self.options.resubscribe_every / NS_PER_S
            await trio.sleep_until(wait_s)
            assert isinstance(broken.req_id, int), "it is one of ours"
            end = outbound.MarketDataRequest(md_req_id=broken.req_id, subscription_request_type="2")
            await self.send(wire.encode(end))
            await self._subscribe(broken.name)

    async def _subscribe(self, name: str) -> None:
        _, frame = self.codec.subscribe(name)
        self._asked_at[name] = trio.current_time()
        bound = self._bound[name]  # there is another one by the time it has broken again
        await self.send(frame)
        with trio.move_on_after(self.options.answer_within / NS_PER_S):
            await bound.wait()
        if not bound.is_set():
            raise VenueDisconnectedError(f"{self.name}: the book of {name} did not come in time")

    def _on_bound(self, bound: Bound) -> None:
        self._bound[bound.name].set()
        if all(each.is_set() for each in self._bound.values()):
            self._on_books(None)

    def _on_broken(self, broken: Broken) -> None:
        logger.warning("%s: %s", self.name, broken.reason)
        self._bound[broken.name] = trio.Event()
        self._on_books(broken)
        self._broken_send.send_nowait(broken)  # a book breaks once before it is asked for anew

    # --- questions --------------------------------------------------------------------------

    async def ask(self, question: outbound.Question, kind: type[R]) -> R:
        """Return the answer to a question, whose `req_id` is of `codec.next_id`.

        Raises
        ------
        VenueError
            It did not come in time, or is none.
        """
        req_id = question.req_id
        answer = self._answers[req_id] = _Answer()
        try:
            await self.send(wire.encode(question))
            with trio.move_on_after(self.options.answer_within / NS_PER_S):
                await answer.come.wait()
        finally:
            del self._answers[req_id]
        what = type(question).__name__
        if answer.reply is None:
            raise VenueError(f"{self.name}: {what} was not answered in time")
        if not isinstance(answer.reply, kind):
            raise VenueProtocolError(
                f"{self.name}: {what} was answered by {type(answer.reply).__name__}"
            )
        return answer.reply

    def _on_answer(self, answered: Answered) -> None:
        answer = self._answers.get(answered.req_id)
        if answer is not None:
            answer.reply = answered.reply
            answer.come.set()

    def _on_refusal(self, refusal: Refusal) -> None:
        told = f"{self.name}: the venue says {refusal.detail!r} ({refusal.description})"
        if any(each in refusal.detail for each in OF_THE_KEY):
            raise VenueAuthenticationError(f"{told}: look at the key and what it is allowed")
        raise VenueDisconnectedError(f"{told} and closes the connection")

    async def log_in(self, *, cancels: bool) -> wire.LoginReply:
        """Log in, or raise `VenueAuthenticationError`.

        `cancels` asks for the venue's cancel-on-disconnect.
        """
        message = login_message(self.options, self.codec.next_id(), cancels=cancels)
        reply = await self.ask(message, wire.LoginReply)
        if reply.user_status != LOGGED_IN:
            hint = "; set second_factor" if reply.need_second_factor else ""
            raise VenueAuthenticationError(
                f"{self.name}: not logged in: {reply.user_status_text or reply.user_status}: look "
                f"at key, password and broker_id{hint}"
            )
        return reply


def login_message(
    options: "BlinkTradeOptions", req_id: int, *, cancels: bool = False
) -> outbound.Login:
    """Return the message that logs in."""
    assert options.key is not None
    assert options.password is not None
    factor = options.second_factor
    return outbound.Login(
        req_id=req_id,
        broker_id=options.broker_id,
        username=options.key.reveal(),
        password=options.password.reveal(),
        user_req_typ="1",
        finger_print=options.fingerprint,
        second_factor=None if factor is None else factor.reveal(),
        cancel_on_disconnect="1" if cancels else "0",
    )


class _Answer:
    """What a question waits for."""

    def __init__(self) -> None:
        self.come = trio.Event()
        self.reply: wire.Reply | None = None
