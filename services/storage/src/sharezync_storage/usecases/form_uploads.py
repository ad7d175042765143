"""Files that come in one piece, in a form: reserved, kept, hashed on the way."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterable
from datetime import timedelta
from typing import Final

from sqlalchemy import func
from sqlmodel import col, select

from sharezync_shared.db.outages import log_leftover
from sharezync_shared.ids import UserId
from sharezync_shared.problems import Conflict
from sharezync_shared.work import UnitOfWork
from sharezync_storage.errors import BodyBroken, UploadBusy, UploadGone
from sharezync_storage.models import File, Upload, UploadId
from sharezync_storage.states import UNFINISHED, advance
from sharezync_storage.stores.port import StoredBlob
from sharezync_storage.usecases import files, quota
from sharezync_storage.usecases.context import StorageContext
from sharezync_storage.usecases.sweeping import Unneeded, forget
from sharezync_storage.usecases.uploads import begin_one, give_up

_LEASE: Final = timedelta(minutes=15)
"""After a crash, how long the room of a form that was arriving stays reserved."""
_RENEW_SECONDS: Final = 300.0


async def receive(
    context: StorageContext,
    *,
    owner_id: UserId,
    name: str,
    mime: str | None,
    pieces: AsyncIterable[bytes],
    expected_bytes: int = 0,
    idempotency_key: str | None = None,
) -> File:
    """Keep a file that comes in one piece, hashed on the way, and publish it.

    `expected_bytes` is a good guess: room for so much is reserved before the first byte, and more
    as more comes. With an `idempotency_key` the file that first came with it is returned, as long
    as it is there, and no byte is read; while the first is still coming it is given up for this
    one, which may well be its client again. Raises FileTooLarge, QuotaExceeded, TooManyFiles,
    TooManyUploads, UploadGone (the first file was deleted), UploadBusy (the same key came again
    meanwhile), Conflict (the key was used for another upload), StoreFull, StoreUnavailable,
    Unavailable (too many bodies at this moment) and what `pieces` raises; then nothing stays
    behind, neither bytes nor reservation. What a crash leaves is found by the sweep.
    """
    with context.slots.one(str(owner_id)) as body:
        async with context.work.begin() as unit:
            if idempotency_key is not None:
                file = await _came_before(unit, owner_id, idempotency_key)
                if file is not None:
                    return file
            begun = await begin_one(
                unit,
                context.settings,
                "form",
                owner_id=owner_id,
                name=name,
                mime=mime,
                reserve_bytes=expected_bytes,
                idempotency_key=idempotency_key,
            )
            begun.expires_at = unit.now + _LEASE
            advance(begun, "write")
        try:
            async with contextlib.aclosing(
                _metered(context, begun, body.pieces(pieces))
            ) as counted:
                stored = await context.store.put(begun.store_key, counted)
            return await _finish(context, begun, stored)
        except BaseException:
            await asyncio.shield(_abandon(context, begun))
            raise


async def _came_before(unit: UnitOfWork, owner_id: UserId, key: str) -> File | None:
    """Return the file of this key, and give up what was still coming with it."""
    # The same key at the same time, on any replica: one after the other.
    await unit.session.scalar(
        select(func.pg_advisory_xact_lock(func.hashtextextended(f"{owner_id}/{key}", 0)))
    )
    statement = select(Upload).where(
        col(Upload.owner_id) == owner_id, col(Upload.idempotency_key) == key
    )
    upload = (await unit.session.exec(statement.with_for_update())).one_or_none()
    if upload is None:
        return None
    if upload.source != "form":
        raise Conflict("This Idempotency-Key was used for another upload")
    if upload.state in UNFINISHED:
        await give_up(unit, upload)
        await unit.session.flush()  # its row goes before there is another one of this key
        return None
    file = await unit.get(File, upload.id)
    if file is None or file.deleted_at is not None or file.let_go_at is not None:
        raise UploadGone("The file of this key was deleted: use another key")
    return file


async def _metered(
    context: StorageContext, upload: Upload, pieces: AsyncIterable[bytes]
) -> AsyncGenerator[bytes]:
    """Pass `pieces` on, within the limits, and keep the upload alive while they come."""
    loop = asyncio.get_running_loop()
    renew_at = loop.time() + _RENEW_SECONDS
    size, reserved = 0, upload.reserved_bytes
    async for piece in pieces:
        size += len(piece)
        quota.check_size(context.settings, size)
        if size > reserved or loop.time() > renew_at:
            reserved = await _renew(context, upload, size)
            renew_at = loop.time() + _RENEW_SECONDS
        yield piece


async def _renew(context: StorageContext, begun: Upload, size: int) -> int:
    """Reserve room for `size` bytes and some more, renew the lease; return what is reserved."""
    async with context.work.begin() as unit:
        upload = await unit.get(Upload, begun.id, lock=True)
        if upload is None:
            raise _given_up(begun)
        upload.expires_at = unit.now + _LEASE
        await quota.reserve_up_to(unit, context.settings, upload, size)
        return upload.reserved_bytes


async def _finish(context: StorageContext, begun: Upload, stored: StoredBlob) -> File:
    file = None
    async with context.work.begin() as unit:
        upload = await unit.get(Upload, begun.id, lock=True)
        if upload is None:
            await forget(unit, Unneeded("blob", begun.store_key, size_bytes=stored.size_bytes))
        else:
            upload.size_bytes, upload.sha256 = stored.size_bytes, stored.sha256
            advance(upload, "verify")  # hashed on the way
            (file,) = await files.stand(unit, upload)
            if upload.idempotency_key is None:
                await unit.session.delete(upload)  # nobody will ask for it
    if file is None:
        raise _given_up(begun)
    return file


def _given_up(begun: Upload) -> BodyBroken | UploadBusy:
    if begun.idempotency_key is None:
        return BodyBroken("The upload was cancelled")
    return UploadBusy(
        "The same key came again meanwhile, and this one was given up",
        headers={"Retry-After": "1"},
    )


async def _abandon(context: StorageContext, begun: Upload) -> None:
    """Give up what did not become a file. What fails here is done by the sweep later."""
    try:
        async with context.work.begin() as unit:
            upload = await unit.get(Upload, UploadId(begun.id), lock=True)
            if upload is not None and upload.state in UNFINISHED:
                await give_up(unit, upload)
    except Exception as error:  # noqa: BLE001 - the failure that led here is the one to raise
        log_leftover("upload_not_cancelled", error, upload_id=str(begun.id))
