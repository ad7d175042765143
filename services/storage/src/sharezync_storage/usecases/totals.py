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
    let_go_files: int
    uploads: Mapping[tuple[str, str], int]
    """By state and source; not those that have finished, which are files."""
    used_bytes: int
    reserved_bytes: int


_DELETIONS: Final = """
SELECT count(*) AS keys, COALESCE(sum(size_bytes), 0)::bigint AS bytes,
       count(*) FILTER (WHERE attempts >= 3) AS failing,
       COALESCE(EXTRACT(EPOCH FROM $1 - min(due_at)), 0)::float8 AS oldest
FROM storage.deletions
"""
_UPLOADS: Final = """
SELECT state, door AS source, count(*) AS uploads,
       count(*) FILTER (WHERE expires_at < $1 AND state = ANY($2::text[])) AS expired
FROM storage.uploads WHERE expires_at IS NOT NULL GROUP BY 1, 2
"""
_USAGE: Final = """
SELECT COALESCE(sum(used_bytes), 0)::bigint AS used,
       COALESCE(sum(reserved_bytes), 0)::bigint AS reserved
FROM storage.usage
"""
_LET_GO: Final = """
SELECT count(*) FROM storage.files WHERE let_go_at IS NOT NULL AND deleted_at IS NULL
"""


async def count(work: UnitsOfWork) -> StorageTotals:
    """Return how things stand now. Some tens of milliseconds at a million users."""
    now = work.now()
    async with (await work.database.pool()).acquire() as connection:
        deletions = await connection.fetchrow(_DELETIONS, now)
        uploads = await connection.fetch(_UPLOADS, now, list(UNFINISHED))
        usage = await connection.fetchrow(_USAGE)
        let_go = await connection.fetchval(_LET_GO)
    assert deletions is not None and usage is not None  # noqa: S101, PT018 - sums are one row, always
    return StorageTotals(
        pending_deletions=deletions["keys"],
        pending_deletion_bytes=deletions["bytes"],
        oldest_due_deletion_seconds=max(0.0, deletions["oldest"]),
        failing_deletions=deletions["failing"],
        expired_uploads=sum(row["expired"] for row in uploads),
        let_go_files=let_go,
        uploads={(row["state"], row["source"]): row["uploads"] for row in uploads},
        used_bytes=usage["used"],
        reserved_bytes=usage["reserved"],
    )
