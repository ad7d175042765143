"""Metrics of storage."""

from prometheus_client import CollectorRegistry, Counter, Gauge

from sharezync_storage.usecases.totals import StorageTotals


class StorageMetrics:
    """Received and served bytes by source; stored, reserved, and scheduled for deletion."""

    def __init__(self, registry: CollectorRegistry) -> None:
        received = Counter(
            "sharezync_storage_received_bytes_total",
            "Bytes of content that were received and stored, by source",
            ("source",),
            registry=registry,
        )
        self.form_bytes = received.labels("form")
        self.chunk_bytes = received.labels("chunks")
        self.tus_bytes = received.labels("tus")
        self.direct_bytes = received.labels("direct")
        served = Counter(
            "sharezync_storage_served_bytes_total",
            "Bytes of content that were requested, by source",
            ("source",),
            registry=registry,
        )
        self.content_bytes = served.labels("content")
        self.read_chunk_bytes = served.labels("chunks")
        self.link_bytes = served.labels("links")
        self._gauges = _Gauges(registry)
        self.missing_objects = Gauge(
            "sharezync_storage_missing_objects",
            "Files whose object is missing in the store or has the wrong size",
            registry=registry,
        )
        self.checked_files = Counter(
            "sharezync_storage_checked_files_total",
            "Files whose object was checked",
            registry=registry,
        )

    def show(self, figures: StorageTotals) -> None:
        """Tell how things stand. Every replica tells the same, of the whole."""
        self._gauges.show(figures)


class _Gauges:
    """Taken from the database once a minute, not from what this process did."""

    def __init__(self, registry: CollectorRegistry) -> None:
        def gauge(name: str, help_text: str, *labels: str) -> Gauge:
            return Gauge(f"sharezync_storage_{name}", help_text, labels, registry=registry)

        self._pending = gauge("pending_deletions", "Objects that are scheduled for deletion")
        self._pending_bytes = gauge(
            "pending_deletion_bytes",
            "Approximate size of the objects that are scheduled for deletion",
        )
        self._oldest = gauge(
            "oldest_due_deletion_seconds", "Time since the oldest scheduled deletion was due"
        )
        self._failing = gauge(
            "failing_deletions", "Objects whose deletion failed at least three times"
        )
        self._expired = gauge("expired_uploads", "Expired uploads that were not deleted yet")
        self._uploads = gauge(
            "uploads", "Unfinished uploads by state and source", "state", "source"
        )
        self._let_go = gauge(
            "detached_files", "Files that their owner has deleted, but are still referenced"
        )
        self._used = gauge("used_bytes", "Bytes of files, as they count in quotas")
        self._reserved = gauge("reserved_bytes", "Bytes that are reserved for uploads")

    def show(self, figures: StorageTotals) -> None:
        self._pending.set(figures.pending_deletions)
        self._pending_bytes.set(figures.pending_deletion_bytes)
        self._oldest.set(figures.oldest_due_deletion_seconds)
        self._failing.set(figures.failing_deletions)
        self._expired.set(figures.expired_uploads)
        self._let_go.set(figures.let_go_files)
        self._used.set(figures.used_bytes)
        self._reserved.set(figures.reserved_bytes)
        self._uploads.clear()  # a state that nothing is in any more has no figure
        for (state, source), count in figures.uploads.items():
            self._uploads.labels(state, source).set(count)
