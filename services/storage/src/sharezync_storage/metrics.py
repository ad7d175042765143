"""Metrics of storage."""

import shutil
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge

_TOTALS: Final[Mapping[str, str]] = {
    "pending_deletions": "Objects that are scheduled for deletion",
    "pending_deletion_bytes": "Approximate size of the objects that are scheduled for deletion",
    "oldest_due_deletion_seconds": "Time since the oldest scheduled deletion was due",
    "failing_deletions": "Objects whose deletion failed at least three times",
    "expired_uploads": "Expired uploads that were not deleted yet",
    "detached_files": "Files that their owner has deleted, but are still referenced",
    "used_bytes": "Bytes of files, as they count in quotas",
    "reserved_bytes": "Bytes that are reserved for uploads",
    "users_near_quota": "Users who have less than a tenth of their quota left",
}
"""Gauges of the figures that `auditing` counts, by their names."""
_SAME: Final = "; counted in the database, the same in every replica"


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
        # Taken from the database once a minute, not from what this process did.
        self._totals = {
            name: Gauge(f"sharezync_storage_{name}", text + _SAME, registry=registry)
            for name, text in _TOTALS.items()
        }
        self._uploads = Gauge(
            "sharezync_storage_uploads",
            "Unfinished uploads by state and source" + _SAME,
            ("state", "source"),
            registry=registry,
        )
        self.missing_objects = Gauge(
            "sharezync_storage_missing_objects",
            "Files whose object is missing in the store or has the wrong size; about the same in "
            "every replica",
            registry=registry,
        )
        self.checked_files = Counter(
            "sharezync_storage_checked_files_total",
            "Files whose object was checked",
            registry=registry,
        )

    def watch_disk(self, folder: Path, registry: CollectorRegistry) -> None:
        """Show how full the disk is on which files are kept, as it is when somebody asks."""
        for name, text in (("free", "may still be written"), ("total", "there are in all")):
            gauge = Gauge(
                f"sharezync_storage_disk_{name}_bytes",
                f"Bytes that {text} on the disk of the folder of files; the same in all replicas "
                "that share it",
                registry=registry,
            )
            gauge.set_function(partial(_disk_bytes, folder, name))

    def show(self, totals: Mapping[str, float], uploads: Mapping[tuple[str, str], int]) -> None:
        """Show how things stand; `uploads` by state and source. Every replica shows the same."""
        for name, gauge in self._totals.items():
            gauge.set(totals[name])
        self._uploads.clear()  # a state that nothing is in any more has no figure
        for labels, count in uploads.items():
            self._uploads.labels(*labels).set(count)


def _disk_bytes(folder: Path, name: str) -> float:
    return float(getattr(shutil.disk_usage(folder), name))
