"""docs/venues/README.md has every message of the pages we started from, and code behind each."""

import importlib
import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = ROOT / "docs" / "venues"
SEEDS = ROOT.parent / "shared" / "seeds"
COMMITTED = json.loads((PAGES / "seed_pages.json").read_text())
CODE = re.compile(r"`([a-z_]+(?:\.[A-Za-z_]+)*)`")


def rows(venue: str) -> dict[str, list[str]]:
    """Return the table of a venue: by message, its cells."""
    text = (PAGES / "README.md").read_text()
    _, _, section = text.partition(f"\n### {venue}\n")
    section = section.partition("\n### ")[0]
    found: dict[str, list[str]] = {}
    for line in section.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if line.startswith("|") and len(cells) == 4 and cells[0] not in ("message", "---"):
            found[cells[0]] = cells[1:]
    return found


def references(venue: str) -> Iterator[tuple[str, str]]:
    for message, cells in rows(venue).items():
        for cell in cells:
            for name in CODE.findall(cell):
                yield message, name


@pytest.mark.parametrize("venue", COMMITTED)
def test_every_message_of_the_page_has_a_row(venue: str) -> None:
    assert sorted(rows(venue)) == sorted(COMMITTED[venue]["messages"])


@pytest.mark.parametrize("venue", COMMITTED)
def test_every_row_names_code_that_is_there(venue: str) -> None:
    missing = [
        f"{message}: {name}" for message, name in references(venue) if not exists(venue, name)
    ]
    assert missing == []


@pytest.mark.parametrize("venue", COMMITTED)
def test_a_cell_without_code_says_why(venue: str) -> None:
    silent = [
        message
        for message, cells in rows(venue).items()
        for cell in cells
        if not CODE.search(cell) and len(cell) < len("never sent by us")
    ]
    assert silent == []


def exists(venue: str, name: str) -> bool:
    """Tell whether `module` or `module.attribute...` is in the venue's folder."""
    module, _, attribute = name.partition(".")
    try:
        found: object = importlib.import_module(f"venues.{venue}.{module}")
        for part in attribute.split(".") if attribute else ():
            found = getattr(found, part)
    except (ImportError, AttributeError):
        return False
    return True


@pytest.mark.skipif(not SEEDS.is_dir(), reason="the pages we started from are not beside us")
@pytest.mark.parametrize("venue", COMMITTED)
def test_the_committed_list_is_what_the_page_has(venue: str) -> None:
    text = (SEEDS / f"{venue}.md").read_text()
    headings = [
        re.sub("^#+ ", "", line).strip() for line in text.splitlines() if re.match("#{1,4} ", line)
    ]
    assert COMMITTED[venue]["headings"] == headings
    for message, needle in COMMITTED[venue]["messages"].items():
        assert needle in text, message
