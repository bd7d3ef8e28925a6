"""Every exception botkit raises, grouped by what the caller should do about it."""

from collections.abc import Sequence

__all__ = [
    "AlreadyRunningError",
    "BeingSweptError",
    "BotkitError",
    "ConfigError",
    "DataError",
    "FeedStaleError",
    "HandshakeRefusedError",
    "IllegalTransitionError",
    "InvariantError",
    "JournalError",
    "OrderOutcomeUnknownError",
    "OrdersInDoubtError",
    "VenueAuthenticationError",
    "VenueDisconnectedError",
    "VenueError",
    "VenueProtocolError",
    "VenueUnreachableError",
]


class BotkitError(Exception):
    """Base of everything botkit raises on purpose."""


class ConfigError(BotkitError):
    """The configuration is wrong: fix the file. Raised before the first connection.

    Parameters
    ----------
    problems
        One sentence each, naming the file, the key, what was found and what is allowed.
        All problems of a file are gathered before this is raised.
    """

    def __init__(self, problems: str | Sequence[str]) -> None:
        self.problems: tuple[str, ...] = (
            (problems,) if isinstance(problems, str) else tuple(problems)
        )
        super().__init__("\n".join(self.problems))


class AlreadyRunningError(ConfigError):
    """Another process runs a bot of this name over the same `state_dir`."""


class BeingSweptError(AlreadyRunningError):
    """A guardian cancels what the bot's last run left: wait for it, then start."""


class DataError(BotkitError):
    """A recorded file cannot be read as described: mend the file or the column mapping.

    The message names file, row (1-based, the header not counted) and column.
    """


class JournalError(BotkitError):
    """The journal cannot record: no new order may be sent, and what rests is canceled."""


class VenueError(BotkitError):
    """Something between us and a venue."""


class VenueDisconnectedError(VenueError):
    """The connection ended: reconnect, then reconcile."""


class VenueUnreachableError(VenueDisconnectedError):
    """No connection could be made, so nothing was sent: a request may be made again."""


class HandshakeRefusedError(VenueUnreachableError):
    """The server answered the request to open a WebSocket otherwise than by opening one.

    Parameters
    ----------
    status, body
        Of its HTTP answer; some venues say in the body what they did not like.
    """

    def __init__(self, text: str, status: int, body: bytes) -> None:
        self.status = status
        self.body = body
        super().__init__(text)


class FeedStaleError(VenueDisconnectedError):
    """Nothing was heard for longer than allowed: treat the connection as lost."""


class OrderOutcomeUnknownError(VenueError):
    """A request was sent and not answered: never resend it, ask for the order's status."""


class VenueProtocolError(VenueError):
    """A message is not as documented: stop this venue and report it."""


class VenueAuthenticationError(VenueError):
    """The venue does not accept our key or signature: trying again will not help, mend the key."""


class OrdersInDoubtError(BotkitError):
    """Clean-up ended before the venue confirmed: these orders may still rest.

    The engine keeps pursuing them; they count in every limit until the venue answers.
    """

    def __init__(self, client_order_ids: Sequence[str], waited_s: float) -> None:
        self.client_order_ids: tuple[str, ...] = tuple(client_order_ids)
        self.waited_s = waited_s
        super().__init__(
            f"no confirmation within {waited_s:g} s that these orders are gone: "
            f"{', '.join(self.client_order_ids)}; they are UNKNOWN and still counted"
        )


class InvariantError(BotkitError):
    """Our own records disagree: stop trading."""


class IllegalTransitionError(InvariantError):
    """A report contradicts what we know of its order: ask the venue before trading on."""
