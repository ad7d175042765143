"""`GET` and `HEAD /v1/transfers/{id}/files/{n}/chunks/{i}`: one stored chunk, with its digest."""

from uuid import UUID

import structlog

from sharezync_gateway.proxy.failures import ClientGone
from sharezync_gateway.realtime.transfer.byte_semaphore import ByteSemaphore
from sharezync_gateway.realtime.transfer.chunk_store import ChunkAbsent, StoreAway, StoredChunk
from sharezync_gateway.realtime.transfer.context import TransferContext
from sharezync_gateway.transfers.callers import caller_of
from sharezync_gateway.transfers.participations import HttpParticipations, readable, room_in
from sharezync_gateway.transfers.problems import ChunkMissing
from sharezync_gateway.transfers.routed_request import RoutedRequest
from sharezync_gateway.transfers.writing import end_without_body, start, write
from sharezync_shared.problems import NotFound, Unavailable

log = structlog.get_logger()


class GetChunk:
    """Gives out single chunks: who reads them can check each as it comes."""

    def __init__(
        self, commons: TransferContext, ends: HttpParticipations, leaving: ByteSemaphore
    ) -> None:
        self._commons = commons
        self._ends = ends
        self._leaving = leaving

    async def __call__(self, visit: RoutedRequest) -> None:
        """Answer. Raises Problem before anything is sent; hangs up on who does not read."""
        transfer_id, (file, index) = visit.place()
        visit.body(limit_bytes=0)  # refuses one
        end = await self._ends.participation_of(
            transfer_id, caller_of(visit.head.authorization, visit.identity)
        )
        shape = readable(end, file)
        if index >= shape.chunk_count:
            raise NotFound("The file has no chunk with this index")
        length = shape.length(index)
        gates = (end.gate, self._leaving)
        async with room_in(gates, length, visit.bounds.patience_seconds):
            try:
                await self._send(visit, await self._get(shape.upload_id, index))
            except ClientGone as reason:
                log.debug("chunk_interrupted", reason=repr(reason))
                visit.hang_up()

    async def _get(self, upload_id: UUID, index: int) -> StoredChunk:
        # Always from storage: what lies in memory is counted, and kept for others.
        try:
            return await self._commons.store.get_chunk(upload_id, index)
        except ChunkAbsent as error:
            raise ChunkMissing from error
        except StoreAway as error:
            raise Unavailable("Storage is temporarily unavailable") from error

    async def _send(self, visit: RoutedRequest, chunk: StoredChunk) -> None:
        headers = {
            "Content-Type": "application/octet-stream",
            "Content-Length": str(len(chunk.payload)),
            "X-Chunk-Sha256": chunk.sha256.hex(),
            "X-Content-Type-Options": "nosniff",
            "Cache-Control": "private, no-cache",
        }
        await start(visit, 200, headers)
        if visit.method == "HEAD":
            await end_without_body(visit)
            return
        await write(visit, memoryview(chunk.payload), is_last=True)
        self._commons.metrics.delivered_bytes.inc(len(chunk.payload))
