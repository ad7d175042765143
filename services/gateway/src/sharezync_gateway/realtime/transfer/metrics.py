"""What transfers on sockets count."""

from prometheus_client import CollectorRegistry, Counter


class TransferMetrics:
    """The metrics of one node's transfers, in `registry`."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.stored_bytes = Counter(
            "sharezync_ws_chunk_stored_bytes_total",
            "Bytes of chunks that came up sockets and were stored",
            registry=registry,
        )
        self.delivered_bytes = Counter(
            "sharezync_ws_chunk_delivered_bytes_total",
            "Bytes of chunks that went down sockets",
            registry=registry,
        )
        self.refused = Counter(
            "sharezync_ws_chunks_refused_total",
            "Chunks that came up sockets and were refused, by the code that the sender was told",
            ("code",),
            registry=registry,
        )
        self.stalled = Counter(
            "sharezync_ws_deliveries_stalled_total",
            "Times that a receiver acknowledged nothing for so long that pushing was given up",
            registry=registry,
        )
