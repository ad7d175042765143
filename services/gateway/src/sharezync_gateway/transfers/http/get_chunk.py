"""`GET` and `HEAD /v1/transfers/{id}/files/{n}/chunks/{i}`: one stored chunk, with its digest."""

import structlog

from sharezync_gateway.errors import ClientGone
from sharezync_gateway.transfers.core.chunk_store import ChunkAbsent, StoreAway
from sharezync_gateway.transfers.errors import ChunkMissing
from sharezync_gateway.transfers.http.http_context import HttpContext
from sharezync_gateway.transfers.http.requests import RoutedRequest
from sharezync_shared.problems import NotFound, Unavailable

log = structlog.get_logger()


async def get_chunk(context: HttpContext, request: RoutedRequest) -> None:
    """Give out a chunk, so that who reads it can check it.

    Raises Problem before anything is sent; hangs up on who does not read.
    """
    transfer_id, (file, index) = request.place()
    request.body(limit_bytes=0)  # refuses one
    participation = await context.participations.get(transfer_id, request.caller)
    shape = participation.readable(file)
    if index >= shape.chunk_count:
        raise NotFound("The file has no chunk with this index")
    semaphores = (participation.unstored_bytes, context.leaving_bytes)
    async with context.room_in(semaphores, shape.length(index), request.bounds.patience_seconds):
        try:
            # Always from storage: what lies in memory is counted, and kept for others.
            chunk = await context.transfers.store.get_chunk(shape.upload_id, index)
        except ChunkAbsent as error:
            raise ChunkMissing from error
        except StoreAway as error:
            raise Unavailable("Storage is temporarily unavailable") from error
        headers = {
            "Content-Type": "application/octet-stream",
            "Content-Length": str(len(chunk.payload)),
            "X-Chunk-Sha256": chunk.sha256.hex(),
            "X-Content-Type-Options": "nosniff",
            "Cache-Control": "private, no-cache",
        }
        payload = b"" if request.method == "HEAD" else chunk.payload
        try:
            await request.start(200, headers)
            await request.write(payload)
        except ClientGone as reason:
            log.debug("chunk_interrupted", reason=repr(reason))
            request.hang_up()
        else:
            context.transfers.metrics.delivered_bytes.inc(len(payload))
