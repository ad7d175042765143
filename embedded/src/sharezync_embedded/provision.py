"""Where a RabbitMQ for development and tests comes from, on whatever machine this is."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from sharezync_embedded import debian_packages

CONTAINER_IMAGE = "rabbitmq:4-management"
BROKER_PACKAGE = "rabbitmq-server"

# The programs themselves before the wrappers that distributions put into PATH: Debian's insists
# on its own system account.
_PLACES = (
    "/usr/lib/rabbitmq/bin",
    "/opt/rabbitmq/sbin",
    "/opt/homebrew/sbin",
    "/usr/local/sbin",
    "/usr/sbin",
)


@dataclass(frozen=True)
class ExternalBroker:
    """A broker that somebody else runs."""

    url: str


@dataclass(frozen=True)
class InstalledBroker:
    """RabbitMQ's own start script on this machine."""

    server: Path


@dataclass(frozen=True)
class ContainerEngine:
    """A Docker engine that answers."""

    image: str = CONTAINER_IMAGE


Source = ExternalBroker | InstalledBroker | ContainerEngine


def say_on_stderr(line: str) -> None:
    """Show progress to the person who waits."""
    print(line, file=sys.stderr, flush=True)  # noqa: T201 - as it says


def provision(
    amqp_url: str | None, *, install: bool = True, say: Callable[[str], None] = say_on_stderr
) -> Source | None:
    """Find a RabbitMQ: the given one, an installed one, one from Debian's packages, a container.

    `install=False` changes nothing on the machine. Installing takes minutes and needs root; `say`
    hears of it. Returns None where there is none to be had, after having said so loudly.
    """
    if amqp_url:
        return ExternalBroker(amqp_url)
    if server := find_server():
        return InstalledBroker(server)
    if install and debian_packages.can_install():
        debian_packages.install([BROKER_PACKAGE], say)
        if server := find_server():
            return InstalledBroker(server)
    if _docker_answers():
        return ContainerEngine()
    for line in (
        "=" * 78,
        "There is NO RABBITMQ to be had: none is installed, Debian's packages can't be installed",
        "here (that takes root and apt-get), no Docker engine answers, and AMQP_URL is not set.",
        "Whatever needs a real broker is LEFT OUT.",
        "=" * 78,
    ):
        say(line)
    return None


def find_server() -> Path | None:
    """RabbitMQ's start script on this machine; None where it isn't installed."""
    for place in _PLACES:
        if os.access(server := Path(place, "rabbitmq-server"), os.X_OK):
            return server
    found = shutil.which("rabbitmq-server")
    return Path(found) if found else None


def _docker_answers() -> bool:
    if not shutil.which("docker"):
        return False
    try:
        asked = subprocess.run(
            ["docker", "info", "--format", "{{.ServerVersion}}"],
            capture_output=True,
            check=False,
            timeout=10,
        )
    except subprocess.TimeoutExpired:
        return False
    return asked.returncode == 0
