"""Watches over what storage keeps: counts how things stand, and looks whether files are there.

Only looks and reports. Nothing is ever deleted, or given up for lost, because of what is seen here.
"""

from typing import Final
from uuid import UUID

import structlog

from sharezync_shared.work import UnitsOfWork
from sharezync_storage.metrics import StorageMetrics
from sharezync_storage.models import File
from sharezync_storage.states import UNFINISHED
from sharezync_storage.stores.port import BlobStore, NoSuchBlob

log = structlog.get_logger()

ROUND_SECONDS: Final = 60.0
_CHECKED_AT_A_TIME: Final = 60
"""One file a second: 86,000 a day, and no burden to any store."""

_NEXT: Final = """
SELECT id, store_key, size_bytes FROM storage.files
WHERE id > $1 AND deleted_at IS NULL ORDER BY id LIMIT $2
"""


# By the names of their figures in `metrics`.
_DELETIONS: Final = """
SELECT count(*) AS pending_deletions,
       COALESCE(sum(size_bytes), 0)::bigint AS pending_deletion_bytes,
       count(*) FILTER (WHERE attempts >= 3) AS failing_deletions,
       greatest(COALESCE(EXTRACT(EPOCH FROM $1 - min(due_at)), 0), 0)::float8
       AS oldest_due_deletion_seconds
FROM storage.deletions
"""
_USAGE: Final = """
SELECT COALESCE(sum(used_bytes), 0)::bigint AS used_bytes,
       COALESCE(sum(reserved_bytes), 0)::bigint AS reserved_bytes,
       (SELECT count(*) FROM storage.files WHERE let_go_at IS NOT NULL AND deleted_at IS NULL)
       AS detached_files,
       count(*) FILTER (WHERE (used_bytes + reserved_bytes) * 10 > $1::bigint * 9)
       AS users_near_quota
FROM storage.usage
"""
_UPLOADS: Final = """
SELECT state, door AS source, count(*) AS uploads,
       count(*) FILTER (WHERE expires_at < $1 AND state = ANY($2::text[])) AS expired
FROM storage.uploads WHERE expires_at IS NOT NULL GROUP BY 1, 2
"""


class StoreAudit:
    """Each minute counts, and looks for the objects of the next few files, round and round."""

    def __init__(
        self, work: UnitsOfWork, store: BlobStore, metrics: StorageMetrics, *, quota_bytes: int
    ) -> None:
        self._quota_bytes = quota_bytes
        self._work = work
        self._store = store
        self._metrics = metrics
        self._behind = UUID(int=0)
        self._missing: dict[UUID, tuple[str, int]] = {}
        """Keys and sizes of what was not there."""

    async def count(self) -> None:
        """Count how things stand, and show it. Some tens of milliseconds at a million users."""
        now = self._work.now()
        async with (await self._work.database.pool()).acquire() as connection:
            (deletions,) = await connection.fetch(_DELETIONS, now)
            (usage,) = await connection.fetch(_USAGE, self._quota_bytes)
            uploads = await connection.fetch(_UPLOADS, now, list(UNFINISHED))
        expired = sum(row["expired"] for row in uploads)
        self._metrics.show(
            {**deletions, **usage, "expired_uploads": expired},
            {(row["state"], row["source"]): row["uploads"] for row in uploads},
        )

    async def audit_next(self) -> None:
        """Look for the objects of the next files, and of those that were missing before.

        Raises what the store raises where it is away: then the same files are looked at again.
        """
        async with (await self._work.database.pool()).acquire() as connection:
            rows = await connection.fetch(_NEXT, self._behind, _CHECKED_AT_A_TIME)
        looked_at = self._missing | {
            row["id"]: (row["store_key"], row["size_bytes"]) for row in rows
        }
        missing = {
            file_id: where
            for file_id, where in looked_at.items()
            if await self._is_wrong(file_id, *where)
        }
        self._metrics.checked_files.inc(len(rows))
        self._behind = rows[-1]["id"] if rows else UUID(int=0)  # and begin anew
        for file_id in missing.keys() - self._missing.keys():
            log.error("content_missing", file_id=str(file_id))
        self._missing = missing
        self._metrics.missing_objects.set(len(missing))

    async def _is_wrong(self, file_id: UUID, store_key: str, size_bytes: int) -> bool:
        """Whether a file has no object of its size, and is still a file after the look."""
        try:
            if await self._store.size(store_key) == size_bytes:
                return False
        except NoSuchBlob:
            pass
        async with self._work.read() as unit:  # it may have been deleted a moment ago
            file = await unit.get(File, file_id)
        return file is not None and file.deleted_at is None
