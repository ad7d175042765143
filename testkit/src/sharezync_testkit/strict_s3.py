"""A strict S3 API server for tests: OpenStack Swift's s3api, which refuses what moto lets pass.

Signatures and their expiry, signed headers, MD5s and checksums are held against what really came.
Four of Swift's own servers on the loopback interface, one process each, with one copy of all.
"""

import os
import subprocess
import time
import urllib.request
import uuid
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

import msgspec

from sharezync_embedded.occupancy import Occupancy
from sharezync_embedded.processes import ProcessIdentity, free_port, inherited, spawn_apart
from sharezync_testkit.chaos import ChaosProxy
from sharezync_testkit.swift import SERVERS, command_of, configure

_START_TIMEOUT_SECONDS = 40.0
_STOP_TIMEOUT_SECONDS = 10.0


class StrictS3Failed(RuntimeError):
    """The server could not be started; the message says why."""


@dataclass(frozen=True)
class FaultyConnection:
    """A way to the server that misbehaves on request; it behaves until `chaos` is told."""

    endpoint_url: str
    chaos: ChaosProxy


class _Notes(msgspec.Struct, frozen=True):
    """What is written down about started servers, for whoever comes after us."""

    ports: dict[str, int]
    processes: list[tuple[int, float]]

    def identities(self) -> list[ProcessIdentity]:
        return [ProcessIdentity(pid, started_at) for pid, started_at in self.processes]

    def alive(self) -> bool:
        return len(self.processes) == len(SERVERS) and all(s.alive() for s in self.identities())


class StrictS3Server:
    """One Swift under `data_dir/strict-s3`, shared by all processes that name the same folder.

    The first to `start` starts it, the last to `stop` stops it; where all were killed, the next
    `start` takes it over. What is in it goes with the folder. Not safe to share between threads.
    The folder's filesystem must keep extended attributes, where Swift has all it knows of objects.
    """

    access_key_id = "test:tester"
    secret_access_key = "testing"
    region = "us-east-1"

    def __init__(self, data_dir: Path) -> None:
        self._data_dir = data_dir.absolute()
        self._folder = self._data_dir / "strict-s3"
        self._notes = self._folder / "servers.json"
        self._occupancy = Occupancy(self._data_dir, "strict-s3")

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

    @property
    def endpoint_url(self) -> str:
        """Where the S3 API is, by paths and not by host names. Raises StrictS3Failed."""
        notes = self._read_notes()
        if notes is None:
            raise StrictS3Failed(f"no S3 server runs on {self._folder}")
        return f"http://127.0.0.1:{notes.ports['proxy']}"

    def start(self) -> str:
        """Return `endpoint_url` of a server that answers. Safe to call twice, and from several.

        Raises StrictS3Failed, with the ends of the servers' logs or with what the filesystem lacks.
        """
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with self._occupancy.exclusive(timeout_seconds=_START_TIMEOUT_SECONDS * 2):
            if not self._find_running():
                self._check_attributes()
                self._launch()
            self._occupancy.enter()
        return self.endpoint_url

    def stop(self, *, force: bool = False) -> bool:
        """Stop using the server; end it where nobody else uses it. `force`: whoever uses it.

        Returns whether it is down now.
        """
        if not self._folder.exists():
            return True
        with self._occupancy.exclusive(timeout_seconds=_START_TIMEOUT_SECONDS * 2):
            self._occupancy.leave()
            if not force and not self._occupancy.empty():
                return False
            self._end()
            return True

    def pids(self) -> list[int]:
        """The process ids of the running servers; none where they don't run."""
        notes = self._read_notes()
        return (
            [identity.pid for identity in notes.identities() if identity.alive()] if notes else []
        )

    def bucket(self) -> str:
        """Make an empty bucket and return its name."""
        # Loaded here: every test run imports this module, and few of them need a bucket.
        from botocore.auth import S3SigV4Auth  # noqa: PLC0415 - as above
        from botocore.awsrequest import AWSRequest  # noqa: PLC0415 - as above
        from botocore.credentials import Credentials  # noqa: PLC0415 - as above

        name = f"bucket-{uuid.uuid4().hex[:16]}"
        signed = AWSRequest("PUT", f"{self.endpoint_url}/{name}", data=b"")
        credentials = Credentials(self.access_key_id, self.secret_access_key)
        S3SigV4Auth(credentials, "s3", self.region).add_auth(signed)
        request = urllib.request.Request(
            signed.url, data=b"", headers=dict(signed.headers), method="PUT"
        )
        with urllib.request.urlopen(request, timeout=30):
            return name

    @asynccontextmanager
    async def line(self) -> AsyncGenerator[FaultyConnection]:
        """A line of one's own to the server: what it is told to do, other users don't notice."""
        port = int(self.endpoint_url.rpartition(":")[2])
        async with ChaosProxy(("127.0.0.1", port)) as chaos:
            yield FaultyConnection(f"http://{chaos.host}:{chaos.port}", chaos)

    def _find_running(self) -> bool:
        """Whether the servers run and answer; what is left of them is ended otherwise."""
        notes = self._read_notes()
        if notes is not None and notes.alive() and _answer_within(notes, _STOP_TIMEOUT_SECONDS):
            return True
        self._end()
        return False

    def _launch(self) -> None:
        for _attempt in range(3):  # a free port may be somebody else's a moment later
            ports: dict[str, int] = {}
            for server in SERVERS:
                ports[server] = free_port(besides=ports.values())
            try:
                configure(
                    self._folder, ports, user_key=(self.access_key_id, self.secret_access_key)
                )
            except subprocess.CalledProcessError as failure:
                raise StrictS3Failed(f"Swift made no rings: {failure.stderr}") from failure
            if self._spawn(ports):
                return
            self._end()
        logs = (self._log(server) for server in SERVERS)
        tails = "\n".join(f"{log}:\n{log.read_text(errors='replace')[-2000:]}" for log in logs)
        raise StrictS3Failed(f"the S3 server did not start\n{tails}")

    def _spawn(self, ports: dict[str, int]) -> bool:
        """Start a process for each server; whether all of them answer."""
        processes: list[tuple[int, float]] = []
        for server in SERVERS:
            try:
                identity = spawn_apart(
                    command_of(server, self._folder),
                    env=inherited("PATH", "LANG", "TMPDIR"),
                    log_path=self._log(server),
                )
            except ProcessLookupError:
                return False
            processes.append((identity.pid, identity.started_at))
            self._write_notes(_Notes(ports, processes))
        return _answer_within(_Notes(ports, processes), _START_TIMEOUT_SECONDS)

    def _end(self) -> None:
        notes = self._read_notes()
        for identity in notes.identities() if notes else ():
            identity.end(timeout_seconds=_STOP_TIMEOUT_SECONDS)
        self._notes.unlink(missing_ok=True)

    def _check_attributes(self) -> None:
        probe = self._folder / "attributes"
        probe.touch()
        try:
            os.setxattr(probe, "user.swift.metadata", b"kept")
        except OSError as error:
            raise StrictS3Failed(
                f"the filesystem of {self._folder} keeps no extended attributes ({error.strerror}),"
                " and Swift needs them: let TMPDIR name a folder on ext4, xfs or btrfs"
            ) from error

    def _log(self, server: str) -> Path:
        return self._folder / f"{server}.log"

    def _read_notes(self) -> _Notes | None:
        try:
            return msgspec.json.decode(self._notes.read_bytes(), type=_Notes)
        except (FileNotFoundError, msgspec.DecodeError):
            return None

    def _write_notes(self, notes: _Notes) -> None:
        draft = self._notes.with_suffix(".draft")
        draft.write_bytes(msgspec.json.encode(notes))
        draft.replace(self._notes)


def _answer_within(notes: _Notes, timeout_seconds: float) -> bool:
    deadline = time.monotonic() + timeout_seconds
    while notes.alive() and time.monotonic() < deadline:
        if all(_answers(port) for port in notes.ports.values()):
            return True
        time.sleep(0.05)
    return False


def _answers(port: int) -> bool:
    health = f"http://127.0.0.1:{port}/healthcheck"
    try:
        with urllib.request.urlopen(health, timeout=5) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False
