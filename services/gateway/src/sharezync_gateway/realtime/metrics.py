"""What the socket engine counts."""

import time
from collections.abc import Callable
from functools import cache
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge

from sharezync_gateway.realtime.protocol import CloseCode
from sharezync_shared.metrics import BatchHistogram
from sharezync_shared.streams.frames import time_of

UNKNOWN_TYPE: Final = "unknown"
"""What stands for types of frames that clients made up."""
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
        self._delivery = BatchHistogram(
            "sharezync_ws_delivery_seconds",
            "Time from the transaction of a stream's event to its frame's writing to a connection; "
            "both ends by their own clocks",
            (),
            registry=registry,
        ).labels()
        self._commands = BatchHistogram(
            "sharezync_ws_command_duration_seconds",
            "Time from a client's frame to its answer, by type and by what became of it: done, "
            "refused (the client's fault) or failed (ours)",
            ("type", "result"),
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
        polls = Counter(
            "sharezync_gateway_fallback_polls_total",
            "Requests to owners of streams for what the broker does not bring, by result",
            ("owner", "result"),
            registry=registry,
        )
        self.fallback_polls: Callable[[str, str], Counter] = cache(polls.labels)
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

    def delivered_after(self, encoded: bytes, times: int) -> None:
        """Count frames that were written now, the oldest of them first in `encoded`."""
        if times and (at := time_of(encoded)) is not None:
            self._delivery.observe(max(0.0, time.time() - at), times)

    def answered(self, frame_type: str, status: int, began: float) -> None:
        """Count a client's frame that came at `began`, by `time.perf_counter`.

        `status` is that of its refusal, as of HTTP; 200 where there was none.
        """
        result = "done" if status < 400 else "refused" if status < 500 else "failed"
        self._commands.labels(frame_type, result).observe(time.perf_counter() - began)

    def closed(self, code: int) -> None:
        """Count one socket's end. Codes that a client made up are counted together."""
        known = 1000 <= code < 1016 or code in _OUR_CODES
        self._closes(str(code) if known else "other").inc()
