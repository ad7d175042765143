"""The list of faults that `make mutants` plants, and what planting one means.

One TOML file for each part of the product. `source` and `tests` are folders of the repository, to
which `file` and `noticed_by` are relative. `before` stands in the file exactly once.
"""

import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]


class NotApplicable(Exception):
    """A mutant of the list that can't be planted as it is written: mend the list."""


@dataclass(frozen=True, slots=True)
class Mutant:
    """One fault: `before` becomes `after` in `file`, and one of `noticed_by` must fail."""

    name: str
    """With the part of the product before it: `chat/post-into-archived`."""
    promise: str
    file: str
    before: str
    after: str
    noticed_by: tuple[str, ...]

    def planted(self, text: str) -> str:
        """Return the file's text with the fault in it. Raises NotApplicable."""
        found = text.count(self.before)
        if found != 1:
            raise NotApplicable(f"{self.name}: `before` is {found} times in {self.file}")
        return text.replace(self.before, self.after)


def load() -> list[Mutant]:
    """Return the whole list."""
    parts = sorted(Path(__file__).parent.glob("*.toml"))
    return [mutant for part in parts for mutant in _in(part)]


def _in(path: Path) -> list[Mutant]:
    part = tomllib.loads(path.read_text())
    return [
        Mutant(
            name=f"{path.stem}/{given['name']}",
            promise=given["promise"],
            file=_below(part["source"], given["file"]),
            before=given["before"],
            after=given["after"],
            noticed_by=tuple(_below(part["tests"], test) for test in given["noticed_by"]),
        )
        for given in part["mutants"]
    ]


def _below(folder: str, name: str) -> str:
    """Return a name relative to the repository; what is behind `::` stays as it is."""
    path, *test = name.split("::", 1)
    return "::".join([str((ROOT / folder / path).resolve().relative_to(ROOT)), *test])
