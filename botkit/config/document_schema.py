"""JSON Schema of a whole config, with the options of every plug-in that is installed."""

import inspect
from collections.abc import Callable, Mapping
from typing import Any, Final, Self

import attrs

from botkit.config.describing import unwrapped
from botkit.config.dry_run import DryRunOptions
from botkit.config.naming import NAME_PATTERN
from botkit.config.plugins import Group, load_plugin, names
from botkit.config.schema import Schemas, parameter_docs
from botkit.config.sections import Config, StrategyConfig, VenueConfig
from botkit.errors import ConfigError

__all__ = ["document_schema"]

_DRAFT: Final = "http://json-schema.org/draft-07/schema#"
_SOURCE: Final = "botkit config schema"
_OWN_CLASS: Final = r"[:/]|\.py$|\$\{"  # package.module:Class, ./file.py, a variable
_NOT_TABLES: Final = frozenset({"venues", "strategies", "risk"})


def document_schema(*, partial: bool = False) -> dict[str, Any]:
    """Return the JSON Schema (draft 7) of a config file.

    A plug-in that cannot be loaded, or that does not say what its options are, allows anything.

    Parameters
    ----------
    partial
        Of a file that others complete: no key is asked for.
    """
    schemas = Schemas(partial=partial)
    schema: dict[str, Any] = {
        "$schema": _DRAFT,
        "title": "botkit config",
        "type": "object",
        "properties": {
            "include": {
                "type": "array",
                "items": {"type": "string", "minLength": 1},
                "description": "Files read right after this one, relative to its folder.",
            },
            **_sections(schemas),
            "venues": _venues(schemas),
            "strategies": _strategies(schemas),
            "risk": _risk(schemas),
        },
        "additionalProperties": False,
    }
    if not partial:
        whole = {"required": ["bot", "venues", "strategies"]}
        schema["anyOf"] = [whole, {"required": ["include"]}]
    return {**schema, "definitions": schemas.definitions}


def _sections(schemas: Schemas) -> dict[str, Any]:
    """Return the sections that are one table read into one class."""
    attrs.resolve_types(Config)
    found: dict[str, Any] = {}
    for field in attrs.fields(Config):
        members = [field.type, *getattr(field.type, "__args__", ())]
        cls = next((each for each in map(unwrapped, members) if attrs.has(each)), None)
        if cls is not None and cls.__name__.endswith("Config") and field.name not in _NOT_TABLES:
            found[field.name] = schemas.of(cls)
    return found


def _plugins(group: Group) -> dict[str, Any]:
    """Return the plug-ins of a group by name; None for one that cannot be loaded."""
    found: dict[str, Any] = {}
    for name in names(group):
        try:
            found[name] = load_plugin(group, name, _SOURCE)
        except ConfigError:
            found[name] = None
    return found


def _class_of(plugin: Any, attribute: str) -> Any:
    """Return the attrs class that a plug-in names as its options; None if it names none."""
    found = getattr(plugin, attribute, None)
    return found if found is not None and attrs.has(found) else None


def _by_type(
    known: Mapping[str, Any], then: Callable[[str, Any], dict[str, Any]]
) -> list[dict[str, Any]]:
    return [
        {
            "if": {"properties": {"type": {"const": name}}, "required": ["type"]},
            "then": then(name, cls),
        }
        for name, cls in known.items()
        if cls is not None
    ]


def _venues(schemas: Schemas) -> dict[str, Any]:
    plugins = _plugins("botkit.venues")
    options = {name: _class_of(plugin, "Options") for name, plugin in plugins.items()}

    def then(name: str, cls: Any) -> dict[str, Any]:
        schema = schemas.table(cls, type={"const": name})
        for key in ("on_disconnect", "account"):
            schema["properties"][key] = schemas.table(VenueConfig)["properties"][key]
        if hasattr(plugins[name], "market_data"):
            schema["properties"]["paper"] = schemas.of(DryRunOptions)
        own = attrs.evolve(schemas, partial=True).table(cls)
        told = "What the guardian uses instead: an API key of its own, say."
        schema["properties"]["guardian"] = {**own, "description": told}
        return schema

    table = {
        "type": "object",
        "properties": {"type": {"enum": list(plugins), "description": "Which plug-in."}},
        "allOf": _by_type(options, then),
    }
    return {
        "type": "object",
        "description": "The places that take orders, by the names that symbols begin with.",
        "patternProperties": {f"^{NAME_PATTERN}$": schemas.requiring(table, ["type"])},
        "additionalProperties": False,
    }


def _strategies(schemas: Schemas) -> dict[str, Any]:
    plugins = _plugins("botkit.strategies")
    params = {name: _class_of(plugin, "Params") for name, plugin in plugins.items()}
    table = schemas.table(StrategyConfig)
    table["properties"]["type"] = {
        "anyOf": [{"enum": list(plugins)}, {"type": "string", "pattern": _OWN_CLASS}],
        "description": parameter_docs(StrategyConfig).get("type", ""),
    }
    table["required"] = ["type"]  # the rest is settled when the file is read

    def then(_: str, cls: Any) -> dict[str, Any]:
        schema: dict[str, Any] = {"properties": {"params": schemas.of(cls)}}
        needs = any(field.default is attrs.NOTHING for field in attrs.fields(cls))
        return schemas.requiring(schema, ["params"] if needs else [])

    return {"type": "array", "items": {**table, "allOf": _by_type(params, then)}}


def _risk(schemas: Schemas) -> dict[str, Any]:
    rules = {name: _rule(schemas, plugin) for name, plugin in _plugins("botkit.risk").items()}
    table = {"type": "object", "properties": rules, "additionalProperties": False}
    schemas.definitions["rules"] = table
    narrowed = {"type": "object", "additionalProperties": {"$ref": "#/definitions/rules"}}
    parts = {
        "strategies": {**narrowed, "description": "Rules for one strategy alone."},
        "venues": {**narrowed, "description": "Rules for one venue alone."},
    }
    return {**table, "properties": {**rules, **parts}}


def _rule(schemas: Schemas, rule: Any) -> dict[str, Any]:
    """Return the schema of a rule's value: of its `Value`, a type or itself, if it has one."""
    value = getattr(rule, "Value", None)
    value = rule if value is Self else value
    schema = {} if value is None else schemas.of(value)
    if "$ref" in schema:
        schema = {"allOf": [schema]}
    return {**schema, "description": inspect.cleandoc(rule.__doc__ or "") if rule else ""}
