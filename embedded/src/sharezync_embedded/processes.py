"""Processes that may outlive us: started apart from us, recognised again, and ended."""

import errno
import os
import secrets
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec
import psutil

_PORTS = range(20_000, 30_000)
STOP_TIMEOUT_SECONDS = 30.0  # longer than the 20 s that a service may take to say goodbye
_SAME_PROCESS_SECONDS = 0.05  # clocks of start times are read with this much slack


@dataclass(frozen=True)
class ProcessIdentity:
    """One certain process: its id, and when it started, since ids are used again."""

    pid: int
    started_at: float  # seconds since the epoch, as the kernel says

    @classmethod
    def from_pid(cls, pid: int) -> "ProcessIdentity":
        """The process that has this id now. Raises ProcessLookupError where there is none."""
        try:
            return cls(pid, psutil.Process(pid).create_time())
        except psutil.NoSuchProcess:
            raise ProcessLookupError(pid) from None

    def alive(self) -> bool:
        """Whether this very process still runs; a zombie does not."""
        return self._process() is not None

    def end(self, *, timeout_seconds: float) -> bool:
        """Ask the process to stop (SIGTERM), and make it where it hasn't in time (SIGKILL).

        Returns whether it stopped by itself. One that is gone already is fine.
        """
        process = self._process()
        if process is None:
            return True
        try:
            process.terminate()
            if self._gone_within(timeout_seconds):
                return True
            process.kill()
        except psutil.NoSuchProcess:
            return True
        self._gone_within(10)
        return False

    def _gone_within(self, timeout_seconds: float) -> bool:
        deadline = time.monotonic() + timeout_seconds
        while self.alive():
            if time.monotonic() > deadline:
                return False
            time.sleep(0.02)
        return True

    def _process(self) -> psutil.Process | None:
        try:
            process = psutil.Process(self.pid)
            if abs(process.create_time() - self.started_at) > _SAME_PROCESS_SECONDS:
                return None
            return None if process.status() == psutil.STATUS_ZOMBIE else process
        except psutil.NoSuchProcess:
            return None


def spawn_apart(
    command: Sequence[str | Path],
    *,
    env: Mapping[str, str],
    log_path: Path,
    folder: Path | None = None,
) -> ProcessIdentity:
    """Start `command` in a session of its own, as nobody's child, writing to `log_path`.

    It runs on when we end, in whatever way, and leaves no zombie with us when it ends. Raises
    ProcessLookupError where it ended at once; why is in the log.
    """
    shell = subprocess.run(
        ["/bin/sh", "-c", '"$@" >>"$0" 2>&1 </dev/null & echo $!', log_path, *command],
        env=dict(env),
        cwd=folder,
        start_new_session=True,
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    )
    return ProcessIdentity.from_pid(int(shell.stdout))


def record_processes(data_dir: Path, processes: Sequence[ProcessIdentity]) -> None:
    """Record the processes that run on `data_dir`, in place of those of before."""
    notes = [(process.pid, process.started_at) for process in processes]
    draft = _record(data_dir).with_suffix(".draft")
    draft.write_bytes(msgspec.json.encode(notes))
    draft.replace(_record(data_dir))


def delete_record(data_dir: Path) -> None:
    """Delete the record: none of them runs any more."""
    _record(data_dir).unlink(missing_ok=True)


def end_survivors(data_dir: Path) -> None:
    """End recorded processes that still run: asked first, killed after 30 s."""
    try:
        notes = msgspec.json.decode(_record(data_dir).read_bytes(), type=list[tuple[int, float]])
    except (FileNotFoundError, msgspec.DecodeError):
        return
    for pid, started_at in notes:
        ProcessIdentity(pid, started_at).end(timeout_seconds=STOP_TIMEOUT_SECONDS)
    delete_record(data_dir)


def _record(data_dir: Path) -> Path:
    return data_dir / "fleet.json"


def free_port(*, besides: Container[int] = ()) -> int:
    """A TCP port at 127.0.0.1 that nobody listens on just now, and none of `besides`.

    From below the range in which systems choose ports for outgoing connections: one of those
    could otherwise take it before whoever is going to listen on it does.
    """
    for _attempt in range(1000):
        port = secrets.choice(_PORTS)
        if port not in besides and port_is_free(port):
            return port
    raise OSError(errno.EADDRINUSE, f"no free port from {_PORTS[0]} to {_PORTS[-1]}")


def port_is_free(port: int, host: str = "127.0.0.1") -> bool:
    """Whether one could listen on `port` of `host` just now."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        socket.create_server((host, port), family=family).close()
    except OSError:
        return False
    return True


def stop_with_parent() -> None:
    """Have this process asked to stop (SIGTERM) when the one that started it is gone.

    `make`, when it is killed, doesn't know what it runs; the port would stay taken.
    """
    parent = os.getppid()

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(0.5)
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, name="parent", daemon=True).start()


def inherited(*names: str) -> dict[str, str]:
    """Those of our environment variables that a foreign program may know."""
    return {name: os.environ[name] for name in names if name in os.environ}
