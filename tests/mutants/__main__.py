"""`make mutants`: plant the listed faults, one at a time, and see whether tests notice them.

`make mutants ARGS="chat/ storage/quota"` plants those whose names begin so.
"""

import argparse
import os
import queue
import sys
import tempfile
import threading
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

from tests.mutants.listed import Mutant, load
from tests.mutants.planting import Copy, Outcome, try_out

LEAST_SHARE: Final = 0.95
_BASELINE_SECONDS: Final = 1800


def main(arguments: Sequence[str]) -> int:
    """Return 0 where enough was noticed, and everything could be planted."""
    parser = argparse.ArgumentParser(prog="make mutants", description=__doc__)
    parser.add_argument("names", nargs="*", help="beginnings of names; without any all mutants")
    parser.add_argument("--workers", type=int, default=2, help="how many are tried at once")
    parser.add_argument("--list", action="store_true", help="only print what there is")
    parser.add_argument("--no-baseline", action="store_true", help="believe that the tests pass")
    parser.add_argument("--table", type=Path, help="write the outcome here, as Markdown")
    given = parser.parse_args(arguments)
    mutants = [m for m in load() if not given.names or m.name.startswith(tuple(given.names))]
    if given.list:
        for mutant in mutants:
            print(f"{mutant.name:48} {mutant.promise}")
        return 0
    with tempfile.TemporaryDirectory(prefix="mutants-") as folder:
        copies = [_copy(Path(folder) / str(number)) for number in range(given.workers)]
        if not given.no_baseline and not _passes(copies[0], mutants):
            return 1
        outcomes = _try_all(copies, mutants)
    if given.table:
        given.table.write_text(_table(mutants, outcomes))
    return _score(outcomes)


def _copy(folder: Path) -> Copy:
    folder.mkdir()
    return Copy(folder)


def _passes(copy: Copy, mutants: Sequence[Mutant]) -> bool:
    """Whether all tests pass without any fault: else one that fails would say nothing."""
    targets = sorted({target for mutant in mutants for target in mutant.noticed_by})
    print(f"{len(mutants)} mutants; first their tests as they are …", flush=True)
    status, printed = copy.test(targets, seconds=_BASELINE_SECONDS)
    if status != 0:
        print(printed[-10_000:], "\nThese tests fail without any fault.", sep="")
    return status == 0


def _try_all(copies: Sequence[Copy], mutants: Sequence[Mutant]) -> list[Outcome]:
    free: queue.SimpleQueue[Copy] = queue.SimpleQueue()
    for copy in copies:
        free.put(copy)
    printing = threading.Lock()

    def one(mutant: Mutant) -> Outcome:
        copy = free.get()
        try:
            outcome = try_out(copy, mutant)
        finally:
            free.put(copy)
        with printing:
            _print(outcome)
        return outcome

    with ThreadPoolExecutor(len(copies)) as pool:
        return list(pool.map(one, mutants))


def _print(outcome: Outcome) -> None:
    test = outcome.noticed_by.rpartition("/")[2]
    print(
        f"{outcome.verdict:9} {outcome.seconds:5.1f} s  {outcome.mutant:44} "
        f"{test}  {outcome.said[:100]}",
        flush=True,
    )
    if outcome.verdict == "BROKEN":
        print(outcome.output[-3000:], flush=True)


def _score(outcomes: Sequence[Outcome]) -> int:
    counts = Counter(outcome.verdict for outcome in outcomes)
    noticed = counts["noticed"] + counts["late"]
    share = noticed / max(1, noticed + counts["SURVIVED"])
    print(
        f"\n{noticed} of {noticed + counts['SURVIVED']} were noticed: {share:.1%}, of which "
        f"{counts['late']} by a timeout alone; {counts['BROKEN']} could not be tried."
    )
    return 0 if share >= LEAST_SHARE and not counts["BROKEN"] else 1


def _table(mutants: Sequence[Mutant], outcomes: Sequence[Outcome]) -> str:
    lines = ["| fault | what it breaks | outcome | seconds | noticed by |", "|---|---|---|---|---|"]
    lines += [
        f"| {mutant.name} | {mutant.promise} | {each.verdict} | {each.seconds:.0f} "
        f"| {each.noticed_by.rpartition('/')[2].replace('|', '/')} |"
        for mutant, each in zip(mutants, outcomes, strict=True)
    ]
    return "\n".join(lines) + os.linesep


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
