"""What the socket engine counts."""

from collections.abc import Callable
from functools import cache
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge

from sharezync_gateway.realtime.protocol import CloseCode

_OUR_CODES: Final = frozenset(CloseCode)


class SocketMetrics:
    def __init__(self, registry: CollectorRegistry) -> None:
        def by(label: str, name: str, text: str) -> Callable[[str], Counter]:
            # Finding a label's child takes a lock and a dictionary; these are few.
            return cache(Counter(name, text, (label,), registry=registry).labels)

        self.connections = Gauge(
            "sharezync_ws_connections", "Authenticated WebSocket connections", registry=registry
        )
        self.queue_bytes = Gauge(
            "sharezync_ws_send_queue_bytes",
            "Bytes queued for sending on all connections; sampled every second",
            registry=registry,
        )
        self.delivered = Counter(
            "sharezync_ws_frames_delivered_total",
            "Stream frames that were written to connections",
            registry=registry,
        )
        self.device_lists = Counter(
            "sharezync_gateway_device_lists_total",
            "Lists of this node's devices sent because auth did not know the last one",
            registry=registry,
        )
        self.dropped = by(
            "reason",
            "sharezync_ws_frames_dropped_total",
            "Stream frames that were not written to a connection, by reason",
        )
        self._closes = by("code", "sharezync_ws_closes_total", "Closed connections by close code")
        self.resumes = by(
            "result", "sharezync_ws_resumes_total", "Streams that clients resumed, by result"
        )
        self.pulls = by(
            "result",
            "sharezync_gateway_revocation_pulls_total",
            "Requests to auth for revocations, by result",
        )
        self.presence_requests = by(
            "result",
            "sharezync_gateway_presence_requests_total",
            "Requests to auth for presence, by result",
        )
        self.heartbeats = by(
            "result", "sharezync_gateway_heartbeats_total", "Heartbeats to auth, by result"
        )

    def written(self, delivered: int, lost: int, reason: str) -> None:
        """Count frames of streams that went to connections, and those that did not, and why."""
        self.delivered.inc(delivered)
        if lost:
            self.dropped(reason).inc(lost)

    def closed(self, code: int) -> None:
        """Count one socket's end. Codes that a client made up are counted together."""
        known = 1000 <= code < 1016 or code in _OUR_CODES
        self._closes(str(code) if known else "other").inc()
