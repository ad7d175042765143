"""A RabbitMQ for development and tests: a private node on this machine's loopback interface.

It has its own folder, name, cookie, user, ports and epmd (Erlang's name service), so that it
neither meets nor disturbs another RabbitMQ on the same machine. Not for production.
"""

import os
import secrets
import shutil
import socket
import subprocess
import time
from pathlib import Path
from typing import Protocol

import msgspec

from sharezync_embedded.occupancy import Occupancy
from sharezync_embedded.processes import (
    ProcessIdentity,
    free_port,
    inherited,
    port_is_free,
    spawn_apart,
)

_NODE = "sharezync@localhost"  # "localhost" resolves on every machine, a host name doesn't
_USER = "sharezync"
_START_TIMEOUT_SECONDS = 120.0
_STOP_TIMEOUT_SECONDS = 30.0
_EPMD_TIMEOUT_SECONDS = 5.0
_PROTOCOL_HEADER = b"AMQP\x00\x00\x09\x01"  # AMQP 0-9-1, 4.2.2


class BrokerFailed(RuntimeError):
    """The broker could not be started or stopped; the message says why."""


class Broker(Protocol):
    """A RabbitMQ that can be used from `start` until `stop`."""

    management_url: str | None  # base URL with credentials of its HTTP API; None: it has none

    def start(self, *, keep: bool = False) -> str:
        """Return the AMQP URL of a broker that answers. With `keep` it outlives its users.

        Raises BrokerFailed.
        """

    def stop(self, *, force: bool = False) -> bool:
        """Stop using it. Returns whether it is down now."""

    def url(self) -> str:
        """The AMQP URL of the running broker. Raises BrokerFailed where none runs."""


class _Node(msgspec.Struct, frozen=True):
    """What is recorded about a started node, for the processes after us."""

    password: str
    amqp_port: int
    management_port: int
    distribution_port: int
    epmd_port: int
    pid: int = 0
    started_at: float = 0.0

    @property
    def process(self) -> ProcessIdentity:
        return ProcessIdentity(self.pid, self.started_at)


class DevBroker:
    """The node under `data_dir/rabbitmq`, run by `server` and shared by all who name the folder.

    The first to `start` starts it, the last to `stop` stops it; one that survived its users is
    taken over, one that was killed is started again on what it had stored.
    `durable=False` is for tests: it is then not stopped but killed, six seconds faster, and what
    it had in memory is lost. Not safe to share between threads.
    """

    def __init__(self, data_dir: Path, server: Path, *, durable: bool = True) -> None:
        self._data_dir = data_dir.absolute()
        self._folder = self._data_dir / "rabbitmq"
        self._notes = self._folder / "node.json"
        self._server = server
        self._stop_timeout_seconds = _STOP_TIMEOUT_SECONDS if durable else 0.0
        self._occupancy = Occupancy(self._data_dir, "rabbitmq")
        self.management_url: str | None = None

    def start(self, *, keep: bool = False) -> str:
        """Return the URL of a node that answers; see `Broker`."""
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        timeout = _START_TIMEOUT_SECONDS * 2
        with self._occupancy.starting(keep=keep, timeout_seconds=timeout):
            node = self._find_running() or self._launch()
        self.management_url = f"http://{_USER}:{node.password}@127.0.0.1:{node.management_port}"
        return _url(node)

    def stop(self, *, force: bool = False) -> bool:
        """Stop using the node; stop it where nobody else uses it. `force`: whoever uses it."""
        if not self._folder.exists():
            return True
        timeout = _START_TIMEOUT_SECONDS * 2
        with self._occupancy.stopping(force=force, timeout_seconds=timeout) as last:
            if last and (node := self._read_notes()):
                node.process.end(timeout_seconds=self._stop_timeout_seconds)
                self._end_epmd(node.epmd_port)
            return last

    def pid(self) -> int | None:
        """The process id of the running node; None where none runs."""
        node = self._read_notes()
        return node.pid if node and node.process.alive() else None

    def url(self) -> str:
        """The AMQP URL of the running node. Raises BrokerFailed where none runs."""
        node = self._read_notes()
        if node is None or not node.process.alive():
            raise BrokerFailed(f"no RabbitMQ runs on {self._folder}")
        return _url(node)

    def _find_running(self) -> _Node | None:
        node = self._read_notes()
        if node is None:
            return None
        if _answers_within(node, _START_TIMEOUT_SECONDS / 2):
            return node
        node.process.end(timeout_seconds=self._stop_timeout_seconds)  # alive, yet deaf
        self._end_epmd(node.epmd_port)
        return None

    def _launch(self) -> _Node:
        before = self._read_notes()
        password = before.password if before else secrets.token_hex(16)
        for _attempt in range(3):  # a free port may be somebody else's a moment later
            node = _Node(password, free_port(), free_port(), free_port(), free_port())
            self._write_configuration(node)
            try:
                process = spawn_apart(
                    [self._server], env=self._environment(node), log_path=self._log
                )
            except ProcessLookupError:
                continue
            node = msgspec.structs.replace(node, pid=process.pid, started_at=process.started_at)
            self._write_notes(node)
            if _answers_within(node, _START_TIMEOUT_SECONDS):
                return node
            node.process.end(timeout_seconds=self._stop_timeout_seconds)
            self._end_epmd(node.epmd_port)
        tail = self._log.read_text(errors="replace")[-4000:]
        raise BrokerFailed(f"RabbitMQ did not start; {self._log} ends with:\n{tail}")

    def _write_configuration(self, node: _Node) -> None:
        (self._folder / "rabbitmq.conf").write_text(
            f"listeners.tcp.local = 127.0.0.1:{node.amqp_port}\n"
            "management.tcp.ip = 127.0.0.1\n"
            f"management.tcp.port = {node.management_port}\n"
            f"default_user = {_USER}\n"
            f"default_pass = {node.password}\n"
            "log.file.level = warning\n"
            # The default log of quorum queues may grow to 512 MiB before it is cut.
            "raft.wal_max_size_bytes = 64000000\n"
        )
        (self._folder / "rabbitmq.conf").chmod(0o600)
        (self._folder / "enabled_plugins").write_text("[rabbitmq_management].\n")

    def _environment(self, node: _Node) -> dict[str, str]:
        folder = self._folder
        return inherited("PATH", "LANG", "TMPDIR") | {
            "HOME": str(folder),  # where Erlang keeps its cookie
            "ERL_EPMD_PORT": str(node.epmd_port),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODENAME": _NODE,
            "RABBITMQ_DIST_PORT": str(node.distribution_port),
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": (
                "-kernel inet_dist_use_interface {127,0,0,1}"  # all interfaces otherwise
            ),
            "RABBITMQ_CONF_ENV_FILE": str(folder / "none"),  # nothing of a system-wide node
            "RABBITMQ_CONFIG_FILE": str(folder / "rabbitmq.conf"),
            "RABBITMQ_ADVANCED_CONFIG_FILE": str(folder / "none.config"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(folder / "enabled_plugins"),
            "RABBITMQ_MNESIA_BASE": str(folder / "mnesia"),
            "RABBITMQ_LOG_BASE": str(folder / "log"),
            "RABBITMQ_PID_FILE": str(folder / "node.pid"),
            # The start script then becomes the node instead of guarding it: one process to end.
            "RABBITMQ_ALLOW_INPUT": "",
            "RUNNING_UNDER_SYSTEMD": "true",
        }

    @property
    def _log(self) -> Path:
        return self._folder / "server.log"

    def _end_epmd(self, port: int) -> None:
        """End the node's name service, which Erlang starts and leaves behind."""
        epmd = shutil.which("epmd")
        if epmd is None:
            found = sorted(Path("/usr/lib/erlang").glob("erts-*/bin/epmd"))
            epmd = str(found[-1]) if found else None
        if epmd is None:
            return
        # It refuses as long as it believes the node to live, a moment longer than that does.
        deadline = time.monotonic() + _EPMD_TIMEOUT_SECONDS
        while not port_is_free(port) and time.monotonic() < deadline:
            subprocess.run(
                [epmd, "-port", str(port), "-kill"], capture_output=True, check=False, timeout=10
            )
            time.sleep(0.02)

    def _read_notes(self) -> _Node | None:
        try:
            return msgspec.json.decode(self._notes.read_bytes(), type=_Node)
        except (FileNotFoundError, msgspec.DecodeError):
            return None

    def _write_notes(self, node: _Node) -> None:
        draft = self._notes.with_suffix(".draft")
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb") as notes:
            notes.write(msgspec.json.encode(node))
        draft.replace(self._notes)


def speaks_amqp(port: int) -> bool:
    """Whether whatever listens at `port` greets an AMQP client as a broker does."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=2) as connection:
            connection.settimeout(2)
            connection.sendall(_PROTOCOL_HEADER)
            return connection.recv(1) == b"\x01"  # a method frame: connection.start
    except OSError:
        return False


def _answers_within(node: _Node, timeout_seconds: float) -> bool:
    deadline = time.monotonic() + timeout_seconds
    while node.process.alive() and time.monotonic() < deadline:
        if speaks_amqp(node.amqp_port):
            return True
        time.sleep(0.05)
    return False


def _url(node: _Node) -> str:
    return f"amqp://{_USER}:{node.password}@127.0.0.1:{node.amqp_port}/"
