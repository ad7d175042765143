"""CPU time and memory of the processes under test, and what to call a number of measurements."""

import os
from collections.abc import Iterable, Sequence
from pathlib import Path

import psutil


class Servers:
    """Every process that serves: ours, their PostgreSQL and their RabbitMQ.

    Found by their process ids, and by working in or being told of the data folder: database and
    broker are nobody's children.
    """

    def __init__(self, data_dir: Path, pids: Iterable[int]) -> None:
        self._folder = str(data_dir.resolve())
        self._pids = set(pids)

    def processes(self) -> list[psutil.Process]:
        """Return those that run now."""
        found = {}
        for process in psutil.process_iter():
            try:
                if process.pid != os.getpid() and self._is_ours(process):
                    for each in (process, *process.children(recursive=True)):
                        found[each.pid] = each
            except psutil.Error:
                continue
        return list(found.values())

    def cpu_seconds(self) -> float:
        """Return the CPU time that they have used so far, of children that ended included."""
        total = 0.0
        for process in self.processes():
            try:
                times = process.cpu_times()
            except psutil.Error:
                continue
            total += times.user + times.system
        return total

    def rss_mib(self) -> float:
        """Return the memory that they hold, pages that several share counted for each."""
        total = 0
        for process in self.processes():
            try:
                total += process.memory_info().rss
            except psutil.Error:
                continue
        return total / 2**20

    def _is_ours(self, process: psutil.Process) -> bool:
        if process.pid in self._pids:
            return True
        if process.cwd().startswith(self._folder):
            return True
        return any(self._folder in part for part in process.cmdline())


def percentile(values: Sequence[float], part: float) -> float | None:
    """Return the value below which `part` of all lie; None of none."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * part))] if ordered else None
