"""What transfers on sockets count."""

from prometheus_client import CollectorRegistry, Counter


class TransferMetrics:
    """The metrics of one node's transfers, in `registry`."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.stored_bytes = Counter(
            "sharezync_ws_chunk_stored_bytes_total",
            "Bytes of stored chunks that were received on connections",
            registry=registry,
        )
        self.delivered_bytes = Counter(
            "sharezync_ws_chunk_delivered_bytes_total",
            "Bytes of chunks that were sent on connections",
            registry=registry,
        )
        self.refused = Counter(
            "sharezync_ws_chunks_refused_total",
            "Refused chunks that were received on connections, by error code",
            ("code",),
            registry=registry,
        )
        self.stalled = Counter(
            "sharezync_ws_deliveries_stalled_total",
            "Deliveries that stopped because the recipient acknowledged nothing for too long",
            registry=registry,
        )
