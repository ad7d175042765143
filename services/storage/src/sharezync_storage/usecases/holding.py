"""What keeps a file alive beside its owner: messages, transfers, and questions asked about it.

A file stays until its owner has let it go and nothing holds it. News of holders come in any order,
each perhaps late: what is over is remembered (`former_holders`), so that it never holds again. And
between a service's question what a file is and its news of what it made of that, the question
itself holds the file.

Locks, in this order: the holder's group, the holder, files by id, holds. Nothing here takes the row
of an upload or of a user's room: `collecting` removes what is held no more, one file at a time.
"""

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime, timedelta
from typing import Final, Literal
from uuid import UUID

import asyncpg

from sharezync_shared.work import UnitOfWork
from sharezync_storage.states import UNFINISHED

Holder = Literal["message", "transfer"]

ASKED_FOR: Final = timedelta(hours=1)
"""How long a question holds a file: longer than an event climbs the ladder of retries."""
_REMEMBER: Final = timedelta(days=30)
"""How long the end of a holder is remembered: longer than dead letters are left lying."""
_BATCH: Final = 200

_OVER: Final = "SELECT EXISTS (SELECT FROM storage.former_holders WHERE id = ANY($1::uuid[]))"

# A transfer offers files that are still on their way: the file will have the upload's id.
_HOLD: Final = """
WITH here AS (
    SELECT id FROM storage.files
    WHERE id = ANY($1::uuid[]) AND deleted_at IS NULL ORDER BY id FOR SHARE
), coming AS (
    SELECT id FROM storage.uploads WHERE id = ANY($1::uuid[]) AND state = ANY($6::text[])
)
INSERT INTO storage.holds (file_id, holder_id, holder, group_id, created_at)
SELECT id, $2, $3, $4, $5 FROM (SELECT id FROM here UNION SELECT id FROM coming) found
ON CONFLICT DO NOTHING
"""

_ASK: Final = """
INSERT INTO storage.holds (file_id, holder_id, holder, created_at)
SELECT id, id, 'asked', $2 FROM unnest($1::uuid[]) AS g(id)
ON CONFLICT (file_id, holder_id) DO UPDATE SET created_at = EXCLUDED.created_at
"""

_REMEMBER_IT: Final = """
INSERT INTO storage.former_holders (id, ended_at) VALUES ($1, $2) ON CONFLICT DO NOTHING
"""
_ASKED_BEFORE: Final = """
SELECT file_id FROM storage.holds WHERE holder = 'asked' AND created_at < $1
ORDER BY created_at LIMIT $2
"""

_LOCK_FILES: Final = """
SELECT id FROM storage.files WHERE id = ANY($1::uuid[]) ORDER BY id FOR NO KEY UPDATE
"""
_MARK: Final = """
UPDATE storage.files SET unheld_at = $2 WHERE id = ANY($1::uuid[]) AND deleted_at IS NULL
"""


async def hold(
    unit: UnitOfWork,
    *,
    holder: Holder,
    holder_id: UUID,
    group_id: UUID | None = None,
    file_ids: Iterable[UUID],
) -> None:
    """Have a holder hold these files, as far as they are there or on their way.

    Idempotent. Changes nothing where the holder, or the group that it is in, is over already.
    """
    connection = await unit.raw()
    ids = [holder_id]
    if group_id is not None:
        await connection.execute("SELECT pg_advisory_xact_lock_shared($1)", _key(group_id))
        ids.append(group_id)
    await connection.execute("SELECT pg_advisory_xact_lock($1)", _key(holder_id))
    if await connection.fetchval(_OVER, ids):
        return
    await connection.execute(
        _HOLD, sorted(set(file_ids)), holder_id, holder, group_id, unit.now, list(UNFINISHED)
    )


async def release(unit: UnitOfWork, holder_id: UUID, *, remember: bool = True) -> None:
    """Let go of whatever a holder holds, for good. Idempotent.

    `remember` is False only where it is known that nothing of it can still come.
    """
    await _end(unit, "holder_id", holder_id, remember=remember)


async def release_group(unit: UnitOfWork, group_id: UUID) -> None:
    """Let go of whatever the holders in a group hold, for good. Idempotent."""
    await _end(unit, "group_id", group_id, remember=True)


async def _end(unit: UnitOfWork, column: str, holder_id: UUID, *, remember: bool) -> None:
    connection = await unit.raw()
    await connection.execute("SELECT pg_advisory_xact_lock($1)", _key(holder_id))
    if remember:
        await connection.execute(_REMEMBER_IT, holder_id, unit.now)
    held = await connection.fetch(
        f"SELECT file_id FROM storage.holds WHERE {column} = $1",  # noqa: S608 - words of ours
        holder_id,
    )
    file_ids = [row["file_id"] for row in held]
    await _let_go(connection, file_ids, f"{column} = $1", holder_id, unit.now)


async def ask(unit: UnitOfWork, file_ids: Sequence[UUID]) -> None:
    """Hold files for an hour because a service has asked for them, their rows held by the caller.

    Idempotent; asking again begins the hour anew.
    """
    if file_ids:
        await (await unit.raw()).execute(_ASK, sorted(set(file_ids)), unit.now)


async def is_held(unit: UnitOfWork, file_id: UUID) -> bool:
    """Whether anything holds a file, whose row the caller has locked."""
    return file_id in await held_among(unit, [file_id])


async def held_among(
    unit: UnitOfWork, file_ids: Collection[UUID], *, by_transfers: bool = True
) -> set[UUID]:
    """Return those of these files that anything holds, their rows locked by the caller."""
    rows = await (await unit.raw()).fetch(
        "SELECT DISTINCT file_id FROM storage.holds "
        "WHERE file_id = ANY($1::uuid[]) AND ($2 OR holder <> 'transfer')",
        list(file_ids),
        by_transfers,
    )
    return {row["file_id"] for row in rows}


async def drop(unit: UnitOfWork, file_ids: Sequence[UUID]) -> None:
    """Have nothing hold these files any more: they go, whoever holds them; rows held as above."""
    connection = await unit.raw()
    await connection.execute("DELETE FROM storage.holds WHERE file_id = ANY($1::uuid[])", file_ids)


async def expire(unit: UnitOfWork) -> int:
    """End one batch of questions that nothing has come of for an hour; return how many.

    Also forgets holders that were over a month ago.
    """
    connection = await unit.raw()
    await connection.execute(
        "DELETE FROM storage.former_holders WHERE ended_at < $1", unit.now - _REMEMBER
    )
    before = unit.now - ASKED_FOR
    asked = [row["file_id"] for row in await connection.fetch(_ASKED_BEFORE, before, _BATCH)]
    if asked:
        # What is asked again in this moment is younger by then, and stays.
        which = "holder = 'asked' AND created_at < $1 AND file_id = ANY($2::uuid[])"
        await _let_go(connection, asked, which, before, unit.now, asked)
    return len(asked)


async def _let_go(
    connection: asyncpg.Connection,
    file_ids: Sequence[UUID],
    which: str,
    given: object,
    now: datetime,
    *more: object,
) -> None:
    """Delete the holds `which`, those on `file_ids`, and have the sweep look at these files."""
    if not file_ids:
        return
    await connection.execute(_LOCK_FILES, file_ids)
    await connection.execute(f"DELETE FROM storage.holds WHERE {which}", given, *more)  # noqa: S608 - words of ours
    await connection.execute(_MARK, file_ids, now)


def _key(holder_id: UUID) -> int:
    """Return the advisory lock of a holder: two that share one wait, and nothing worse."""
    return int.from_bytes(holder_id.bytes[8:], signed=True)
