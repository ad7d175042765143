"""The fault matrix's fleet of containers: docker-compose.yml, hurt by docker's own commands.

`python -m tests.chaos.compose COMMAND` brings it up, runs the command with BASE_URL, takes it down.
"""

import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from tests.chaos.faults import Fault

ROOT: Final = Path(__file__).parents[2]
FILES: Final = ("docker-compose.yml", "deploy/compose.test.yml")
PROJECT: Final = "sharezync-test"
PORT: Final = os.environ.get("GATEWAY_PORT", "8000")
FRONT_ADDRESS: Final = os.environ.get("FRONT_ADDRESS", "172.30.64.2")
NETWORK: Final = f"{PROJECT}_default"
_UP_SECONDS: Final = 900

COMMANDS: Final = {
    Fault.KILL: ("kill", "start"),
    Fault.STOP: ("stop", "start"),
    Fault.PAUSE: ("pause", "unpause"),
}
"""Of `docker`, with the name of a container: how each fault begins and ends, but for a cut."""


class Containers:
    """A `Ground` of containers, behind the one address that is published."""

    name = "containers"
    gateways: Sequence[str] = (f"http://127.0.0.1:{PORT}",)
    victims: Sequence[str] = (
        "front-1", "gateway-1", "gateway-2", "auth-1", "chat-1", "transfer-1", "storage-1",
        "postgres-1", "rabbitmq-1", "s3-1",
    )  # fmt: skip

    def strike(self, victim: str, fault: Fault) -> None:
        """Do it to a container."""
        container = f"{PROJECT}-{victim}"
        if fault is Fault.CUT:
            docker("network", "disconnect", NETWORK, container)
        else:
            docker(COMMANDS[fault][0], container)

    def mend(self, victim: str, fault: Fault) -> None:
        """Undo it; the others find the container under its service's name again."""
        container = f"{PROJECT}-{victim}"
        if fault is not Fault.CUT:
            docker(COMMANDS[fault][1], container)
            return
        alias = ["--alias", victim.rpartition("-")[0]]
        if victim == "front-1":
            alias += ["--ip", FRONT_ADDRESS]
        docker("network", "connect", *alias, NETWORK, container)


def docker(*arguments: str) -> str:
    """Run docker, and return what it prints; raises RuntimeError with what it says of a failure."""
    done = subprocess.run(
        ["docker", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=_UP_SECONDS,
        check=False,
    )
    if done.returncode != 0:
        raise RuntimeError(f"docker {' '.join(arguments)}: {done.stderr}")
    return done.stdout


def docker_compose(*arguments: str) -> str:
    """Run docker compose on the project of the tests."""
    files = [part for name in FILES for part in ("--file", name)]
    return docker("compose", "--project-name", PROJECT, *files, *arguments)


@contextmanager
def compose() -> Iterator[Containers]:
    """The whole fleet for the block, from empty volumes, which go with it."""
    docker_compose("up", "--build", "--detach", "--wait", "--wait-timeout", str(_UP_SECONDS))
    try:
        yield Containers()
    finally:
        docker_compose("down", "--volumes", "--timeout", "30")


if __name__ == "__main__":
    with compose() as containers:
        environment = {**os.environ, "BASE_URL": containers.gateways[0]}
        sys.exit(subprocess.run(sys.argv[1:], env=environment, check=False).returncode)
