"""`POST /v1/uploads`: uploads begin here, once for each `Idempotency-Key` where one comes along."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Annotated, Final

from fastapi import APIRouter, Header, Request, Response

from sharezync_shared.contracts.storage import (
    FileTooLarge,
    QuotaExceeded,
    TooManyFiles,
    TooManyUploads,
)
from sharezync_shared.ids import UserId
from sharezync_shared.names.policies import KEY
from sharezync_shared.problems import Conflict, Invalid, Malformed, NotFound, Problem, problems
from sharezync_shared.tokens.dependencies import Caller
from sharezync_storage.api import tus_document as document
from sharezync_storage.api.dependencies import StorageContext, TheParts, WorkPart
from sharezync_storage.api.tus import ASKED, KEPT, SpeaksTus
from sharezync_storage.api.tus_bodies import append_body, checksum_of
from sharezync_storage.api.tus_headers import (
    Concat,
    Metadata,
    check_offset_stream,
    concat_of,
    defers_length,
    expiry_of,
    has_body,
    is_offset_stream,
    location_of,
    metadata_of,
    number_of,
)
from sharezync_storage.models import Upload, UploadId
from sharezync_storage.problems import (
    ChecksumMismatch,
    FinalUpload,
    OffsetMismatch,
    PartsUnfinished,
    StoreFull,
    UploadBusy,
    UploadGone,
    UploadLengthConflict,
)
from sharezync_storage.usecases import keyed
from sharezync_storage.usecases.checksums import Checksum

router = APIRouter(prefix="/v1/uploads", tags=["uploads"])

_FOR_GOOD: Final = (
    ChecksumMismatch, UploadLengthConflict, FileTooLarge, QuotaExceeded, StoreFull,
)  # fmt: skip
"""What is refused of a body would be refused again."""


@router.post(
    "",
    status_code=201,
    response_class=Response,
    summary="Create an upload",
    dependencies=[SpeaksTus],
    responses={
        **document.CREATED,
        **problems(
            *ASKED, Invalid, NotFound, UploadGone, UploadBusy, Conflict, OffsetMismatch,
            FinalUpload, PartsUnfinished, TooManyFiles, TooManyUploads, *KEPT,
        ),
    },
    openapi_extra={
        "parameters": [
            document.TUS,
            document.LENGTH,
            document.DEFER_LENGTH,
            document.METADATA,
            document.CONCAT,
            document.CHECKSUM,
        ],
        **document.body(required=False),
    },
)  # fmt: skip
async def create_upload(
    request: Request,
    caller: Caller,
    work: WorkPart,
    parts: TheParts,
    idempotency_key: Annotated[
        Annotated[str, KEY] | None,
        Header(
            description="Unique key of your choice for each upload: repeating the request with the "
            "same key returns the first upload in its current state",
        ),
    ] = None,
) -> Response:
    """Requires `Upload-Length`, `Upload-Defer-Length: 1` or `Upload-Concat: final;…`.

    The size is reserved in your quota. The body may contain the first bytes or all of them
    (`creation-with-upload`). If it is refused or incomplete, no upload is created. With an
    `Idempotency-Key`, received bytes are kept: repeating the request continues from there and skips
    the bytes of the body that are stored already.
    """
    headers = request.headers
    asked = _Asked(number_of(headers, "Upload-Length"), metadata_of(headers), concat_of(headers))
    _check(request, asked)
    checksum = checksum_of(request)
    upload, new = await keyed.once(
        work,
        owner_id=caller.user_id,
        key=idempotency_key,
        same=asked.began,
        begin=_beginning(parts, caller.user_id, asked, idempotency_key),
    )
    if not new:
        upload_id = UploadId(upload.id)
        upload = await parts.appending.status(owner_id=caller.user_id, upload_id=upload_id)
    if is_offset_stream(headers) and upload.source_ids is None:
        upload = await _take_body(request, parts, caller.user_id, upload, checksum, new=new)
        new = False  # and so the answer tells where it stands
    return _created(upload, where=not new)


@dataclass(frozen=True, slots=True)
class _Asked:
    """What a creation says of its upload."""

    length: int | None
    metadata: Metadata
    concat: Concat | None

    @property
    def is_final(self) -> bool:
        return self.concat is not None and bool(self.concat.sources)

    def began(self, upload: Upload) -> bool:
        """Whether this upload may be what the same request began.

        A length that was deferred may have been told since, which nobody recorded.
        """
        return (
            upload.door == "tus"
            and upload.tus_metadata == self.metadata.given
            and upload.tus_concat == (self.concat.given if self.concat else None)
            and self.length in (upload.size_bytes, None)
        )


def _check(request: Request, asked: _Asked) -> None:
    headers = request.headers
    deferred = defers_length(headers)
    if asked.is_final:
        if asked.length is not None or deferred:
            raise Malformed("Upload-Concat: a final upload has the length of its parts")
        if has_body(headers):
            raise FinalUpload
        return
    if (asked.length is None) is not deferred:
        raise Malformed("Either Upload-Length or Upload-Defer-Length is required")
    if has_body(headers):
        check_offset_stream(headers)


def _beginning(
    parts: StorageContext, owner_id: UserId, asked: _Asked, idempotency_key: str | None
) -> Callable[[], Awaitable[Upload]]:
    """Return what begins the upload."""

    async def begin() -> Upload:
        metadata, concat = asked.metadata, asked.concat
        if concat is not None and concat.sources:
            return await parts.appending.create_final(
                owner_id=owner_id,
                source_ids=concat.sources,
                name=metadata.name,
                mime=metadata.mime,
                tus_metadata=metadata.given,
                tus_concat=concat.given,
                idempotency_key=idempotency_key,
            )
        return await parts.appending.create(
            owner_id=owner_id,
            length=asked.length,
            name=metadata.name,
            mime=metadata.mime,
            tus_metadata=metadata.given,
            partial=concat is not None,
            idempotency_key=idempotency_key,
        )

    return begin


async def _take_body(
    request: Request,
    parts: StorageContext,
    owner_id: UserId,
    upload: Upload,
    checksum: Checksum | None,
    *,
    new: bool,
) -> Upload:
    """Keep the body of a creation; of one that came before, what is not stored yet.

    All of it is read, also where nothing is new: some clients hear no answer before.
    """
    upload_id = UploadId(upload.id)
    try:
        return await _append_rest(request, parts, owner_id, upload, checksum)
    except OffsetMismatch:
        # Nothing was read. A writer that was still receiving when we looked has stalled since, was
        # seen off, and had brought more than was on record then.
        upload = await parts.appending.status(owner_id=owner_id, upload_id=upload_id)
        return await _append_rest(request, parts, owner_id, upload, checksum)
    except Problem as refused:
        # Who has a key finds the upload by it, and may be writing to it by now.
        if new and (upload.idempotency_key is None or isinstance(refused, _FOR_GOOD)):
            await parts.appending.terminate(owner_id=owner_id, upload_id=upload_id, free_key=True)
        raise


async def _append_rest(
    request: Request,
    parts: StorageContext,
    owner_id: UserId,
    upload: Upload,
    checksum: Checksum | None,
) -> Upload:
    offset = upload.stored_bytes
    if offset:
        checksum = None  # it was all or nothing, so that nothing of the same body is left to check
    return await append_body(
        request, parts, owner_id, UploadId(upload.id), offset, None, checksum, skip_bytes=offset
    )


def _created(upload: Upload, *, where: bool) -> Response:
    """Return the answer; with `where` it tells how far the upload is, if that can be told."""
    headers = {"Location": location_of(upload), **expiry_of(upload)}
    if where and (upload.source_ids is None or upload.state == "finished"):
        headers["Upload-Offset"] = str(upload.stored_bytes)
    return Response(status_code=201, headers=headers)
