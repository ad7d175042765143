"""One chunk on its way to storage, whichever door it came through."""

import asyncio
from typing import Final
from uuid import UUID

import structlog

from sharezync_gateway.realtime.transfer.calls import OVER
from sharezync_gateway.realtime.transfer.chunk_store import ChunkStore, StoreAway
from sharezync_gateway.realtime.transfer.chunks import Chunk
from sharezync_shared.contracts.storage import ChunkStored
from sharezync_shared.contracts.transfer import ParticipationRead

log = structlog.get_logger()

_PAUSES_SECONDS: Final = (0.1, 0.4, 1.0, 2.0, 4.0)
"""Between attempts to store a chunk while storage is away; its sender has no credit meanwhile."""

Refusal = tuple[str, str]
"""Code and message."""


def refusal_of(
    attachment: ParticipationRead, file: int, index: int, length_bytes: int
) -> Refusal | None:
    """Return why it is certain that storage would refuse a chunk; None where it is not."""
    if attachment.role != "sender":
        return "forbidden", "Only the sender of a transfer sends its chunks"
    if attachment.state in OVER:
        return "transfer-over", f"The transfer is {attachment.state}"
    shape = attachment.shapes.get(file)
    if shape is None or index >= shape.chunk_count:
        return "chunk-outside", "The transfer has no chunk with this index"
    expected = shape.length(index)
    if length_bytes != expected:
        return "chunk-length", f"The chunk has {length_bytes} bytes instead of {expected}"
    return None


async def put_patiently(store: ChunkStore, upload_id: UUID, chunk: Chunk) -> ChunkStored:
    """Have a chunk stored, again and again while storage is away.

    Raises ChunkRefused, and StoreAway once patience is over.
    """
    for pause_seconds in _PAUSES_SECONDS:
        try:
            return await store.put_chunk(upload_id, chunk.index, chunk.sha256, chunk.payload)
        except StoreAway as error:
            log.debug("chunk_put_failed", error=str(error))
            await asyncio.sleep(pause_seconds)
    return await store.put_chunk(upload_id, chunk.index, chunk.sha256, chunk.payload)
