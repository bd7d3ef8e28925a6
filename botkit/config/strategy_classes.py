"""A strategy's class by its three kinds of name: entry point, module and file."""

import hashlib
import importlib.util
import pkgutil
import re
import sys
from collections.abc import Iterable
from pathlib import Path
from types import ModuleType
from typing import Final

from botkit.config.describing import found, listed, nearest
from botkit.config.plugins import (
    classes_of,
    import_failure,
    import_plugin_module,
    load_plugin,
    member,
)
from botkit.errors import ConfigError

__all__ = ["load_strategy_class"]

_FILE: Final = re.compile(r"(?s)(.+\.py)(?::([\w.]+))?")
_MODULE: Final = re.compile(r"([^\W\d]\w*(?:\.[^\W\d]\w*)*):([\w.]+)")
_WAYS: Final = "an entry point, package.module:Class or ./path/to/file.py:Class"


def load_strategy_class(type_: str, source: str, base_dir: str) -> type:
    """Return the class that `type_` names.

    `market_maker`
        an entry point of the group botkit.strategies.
    `package.module:Class`
        imported as usual; the working directory is searched last.
    `./path/to/file.py:Class`
        that file, looked for from `base_dir`, the config file's folder, then from the working
        directory. Without `:Class` the file holds exactly one subclass of `Strategy`.

    Raises
    ------
    ConfigError
        Naming `source` (file and key) and what there is instead.
    """
    _search_working_directory()
    if match := _FILE.fullmatch(type_):
        loaded = _from_file(match[1], match[2], source, base_dir)
    elif match := _MODULE.fullmatch(type_):
        loaded = _from_module(match[1], match[2], source)
    elif ":" in type_ or "/" in type_:
        raise ConfigError(f"{source}: found {found(type_)}, allowed: {_WAYS}")
    else:
        loaded = load_plugin("botkit.strategies", type_, source)
    if not isinstance(loaded, type):
        raise ConfigError(f"{source}: found a {type(loaded).__name__}, allowed: a class")
    return loaded


def _search_working_directory() -> None:
    here = str(Path.cwd())
    if here not in sys.path and "" not in sys.path:
        sys.path.append(here)


# package.module:Class -----------------------------------------------------------------------------


def _from_module(module_name: str, class_name: str, source: str) -> object:
    what = f'{source}: "{module_name}:{class_name}"'
    try:
        module = import_plugin_module(module_name, what)
    except ConfigError as error:
        cause = error.__cause__
        if isinstance(cause, ModuleNotFoundError) and _is_part(cause.name or "", module_name):
            raise ConfigError(f"{what}: {_what_is_there(str(cause.name))}") from cause
        raise
    return member(module, class_name, what)


def _is_part(missing: str, module_name: str) -> bool:
    return module_name == missing or module_name.startswith(f"{missing}.")


def _what_is_there(missing: str) -> str:
    """Say which package lacks the module `missing`, what it holds, and what it may hide."""
    package_name, _, _ = missing.rpartition(".")
    package = sys.modules.get(package_name)
    if package is None:
        return (
            f"there is no module {missing} on Python's path, nor in the working directory "
            f"{Path.cwd()}, which has {_here(Path.cwd().glob('*.py'))}"
        )
    folders = [str(folder) for folder in getattr(package, "__path__", ())]
    modules = sorted(info.name for info in pkgutil.iter_modules(folders))
    local = Path.cwd() / package_name.replace(".", "/")
    hidden = local.is_dir() and str(local) not in folders
    last = missing.rpartition(".")[2]
    return (
        f"the package {package_name} in {', '.join(folders)} has no module {last}, allowed: "
        f"{listed(modules) or 'nothing'}{nearest(last, modules)}"
        + (f"; the folder {local} is shadowed by that package: rename it" if hidden else "")
    )


def _here(files: Iterable[Path]) -> str:
    return listed(sorted(file.name for file in files)) or "no Python file"


# ./path/to/file.py:Class --------------------------------------------------------------------------


def _from_file(path: str, class_name: str | None, source: str, base_dir: str) -> object:
    tried = list(dict.fromkeys([Path(base_dir, path).resolve(), Path(path).resolve()]))
    file = next((candidate for candidate in tried if candidate.is_file()), None)
    if file is None:
        looked = "; ".join(
            f"{candidate} is not there, its folder has {_here(candidate.parent.glob('*.py'))}"
            for candidate in tried
        )
        raise ConfigError(f'{source}: found "{path}", allowed: a file: {looked}')
    module = _import_file(file, f'{source}: "{path}"')
    if class_name is not None:
        return member(module, class_name, f'{source}: "{path}:{class_name}"')
    strategies = [name for name, cls in classes_of(module).items() if _is_strategy(cls)]
    if len(strategies) != 1:
        raise ConfigError(
            f'{source}: found "{path}", allowed: "{path}:Class" with one of the strategies in it: '
            f"{listed(strategies) or 'none'}"
        )
    return member(module, strategies[0], source)


def _is_strategy(cls: type) -> bool:
    """Say whether `cls` derives from `botkit.strategy.Strategy`, which lies above this module."""
    return any(
        base.__name__ == "Strategy" and base.__module__.startswith("botkit.strategy")
        for base in cls.__mro__[1:]
    )


def _import_file(file: Path, what: str) -> ModuleType:
    """Import `file` once, under a name of its own that pickle and typing find in sys.modules."""
    digest = hashlib.sha256(str(file).encode(errors="surrogateescape")).hexdigest()[:12]
    name = f"botkit_file_{re.sub(r'[^0-9A-Za-z_]', '_', file.stem)}_{digest}"
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, file)
    assert spec is not None
    assert spec.loader is not None  # the name ends in .py
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        del sys.modules[name]
        raise import_failure(what, error) from error
    return module
