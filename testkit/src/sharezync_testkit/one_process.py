"""`sharezync-server up` in a process of its own, handled as a fleet is: for tests."""

import signal
import time
from collections.abc import Mapping
from pathlib import Path

from sharezync_embedded.fleet import FleetFailed
from sharezync_embedded.logs import last_lines
from sharezync_embedded.processes import free_port
from sharezync_embedded.replica import Replica

_READY_TIMEOUT_SECONDS = 60.0
_STOP_TIMEOUT_SECONDS = 40.0


class OneProcess:
    """Everything in one process on `data_dir`, at the same `url` whenever it is started.

    `environment` goes to the process, over what it inherits from us.
    """

    def __init__(
        self, data_dir: Path, *, port: int = 0, environment: Mapping[str, str] | None = None
    ) -> None:
        data_dir = data_dir.absolute()
        data_dir.mkdir(parents=True, exist_ok=True)
        port = port or free_port()
        self._replica = Replica(
            "embedded",
            0,
            port=port,
            metrics_port=free_port(besides=[port]),
            log_path=data_dir / "server.log",
            command="up",
        )
        self._environment = {**(environment or {}), "DATA_DIR": str(data_dir)}
        self.url = self._replica.url
        self.metrics_url = self._replica.metrics_url
        self.log_path = self._replica.log_path

    def start(self) -> float:
        """Start it and return after how many seconds it was ready. Raises FleetFailed."""
        began = time.monotonic()
        self._replica.start(self._environment)
        while not self._replica.ready():
            ended = self._replica.exit_code()
            if ended is not None or time.monotonic() - began > _READY_TIMEOUT_SECONDS:
                self.kill()
                what = "not ready in time" if ended is None else f"ended with exit code {ended}"
                raise FleetFailed(f"{what}; its log ends with:\n{last_lines(self.log_path)}")
            time.sleep(0.02)
        return time.monotonic() - began

    def stop(self) -> int | None:
        """Ask it to stop and return its exit code; None where it was never started.

        One that takes over 40 s is killed.
        """
        self._replica.signal(signal.SIGTERM)
        if not self._replica.wait(_STOP_TIMEOUT_SECONDS):
            self.kill()
        return self._replica.exit_code()

    @property
    def pid(self) -> int:
        """Its process id. Raises FleetFailed where it doesn't run."""
        identity = self._replica.identity
        if identity is None:
            raise FleetFailed("it does not run")
        return identity.pid

    def kill(self) -> None:
        """End it at once, as a crash would (SIGKILL). Its PostgreSQL runs on."""
        self._replica.signal(signal.SIGKILL)
        self._replica.wait(10)
