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
from abc import ABC, abstractmethod
from pathlib import Path
from typing import NamedTuple

import msgspec

from sharezync_embedded.broker_policies import set_policies
from sharezync_embedded.occupancy import Occupancy
from sharezync_embedded.processes import (
    ProcessIdentity,
    free_port,
    inherited,
    port_is_free,
    spawn_apart,
)

_NODE = "sharezync@localhost"  # "localhost" resolves on every machine, a host name doesn't
USER = "sharezync"
START_TIMEOUT_SECONDS = 120.0
_STOP_TIMEOUT_SECONDS = 30.0
_POLICIES_TIMEOUT_SECONDS = 30.0
_EPMD_TIMEOUT_SECONDS = 5.0
_PROTOCOL_HEADER = b"AMQP\x00\x00\x09\x01"  # AMQP 0-9-1, 4.2.2


class BrokerFailed(RuntimeError):
    """The broker could not be started or stopped; the message says why."""


class Login(NamedTuple):
    """Where a broker on this machine answers, and by which password."""

    password: str
    amqp_port: int
    management_port: int

    @property
    def url(self) -> str:
        """The AMQP URL."""
        return f"amqp://{USER}:{self.password}@127.0.0.1:{self.amqp_port}/"


class Broker:
    """A RabbitMQ that can be used from `start` until `stop`: here, one that somebody else runs."""

    management_url: str | None = None
    """Base URL of its HTTP API, with credentials; None: it has none that we know of."""

    def __init__(self, url: str) -> None:
        self._url = url

    def start(self, *, keep: bool = False) -> str:  # noqa: ARG002 - for those that override it
        """Return the AMQP URL of a broker that answers. With `keep` it outlives its users.

        Raises BrokerFailed.
        """
        return self._url

    def stop(self, *, force: bool = False) -> bool:  # noqa: ARG002 - as above
        """Stop using it; stop it where nobody else uses it, with `force` in any case.

        Returns whether it is down now.
        """
        return False

    def url(self) -> str:
        """The AMQP URL of the running broker. Raises BrokerFailed where none runs."""
        return self._url


class OwnBroker(Broker, ABC):
    """One that we start and stop, shared by all who name the same data folder."""

    def __init__(self, data_dir: Path, folder: Path, *, start_timeout_seconds: float) -> None:
        """`folder` is where it keeps its files; another user may take so long to start it."""
        self._folder = folder
        self._lock_timeout_seconds = start_timeout_seconds * 2
        self._occupancy = Occupancy(data_dir, "rabbitmq")

    def start(self, *, keep: bool = False) -> str:
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with self._occupancy.starting(keep=keep, timeout_seconds=self._lock_timeout_seconds):
            login = self._find_running() or self._launch()
        self.management_url = f"http://{USER}:{login.password}@127.0.0.1:{login.management_port}"
        try:
            set_policies(self.management_url, timeout_seconds=_POLICIES_TIMEOUT_SECONDS)
        except OSError as error:
            raise BrokerFailed(f"the broker's HTTP API takes no policies: {error}") from error
        return login.url

    def stop(self, *, force: bool = False) -> bool:
        if not self._folder.exists():
            return True
        timeout = self._lock_timeout_seconds
        with self._occupancy.stopping(force=force, timeout_seconds=timeout) as last:
            if last:
                self._end()
            return last

    def url(self) -> str:
        login = self._login()
        if login is None:
            raise BrokerFailed(f"no RabbitMQ runs on {self._folder}")
        return login.url

    @abstractmethod
    def _login(self) -> Login | None:
        """Return how to reach the one that runs; None where none does."""

    @abstractmethod
    def _find_running(self) -> Login | None:
        """Return how to reach one that answers; end one that doesn't."""

    @abstractmethod
    def _launch(self) -> Login:
        """Start it, and return when it answers. Raises BrokerFailed."""

    @abstractmethod
    def _end(self) -> None:
        """Stop it, if it runs."""


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

    @property
    def login(self) -> Login:
        return Login(self.password, self.amqp_port, self.management_port)


class DevBroker(OwnBroker):
    """The node under `data_dir/rabbitmq`, run by `server`.

    One that survived its users is taken over, one that was killed is started again on what it had
    stored, and at the same address if that is still free: its users are looking for it there.
    `durable=False` is for tests: it is then not stopped but killed, six seconds faster, and what
    it had in memory is lost. Not safe to share between threads.
    """

    def __init__(self, data_dir: Path, server: Path, *, durable: bool = True) -> None:
        data_dir = data_dir.absolute()
        folder = data_dir / "rabbitmq"
        super().__init__(data_dir, folder, start_timeout_seconds=START_TIMEOUT_SECONDS)
        self.server = server
        self._notes = folder / "node.json"
        self._stop_timeout_seconds = _STOP_TIMEOUT_SECONDS if durable else 0.0

    def pid(self) -> int | None:
        """The process id of the running node; None where none runs."""
        node = self._read_notes()
        return node.pid if node and node.process.alive() else None

    def _login(self) -> Login | None:
        node = self._read_notes()
        return node.login if node and node.process.alive() else None

    def _find_running(self) -> Login | None:
        node = self._read_notes()
        if node is None:
            return None
        if _answers_within(node, START_TIMEOUT_SECONDS / 2):
            return node.login
        self._end()  # alive, yet deaf
        return None

    def _end(self) -> None:
        if node := self._read_notes():
            node.process.end(timeout_seconds=self._stop_timeout_seconds)
            self._end_epmd(node.epmd_port)

    def _launch(self) -> Login:
        before = self._read_notes()
        password = before.password if before else secrets.token_hex(16)
        for _attempt in range(3):  # a free port may be somebody else's a moment later
            amqp_port = free_port()
            if before and port_is_free(before.amqp_port):
                amqp_port = before.amqp_port
            node = _Node(password, amqp_port, free_port(), free_port(), free_port())
            self._write_configuration(node)
            try:
                process = spawn_apart(
                    [self.server], env=self._environment(node), log_path=self._log
                )
            except ProcessLookupError:
                continue
            node = msgspec.structs.replace(node, pid=process.pid, started_at=process.started_at)
            self._write_notes(node)
            if _answers_within(node, START_TIMEOUT_SECONDS):
                return node.login
            self._end()
        tail = self._log.read_text(errors="replace")[-4000:]
        raise BrokerFailed(f"RabbitMQ did not start; {self._log} ends with:\n{tail}")

    def _write_configuration(self, node: _Node) -> None:
        (self._folder / "rabbitmq.conf").write_text(
            f"listeners.tcp.local = 127.0.0.1:{node.amqp_port}\n"
            "management.tcp.ip = 127.0.0.1\n"
            f"management.tcp.port = {node.management_port}\n"
            f"default_user = {USER}\n"
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
