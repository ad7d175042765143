"""The reference of all settings, from what declares them: `docs/operations/configure.md`.

python -m deploy.settings_reference      writes it; a test holds it against the source
"""

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, Final

from pydantic_core import PydanticUndefined

from sharezync_shared.settings import Settings

ROOT: Final = Path(__file__).parents[1]
PAGE: Final = ROOT / "docs" / "operations" / "configure.md"
BEGIN, END = "<!-- settings -->", "<!-- end of settings -->"

SOURCES: Final = {
    "Every process": ("shared/src/sharezync_shared/settings.py", "Settings"),
    **{
        name: (f"services/{name}/src/sharezync_{name}/settings.py", f"{name.title()}Settings")
        for name in ("gateway", "auth", "chat", "transfer", "storage")
    },
}
_SECTION: Final = re.compile(r"#\s*-{3,}\s*(.*?)\s*-*$")
_UNITS: Final = ("seconds", "minutes", "hours", "days", "bytes")


@dataclass(frozen=True, slots=True)
class Setting:
    """One variable, as its field and the comment at it declare it."""

    variable: str
    default: str
    meaning: str


def settings_of(source: str, name: str) -> list[Setting]:
    """Return the settings of a class, in the order of its source (relative to the repository).

    A comment holds for all that follow it without a line between them.
    """
    text = (ROOT / source).read_text()
    module = import_module(source.split("src/")[1].removesuffix(".py").replace("/", "."))
    settings: type[Settings] = getattr(module, name)
    lines = text.splitlines()
    classes = [node for node in ast.parse(text).body if isinstance(node, ast.ClassDef)]
    (declared,) = (node for node in classes if node.name == name)
    found: list[Setting] = []
    line_after = 0
    for node in declared.body:
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            meaning = " ".join(_comments(lines, node))
            if not meaning and node.lineno == line_after:  # one comment for several
                meaning = f"As {found[-1].variable}" if found else ""
            field = settings.model_fields[node.target.id]
            found.append(Setting(node.target.id.upper(), _default(field.default), meaning))
            line_after = (node.end_lineno or 0) + 1
    return found


def _comments(lines: list[str], node: ast.AnnAssign) -> Iterator[str]:
    """Yield the comment above a field, then the one behind it."""
    above: list[str] = []
    for line in reversed(lines[: node.lineno - 1]):
        stripped = line.strip()
        if not stripped.startswith("#") or _SECTION.fullmatch(stripped):
            break
        above.append(stripped.removeprefix("#").strip())
    yield from reversed(above)
    behind = lines[(node.end_lineno or 0) - 1][node.end_col_offset :].strip()
    if behind.startswith("#"):
        yield behind.removeprefix("#").strip()


def _default(value: Any) -> str:  # noqa: ANN401 - of any field
    if value is None or value is PydanticUndefined:
        return "–"
    if value in ((), ""):
        return "none"
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if isinstance(value, int) and value >= 2**20 and value % 2**20 == 0:
        gib = value % 2**30 == 0
        return f"{value // 2**30} GiB" if gib else f"{value // 2**20} MiB"
    return f"`{value}`"


def _unit(variable: str) -> str:
    words = variable.lower().split("_")
    return next((unit for unit in _UNITS if unit in words), "")


def table() -> str:
    """Return all settings as Markdown."""
    parts = []
    for title, (source, name) in SOURCES.items():
        parts.append(f"## {title}\n\nFrom `{source}`.\n")
        parts.append("| variable | default | unit | |\n|---|---|---|---|")
        for each in settings_of(source, name):
            cells = (f"`{each.variable}`", each.default, _unit(each.variable), _cell(each.meaning))
            parts.append(f"| {' | '.join(cells)} |")
        parts.append("")
    return "\n".join(parts)


def _cell(text: str) -> str:
    text = text.replace("|", "\\|")
    return text[:1].upper() + text[1:]


def page() -> str:
    """Return the page as it should be: what is written by hand, and the tables."""
    text = PAGE.read_text()
    before, rest = text.split(BEGIN)
    return f"{before}{BEGIN}\n\n{table()}\n{END}{rest.split(END)[1]}"


if __name__ == "__main__":
    PAGE.write_text(page())
