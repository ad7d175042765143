"""Where a RabbitMQ for development and tests comes from, on whatever machine this is."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from sharezync_embedded import debian_packages
from sharezync_embedded.rabbitmq import Broker, DevBroker
from sharezync_embedded.rabbitmq_container import ContainerBroker

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


def say_on_stderr(line: str) -> None:
    """Show progress to the person who waits."""
    print(line, file=sys.stderr, flush=True)  # noqa: T201 - as it says


def provision(
    amqp_url: str | None,
    data_dir: Path,
    *,
    durable: bool = True,
    install: bool = True,
    say: Callable[[str], None] = say_on_stderr,
) -> Broker | None:
    """Find a RabbitMQ: the given one, an installed one, one from Debian's packages, a container.

    One of ours keeps its files under `data_dir`; with `durable=False` what it holds may be lost
    when it stops. `install=False` changes nothing on the machine. Installing takes minutes and
    needs root; `say` is given the progress. Returns None where no broker can be had, after saying
    so loudly.
    """
    if amqp_url:
        return Broker(amqp_url)
    server = find_server()
    if server is None and install and debian_packages.can_install():
        debian_packages.install([BROKER_PACKAGE], say)
        server = find_server()
    if server is not None:
        return DevBroker(data_dir, server, durable=durable)
    if _docker_answers():
        return ContainerBroker(data_dir)
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
