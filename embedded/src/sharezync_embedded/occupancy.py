"""Who uses a server that outlives any one of our processes.

PostgreSQL and the development broker run as processes of their own and are shared: by the five
processes of a fleet's tests, by the workers of a test run, by `make run` and a command beside it.
The kernel counts their users for us, by file locks: unlike a list of process ids on disk, a lock
goes away with its process, `kill -9` included.
"""

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from sharezync_shared.start_refused import StartRefused

RESTORING = ".restoring"
"""The file in a data folder whose restore from a backup has begun and not ended."""
_PREDECESSOR_SECONDS = 5.0  # one that is stopping may take a moment


class Busy(RuntimeError):
    """Another process has the lock that was waited for."""


class Occupancy:
    """The users of one server, as seen by all processes that share `directory`.

    Not safe to share between threads. One instance stands for one user, however often it enters.
    """

    def __init__(self, directory: Path, name: str) -> None:
        self._lock_path = directory / f".{name}.lock"
        self._users_path = directory / f".{name}.users"
        self._keep_path = directory / f".{name}.keep"
        self._user: int | None = None

    @contextmanager
    def starting(self, *, keep: bool = False, timeout_seconds: float) -> Iterator[None]:
        """Start the server in the block, or find it running; use it from then on.

        With `keep` it shall run on when its last user leaves. Raises as `exclusive`.
        """
        with self.exclusive(timeout_seconds=timeout_seconds):
            yield
            self.enter()
            if keep:
                self._keep_path.touch()

    @contextmanager
    def stopping(self, *, force: bool = False, timeout_seconds: float) -> Iterator[bool]:
        """Stop using the server; yield whether it is to be stopped in the block.

        That is where nobody else uses it, nor shall it run on; with `force` in any case. Raises as
        `exclusive`.
        """
        with self.exclusive(timeout_seconds=timeout_seconds):
            self.leave()
            if force:
                self._keep_path.unlink(missing_ok=True)
            yield force or (not self._keep_path.exists() and self.empty())

    @contextmanager
    def exclusive(self, *, timeout_seconds: float) -> Iterator[None]:
        """Let nobody else start, stop, enter or leave meanwhile.

        Raises Busy where another does for longer than `timeout_seconds`.
        """
        with exclusive(self._lock_path, timeout_seconds=timeout_seconds):
            yield

    def enter(self) -> None:
        """Count as a user until `leave`, or until this process ends in whatever way."""
        if self._user is None:
            self._user = os.open(self._users_path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            fcntl.flock(self._user, fcntl.LOCK_SH)

    def leave(self) -> None:
        """Stop counting as a user. Leaving without having entered is fine."""
        if self._user is not None:
            os.close(self._user)
            self._user = None

    def empty(self) -> bool:
        """Whether nobody, this instance included, uses the server. Ask while `exclusive`."""
        if self._user is not None:
            return False
        with self._users_path.open("a") as users:
            try:
                fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return False
        return True


@contextmanager
def exclusive(path: Path, *, timeout_seconds: float) -> Iterator[None]:
    """Lock the file `path`, which is made where it is absent and stays.

    Raises Busy where another process (or another user in this one) has it for longer than
    `timeout_seconds`; the message carries the process id that is in the file.
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
                    owner = os.pread(lock, 20, 0).decode("ascii", "replace").strip() or "unknown"
                    raise Busy(f"{path} is locked by process {owner}") from None
                time.sleep(0.02)
        os.ftruncate(lock, 0)
        os.pwrite(lock, f"{os.getpid()}\n".encode(), 0)
        yield
    finally:
        os.close(lock)


@contextmanager
def sole_use(data_dir: Path) -> Iterator[None]:
    """Be the only one who serves this data folder, which is made where it is absent.

    Of two at once each would notify only its own clients. Raises StartRefused where
    another process keeps it for longer than a stopping one should take, and where it was restored
    half way.
    """
    try:
        data_dir.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StartRefused(f"no data folder at DATA_DIR: {error}") from None
    with ExitStack() as stack:
        lock = exclusive(data_dir / ".serving.lock", timeout_seconds=_PREDECESSOR_SECONDS)
        try:
            stack.enter_context(lock)
        except Busy as busy:
            raise StartRefused(f"another ShareZync serves this data folder: {busy}") from None
        if (data_dir / RESTORING).exists():
            raise StartRefused(f"the restore of {data_dir} did not end: empty it and restore again")
        yield
