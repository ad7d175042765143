"""The documentation as one site: every page of the repository, with what it links to.

python deploy/docs_site.py      writes build/docs and build/mkdocs.yml; `make docs` goes on
"""

import re
import shutil
import subprocess
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[1]
BUILD: Final = ROOT / "build"
PAGES: Final = BUILD / "docs"
FOLDERS: Final = {
    "RUNBOOKS": "docs/operations/runbooks",
    "HOW-TO": "docs/how-to",
    "DECISIONS": "docs/decisions",
}
"""Entries of `mkdocs.yml` that stand for all pages of a folder, its README first."""
_LINK: Final = re.compile(r"\]\(([^)\s#]+)(?:#[^)\s]*)?\)")
_ENTRY: Final = re.compile(rf"^(\s+- [^:]+: )({'|'.join(FOLDERS)})$", re.MULTILINE)


def pages() -> list[Path]:
    """Return all pages, relative to the repository."""
    listed = subprocess.run(
        ["git", "ls-files", "*.md"],  # noqa: S607 - whichever git is there
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return [Path(line) for line in listed.stdout.splitlines() if not line.startswith(".github/")]


def linked_files(page: Path) -> set[Path]:
    """Return the files of the repository that a page links to and that are no pages themselves."""
    targets = {
        (ROOT / page.parent / link).resolve()
        for link in _LINK.findall((ROOT / page).read_text())
        if "://" not in link
    }
    return {
        target.relative_to(ROOT)
        for target in targets
        if target.is_file() and target.is_relative_to(ROOT) and target.suffix != ".md"
    }


def dead_links(page: Path) -> list[str]:
    """Return the links of a page that lead to nothing in the repository, folders included."""
    return [
        f"{page}: {link}"
        for link in _LINK.findall((ROOT / page).read_text())
        if "://" not in link
        and not link.startswith("mailto:")
        and not (ROOT / page.parent / link).exists()
    ]


def navigation(text: str) -> str:
    """Return `mkdocs.yml` with the entries of folders in the place of what stands for them."""

    def entries(match: re.Match[str]) -> str:
        folder = FOLDERS[match[2]]
        names = sorted(page for page in pages() if page.parent == Path(folder))
        names.sort(key=lambda page: page.name != "README.md")
        indent = " " * (len(match[1]) - len(match[1].lstrip()) + 4)
        lines = [f"{indent}- {page.as_posix()}" for page in names]
        return "\n".join([match[1].rstrip(), *lines])

    return _ENTRY.sub(entries, text)


def main() -> None:
    shutil.rmtree(PAGES, ignore_errors=True)
    found = pages()
    if dead := [link for page in found for link in dead_links(page)]:
        raise SystemExit("links that lead nowhere: " + ", ".join(dead))
    for path in {*found, *(file for page in found for file in linked_files(page))}:
        target = PAGES / path
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / path, target)
    settings = navigation((ROOT / "mkdocs.yml").read_text())
    # Its paths are relative to itself.
    settings = settings.replace("build/docs", "docs").replace("build/site", "site")
    (BUILD / "mkdocs.yml").write_text(settings)


if __name__ == "__main__":
    main()
