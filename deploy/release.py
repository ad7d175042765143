"""What a release is: one version in all places, and what the changelog says of it.

python deploy/release.py check v0.1.0    exit status 1 where something says otherwise
python deploy/release.py notes v0.1.0    the section of the changelog
"""

import re
import sys
import tomllib
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[1]
MEMBERS: Final = ("shared", "embedded", "clients/python", "testkit", *(
    f"services/{name}" for name in ("auth", "chat", "transfer", "storage", "gateway")
))  # fmt: skip
_SECTION: Final = re.compile(r"^## (\S+)(?: \((\d{4}-\d{2}-\d{2})\))?$", re.MULTILINE)


def versions() -> dict[str, str]:
    """Return the version of each package, by its folder."""
    return {
        member: tomllib.loads((ROOT / member / "pyproject.toml").read_text())["project"]["version"]
        for member in MEMBERS
    }


def section_of(version: str, changelog: str) -> str | None:
    """Return what the changelog says of a version; None where it doesn't, or without a date."""
    sections = list(_SECTION.finditer(changelog))
    for found, following in zip(sections, [*sections[1:], None], strict=True):
        if found[1] == version and found[2]:
            return changelog[found.end() : following.start() if following else None].strip()
    return None


def faults(tag: str) -> list[str]:
    """Return what keeps this tag from being a release, a sentence each."""
    version = tag.removeprefix("v")
    wrong = [
        f"{member}/pyproject.toml says {given}, and the tag {tag}"
        for member, given in versions().items()
        if given != version
    ]
    if section_of(version, (ROOT / "CHANGELOG.md").read_text()) is None:
        wrong.append(f"CHANGELOG.md has no section `## {version} (YYYY-MM-DD)`")
    return wrong


def main(arguments: list[str]) -> int:
    match arguments:
        case ["check", tag]:
            wrong = faults(tag)
            print("\n".join(wrong) or f"{tag} is in order")
            return 1 if wrong else 0
        case ["notes", tag]:
            print(section_of(tag.removeprefix("v"), (ROOT / "CHANGELOG.md").read_text()) or "")
            return 0
    print(__doc__, file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
