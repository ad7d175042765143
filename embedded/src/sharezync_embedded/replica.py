"""One service process of a fleet on this machine."""

import os
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path

from sharezync_embedded.processes import ProcessIdentity


class Replica:
    """Replica `number` (from 0) of the service `name`, listening on `port` of 127.0.0.1.

    Its output goes to `log_path`; its ports stay the same when it is started again. It is run by
    `python -m sharezync_<name> <command>`.
    """

    def __init__(
        self,
        name: str,
        number: int,
        *,
        port: int,
        metrics_port: int,
        log_path: Path,
        command: str = "serve",
    ) -> None:
        self._command = command
        self.name = name
        self.number = number
        self.port = port
        self.metrics_port = metrics_port
        self.log_path = log_path
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def label(self) -> str:
        """How it is called on the console: `chat-0`."""
        return f"{self.name}-{self.number}"

    @property
    def url(self) -> str:
        """Its base URL."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def metrics_url(self) -> str:
        """Where Prometheus finds it."""
        return f"http://127.0.0.1:{self.metrics_port}/metrics"

    @property
    def identity(self) -> ProcessIdentity | None:
        """Its process; None where none was started or it has ended."""
        if self._process is None or self._process.poll() is not None:
            return None
        return ProcessIdentity.from_pid(self._process.pid)

    def migrate(self, environment: Mapping[str, str]) -> subprocess.Popen[bytes]:
        """Begin `migrate` of this service, writing to its log."""
        return self._run("migrate", environment)

    def start(self, environment: Mapping[str, str]) -> None:
        """Start the process; it is ready some time later."""
        own = {
            "HOST": "127.0.0.1",
            "PORT": str(self.port),
            "METRICS_PORT": str(self.metrics_port),
        }
        self._process = self._run(self._command, {**environment, **own})

    def exit_code(self) -> int | None:
        """How the process ended: negative, a signal; None while it runs."""
        return self._process.poll() if self._process else None

    def ready(self) -> bool:
        """Whether `/ready` answers 200 just now."""
        try:
            with urllib.request.urlopen(f"{self.url}/ready", timeout=2) as answer:  # noqa: S310 - ours
                return bool(answer.status == 200)
        except (OSError, urllib.error.URLError):
            return False

    def signal(self, number: signal.Signals) -> None:
        """Send the process a signal, if it still runs."""
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(number)

    def wait(self, timeout_seconds: float) -> bool:
        """Wait for the process to end; returns whether it has."""
        if self._process is None:
            return True
        try:
            self._process.wait(timeout_seconds)
        except subprocess.TimeoutExpired:
            return False
        return True

    def _run(self, command: str, environment: Mapping[str, str]) -> subprocess.Popen[bytes]:
        with self.log_path.open("ab") as log:
            return subprocess.Popen(
                command_line(self.name, command),
                env=inherited_with(environment),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,  # Ctrl-C is for us: we stop them in order
            )


def command_line(service: str, *arguments: str) -> list[str]:
    """Return what runs a command of a service in a process of its own."""
    return [sys.executable, "-m", f"sharezync_{service}", *arguments]


def inherited_with(environment: Mapping[str, str]) -> dict[str, str]:
    """Return our own environment with `environment` over it."""
    return {**os.environ, **environment, "PYTHONUNBUFFERED": "1"}
