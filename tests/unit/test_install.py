"""A base install stays small: what botkit needs, not what its tests need."""

from importlib.metadata import Distribution, distribution
from pathlib import Path

from packaging.markers import default_environment
from packaging.requirements import Requirement

PACKAGES_MAX = 25
BYTES_MAX = 120_000_000


def needed(name: str, found: dict[str, Distribution]) -> dict[str, Distribution]:
    """Return `name` and everything it requires without extras, by normalised name."""
    key = name.lower().replace("_", "-").replace(".", "-")
    if key in found:
        return found
    dist = found[key] = distribution(name)
    environment: dict[str, str] = {**default_environment(), "extra": ""}  # type: ignore[dict-item]  # all are text
    for line in dist.requires or ():
        requirement = Requirement(line)
        if requirement.marker is None or requirement.marker.evaluate(environment):
            needed(requirement.name, found)
    return found


def places(dist: Distribution) -> list[Path]:
    """Return where the files of `dist` lie."""
    return [Path(str(dist.locate_file(file))) for file in dist.files or ()]


def size(path: Path) -> int:
    """Return the bytes of a file; 0 for one that is listed and not there."""
    return path.stat().st_size if path.exists() else 0


def test_the_base_install_is_under_120_mb_and_25_packages() -> None:
    found = needed("botkit", {})
    assert len(found) <= PACKAGES_MAX, sorted(found)
    sizes = {name: sum(map(size, places(dist))) for name, dist in found.items()}
    assert sum(sizes.values()) < BYTES_MAX, sizes
