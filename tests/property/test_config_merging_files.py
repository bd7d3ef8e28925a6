"""Any files merge as one plain fold over tables would, and every key knows its file."""

import copy
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from botkit.config import emit
from botkit.config.merging import Merged, read_files

KEYS = st.sampled_from(["a", "b", "c d", "x-y"])
VALUES = st.recursive(
    st.integers(0, 9) | st.lists(st.integers(0, 3), max_size=2),
    lambda inner: st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=6,
)
TABLES = st.dictionaries(KEYS, VALUES, max_size=4)
FILES = st.lists(TABLES, min_size=1, max_size=4)


def read(tables: list[dict[str, Any]]) -> tuple[Merged, list[str]]:
    with TemporaryDirectory() as folder:
        paths = [Path(folder) / f"{i}.toml" for i in range(len(tables))]
        for path, table in zip(paths, tables, strict=True):
            path.write_text(emit(table), encoding="utf-8")
        return read_files([str(path) for path in paths]), [str(path) for path in paths]


def fold(tables: list[dict[str, Any]]) -> dict[str, Any]:
    """Merge as the page says, in another way than the code: leaf by leaf of each file in turn."""
    result: dict[str, Any] = {}
    for table in tables:
        put(result, copy.deepcopy(table))
    return result


def put(into: dict[str, Any], table: dict[str, Any]) -> None:
    for key, value in table.items():
        both = isinstance(value, dict) and isinstance(into.get(key), dict)
        put(into[key], value) if both else into.update({key: value})


def leaves(table: dict[str, Any], trail: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    """Return the path of everything in a table that is no table with something in it."""
    found = []
    for key, value in table.items():
        is_inner = isinstance(value, dict) and value
        found += leaves(value, (*trail, key)) if is_inner else [(*trail, key)]
    return found


def has(table: Any, path: tuple[str, ...]) -> bool:
    for key in path:
        if not isinstance(table, dict) or key not in table:
            return False
        table = table[key]
    return True


@settings(max_examples=150)
@given(FILES)
def test_files_merge_as_a_fold_over_tables_does(tables: list[dict[str, Any]]) -> None:
    merged, _ = read(tables)

    assert merged.document == fold(tables)


@settings(max_examples=150)
@given(FILES)
def test_every_value_comes_from_the_last_file_that_has_it(tables: list[dict[str, Any]]) -> None:
    merged, paths = read(tables)

    for path in leaves(merged.document):
        value: Any = merged.document
        for key in path:
            value = value[key]
        file = merged.origins.file_of(".".join(path))
        last = max(i for i, table in enumerate(tables) if has(table, path))
        expected = paths[last] if len(tables) > 1 else merged.origins.main
        assert value == {} or file == expected
        told = f"{merged.origins.main}: {'.'.join(path)}: odd"
        assert value == {} or merged.origins.located(told) == f"{file}: {'.'.join(path)}: odd"
