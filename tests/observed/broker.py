"""A broker that tells Prometheus of its queues, as production's do."""

import subprocess
from pathlib import Path
from typing import Any

from sharezync_embedded.processes import free_port
from sharezync_embedded.provision import find_server
from sharezync_embedded.rabbitmq import DevBroker


class MeasuredBroker(DevBroker):
    """With RabbitMQ's own plugin, at `metrics_port`."""

    def __init__(self, data_dir: Path) -> None:
        server = find_server()
        assert server is not None, "no RabbitMQ is installed"
        super().__init__(data_dir, server, durable=False)
        self.metrics_port = free_port()

    def control(self, *arguments: str) -> None:
        """Run `rabbitmqctl`, as this node's operator would."""
        node = self._read_notes()
        assert node is not None
        subprocess.run(
            [self.server.parent / "rabbitmqctl", *arguments],
            env=self._environment(node),
            check=True,
            capture_output=True,
            timeout=60,
        )

    def _write_configuration(self, node: Any) -> None:
        super()._write_configuration(node)
        with (self._folder / "rabbitmq.conf").open("a") as configuration:
            configuration.write(
                f"prometheus.tcp.ip = 127.0.0.1\nprometheus.tcp.port = {self.metrics_port}\n"
            )
        plugins = "[rabbitmq_management,rabbitmq_prometheus].\n"
        (self._folder / "enabled_plugins").write_text(plugins)
