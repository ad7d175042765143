"""Offering files to people: the beginning of every transfer."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from typing import Final
from uuid import UUID

import structlog
from sqlalchemy.exc import IntegrityError
from sqlmodel import select

from sharezync_shared.contracts import storage
from sharezync_shared.contracts.services import Services
from sharezync_shared.contracts.storage import FileComing
from sharezync_shared.cooperative import cooperatively
from sharezync_shared.events.contracts import TransferOffered
from sharezync_shared.ids import UserId, uuid7
from sharezync_shared.names.filenames import clash, clean_path, path_key
from sharezync_shared.problems import Invalid, Problem
from sharezync_shared.streams.log import Entry
from sharezync_shared.streams.published import Published
from sharezync_shared.work import UnitOfWork, UnitsOfWork
from sharezync_transfer import access
from sharezync_transfer.access import Actor, TransferAggregate
from sharezync_transfer.errors import QuotaExceeded, TooManyFiles, TransferTooLarge
from sharezync_transfer.models import USERS, Transfer, TransferFile, transfers_stream
from sharezync_transfer.schemas import FileOffer, TransferOffer
from sharezync_transfer.settings import TransferSettings
from sharezync_transfer.usecases import offer_policy, statistics, transitions
from sharezync_transfer.usecases.capabilities import Participation
from sharezync_transfer.usecases.context import TransferServiceContext

log = structlog.get_logger()

_ADD_FILES: Final = """
INSERT INTO transfer.files
    (transfer_id, index, name, path, size_bytes, mime, sha256, upload_id, stored_bytes)
SELECT $1, g.*, 0
FROM unnest($2::int[], $3::text[], $4::text[], $5::bigint[], $6::text[], $7::bytea[], $8::uuid[])
    AS g
"""


async def offer(
    context: TransferServiceContext,
    actor: Actor,
    body: TransferOffer,
    client_transfer_id: str | None = None,
) -> Published[Participation]:
    """Offer files to users; each gets `incoming_transfer`. The sender may send at once.

    With a `client_transfer_id`, by itself or in the offer, that the sender has used before it
    returns the offer made then, as it is by now. Raises Invalid, UserNotFound, UserBlocked,
    TransferTooLarge, TooManyOffers, TooManyTransfers, TooManyFiles, QuotaExceeded and Unavailable:
    then nothing was offered and nothing is kept.
    """
    work, services, settings = context.work, context.services, context.settings
    client_transfer_id = body.client_transfer_id or client_transfer_id
    if (before := await _made_before(work, actor, client_transfer_id)) is not None:
        return before
    _check(settings, actor, body)
    paths = await paths_of([file.name for file in body.files])
    everybody = [actor.user_id, *(each.user_id for each in body.recipients)]
    await USERS.require(work, services.auth, everybody)
    policy = await offer_policy.prepare(context, actor.user_id, body.recipients)
    uploads = await _open_uploads(services, actor.user_id, body, paths)
    expires_in = timedelta(days=settings.transfer_expire_days)
    if body.expires_in_s is not None:
        expires_in = timedelta(seconds=body.expires_in_s)
    try:
        async with work.begin() as unit:
            await USERS.keep(unit, everybody)
            await unit.lock_streams(*map(transfers_stream, everybody))
            await policy.check(await unit.raw())
            transfer = Transfer(
                id=uuid7(),
                sender_id=actor.user_id,
                sender_device_id=actor.device_id,
                client_transfer_id=client_transfer_id,
                note=body.note,
                chunk_size_bytes=body.chunk_size,
                file_count=len(body.files),
                size_bytes=sum(file.size for file in body.files),
                state="offered",
                created_at=unit.now,
                expires_at=unit.now + expires_in,
                progress_at=unit.now,
            )
            unit.add(transfer)
            await unit.session.flush()  # the others refer to it
            recipients = policy.recipients(transfer, unit.now)
            unit.session.add_all(recipients)
            stored = await _add_files(unit, transfer, body.files, paths, uploads)
            whole = TransferAggregate(transfer, stored, recipients)
            answered = await policy.answer(unit, whole)
            unit.emit(_offered(whole))
            transitions.derive_state(unit, whole, answered)
            at = (await unit.publish_events(_entries(whole)))[-1]
            # Nobody gets to know the sender by these answers: it was a device that accepted.
            await statistics.add(unit, whole, answered)
    except BaseException as error:
        await asyncio.shield(_drop(services, uploads))
        if isinstance(error, IntegrityError):  # the same offer came twice at the same moment
            before = await _made_before(work, actor, client_transfer_id)
            if before is not None:
                return before
        raise
    return Published(_end_of(whole, actor), at, created=True)


async def _made_before(
    work: UnitsOfWork, actor: Actor, client_transfer_id: str | None
) -> Published[Participation] | None:
    if client_transfer_id is None:
        return None
    async with work.read() as unit:
        found = await unit.session.exec(
            select(Transfer.id).where(
                Transfer.sender_id == actor.user_id,
                Transfer.client_transfer_id == client_transfer_id,
            )
        )
        wholes = await access.load(unit, list(found))
    if not wholes:
        return None
    return Published(_end_of(wholes[0], actor))


def _end_of(whole: TransferAggregate, actor: Actor) -> Participation:
    # Who sends to themselves may be at the device that is to receive.
    return Participation.from_aggregate(whole, replace(actor, role="sender"), {})


def _check(settings: TransferSettings, actor: Actor, body: TransferOffer) -> None:
    if len({each.user_id for each in body.recipients}) < len(body.recipients):
        raise Invalid("Each recipient can be listed only once")
    for each in body.recipients:
        if each.user_id == actor.user_id and each.device_id in (None, actor.device_id):
            raise Invalid("A transfer to yourself must be for another device")
    longest = timedelta(days=settings.transfer_longest_expire_days)
    if body.expires_in_s is not None and timedelta(seconds=body.expires_in_s) > longest:
        raise Invalid(f"An offer can be valid for at most {longest.days} days")
    limit_bytes = settings.transfer_max_bytes
    if sum(file.size for file in body.files) > limit_bytes:
        raise TransferTooLarge(
            f"All files together may have at most {limit_bytes} bytes", limit_bytes=limit_bytes
        )


async def paths_of(names: Sequence[str]) -> list[str]:
    """Return the names as paths that can all be made. Raises Invalid."""
    paths: list[str] = []
    async for name in cooperatively(names):
        try:
            paths.append(clean_path(name))
        except ValueError as error:
            raise Invalid(str(error), file=len(paths)) from error
    if clashing := clash(list(map(path_key, paths))):
        raise Invalid("Two files can't have the same path, nor one be a folder", files=clashing)
    return paths


async def _open_uploads(
    services: Services, owner_id: UserId, body: TransferOffer, paths: Sequence[str]
) -> list[UUID]:
    coming = [
        FileComing(
            name=_name(path),
            size_bytes=file.size,
            mime=file.mime,
            sha256=file.sha256.lower() if file.sha256 else None,
        )
        for file, path in zip(body.files, paths, strict=True)
    ]
    # To the end, also when the caller is gone: what was opened must not be lost from sight.
    opening = asyncio.ensure_future(
        services.storage.begin_uploads(owner_id, coming, body.chunk_size)
    )
    try:
        return await asyncio.shield(opening)
    except asyncio.CancelledError:
        with suppress(Exception):
            await _drop(services, await opening)
        raise
    except storage.QuotaExceeded as refusal:
        raise QuotaExceeded(refusal.detail) from refusal
    except (storage.TooManyUploads, storage.TooManyFiles) as refusal:
        raise TooManyFiles(refusal.detail) from refusal
    except storage.FileTooLarge as refusal:
        limit_bytes = refusal.extras.get("limit_bytes")
        raise TransferTooLarge(refusal.detail, limit_bytes=limit_bytes) from refusal
    except Invalid as refusal:
        raise Invalid(refusal.detail) from refusal


async def _drop(services: Services, upload_ids: Sequence[UUID]) -> None:
    """Have storage forget uploads; those for which that fails expire there."""
    try:
        await services.storage.abort_uploads(upload_ids)
    except Problem:
        log.debug("uploads_not_cancelled", count=len(upload_ids))


def _name(path: str) -> str:
    return path.rpartition("/")[2]


async def _add_files(
    unit: UnitOfWork,
    transfer: Transfer,
    files: Sequence[FileOffer],
    paths: Sequence[str],
    uploads: Sequence[UUID],
) -> list[TransferFile]:
    connection = await unit.raw()
    await connection.execute(
        _ADD_FILES,
        transfer.id,
        list(range(len(files))),
        [_name(path) for path in paths],
        [path if "/" in path else None for path in paths],
        [file.size for file in files],
        [file.mime or "application/octet-stream" for file in files],
        [file.sha256 and bytes.fromhex(file.sha256) for file in files],
        uploads,
    )
    return await access.files_of(unit, [transfer.id])


def _offered(whole: TransferAggregate) -> TransferOffered:
    transfer = whole.transfer
    return TransferOffered(
        transfer_id=transfer.id,
        sender_id=transfer.sender_id,
        recipient_ids=tuple(each.user_id for each in whole.recipients if not each.hidden),
        file_count=transfer.file_count,
        size_bytes=transfer.size_bytes,
        file_ids=tuple(file.upload_id for file in whole.files),
    )


def _entries(whole: TransferAggregate) -> list[Entry]:
    """Return the events of recipients and, for their other devices, of the sender; theirs last."""
    # Nothing comes in where a device takes nothing.
    types = {
        each.user_id: "transfer_updated" if each.state == "rejected" else "incoming_transfer"
        for each in whole.recipients
        if not each.hidden
    }
    sender_id = whole.transfer.sender_id
    own = types.pop(sender_id, "transfer_updated")
    return transitions.events_for(whole, {**types, sender_id: own})
