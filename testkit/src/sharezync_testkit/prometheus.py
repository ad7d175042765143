"""A real Prometheus on 127.0.0.1, for tests of what is asked of it."""

import json
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self

import yaml

from sharezync_embedded.processes import free_port
from sharezync_testkit.programs import PROMETHEUS
from sharezync_testkit.waiting import GIVE_UP_SECONDS

Series = dict[str, Any]
"""As Prometheus answers: `metric` (labels), and `value` or `values`."""

_LOOK_SECONDS: Final = 0.1


@dataclass(frozen=True)
class Job:
    """What is scraped under one name: targets are `host:port`."""

    name: str
    targets: Sequence[str]
    path: str = "/metrics"
    params: Mapping[str, Sequence[str]] | None = None

    def config(self) -> dict[str, Any]:
        """Return it as prometheus.yml has it."""
        return {
            "job_name": self.name,
            "metrics_path": self.path,
            "params": {name: list(values) for name, values in (self.params or {}).items()},
            "static_configs": [{"targets": list(self.targets)}],
        }


class PrometheusServer:
    """Scrapes `jobs` each `every_seconds`, and evaluates rules as often, in the block.

    Its data is under `folder`, and forgotten with that. Raises RuntimeError where none is
    installed, or it does not start.
    """

    def __init__(
        self, folder: Path, jobs: Sequence[Job], rules: Sequence[Path], *, every_seconds: int = 1
    ) -> None:
        self._folder = folder
        self._port = free_port()
        every = f"{every_seconds}s"
        config = {
            "global": {"scrape_interval": every, "evaluation_interval": every},
            "rule_files": [str(path) for path in rules],
            "scrape_configs": [job.config() for job in jobs],
        }
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "prometheus.yml").write_text(yaml.safe_dump(config))

    def __enter__(self) -> Self:
        program = PROMETHEUS.find()
        if program is None:
            raise RuntimeError("no prometheus is installed")
        with (self._folder / "prometheus.log").open("wb") as log:
            self._process = subprocess.Popen(
                [
                    program,
                    f"--config.file={self._folder / 'prometheus.yml'}",
                    f"--storage.tsdb.path={self._folder / 'data'}",
                    f"--web.listen-address=127.0.0.1:{self._port}",
                ],
                stdout=log,
                stderr=log,
            )
        deadline = time.monotonic() + GIVE_UP_SECONDS
        while not self._ready():
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.__exit__()
                raise RuntimeError((self._folder / "prometheus.log").read_text()[-4000:])
            time.sleep(_LOOK_SECONDS)
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def ask(self, query: str) -> list[Series]:
        """Return the series of a query at this moment."""
        return list(self._get("query", query=query)["result"])

    def ask_range(self, query: str, start: float, end: float, step: float) -> list[Series]:
        """Return the series of a query over a time, in seconds since the epoch."""
        told = self._get("query_range", query=query, start=start, end=end, step=step)
        return list(told["result"])

    def alerts(self) -> dict[str, str]:
        """Return the states of alerts (pending, firing) by name; that of the worst of each name."""
        found: dict[str, str] = {}
        for alert in self._get("alerts")["alerts"]:
            name = alert["labels"]["alertname"]
            found[name] = "firing" if found.get(name) == "firing" else alert["state"]
        return found

    def _ready(self) -> bool:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self._port}/-/ready", timeout=5):
                return True
        except (urllib.error.URLError, ConnectionError):
            return False

    def _get(self, what: str, **parameters: object) -> Any:  # noqa: ANN401 - any JSON
        asked = urllib.parse.urlencode(parameters)
        url = f"http://127.0.0.1:{self._port}/api/v1/{what}?{asked}"
        with urllib.request.urlopen(url, timeout=30) as answer:
            return json.loads(answer.read())["data"]
