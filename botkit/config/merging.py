"""Several config files read as one: tables merge, everything else of a later file replaces."""

import re
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import attrs

from botkit.config.describing import found
from botkit.config.secrets import Secret, secrets_in
from botkit.config.watching import concealed
from botkit.errors import ConfigError

__all__ = ["ConfigFile", "Merged", "Origins", "read_files", "refuse_depth"]

_DEEPEST: Final = 50
_MOST_FILES: Final = 100
_INDEX: Final = re.compile(r"\[(\d+)\]")
_KEY_END: Final = re.compile(r"[.:\s]|$")


@attrs.frozen(kw_only=True)
class ConfigFile:
    """One file that was read.

    Parameters
    ----------
    source
        Its path as it was given, for messages.
    holds_keys
        Whether a secret is written down in it, rather than taken from the environment.
    """

    source: str
    holds_keys: bool


@attrs.frozen(kw_only=True)
class Origins:
    """Which file each key of a config came from.

    `main` is the first file, which messages about the whole name.
    """

    main: str = ""
    _by_key: Mapping[str, str] = attrs.field(factory=dict, repr=False)

    def file_of(self, key: str) -> str:
        """Return the file that has `key`, or else the table it would be in; the main file last."""
        while key:
            if key in self._by_key:
                return self._by_key[key]
            key = key.rpartition(".")[0]
        return self.main

    def located(self, problem: str) -> str:
        """Return a sentence "main file: key: what is wrong" with the file that has the key."""
        prefix = f"{self.main}: "
        if not self._by_key or not problem.startswith(prefix):
            return problem
        told = problem.removeprefix(prefix)
        plain = _INDEX.sub(r".\1", told).replace('"', "")
        known = [key for key in self._by_key if _begins(plain, key)]
        file = self._by_key[max(known, key=len)] if known else self.main
        return f"{file}: {told}"


def _begins(text: str, key: str) -> bool:
    return text.startswith(key) and _KEY_END.match(text, len(key)) is not None


@attrs.frozen(kw_only=True)
class Merged:
    """What several files say together, the files in the order in which they were read."""

    document: dict[str, Any]
    files: tuple[ConfigFile, ...]
    origins: Origins


def read_files(sources: Sequence[str]) -> Merged:
    """Return what the TOML files say together.

    A later file overrides an earlier one: tables merge key by key, anything else, arrays too, is
    replaced. The files that `include = [...]` names, relative to the file it stands in, are read
    right after that file, as if they had been given there.

    Raises
    ------
    ConfigError
        A file cannot be read, is no TOML, or includes itself.
    """
    reader = _FilesReader()
    for source in sources:
        reader.read(source, ())
    origins = Origins(main=sources[0], by_key=reader.by_key if len(reader.files) > 1 else {})
    return Merged(document=reader.document, files=tuple(reader.files), origins=origins)


@attrs.define
class _FilesReader:
    document: dict[str, Any] = attrs.field(factory=dict)
    files: list[ConfigFile] = attrs.field(factory=list)
    by_key: dict[str, str] = attrs.field(factory=dict)

    def read(self, source: str, chain: tuple[str, ...]) -> None:
        """Merge in one file and what it includes; `chain` are the files that led here."""
        if len(self.files) == _MOST_FILES:
            raise ConfigError(f"{source}: more than {_MOST_FILES} files, allowed: fewer")
        document = _parsed(source)
        refuse_depth(document, source)
        included = _included(document, source)
        self.files.append(ConfigFile(source=source, holds_keys=_holds_keys(document)))
        self._merge(self.document, document, "", source)
        chain = (*chain, source)
        for i, path in enumerate(included):
            _refuse_loop(path, chain, f"{source}: include.{i}")
            self.read(path, chain)

    def _merge(self, into: dict[str, Any], new: Mapping[str, Any], trail: str, source: str) -> None:
        for name, value in new.items():
            key = f"{trail}{name}"
            old = into.get(name)
            if isinstance(old, dict) and isinstance(value, dict):
                self._merge(old, value, f"{key}.", source)
                continue
            into[name] = value
            for replaced in [each for each in self.by_key if each.startswith(f"{key}.")]:
                del self.by_key[replaced]
            self._note(key, value, source)

    def _note(self, key: str, value: Any, source: str) -> None:
        self.by_key[key] = source
        if isinstance(value, dict):
            for name, inner in value.items():
                self._note(f"{key}.{name}", inner, source)


def _holds_keys(document: dict[str, Any]) -> bool:
    """Tell whether a secret, or the address of an alert, is written out in a document."""
    written = secrets_in(document)
    waiting = [concealed(document.get("alerts"), "urls")]
    while waiting:
        value = waiting.pop()
        if isinstance(value, Secret):
            written.add(value.reveal())
        elif isinstance(value, dict | list):
            waiting += _elements(value)
    return any(text and "${" not in text for text in written)


def _included(document: dict[str, Any], source: str) -> list[str]:
    """Take `include` out of a document; return the paths it names."""
    names = document.pop("include", [])
    allowed = 'allowed: an array of files such as ["private.toml"]'
    if not isinstance(names, list):
        raise ConfigError(f"{source}: include: found {found(names)}, {allowed}")
    wrong = [
        f"{source}: include.{i}: found {found(name)}, {allowed}"
        for i, name in enumerate(names)
        if not isinstance(name, str) or not name or "\0" in name
    ]
    if wrong:
        raise ConfigError(wrong)
    return [str(Path(source).parent / Path(name).expanduser()) for name in names]


def _refuse_loop(path: str, chain: tuple[str, ...], source: str) -> None:
    here = Path(path).resolve()
    if any(Path(each).resolve() == here for each in chain):
        way = ", which includes ".join([*chain, path])
        raise ConfigError(f"{source}: a loop: {way}; take one of these includes out")


def _parsed(source: str) -> dict[str, Any]:
    try:
        return tomllib.loads(Path(source).read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise ConfigError(f"{source}: cannot be read: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{source}: is not UTF-8 text: byte {error.start}") from error
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{source}: is not TOML: {error}") from error
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"{source}: is not TOML that can be read: {error}") from error


def refuse_depth(document: dict[str, Any], source: str) -> None:
    """Raise `ConfigError` if walking `document` recursively could exhaust the stack."""
    level: list[Any] = [document]
    for _ in range(_DEEPEST):  # by levels, since walking it recursively is the danger
        inner = [each for outer in level for each in _elements(outer)]
        level = [each for each in inner if isinstance(each, dict | list)]
    if level:
        raise ConfigError(
            f"{source}: tables and arrays nested deeper than {_DEEPEST}, allowed: less"
        )


def _elements(value: dict[str, Any] | list[Any]) -> Iterable[Any]:
    return value.values() if isinstance(value, dict) else value
