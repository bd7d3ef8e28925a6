"""docs/paper.md names a test for each rule of the fill model: each has to be there."""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "paper.md").read_text("utf-8")
FILES = re.findall(r"`(tests/\S+\.py)`", PAGE)
TESTS = "\n".join((ROOT / name).read_text("utf-8") for name in FILES)


def test_every_rule_names_a_test_that_is_there() -> None:
    rows = [row for row in PAGE.splitlines() if row.startswith("| ") and "---" not in row]
    rules = [row for row in rows if row != "| rule | test |"]

    assert len(rules) > 40
    for rule in rules:
        name = rule.rstrip(" |").rpartition("| ")[2].strip("`")
        assert re.search(rf"^(async )?def {name}\(", TESTS, re.MULTILINE), rule


def test_no_rule_names_the_test_of_another() -> None:
    names = re.findall(r"\| `(test_\w+)` \|$", PAGE, re.MULTILINE)

    assert len(names) == len(set(names))
