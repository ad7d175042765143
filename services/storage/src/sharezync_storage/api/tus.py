"""`/v1/uploads`: uploads that can be resumed, by tus 1.0.0 with all its extensions but one.

Not spoken: `concatenation-unfinished` and checksums in trailers. Refusals are problem documents.
Trouble that passes is never answered with 400, 403 or 404, at which clients forget the upload: it
is 409 (ask for the offset), 423 (in a moment) or 5xx.
"""

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from typing import Annotated, Final

from fastapi import APIRouter, Depends, Request, Response

from sharezync_shared.contracts import storage
from sharezync_shared.ids import UserId
from sharezync_shared.problems import (
    Malformed,
    NotAllowed,
    NotFound,
    Unauthenticated,
    Unavailable,
    problems,
)
from sharezync_shared.tokens.dependencies import Caller
from sharezync_storage import errors
from sharezync_storage.api import tus_document as document
from sharezync_storage.api import tus_headers as fields
from sharezync_storage.api.bodies import body_of
from sharezync_storage.api.dependencies import Context
from sharezync_storage.models import Upload, UploadId
from sharezync_storage.schemas import ResumableUpload
from sharezync_storage.usecases import tus_uploads
from sharezync_storage.usecases.checksums import ALGORITHMS, Checksum

router = APIRouter(prefix="/v1/uploads", tags=["uploads"])

ASKED: Final = (Unauthenticated, errors.TusVersionUnsupported, Malformed)
KEPT: Final = (
    errors.NotAnOffsetStream, errors.ChecksumUnsupported, errors.ChecksumMismatch,
    errors.UploadLengthConflict, storage.FileTooLarge, storage.QuotaExceeded, errors.StoreFull,
    errors.StoreUnavailable, errors.UploadInterrupted, Unavailable,
)  # fmt: skip
_LOOK_REFUSED: Final = (NotFound, errors.UploadGone, errors.UploadBusy, errors.StoreUnavailable)
_PATCH_REFUSED: Final = (
    *ASKED, NotFound, errors.UploadGone, errors.FinalUpload, errors.OffsetMismatch,
    errors.UploadBusy, *KEPT,
)  # fmt: skip


async def _speaks_tus(_: Caller, request: Request) -> None:
    fields.check_version(request.headers)


async def _named(request: Request) -> UploadId:
    upload_id = fields.upload_id_of(request.path_params["upload_id"])
    if upload_id is None:
        raise NotFound
    return upload_id


SpeaksTus = Depends(_speaks_tus)
Named = Annotated[UploadId, Depends(_named)]
"""The upload that the path names."""


@router.options(
    "",
    status_code=204,
    response_class=Response,
    summary="Get the supported tus features",
    responses=document.CAPABLE,
)
async def get_tus_capabilities(context: Context) -> Response:
    """Returns versions, extensions, maximum size and checksum algorithms. Needs no token."""
    said = fields.capabilities(context.settings.max_file_bytes, ALGORITHMS)
    return Response(status_code=204, headers=said)


router.add_api_route(
    "/{upload_id}",
    get_tus_capabilities,
    methods=["OPTIONS"],
    status_code=204,
    response_class=Response,
    name="get_tus_capabilities_of_upload",
    summary="Get the supported tus features",
    responses=document.CAPABLE,
    openapi_extra={"parameters": [document.ANY_UPLOAD_ID]},
)


@router.head(
    "/{upload_id}",
    response_class=Response,
    summary="Get the offset of an upload",
    dependencies=[SpeaksTus],
    responses={**document.STANDING, **problems(*ASKED, *_LOOK_REFUSED)},
    openapi_extra={"parameters": [document.UPLOAD_ID, document.TUS]},
)
async def get_upload_offset(upload_id: Named, caller: Caller, context: Context) -> Response:
    """`Upload-Offset` is the offset of the next byte; all bytes before it are stored.

    A stalled request that still writes to the upload is ended, so that the offset doesn't change.
    """
    upload = await tus_uploads.status(context, owner_id=caller.user_id, upload_id=upload_id)
    return Response(headers=fields.standing_of(upload))


@router.get(
    "/{upload_id}",
    summary="Get an upload",
    responses=problems(Unauthenticated, *_LOOK_REFUSED),
    openapi_extra={"parameters": [document.UPLOAD_ID]},
)
async def get_upload(upload_id: Named, caller: Caller, context: Context) -> ResumableUpload:
    """Returns the state of the upload as JSON, with `file_id` once it is finished. `Tus-Resumable`
    isn't required.
    """
    upload = await tus_uploads.status(context, owner_id=caller.user_id, upload_id=upload_id)
    return ResumableUpload.model_validate(upload)


@router.patch(
    "/{upload_id}",
    status_code=204,
    response_class=Response,
    summary="Append to an upload",
    dependencies=[SpeaksTus],
    responses={**document.PATCHED, **problems(*_PATCH_REFUSED)},
    openapi_extra={
        "parameters": [
            document.UPLOAD_ID,
            document.TUS,
            document.OFFSET,
            document.LATER_LENGTH,
            document.CHECKSUM,
        ],
        **document.body(required=True),
    },
)
async def append_to_upload(
    request: Request, upload_id: Named, caller: Caller, context: Context
) -> Response:
    """Appends the body at `Upload-Offset`, which must be the current offset of the upload.

    Of an incomplete body, all received bytes are stored; with `Upload-Checksum`, all or none. With
    the last byte the upload becomes a file with the same id.
    """
    headers = request.headers
    fields.check_offset_stream(headers)
    offset = fields.number_of(headers, "Upload-Offset")
    if offset is None:
        raise Malformed("Upload-Offset is required")
    length, checksum = fields.number_of(headers, "Upload-Length"), checksum_of(request)
    upload = await append_body(
        request, context, caller.user_id, upload_id, offset, length, checksum
    )
    said = {"Upload-Offset": str(upload.stored_bytes), **fields.expiry_of(upload)}
    return Response(status_code=204, headers=said)


@router.delete(
    "/{upload_id}",
    status_code=204,
    response_class=Response,
    summary="Cancel an upload",
    dependencies=[SpeaksTus],
    responses={**document.TERMINATED, **problems(*ASKED, *_LOOK_REFUSED)},
    openapi_extra={"parameters": [document.UPLOAD_ID, document.TUS]},
)
async def cancel_upload(upload_id: Named, caller: Caller, context: Context) -> Response:
    """Releases the reserved quota. If the upload is finished, its file is deleted."""
    await tus_uploads.terminate(context, owner_id=caller.user_id, upload_id=upload_id)
    context.sweeper.wake()
    return Response(status_code=204)


@router.post(
    "/{upload_id}",  # noqa: FAST003 - whatever it is
    status_code=204,
    response_class=Response,
    summary="Override the method of a request",
    responses={**document.OVERRIDDEN, **problems(*_PATCH_REFUSED, NotAllowed)},
    openapi_extra={
        "parameters": [document.UPLOAD_ID, document.TUS, document.OVERRIDE],
        **document.body(required=False),
    },
)
async def override_upload_method(_: Caller) -> Response:
    """For clients that can't send PATCH or DELETE: the request is handled as if it had the method
    in `X-HTTP-Method-Override`, with the header fields of that method.

    The header works with every method, and for `/v1/uploads` as well.
    """
    # Where it is there, `TusLayer` has led the request elsewhere already.
    raise NotAllowed("X-HTTP-Method-Override is required", headers={"Allow": _ALLOWED})


_ALLOWED: Final = "DELETE, GET, HEAD, OPTIONS, PATCH"


async def append_body(
    request: Request,
    context: Context,
    owner_id: UserId,
    upload_id: UploadId,
    offset: int,
    length: int | None,
    checksum: Checksum | None,
    *,
    skip_bytes: int = 0,
) -> Upload:
    """Keep the body, but for its first `skip_bytes`.

    One that broke off is no fault of the request: it may be sent again.
    """
    try:
        async with (
            aclosing(body_of(request)) as body,
            aclosing(_beyond(skip_bytes, body, context)) as pieces,
        ):
            return await tus_uploads.append(
                context,
                owner_id=owner_id,
                upload_id=upload_id,
                offset=offset,
                pieces=pieces,
                length=length,
                checksum=checksum,
            )
    except (errors.BodyBroken, errors.BodyTooSlow) as broken:
        raise errors.UploadInterrupted(broken.detail) from broken


async def _beyond(
    skip_bytes: int, body: AsyncIterator[bytes], context: Context
) -> AsyncGenerator[bytes]:
    """Pass on what follows the first `skip_bytes` of a body, and count it: nearly all is kept."""
    async for piece in body:
        new = piece[skip_bytes:] if skip_bytes else piece
        skip_bytes -= len(piece) - len(new)
        if new:
            context.metrics.tus_bytes.inc(len(new))
            yield new


def checksum_of(request: Request) -> Checksum | None:
    said = fields.one_of(request.headers, "Upload-Checksum")
    return None if said is None else Checksum.from_header(said)
