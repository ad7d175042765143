"""`/v1/files/presigned`: uploads by signed URLs, straight to the store where clients reach it."""

from typing import Annotated, Any, Final

from fastapi import APIRouter, Header, Path, Query, Request, Response

from sharezync_shared.contracts import storage
from sharezync_shared.names.policies import KEY, Parsed
from sharezync_shared.problems import (
    Conflict,
    Invalid,
    NotFound,
    Unauthenticated,
    Unavailable,
    problems,
)
from sharezync_shared.tokens.dependencies import Caller
from sharezync_storage import errors
from sharezync_storage.api.bodies import SmallBodyRoute, chunk_of
from sharezync_storage.api.dependencies import Context
from sharezync_storage.models import UploadId
from sharezync_storage.schemas import DirectComplete, DirectCreate, DirectRead, FileRead
from sharezync_storage.settings import MIB
from sharezync_storage.signatures import url_asked_for
from sharezync_storage.usecases import direct_uploads


class _ManyPartsRoute(SmallBodyRoute):
    """The ETags of ten thousand parts fit in."""

    max_body_bytes = MIB


router = APIRouter(prefix="/v1/files/presigned", tags=["uploads"], route_class=_ManyPartsRoute)
part_router = APIRouter(prefix="/v1/files/presigned", tags=["uploads"])
"""Its bodies are parts: they have exactly the length of their place."""

PresignedId = Annotated[UploadId, Path(description="Id of the upload")]

_PART: Final[dict[str, Any]] = {
    "requestBody": {
        "required": True,
        "content": {"*/*": {"schema": {"type": "string", "format": "binary"}}},
    }
}
_KEPT: Final[dict[str, Any]] = {
    "description": "The part is stored",
    "headers": {
        "ETag": {
            "schema": {"type": "string"},
            "description": "Tag of the part, needed to complete the upload",
        }
    },
}


@router.post(
    "",
    status_code=201,
    summary="Create a presigned upload",
    responses=problems(
        Unauthenticated, Invalid, Conflict, errors.UploadGone, storage.FileTooLarge,
        storage.QuotaExceeded, storage.TooManyFiles, storage.TooManyUploads, errors.StoreFull,
        errors.StoreUnavailable,
    ),
)  # fmt: skip
async def create_presigned_upload(
    body: DirectCreate,
    caller: Caller,
    context: Context,
    response: Response,
    idempotency_key: Annotated[
        Annotated[str, KEY] | None,
        Header(description="Repeating the request with the same key returns the first upload"),
    ] = None,
) -> DirectRead:
    """Returns a signed URL for each part. Upload each part with PUT, keep the `ETag` of each
    response, then complete the upload.

    The size is reserved in your quota. The URLs lead to the object store if clients can reach it,
    and to this API otherwise; send no token to either. Parts can be uploaded in any order,
    concurrently, and repeatedly with the same bytes.
    """
    ticket = await direct_uploads.begin(
        context,
        owner_id=caller.user_id,
        name=body.name,
        mime=body.mime,
        size_bytes=body.size_bytes,
        sha256=bytes.fromhex(body.sha256) if body.sha256 else None,
        idempotency_key=idempotency_key,
    )
    response.headers["Location"] = f"/v1/files/presigned/{ticket.upload.id}"
    return DirectRead.from_upload(ticket)


@router.get(
    "/{presigned_id}",
    summary="Get a presigned upload",
    responses=problems(
        Unauthenticated, NotFound, Invalid, errors.UploadGone, errors.StoreUnavailable
    ),
)
async def get_presigned_upload(
    presigned_id: PresignedId, caller: Caller, context: Context
) -> DirectRead:
    """Returns fresh URLs to resume the upload with. Parts whose `ETag` you have need not be
    uploaded again.
    """
    ticket = await direct_uploads.renew_urls(
        context, owner_id=caller.user_id, upload_id=presigned_id
    )
    return DirectRead.from_upload(ticket)


@router.delete(
    "/{presigned_id}",
    status_code=204,
    summary="Cancel a presigned upload",
    responses=problems(Unauthenticated, NotFound, Invalid, storage.UploadClosed),
)
async def cancel_presigned_upload(
    presigned_id: PresignedId, caller: Caller, context: Context
) -> None:
    """Deletes the upload, and its file if it was completed. Idempotent."""
    await direct_uploads.abort(context.work, owner_id=caller.user_id, upload_id=presigned_id)
    context.sweeper.wake()


@router.post(
    "/{presigned_id}/complete",
    status_code=201,
    summary="Complete a presigned upload",
    responses=problems(
        Unauthenticated, NotFound, Invalid, errors.PartsWrong, storage.UploadClosed,
        errors.UploadGone, storage.UploadFinishing, storage.DigestMismatch, errors.ContentDamaged,
        errors.StoreFull, errors.StoreUnavailable,
    ),
)  # fmt: skip
async def complete_presigned_upload(
    presigned_id: PresignedId,
    body: DirectComplete,
    caller: Caller,
    context: Context,
    response: Response,
) -> FileRead:
    """Creates the file from all parts, each with its `ETag`. Idempotent.

    If it takes too long, it continues in the background and the answer is `upload-finishing`:
    repeat the request. If the content doesn't match the given `sha256`, the upload fails with
    `digest-mismatch`.
    """
    etags = {part.number: part.etag for part in body.parts}
    if len(etags) < len(body.parts):
        raise errors.PartsWrong("A part is listed twice")
    file = await direct_uploads.complete(
        context, owner_id=caller.user_id, upload_id=presigned_id, etags=etags
    )
    context.sweeper.wake()
    response.headers["Location"] = f"/v1/files/{file.id}"
    return FileRead.model_validate(file)


@part_router.put(
    "/{presigned_id}/parts/{number}",
    summary="Upload a part",
    response_class=Response,
    responses={
        200: _KEPT,
        **problems(
            errors.SignatureInvalid, errors.SignatureExpired, NotFound, Invalid,
            errors.ChunkOutside, errors.ChunkLength, errors.ChunkConflict, storage.UploadClosed,
            errors.BodyBroken, errors.BodyTooSlow, errors.ContentDamaged, errors.StoreFull,
            Unavailable, errors.StoreUnavailable,
        ),
    },
    openapi_extra=_PART,
)  # fmt: skip
async def upload_part(
    presigned_id: PresignedId,
    number: Annotated[int, Path(ge=1, le=100_000, description="Number of the part, from 1")],
    request: Request,
    context: Context,
    expires: Annotated[
        int, Query(ge=0, le=2**40, description="From the signed URL: expiry in seconds since 1970")
    ],
    _signature: Annotated[
        Parsed, Query(alias="signature", max_length=100, description="From the signed URL")
    ],
) -> Response:
    """The target of signed URLs if clients can't reach the object store. No token is needed.

    The raw body is the part. Repeating the request with the same bytes returns the same response.
    """
    now = context.work.now().timestamp()
    asked = url_asked_for(request.scope)
    context.signer.check_part(presigned_id, number, expires, asked, now=now)
    length = await context.chunks.length(presigned_id, number - 1)
    with context.slots.one(str(presigned_id)) as slot:  # it is held in memory while it comes
        data = await chunk_of(request, length, slot)
        etag = await direct_uploads.put_part(context, presigned_id, number, data)
    context.metrics.direct_bytes.inc(length)
    return Response(headers={"ETag": etag})
