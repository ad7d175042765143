"""`POST /v1/uploads`: uploads begin here, once for each `Idempotency-Key` where one comes along."""

from typing import Annotated, Final

from fastapi import APIRouter, Header, Request, Response
from starlette.datastructures import Headers

from sharezync_shared.contracts import storage
from sharezync_shared.ids import UserId
from sharezync_shared.names.policies import KEY
from sharezync_shared.problems import Conflict, Invalid, Malformed, NotFound, Problem, problems
from sharezync_shared.tokens.dependencies import Caller
from sharezync_storage import errors
from sharezync_storage.api import tus_document as document
from sharezync_storage.api import tus_headers as fields
from sharezync_storage.api.dependencies import Context
from sharezync_storage.api.tus import ASKED, KEPT, SpeaksTus, append_body, checksum_of
from sharezync_storage.models import Upload, UploadId
from sharezync_storage.usecases import tus_uploads
from sharezync_storage.usecases.checksums import Checksum
from sharezync_storage.usecases.context import StorageContext
from sharezync_storage.usecases.tus_uploads import TusCreation

router = APIRouter(prefix="/v1/uploads", tags=["uploads"])

_FOR_GOOD: Final = (
    errors.ChecksumMismatch, errors.UploadLengthConflict, storage.FileTooLarge,
    storage.QuotaExceeded, errors.StoreFull,
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
            *ASKED, Invalid, NotFound, errors.UploadGone, errors.UploadBusy, Conflict,
            errors.OffsetMismatch, errors.FinalUpload, errors.PartsUnfinished,
            storage.TooManyFiles, storage.TooManyUploads, *KEPT,
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
    context: Context,
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
    headers, owner_id = request.headers, caller.user_id
    creation = fields.creation_of(headers)
    _check(headers, creation)
    checksum = checksum_of(request)
    upload, new = await tus_uploads.create(
        context, owner_id=owner_id, creation=creation, idempotency_key=idempotency_key
    )
    has_bytes = fields.is_offset_stream(headers) and upload.source_ids is None
    if has_bytes:
        upload = await _take_body(request, context, owner_id, upload, checksum, new=new)
    said = {"Location": fields.location_of(upload), **fields.expiry_of(upload)}
    if (has_bytes or not new) and (upload.source_ids is None or upload.state == "finished"):
        said["Upload-Offset"] = str(upload.stored_bytes)
    return Response(status_code=201, headers=said)


def _check(headers: Headers, creation: TusCreation) -> None:
    deferred = fields.defers_length(headers)
    if creation.source_ids:
        if creation.length is not None or deferred:
            raise Malformed("Upload-Concat: a final upload has the length of its parts")
        if fields.has_body(headers):
            raise errors.FinalUpload
        return
    if (creation.length is None) is not deferred:
        raise Malformed("Either Upload-Length or Upload-Defer-Length is required")
    if fields.has_body(headers):
        fields.check_offset_stream(headers)


async def _take_body(
    request: Request,
    context: StorageContext,
    owner_id: UserId,
    upload: Upload,
    checksum: Checksum | None,
    *,
    new: bool,
) -> Upload:
    """Keep the body of a creation; of one that came before, what is not stored yet.

    All of it is read, also where nothing is new: some clients read no answer before.
    """
    upload_id = UploadId(upload.id)
    try:
        return await _append_rest(request, context, owner_id, upload, checksum)
    except errors.OffsetMismatch:
        # Nothing was read. A writer that was still receiving when we looked has stalled since, was
        # seen off, and had brought more than was on record then.
        upload = await tus_uploads.status(context, owner_id=owner_id, upload_id=upload_id)
        return await _append_rest(request, context, owner_id, upload, checksum)
    except Problem as refused:
        # Who has a key finds the upload by it, and may be writing to it by now.
        if new and (upload.idempotency_key is None or isinstance(refused, _FOR_GOOD)):
            await tus_uploads.terminate(
                context, owner_id=owner_id, upload_id=upload_id, free_key=True
            )
        raise


async def _append_rest(
    request: Request,
    context: StorageContext,
    owner_id: UserId,
    upload: Upload,
    checksum: Checksum | None,
) -> Upload:
    offset = upload.stored_bytes
    if offset:
        checksum = None  # it was all or nothing, so that nothing of the same body is left to check
    return await append_body(
        request, context, owner_id, UploadId(upload.id), offset, None, checksum, skip_bytes=offset
    )
