"""The development broker where RabbitMQ can't be installed but a Docker engine answers."""

import hashlib
import os
import secrets
import subprocess
import time
from pathlib import Path

from sharezync_embedded.occupancy import Occupancy
from sharezync_embedded.rabbitmq import BrokerFailed, speaks_amqp

_USER = "sharezync"
_START_TIMEOUT_SECONDS = 120.0
_PULL_TIMEOUT_SECONDS = 900.0


class ContainerBroker:
    """A container of `image`, named after `data_dir` and shared by all who name that folder.

    What it stored is gone when it is stopped. Not safe to share between threads.
    """

    def __init__(self, data_dir: Path, image: str) -> None:
        self._data_dir = data_dir.absolute()
        self._image = image
        digest = hashlib.sha256(os.fsencode(self._data_dir)).hexdigest()[:12]
        self._name = f"sharezync-rabbitmq-{digest}"
        self._password_path = self._data_dir / ".rabbitmq.password"
        self._occupancy = Occupancy(self._data_dir, "rabbitmq")
        self.management_url: str | None = None

    def start(self, *, keep: bool = False) -> str:
        """Return the URL of a container that answers; see `rabbitmq.Broker`."""
        self._data_dir.mkdir(parents=True, exist_ok=True)
        timeout = _PULL_TIMEOUT_SECONDS + _START_TIMEOUT_SECONDS
        with self._occupancy.starting(keep=keep, timeout_seconds=timeout):
            if not self._running():
                self._launch()
            password = self._password_path.read_text().strip()
            port = self._port(5672)
            self._wait_until_it_answers(port)
        self.management_url = f"http://{_USER}:{password}@127.0.0.1:{self._port(15672)}"
        return f"amqp://{_USER}:{password}@127.0.0.1:{port}/"

    def stop(self, *, force: bool = False) -> bool:
        """Stop using the container; remove it where nobody else uses it. `force`: in any case."""
        if not self._data_dir.exists():
            return True
        timeout = _START_TIMEOUT_SECONDS
        with self._occupancy.stopping(force=force, timeout_seconds=timeout) as last:
            if last:
                _docker("rm", "--force", "--volumes", self._name, check=False)
            return last

    def url(self) -> str:
        """The AMQP URL of the running container. Raises BrokerFailed where none runs."""
        if not self._running():
            raise BrokerFailed(f"no container {self._name} runs")
        password = self._password_path.read_text().strip()
        return f"amqp://{_USER}:{password}@127.0.0.1:{self._port(5672)}/"

    def _running(self) -> bool:
        state = _docker("inspect", "--format", "{{.State.Running}}", self._name, check=False)
        return state == "true" and self._password_path.exists()

    def _launch(self) -> None:
        _docker("rm", "--force", "--volumes", self._name, check=False)
        password = secrets.token_hex(16)
        descriptor = os.open(self._password_path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(password)
        _docker(
            *("run", "--detach", "--name", self._name, "--hostname", "sharezync"),
            *("--publish", "127.0.0.1::5672", "--publish", "127.0.0.1::15672"),
            *("--env", f"RABBITMQ_DEFAULT_USER={_USER}"),
            *("--env", f"RABBITMQ_DEFAULT_PASS={password}"),
            self._image,
            timeout_seconds=_PULL_TIMEOUT_SECONDS,
        )

    def _port(self, inside: int) -> int:
        # "127.0.0.1:49153", one line for each address
        published = _docker("port", self._name, f"{inside}/tcp")
        return int(published.splitlines()[0].rpartition(":")[2])

    def _wait_until_it_answers(self, port: int) -> None:
        deadline = time.monotonic() + _START_TIMEOUT_SECONDS
        while not speaks_amqp(port):
            if time.monotonic() > deadline:
                raise BrokerFailed(f"the container {self._name} does not answer")
            time.sleep(0.1)


def _docker(*arguments: str, check: bool = True, timeout_seconds: float = 60) -> str:
    try:
        done = subprocess.run(
            ["docker", *arguments],
            capture_output=True,
            text=True,
            check=False,
            timeout=timeout_seconds,
        )
    except subprocess.TimeoutExpired:
        raise BrokerFailed(f"docker {arguments[0]} took over {timeout_seconds:g} s") from None
    if check and done.returncode != 0:
        raise BrokerFailed(f"docker {arguments[0]} failed: {done.stderr.strip()}")
    return done.stdout.strip()
