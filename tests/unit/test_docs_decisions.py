"""docs/decisions/0009 lists every silenced check; the index lists every page."""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
DECISIONS = ROOT / "docs" / "decisions"
SILENCED = (DECISIONS / "0009-silenced-checks.md").read_text("utf-8")
IGNORE = re.compile(r"#\s*(?:noqa: |type: ignore\[)([A-Za-z0-9-]+)")
CODE = ("botkit", "venues", "risk", "strategies", "benchmarks", "run.py", ".ci")


def ignores(*places: str) -> set[tuple[str, str]]:
    """Return (file, rule) for each comment that silences a check."""
    files = [file for place in places for file in [ROOT / place, *(ROOT / place).rglob("*.py")]]
    return {
        (file.relative_to(ROOT).as_posix(), rule)
        for file in files
        if file.suffix == ".py" and file.is_file()
        for rule in IGNORE.findall(file.read_text("utf-8"))
    }


def test_every_silenced_check_of_the_code_is_listed_and_no_other() -> None:
    listed = re.findall(r"^\| `(\S+\.py)` `([\w-]+)` \| \S", SILENCED, re.MULTILINE)

    assert sorted(listed) == sorted(ignores(*CODE))


def test_every_rule_that_tests_silence_is_listed() -> None:
    _, _, by_rule = SILENCED.partition("In tests, by rule:")
    listed = set(re.findall(r"`([\w-]+)`", by_rule))

    assert {rule for _, rule in ignores("tests")} <= listed


def test_nothing_is_left_out_of_coverage_but_what_cannot_run() -> None:
    project = (ROOT / "pyproject.toml").read_text("utf-8")
    code = [file for place in CODE[:-2] for file in (ROOT / place).rglob("*.py")]

    assert not re.search(r"^omit\b", project, re.MULTILINE)
    assert not [file for file in code if re.search("pragma: no", file.read_text("utf-8"))]


def test_the_index_lists_every_page() -> None:
    listed = re.findall(r"\((\d{4}-\S+\.md)\)", (DECISIONS / "README.md").read_text("utf-8"))

    assert listed == sorted(page.name for page in DECISIONS.glob("0*.md"))


def test_every_page_says_context_choice_and_price() -> None:
    for page in DECISIONS.glob("0*.md"):
        text = page.read_text("utf-8")
        marks = [text.find(f"**{mark}.**") for mark in ("Context", "Choice", "Price paid")]
        assert -1 < marks[0] < marks[1] < marks[2], page.name
