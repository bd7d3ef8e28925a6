"""Packages that only some configs need."""

from importlib import import_module
from typing import Any

from botkit.errors import ConfigError

__all__ = ["import_extra"]


def import_extra(module: str, *, extra: str, source: str) -> Any:
    """Return a module of an optional package; `source` is the file and section that need it.

    Raises
    ------
    ConfigError
        It is not installed; the message says by which command it would be.
    """
    try:
        return import_module(module)
    except ImportError as exc:
        package = module.partition(".")[0].replace("_", "-")
        raise ConfigError(
            f"{source}: needs {package}, which is not installed; pip install 'botkit[{extra}]', "
            f"or leave [{extra}] out"
        ) from exc
