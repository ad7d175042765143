"""How things stand, for whoever watches over the place: counted in the database."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from sharezync_shared.work import UnitsOfWork
from sharezync_storage.states import UNFINISHED


@dataclass(frozen=True, slots=True)
class StorageTotals:
    """What is kept, what is reserved, and what is still to go."""

    pending_deletions: int
    """Keys; a key that is deleted twice counts once more until the second time."""
    pending_deletion_bytes: int
    oldest_due_deletion_seconds: float
    failing_deletions: int
    expired_uploads: int
    detached_files: int
    uploads: Mapping[tuple[str, str], int]
    """By state and source; not those that have finished, which are files."""
    used_bytes: int
    reserved_bytes: int


_DELETIONS: Final = """
SELECT count(*) AS pending_deletions,
       COALESCE(sum(size_bytes), 0)::bigint AS pending_deletion_bytes,
       count(*) FILTER (WHERE attempts >= 3) AS failing_deletions,
       greatest(COALESCE(EXTRACT(EPOCH FROM $1 - min(due_at)), 0), 0)::float8
       AS oldest_due_deletion_seconds
FROM storage.deletions
"""
_UPLOADS: Final = """
SELECT state, door AS source, count(*) AS uploads,
       count(*) FILTER (WHERE expires_at < $1 AND state = ANY($2::text[])) AS expired
FROM storage.uploads WHERE expires_at IS NOT NULL GROUP BY 1, 2
"""
_USAGE: Final = """
SELECT COALESCE(sum(used_bytes), 0)::bigint AS used_bytes,
       COALESCE(sum(reserved_bytes), 0)::bigint AS reserved_bytes
FROM storage.usage
"""
_DETACHED: Final = """
SELECT count(*) FROM storage.files WHERE let_go_at IS NOT NULL AND deleted_at IS NULL
"""


async def count(work: UnitsOfWork) -> StorageTotals:
    """Return how things stand now. Some tens of milliseconds at a million users."""
    now = work.now()
    async with (await work.database.pool()).acquire() as connection:
        (deletions,) = await connection.fetch(_DELETIONS, now)
        uploads = await connection.fetch(_UPLOADS, now, list(UNFINISHED))
        (usage,) = await connection.fetch(_USAGE)
        detached = await connection.fetchval(_DETACHED)
    return StorageTotals(
        **deletions,
        **usage,
        expired_uploads=sum(row["expired"] for row in uploads),
        detached_files=detached,
        uploads={(row["state"], row["source"]): row["uploads"] for row in uploads},
    )
