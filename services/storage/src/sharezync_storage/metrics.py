"""What storage counts."""

from prometheus_client import CollectorRegistry, Counter


class StorageMetrics:
    """Bytes of content that came and went, by door."""

    def __init__(self, registry: CollectorRegistry) -> None:
        received = Counter(
            "sharezync_storage_received_bytes_total",
            "Bytes of content that were taken in and kept",
            ("door",),
            registry=registry,
        )
        self.form_bytes = received.labels("form")
        self.chunk_bytes = received.labels("chunks")
        served = Counter(
            "sharezync_storage_served_bytes_total",
            "Bytes of content that were asked for",
            ("door",),
            registry=registry,
        )
        self.content_bytes = served.labels("content")
        self.read_chunk_bytes = served.labels("chunks")
