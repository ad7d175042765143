"""Uploads by signed URLs: straight to the store where clients reach it, else by the chunk engine.

Clients needn't know which. They PUT each part to its URL, keep the ETag of each answer, and name
all of them at the end. An upload is *opened* at its store after its row is there, so nothing lies
in the store that has no row; where a crash came in between, whoever asks next opens it.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any, Final

from sqlmodel import select

from sharezync_shared.contracts.storage import UploadClosed
from sharezync_shared.ids import UserId
from sharezync_shared.media_types import clean_media_type
from sharezync_shared.names.filenames import clean_name
from sharezync_shared.problems import NotFound
from sharezync_shared.work import UnitsOfWork
from sharezync_storage import access
from sharezync_storage.errors import PartsWrong, UploadGone
from sharezync_storage.keys import file_key, upload_key
from sharezync_storage.models import Chunk, File, FileId, Upload, UploadId
from sharezync_storage.settings import MAX_PART_URL_SECONDS, MIB
from sharezync_storage.states import ENDED, TAKES_BYTES, UNFINISHED, advance
from sharezync_storage.stores.pieces import sha256_of
from sharezync_storage.stores.port import (
    ChunkPlan,
    DirectPart,
    DirectUploads,
    NoSuchBlob,
    UploadStore,
)
from sharezync_storage.usecases import quota
from sharezync_storage.usecases.context import StorageContext
from sharezync_storage.usecases.sweeping import Unneeded, forget
from sharezync_storage.usecases.uploads import begin_one, give_up, once, plan_of

URL_LIFETIME: Final = timedelta(seconds=MAX_PART_URL_SECONDS)
"""Less than the 20 minutes after which what was given up is deleted once more (`sweeping`). A part
that has begun by then may take as long as it likes."""

OWN_PART_BYTES: Final = 8 * MIB
"""Where parts come through us, each is held in memory while it comes."""
MIN_PART_BYTES: Final = 8 * MIB
WHOLE_BYTES: Final = 64 * MIB
"""So much goes to the store as one part."""
_MANY_PARTS: Final = 1000
"""From here on parts grow instead: each has a URL of half a KiB."""


@dataclass(frozen=True, slots=True)
class DirectUpload:
    """An upload, and where its parts go; none, once it takes no more."""

    upload: Upload
    parts: list[DirectPart]
    urls_expire_at: datetime


async def begin(
    context: StorageContext,
    *,
    owner_id: UserId,
    name: str,
    mime: str | None,
    size_bytes: int,
    sha256: bytes | None = None,
    idempotency_key: str | None = None,
) -> DirectUpload:
    """Begin an upload, with room for all of it reserved.

    With `sha256` the whole is read and checked at the end. The same key leads to the same
    upload, with fresh URLs. Raises FileTooLarge, QuotaExceeded, TooManyFiles, TooManyUploads,
    StoreFull, StoreUnavailable; Conflict where the key began another upload than this one, and
    UploadGone where that one has ended.
    """
    given = {
        "name": clean_name(name),
        "mime": clean_media_type(mime),
        "size_bytes": size_bytes,
        "sha256": sha256,
    }
    upload, _ = await once(
        context.work,
        owner_id=owner_id,
        key=idempotency_key,
        same=lambda it: (
            it.source == "direct" and all(getattr(it, name) == each for name, each in given.items())
        ),
        begin=lambda: _create(context, owner_id=owner_id, idempotency_key=idempotency_key, **given),
    )
    return await renew_urls(context, owner_id=owner_id, upload_id=UploadId(upload.id))


async def renew_urls(
    context: StorageContext, *, owner_id: UserId, upload_id: UploadId
) -> DirectUpload:
    """Return fresh URLs for an upload, and let it wait longer. Raises NotFound, UploadGone."""
    async with context.work.begin() as unit:
        upload = await access.own_upload(unit, owner_id, upload_id, "direct", lock=True)
        if upload.state in ENDED:
            raise UploadGone
        if upload.state in UNFINISHED:
            upload.expires_at = unit.now + context.settings.upload_lifetime
    if upload.state in UNFINISHED and upload.chunk_size_bytes is None:
        upload = await _open(context, upload)
    expires_at = context.work.now() + URL_LIFETIME
    return DirectUpload(upload, await _parts(context, upload, expires_at), expires_at)


async def put_part(
    context: StorageContext, upload_id: UploadId, number: int, data: Sequence[bytes]
) -> str:
    """Keep one part that came through us, and return its ETag; it is durable then.

    The caller has checked the signature. Raises what `Chunks.put` raises.
    """
    sha256 = await asyncio.to_thread(sha256_of, data)
    await context.chunks.put(upload_id, number - 1, data, sha256)
    return f'"{sha256.hex()}"'


async def complete(
    context: StorageContext, *, owner_id: UserId, upload_id: UploadId, etags: Mapping[int, str]
) -> File:
    """Make the parts with these ETags, by number, into the file. Idempotent.

    Raises PartsWrong (mend it, and ask again), UploadGone, DigestMismatch (it is given up),
    and UploadFinishing where the work takes longer than an answer may: it goes on, ask again.
    """
    async with context.work.read() as unit:
        upload = await access.own_upload(unit, owner_id, upload_id, "direct")
        if upload.state in ENDED:
            raise UploadGone
        takes_bytes = upload.state in TAKES_BYTES
        in_order = _in_order(upload, etags) if takes_bytes else []
        if takes_bytes and access.in_chunks(upload):
            kept = select(Chunk).where(Chunk.upload_id == upload_id)
            digests = {c.index + 1: c.sha256.hex() for c in await unit.session.exec(kept)}
            _check(digests, in_order)
    at_the_store = takes_bytes and upload.direct_id
    await context.assembler.finish(
        upload_id, partial(_complete, context, upload, in_order) if at_the_store else None
    )
    async with context.work.read() as unit:
        try:
            return await access.own_file(unit, owner_id, FileId(upload_id))
        except NotFound:
            raise UploadGone from None  # deleted meanwhile


async def abort(work: UnitsOfWork, *, owner_id: UserId, upload_id: UploadId) -> None:
    """Give up an upload. Idempotent. Raises NotFound, and UploadClosed for one that is a file:
    that is deleted as files are.
    """
    async with work.begin() as unit:
        upload = await access.own_upload(unit, owner_id, upload_id, "direct", lock=True)
        if upload.state == "finished":
            raise UploadClosed(state=upload.state)
        if upload.state in UNFINISHED:
            await give_up(unit, upload)


async def _create(context: StorageContext, **columns: Any) -> Upload:  # noqa: ANN401 - of `Upload`
    async with context.work.begin() as unit:
        upload = await begin_one(unit, context.settings, "direct", **columns)
    try:
        return await _open(context, upload)
    except BaseException:
        await asyncio.shield(_undo(context, upload))
        raise


async def _open(context: StorageContext, upload: Upload) -> Upload:
    """Begin an upload at its store and record that; whoever is second joins the first."""
    size_bytes, store = upload.size_bytes or 0, context.store
    direct_id = None
    if isinstance(store, DirectUploads) and store.reachable_by_clients:
        plan = ChunkPlan(file_key(upload.id), size_bytes, _part_bytes(size_bytes))
        direct_id = await store.begin_direct(plan, content_type=upload.mime)
    else:
        plan = ChunkPlan(upload_key(upload.id), size_bytes, OWN_PART_BYTES)
        await store.begin_chunks(plan)
    async with context.work.begin() as unit:
        found = await unit.get(Upload, upload.id, lock=True)
        ours = Unneeded("direct" if direct_id else "chunks", plan.key, direct_id)
        if found is None or found.state in ENDED:
            await forget(unit, ours)
        elif found.chunk_size_bytes is None:
            found.store_key, found.chunk_size_bytes = plan.key, plan.chunk_size_bytes
            found.direct_id = direct_id
        elif direct_id and direct_id != found.direct_id:
            await forget(unit, ours)
    if found is None or found.state in ENDED:
        raise UploadGone
    return found


async def _undo(context: StorageContext, begun: Upload) -> None:
    """Leave nothing of an upload that could not be opened: its key may be used again."""
    async with context.work.begin() as unit:
        upload = await unit.get(Upload, begun.id, lock=True)
        if upload is not None and upload.chunk_size_bytes is None:
            await quota.release(unit, upload)
            await forget(unit, Unneeded("blob", upload.store_key))
            await unit.session.delete(upload)


async def _complete(context: StorageContext, upload: Upload, etags: Sequence[str]) -> None:
    """First at the store, where it is idempotent, and only then on record: `verifying` means
    that the blob is there.
    """
    try:
        await direct_store(context.store).complete_direct(
            upload.store_key, upload.direct_id or "", etags, size_bytes=upload.size_bytes or 0
        )
    except NoSuchBlob:
        raise UploadGone from None  # given up meanwhile
    async with context.work.begin() as unit:
        found = await unit.get(Upload, upload.id, lock=True)
        gone = found is None or found.state in ENDED
        if gone:
            # It may have come behind the first deletion.
            size_bytes = upload.size_bytes or 0
            await forget(unit, Unneeded("blob", upload.store_key, size_bytes=size_bytes))
        elif found is not None and found.state in TAKES_BYTES:
            advance(found, "verify")
    if gone:
        raise UploadGone


async def _parts(context: StorageContext, upload: Upload, expires_at: datetime) -> list[DirectPart]:
    if upload.state not in UNFINISHED:
        return []
    plan, expires = plan_of(upload), int(expires_at.timestamp())
    if upload.direct_id:
        return await direct_store(context.store).direct_parts(
            plan, upload.direct_id, expires_in_seconds=int(URL_LIFETIME.total_seconds())
        )
    return [
        DirectPart(
            number=index + 1,
            size_bytes=plan.length(index),
            url=context.signer.part_path(upload.id, index + 1, expires),
            headers={"Content-Length": str(plan.length(index))},
        )
        for index in range(plan.count)
    ]


def direct_store(store: UploadStore) -> DirectUploads:
    """Return the store where an upload was begun straight to it. Raises UploadGone where it is
    another one by now.
    """
    if not isinstance(store, DirectUploads):
        raise UploadGone
    return store


def _part_bytes(size_bytes: int) -> int:
    if size_bytes <= WHOLE_BYTES:
        return max(size_bytes, 1)
    return max(MIN_PART_BYTES, -(-size_bytes // _MANY_PARTS // MIB) * MIB)


def _in_order(upload: Upload, etags: Mapping[int, str]) -> list[str]:
    """Return the ETags, that of the first part first. Raises PartsWrong where one is missing."""
    if upload.chunk_size_bytes is None:
        raise PartsWrong("No part was uploaded yet: get the URLs first")
    count = plan_of(upload).count
    if upload.direct_id:
        count = max(count, 1)  # no bytes go to the store as one part too
    wrong = sorted(set(range(1, count + 1)) ^ etags.keys())
    if wrong:
        raise PartsWrong(f"There are {count} parts", numbers=wrong[:100])
    return [etags[number] for number in range(1, count + 1)]


def _check(kept: Mapping[int, str], named: Sequence[str]) -> None:
    """Raise PartsWrong unless every part that is named is kept; its ETag is its digest."""
    wrong = [n for n, etag in enumerate(named, start=1) if etag.strip('"') != kept.get(n)]
    if wrong:
        raise PartsWrong("Parts are missing or differ", numbers=wrong[:100])
