"""The options of the commands that act on a running bot."""

import os
from collections.abc import Callable
from decimal import Decimal, InvalidOperation
from typing import Any, Final

import click

from botkit.config import parse_duration

__all__ = [
    "EVERYTHING",
    "NUMBER",
    "REASON",
    "as_target",
    "reason_option",
    "wait_option",
    "who",
    "why_option",
]

EVERYTHING: Final = "all"
NS_PER_S: Final = 1_000_000_000
WAIT_MAX_S: Final = 60.0
Command = Callable[..., Any]


class WaitType(click.ParamType[float]):
    """A length of time such as 10s, in seconds; 0s does not wait."""

    name = "duration"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """Return seconds."""
        try:
            length_s = parse_duration(str(value)) / NS_PER_S
        except ValueError as exc:
            self.fail(f"{value!r}: {exc}; 10s, for example", param, ctx)
        if length_s > WAIT_MAX_S:
            self.fail(f"{value!r}: more than {WAIT_MAX_S:g}s; ask again instead", param, ctx)
        return length_s


class NumberType(click.ParamType[Decimal]):
    """An exact number."""

    name = "number"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> Decimal:
        """Return it."""
        try:
            number = Decimal(str(value))
        except InvalidOperation:
            self.fail(f"{value!r}: allowed: a number, 0.5, for example", param, ctx)
        if not number.is_finite():
            self.fail(f"{value!r}: allowed: a finite number", param, ctx)
        return number


class ReasonType(click.ParamType[str]):
    """A reason: not blank, since it is there for whoever reads it later."""

    name = "text"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return it without blanks around it."""
        reason = str(value).strip()
        if not reason:
            self.fail(f"{value!r}: allowed: a few words on why; they are kept", param, ctx)
        return reason


NUMBER: Final = NumberType()
REASON: Final = ReasonType()


def wait_option(*, default: str = "10s") -> Callable[[Command], Command]:
    """Return what adds --wait; the command gets `wait_s`, in seconds."""
    return click.option(
        "--wait",
        "wait_s",
        type=WaitType(),
        default=default,
        show_default=True,
        metavar="TIME",
        help="How long to wait for the venues to confirm.",
    )


reason_option = click.option(
    "--reason", default="", metavar="TEXT", help="Why; it is logged and kept in the journal."
)

why_option = click.option(
    "--reason",
    type=REASON,
    required=True,
    metavar="TEXT",
    help="Why; it is logged and kept in the journal.",
)


def who() -> str:
    """Return who works without a running bot that could tell: as it would write it."""
    return f"uid {os.getuid()}, pid {os.getpid()}"


def as_target(word: str) -> str:
    """Return what the bot calls the target that a person calls `word`."""
    return "" if word == EVERYTHING else word
