"""One statement made of parts that several modules give: one trip instead of one for each.

Each part is a named `WITH` query with arguments of its own, so that whoever owns a table keeps
its SQL. All parts of a statement see one moment of the database, none sees what another writes,
and all are carried out or none.
"""

import re
from functools import lru_cache
from typing import Any, Final

_PLACEHOLDER: Final = re.compile(r"\$(\d+)")


class Compound:
    """`WITH <parts> <ending>`, put together part by part."""

    def __init__(self) -> None:
        self._parts: list[str] = []
        self.arguments: list[Any] = []
        """What goes with `text`, in its order."""

    def add(self, part: str, *arguments: object) -> None:
        """Add `name AS (...)`, in which `$1` is the first of these arguments.

        Parts before this one may be read by their names.
        """
        self._parts.append(_renumbered(part, len(self.arguments)))
        self.arguments += arguments

    def text(self, ending: str) -> str:
        """Return the whole statement. The same parts give the same text, which is prepared once."""
        return f"WITH {', '.join(self._parts)} {ending}"


@lru_cache(maxsize=256)
def _renumbered(part: str, by: int) -> str:
    return _PLACEHOLDER.sub(lambda found: f"${int(found[1]) + by}", part)
