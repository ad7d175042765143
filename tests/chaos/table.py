"""The matrix as a table of a document, between two marks for each ground."""

from collections.abc import Sequence
from pathlib import Path

from tests.chaos.matrix import Row

_HEAD = (
    "| part | fault | messages acknowledged, of these meanwhile | longest without (s) "
    "| files kept, longest without (s) | transfers | longest delivery (s) | all back (s) "
    "| verdict |\n"
    "|---|---|---|---|---|---|---|---|---|\n"
)


def line_of(row: Row) -> str:
    """Return a row as the table has it."""
    back = f"{row.back:.1f}" if row.back is not None else "not"
    verdict = "whole" if not row.faults else f"**broken**: {row.faults[0]}"
    return (
        f"| {row.victim} | {row.fault} | {row.messages:,}, {row.meanwhile:,} | {row.silence:.1f} "
        f"| {row.files}, {row.file_silence:.1f} | {row.transfers} | {row.delivery:.1f} "
        f"| {back} | {' '.join(verdict.split())} |"
    )


def table_of(rows: Sequence[Row], ground: str, document: Path) -> None:
    """Put the table in its place in the document."""
    begin, end = f"<!-- {ground} -->\n", f"<!-- end of {ground} -->"
    before, _, rest = document.read_text().partition(begin)
    _, _, after = rest.partition(end)
    total = sum(row.messages for row in rows)
    sums = (
        f"\n{len(rows)} faults; {total:,} messages, {sum(row.files for row in rows):,} files and "
        f"{sum(row.transfers for row in rows):,} transfers acknowledged; "
        f"{sum(bool(row.faults) for row in rows)} cases with a broken promise.\n"
    )
    table = _HEAD + "".join(f"{line_of(row)}\n" for row in rows) + sums
    document.write_text(before + begin + table + end + after)
