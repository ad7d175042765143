"""Offering files to people: the beginning of every transfer."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Final
from uuid import UUID

import structlog
from sqlalchemy.exc import IntegrityError
from sqlmodel import select

from sharezync_shared.contracts.services import Services
from sharezync_shared.contracts.storage import FileComing
from sharezync_shared.events.contracts.transfer import TransferOffered
from sharezync_shared.ids import UserId, uuid7
from sharezync_shared.problems import Invalid, Problem
from sharezync_shared.streams.log import Entry
from sharezync_shared.streams.published import Published
from sharezync_shared.work import UnitOfWork, UnitsOfWork, to_json
from sharezync_transfer import access
from sharezync_transfer.access import Actor, TransferAggregate
from sharezync_transfer.errors import TransferTooLarge
from sharezync_transfer.models import Recipient, Transfer, TransferFile, transfers_stream
from sharezync_transfer.schemas import TransferRead
from sharezync_transfer.settings import TransferSettings
from sharezync_transfer.usecases import offer_policy, transitions
from sharezync_transfer.usecases.offer_policy import OfferRecipient
from sharezync_transfer.usecases.participations import Participation
from sharezync_transfer.usecases.paths import paths_of
from sharezync_transfer.usecases.uploads import open_uploads
from sharezync_transfer.usecases.users import USERS

log = structlog.get_logger()

_ADD_FILES: Final = """
INSERT INTO transfer.files
    (transfer_id, index, name, path, size_bytes, mime, sha256, upload_id, stored_bytes)
SELECT $1, g.*, 0
FROM unnest($2::int[], $3::text[], $4::text[], $5::bigint[], $6::text[], $7::bytea[], $8::uuid[])
    AS g
"""


@dataclass(frozen=True, slots=True)
class OfferedFile:
    """A file as its sender describes it; `sha256` is raw."""

    name: str
    size_bytes: int
    mime: str | None = None
    sha256: bytes | None = None


async def offer(
    work: UnitsOfWork,
    services: Services,
    settings: TransferSettings,
    *,
    actor: Actor,
    to: Sequence[OfferRecipient],
    files: Sequence[OfferedFile],
    chunk_size_bytes: int,
    note: str,
    expires_in: timedelta | None,
    client_transfer_id: str | None,
) -> Published[Participation]:
    """Offer files to users; each gets `incoming_transfer`. The sender may send at once.

    With a `client_transfer_id` that the sender has used before it returns the offer made then, as
    it is by now. Raises Invalid, UserNotFound, UserBlocked, TransferTooLarge, TooManyOffers,
    TooManyTransfers, TooManyFiles, QuotaExceeded and Unavailable: then nothing was offered and
    nothing is kept.
    """
    if (before := await _made_before(work, actor, client_transfer_id)) is not None:
        return before
    _check(settings, actor, to, files, expires_in)
    paths = await paths_of([file.name for file in files])
    everybody = [actor.user_id, *(each.user_id for each in to)]
    await USERS.require(work, services.auth, everybody)
    reception = await offer_policy.prepare(work, services, settings, actor.user_id, to)
    uploads = await _open_uploads(services, actor.user_id, files, paths, chunk_size_bytes)
    try:
        async with work.begin() as unit:
            await USERS.keep(unit, everybody)
            await unit.lock_streams(*map(transfers_stream, everybody))
            await reception.check(await unit.raw())
            transfer = Transfer(
                id=uuid7(),
                sender_id=actor.user_id,
                sender_device_id=actor.device_id,
                client_transfer_id=client_transfer_id,
                note=note,
                chunk_size_bytes=chunk_size_bytes,
                file_count=len(files),
                size_bytes=sum(file.size_bytes for file in files),
                state="offered",
                created_at=unit.now,
                expires_at=unit.now + (expires_in or settings.expires_in),
                progress_at=unit.now,
            )
            unit.add(transfer)
            await unit.session.flush()  # the others refer to it
            recipients = reception.recipients(transfer, unit.now)
            unit.session.add_all(recipients)
            stored = await _add_files(unit, transfer, files, paths, uploads)
            whole = TransferAggregate(transfer, stored, recipients)
            answered = await reception.answer(unit, whole)
            unit.emit(_offered(whole))
            transitions.derive_state(unit, whole, answered)
            at = (await unit.publish_events(_entries(whole)))[-1]
            await reception.note(unit, whole, answered)
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


def _check(
    settings: TransferSettings,
    actor: Actor,
    to: Sequence[OfferRecipient],
    files: Sequence[OfferedFile],
    expires_in: timedelta | None,
) -> None:
    if len({each.user_id for each in to}) < len(to):
        raise Invalid("Each recipient can be listed only once")
    for each in to:
        if each.user_id == actor.user_id and each.device_id in (None, actor.device_id):
            raise Invalid("A transfer to yourself must be for another device")
    if expires_in is not None and expires_in > settings.longest_expires_in:
        raise Invalid(f"An offer can be valid for at most {settings.longest_expires_in.days} days")
    limit_bytes = settings.transfer_max_bytes
    if sum(file.size_bytes for file in files) > limit_bytes:
        raise TransferTooLarge(
            f"All files together may have at most {limit_bytes} bytes", limit_bytes=limit_bytes
        )


async def _open_uploads(
    services: Services,
    owner_id: UserId,
    files: Sequence[OfferedFile],
    paths: Sequence[str],
    chunk_size_bytes: int,
) -> list[UUID]:
    """Open a place at storage for each file, or for none."""
    coming = [
        FileComing(
            name=_name(path),
            size_bytes=file.size_bytes,
            mime=file.mime,
            sha256=file.sha256.hex() if file.sha256 else None,
        )
        for file, path in zip(files, paths, strict=True)
    ]
    # To the end, also when the caller is gone: what was opened must not be lost from sight.
    opening = asyncio.ensure_future(
        open_uploads(services.storage, owner_id, coming, chunk_size_bytes)
    )
    try:
        return await asyncio.shield(opening)
    except asyncio.CancelledError:
        with suppress(Exception):
            await _drop(services, await opening)
        raise


async def _drop(services: Services, upload_ids: Sequence[UUID]) -> None:
    """Have storage forget uploads; those that it doesn't hear of expire there."""
    try:
        await services.storage.abort_uploads(upload_ids)
    except Problem:
        log.debug("uploads_not_cancelled", count=len(upload_ids))


def _name(path: str) -> str:
    return path.rpartition("/")[2]


async def _add_files(
    unit: UnitOfWork,
    transfer: Transfer,
    files: Sequence[OfferedFile],
    paths: Sequence[str],
    uploads: Sequence[UUID],
) -> Sequence[TransferFile]:
    """Insert the files of a transfer, and all that is pending; return their rows."""
    connection = await unit.raw()
    await connection.execute(
        _ADD_FILES,
        transfer.id,
        list(range(len(files))),
        [_name(path) for path in paths],
        [path if "/" in path else None for path in paths],
        [file.size_bytes for file in files],
        [file.mime or "application/octet-stream" for file in files],
        [file.sha256 for file in files],
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
    """Return what recipients and, on their other devices, the sender hear; the sender's last."""
    sender_id = whole.transfer.sender_id
    shown = [each for each in whole.recipients if each.user_id != sender_id and not each.hidden]
    seen = TransferRead.of_each(
        whole, [*(("recipient", each.user_id) for each in shown), ("sender", sender_id)]
    )
    oneself = whole.recipient(sender_id)
    news = [
        *((each.user_id, _news(each)) for each in shown),
        (sender_id, _news(oneself) if oneself is not None else "transfer_updated"),
    ]
    return [
        Entry(transfers_stream(user_id), event_type, to_json(read))
        for (user_id, event_type), read in zip(news, seen, strict=True)
    ]


def _news(recipient: Recipient) -> str:
    """Return what somebody hears: nothing comes in where their device takes nothing."""
    return "transfer_updated" if recipient.state == "rejected" else "incoming_transfer"
