"""What storage counts, and what it tells of the state of things."""

from prometheus_client import CollectorRegistry, Counter, Gauge

from sharezync_storage.usecases.figures import Figures


class StorageMetrics:
    """Bytes of content that came and went, by door; what is kept, reserved, and waits to go."""

    def __init__(self, registry: CollectorRegistry) -> None:
        received = Counter(
            "sharezync_storage_received_bytes_total",
            "Bytes of content that were taken in and kept",
            ("door",),
            registry=registry,
        )
        self.form_bytes = received.labels("form")
        self.chunk_bytes = received.labels("chunks")
        self.tus_bytes = received.labels("tus")
        self.direct_bytes = received.labels("direct")
        served = Counter(
            "sharezync_storage_served_bytes_total",
            "Bytes of content that were asked for",
            ("door",),
            registry=registry,
        )
        self.content_bytes = served.labels("content")
        self.read_chunk_bytes = served.labels("chunks")
        self.link_bytes = served.labels("links")
        self._gauges = _Gauges(registry)
        self.missing_objects = Gauge(
            "sharezync_storage_missing_objects",
            "Finished files whose object is not in the store, or has another size: lost content",
            registry=registry,
        )
        self.checked_files = Counter(
            "sharezync_storage_checked_files_total",
            "Finished files whose object was looked for",
            registry=registry,
        )

    def show(self, figures: Figures) -> None:
        """Tell how things stand. Every replica tells the same, of the whole."""
        self._gauges.show(figures)


class _Gauges:
    """Taken from the database once a minute, not from what this process did."""

    def __init__(self, registry: CollectorRegistry) -> None:
        def gauge(name: str, help_text: str, *labels: str) -> Gauge:
            return Gauge(f"sharezync_storage_{name}", help_text, labels, registry=registry)

        self._pending = gauge(
            "pending_deletions", "Keys that nobody needs and that are still to be deleted"
        )
        self._pending_bytes = gauge(
            "pending_deletion_bytes", "About how many bytes lie under these keys"
        )
        self._oldest = gauge(
            "oldest_due_deletion_seconds", "For how long the oldest of them has been due"
        )
        self._failing = gauge(
            "failing_deletions", "Keys that could not be deleted at least three times"
        )
        self._expired = gauge(
            "expired_uploads", "Uploads whose time is over and that were not given up yet"
        )
        self._uploads = gauge(
            "uploads", "Uploads that have not become a file, by state and door", "state", "door"
        )
        self._let_go = gauge(
            "let_go_files", "Files that their owner has deleted and others still hold"
        )
        self._used = gauge("used_bytes", "Bytes of files, as they count in quotas")
        self._reserved = gauge("reserved_bytes", "Bytes that uploads under way have reserved")

    def show(self, figures: Figures) -> None:
        self._pending.set(figures.pending_deletions)
        self._pending_bytes.set(figures.pending_deletion_bytes)
        self._oldest.set(figures.oldest_due_deletion_seconds)
        self._failing.set(figures.failing_deletions)
        self._expired.set(figures.expired_uploads)
        self._let_go.set(figures.let_go_files)
        self._used.set(figures.used_bytes)
        self._reserved.set(figures.reserved_bytes)
        self._uploads.clear()  # a state that nothing is in any more has no figure
        for (state, door), count in figures.uploads.items():
            self._uploads.labels(state, door).set(count)
