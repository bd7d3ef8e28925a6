"""`botkit list`: the plug-ins there are."""

import importlib.metadata
import inspect
import types
from decimal import Decimal
from typing import Any, Final, get_args

import attrs
import click

from botkit.cli.tables import writing
from botkit.config import format_duration, load_plugin, names
from botkit.config.describing import options_of, unwrapped
from botkit.config.durations import DURATION
from botkit.config.plugins import Group
from botkit.errors import ConfigError

__all__ = ["command"]

KINDS: Final = {
    Decimal: "number as text",
    int: "whole number",
    float: "number",
    bool: "true or false",
    str: "text",
}

GROUPS: Final[dict[str, Group]] = {
    "venues": "botkit.venues",
    "strategies": "botkit.strategies",
    "risk": "botkit.risk",
}


@click.command("list")
@click.argument("kind", type=click.Choice(list(GROUPS)), required=False)
def command(kind: str | None) -> None:
    """List the plug-ins a config can name: venues, strategies, risk rules, or all of them.

    Strategies come with their parameters. Your own need no plug-in: give a config
    type = "./path/to/file.py:Class", or see botkit new strategy --help.
    """
    with writing("the list"):
        for index, name in enumerate([kind] if kind else list(GROUPS)):
            click.echo(("\n" if index else "") + click.style(name, bold=True))
            for line in _lines(GROUPS[name]):
                click.echo(f"  {line}")


def _lines(group: Group) -> list[str]:
    found = names(group)
    width = max((len(name) for name in found), default=0)
    lines: list[str] = []
    for name in found:
        try:
            plugin = load_plugin(group, name, "botkit list")
        except ConfigError as exc:
            lines.append(f"{name:<{width}}  cannot be loaded: {exc}")
            continue
        lines.append(f"{name:<{width}}  {_first_line(group, plugin)}  [{_origin(group, name)}]")
        if group == "botkit.strategies":
            lines += [f"{'':<{width}}    {line}" for line in _params(plugin)]
    return lines or ["none is installed"]


def _first_line(group: Group, plugin: object) -> str:
    """Return what a plug-in says of itself: a rule by its class, the others by their module."""
    told = inspect.getdoc(plugin)
    if group != "botkit.risk":
        told = inspect.getdoc(inspect.getmodule(plugin)) or told
    return (told or "(no description)").partition("\n")[0]


def _origin(group: Group, name: str) -> str:
    (point,) = importlib.metadata.entry_points(group=group, name=name)
    dist = f"{point.dist.name} {point.dist.version}" if point.dist else "unknown"
    return f"{dist}, {point.value}"


def _params(plugin: Any) -> list[str]:
    params = plugin.Params
    attrs.resolve_types(params, include_extras=True)
    return [f"{field.name}: {_kind(field.type)}{_default(field)}" for field in attrs.fields(params)]


def _kind(type_: Any) -> str:
    """Return a type as a config's author knows it."""
    if _is_duration(type_):
        return "duration"
    type_ = unwrapped(type_)
    members = [each for each in get_args(type_) if each is not types.NoneType]
    if isinstance(type_, types.UnionType):
        return " or ".join(_kind(member) for member in members)
    if options := options_of(type_):
        return " or ".join(map(str, options))
    return KINDS.get(type_) or str(getattr(type_, "__name__", type_))


def _is_duration(type_: Any) -> bool:
    return DURATION in getattr(type_, "__metadata__", ())


def _default(field: "attrs.Attribute[Any]") -> str:
    default = field.default
    if default is attrs.NOTHING:
        return ", required"
    if default is None or hasattr(default, "factory"):
        return ", may be left out"
    told = format_duration(default) if _is_duration(field.type) else default
    return f", default {told}"
