"""`botkit exposure`: how long an order can be unattended, and what sees to it."""

import shutil
import textwrap
from collections.abc import Iterator, Sequence
from typing import Any, Final

import click
import msgspec

from botkit.cli.exposure import Bound, Exposure, Failure, exposure_of, sum_of
from botkit.cli.planning import make_plan
from botkit.cli.session import Session, configs_argument, set_option
from botkit.cli.tables import writing
from botkit.ports import Liveness, Term

__all__ = ["command"]

LEAST_WIDTH: Final = 60
MOST_WIDTH: Final = 100
INDENT: Final = "    "
NAME_WIDTH: Final = 33


@click.command("exposure", short_help="Tell how long an order can be unattended, at worst.")
@configs_argument
@set_option
@click.option("--json", "as_json", is_flag=True, help="One JSON object per line, a venue each.")
@click.pass_obj
def command(
    session: Session, *, configs: Sequence[str], overrides: Sequence[str], as_json: bool
) -> None:
    """Tell for each venue of CONFIG what cancels orders when something fails, and how soon.

    Every figure is the sum of the deadlines that hold as configured, shown with its parts; nothing
    connects. What is told holds of a run with --live.
    """
    plan = make_plan(session, configs, overrides, live=True)
    with writing("the exposure"):
        for at, name in enumerate(plan.venues):
            told = exposure_of(plan, name)
            if as_json:
                click.echo(msgspec.json.encode(_object(told)))
                continue
            for line in ([""] if at else []) + list(_lines(told)):
                click.echo(session.redact(line))


# --- for people ---------------------------------------------------------------------------------


def _lines(told: Exposure) -> Iterator[str]:
    width = min(max(shutil.get_terminal_size().columns, LEAST_WIDTH), MOST_WIDTH)
    orders = "any number of orders" if told.orders is None else f"at most {told.orders} orders"
    what = told.venue if told.venue == told.type else f"{told.venue} ({told.type})"
    yield f'{what}: on_disconnect = "{told.on_disconnect}", {orders}'
    yield ""
    for layer in told.layers:
        mark = "yes" if layer.active else "no"
        yield from _wrapped(f"{layer.name:<10}{mark:<5}", layer.what, width)
    yield ""
    yield f"{'When this fails':<{NAME_WIDTH}}an order is unattended for at most"
    for failure in told.failures:
        yield from _failure_lines(failure, width)
    if told.liveness is None:
        return
    yield ""
    yield from _wrapped("reconnecting  ", f"tried again after {told.back_off_s:g} s at most", width)
    yield from _wrapped("kept to       ", "; ".join(told.liveness.budgets), width)


def _failure_lines(failure: Failure, width: int) -> Iterator[str]:
    worst = failure.worst
    if worst is None:
        yield f"{failure.name:<{NAME_WIDTH}}*unbounded*"
    else:
        yield f"{failure.name:<{NAME_WIDTH}}{worst.seconds:g} s, by {worst.by}"
        if worst.terms:
            yield from _wrapped(INDENT, f"= {sum_of(worst.terms)}", width)
    for bound in failure.bounds:
        if bound is not worst:
            text = f"else {bound.seconds:g} s, by {bound.by} = {sum_of(bound.terms)}"
            yield from _wrapped(INDENT, text, width)
    if failure.note:
        yield from _wrapped(INDENT, failure.note, width)


def _wrapped(head: str, text: str, width: int) -> list[str]:
    return textwrap.wrap(
        text,
        width,
        initial_indent=head,
        subsequent_indent=" " * len(head),
        break_long_words=False,
        break_on_hyphens=False,
    )


# --- for programs -------------------------------------------------------------------------------


def _object(told: Exposure) -> dict[str, Any]:
    return {
        "venue": told.venue,
        "type": told.type,
        "on_disconnect": told.on_disconnect,
        "orders": told.orders,
        "layers": [
            {"layer": each.name, "active": each.active, "what": each.what} for each in told.layers
        ],
        "failures": [
            {
                "failure": each.name,
                "seconds": None if each.worst is None else each.worst.seconds,
                "by": None if each.worst is None else each.worst.by,
                "bounds": [_bound(bound) for bound in each.bounds],
                "note": each.note,
            }
            for each in told.failures
        ],
        "back_off_s": told.back_off_s,
        "liveness": None if told.liveness is None else _figures(told.liveness),
    }


def _figures(told: Liveness) -> dict[str, Any]:
    native = told.native
    return {
        "streams": [
            {"stream": each.name, "seconds": each.noticed_s, "terms": _terms(each.terms)}
            for each in told.streams
        ],
        "cancel": _terms(told.cancel),
        "cancel_while_down": _terms(told.cancel_while_down),
        "cancels_at_once": told.cancels_at_once,
        "connect": _terms(told.connect),
        "prepare": _terms(told.prepare),
        "native": None
        if native is None
        else {
            "asked": native.asked,
            "ended": _terms(native.ended),
            "silent": _terms(native.silent),
        },
        "budgets": list(told.budgets),
        "deadlines": _terms(told.deadlines),
    }


def _bound(bound: Bound) -> dict[str, Any]:
    return {"by": bound.by, "seconds": bound.seconds, "terms": _terms(bound.terms)}


def _terms(terms: Sequence[Term] | None) -> list[dict[str, Any]] | None:
    if terms is None:
        return None
    return [{"what": each.what, "seconds": each.seconds} for each in terms]
