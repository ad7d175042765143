"""Chunks, in and out: the hot path of transfers.

A chunk is hashed and written in a thread, synced together with those beside it, and recorded in one
transaction together with those beside it (`chunk_rows.py`).
"""

import asyncio
from collections import OrderedDict
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from typing import Final
from uuid import UUID

from sharezync_shared.contracts.storage import UploadClosed
from sharezync_shared.db.group_commit import GroupCommit
from sharezync_shared.problems import NotFound
from sharezync_storage import errors
from sharezync_storage.keys import file_key
from sharezync_storage.models import UploadId
from sharezync_storage.states import TAKES_BYTES
from sharezync_storage.stores.pieces import sha256_of
from sharezync_storage.stores.port import ChunkPlan, NoSuchBlob, UploadStore
from sharezync_storage.usecases.chunk_rows import (
    ChunkRow,
    ChunkRows,
    KnownChunk,
    OpenUpload,
    UploadProgress,
)

_REMEMBERED: Final = 512
"""Uploads; each costs a byte for each of its chunks, so 50 MB at the very most."""

Place = tuple[UUID, int]
"""A chunk's upload and index."""


class Chunks:
    """Writes and reads chunks of uploads."""

    def __init__(self, rows: ChunkRows, store: UploadStore) -> None:
        self._rows = rows
        self._store = store
        self._look_ups: GroupCommit[Place, KnownChunk | None] = GroupCommit(
            rows.look_up, max_batch=100
        )
        self._records: GroupCommit[ChunkRow, UploadProgress] = GroupCommit(rows.record)
        self._remembered: OrderedDict[UUID, OpenUpload] = OrderedDict()
        self._writing: dict[Place, asyncio.Task[UploadProgress]] = {}

    @asynccontextmanager
    async def running(self) -> AsyncGenerator[None]:
        """Take chunks while the block runs; its end waits for those that are being written."""
        async with self._rows.running():
            try:
                yield
            finally:
                while self._writing:
                    await asyncio.wait(list(self._writing.values()))

    async def length(self, upload_id: UploadId, index: int) -> int:
        """Return how many bytes a chunk must have. Raises NotFound and ChunkOutside."""
        plan = (await self._upload(upload_id)).plan
        if not 0 <= index < plan.count:
            raise errors.ChunkOutside(f"There are {plan.count} chunks", chunk_count=plan.count)
        return plan.length(index)

    async def put(
        self, upload_id: UploadId, index: int, data: Sequence[bytes], sha256: bytes
    ) -> UploadProgress:
        """Store one chunk, the concatenation of `data`; it is durable when this returns.

        The same chunk again changes nothing and is answered the same way, in any state. Raises
        NotFound, ChunkOutside, ChunkLength, ChunkCorrupt, ChunkConflict, UploadClosed, StoreFull,
        StoreUnavailable. A caller that is cancelled does not stop the write.
        """
        expected = await self.length(upload_id, index)
        size = sum(map(len, data))
        if size != expected:
            raise errors.ChunkLength(
                f"The chunk has {size} bytes instead of {expected}", expected_bytes=expected
            )
        # One write to a place at a time, to its very end: two contents must never mix on disk,
        # whatever becomes of the requests that brought them.
        place = (upload_id, index)
        before = self._writing.get(place)
        row = ChunkRow(upload_id, index, size, sha256)
        task = asyncio.create_task(self._write(row, data, before))
        self._writing[place] = task
        task.add_done_callback(lambda done: self._written(place, done))
        return await asyncio.shield(task)

    async def read(self, upload_id: UploadId, index: int) -> tuple[bytes, bytes]:
        """Return a chunk and its digest, checked. Raises NotFound until it is stored."""
        known = await self._known(upload_id, index)
        if known.sha256 is None:
            raise NotFound
        plan = (await self._upload(upload_id)).plan
        try:
            data = await stored_chunk(self._store, upload_id, plan, index, known.sha256)
        except NoSuchBlob:
            raise NotFound from None  # deleted a moment ago
        return data, known.sha256

    # ----------------------------------------------------------------------------------------

    async def _upload(self, upload_id: UUID) -> OpenUpload:
        upload = self._remembered.get(upload_id)
        if upload is None:
            opened = await self._rows.open(upload_id)
            if opened is None:
                raise NotFound
            # Who came here at the same time may have been faster, and may know more by now.
            upload = self._remembered.setdefault(upload_id, opened)
            if len(self._remembered) > _REMEMBERED:
                self._remembered.popitem(last=False)
        self._remembered.move_to_end(upload_id)
        return upload

    def _written(self, place: Place, task: "asyncio.Task[UploadProgress]") -> None:
        if self._writing.get(place) is task:
            del self._writing[place]
        if not task.cancelled():
            task.exception()  # perhaps nobody waits any more

    async def _write(
        self, row: ChunkRow, data: Sequence[bytes], before: "asyncio.Task[UploadProgress] | None"
    ) -> UploadProgress:
        if before is not None:
            await asyncio.wait([before])
        upload = await self._upload(row.upload_id)
        if upload.taken[row.index]:
            return await self._same_again(row, data)
        if upload.state not in TAKES_BYTES:
            self._remembered.pop(row.upload_id, None)
            raise UploadClosed(state=upload.state)
        try:
            await self._store.write_chunk(upload.plan, row.index, data, row.sha256)
            progress = await self._records.submit(row)
        except errors.ChunkCorrupt:
            raise
        except BaseException as error:
            # What we know may be wrong: it is over, or another replica was faster, or the answer
            # of the database was lost.
            self._remembered.pop(row.upload_id, None)
            if isinstance(error, NoSuchBlob):
                await self._explain_loss(row)
            if isinstance(error, UploadClosed | NotFound):
                await self._rows.forget_stray(upload.plan)
            raise
        (await self._upload(row.upload_id)).taken[row.index] = True
        return progress

    async def _same_again(self, row: ChunkRow, data: Sequence[bytes]) -> UploadProgress:
        """Answer for a place that is taken: with what is there, if that is what came."""
        if await asyncio.to_thread(sha256_of, data) != row.sha256:
            raise errors.ChunkCorrupt
        known = await self._known(row.upload_id, row.index)
        if known.sha256 is None:
            self._remembered.pop(row.upload_id, None)
            raise UploadClosed(state=known.state)
        if known.sha256 != row.sha256:
            raise errors.ChunkConflict
        return known.progress

    async def _explain_loss(self, row: ChunkRow) -> None:
        """Say why the store has no place for a chunk: the upload is over, or we have lost it."""
        known = await self._known(row.upload_id, row.index)
        if known.state in TAKES_BYTES:
            raise errors.ContentDamaged
        raise UploadClosed(state=known.state)

    async def _known(self, upload_id: UUID, index: int) -> KnownChunk:
        known = await self._look_ups.submit((upload_id, index))
        if known is None:
            self._remembered.pop(upload_id, None)
            raise NotFound
        return known


async def stored_chunk(
    store: UploadStore, upload_id: UUID, plan: ChunkPlan, index: int, sha256: bytes
) -> bytes:
    """Return a chunk that is stored, from the upload or from the file that it became.

    Raises NoSuchBlob where neither is there, and ContentDamaged.
    """
    try:
        return await store.read_chunk(plan, index, sha256)
    except NoSuchBlob:
        pass
    span = store.open(file_key(upload_id), offset=plan.offset(index), length=plan.length(index))
    async with span as pieces:
        data = b"".join([piece async for piece in pieces])
    if await asyncio.to_thread(sha256_of, [data]) != sha256:
        raise errors.ContentDamaged
    return data
