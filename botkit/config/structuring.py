"""Plain mappings to attrs classes and back, by cattrs, every problem gathered into one error.

The hooks below take the place of cattrs' own, which convert too much (20 to "20", "no" to True)
and stop at the first validator. Each raises `ProblemsError` with paths relative to its value;
tables and arrays put their key before the paths of what they hold.
"""

import re
import types
from collections.abc import Callable, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Final, Literal, TypeVar, Union, get_args, get_origin

import attrs
import cattrs

from botkit.config.describing import allowed, found, listed, nearest, options_of, unwrapped
from botkit.config.durations import DURATION, format_duration
from botkit.config.emitting import quote_key
from botkit.config.problems import Hook, Problem, ProblemsError, attempt, refusal
from botkit.config.scalars import SCALARS, take_duration, take_option, take_scalar
from botkit.config.secrets import MASK, EnvironmentText, Secret, redacted, secrets_in
from botkit.errors import ConfigError

__all__ = ["structure", "unstructure"]

T = TypeVar("T")

_SOURCE_WITH_KEY: Final = re.compile(r"(?s)(.+): ([^\s:]+)")
_OWN_VALIDATOR: Final = re.compile(r"(?s)(Length of )?'\w+' must (?:be )?(.+?)(?:: [^:]*| \(.*\))?")
_FROM_FIELDS: Final = (ValueError, TypeError, ArithmeticError, LookupError)


def structure(cls: type[T], value: Mapping[str, Any], source: str, *, key: str = "") -> T:
    """Build `cls`, an attrs class, from a plain mapping.

    Keys are the names of the attributes; what a field allows is read from its annotation, and its
    validators are asked. Nested classes, lists, mappings, enums, `Literal`, `Optional`, unions,
    `Decimal`, `Duration` and `Secret` are known. A `Decimal` is text or an integer, never a float.

    Parameters
    ----------
    source
        The file, for messages; "FILE: dotted.key", as `VenueSetup.source` has it, names both.
    key
        Dotted key of the mapping inside the file, or inside the table that `source` names.

    Raises
    ------
    ConfigError
        With every problem, one sentence each. Values from the environment are not shown.
    """
    if match := _SOURCE_WITH_KEY.fullmatch(source):
        source, key = match[1], f"{match[2]}.{key}".rstrip(".")
    built, problems = attempt(_structurer.get_structure_hook(cls), value, cls)
    if problems:
        secrets = secrets_in(value)
        raise ConfigError([redacted(_sentence(source, key, each), secrets) for each in problems])
    result: T = built
    return result


def _sentence(source: str, key: str, problem: Problem) -> str:
    dotted = ".".join(([key] if key else []) + [quote_key(name) for name in problem.path])
    return ": ".join(part for part in (source, dotted, problem.text) if part)


# Collections --------------------------------------------------------------------------------------


def _gather(parts: Iterable[tuple[str, Any, Any]]) -> tuple[list[Any], list[Problem]]:
    """Structure each (name, value, type); return what was made, and the problems under names."""
    made: list[Any] = []
    problems: list[Problem] = []
    for name, value, type_ in parts:
        result, wrong = attempt(_structurer.get_structure_hook(type_), value, type_)
        made.append(result)
        problems += [problem.under(name) for problem in wrong]
    return made, problems


def _take_array(value: Any, type_: Any) -> Any:
    """Take an array into the list, tuple or set that `type_` names."""
    origin, arguments = get_origin(type_) or type_, get_args(type_)
    if not isinstance(value, list | tuple | AbstractSet):
        raise refusal(value, type_)
    if origin is tuple and arguments and ... not in arguments:
        if len(value) != len(arguments):
            raise refusal(value, type_)
        types_: Sequence[Any] = arguments
    else:
        types_ = [arguments[0] if arguments else Any] * len(value)
    parts = ((str(i), element, types_[i]) for i, element in enumerate(value))
    made, problems = _gather(parts)
    if problems:
        raise ProblemsError(problems)
    return _container(origin, value)(made)


def _container(origin: Any, value: Any) -> Callable[[list[Any]], Any]:
    if issubclass(origin, tuple):
        return tuple
    if issubclass(origin, AbstractSet):
        return set if issubclass(origin, set) else frozenset
    del value
    return list


def _take_table(value: Any, type_: Any) -> dict[Any, Any]:
    key_type, value_type = get_args(type_) or (str, Any)
    if not isinstance(value, Mapping):
        raise refusal(value, type_)
    names, wrong_names = _gather((str(name), name, key_type) for name in value)
    values, problems = _gather((str(name), inner, value_type) for name, inner in value.items())
    if problems or wrong_names:
        raise ProblemsError(wrong_names + problems)
    return dict(zip(names, values, strict=True))


# Unions -------------------------------------------------------------------------------------------


def _take_union(value: Any, type_: Any) -> Any:
    """Take the first member that fits, in the order declared.

    Where none fits, a table is held against the class it seems to be meant for.
    """
    members = get_args(type_)
    if value is None and types.NoneType in members:
        return None
    members = tuple(member for member in members if member is not types.NoneType)
    attempts: list[list[Problem]] = []
    for member in _meant(members, value):
        result, problems = attempt(_structurer.get_structure_hook(member), value, member)
        if not problems:
            return result
        attempts.append(problems)
    if len(attempts) == 1:
        raise ProblemsError(attempts[0])
    deep = [problems for problems in attempts if any(problem.path for problem in problems)]
    if deep:
        fewest = min(deep, key=len)
        raise ProblemsError(fewest)
    raise refusal(value, type_)


def _meant(members: Sequence[Any], value: Any) -> Sequence[Any]:
    """Return the members to try: for a table with a tag, the class that has this tag."""
    if not isinstance(value, Mapping):
        return members
    classes = [member for member in members if attrs.has(unwrapped(member))]
    tag = _tag(classes)
    if tag is None or tag not in value:
        return members
    by_tag = {option: cls for cls in classes for option in options_of(_types_of(cls)[tag])}
    chosen = value[tag]
    if isinstance(chosen, str) and chosen in by_tag:
        return [by_tag[chosen]]
    text = f"found {found(chosen)}, allowed: {listed(by_tag)}"
    hint = nearest(chosen, by_tag) if type(chosen) is str else ""
    raise ProblemsError([Problem((tag,), text + hint)])


def _tag(classes: Sequence[Any]) -> str | None:
    """Return the name of the `Literal` field that all `classes` have, if there are several."""
    if len(classes) < 2:  # noqa: PLR2004 - one class needs no tag
        return None
    shared = [
        {name for name, type_ in _types_of(cls).items() if get_origin(type_) is Literal}
        for cls in classes
    ]
    return min(set.intersection(*shared), default=None)


# Classes ------------------------------------------------------------------------------------------


def _fields_of(cls: Any) -> dict[str, Any]:
    """Return the fields of `cls` by the key a config uses, annotations resolved."""
    origin = get_origin(cls) or cls
    attrs.resolve_types(origin)
    return {field.alias or field.name: field for field in attrs.fields(origin) if field.init}


def _types_of(cls: Any) -> dict[str, Any]:
    return {key: unwrapped(field.type) for key, field in _fields_of(unwrapped(cls)).items()}


def _take_class(value: Any, cls: Any) -> Any:
    """Build an attrs class; values, missing and unknown keys and validators all report."""
    if not isinstance(value, Mapping):
        raise refusal(value, cls)
    fields = _fields_of(cls)
    given = {key: field for key, field in fields.items() if key in value}
    made, problems = _gather((key, value[key], field.type or Any) for key, field in given.items())
    wrong = {problem.path[0] for problem in problems}
    arguments = {key: each for key, each in zip(given, made, strict=True) if key not in wrong}
    problems += _validator_problems(cls, fields, arguments, value)
    problems += _missing(fields, value) + _unknown(fields, value)
    if problems:
        order = {key: i for i, key in enumerate(fields)}
        problems.sort(key=lambda problem: order.get(problem.path[0], len(order)))
        raise ProblemsError(problems)
    try:
        return cls(**arguments)
    except ConfigError as error:
        raise ProblemsError([Problem((), text) for text in error.problems]) from None
    except _FROM_FIELDS as error:  # of a whole, in __attrs_post_init__
        text = _text_of(error, arguments.values())
        raise ProblemsError([Problem((), text)]) from None


def _missing(fields: Mapping[str, Any], value: Mapping[str, Any]) -> list[Problem]:
    return [
        Problem((key,), f"missing, allowed: {allowed(field.type or Any)}")
        for key, field in fields.items()
        if field.default is attrs.NOTHING and key not in value
    ]


def _unknown(fields: Mapping[str, Any], value: Mapping[str, Any]) -> list[Problem]:
    known = ", ".join(fields) or "no keys"
    return [
        Problem((str(key),), f"unknown key, allowed: {known}{nearest(key, fields)}")
        for key in value
        if key not in fields
    ]


def _validator_problems(
    cls: Any, fields: Mapping[str, Any], arguments: Mapping[str, Any], value: Mapping[str, Any]
) -> list[Problem]:
    """Ask the validators of all fields that could be read, not only until the first objects.

    They see an instance on which only these fields and plain defaults are set; one that needs
    more is asked when the instance is whole.
    """
    instance = object.__new__(get_origin(cls) or cls)
    for key, field in fields.items():
        if key not in arguments and not isinstance(field.default, attrs.Factory):  # type: ignore[arg-type]
            object.__setattr__(instance, field.name, field.default)
    shown = {
        key: each if isinstance(each, Secret) else value[key] for key, each in arguments.items()
    }
    problems = _asked(shown, lambda key: _convert(instance, fields[key], arguments[key]))
    wrong = {problem.path[0] for problem in problems}
    sound = {key: each for key, each in shown.items() if key not in wrong}
    return problems + _asked(sound, lambda key: _validate(instance, fields[key]))


def _asked(shown: Mapping[str, Any], ask: Callable[[str], None]) -> list[Problem]:
    """Return what `ask` objects to, key by key; `shown` is what a message may show."""
    problems = []
    for key, value in shown.items():
        try:
            ask(key)
        except AttributeError:
            continue
        except ConfigError as error:
            problems += [Problem((key,), text) for text in error.problems]
        except _FROM_FIELDS as error:
            problems.append(Problem((key,), _objection(value, error)))
    return problems


def _convert(instance: Any, field: Any, argument: Any) -> None:
    converter = field.converter
    if isinstance(converter, attrs.Converter):
        call: Any = converter
        argument = call(argument, instance, field)
    elif converter is not None:
        argument = converter(argument)
    object.__setattr__(instance, field.name, argument)


def _validate(instance: Any, field: Any) -> None:
    if field.validator is not None:
        field.validator(instance, field, getattr(instance, field.name))


def _objection(value: Any, error: Exception) -> str:
    """Return the text of a validator's error; of attrs' own only what they allow."""
    text = _text_of(error, [value])
    if own := _OWN_VALIDATOR.fullmatch(text):
        return f"found {found(value)}, allowed: {'a length ' if own[1] else ''}{own[2]}"
    return f"found {found(value)}: {text}"


def _text_of(error: Exception, values: Iterable[Any]) -> str:
    """Return what `error` says (attrs adds arguments that are no text), less secret `values`."""
    text = str(error.args[0]) if error.args else type(error).__name__
    for value in values:
        if isinstance(value, Secret | EnvironmentText):
            hidden = value.reveal() if isinstance(value, Secret) else str(value)
            text = text.replace(hidden, MASK) if hidden else text
    return text


# The converter ------------------------------------------------------------------------------------


def _is_union(type_: Any) -> bool:
    return get_origin(type_) in {Union, types.UnionType}


def _is_duration(type_: Any) -> bool:
    return get_origin(type_) is Annotated and DURATION in type_.__metadata__


def _is_array(type_: Any) -> bool:
    origin = get_origin(type_) or type_
    return (
        isinstance(origin, type)
        and issubclass(origin, Sequence | AbstractSet)
        and not issubclass(origin, str)
    )


def _is_table(type_: Any) -> bool:
    origin = get_origin(type_) or type_
    return isinstance(origin, type) and issubclass(origin, Mapping)


def _hooked(value: Any, type_: Any) -> Any:
    inner = unwrapped(type_)
    return _structurer.get_structure_hook(inner)(value, inner)


# Later rows are asked first.
_HOOKS: Final[Sequence[tuple[Callable[[Any], bool], Hook]]] = [
    (_is_array, _take_array),
    (_is_table, _take_table),
    (lambda type_: bool(options_of(type_)), take_option),
    (_is_union, _take_union),
    (lambda type_: attrs.has(get_origin(type_) or type_), _take_class),
    (lambda type_: unwrapped(type_) is not type_, _hooked),
    (_is_duration, take_duration),
]


def _build_structurer() -> cattrs.Converter:
    converter = cattrs.Converter(detailed_validation=True, forbid_extra_keys=True)
    for is_mine, hook in _HOOKS:
        converter.register_structure_hook_func(is_mine, hook)
    converter.register_structure_hook_func(SCALARS.__contains__, take_scalar)
    for type_ in (str, int, float, Path):  # cattrs holds these by class, subclasses included
        converter.register_structure_hook(type_, take_scalar)
    return converter


def _in_order(elements: Iterable[Any]) -> list[Any]:
    return sorted(elements, key=repr)


def _build_unstructurer() -> cattrs.Converter:
    converter = cattrs.Converter(unstruct_collection_overrides={AbstractSet: _in_order})
    converter.register_unstructure_hook(Decimal, str)
    converter.register_unstructure_hook(Path, str)
    converter.register_unstructure_hook(Secret, str)
    converter.register_unstructure_hook(str, lambda text: getattr(text, "value", text))
    converter.register_unstructure_hook_func(_is_duration, format_duration)
    return converter


_structurer: Final = _build_structurer()
_unstructurer: Final = _build_unstructurer()


def unstructure(value: Any) -> Any:
    """Return `value`, an attrs class, as the plain mapping `structure` reads; secrets as `***`."""
    return _unstructurer.unstructure(value)
