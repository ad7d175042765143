"""What is to go: uploads that expired, keys that nobody needs, files that nobody holds any more.

Found by our own rows, never by a listing of the store. Giving up and deleting are done elsewhere
(`uploads`, `sweeping`); here files are removed once nothing holds them, and whoever runs the place
is told what would go now, and why.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sharezync_shared.work import UnitsOfWork
from sharezync_storage.models import File, Upload
from sharezync_storage.states import UNFINISHED
from sharezync_storage.usecases import files, holding
from sharezync_storage.usecases.sweeping import Sweeper
from sharezync_storage.usecases.uploads import give_up_expired

_BATCH: Final = 50
_DELETED_KEPT: Final = timedelta(days=30)
"""How long the row of a file stays that is gone: as long as what comes late may still be about it
(`holding`)."""
_FORGOTTEN_AT_ONCE: Final = 500
_FORGET_DELETED: Final = """
DELETE FROM storage.files WHERE id IN (
    SELECT id FROM storage.files WHERE deleted_at < $1 LIMIT $2 FOR UPDATE SKIP LOCKED
)
"""


@dataclass(frozen=True, slots=True)
class Due:
    """Something that goes with the next sweep."""

    kind: str
    """`upload`, `file` or `key`."""
    name: str
    size_bytes: int
    """About how many bytes it takes in the store."""
    why: str


# As `uploads.bytes_kept` has it.
_EXPIRED: Final = """
SELECT id, door AS source, state, expires_at,
       CASE WHEN door = 'form' OR direct_id IS NOT NULL THEN reserved_bytes ELSE stored_bytes END
       AS size_bytes
FROM storage.uploads WHERE expires_at < $1 AND state = ANY($2::text[])
ORDER BY expires_at
"""
_UNHELD: Final = """
SELECT f.id, f.size_bytes, f.let_go_at FROM storage.files f
WHERE f.unheld_at IS NOT NULL AND f.let_go_at IS NOT NULL AND f.deleted_at IS NULL
  AND NOT EXISTS (
    SELECT FROM storage.holds h
    WHERE h.file_id = f.id AND NOT (h.holder = 'asked' AND h.created_at < $1)
  )
ORDER BY f.unheld_at
"""
_ONLY_ASKED: Final = """
SELECT f.id, f.size_bytes, f.let_go_at
FROM storage.holds a JOIN storage.files f ON f.id = a.file_id
WHERE a.holder = 'asked' AND a.created_at < $1 AND f.let_go_at IS NOT NULL
  AND f.unheld_at IS NULL AND f.deleted_at IS NULL AND NOT EXISTS (
    SELECT FROM storage.holds h WHERE h.file_id = f.id AND h.holder <> 'asked'
  )
ORDER BY a.created_at
"""
_DELETIONS: Final = """
SELECT what, store_key, size_bytes, due_at, attempts FROM storage.deletions
WHERE due_at <= $1 ORDER BY due_at
"""


async def due(work: UnitsOfWork, *, limit: int = 100_000) -> list[Due]:
    """Return what would go now, each kind with the oldest first; at most `limit` of each.

    What an upload or a file leaves to be deleted from the store is named with it, not again.
    """
    now: datetime = work.now()
    asked_before = now - holding.ASKED_FOR
    async with (await work.database.pool()).acquire() as connection:
        expired = await connection.fetch(_EXPIRED + f"LIMIT {limit:d}", now, list(UNFINISHED))
        unheld = await connection.fetch(_UNHELD + f"LIMIT {limit:d}", asked_before)
        unheld += await connection.fetch(_ONLY_ASKED + f"LIMIT {limit:d}", asked_before)
        deletions = await connection.fetch(_DELETIONS + f"LIMIT {limit:d}", now)
    return [
        *(
            Due(
                "upload",
                f"{row['id']} ({row['source']}, {row['state']})",
                row["size_bytes"],
                f"expired at {row['expires_at']:%Y-%m-%d %H:%M:%S}",
            )
            for row in expired
        ),
        *(
            Due(
                "file",
                str(row["id"]),
                row["size_bytes"],
                f"its owner deleted it at {row['let_go_at']:%Y-%m-%d %H:%M:%S}, and nothing holds "
                "it any more",
            )
            for row in unheld
        ),
        *(
            Due(
                "key",
                f"{row['what']} {row['store_key']}",
                row["size_bytes"],
                f"not needed, due since {row['due_at']:%Y-%m-%d %H:%M:%S}, tried "
                f"{row['attempts']} times",
            )
            for row in deletions
        ),
    ]


async def forget_deleted(work: UnitsOfWork) -> None:
    """Forget some files that were deleted a month ago. Safe to repeat."""
    async with (await work.database.pool()).acquire() as connection:
        await connection.execute(_FORGET_DELETED, work.now() - _DELETED_KEPT, _FORGOTTEN_AT_ONCE)


async def remove_unheld(work: UnitsOfWork) -> None:
    """Remove files that were let go and that nothing holds any more; some of them at a time."""
    async with work.begin() as unit:
        await holding.expire(unit)
    async with (await work.database.pool()).acquire() as connection:
        rows = await connection.fetch(
            "SELECT id FROM storage.files WHERE unheld_at IS NOT NULL ORDER BY unheld_at LIMIT $1",
            _BATCH,
        )
    for row in rows:
        # One at a time: each takes the row of its owner too, in no order that others know.
        async with work.begin() as unit:
            upload = await unit.get(Upload, row["id"], lock=True)
            file = await unit.get(File, row["id"], lock=True)
            if file is None or file.deleted_at is not None:
                continue
            file.unheld_at = None
            unit.add(file)
            if file.let_go_at is not None and not await holding.is_held(unit, file.id):
                await files.remove(unit, [(file, upload)])


async def collect(work: UnitsOfWork, sweeper: Sweeper) -> int:
    """Do all that is due now; return how many keys could not be deleted from the store.

    Safe to interrupt and to repeat, and beside servers: a key that one has claimed, no other has.
    A key that can't be deleted is due again five minutes later, and so in no one's way here.
    """
    while any(each.kind != "key" for each in await due(work, limit=1)):
        await give_up_expired(work)
        await remove_unheld(work)
    while await sweeper.sweep():
        pass
    async with (await work.database.pool()).acquire() as connection:
        failed: int = await connection.fetchval(
            "SELECT count(*) FROM storage.deletions WHERE attempts > 0"
        )
    return failed
