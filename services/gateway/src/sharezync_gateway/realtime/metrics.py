"""What the socket engine counts."""

from functools import cache
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge

from sharezync_gateway.realtime.protocol import CloseCode

_OUR_CODES: Final = frozenset(CloseCode)


class SocketMetrics:
    """The metrics of one node's sockets, in `registry`."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.connections = Gauge(
            "sharezync_ws_connections", "Authenticated WebSocket connections", registry=registry
        )
        self.delivered = Counter(
            "sharezync_ws_frames_delivered_total",
            "Stream frames that were written to connections",
            registry=registry,
        )
        self._dropped = Counter(
            "sharezync_ws_frames_dropped_total",
            "Stream frames that were not written to a connection, by reason",
            ("reason",),
            registry=registry,
        )
        self._closes = Counter(
            "sharezync_ws_closes_total",
            "Closed connections by close code",
            ("code",),
            registry=registry,
        )
        self._resumes = Counter(
            "sharezync_ws_resumes_total",
            "Streams that clients resumed, by result",
            ("result",),
            registry=registry,
        )
        self.queue_bytes = Gauge(
            "sharezync_ws_send_queue_bytes",
            "Bytes queued for sending on all connections; sampled every second",
            registry=registry,
        )
        self._pulls = Counter(
            "sharezync_gateway_revocation_pulls_total",
            "Requests to auth for revocations, by result",
            ("result",),
            registry=registry,
        )
        self._presence_requests = Counter(
            "sharezync_gateway_presence_requests_total",
            "Requests to auth for presence, by result",
            ("result",),
            registry=registry,
        )
        self._heartbeats = Counter(
            "sharezync_gateway_heartbeats_total",
            "Heartbeats to auth, by result",
            ("result",),
            registry=registry,
        )
        self.device_lists = Counter(
            "sharezync_gateway_device_lists_total",
            "Lists of this node's devices sent because auth did not know the last one",
            registry=registry,
        )
        # Finding a label's child takes a lock and a dictionary; these are few.
        self.dropped = cache(self._dropped.labels)
        self.resumes = cache(self._resumes.labels)
        self.pulls = cache(self._pulls.labels)
        self.presence_requests = cache(self._presence_requests.labels)
        self.heartbeats = cache(self._heartbeats.labels)

    def closed(self, code: int) -> None:
        """Count one socket's end. Codes that a client made up are counted together."""
        known = 1000 <= code < 1016 or code in _OUR_CODES
        self._closes.labels(str(code) if known else "other").inc()
