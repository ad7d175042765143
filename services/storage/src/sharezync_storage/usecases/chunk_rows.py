"""The rows of chunks, by plain statements: looked up together, recorded together."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final, NamedTuple
from uuid import UUID

import asyncpg

from sharezync_shared.contracts.storage import UploadClosed
from sharezync_shared.db.database import Database
from sharezync_shared.problems import NotFound
from sharezync_storage.errors import ChunkConflict
from sharezync_storage.states import TAKES_BYTES
from sharezync_storage.stores.port import ChunkPlan
from sharezync_storage.usecases.sweeping import AGAIN


@dataclass(frozen=True, slots=True)
class ChunkRow:
    """One chunk to record, durably stored already."""

    upload_id: UUID
    index: int
    size_bytes: int
    sha256: bytes


class UploadProgress(NamedTuple):
    """How far an upload is. `next`: the first chunk that is missing."""

    stored_bytes: int
    next: int
    complete: bool


class KnownChunk(NamedTuple):
    """What is known of a chunk and its upload. `sha256` is None until it is stored."""

    state: str
    progress: UploadProgress
    sha256: bytes | None


@dataclass(slots=True)
class OpenUpload:
    """What is known of an upload. Its plan never changes, and a place once taken stays so.

    A place that looks free may have been taken by another replica: the record decides. One that was
    taken by this process is known to be: no bytes are ever written over those that count.
    """

    plan: ChunkPlan
    state: str
    taken: bytearray
    """Of each place, whether its chunk is stored."""


_OPEN: Final = """
SELECT store_key, size_bytes, chunk_size_bytes, state,
       ARRAY(SELECT index FROM storage.chunks WHERE upload_id = $1) AS stored
FROM storage.uploads WHERE id = $1 AND chunk_size_bytes IS NOT NULL AND direct_id IS NULL
"""

_LOOK_UP: Final = """
SELECT u.state, u.stored_bytes, u.through, u.size_bytes, u.chunk_size_bytes, c.sha256, g.n
FROM unnest($1::uuid[], $2::int[]) WITH ORDINALITY AS g(upload_id, index, n)
JOIN storage.uploads u ON u.id = g.upload_id
    AND u.chunk_size_bytes IS NOT NULL AND u.direct_id IS NULL
LEFT JOIN storage.chunks c ON c.upload_id = g.upload_id AND c.index = g.index
"""

# One statement, one trip, one transaction. Whether an upload still takes chunks is decided under
# its lock: who finishes or aborts it comes before all of these rows, or after.
#
# `through` moves on where the chunk at its place has come, to the end of the run that begins there.
# What another replica committed while we waited for the lock is not seen here, so it may lag; it is
# never ahead, the next chunk catches it up, and `complete` goes by the exact sum of bytes.
# `expires_at` moves in steps: a change to an indexed column costs a new entry in every index.
_RECORD: Final = """
WITH given AS (
    SELECT * FROM unnest($1::uuid[], $2::int[], $3::int[], $4::bytea[])
        AS g(upload_id, index, size_bytes, sha256)
), taking AS (
    SELECT id FROM storage.uploads
    WHERE id IN (SELECT upload_id FROM given) AND state = ANY($5::text[])
    ORDER BY id FOR NO KEY UPDATE
), added AS (
    INSERT INTO storage.chunks (upload_id, index, size_bytes, sha256)
    SELECT g.upload_id, g.index, g.size_bytes, g.sha256
    FROM given g JOIN taking t ON t.id = g.upload_id
    ON CONFLICT DO NOTHING
    RETURNING upload_id, index, size_bytes
), sums AS (
    SELECT upload_id, sum(size_bytes) AS bytes, array_agg(index) AS indexes
    FROM added GROUP BY upload_id
)
UPDATE storage.uploads u SET
    state = 'receiving',
    stored_bytes = u.stored_bytes + s.bytes,
    expires_at = CASE WHEN u.expires_at < $7 THEN $6 ELSE u.expires_at END,
    through = CASE WHEN u.through = ANY(s.indexes) OR EXISTS (
        SELECT FROM storage.chunks c WHERE c.upload_id = u.id AND c.index = u.through
    ) THEN (
        SELECT r.index + 1
        FROM (
            SELECT unnest(s.indexes) AS index
            UNION ALL
            SELECT c.index FROM storage.chunks c
            WHERE c.upload_id = u.id AND c.index >= u.through
        ) r
        WHERE r.index >= u.through AND r.index + 1 <> ALL(s.indexes) AND NOT EXISTS (
            SELECT FROM storage.chunks n WHERE n.upload_id = u.id AND n.index = r.index + 1
        )
        ORDER BY r.index LIMIT 1
    ) ELSE u.through END
FROM sums s
WHERE u.id = s.upload_id
RETURNING u.id, u.stored_bytes, u.through, u.size_bytes, u.chunk_size_bytes, s.indexes
"""

_FORGET: Final = """
INSERT INTO storage.deletions (what, store_key, size_bytes, due_at, attempts)
VALUES ('chunks', $1, 0, $2, 0)
"""

_STEP: Final = timedelta(hours=1)


class ChunkRows:
    """Reads and writes rows of chunks. `lifetime`: how long an upload waits for its next chunk."""

    def __init__(self, database: Database, lifetime: timedelta) -> None:
        self._database = database
        self._lifetime = lifetime
        self._recorder: asyncpg.Connection | None = None

    @asynccontextmanager
    async def running(self) -> AsyncGenerator[None]:
        try:
            yield
        finally:
            if self._recorder is not None and not self._recorder.is_closed():
                await self._recorder.close()

    async def open(self, upload_id: UUID) -> OpenUpload | None:
        """Return how an upload in chunks is; None where there is no such upload."""
        record = await (await self._database.pool()).fetchrow(_OPEN, upload_id)
        if record is None:
            return None
        plan = ChunkPlan(record["store_key"], record["size_bytes"], record["chunk_size_bytes"])
        taken = bytearray(plan.count)
        for index in record["stored"]:
            taken[index] = True
        return OpenUpload(plan, record["state"], taken)

    async def look_up(self, places: Sequence[tuple[UUID, int]]) -> list[KnownChunk | None]:
        """Return what is known of each place; None where there is no such upload."""
        records = await (await self._database.pool()).fetch(
            _LOOK_UP, [upload_id for upload_id, _ in places], [index for _, index in places]
        )
        found: list[KnownChunk | None] = [None] * len(places)
        for record in records:
            found[record["n"] - 1] = KnownChunk(
                record["state"], _progress(record), record["sha256"]
            )
        return found

    async def record(self, rows: Sequence[ChunkRow]) -> list[UploadProgress | BaseException]:
        """Record chunks in one transaction; a refusal (ChunkConflict, …) concerns its row alone.

        Not to be called again before it has returned: it has one connection, of its own.
        """
        now = datetime.now(UTC)
        if self._recorder is None or self._recorder.is_closed():
            # Not of the pool: going back to it costs a trip more for each batch.
            self._recorder = await self._database.connect()
        try:
            records = await self._recorder.fetch(
                _RECORD,
                [row.upload_id for row in rows],
                [row.index for row in rows],
                [row.size_bytes for row in rows],
                [row.sha256 for row in rows],
                list(TAKES_BYTES),
                now + self._lifetime,
                now + self._lifetime - min(_STEP, self._lifetime / 2),
            )
        except BaseException:
            self._recorder.terminate()  # whatever state it is in
            raise
        recorded: dict[tuple[UUID, int], UploadProgress | BaseException] = {
            (record["id"], index): _progress(record)
            for record in records
            for index in record["indexes"]
        }
        # Another replica was faster, or the upload is over.
        others = [row for row in rows if (row.upload_id, row.index) not in recorded]
        if others:
            known = await self.look_up([(row.upload_id, row.index) for row in others])
            for row, one in zip(others, known, strict=True):
                recorded[row.upload_id, row.index] = _refusal(row, one)
        return [recorded[row.upload_id, row.index] for row in rows]

    async def forget_stray(self, plan: ChunkPlan) -> None:
        """Have the chunks of an upload that is over deleted: one may have come after its end."""
        pool = await self._database.pool()
        await pool.execute(_FORGET, plan.key, datetime.now(UTC) + AGAIN)


def _refusal(row: ChunkRow, known: KnownChunk | None) -> UploadProgress | BaseException:
    if known is None:
        return NotFound()
    if known.sha256 is None:
        return UploadClosed(state=known.state)
    return known.progress if known.sha256 == row.sha256 else ChunkConflict()


def _progress(record: asyncpg.Record) -> UploadProgress:
    stored, size = record["stored_bytes"], record["size_bytes"]
    if stored == size:
        return UploadProgress(stored, -(-size // record["chunk_size_bytes"]), complete=True)
    return UploadProgress(stored, record["through"], complete=False)
