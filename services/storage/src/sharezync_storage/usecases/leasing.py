"""Who may write to an upload from its start to its end: one at a time, by a lease.

The row of the upload names the writer and counts them (`epoch`). Whatever is written down for a
writer is written on condition that the epoch is still its own. The database's clock is the one that
counts, so replicas need not agree on the time.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import UUID

import asyncpg

from sharezync_shared.db.database import Database
from sharezync_storage.states import TAKES_BYTES, UploadState
from sharezync_storage.stores.port import Extent, StoredSegment

LEASE_SECONDS: Final = 2.0
_POLL_SECONDS: Final = 0.1

_CLAIM: Final = """
UPDATE storage.uploads
SET epoch = epoch + 1, writer = $2, leased_until = clock_timestamp() + $3::interval
WHERE id = $1 AND coalesce(leased_until <= clock_timestamp(), true) RETURNING epoch
"""
_RENEW: Final = """
UPDATE storage.uploads SET leased_until = clock_timestamp() + $3::interval
WHERE id = $1 AND epoch = $2 AND state = ANY($4::text[]) RETURNING id
"""
_LET_GO: Final = """
UPDATE storage.uploads SET writer = NULL, leased_until = NULL WHERE id = $1 AND epoch = $2
"""
_LOOK: Final = """
SELECT epoch, leased_until, coalesce(leased_until > clock_timestamp(), false) AS leased
FROM storage.uploads WHERE id = $1
"""
_TAKE: Final = """
UPDATE storage.uploads SET epoch = epoch + 1, writer = NULL, leased_until = NULL
WHERE id = $1 AND epoch = $2 AND leased_until <= clock_timestamp()
"""
# One statement, one trip, one transaction: the bytes that count, and where they are. `expires_at`
# moves in steps: a change to an indexed column costs a new entry in every index.
_RECORD: Final = """
WITH mine AS (
    UPDATE storage.uploads SET
        state = $3,
        stored_bytes = $4,
        sha256 = coalesce($5, sha256),
        writer = CASE WHEN $12 THEN writer END,
        leased_until = CASE WHEN $12 THEN leased_until END,
        expires_at = CASE WHEN expires_at < $7 THEN $6 ELSE expires_at END
    WHERE id = $1 AND epoch = $2 AND state = ANY($8::text[])
    RETURNING id, expires_at
), placed AS (
    INSERT INTO storage.segments (upload_id, number, size_bytes, mark)
    SELECT mine.id, s.number, s.size_bytes, s.mark
    FROM mine, unnest($9::int[], $10::int[], $11::text[]) AS s(number, size_bytes, mark)
    ON CONFLICT (upload_id, number)
    DO UPDATE SET size_bytes = excluded.size_bytes, mark = excluded.mark
)
SELECT expires_at FROM mine
"""

_STEP: Final = timedelta(hours=1)


class Preempted(Exception):
    """Another request has taken over, or the upload was given up: this one writes no more."""


@dataclass(frozen=True, slots=True)
class Seen:
    """A lease as it was found. `leased`: it had not lapsed."""

    epoch: int
    leased_until: datetime | None
    leased: bool


class Leases:
    """The rows behind leases. `lifetime`: how long an upload waits for its next byte."""

    def __init__(
        self, database: Database, lifetime: timedelta, *, lease_seconds: float = LEASE_SECONDS
    ) -> None:
        self._database = database
        self._lifetime = lifetime
        self._lease = timedelta(seconds=lease_seconds)

    async def claim(
        self, connection: asyncpg.Connection, upload_id: UUID, writer: UUID
    ) -> int | None:
        """Make `writer` the one who writes, its row held by the caller; return its epoch.

        None where another one holds the lease.
        """
        epoch: int | None = await connection.fetchval(_CLAIM, upload_id, writer, self._lease)
        return epoch

    async def renew(self, upload_id: UUID, epoch: int) -> bool:
        """Hold the lease for longer; False where it is somebody else's now."""
        pool = await self._database.pool()
        states = list(TAKES_BYTES)
        return await pool.fetchval(_RENEW, upload_id, epoch, self._lease, states) is not None

    async def let_go(self, upload_id: UUID, epoch: int) -> None:
        """End the lease, if it is still that one."""
        await (await self._database.pool()).execute(_LET_GO, upload_id, epoch)

    async def end_elsewhere(self, upload_id: UUID) -> bool:
        """See a writer of another process off; True once it can record nothing any more.

        One that is still receiving is left alone: False. One that has stalled, or died, is watched
        until its lease lapses, and fenced off.
        """
        first = seen = await self._look(upload_id)
        while first is not None and seen is not None and seen.leased_until is not None:
            if (seen.epoch, seen.leased_until) != (first.epoch, first.leased_until):
                return False  # it has renewed its lease, or a newer one has come
            if not seen.leased:
                await (await self._database.pool()).execute(_TAKE, upload_id, seen.epoch)
            else:
                await asyncio.sleep(_POLL_SECONDS)
            seen = await self._look(upload_id)
        return True

    async def _look(self, upload_id: UUID) -> Seen | None:
        row = await (await self._database.pool()).fetchrow(_LOOK, upload_id)
        return None if row is None else Seen(row["epoch"], row["leased_until"], row["leased"])

    async def record(
        self,
        upload_id: UUID,
        epoch: int,
        *,
        state: UploadState,
        extent: Extent,
        changed: Sequence[StoredSegment],
        sha256: bytes | None,
    ) -> datetime:
        """Record what is durable; return when the upload expires. Raises Preempted, and records
        nothing, where the epoch is another's by now or the upload takes no more bytes. With a state
        that takes none the lease ends too.
        """
        now = datetime.now(UTC)
        expires_at: datetime | None = await (await self._database.pool()).fetchval(
            _RECORD,
            upload_id,
            epoch,
            state,
            extent.size_bytes,
            sha256,
            now + self._lifetime,
            now + self._lifetime - min(_STEP, self._lifetime / 2),
            list(TAKES_BYTES),
            [segment.number for segment in changed],
            [segment.size_bytes for segment in changed],
            [segment.suffix for segment in changed],
            state in TAKES_BYTES,
        )
        if expires_at is None:
            raise Preempted
        return expires_at
