"""Who uses a server that outlives any one of our processes.

PostgreSQL and the development broker run as processes of their own and are shared: by the five
processes of a fleet's tests, by the workers of a test run, by `make run` and a command beside it.
The kernel counts their users for us, by file locks: unlike a list of process ids on disk, a lock
goes away with its holder, `kill -9` included.
"""

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

_PREDECESSOR_SECONDS = 5.0  # one that was just told to stop may still be saying goodbye


class Busy(RuntimeError):
    """Somebody else holds what we waited for."""


class Occupancy:
    """The users of one server, as seen by all processes that share `directory`.

    Not safe to share between threads. One instance stands for one user, however often it enters.
    """

    def __init__(self, directory: Path, name: str) -> None:
        self._doorway = directory / f".{name}.lock"
        self._rooms = directory / f".{name}.users"
        self._kept = directory / f".{name}.keep"
        self._place: int | None = None

    @contextmanager
    def exclusive(self, *, timeout_seconds: float) -> Iterator[None]:
        """Hold the doorway: nobody else starts, stops, enters or leaves meanwhile.

        Raises Busy where it isn't free within `timeout_seconds`.
        """
        with exclusive(self._doorway, timeout_seconds=timeout_seconds):
            yield

    def enter(self) -> None:
        """Count as a user until `leave`, or until this process ends in whatever way."""
        if self._place is None:
            self._place = os.open(self._rooms, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            fcntl.flock(self._place, fcntl.LOCK_SH)

    def leave(self) -> None:
        """Stop counting as a user. Leaving without having entered is fine."""
        if self._place is not None:
            os.close(self._place)
            self._place = None

    def empty(self) -> bool:
        """Whether nobody, this instance included, uses the server. Ask while `alone`."""
        if self._place is not None:
            return False
        with self._rooms.open("a") as rooms:
            try:
                fcntl.flock(rooms, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return False
        return True

    @property
    def kept(self) -> bool:
        """Whether the server shall run on when its last user leaves."""
        return self._kept.exists()

    @kept.setter
    def kept(self, kept: bool) -> None:
        if kept:
            self._kept.touch()
        else:
            self._kept.unlink(missing_ok=True)


@contextmanager
def exclusive(path: Path, *, timeout_seconds: float) -> Iterator[None]:
    """Hold the lock file `path`, which is made where it is absent and stays.

    Raises Busy where another process (or another holder in this one) keeps it for longer than
    `timeout_seconds`; the message carries the process id that the holder left in the file.
    """
    deadline = time.monotonic() + timeout_seconds
    lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() >= deadline:
                    holder = os.pread(lock, 20, 0).decode("ascii", "replace").strip() or "unknown"
                    raise Busy(f"{path} is held by process {holder}") from None
                time.sleep(0.02)
        os.ftruncate(lock, 0)
        os.pwrite(lock, f"{os.getpid()}\n".encode(), 0)
        yield
    finally:
        os.close(lock)


@contextmanager
def sole_use(data_dir: Path) -> Iterator[None]:
    """Be the only one who serves this data folder, which is made where it is absent.

    Two at once would each tell its own clients of half of what happens. Raises SystemExit where
    another process keeps it for longer than a stopping one should take.
    """
    data_dir.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        lock = exclusive(data_dir / ".serving.lock", timeout_seconds=_PREDECESSOR_SECONDS)
        try:
            stack.enter_context(lock)
        except Busy as busy:
            raise SystemExit(f"another ShareZync serves this data folder: {busy}") from None
        yield
