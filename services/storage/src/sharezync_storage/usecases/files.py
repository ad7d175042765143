"""Files: kept when they come in one piece, listed, looked at, described, deleted."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final
from uuid import UUID

import structlog
from sqlalchemy import delete as delete_from
from sqlmodel import col, select

from sharezync_shared.db.work import Unit, Work
from sharezync_shared.events.contracts.storage import FileDeleted, FileStored
from sharezync_shared.filenames import clean_name
from sharezync_shared.ids import UserId, uuid7
from sharezync_storage import access
from sharezync_storage.keys import file_key
from sharezync_storage.media_types import clean_media_type
from sharezync_storage.models import Chunk, File, FileId, Upload, UploadId
from sharezync_storage.problems import BodyBroken, QuotaExceeded
from sharezync_storage.settings import MIB
from sharezync_storage.stores import BlobStore, Stored
from sharezync_storage.usecases import quota
from sharezync_storage.usecases.quota import Limits
from sharezync_storage.usecases.sweeping import forget

log = structlog.get_logger()

_LEASE: Final = timedelta(minutes=15)
"""After a crash, how long the room of a form that was arriving stays reserved."""
_RENEW_SECONDS: Final = 300.0
_STEP_BYTES: Final = 16 * MIB
"""How much is reserved at a time where nobody said how much will come."""


@dataclass(frozen=True, slots=True)
class Page:
    """Some of many. `next` is where the rest begins; None: this was all."""

    items: list[File]
    next: FileId | None


async def receive(
    work: Work,
    store: BlobStore,
    limits: Limits,
    *,
    owner_id: UserId,
    name: str,
    mime: str | None,
    pieces: AsyncIterable[bytes],
    expected_bytes: int = 0,
) -> File:
    """Keep a file that comes in one piece, hashed on the way; services hear of it.

    `expected_bytes` is a good guess: room for so much is reserved before the first byte, and more
    as more comes. Raises FileTooLarge, QuotaExceeded, StoreFull, StoreUnavailable, and what
    `pieces` raises; then nothing stays behind, neither bytes nor reservation. What a crash leaves
    is found by the sweep.
    """
    limits.check_size(expected_bytes)
    upload = await _begin(work, limits, owner_id, name, mime, expected_bytes)
    try:
        async with contextlib.aclosing(_metered(work, limits, upload, pieces)) as counted:
            stored = await store.put(upload.store_key, counted)
        return await _finish(work, UploadId(upload.id), stored)
    except BaseException:
        await asyncio.shield(_abandon(work, upload))
        raise


async def _begin(
    work: Work, limits: Limits, owner_id: UserId, name: str, mime: str | None, expected_bytes: int
) -> Upload:
    async with work.begin() as unit:
        upload_id = uuid7()
        upload = Upload(
            id=upload_id,
            owner_id=owner_id,
            door="form",
            state="receiving",
            name=clean_name(name),
            mime=clean_media_type(mime),
            store_key=file_key(upload_id),
            created_at=unit.now,
            expires_at=unit.now + _LEASE,
        )
        await quota.reserve(unit, limits, upload, expected_bytes)
        unit.add(upload)
    return upload


async def _metered(
    work: Work, limits: Limits, upload: Upload, pieces: AsyncIterable[bytes]
) -> AsyncGenerator[bytes]:
    """Pass `pieces` on, within the limits, and keep the upload alive while they come."""
    loop = asyncio.get_running_loop()
    renew_at = loop.time() + _RENEW_SECONDS
    size, reserved = 0, upload.reserved_bytes
    async for piece in pieces:
        size += len(piece)
        limits.check_size(size)
        if size > reserved or loop.time() > renew_at:
            reserved = await _renew(work, limits, upload.id, size)
            renew_at = loop.time() + _RENEW_SECONDS
        yield piece


async def _renew(work: Work, limits: Limits, upload_id: UUID, size: int) -> int:
    """Reserve room for `size` bytes and some more, renew the lease; return what is reserved."""
    async with work.begin() as unit:
        upload = await unit.get(Upload, upload_id, lock=True)
        if upload is None:
            raise BodyBroken("The upload was given up meanwhile")
        upload.expires_at = unit.now + _LEASE
        missing = size - upload.reserved_bytes
        if missing > 0:
            try:
                await quota.reserve(unit, limits, upload, max(missing, _STEP_BYTES))
            except QuotaExceeded:
                await quota.reserve(unit, limits, upload, missing)
        return upload.reserved_bytes


async def _finish(work: Work, upload_id: UploadId, stored: Stored) -> File:
    file: File | None = None
    async with work.begin() as unit:
        upload = await unit.get(Upload, upload_id, lock=True)
        if upload is None:
            forget(unit, blob=file_key(upload_id))
        else:
            file = stand(unit, upload, size_bytes=stored.size_bytes, sha256=stored.sha256)
            await quota.settle(unit, upload, stored.size_bytes)
            await unit.session.delete(upload)
    if file is None:
        raise BodyBroken("The upload was given up meanwhile")
    return file


async def _abandon(work: Work, upload: Upload) -> None:
    """Give up what did not become a file. What fails here is done by the sweep later."""
    try:
        async with work.begin() as unit:
            found = await unit.get(Upload, upload.id, lock=True)
            if found is not None:
                await quota.release(unit, found)
                forget(unit, blob=found.store_key)
                await unit.session.delete(found)
    except Exception as error:  # noqa: BLE001 - the failure that led here is the one to tell
        log.warning("upload_not_given_up", upload_id=str(upload.id), error=repr(error))


def stand(
    unit: Unit,
    upload: Upload,
    *,
    size_bytes: int,
    sha256: bytes | None = None,
    root: bytes | None = None,
) -> File:
    """Make the file that an upload has become; services hear of it."""
    file = File(
        id=upload.id,
        owner_id=upload.owner_id,
        name=upload.name,
        size_bytes=size_bytes,
        mime=upload.mime,
        sha256=sha256,
        root=root,
        store_key=file_key(upload.id),
        created_at=unit.now,
    )
    unit.add(file)
    unit.emit(
        FileStored(
            file_id=file.id,
            owner_id=file.owner_id,
            size_bytes=size_bytes,
            media_type=file.mime,
            sha256=sha256.hex() if sha256 else None,
        )
    )
    return file


async def page(work: Work, *, owner_id: UserId, after: FileId | None, limit: int) -> Page:
    """List a user's files, newest first, from behind the file `after`."""
    statement = select(File).where(File.owner_id == owner_id, col(File.deleted_at).is_(None))
    if after is not None:
        statement = statement.where(col(File.id) < after)
    async with work.read() as unit:
        found = await unit.session.exec(statement.order_by(col(File.id).desc()).limit(limit + 1))
        files = list(found)
    more = len(files) > limit
    return Page(files[:limit], FileId(files[limit - 1].id) if more else None)


async def get(work: Work, *, owner_id: UserId, file_id: FileId) -> File:
    """Return a user's own file. Raises NotFound."""
    async with work.read() as unit:
        return await access.own_file(unit, owner_id, file_id)


async def get_vouched_for(work: Work, *, file_id: FileId) -> File:
    """Return anybody's file, for a reader with a valid signature. Raises NotFound."""
    async with work.read() as unit:
        return await access.file_vouched_for(unit, file_id)


async def describe(work: Work, *, file_ids: Sequence[UUID]) -> list[File]:
    """Return those of these files that are there, in no order."""
    async with work.read() as unit:
        statement = select(File).where(col(File.id).in_(file_ids), col(File.deleted_at).is_(None))
        return list(await unit.session.exec(statement))


async def delete(work: Work, *, owner_id: UserId, file_id: FileId) -> None:
    """Delete a user's own file for everyone; services hear of it. Raises NotFound."""
    async with work.begin() as unit:
        # First the upload, as everywhere: whoever takes both in another order would wait for us.
        upload = await unit.get(Upload, file_id, lock=True)
        file = await access.own_file(unit, owner_id, file_id, lock=True)
        await remove(unit, file, upload)


async def remove(unit: Unit, file: File, upload: Upload | None) -> None:
    """Delete a file, both rows held by the caller; its upload is over for good."""
    file.deleted_at = unit.now
    unit.add(file)
    await quota.free(unit, file.owner_id, file.size_bytes)
    forget(unit, blob=file.store_key)
    if upload is not None:
        upload.state, upload.expires_at = "aborted", unit.now
        await unit.session.exec(delete_from(Chunk).where(col(Chunk.upload_id) == upload.id))
    unit.emit(FileDeleted(file_id=file.id, owner_id=file.owner_id))
