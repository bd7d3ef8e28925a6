"""Config files that hold keys and that others than their owner may read."""

import stat
from pathlib import Path
from typing import Final

from botkit.config import Config

__all__ = ["exposed_key_files"]

_OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO


def exposed_key_files(config: Config) -> list[str]:
    """Return a sentence for each file with a key written down in it that others may open."""
    told: list[str] = []
    for file in config.files:
        mode = stat.S_IMODE(Path(file.source).stat().st_mode)
        if file.holds_keys and mode & _OTHERS:
            told.append(
                f"{file.source}: holds keys, and its permissions {mode:04o} let others than its "
                f"owner open it: chmod 600 {file.source}"
            )
    return told
