"""The development broker where RabbitMQ can't be installed but a Docker engine answers."""

import hashlib
import os
import secrets
import subprocess
import time
from pathlib import Path

from sharezync_embedded.rabbitmq import (
    START_TIMEOUT_SECONDS,
    USER,
    BrokerFailed,
    Login,
    OwnBroker,
    speaks_amqp,
)

CONTAINER_IMAGE = "rabbitmq:4-management"
_PULL_TIMEOUT_SECONDS = 900.0


class ContainerBroker(OwnBroker):
    """A container of `CONTAINER_IMAGE`, named after `data_dir`.

    What it stored is gone when it is stopped. Not safe to share between threads.
    """

    def __init__(self, data_dir: Path) -> None:
        data_dir = data_dir.absolute()
        timeout = _PULL_TIMEOUT_SECONDS + START_TIMEOUT_SECONDS
        super().__init__(data_dir, data_dir, start_timeout_seconds=timeout)
        digest = hashlib.sha256(os.fsencode(data_dir)).hexdigest()[:12]
        self._name = f"sharezync-rabbitmq-{digest}"
        self._password_path = data_dir / ".rabbitmq.password"

    def _login(self) -> Login | None:
        state = _docker("inspect", "--format", "{{.State.Running}}", self._name, check=False)
        if state != "true" or not self._password_path.exists():
            return None
        password = self._password_path.read_text().strip()
        return Login(password, self._port(5672), self._port(15672))

    def _find_running(self) -> Login | None:
        login = self._login()
        if login is not None:
            self._wait_until_it_answers(login.amqp_port)
        return login

    def _end(self) -> None:
        _docker("rm", "--force", "--volumes", self._name, check=False)

    def _launch(self) -> Login:
        self._end()
        password = secrets.token_hex(16)
        descriptor = os.open(self._password_path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(password)
        _docker(
            *("run", "--detach", "--name", self._name, "--hostname", "sharezync"),
            *("--publish", "127.0.0.1::5672", "--publish", "127.0.0.1::15672"),
            *("--env", f"RABBITMQ_DEFAULT_USER={USER}"),
            *("--env", f"RABBITMQ_DEFAULT_PASS={password}"),
            CONTAINER_IMAGE,
            timeout_seconds=_PULL_TIMEOUT_SECONDS,
        )
        login = Login(password, self._port(5672), self._port(15672))
        self._wait_until_it_answers(login.amqp_port)
        return login

    def _port(self, inside: int) -> int:
        # "127.0.0.1:49153", one line for each address
        published = _docker("port", self._name, f"{inside}/tcp")
        return int(published.splitlines()[0].rpartition(":")[2])

    def _wait_until_it_answers(self, port: int) -> None:
        deadline = time.monotonic() + START_TIMEOUT_SECONDS
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
