"""Where a RabbitMQ for development and tests comes from, on whatever machine this is."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

CONTAINER_IMAGE = "rabbitmq:4-management"
_APT_TIMEOUT_SECONDS = 900

# Asked by package scripts: may this service start?
_SERVICE_POLICY = Path("/usr/sbin/policy-rc.d")

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
class Given:
    """A broker that somebody else runs."""

    url: str


@dataclass(frozen=True)
class Installed:
    """RabbitMQ's own start script on this machine."""

    server: Path


@dataclass(frozen=True)
class Container:
    """A Docker engine that answers."""

    image: str = CONTAINER_IMAGE


Source = Given | Installed | Container


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)  # noqa: T201 - this speaks to whoever waits


def provision(
    amqp_url: str | None, *, install: bool = True, say: Callable[[str], None] = _say
) -> Source | None:
    """Find a RabbitMQ: the given one, an installed one, one from Debian's packages, a container.

    `install=False` changes nothing on the machine. Installing takes minutes and needs root; `say`
    hears of it. Returns None where there is none to be had, after having said so loudly.
    """
    if amqp_url:
        return Given(amqp_url)
    if server := find_server():
        return Installed(server)
    if install and os.geteuid() == 0 and shutil.which("apt-get"):
        _install_from_packages("rabbitmq-server", say)
        if server := find_server():
            return Installed(server)
    if _docker_answers():
        return Container()
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


def provision_redis(say: Callable[[str], None] = _say) -> bool:
    """See to it that `redis-server` is installed; False, and loudly, where that can't be done."""
    if shutil.which("redis-server"):
        return True
    if os.geteuid() == 0 and shutil.which("apt-get"):
        _install_from_packages("redis-server", say)
    if shutil.which("redis-server"):
        return True
    say("There is NO REDIS to be had: tests of rate limits that replicas share are LEFT OUT.")
    return False


def _install_from_packages(package: str, say: Callable[[str], None]) -> None:
    """Install a server from Debian's packages without letting it start a service of its own."""
    say(f"Installing Debian's package {package}, which is missing (a few minutes) …")
    env = dict(os.environ, DEBIAN_FRONTEND="noninteractive")
    ours = not _SERVICE_POLICY.exists()
    if ours:
        _SERVICE_POLICY.write_text("#!/bin/sh\nexit 101\n")
        _SERVICE_POLICY.chmod(0o755)
    try:
        for arguments in (
            ["update", "--quiet"],
            ["install", "--quiet", "--yes", "--no-install-recommends", package],
        ):
            done = subprocess.run(
                ["apt-get", "-o", "DPkg::Lock::Timeout=300", *arguments],
                env=env,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                check=False,
                timeout=_APT_TIMEOUT_SECONDS,
            )
            if done.returncode != 0:
                # A stale or partly unreachable package list may still do: the install decides.
                say(f"apt-get {arguments[0]} failed ({done.returncode}): {done.stderr[-2000:]}")
    except subprocess.TimeoutExpired:
        say(f"apt-get took longer than {_APT_TIMEOUT_SECONDS} s and was given up")
    finally:
        if ours:
            _SERVICE_POLICY.unlink(missing_ok=True)
    if shutil.which("systemctl"):  # nor at the next boot: it is there for development
        subprocess.run(["systemctl", "disable", package], capture_output=True, check=False)
