"""Who writes to uploads: one at a time to each, by a lease, and so many at once in a process.

The row of an upload names the writer and counts them (`epoch`). Whatever is written down for a
writer is written on condition that the epoch is still its own. The database's clock is the one that
counts, so replicas need not agree on the time.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Generator, Sequence
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import UUID

import asyncpg

from sharezync_shared.background import Periodic
from sharezync_shared.db.database import Database
from sharezync_shared.fair_slots import FairSlot, end_one
from sharezync_shared.problems import Unavailable
from sharezync_storage.errors import UploadBusy
from sharezync_storage.models import Upload
from sharezync_storage.states import TAKES_BYTES, UploadState
from sharezync_storage.stores.port import Extent, StoredSegment

STALL_SECONDS: Final = 0.5
"""Without a byte for so long, a writer has stalled: who comes now may take over."""
_RENEW_SECONDS: Final = 1.0
_STOP_SECONDS: Final = 5.0
"""How long a writer may take to put down what came."""
_RETRY_SECONDS: Final = 2.0
LEASE: Final = timedelta(seconds=2)
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


class Leases:
    """The rows behind leases. `lifetime`: how long an upload waits for its next byte."""

    def __init__(self, database: Database, lifetime: timedelta) -> None:
        self._database = database
        self._lifetime = lifetime

    async def claim(
        self, connection: asyncpg.Connection, upload_id: UUID, writer: UUID
    ) -> int | None:
        """Make `writer` the one who writes, its row held by the caller; return its epoch.

        None where another one holds the lease.
        """
        epoch: int | None = await connection.fetchval(_CLAIM, upload_id, writer, LEASE)
        return epoch

    async def renew(self, upload_id: UUID, epoch: int) -> bool:
        """Hold the lease for longer; False where it is somebody else's now."""
        pool = await self._database.pool()
        states = list(TAKES_BYTES)
        return await pool.fetchval(_RENEW, upload_id, epoch, LEASE, states) is not None

    async def let_go(self, upload_id: UUID, epoch: int) -> None:
        """End the lease, if it is still that one."""
        await (await self._database.pool()).execute(_LET_GO, upload_id, epoch)

    async def end_elsewhere(self, upload_id: UUID) -> bool:
        """See a writer of another process off; True once it can record nothing any more.

        One that is still receiving is left alone: False. One that has stalled, or died, is watched
        until its lease lapses, and fenced off.
        """
        pool = await self._database.pool()
        first = seen = await pool.fetchrow(_LOOK, upload_id)
        while first and seen and seen["leased_until"] is not None:
            if seen[:2] != first[:2]:
                return False  # it has renewed its lease, or a newer one has come
            if seen["leased"]:
                await asyncio.sleep(_POLL_SECONDS)
            else:
                await pool.execute(_TAKE, upload_id, seen["epoch"])
            seen = await pool.fetchrow(_LOOK, upload_id)
        return True

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


def busy() -> UploadBusy:
    """Return the refusal of one who comes while another is writing."""
    return UploadBusy(headers={"Retry-After": "1"})


class Writer:
    """One request of this process that writes, as others in this process see it."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._waiting_since: float | None = None
        self._waiting: asyncio.Timeout | None = None
        self._stopped = False
        self.ending = False
        """No more is expected; what came is being put down."""
        self.ended: asyncio.Future[None] = self._loop.create_future()

    @property
    def stalled(self) -> bool:
        """Whether it has waited for its client for too long. One that waits for us has not."""
        since = self._waiting_since
        return since is not None and self._loop.time() - since >= STALL_SECONDS

    def stop(self) -> None:
        """Have it take no more, and put down what came. Its `ended` is done when it has."""
        self._stopped = True
        if self._waiting is not None:
            self._waiting.reschedule(self._loop.time())

    async def taken(self, pieces: AsyncIterable[bytes]) -> AsyncGenerator[bytes]:
        """Pass `pieces` on until it is stopped. Raises Preempted then."""
        source = aiter(pieces)
        try:
            while (piece := await self._next(source)) is not None:
                yield piece
        finally:
            self.ending = True

    async def _next(self, source: AsyncIterator[bytes]) -> bytes | None:
        if self._stopped:
            raise Preempted
        self._waiting_since = self._loop.time()
        try:
            async with asyncio.timeout(None) as self._waiting:
                return await anext(source, None)
        except TimeoutError as error:
            if self._stopped:
                raise Preempted from error
            raise
        finally:
            self._waiting = self._waiting_since = None


class Writers:
    """One writer for each upload; and what becomes of it when another one comes."""

    def __init__(self, leases: Leases) -> None:
        self.leases = leases
        self._writers: dict[UUID, Writer] = {}

    def writes(self, upload_id: UUID) -> bool:
        """Whether somebody of this process writes to an upload."""
        return upload_id in self._writers

    async def preempt_stalled(self, upload: Upload) -> bool:
        """Have whoever writes to an upload and has stalled end; False where one goes on.

        One of another process can record nothing any more when this returns, and what one of this
        process has got is on record.
        """
        writer = self._writers.get(upload.id)
        if writer is not None:
            if not (writer.ending or writer.stalled):
                return False
            return await _stop(writer)
        if upload.leased_until is not None:
            return await self.leases.end_elsewhere(upload.id)
        return True

    async def stop(self, upload_id: UUID) -> None:
        """Have the writer of this process end, if there is one, stalled or not."""
        writer = self._writers.get(upload_id)
        if writer is not None:
            await _stop(writer)

    @contextmanager
    def one(self, upload_id: UUID) -> Generator[Writer]:
        """Be the one writer of this process while the block runs. Raises UploadBusy."""
        if upload_id in self._writers:
            raise busy()
        writer = self._writers[upload_id] = Writer()
        try:
            yield writer
        finally:
            del self._writers[upload_id]
            writer.ended.set_result(None)

    @asynccontextmanager
    async def leased(self, writer: Writer, upload_id: UUID, epoch: int) -> AsyncGenerator[None]:
        """Hold the lease while the block runs and bytes come."""

        async def renew() -> None:
            if not writer.stalled and not await self.leases.renew(upload_id, epoch):
                writer.stop()

        keeper = Periodic(
            renew, name="lease", every_seconds=_RENEW_SECONDS, first_seconds=_RENEW_SECONDS
        )
        async with keeper.running():
            yield


async def _stop(writer: Writer) -> bool:
    """Have a writer end; False where it takes too long."""
    writer.stop()
    done, _ = await asyncio.wait([writer.ended], timeout=_STOP_SECONDS)
    return bool(done)


class WriterSlots:
    """A fixed number of slots. Nobody waits for one: a client can, and holds nothing meanwhile."""

    def __init__(self, count: int) -> None:
        self._count = count
        self._slots: set[FairSlot] = set()

    @property
    def taken(self) -> int:
        """How many are taken at this moment."""
        return sum(not slot.ended for slot in self._slots)

    @contextmanager
    def one(self, caller: str) -> Generator["WriterBody"]:
        """Take a slot while the block runs, which reads all that comes through what it is given.

        Raises Unavailable where all are taken, and none has to give way.
        """
        now = asyncio.get_running_loop().time()
        if self.taken >= self._count and not end_one(self._slots, caller, now):
            raise _unavailable(f"{self._count} bodies are coming at this moment")
        body = WriterBody(caller, now)
        self._slots.add(body.slot)
        try:
            yield body
        finally:
            self._slots.discard(body.slot)


class WriterBody:
    """A body that has a slot to come in."""

    def __init__(self, caller: str, now: float) -> None:
        self.slot = FairSlot(caller, self._stop_waiting, now)
        self._waiting: asyncio.Timeout | None = None

    def _stop_waiting(self) -> None:
        if self._waiting is not None:
            self._waiting.reschedule(0.0)

    async def pieces(self, pieces: AsyncIterable[bytes]) -> AsyncGenerator[bytes]:
        """Pass `pieces` on. Raises Unavailable where the slot has gone to somebody else."""
        coming = aiter(pieces)
        while True:
            self._check()
            try:
                async with asyncio.timeout(None) as self._waiting:
                    piece = await anext(coming, None)
            except TimeoutError:
                self._check()
                raise  # the body's own: what came is not the whole of it
            finally:
                self._waiting = None
            if piece is None:
                return
            self.slot.moved_bytes += len(piece)
            yield piece

    def _check(self) -> None:
        if self.slot.ended:
            raise _unavailable("Others need the slot, and this body came most slowly")


def _unavailable(detail: str) -> Unavailable:
    return Unavailable(detail, retry_after_seconds=_RETRY_SECONDS)
