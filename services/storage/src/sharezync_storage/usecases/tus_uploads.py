"""Uploads that come from their start to their end, in as many requests as it takes (tus 1.0.0).

All functions for an upload's owner raise NotFound for an upload of somebody else and for one that
never was, and UploadGone for one's own that was given up or has expired. Who may write, and how a
writer that has stalled is ended, is in `writers.py`; what becomes of a request's bytes in
`append_receiver.py`.
"""

import asyncio
from collections.abc import AsyncIterable, Collection
from contextlib import aclosing
from dataclasses import dataclass
from typing import NamedTuple
from uuid import UUID, uuid4

from sqlmodel import col, select

from sharezync_shared.db.outages import log_leftover
from sharezync_shared.ids import UserId
from sharezync_shared.problems import Invalid, NotFound
from sharezync_shared.work import UnitOfWork
from sharezync_storage import access, errors
from sharezync_storage.models import Upload, UploadId
from sharezync_storage.states import ENDED, TAKES_BYTES, advance
from sharezync_storage.stores.port import Extent, NoSuchBlob
from sharezync_storage.usecases import quota, uploads
from sharezync_storage.usecases.append_receiver import AppendReceiver
from sharezync_storage.usecases.checksums import Checksum
from sharezync_storage.usecases.context import StorageContext
from sharezync_storage.usecases.writers import Preempted, Writer, busy


@dataclass(frozen=True, slots=True)
class TusCreation:
    """What a client says of an upload. `length` is in bytes; None: to come later."""

    name: str
    mime: str | None = None
    length: int | None = None
    metadata: str | None = None
    """`Upload-Metadata` as it was given."""
    concat: str | None = None
    """`Upload-Concat` as it was given: one that is, or is made of, a part of something larger."""
    source_ids: tuple[UploadId, ...] = ()
    """What it is made of: complete partial uploads in this order, one perhaps repeatedly."""

    def began(self, upload: Upload) -> bool:
        """Whether this upload may be what the same request began.

        A length that was deferred may have come since, and not be recorded.
        """
        return (
            upload.source == "tus"
            and upload.tus_metadata == self.metadata
            and upload.tus_concat == self.concat
            and self.length in (upload.size_bytes, None)
        )


async def create(
    context: StorageContext,
    *,
    owner_id: UserId,
    creation: TusCreation,
    idempotency_key: str | None = None,
) -> tuple[Upload, bool]:
    """Begin an upload, once for each key, with room reserved; return it and whether it is new.

    One of no bytes is complete at once. Without a key, who lost the answer begins another one,
    and the first expires. One that is made of others inherits nothing, and room for the whole
    is reserved anew; the parts can be used again and expire in an hour. Raises FileTooLarge,
    QuotaExceeded, TooManyFiles, TooManyUploads, Conflict (the key began something else), and
    for one that is made of others PartsUnfinished and Invalid (some are no partial uploads).
    """
    upload, new = await uploads.once(
        context.work,
        owner_id=owner_id,
        key=idempotency_key,
        same=creation.began,
        begin=lambda: _begin(context, owner_id, creation, idempotency_key),
    )
    if new:
        return await _finished(context, upload), True
    return await status(context, owner_id=owner_id, upload_id=UploadId(upload.id)), False


async def _begin(
    context: StorageContext, owner_id: UserId, creation: TusCreation, idempotency_key: str | None
) -> Upload:
    async with context.work.begin() as unit:
        size_bytes, source_ids = creation.length, creation.source_ids
        parts = await _parts(unit, owner_id, source_ids) if source_ids else {}
        if source_ids:
            size_bytes = sum(parts[source_id].stored_bytes for source_id in source_ids)
        upload = await uploads.begin_one(
            unit,
            context.settings,
            "tus",
            owner_id=owner_id,
            name=creation.name,
            mime=creation.mime,
            size_bytes=size_bytes,
            tus_metadata=creation.metadata,
            tus_concat=creation.concat,
            source_ids=list(source_ids) or None,
            idempotency_key=idempotency_key,
        )
        if source_ids:
            advance(upload, "verify")
        elif size_bytes == 0:
            advance(upload, "verify" if creation.concat is None else "hold")
        for part in parts.values():
            if part.expires_at is not None:
                part.expires_at = min(part.expires_at, unit.now + uploads.PARTS_LIFETIME)
    return upload


async def status(context: StorageContext, *, owner_id: UserId, upload_id: UploadId) -> Upload:
    """Return how far an upload is: all that arrived, where nobody is sending any more.

    A writer that has stalled is seen off, so that its bytes can't come any more; one that is
    still receiving isn't disturbed, and what is on record by now is returned.
    """
    upload = await _own(context, owner_id, upload_id)
    if upload.state not in TAKES_BYTES or not await context.writers.preempt_stalled(upload):
        return upload
    return await _own(context, owner_id, upload_id)


async def append(
    context: StorageContext,
    *,
    owner_id: UserId,
    upload_id: UploadId,
    offset: int,
    pieces: AsyncIterable[bytes],
    length: int | None = None,
    checksum: Checksum | None = None,
) -> Upload:
    """Write `pieces` at `offset`, which must be where the upload stands; return how it is then.

    `length` gives that of an upload that was begun without, or repeats what is known. What
    comes before `pieces` raises is kept and counts, unless there is a `checksum`: then all
    counts, or nothing. With its last byte the upload is verified and becomes a file; that may
    take longer than this call, which returns when everything is durable.

    Raises OffsetMismatch (nothing was written), UploadBusy (another request is writing, or has
    taken over), UploadLengthConflict, ChecksumMismatch, FinalUpload, FileTooLarge,
    QuotaExceeded, StoreFull, StoreUnavailable, Unavailable (too many bodies at this moment),
    and what `pieces` raises.
    """
    if context.writers.writes(upload_id) and not await context.writers.preempt_stalled(
        await _own(context, owner_id, upload_id)
    ):
        raise busy()
    with context.slots.one(str(owner_id)) as body, context.writers.one(upload_id) as writer:
        claim = await _claim(context, owner_id, upload_id, offset, length)
        if claim is None and await context.writers.leases.end_elsewhere(upload_id):
            claim = await _claim(context, owner_id, upload_id, offset, length)
        if claim is None:
            raise busy()
        if claim.start is None:
            await _check_nothing_more(claim.upload, offset, length, pieces)
        else:
            receiver = AppendReceiver(context, claim.upload, claim.epoch, claim.start, checksum)
            await _take_in(context, writer, receiver, body.pieces(pieces))
    return await _finished(context, claim.upload)


async def terminate(
    context: StorageContext, *, owner_id: UserId, upload_id: UploadId, free_key: bool = False
) -> None:
    """Give an upload up; one that has finished goes with its file, as if that were deleted.

    With `free_key` its `Idempotency-Key` may begin another one, as if this had never been.
    Raises UploadBusy for a part while a final upload is being made of it.
    """
    await _own(context, owner_id, upload_id)
    await context.writers.stop(upload_id)
    async with context.work.begin() as unit:
        upload = await _own_in(unit, owner_id, upload_id, lock=True)
        if free_key:
            upload.idempotency_key = None
        if upload.state == "finished":
            await uploads.end_with_file(unit, upload)
        else:
            if await uploads.is_needed(unit, upload_id):
                raise busy()
            await uploads.give_up(unit, upload)
    context.wholes.drop(upload_id)


class _Claim(NamedTuple):
    """The lease of one writer. `upload` is the row as it was then, and as it came to be.

    `start` is where the writer begins; None where nothing more is to come, and there is no lease.
    """

    upload: Upload
    epoch: int
    start: Extent | None


async def _claim(
    context: StorageContext, owner_id: UserId, upload_id: UploadId, offset: int, length: int | None
) -> _Claim | None:
    """Take the lease, where the request fits; None where another process has it."""
    async with context.work.begin() as unit:
        upload = await _own_in(unit, owner_id, upload_id, lock=True)
        if upload.source_ids is not None:
            raise errors.FinalUpload
        if upload.state not in TAKES_BYTES:
            return _Claim(upload, upload.epoch, None)
        epoch = await context.writers.leases.claim(await unit.raw(), upload.id, uuid4())
        if epoch is None:
            return None
        if upload.stored_bytes != offset:
            raise errors.OffsetMismatch(offset=upload.stored_bytes)
        if length is not None:
            await _set_length(context, unit, upload, length)
        return _Claim(upload, epoch, await uploads.extent_of(unit, upload))


async def _set_length(
    context: StorageContext, unit: UnitOfWork, upload: Upload, length: int
) -> None:
    if upload.size_bytes is None and length >= upload.stored_bytes:
        quota.check_size(context.settings, length)
        missing = length - upload.reserved_bytes
        if missing > 0:
            await quota.reserve(unit, context.settings, upload, missing)
        upload.size_bytes = length
    elif upload.size_bytes != length:
        raise errors.UploadLengthConflict


async def _take_in(
    context: StorageContext,
    writer: Writer,
    receiver: AppendReceiver,
    pieces: AsyncIterable[bytes],
) -> None:
    upload, epoch = receiver.upload, receiver.epoch
    try:
        async with (
            context.writers.leased(writer, upload.id, epoch),
            aclosing(writer.taken(pieces)) as coming,
            aclosing(receiver.metered(coming)) as metered,
        ):
            extent = await context.store.append(
                upload.store_key, metered, start=receiver.start, epoch=epoch, kept=receiver.kept
            )
        await receiver.kept(extent)
    except Preempted:
        raise await _why_preempted(context, upload.id) from None
    except NoSuchBlob as error:
        problem = await _why_preempted(context, upload.id)
        raise (
            problem if isinstance(problem, errors.UploadGone) else errors.ContentDamaged()
        ) from error
    finally:
        writer.ending = True
        await asyncio.shield(_put_down(context, receiver))


async def _put_down(context: StorageContext, receiver: AppendReceiver) -> None:
    """End a writer's lease. What fails here mends itself: the lease lapses."""
    upload = receiver.upload
    if upload.state == "verifying":
        context.assembler.start(UploadId(upload.id))
    try:
        await receiver.aclose()
        if upload.state in TAKES_BYTES:
            await context.writers.leases.let_go(upload.id, receiver.epoch)
    except Exception as error:  # noqa: BLE001 - what was acknowledged is on record already
        log_leftover("lease_not_released", error, upload_id=str(upload.id))


async def _why_preempted(
    context: StorageContext, upload_id: UUID
) -> errors.UploadBusy | errors.UploadGone:
    async with context.work.begin() as unit:
        upload = await unit.get(Upload, upload_id)
    return errors.UploadGone() if upload is None or upload.state in ENDED else busy()


async def _finished(context: StorageContext, upload: Upload) -> Upload:
    """Return an upload as it is when it has finished, or when one has waited long enough."""
    if upload.state != "verifying":
        return upload
    await context.assembler.try_to_finish(UploadId(upload.id))
    async with context.work.begin() as unit:
        return await unit.get(Upload, upload.id) or upload


async def _own(context: StorageContext, owner_id: UserId, upload_id: UploadId) -> Upload:
    async with context.work.begin() as unit:
        return await _own_in(unit, owner_id, upload_id)


async def _own_in(
    unit: UnitOfWork, owner_id: UserId, upload_id: UploadId, *, lock: bool = False
) -> Upload:
    upload = await access.own_upload(unit, owner_id, upload_id, "tus", lock=lock)
    if upload.state in ENDED or uploads.expired(upload, unit.now):
        raise errors.UploadGone
    return upload


async def _check_nothing_more(
    upload: Upload, offset: int, length: int | None, pieces: AsyncIterable[bytes]
) -> None:
    """Accept a request that says again what is known of a complete upload, and nothing more."""
    if upload.stored_bytes != offset:
        raise errors.OffsetMismatch(offset=upload.stored_bytes)
    if length is not None and length != upload.size_bytes:
        raise errors.UploadLengthConflict
    async for piece in pieces:
        if piece:
            raise errors.UploadLengthConflict


async def _parts(
    unit: UnitOfWork, owner_id: UserId, source_ids: Collection[UploadId]
) -> dict[UUID, Upload]:
    """Return the parts by their ids, locked until it is on record that they are needed."""
    statement = (
        select(Upload)
        .where(
            col(Upload.id).in_(set(source_ids)),
            col(Upload.owner_id) == owner_id,
            col(Upload.source) == "tus",
        )
        .order_by(col(Upload.id))
        .with_for_update()
    )
    found = {upload.id: upload for upload in await unit.session.exec(statement)}
    for source_id in source_ids:
        part = found.get(source_id)
        if part is None:
            raise NotFound(f"The upload {source_id} doesn't exist")
        if part.state in ENDED or (part.expires_at is not None and part.expires_at < unit.now):
            raise errors.UploadGone(f"The upload {source_id} was cancelled or has expired")
        if part.tus_concat is None or part.source_ids is not None:
            raise Invalid(f"The upload {source_id} isn't partial")
    unfinished = [one for one in found.values() if one.state != "held"]
    if unfinished:
        raise errors.PartsUnfinished(unfinished=[f"/v1/uploads/{one.id}" for one in unfinished])
    return found
