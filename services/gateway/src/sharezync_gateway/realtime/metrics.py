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
            "sharezync_ws_connections", "Open sockets whose user is known", registry=registry
        )
        self.delivered = Counter(
            "sharezync_ws_frames_delivered_total",
            "Frames of streams written to sockets",
            registry=registry,
        )
        self._dropped = Counter(
            "sharezync_ws_frames_dropped_total",
            "Frames of streams not written to a socket",
            ("reason",),
            registry=registry,
        )
        self._closes = Counter(
            "sharezync_ws_closes_total",
            "Sockets that ended, by the close code that either side gave",
            ("code",),
            registry=registry,
        )
        self._resumes = Counter(
            "sharezync_ws_resumes_total",
            "Streams that clients asked to resume, by what became of it",
            ("result",),
            registry=registry,
        )
        self.queue_bytes = Gauge(
            "sharezync_ws_send_queue_bytes",
            "Bytes that wait to be sent, all sockets together; sampled every second",
            registry=registry,
        )
        self._pulls = Counter(
            "sharezync_gateway_revocation_pulls_total",
            "Questions to auth about what was revoked, by what became of them",
            ("result",),
            registry=registry,
        )
        self._presence_asks = Counter(
            "sharezync_gateway_presence_asks_total",
            "Questions to auth about who is online, by what became of them",
            ("result",),
            registry=registry,
        )
        self._heartbeats = Counter(
            "sharezync_gateway_heartbeats_total",
            "Heartbeats to auth, on which the devices of this node are online",
            ("result",),
            registry=registry,
        )
        self.device_lists = Counter(
            "sharezync_gateway_device_lists_total",
            "Times that auth's belief about this node's devices was put right by the whole list",
            registry=registry,
        )
        # Finding a label's child takes a lock and a dictionary; these are few.
        self.dropped = cache(self._dropped.labels)
        self.resumes = cache(self._resumes.labels)
        self.pulls = cache(self._pulls.labels)
        self.presence_asks = cache(self._presence_asks.labels)
        self.heartbeats = cache(self._heartbeats.labels)

    def closed(self, code: int) -> None:
        """Count one socket's end. Codes that a client made up are counted together."""
        known = 1000 <= code < 1016 or code in _OUR_CODES
        self._closes.labels(str(code) if known else "other").inc()
