"""A fleet whose replicas tests kill, start again and give commands to."""

import signal
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sharezync_embedded.fleet import Fleet, FleetFailed
from sharezync_embedded.replica import Replica, command_line, inherited_with


class DrilledFleet(Fleet):
    """A `Fleet`, with what else it takes as `arguments`.

    `replica_environment` goes to single replicas, over the environment of all, by label:
    `{"gateway-1": {"AMQP_URL": …}}`.
    """

    def __init__(
        self,
        data_dir: Path,
        *,
        replica_environment: Mapping[str, Mapping[str, str]] | None = None,
        **arguments: Any,  # noqa: ANN401 - those of `Fleet`
    ) -> None:
        super().__init__(data_dir, **arguments)
        self._replica_environment = {**(replica_environment or {})}

    @property
    def urls(self) -> dict[str, list[str]]:
        """The base URLs of all replicas, by service."""
        return {name: [r.url for r in replicas] for name, replicas in self.replicas.items()}

    def kill(self, name: str, number: int = 0) -> None:
        """End one replica at once, as a crash would (SIGKILL)."""
        replica = self.replicas[name][number]
        replica.signal(signal.SIGKILL)
        replica.wait(10)

    def restart(self, name: str, number: int = 0) -> None:
        """Start a replica that has ended, on the same ports, and wait until it is ready."""
        replica = self.replicas[name][number]
        replica.start(self._environment_of(replica))
        self._record_processes()
        self._wait_until_ready([replica])

    def run(self, name: str, *arguments: str, timeout_seconds: float = 60) -> str:
        """Run a command of a service, as an operator would beside it, and return what it prints.

        `fleet.run("auth", "rotate-keys")` is `python -m sharezync_auth rotate-keys` in the
        environment of the first replica. Raises FleetFailed, with what it said, where it fails.
        """
        done = subprocess.run(
            command_line(name, *arguments),
            env=inherited_with(self._environment_of(self.replicas[name][0])),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout_seconds,
            check=False,
        )
        if done.returncode != 0:
            command = f"{name} {' '.join(arguments)}"
            raise FleetFailed(f"{command!r} ended with {done.returncode}: {done.stderr}")
        return done.stdout

    def _place_replicas(self) -> None:
        super()._place_replicas()
        labels = {replica.label for replicas in self.replicas.values() for replica in replicas}
        if strangers := self._replica_environment.keys() - labels:
            raise FleetFailed(f"no replica is called {', '.join(sorted(strangers))}")

    def _environment_of(self, replica: Replica) -> dict[str, str]:
        own = self._replica_environment.get(replica.label, {})
        return {**super()._environment_of(replica), **own}
