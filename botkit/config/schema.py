"""JSON Schema of what `structure` reads, from the same annotations, validators and docstrings."""

import datetime as dt
import enum
import inspect
import re
import types
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Final, Union, get_args, get_origin

import attrs

from botkit.config.describing import options_of, unwrapped
from botkit.config.durations import DURATION, format_duration
from botkit.config.secrets import Secret
from botkit.config.structuring import unstructure

__all__ = ["BY_TYPE", "Schemas", "parameter_docs"]

BY_TYPE: Final = "botkit.by_type"
"""Key of a field's metadata: `{value of its "type" key: attrs class of the rest}` for a table."""

_ENV: Final = r"\$\{[^${}]*\}"  # a variable may stand for text of every kind
_NUMBER: Final = r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]{1,6})?"
_DURATION: Final = r"[0-9]{1,20}(\.[0-9]{1,20})? ?(ns|us|ms|s|m|h|d)"
_PARAMETERS: Final = re.compile(r"Parameters\n-+\n(.*?)(?=\n\S[^\n]*\n-+\n|\Z)", re.DOTALL)
_PARAMETER: Final = re.compile(r"^(\w[\w, ]*)\n((?:[ \t]+[^\n]*\n?|\n)+)", re.MULTILINE)
_BOUNDS: Final = {
    ">": "exclusiveMinimum",
    ">=": "minimum",
    "<": "exclusiveMaximum",
    "<=": "maximum",
}


def _text_of(pattern: str) -> dict[str, Any]:
    return {"type": "string", "pattern": f"^({pattern})$|{_ENV}"}


_SCALARS: Final[Mapping[Any, Mapping[str, Any]]] = {
    str: {"type": "string"},
    Path: {"type": "string"},
    Secret: {"type": "string"},
    bool: {"anyOf": [{"type": "boolean"}, _text_of("true|false")]},
    int: {"anyOf": [{"type": "integer"}, _text_of("[+-]?[0-9]{1,40}")]},
    float: {"anyOf": [{"type": "number"}, _text_of(_NUMBER)]},
    Decimal: {"anyOf": [_text_of(_NUMBER), {"type": "integer"}]},
    dt.datetime: {"type": "string", "format": "date-time"},
    dt.date: {"type": "string", "format": "date"},
    dt.time: {"type": "string", "format": "time"},
}


@attrs.define
class Schemas:
    """Makes schemas; a class met on the way is put into `definitions` and referred to.

    Parameters
    ----------
    partial
        Ask for no key: for a file that others complete.
    """

    partial: bool = False
    definitions: dict[str, Any] = attrs.field(factory=dict)

    def of(self, type_: Any) -> dict[str, Any]:
        """Return the schema of what a config may write where `type_` is asked for."""
        type_ = unwrapped(type_)
        if get_origin(type_) is Annotated and DURATION in type_.__metadata__:
            return _text_of(_DURATION)
        if options := options_of(type_):
            return {"anyOf": [{"enum": options}, {"type": "string", "pattern": _ENV}]}
        if get_origin(type_) in {Union, types.UnionType}:
            members = [each for each in get_args(type_) if each is not types.NoneType]
            schemas = [self.of(member) for member in members]
            return schemas[0] if len(schemas) == 1 else {"anyOf": schemas}
        if attrs.has(get_origin(type_) or type_):
            return self._reference(get_origin(type_) or type_)
        return self._collection(type_) or dict(_SCALARS.get(type_, {}))

    def _reference(self, cls: Any) -> dict[str, Any]:
        name = f"{cls.__module__}.{cls.__qualname__}"
        if name not in self.definitions:
            self.definitions[name] = {}  # there already, if the class should hold itself
            self.definitions[name] = self.table(cls)
        return {"$ref": f"#/definitions/{name}"}

    def _collection(self, type_: Any) -> dict[str, Any]:
        origin, arguments = get_origin(type_) or type_, get_args(type_)
        if not isinstance(origin, type) or issubclass(origin, str):
            return {}
        if issubclass(origin, Mapping):
            inner = self.of(arguments[1]) if arguments else {}
            return {"type": "object", "additionalProperties": inner}
        if not issubclass(origin, Sequence | AbstractSet):
            return {}
        if origin is tuple and arguments and ... not in arguments:
            each = [self.of(argument) for argument in arguments]
            return {"type": "array", "items": each, "minItems": len(each), "maxItems": len(each)}
        return {"type": "array", "items": self.of(arguments[0]) if arguments else {}}

    def table(self, cls: Any, **more: Mapping[str, Any]) -> dict[str, Any]:
        """Return the schema of a table read into `cls`, an attrs class, and of `more` keys."""
        attrs.resolve_types(cls)
        told = parameter_docs(cls)
        fields = {each.alias or each.name: each for each in attrs.fields(cls) if each.init}
        schema: dict[str, Any] = {
            "type": "object",
            "properties": {
                **more,
                **{
                    key: self._field(field, told.get(field.name, ""))
                    for key, field in fields.items()
                },
            },
            "additionalProperties": False,
        }
        if text := _first_line(cls):
            schema["description"] = text
        required = [key for key, field in fields.items() if field.default is attrs.NOTHING]
        return self.requiring(schema, required)

    def requiring(self, schema: dict[str, Any], keys: Sequence[str]) -> dict[str, Any]:
        """Return `schema` asking for these keys, unless it is for a part of a config."""
        return schema if self.partial or not keys else {**schema, "required": list(keys)}

    def _field(self, field: Any, told: str) -> dict[str, Any]:
        by_type = field.metadata.get(BY_TYPE)
        schema = self.of(field.type) if by_type is None else self.tagged(by_type)
        for bound in _bounds_of(field.validator, field.type):
            schema = _bounded(schema, bound)
        if "$ref" in schema:  # what stands beside a reference does not count
            schema = {"allOf": [schema]}
        if told:
            schema = {**schema, "description": told}
        default = _default_of(field)
        return schema if default is None else {**schema, "default": default}

    def tagged(self, by_type: Mapping[str, Any]) -> dict[str, Any]:
        """Return the schema of a table whose `type` says which class reads the rest of it."""
        schema = {
            "type": "object",
            "properties": {"type": {"enum": sorted(by_type)}},
            "allOf": [
                {
                    "if": {"properties": {"type": {"const": name}}, "required": ["type"]},
                    "then": self.table(cls, type={"const": name}),
                }
                for name, cls in sorted(by_type.items())
            ],
        }
        return self.requiring(schema, ["type"])


def parameter_docs(cls: Any) -> dict[str, str]:
    """Return what the Parameters section of a class's docstring says of each, on one line."""
    section = _PARAMETERS.search(inspect.getdoc(cls) or "")
    if section is None:
        return {}
    return {
        name.strip(): " ".join(text.split())
        for names, text in _PARAMETER.findall(section[1] + "\n")
        for name in names.split(",")
    }


def _first_line(cls: Any) -> str:
    own = vars(cls).get("__doc__") or ""  # not the one of a parent
    return inspect.cleandoc(own).partition("\n")[0].replace("`", "")


def _bounds_of(validator: Any, type_: Any) -> list[dict[str, Any]]:
    """Return what attrs' own validators ask for, of the kinds that JSON Schema knows too."""
    if validator is None:
        return []
    parts = getattr(validator, "_validators", None) or [getattr(validator, "validator", None)]
    found = [bound for part in parts for bound in _bounds_of(part, type_)]
    word = _BOUNDS.get(getattr(validator, "compare_op", ""))
    if word and {int, float} & {type_, *get_args(type_)}:
        found.append({word: validator.bound})
    if pattern := getattr(validator, "pattern", None):
        found.append({"pattern": f"^({pattern.pattern})$|{_ENV}"})
    if (least := getattr(validator, "min_length", None)) is not None:
        is_array = get_origin(type_) not in {None, Union, types.UnionType}
        found.append({"minItems" if is_array else "minLength": least})
    return found


def _bounded(schema: dict[str, Any], bound: dict[str, Any]) -> dict[str, Any]:
    """Return `schema` with a bound, which of several kinds holds for the number alone."""
    if "anyOf" not in schema:
        return {**schema, **bound}
    first, *others = schema["anyOf"]
    return {**schema, "anyOf": [{**first, **bound}, *others]}


def _default_of(field: Any) -> Any:
    """Return a default as a config writes it; None where there is none, or it is none."""
    default = field.default
    if default is attrs.NOTHING or hasattr(default, "factory"):
        return None
    if isinstance(default, int) and not isinstance(default, bool) and DURATION in str(field.type):
        return format_duration(default)
    if isinstance(default, enum.Enum):
        return default.value
    plain = unstructure(default)
    return plain if isinstance(plain, str | int | float | bool) else None
