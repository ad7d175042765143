"""What an attack costs those who serve: memory, descriptors, CPU of each, what is logged."""

import subprocess
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Final, Self

import psutil

MIB: Final = 2**20
_SAMPLE_SECONDS: Final = 0.25
_LEVELS: Final = tuple(
    f'"level":{space}"{level}"' for level in ("error", "critical") for space in ("", " ")
)
_TRACEBACK: Final = "Traceback (most recent call last)"
_PLANTED: Final = """
import structlog
from sharezync_shared.observability import configure_logging
configure_logging("info", "json")
structlog.get_logger().error("planted")
try:
    1 / 0
except ZeroDivisionError:
    structlog.get_logger().exception("planted")
structlog.get_logger().info("counts for nothing")
1 / 0
"""


class Meter:
    """Memory, descriptors and CPU of processes by their names, looked at from a thread."""

    def __init__(self, pids: Mapping[str, int], port: int, database: Path) -> None:
        self._processes = {name: psutil.Process(pid) for name, pid in pids.items()}
        self._port = port
        self._database = database
        self.most_mib = self.memory_mib()
        self.most_fds = self.fds()
        self.most_kernel_mib = kernel_mib(port)
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def memory_mib(self) -> float:
        """Return the memory of all that no file backs (proc(5), RssAnon).

        Pages of programs and libraries are counted for whoever else has them open just now.
        """
        return sum(_anonymous_kib(each.pid) for each in self._processes.values()) / 1024

    def fds(self) -> int:
        """Return how many descriptors are open."""
        return sum(each.num_fds() for each in self._processes.values())

    def cpu_seconds(self) -> dict[str, float]:
        """Return the CPU time that each has used so far, and what their database has."""
        used = {}
        for name, each in self._processes.items():
            times = each.cpu_times()
            used[name] = times.user + times.system
        return {**used, "postgres": _cpu_of_database(self._database)}

    def _look(self) -> None:
        while not self._over.wait(_SAMPLE_SECONDS):
            self.most_mib = max(self.most_mib, self.memory_mib())
            self.most_fds = max(self.most_fds, self.fds())
            self.most_kernel_mib = max(self.most_kernel_mib, kernel_mib(self._port))


def kernel_mib(port: int) -> float:
    """Return what waits in the kernel at our ends of a port's connections (proc(5), net/tcp).

    Unread and unsent bytes; on loopback what was sent and is unread waits at the other end.
    """
    waiting = 0
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        _, local, _, _, queues, *_ = line.split()
        if int(local.partition(":")[2], 16) == port:
            unsent, _, unread = queues.partition(":")
            waiting += int(unsent, 16) + int(unread, 16)
    return waiting / MIB


def errors(folder: Path) -> int:
    """Return how many ERROR records and bare tracebacks the services' logs in a folder hold.

    Raises RuntimeError where there are no logs, or nothing is in them: then nothing was counted.
    """
    logs = [
        log for log in folder.rglob("*.log*")
        if not {"postgres", "rabbitmq"} & set(log.relative_to(folder).parts)
    ]  # fmt: skip
    texts = [log.read_text(errors="replace") for log in logs]
    if not any('"level": "info"' in text for text in texts):
        raise RuntimeError(f"no records in {folder}")
    return sum(_is_error(line) for text in texts for line in text.splitlines())


def check_that_errors_count(folder: Path) -> None:
    """Write a log as the product does, with three errors. Raises RuntimeError unless all count."""
    with (folder / "planted.log").open("wb") as log:
        subprocess.run([sys.executable, "-c", _PLANTED], stderr=log, check=False)
    if (counted := errors(folder)) != 3:
        raise RuntimeError(f"{counted} errors of 3 that were planted are counted")


def _is_error(line: str) -> bool:
    return line.startswith(_TRACEBACK) or any(level in line for level in _LEVELS)


def _anonymous_kib(pid: int) -> int:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("RssAnon:"):
            return int(line.split()[1])
    return 0


def _cpu_of_database(folder: Path) -> float:
    """Return the CPU time of a PostgreSQL whose data is under a folder, with what has ended."""
    used = 0.0
    for file in folder.rglob("postmaster.pid"):
        postmaster = psutil.Process(int(file.read_text().split()[0]))
        for each in (postmaster, *postmaster.children(recursive=True)):
            try:
                times = each.cpu_times()
            except psutil.Error:
                continue
            used += times.user + times.system
            used += times.children_user + times.children_system
    return used
