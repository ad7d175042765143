"""Log files of child processes, shown on the console line by line as they grow."""

import sys
import threading
from pathlib import Path
from typing import BinaryIO

_LOOK_EVERY_SECONDS = 0.2


class Console:
    """Copies lines that are added to log files to our standard output, each with its origin."""

    def __init__(self) -> None:
        self._files: list[tuple[str, BinaryIO, list[bytes]]] = []
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="console", daemon=True)

    def follow(self, label: str, path: Path) -> None:
        """Show what is added to `path`, which exists, from here on. Before `start` only."""
        log = path.open("rb")
        log.seek(0, 2)
        self._files.append((f"{label:<12}| ", log, [b""]))

    def start(self) -> None:
        """Begin to copy, in a thread of its own."""
        self._thread.start()

    def stop(self) -> None:
        """Copy what is there, and no more."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join()
        for _label, log, _rest in self._files:
            log.close()

    def _run(self) -> None:
        while not self._stopping.wait(_LOOK_EVERY_SECONDS):
            self._copy()
        self._copy()

    def _copy(self) -> None:
        for label, log, rest in self._files:
            *lines, rest[0] = (rest[0] + log.read()).split(b"\n")
            for line in lines:
                sys.stdout.write(f"{label}{line.decode('utf-8', 'replace')}\n")
        sys.stdout.flush()


def last_lines(path: Path, count: int = 30) -> str:
    """The end of a log file, for an error message; empty where there is none."""
    if not path.exists():
        return ""
    return "\n".join(path.read_text(errors="replace").splitlines()[-count:])
