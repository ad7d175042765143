"""What a command prints: columns for people, JSON for programs."""

import sys
from collections.abc import Mapping, Sequence

import msgspec


def print_rows(rows: Sequence[Mapping[str, str]], *, as_json: bool) -> None:
    """Print rows that have the same fields in the same order: a heading and a line each."""
    if as_json:
        sys.stdout.write(msgspec.json.encode(rows).decode() + "\n")
        return
    if not rows:
        sys.stdout.write("(none)\n")
        return
    lines = [list(rows[0]), *(list(row.values()) for row in rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for line in lines:
        padded = (cell.ljust(width) for cell, width in zip(line, widths, strict=True))
        sys.stdout.write("  ".join(padded).rstrip() + "\n")
