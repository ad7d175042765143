"""What is measured of connections to the database: how many there are, and who waits for one."""

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Gauge

from sharezync_shared.metrics import BatchHistogram, Observations, shared_metric


class PoolMetrics:
    """The pools of one service: `units` of work, hot `statements`, and what may take long."""

    def __init__(self, registry: CollectorRegistry, service: str) -> None:
        self._service = service
        self._connections = shared_metric(
            registry,
            Gauge,
            "sharezync_db_pool_connections",
            "Open connections to the database by state: used or idle",
            ("service", "pool", "state"),
        )
        self._most = shared_metric(
            registry,
            Gauge,
            "sharezync_db_pool_max_connections",
            "Connections that the pool may open",
            ("service", "pool"),
        )
        self._waits = shared_metric(
            registry,
            BatchHistogram,
            "sharezync_db_pool_wait_seconds",
            "Time until somebody had a connection, or none in 5 seconds",
            ("service", "pool"),
        )

    def watch(
        self, pool: str, *, most: int, used: Callable[[], int], idle: Callable[[], int]
    ) -> Observations:
        """Show a pool of at most so many connections; return where waits for one are counted.

        `used` and `idle` are called on any thread.
        """
        self._most.labels(self._service, pool).set(most)
        self._connections.labels(self._service, pool, "used").set_function(used)
        self._connections.labels(self._service, pool, "idle").set_function(idle)
        return self._waits.labels(self._service, pool)
