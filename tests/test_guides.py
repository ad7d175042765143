"""What the guides for contributors name is there."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
GUIDES = [ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs" / "how-to").glob("*.md"))]
PAGES = [*GUIDES, ROOT / "README.md", ROOT / "docs" / "architecture.md"]
IN_FOLDERS = re.compile(
    r"`((?:services|shared|embedded|clients|deploy|tests|docs|examples)/[^` :]+)"
)
NO_PATH = re.compile(r"notes|[*<]")
"""The service that a guide adds, and what stands for several paths."""


@pytest.mark.parametrize("guide", PAGES, ids=lambda guide: str(guide.relative_to(ROOT)))
def test_links_and_paths_lead_somewhere(guide: Path) -> None:
    text = guide.read_text()
    links = {guide.parent / each for each in re.findall(r"\]\(([^)#:]+)\)", text)}
    paths = {ROOT / each for each in IN_FOLDERS.findall(text) if not NO_PATH.search(each)}
    assert [str(path) for path in links | paths if not path.exists()] == []


@pytest.mark.parametrize("guide", PAGES, ids=lambda guide: str(guide.relative_to(ROOT)))
def test_the_tests_that_it_names_exist(guide: Path) -> None:
    named = set(re.findall(r"`(test_\w+(?:\.py)?)`", guide.read_text()))
    known: set[str] = set()
    for top in ("services", "shared", "tests"):
        for path in (ROOT / top).rglob("test_*.py"):
            known |= {path.name, *re.findall(r"def (test_\w+)", path.read_text())}
    assert named <= known


def test_the_index_has_every_guide() -> None:
    index = (ROOT / "docs" / "how-to" / "README.md").read_text()
    assert [guide.name for guide in GUIDES[1:] if f"]({guide.name})" not in index] == ["README.md"]
