"""Text that must not be seen: secret fields, and what came from the environment."""

import hmac
import re
from collections.abc import Iterable, Mapping
from typing import Any, Final, NoReturn, Self

__all__ = ["MASK", "EnvironmentText", "Secret", "masked", "redacted", "secrets_in"]

MASK: Final = "***"
_SECRET_KEY: Final = re.compile(
    r"(?:.*_)?(?:secret|password|passphrase|token|api_?key|private_?key)"
)
_SHORTEST: Final = 4  # shorter values occur by chance in any text


class Secret:
    """A text that shows itself as `***` and refuses to be pickled; `reveal` returns it.

    It is no `str`, so that JSON encoders, joins and concatenations refuse it too.
    """

    __slots__ = ("__value",)

    def __init__(self, value: str) -> None:
        self.__value = str(value)

    def reveal(self) -> str:
        """Return the text: at the place that signs or sends it, and nowhere else."""
        return self.__value

    def __repr__(self) -> str:
        return f"Secret({MASK!r})"

    def __str__(self) -> str:
        return MASK

    def __format__(self, format_spec: str) -> str:
        return format(MASK, format_spec)

    def __bool__(self) -> bool:
        return bool(self.__value)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret):
            return NotImplemented
        return hmac.compare_digest(self.__value.encode(), other.reveal().encode())

    def __hash__(self) -> int:
        return hash(self.__value)

    def __deepcopy__(self, memo: object) -> Self:
        return self

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        raise TypeError("a Secret is not written anywhere; pass the name of its variable instead")


class EnvironmentText(str):
    """A config's text after `${NAME}` was filled in; its `repr` shows `***` for what was.

    Parameters
    ----------
    value
        The text with the values in it.
    masked
        The same text with `***` in their place.
    secrets
        The values themselves.
    """

    __slots__ = ("masked", "secrets")
    masked: str
    secrets: tuple[str, ...]

    def __new__(cls, value: str, masked: str, secrets: Iterable[str]) -> Self:
        """Make the text; a `str` takes its value here."""
        text = super().__new__(cls, value)
        text.masked = masked
        text.secrets = tuple(secrets)
        return text

    def __repr__(self) -> str:
        return repr(self.masked)

    def __deepcopy__(self, memo: object) -> Self:
        return self

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        raise TypeError("text from the environment is not written anywhere")


def secrets_in(value: Any, key: Any = "") -> set[str]:
    """Return every secret in a nest of mappings and lists.

    These are the values from the environment, and text under a key that is named like a secret
    (`api_key`, `secret`, `password` and so on), in case someone wrote it into the file.
    """
    if isinstance(value, EnvironmentText):
        return set(value.secrets)
    if isinstance(value, str):
        return {value} if _is_secret_key(key) else set()
    if isinstance(value, Mapping):
        return set[str]().union(*(secrets_in(inner, name) for name, inner in value.items()))
    if isinstance(value, list | tuple):
        return set[str]().union(*(secrets_in(inner, key) for inner in value))
    return set()


def masked(value: Any, secrets: Iterable[str] = (), key: Any = "") -> Any:
    """Return a nest of mappings and lists with `***` for everything `secrets_in` finds in it.

    `secrets` are replaced wherever they occur in text.
    """
    if isinstance(value, EnvironmentText):
        return redacted(value.masked, secrets)
    if isinstance(value, str):
        return MASK if _is_secret_key(key) else redacted(value, secrets)
    if isinstance(value, Secret):
        return MASK
    if isinstance(value, Mapping):
        return {name: masked(inner, secrets, name) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [masked(inner, secrets, key) for inner in value]
    return value


def _is_secret_key(key: Any) -> bool:
    return isinstance(key, str) and _SECRET_KEY.fullmatch(key) is not None


def redacted(text: str, secrets: Iterable[str]) -> str:
    """Return `text` with `***` for every secret of four characters or more, longest first."""
    for secret in sorted(secrets, key=len, reverse=True):
        if len(secret) >= _SHORTEST:
            text = text.replace(secret, MASK)
    return text
