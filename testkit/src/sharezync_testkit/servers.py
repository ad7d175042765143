"""Real servers for tests: one set for a test run, however many workers share the work.

The root `conftest.py` makes fixtures of these. Everything lives in one folder of the temporary
directory, which the last worker removes; what a killed run left behind, the next run removes.
"""

import asyncio
import itertools
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request
from base64 import b64encode
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Protocol
from urllib.parse import quote, urlsplit

from sharezync_embedded.occupancy import Busy, Occupancy, exclusive
from sharezync_embedded.postgres import EmbeddedPostgres
from sharezync_embedded.processes import end_survivors
from sharezync_embedded.rabbitmq import Broker, DevBroker
from sharezync_testkit.strict_s3 import StrictS3Server

_PREFIX = "sharezync-test-"
_FORGOTTEN_AFTER_SECONDS = 60.0


class RunFolder:
    """The folder that all workers of one test run share, from `enter` to `leave`."""

    def __init__(self, run_id: str) -> None:
        # Not pytest's own temporary folder: pytest closes that to the account of PostgreSQL.
        self.path = Path(tempfile.gettempdir()) / f"{_PREFIX}{run_id[:12]}"
        self._occupancy = Occupancy(self.path, "run")

    def enter(self) -> None:
        """Make the folder, or join those who have."""
        _remove_forgotten()
        while True:
            self.path.mkdir(mode=0o711, exist_ok=True)
            with suppress(FileNotFoundError):  # somebody left, and removed it
                with self._occupancy.exclusive(timeout_seconds=60):
                    self._occupancy.enter()
                return

    def leave(self) -> None:
        """Remove the folder where nobody else of this run is in it."""
        with self._occupancy.exclusive(timeout_seconds=60):
            self._occupancy.leave()
            if self._occupancy.empty():
                end_servers(self.path)  # of tests that failed
                shutil.rmtree(self.path, ignore_errors=True)


def _remove_forgotten() -> None:
    """End the servers of runs that were killed, and remove their folders."""
    for folder in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"):
        with suppress(OSError, Busy):
            found = folder.stat()
            aged = time.time() - found.st_mtime > _FORGOTTEN_AFTER_SECONDS
            if not aged or found.st_uid != os.geteuid():
                continue
            occupancy = Occupancy(folder, "run")
            with occupancy.exclusive(timeout_seconds=0):
                if occupancy.empty():
                    end_servers(folder)
                    shutil.rmtree(folder, ignore_errors=True)


def end_servers(folder: Path) -> None:
    """End every server whose files lie under `folder`, whoever uses it."""
    for notes in folder.rglob("fleet.json"):
        end_survivors(notes.parent)
    for lock in folder.rglob(".postgres.lock"):
        EmbeddedPostgres(lock.parent, durable=False).stop(force=True)
    for lock in folder.rglob(".rabbitmq.lock"):
        DevBroker(lock.parent, Path("rabbitmq-server"), durable=False).stop(force=True)
    for lock in folder.rglob(".strict-s3.lock"):
        StrictS3Server(lock.parent).stop(force=True)


class MigrationsOfService(Protocol):
    """Those of a service; `sharezync_shared.db` takes half a second to import, in each worker."""

    @property
    def schema(self) -> str: ...

    async def upgrade(self, url: str) -> None: ...


class Databases:
    """Databases for one worker's tests."""

    def __init__(self, postgres: EmbeddedPostgres, run_folder: Path, worker: str) -> None:
        self._postgres = postgres
        self._run_folder = run_folder
        self._prefix = f"test_{os.getpid()}_{worker}_"
        self._numbers = itertools.count(1)
        self._made: list[str] = []

    def new(self, template_url: str | None = None) -> str:
        """Return the URL of a new database: empty, or a copy of the one at `template_url`.

        Nobody may be connected to the template meanwhile.
        """
        name = f"{self._prefix}{next(self._numbers)}"
        template = urlsplit(template_url).path.lstrip("/") if template_url else None
        url = self._postgres.ensure_database(name, template=template)
        self._made.append(name)
        return url

    def migrated(self, *migrations: MigrationsOfService) -> str:
        """Return the URL of a new database with the tables of these services.

        It is a copy of one that the run's first test to ask for these services has migrated.
        """
        name = "_".join(["template", *(each.schema for each in migrations)])
        made = self._run_folder / name
        with exclusive(made.with_suffix(".lock"), timeout_seconds=120):
            if not made.exists():
                url = self._postgres.ensure_database(name)
                for each in migrations:
                    asyncio.run(each.upgrade(url))
                made.touch()
        return self.new(self._postgres.url(name))

    def drop(self, url: str) -> None:
        """Drop the database at `url`, whoever is still connected."""
        name = urlsplit(url).path.lstrip("/")
        self._postgres.drop_database(name)
        self._made.remove(name)

    def drop_all(self) -> None:
        """Drop every database that is left."""
        for name in self._made:
            self._postgres.drop_database(name)
        self._made.clear()


class VirtualHosts:
    """Virtual hosts of one broker: worlds of their own for exchanges and queues."""

    def __init__(self, broker: Broker, worker: str) -> None:
        self.broker = broker
        self._url = self.broker.start()
        self._prefix = f"{worker}-{os.getpid()}-"
        self._numbers = itertools.count(1)

    def new(self) -> str:
        """Return the AMQP URL of a new, empty virtual host.

        A broker that was given from outside has only the one that was given with it.
        """
        if self.broker.management_url is None:
            return self._url
        name = f"{self._prefix}{next(self._numbers)}"
        user = urlsplit(self._url).username or ""
        self._manage("PUT", f"/api/vhosts/{name}", b"{}")
        permissions = b'{"configure": ".*", "write": ".*", "read": ".*"}'
        self._manage("PUT", f"/api/permissions/{name}/{user}", permissions)
        return self._url.rstrip("/") + "/" + quote(name, safe="")

    def remove(self, url: str) -> None:
        """Remove a virtual host that `new` made, with all connections to it."""
        if url != self._url:
            name = urlsplit(url).path.lstrip("/")
            self._manage("DELETE", f"/api/vhosts/{name}", None)

    def import_definitions(self, definitions: bytes) -> None:
        """Have the broker take in users and permissions, as from a file at its start."""
        self._manage("POST", "/api/definitions", definitions)

    def _manage(self, method: str, path: str, body: bytes | None) -> None:
        parts = urlsplit(self.broker.management_url or "")
        request = urllib.request.Request(
            f"http://{parts.hostname}:{parts.port}{path}", data=body, method=method
        )
        login = b64encode(f"{parts.username}:{parts.password}".encode()).decode()
        request.add_header("Authorization", f"Basic {login}")
        request.add_header("Content-Type", "application/json")
        with urllib.request.urlopen(request, timeout=30):
            pass


class S3Server:
    """An S3 API server in memory (moto), in a process of its own, until `stop`."""

    access_key_id = "test-key"
    secret_access_key = "test-secret"
    region = "us-east-1"

    def __init__(self, log_path: Path) -> None:
        self._buckets = itertools.count(1)
        with log_path.open("wb") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", "0"],
                stdout=log,
                stderr=log,
            )
        self.endpoint_url = _wait_for(lambda: self._announced(log_path), "the S3 server")

    def bucket(self) -> str:
        """Make an empty bucket and return its name."""
        name = f"bucket-{os.getpid()}-{next(self._buckets)}"
        request = urllib.request.Request(f"{self.endpoint_url}/{name}", method="PUT")
        with urllib.request.urlopen(request, timeout=30):
            return name

    def stop(self) -> None:
        """End the server; its buckets go with it."""
        self._process.terminate()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _announced(self, log_path: Path) -> str | None:
        if self._process.poll() is not None:
            raise RuntimeError(f"the S3 server ended: {log_path.read_text()}")
        found = re.search(r"Running on (http://127\.0\.0\.1:\d+)", log_path.read_text())
        return found[1] if found else None


def _wait_for(look: Callable[[], str | None], what: str, timeout_seconds: float = 40) -> str:
    deadline = time.monotonic() + timeout_seconds
    while (found := look()) is None:
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what} was not there in {timeout_seconds:g} s")
        time.sleep(0.02)
    return found
