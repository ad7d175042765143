"""The fault matrix's fleet of plain processes: gateways, services and what they stand on."""

import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final
from urllib.parse import parse_qs, urlsplit, urlunsplit

import psutil

from sharezync_embedded.fleet import WITH_DATABASE
from sharezync_embedded.postgres import EmbeddedPostgres
from sharezync_embedded.provision import find_server
from sharezync_embedded.rabbitmq import DevBroker
from sharezync_embedded.replica import Replica
from sharezync_testkit.drilled_fleet import DrilledFleet
from sharezync_testkit.strict_s3 import StrictS3Server
from tests.chaos.faults import Fault
from tests.chaos.network import Address, Network
from tests.conftest import GENEROUS

SECRET_KEY: Final = "Wc7kP2vRx9LmZt4QhB8nYs6DfJg3Ue5a"
ENVIRONMENT: Final = GENEROUS | {
    "DATABASE_POOL_SIZE": "5",
    "ACCESS_TOKEN_EXPIRE_MINUTES": "60",  # no writer's token ends within the run
}
_GONE_SECONDS = 40.0


class LinedFleet(DrilledFleet):
    """A fleet whose processes reach each other, and what they stand on, by lines of a network."""

    def __init__(self, folder: Path, network: Network, below: dict[str, str], bucket: str) -> None:
        super().__init__(
            folder,
            counts={"gateway": 2},
            amqp_url=below["rabbitmq"],
            database_url=below["postgres"],
            secret_key=SECRET_KEY,
            environment=ENVIRONMENT,
        )
        self._network = network
        self._below = below
        self._bucket = bucket
        self._lines: dict[str, dict[str, str]] = {}

    def _place_replicas(self) -> None:
        super()._place_replicas()
        for replica in (each for replicas in self.replicas.values() for each in replicas):
            self._lines[replica.label] = self._lines_of(replica)

    def _lines_of(self, replica: Replica) -> dict[str, str]:
        def by_line(target: str, url: str) -> str:
            port = self._network.line(replica.label, target, address_of(url))
            return at_port(url, port)

        found = {"AMQP_URL": by_line("rabbitmq", self._below["rabbitmq"])}
        for service in WITH_DATABASE:
            if service != replica.name:
                url = self.replicas[service][0].url
                found[f"{service.upper()}_URL"] = by_line(f"{service}-0", url)
        if replica.name in WITH_DATABASE:
            found["DATABASE_URL"] = by_line("postgres", self._below["postgres"])
        if replica.name == "storage":
            found |= {
                "S3_ENDPOINT_URL": by_line("s3", self._below["s3"]),
                "S3_BUCKET_NAME": self._bucket,
                "AWS_ACCESS_KEY_ID": StrictS3Server.access_key_id,
                "AWS_SECRET_ACCESS_KEY": StrictS3Server.secret_access_key,
                "AWS_DEFAULT_REGION": StrictS3Server.region,
            }
        return found

    def _environment_of(self, replica: Replica) -> dict[str, str]:
        return {**super()._environment_of(replica), **self._lines.get(replica.label, {})}


class Processes:
    """A `Ground` of processes. What clients send to a gateway goes by a line, too."""

    name = "processes"
    victims: Sequence[str] = (
        "gateway-0", *(f"{service}-0" for service in WITH_DATABASE), "postgres", "rabbitmq", "s3"
    )  # fmt: skip

    def __init__(
        self,
        fleet: LinedFleet,
        network: Network,
        servers: "Servers",
    ) -> None:
        self.fleet = fleet
        self._network = network
        self._servers = servers
        self.gateways = [
            f"http://127.0.0.1:{network.line('clients', replica.label, address_of(replica.url))}"
            for replica in fleet.replicas["gateway"]
        ]

    def strike(self, victim: str, fault: Fault) -> None:
        """Do it to a process and its children; one that is stopped has ended on return."""
        if fault is Fault.CUT:
            self._network.cut(victim)
            return
        tree = self._tree_of(victim)
        number = {
            Fault.KILL: signal.SIGKILL,
            Fault.PAUSE: signal.SIGSTOP,
            Fault.STOP: signal.SIGINT if victim == "postgres" else signal.SIGTERM,
        }[fault]
        # Who stops says so to its children itself; Swift's four servers are no family.
        for process in tree[:1] if fault is Fault.STOP and victim != "s3" else tree:
            process.send_signal(number)
        if fault is not Fault.PAUSE:
            _gone, alive = psutil.wait_procs(tree, _GONE_SECONDS)
            alive = [process for process in alive if process.status() != psutil.STATUS_ZOMBIE]
            assert not alive, f"{victim} did not end: {alive}"

    def mend(self, victim: str, fault: Fault) -> None:
        """Undo it; a service that had ended is ready on return, a server answers."""
        if fault is Fault.CUT:
            self._network.heal(victim)
        elif fault is Fault.PAUSE:
            for process in self._tree_of(victim):
                process.send_signal(signal.SIGCONT)
        elif victim in self._servers.starts:
            self._network.moved(victim, address_of(self._servers.starts[victim]()))
        else:
            name, _, number = victim.rpartition("-")
            self.fleet.restart(name, int(number))

    def _tree_of(self, victim: str) -> list[psutil.Process]:
        if victim in self._servers.pids:
            roots = self._servers.pids[victim]()
        else:
            name, _, number = victim.rpartition("-")
            identity = self.fleet.replicas[name][int(number)].identity
            roots = [identity.pid] if identity else []
        assert roots, f"{victim} does not run"
        found = [psutil.Process(pid) for pid in roots]
        return found + [child for root in found for child in root.children(recursive=True)]


class Servers:
    """PostgreSQL, RabbitMQ and an S3 server, each with files that outlive its process."""

    def __init__(self, folder: Path) -> None:
        program = find_server()
        assert program is not None, "no RabbitMQ is installed: make integration installs one"
        self.postgres = EmbeddedPostgres(folder)
        self.rabbitmq = DevBroker(folder, program)
        self.s3 = StrictS3Server(folder)
        self.starts: dict[str, Callable[[], str]] = {
            "postgres": self.postgres.start,
            "rabbitmq": self.rabbitmq.start,
            "s3": self.s3.start,
        }
        self.pids: dict[str, Callable[[], list[int]]] = {
            "postgres": lambda: _one(self.postgres.pid()),
            "rabbitmq": lambda: _one(self.rabbitmq.pid()),
            "s3": self.s3.pids,
        }

    def stop(self) -> None:
        for server in (self.s3, self.rabbitmq, self.postgres):
            server.stop(force=True)


@contextmanager
def processes(folder: Path) -> Iterator[Processes]:
    """A fleet for the block, with its files in `folder`."""
    with ExitStack() as stack:
        servers = Servers(folder)
        stack.callback(servers.stop)
        below = {name: start() for name, start in servers.starts.items()}
        network = stack.enter_context(Network())
        fleet = LinedFleet(folder / "fleet", network, below, servers.s3.bucket())
        stack.enter_context(fleet)
        yield Processes(fleet, network, servers)


def address_of(url: str) -> Address:
    """Return where a URL leads; PostgreSQL's by a socket, to the path of that."""
    parts = urlsplit(url)
    if "host" in parse_qs(parts.query):
        return f"{parse_qs(parts.query)['host'][0]}/.s.PGSQL.5432"
    return parts.hostname or "", parts.port or 0


def at_port(url: str, port: int) -> str:
    """Return a URL that leads to the same by way of a port of 127.0.0.1."""
    parts = urlsplit(url)
    login, at, _ = parts.netloc.rpartition("@")
    return urlunsplit(parts._replace(netloc=f"{login}{at}127.0.0.1:{port}", query=""))


def _one(pid: int | None) -> list[int]:
    return [] if pid is None else [pid]
