"""What can be done with an account at a venue besides trading, for `botkit account`.

A venue offers a table of calls by an entry point of `botkit.accounts`: a function that is given a
`VenueSetup` and returns an `AccountDesk`. It is apart from the venue's own entry point, so that
nothing an engine holds has a way to these calls.
"""

import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from decimal import Decimal, InvalidOperation
from enum import Enum
from typing import Any, Final, Generic, TypeVar

import attrs
import msgspec

from botkit.config import Secret
from botkit.errors import ConfigError

__all__ = ["AccountCall", "AccountDesk", "AccountParameter", "Kind"]

A = TypeVar("A")
REQUIRED: Final = object()


class Kind(Enum):
    """What a parameter is, as its value says for people."""

    TEXT = "text"
    INTEGER = "an integer"
    NUMBER = "a number such as 0.1"
    YES_NO = "true or false"
    TEXTS = "texts with commas between them"
    JSON = "a JSON object"
    HIDDEN = "a secret, asked for and never shown"


@attrs.frozen(kw_only=True)
class AccountParameter:
    """One thing a call is given; without a `default` it has to be."""

    name: str
    help: str
    kind: Kind = Kind.TEXT
    default: Any = REQUIRED

    @property
    def is_required(self) -> bool:
        """True if it may not be left out."""
        return self.default is REQUIRED


@attrs.frozen(kw_only=True)
class AccountCall(Generic[A]):
    """One call of an account of type `A`.

    Parameters
    ----------
    name, help
        What `botkit account` calls it, and a sentence on what it returns or does.
    run
        Does it: given the account, and the parameters by name.
    moves
        Empty for a call that only looks. Else what it does to money or rights, as a clause with
        the parameters in braces: "sends {qty} {asset} to {address}".
    """

    name: str
    help: str
    run: Callable[[A, Mapping[str, Any]], Awaitable[object]]
    parameters: tuple[AccountParameter, ...] = ()
    moves: str = ""

    def read(self, given: Mapping[str, str], source: str) -> dict[str, Any]:
        """Return the parameters, read from text; `source` begins each problem.

        Raises
        ------
        ConfigError
            With every one that is unknown, missing or not what it should be.
        """
        known = {each.name: each for each in self.parameters}
        problems = [
            f"{source}: found parameter {name!r}, allowed: {', '.join(known) or 'none'}"
            for name in given
            if name not in known
        ]
        values: dict[str, Any] = {}
        for name, parameter in known.items():
            if name not in given:
                values[name] = parameter.default
                if parameter.is_required:
                    problems.append(f"{source}: {name} is missing; give {name}=VALUE")
                continue
            try:
                values[name] = READERS[parameter.kind](given[name])
            except (ValueError, msgspec.MsgspecError):
                problems.append(
                    f"{source}: {name}: found {given[name]!r}, allowed: {parameter.kind.value}"
                )
        if problems:
            raise ConfigError(problems)
        return values

    def consequence(self, values: Mapping[str, Any]) -> str:
        """Return what the call would do to money or rights; empty if nothing."""
        return self.moves.format(**{name: _shown(value) for name, value in values.items()})


class AccountDesk(Generic[A]):
    """A venue's calls, and the way to the account they are of.

    Parameters
    ----------
    open_account
        Signs in, for the length of a block; nothing has connected before.
    """

    def __init__(
        self,
        open_account: Callable[[], AbstractAsyncContextManager[A]],
        calls: Sequence[AccountCall[A]],
    ) -> None:
        self.calls: Mapping[str, AccountCall[A]] = {each.name: each for each in calls}
        self._open_account = open_account

    async def call(self, name: str, values: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Sign in, do it, and return what the venue answers: rows of plain values.

        Raises
        ------
        VenueError
            The venue did not do it. `OrderOutcomeUnknownError`: nobody knows whether it did.
        """
        async with self._open_account() as account:
            return _rows(await self.calls[name].run(account, values))


def _rows(answer: object) -> list[dict[str, Any]]:
    if answer is None:
        return []
    each = answer if isinstance(answer, list | tuple) else [answer]
    return [_row(one) for one in each]


def _row(value: object) -> dict[str, Any]:
    kind: Any = type(value)
    if isinstance(value, msgspec.Struct):
        fields = msgspec.structs.asdict(value)
    elif attrs.has(kind):
        fields = {name: getattr(value, name) for name in attrs.fields_dict(kind)}
    elif isinstance(value, Mapping):
        fields = {str(name): each for name, each in value.items()}
    else:
        fields = {"value": value}
    return {name: _plain(each) for name, each in fields.items()}


def _plain(value: object) -> object:
    """Return `value` as JSON has it, Decimals without an exponent; a secret stays masked."""
    if isinstance(value, Decimal):
        return f"{value:f}"
    return msgspec.to_builtins(value, str_keys=True, enc_hook=str)


def _shown(value: object) -> str:
    if isinstance(value, list | tuple | dict):
        return json.dumps(value)
    return f"{value:f}" if isinstance(value, Decimal) else str(value)


def _number(text: str) -> Decimal:
    try:
        value = Decimal(text)
    except InvalidOperation:
        raise ValueError(text) from None
    if not value.is_finite():
        raise ValueError(text)
    return value


def _yes_no(text: str) -> bool:
    if text not in ("true", "false"):
        raise ValueError(text)
    return text == "true"


READERS: Final[Mapping[Kind, Callable[[str], Any]]] = {
    Kind.TEXT: str,
    Kind.INTEGER: int,
    Kind.NUMBER: _number,
    Kind.YES_NO: _yes_no,
    Kind.TEXTS: lambda text: [each.strip() for each in text.split(",") if each.strip()],
    Kind.JSON: msgspec.json.Decoder(dict[str, Any]).decode,
    Kind.HIDDEN: Secret,
}
