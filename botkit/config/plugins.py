"""Plug-ins found by name: entry points, modules and files, with errors that say what is there."""

import functools
import importlib.metadata
import inspect
import json
import sys
import traceback
import urllib.parse
import urllib.request
from importlib.metadata import Distribution, EntryPoint, EntryPoints
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Final, Literal

from botkit.config.describing import found, listed, nearest
from botkit.errors import ConfigError

__all__ = [
    "Group",
    "classes_of",
    "import_failure",
    "import_plugin_module",
    "load_plugin",
    "member",
    "names",
    "refuse_shadow",
]

Group = Literal[
    "botkit.venues", "botkit.simulators", "botkit.accounts", "botkit.risk", "botkit.strategies"
]


def names(group: Group) -> list[str]:
    """Return the names of every installed plug-in of `group`, sorted."""
    return sorted(_installed(group).names)


def load_plugin(group: Group, name: str, source: str) -> object:
    """Return what the entry point `name` of `group` stands for.

    Parameters
    ----------
    source
        File and key that name the plug-in, for messages.

    Raises
    ------
    ConfigError
        No such name; several distributions have it; a folder shadows its package; it cannot be
        imported (the original error is the cause).
    """
    points = tuple(_installed(group).select(name=name))
    if not points:
        known = names(group)
        raise ConfigError(
            f"{source}: found {found(name)}, allowed: the plug-ins of {group}: "
            f"{listed(known) or 'none is installed'}{nearest(name, known)}"
        )
    if len(points) > 1:
        owners = sorted(f"{_owner(point)} ({point.value})" for point in points)
        raise ConfigError(
            f'{source}: "{name}" is a plug-in of {group} in several distributions: '
            f"{', '.join(owners)}; uninstall all but one"
        )
    (point,) = points
    what = f'the plug-in "{name}" of {group} ({point.value} of {_owner(point)})'
    refuse_shadow(point, f"{source}: {what}")
    module = import_plugin_module(point.module, f"{source}: {what}")
    return member(module, point.attr, f"{source}: {what}")


def _installed(group: Group) -> EntryPoints:
    """Return the entry points of `group`; they are read again once a folder of the path changes."""
    return _read(group, tuple((folder, _changed_ns(folder)) for folder in sys.path))


@functools.lru_cache(maxsize=8)  # each name of a config would have every package read again
def _read(group: Group, _: tuple[tuple[str, int], ...]) -> EntryPoints:
    return importlib.metadata.entry_points(group=group)


def _changed_ns(folder: str) -> int:
    try:
        return Path(folder).stat().st_mtime_ns
    except OSError:
        return 0


def _owner(point: EntryPoint) -> str:
    return _version(point.dist) if point.dist else "an unknown distribution"


@functools.lru_cache(maxsize=64)  # name and version are parsed from a file, each time again
def _version(dist: Distribution) -> str:
    return f"{dist.name} {dist.version}"


def import_plugin_module(module_name: str, what: str) -> ModuleType:
    """Import a plug-in's module; `what` begins the message if that fails."""
    try:
        return importlib.import_module(module_name)
    except Exception as error:
        raise import_failure(what, error) from error


def import_failure(what: str, error: Exception) -> ConfigError:
    """Return the error that says where in whose file an import failed."""
    return ConfigError(
        f"{what} cannot be imported: {type(error).__name__}: {error}{_place_of(error)}"
    )


def _place_of(error: Exception) -> str:
    """Return file and line of the innermost frame that is the plug-in's, not the importer's."""
    if isinstance(error, SyntaxError) and error.filename:
        return f" ({error.filename}, line {error.lineno})"
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        if frame.filename not in _IMPORTERS and not frame.filename.startswith("<frozen"):
            return f" ({frame.filename}, line {frame.lineno})"
    return ""


_IMPORTERS: Final = {__file__, importlib.__file__}


def member(module: ModuleType, dotted: str, what: str) -> object:
    """Return the attribute `dotted` of `module`; the error lists the classes that are there."""
    value: object = module
    for name in dotted.split("."):
        if not hasattr(value, name):
            there = classes_of(module)
            raise ConfigError(
                f'{what}: {module.__file__} has no "{dotted}", allowed: '
                f"{listed(there) or 'nothing, there is no class in it'}{nearest(dotted, there)}"
            )
        value = getattr(value, name)
    return value


def classes_of(module: ModuleType) -> dict[str, type]:
    """Return the classes that `module` itself defines."""
    return {
        name: value
        for name, value in vars(module).items()
        if inspect.isclass(value) and value.__module__ == module.__name__
    }


# Shadows ------------------------------------------------------------------------------------------


def refuse_shadow(point: EntryPoint, what: str) -> None:
    """Raise if the plug-in's package would be imported from elsewhere than its distribution."""
    package = point.module.partition(".")[0]
    expected = _installed_at(point.dist, package) if point.dist else []
    places = _found_at(package)
    if not expected or not places or any(place in expected for place in places):
        return
    if point.dist and point.dist.name == "botkit" and places[0].parent == _botkit_root():
        return  # a source tree run in place of the installed one, botkit and plug-ins alike
    raise ConfigError(
        f"{what}: its package {package} lies in {expected[0]}, but {places[0]} shadows it; "
        f"rename {places[0]}"
    )


def _botkit_root() -> Path:
    return Path(__file__).resolve().parents[2]


def _found_at(package: str) -> list[Path]:
    """Return the folders, or the file, that `import package` uses."""
    try:
        spec = find_spec(package)
    except ValueError:  # a module in sys.modules that was made by hand
        return []
    if spec is None:
        return []
    if spec.submodule_search_locations is not None:
        return [Path(place).resolve() for place in spec.submodule_search_locations]
    return [Path(spec.origin).resolve()] if spec.origin else []


def _installed_at(dist: Distribution, package: str) -> list[Path]:
    """Return where `dist` has put `package`; empty if it does not say."""
    if root := _editable_root(dist):
        places = [
            place.resolve()
            for folder in (root, root / "src")
            for place in (folder / package, folder / f"{package}.py")
        ]
        return [place for place in places if place.exists()]
    tops = {file.parts[0] for file in dist.files or ()}
    return [
        Path(str(dist.locate_file(top))).resolve()
        for top in (package, f"{package}.py")
        if top in tops
    ]


def _editable_root(dist: Distribution) -> Path | None:
    """Return the source folder of a distribution installed with `pip install -e`."""
    record = json.loads(dist.read_text("direct_url.json") or "{}")
    if not record.get("dir_info", {}).get("editable"):
        return None
    return Path(urllib.request.url2pathname(urllib.parse.urlsplit(record["url"]).path))
