"""Refuse a commit that holds broken TOML, a large file, a private key or stray white space."""

import sys
import tomllib
from pathlib import Path

LARGEST_BYTES = 200_000
KEY_MARK = "PRIVATE " + "KEY-----"
TEXT = {".py", ".toml", ".md", ".yaml", ".txt", ".cfg", ""}


def problems_of(path: Path) -> list[str]:
    """Return what is wrong with one file, a sentence each."""
    if path.stat().st_size > LARGEST_BYTES:
        return [f"{path}: {path.stat().st_size} bytes, at most {LARGEST_BYTES} are committed"]
    if path.suffix not in TEXT:
        return []
    text = path.read_text(encoding="utf-8")
    found = [f"{path}: holds a private key"] if KEY_MARK in text else []
    if path.suffix == ".toml":
        try:
            tomllib.loads(text)
        except tomllib.TOMLDecodeError as exc:
            found.append(f"{path}: {exc}")
    found += [
        f"{path}:{number}: white space at the end of the line"
        for number, line in enumerate(text.splitlines(), 1)
        if line != line.rstrip()
    ]
    if text and not text.endswith("\n"):
        found.append(f"{path}: no newline at the end")
    return found


if __name__ == "__main__":
    found = [problem for name in sys.argv[1:] for problem in problems_of(Path(name))]
    sys.stderr.write("".join(f"{problem}\n" for problem in found))
    sys.exit(1 if found else 0)
