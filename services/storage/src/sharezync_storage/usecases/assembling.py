"""The bytes of an upload that is complete: verified, and made one blob of.

No call to the store inside a transaction: what assembling needs to know is read before
(`parts_of`).
"""

import asyncio
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlmodel import col, select

from sharezync_shared.contracts.storage import DigestMismatch, UploadIncomplete
from sharezync_shared.work import UnitOfWork
from sharezync_storage import access
from sharezync_storage.keys import file_key
from sharezync_storage.models import Chunk, Upload
from sharezync_storage.stores.pieces import no_pieces, sha256_of
from sharezync_storage.stores.port import BlobStore, Extent, NoSuchBlob, UploadStore
from sharezync_storage.usecases.checksums import Digests
from sharezync_storage.usecases.chunks import stored_chunk
from sharezync_storage.usecases.uploads import extent_of, plan_of


@dataclass(frozen=True, slots=True)
class UploadParts:
    """What an upload is made of. By its source one of the two, or neither."""

    digests: Sequence[bytes] = ()
    """Of its chunks, in order."""
    sources: Sequence[tuple[str, Extent]] = ()
    """What came from start to end: its own bytes, or those of its parts."""


Known = tuple[bytes | None, bytes | None]
"""The SHA-256 of a blob, as far as it is known, and the root of one that came in chunks."""


async def parts_of(unit: UnitOfWork, uploads: Sequence[Upload]) -> dict[UUID, UploadParts]:
    """Return what each upload is to be made of, their rows held by the caller."""
    in_chunks = [upload.id for upload in uploads if access.in_chunks(upload)]
    digests: dict[UUID, list[bytes]] = {upload_id: [] for upload_id in in_chunks}
    if in_chunks:
        statement = select(Chunk.upload_id, Chunk.sha256).where(
            access.among(Chunk.upload_id, in_chunks)
        )
        in_order = statement.order_by(col(Chunk.upload_id), col(Chunk.index))
        for upload_id, sha256 in await unit.session.exec(in_order):
            digests[upload_id].append(sha256)
    parts = {upload_id: UploadParts(digests=found) for upload_id, found in digests.items()}
    for upload in uploads:  # those that come one at a time
        if upload.id not in parts:
            parts[upload.id] = await _parts_of(unit, upload)
    return parts


async def _parts_of(unit: UnitOfWork, upload: Upload) -> UploadParts:
    if upload.source != "tus":
        return UploadParts()
    if upload.source_ids is None:
        return UploadParts(sources=[(upload.store_key, await extent_of(unit, upload))])
    parts = {}
    for part in await unit.session.exec(
        select(Upload).where(col(Upload.id).in_(set(upload.source_ids)))
    ):
        parts[part.id] = (part.store_key, await extent_of(unit, part))
    return UploadParts(sources=[parts[part_id] for part_id in upload.source_ids])


async def assemble(store: UploadStore, upload: Upload, parts: UploadParts) -> Known:
    """Make the blob of an upload, durably. Idempotent, from several processes at once too.

    Raises DigestMismatch where the whole has another digest than was said, UploadIncomplete where
    what clients were to send straight to the store isn't there, and ContentDamaged.
    """
    if access.in_chunks(upload):
        return await _assemble_chunks(store, upload, parts.digests)
    if upload.source == "direct":
        return await _check_direct(store, upload)
    key = file_key(upload.id)
    sources = [(source, extent) for source, extent in parts.sources if extent.size_bytes]
    if sources:
        await store.assemble(sources, key)
    else:
        await store.put(key, no_pieces())
    return upload.sha256 or await _sha256_of(store, key), None


async def _assemble_chunks(store: UploadStore, upload: Upload, digests: Sequence[bytes]) -> Known:
    plan = plan_of(upload)
    if upload.sha256 is not None:
        whole = hashlib.sha256()
        for index, digest in enumerate(digests):
            chunk = await stored_chunk(store, upload.id, plan, index, digest)
            await asyncio.to_thread(whole.update, chunk)
        _check(upload.sha256, whole.digest())
    await store.assemble_chunks(plan, file_key(upload.id), digests)
    return upload.sha256, await asyncio.to_thread(sha256_of, digests)


async def _check_direct(store: BlobStore, upload: Upload) -> Known:
    """See that the blob is there: the store has made it when the client said it was complete."""
    key = file_key(upload.id)
    try:
        if await store.size(key) != upload.size_bytes:
            raise UploadIncomplete
    except NoSuchBlob:
        raise UploadIncomplete from None
    if upload.sha256 is not None:
        _check(upload.sha256, await _sha256_of(store, key))
    return upload.sha256, None


async def _sha256_of(store: BlobStore, key: str) -> bytes:
    whole = hashlib.sha256()
    digests = Digests(whole)
    async with store.open(key) as pieces:
        async for piece in pieces:
            await digests.feed(piece)
    await digests.settle()
    return whole.digest()


def _check(expected: bytes, actual: bytes) -> None:
    if actual != expected:
        raise DigestMismatch(expected_sha256=expected.hex(), actual_sha256=actual.hex())
