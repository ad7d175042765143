"""Run the fault matrix, print each row as it comes, and write the table.

`make chaos` runs it over processes, and over docker compose where an engine answers.
"""

import argparse
import asyncio
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tests.chaos.compose import compose
from tests.chaos.faults import Fault, Ground
from tests.chaos.matrix import Row, people_for, try_fault
from tests.chaos.processes import processes
from tests.chaos.table import line_of, table_of


def parsed(arguments: Sequence[str]) -> argparse.Namespace:
    """Return what was asked for."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("ground", choices=("processes", "compose"))
    parser.add_argument("--victims", nargs="*", help="these parts alone; all otherwise")
    parser.add_argument("--faults", nargs="*", type=Fault, default=list(Fault))
    parser.add_argument("--write", type=Path, help="the document whose table is replaced")
    return parser.parse_args(arguments)


async def run(ground: Ground, victims: Sequence[str], faults: Sequence[Fault]) -> list[Row]:
    """Try each of these faults on each of these parts, one after the other."""
    people = await people_for(ground)
    rows = []
    for victim in victims or ground.victims:
        for fault in faults:
            row = await try_fault(ground, people, victim, fault)
            sys.stdout.write(line_of(row) + "\n")
            for broken in row.faults:
                sys.stdout.write(f"    {broken}\n")
            sys.stdout.flush()
            rows.append(row)
    for person in people:
        await person.aclose()
    return rows


def main(arguments: Sequence[str]) -> int:
    """Return 1 where a promise was broken."""
    asked = parsed(arguments)
    with tempfile.TemporaryDirectory(prefix="sharezync-chaos-") as folder:
        Path(folder).chmod(0o711)  # PostgreSQL's account must get through
        made = processes(Path(folder)) if asked.ground == "processes" else compose()
        with made as ground:
            rows = asyncio.run(run(ground, asked.victims, asked.faults))
    if asked.write:
        table_of(rows, asked.ground, asked.write)
    return int(any(row.faults for row in rows))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
