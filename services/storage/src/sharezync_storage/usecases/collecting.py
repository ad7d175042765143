"""What is to go: uploads that expired, keys that nobody needs, files that nobody holds any more.

Found by our own rows, never by a listing of the store. Giving up and deleting are done elsewhere
(`uploads`, `sweeping`); here files are removed once nothing holds them, and whoever runs the place
is shown what would go now, and why.
"""

from datetime import timedelta
from typing import Final, NamedTuple

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


class Due(NamedTuple):
    """Something that goes with the next sweep, of about `size_bytes` in the store.

    `kind` is `upload`, `file` or `key`.
    """

    kind: str
    name: str
    size_bytes: int
    why: str


# Its size is as `uploads.bytes_kept` has it.
_EXPIRED: Final = """
SELECT 'upload', format('%s (%s, %s)', id, door, state),
       CASE WHEN door = 'form' OR direct_id IS NOT NULL THEN reserved_bytes ELSE stored_bytes END,
       to_char(expires_at AT TIME ZONE 'UTC', '"expired at" YYYY-MM-DD HH24:MI:SS')
FROM storage.uploads WHERE expires_at < $1 AND state = ANY($2::text[])
ORDER BY expires_at LIMIT $3
"""
_UNHELD: Final = """
SELECT 'file', id::text, size_bytes, format(
    'its owner deleted it at %s, and nothing holds it any more',
    to_char(let_go_at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS')
)
FROM storage.files f
WHERE let_go_at IS NOT NULL AND deleted_at IS NULL
  AND id IN (
    SELECT id FROM storage.files WHERE unheld_at IS NOT NULL
    UNION SELECT file_id FROM storage.holds WHERE holder = 'asked' AND created_at < $1
  ) AND NOT EXISTS (
    SELECT FROM storage.holds h
    WHERE h.file_id = f.id AND NOT (h.holder = 'asked' AND h.created_at < $1)
  )
ORDER BY let_go_at LIMIT $2
"""
_DELETIONS: Final = """
SELECT 'key', what || ' ' || store_key, size_bytes, format(
    'not needed, due since %s, tried %s times',
    to_char(due_at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS'), attempts
)
FROM storage.deletions WHERE due_at <= $1 ORDER BY due_at LIMIT $2
"""


async def due(work: UnitsOfWork, *, limit: int = 100_000) -> list[Due]:
    """Return what would go now, each kind with the oldest first; at most `limit` of each.

    What an upload or a file leaves to be deleted from the store is named with it, not again.
    """
    now = work.now()
    async with (await work.database.pool()).acquire() as connection:
        rows = await connection.fetch(_EXPIRED, now, list(UNFINISHED), limit)
        rows += await connection.fetch(_UNHELD, now - holding.ASKED_FOR, limit)
        rows += await connection.fetch(_DELETIONS, now, limit)
    return [Due(*row) for row in rows]


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
