"""Five services in processes of their own on this machine, for development and tests.

On the PostgreSQL and the RabbitMQ that are given, or on ones that are brought up here.
"""

import signal
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from sharezync_embedded.logs import Console, last_lines
from sharezync_embedded.postgres import EmbeddedPostgres
from sharezync_embedded.processes import (
    STOP_TIMEOUT_SECONDS,
    delete_record,
    end_survivors,
    free_port,
    port_is_free,
    record_processes,
)
from sharezync_embedded.provision import provision
from sharezync_embedded.replica import Replica
from sharezync_embedded.secret_key import secret_key_of
from sharezync_shared.settings import SERVICES

WITH_DATABASE: Final = tuple(name for name in SERVICES if name != "gateway")

_MIGRATE_TIMEOUT_SECONDS = 120.0
_READY_TIMEOUT_SECONDS = 90.0
_LOOK_EVERY_SECONDS = 0.1


class FleetFailed(RuntimeError):
    """A part of the fleet did not start; the message ends with the end of its log."""


class Fleet:
    """A fleet with its files in `data_dir`, from `start` to `stop`.

    `port` is the gateway's, 0 any; the services get the four after it where those are free.
    Replica n of a service calls replica n (modulo their number) of every other: there is no
    balancer; `counts` says how many there are where it isn't one. `environment` goes to all
    processes, over what they inherit from us. `echo` shows their logs on our standard output. Not
    safe to share between threads.
    """

    def __init__(
        self,
        data_dir: Path,
        *,
        port: int = 0,
        counts: Mapping[str, int] | None = None,
        database_url: str | None = None,
        amqp_url: str | None = None,
        secret_key: str | None = None,
        environment: Mapping[str, str] | None = None,
        echo: bool = False,
    ) -> None:
        self._data_dir = data_dir.absolute()
        self._given_port = port
        self._counts = {**dict.fromkeys(SERVICES, 1), **(counts or {})}
        self._given_database_url = database_url
        self._given_amqp_url = amqp_url
        self._given_secret_key = secret_key
        self._database_url = ""
        self._amqp_url = ""
        self._environment = dict(environment or {})
        self._console = Console() if echo else None
        self._underneath = ExitStack()
        self.replicas: dict[str, list[Replica]] = {}

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
    def url(self) -> str:
        """The first gateway's base URL."""
        return self.replicas["gateway"][0].url

    @property
    def logs_dir(self) -> Path:
        """Where each replica has its log: `chat-0.log`."""
        return self._data_dir / "logs"

    def start(self) -> None:
        """Migrate, start everything, and return when every replica is ready.

        Processes that a killed fleet left on this folder are ended first. Raises FleetFailed;
        whatever had been started is stopped again then.
        """
        self.logs_dir.mkdir(parents=True, exist_ok=True)
        end_survivors(self._data_dir)
        try:
            self._place_replicas()
            with ThreadPoolExecutor(1) as beside:
                # A broker takes longest: the schemas are made meanwhile.
                broker = beside.submit(self._start_broker)
                self._database_url = self._start_database()
                if self._console:
                    self._console.start()
                self._migrate()
                self._amqp_url = broker.result()
            for replica in self._all():
                replica.start(self._environment_of(replica))
            self._record_processes()
            self._wait_until_ready(list(self._all()))
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Stop the gateways, then the services, then what was brought up under them.

        Each may finish what it is doing; one that takes over 30 s is killed. Stopping twice is
        fine.
        """
        gateways = self.replicas.get("gateway", [])
        services = [replica for replica in self._all() if replica not in gateways]
        for group in (gateways, services):
            _stop_all(group)
        delete_record(self._data_dir)
        if self._console:
            self._console.stop()
            self._console = None
        self._underneath.close()

    def dead(self) -> list[Replica]:
        """The replicas whose process has ended."""
        return [replica for replica in self._all() if replica.exit_code() is not None]

    def _all(self) -> Iterator[Replica]:
        for replicas in self.replicas.values():
            yield from replicas

    def _start_database(self) -> str:
        if self._given_database_url is not None:
            return self._given_database_url
        postgres = EmbeddedPostgres(self._data_dir)
        self._underneath.callback(postgres.stop)
        return postgres.start()

    def _start_broker(self) -> str:
        broker = provision(self._given_amqp_url, self._data_dir)
        if broker is None:
            raise FleetFailed("a fleet needs a RabbitMQ: install one, or set AMQP_URL")
        self._underneath.callback(broker.stop)
        return broker.start()

    def _place_replicas(self) -> None:
        base = self._given_port or free_port()
        if not port_is_free(base):
            raise FleetFailed(f"port {base} is taken; choose another: PORT={base + 100}")
        taken = {base}
        for offset, (name, count) in enumerate(self._counts.items(), start=1):
            self.replicas[name] = []
            for number in range(count):
                if name == "gateway" and number == 0:
                    port = base
                else:
                    port = _port(base + offset if number == 0 else None, taken)
                metrics_port = _port(port + 1000, taken)
                self._add(
                    Replica(
                        name,
                        number,
                        port=port,
                        metrics_port=metrics_port,
                        log_path=self.logs_dir / f"{name}-{number}.log",
                    )
                )

    def _add(self, replica: Replica) -> None:
        if replica.log_path.exists():
            replica.log_path.replace(replica.log_path.with_suffix(".log.1"))
        replica.log_path.touch()
        if self._console:
            self._console.follow(replica.label, replica.log_path)
        self.replicas[replica.name].append(replica)

    def _environment_of(self, replica: Replica) -> dict[str, str]:
        environment = {
            "DATA_DIR": str(self._data_dir),
            "DATABASE_URL": self._database_url,
            "AMQP_URL": self._amqp_url,
            "SECRET_KEY": self._given_secret_key or secret_key_of(self._data_dir),
        }
        if self._given_database_url is None and replica.name in WITH_DATABASE:
            # One login for all on a database of ours; each service then acts as its own role.
            environment["DATABASE_ROLE"] = f"sharezync_{replica.name}"
        for name in WITH_DATABASE:
            others = self.replicas[name]
            environment[f"{name.upper()}_URL"] = others[replica.number % len(others)].url
        return {**environment, **self._environment}

    def _migrate(self) -> None:
        running = {
            replica.label: (replica, replica.migrate(self._environment_of(replica)))
            for replica in (self.replicas[name][0] for name in WITH_DATABASE)
        }
        deadline = time.monotonic() + _MIGRATE_TIMEOUT_SECONDS
        try:
            for replica, process in running.values():
                code = process.wait(max(0.0, deadline - time.monotonic()))
                if code != 0:
                    raise _failure(replica, f"could not migrate its schema (exit code {code})")
        finally:
            for _replica, process in running.values():
                if process.poll() is None:
                    process.kill()
                    process.wait()

    def _wait_until_ready(self, replicas: list[Replica]) -> None:
        deadline = time.monotonic() + _READY_TIMEOUT_SECONDS
        # One after the other, in their own order: asking the gateway makes it ask all others.
        for waiting in replicas:
            while not waiting.ready():
                for replica in replicas:
                    if (code := replica.exit_code()) is not None:
                        raise _failure(replica, f"ended while starting (exit code {code})")
                if time.monotonic() > deadline:
                    raise _failure(waiting, f"not ready in {_READY_TIMEOUT_SECONDS:g} s")
                time.sleep(_LOOK_EVERY_SECONDS)

    def _record_processes(self) -> None:
        running = [identity for replica in self._all() if (identity := replica.identity)]
        record_processes(self._data_dir, running)


def _port(usual: int | None, taken: set[int]) -> int:
    """The usual port where it is free, or else another; it is `taken` from here on."""
    fits = usual is not None and usual < 2**16 and usual not in taken and port_is_free(usual)
    port = usual if usual is not None and fits else free_port(besides=taken)
    taken.add(port)
    return port


def _stop_all(replicas: list[Replica]) -> None:
    for replica in replicas:
        replica.signal(signal.SIGTERM)
    deadline = time.monotonic() + STOP_TIMEOUT_SECONDS
    for replica in replicas:
        if not replica.wait(max(0.0, deadline - time.monotonic())):
            replica.signal(signal.SIGKILL)
            replica.wait(10)


def _failure(replica: Replica, what: str) -> FleetFailed:
    return FleetFailed(
        f"{replica.label} {what}; its log ends with:\n{last_lines(replica.log_path)}"
    )
