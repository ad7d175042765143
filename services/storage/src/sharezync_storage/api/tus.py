"""`/v1/uploads`: uploads that can be resumed, by tus 1.0.0 with all its extensions but one.

Not spoken: `concatenation-unfinished` and checksums in trailers. Refusals are problem documents.
Trouble that passes is never told as 400, 403 or 404, at which clients forget the upload: it is 409
(ask for the offset), 423 (in a moment) or 5xx.
"""

from typing import Annotated, Final

from fastapi import APIRouter, Depends, Request, Response

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
from sharezync_storage.api import tus_document as document
from sharezync_storage.api.dependencies import TheParts
from sharezync_storage.api.tus_bodies import append_body, checksum_of
from sharezync_storage.api.tus_headers import (
    capabilities,
    check_offset_stream,
    check_version,
    expiry_of,
    number_of,
    standing_of,
    upload_id_of,
)
from sharezync_storage.api.tus_wire import ResumableUpload
from sharezync_storage.models import Upload, UploadId
from sharezync_storage.problems import (
    ChecksumMismatch,
    ChecksumUnsupported,
    FileTooLarge,
    FinalUpload,
    NotAnOffsetStream,
    OffsetMismatch,
    QuotaExceeded,
    StoreFull,
    StoreUnavailable,
    TusVersionUnsupported,
    UploadBusy,
    UploadGone,
    UploadInterrupted,
    UploadLengthConflict,
)
from sharezync_storage.states import ENDED
from sharezync_storage.usecases.checksums import ALGORITHMS

router = APIRouter(prefix="/v1/uploads", tags=["uploads"])

ASKED: Final = (Unauthenticated, TusVersionUnsupported, Malformed)
KEPT: Final = (
    NotAnOffsetStream, ChecksumUnsupported, ChecksumMismatch, UploadLengthConflict, FileTooLarge,
    QuotaExceeded, StoreFull, StoreUnavailable, UploadInterrupted, Unavailable,
)  # fmt: skip
_PATCH_REFUSED: Final = (
    *ASKED, NotFound, UploadGone, FinalUpload, OffsetMismatch, UploadBusy, *KEPT,
)  # fmt: skip


async def _speaks_tus(_: Caller, request: Request) -> None:
    check_version(request.headers)


async def _named(request: Request) -> UploadId:
    upload_id = upload_id_of(request.path_params["upload_id"])
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
    summary="What of tus is spoken here",
    responses=document.CAPABLE,
)
async def tus_capabilities(parts: TheParts) -> Response:
    """Versions, extensions, the largest size, algorithms for checksums. For anybody."""
    said = capabilities(parts.limits.max_file_bytes, ALGORITHMS)
    return Response(status_code=204, headers=said)


router.add_api_route(
    "/{upload_id}",
    tus_capabilities,
    methods=["OPTIONS"],
    status_code=204,
    response_class=Response,
    name="tus_capabilities_of_upload",
    summary="What of tus is spoken here",
    responses=document.CAPABLE,
    openapi_extra={"parameters": [document.ANY_UPLOAD_ID]},
)


@router.head(
    "/{upload_id}",
    response_class=Response,
    summary="Where to go on",
    dependencies=[SpeaksTus],
    responses={
        **document.STANDING,
        **problems(*ASKED, NotFound, UploadGone, UploadBusy, StoreUnavailable),
    },
    openapi_extra={"parameters": [document.UPLOAD_ID, document.TUS]},
)
async def head_resumable_upload(upload_id: Named, caller: Caller, parts: TheParts) -> Response:
    """`Upload-Offset` is the next byte that is wanted: all before it are durable.

    A request that still writes and has stalled is ended by this one, so that the offset stands.
    """
    upload = await _look(parts, caller.user_id, upload_id)
    return Response(headers=standing_of(upload))


@router.get(
    "/{upload_id}",
    summary="How far an upload is",
    responses=problems(Unauthenticated, NotFound, UploadGone, UploadBusy, StoreUnavailable),
    openapi_extra={"parameters": [document.UPLOAD_ID]},
)
async def get_resumable_upload(
    upload_id: Named, caller: Caller, parts: TheParts
) -> ResumableUpload:
    """In JSON; `file_id` is there once it has become a file. No `Tus-Resumable` is asked for."""
    return ResumableUpload.of(await _look(parts, caller.user_id, upload_id))


@router.patch(
    "/{upload_id}",
    status_code=204,
    response_class=Response,
    summary="Send bytes of an upload",
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
async def patch_resumable_upload(
    request: Request, upload_id: Named, caller: Caller, parts: TheParts
) -> Response:
    """From `Upload-Offset` on, which must be where the upload stands.

    Bytes are kept as they come: of a body that breaks off, all that came counts. With
    `Upload-Checksum` it is all or nothing. With the last byte the upload becomes a file of the same
    id.
    """
    headers = request.headers
    check_offset_stream(headers)
    offset = number_of(headers, "Upload-Offset")
    if offset is None:
        raise Malformed("Upload-Offset is needed")
    length, checksum = number_of(headers, "Upload-Length"), checksum_of(request)
    upload = await append_body(request, parts, caller.user_id, upload_id, offset, length, checksum)
    said = {"Upload-Offset": str(upload.stored_bytes), **expiry_of(upload)}
    return Response(status_code=204, headers=said)


@router.delete(
    "/{upload_id}",
    status_code=204,
    response_class=Response,
    summary="Give up an upload",
    dependencies=[SpeaksTus],
    responses={
        **document.TERMINATED,
        **problems(*ASKED, NotFound, UploadGone, UploadBusy, StoreUnavailable),
    },
    openapi_extra={"parameters": [document.UPLOAD_ID, document.TUS]},
)
async def delete_resumable_upload(upload_id: Named, caller: Caller, parts: TheParts) -> Response:
    """Its room is free again. One that has become a file goes with its file."""
    await parts.appending.terminate(owner_id=caller.user_id, upload_id=upload_id)
    parts.sweeper.wake()
    return Response(status_code=204)


@router.post(
    "/{upload_id}",  # noqa: FAST003 - whatever it is
    status_code=204,
    response_class=Response,
    summary="The same, for clients that can't send PATCH or DELETE",
    responses={**document.OVERRIDDEN, **problems(*_PATCH_REFUSED, NotAllowed)},
    openapi_extra={
        "parameters": [document.UPLOAD_ID, document.TUS, document.OVERRIDE],
        **document.body(required=False),
    },
)
async def override_method(_: Caller) -> Response:
    """`X-HTTP-Method-Override` names the method that is meant, and it is answered as that one is.

    The fields of that method come with it. It counts with any method, and under `/v1/uploads` too.
    """
    # Where it is there, `TusLayer` has led the request elsewhere already.
    raise NotAllowed("X-HTTP-Method-Override says what is meant", headers={"Allow": _ALLOWED})


_ALLOWED: Final = "DELETE, GET, HEAD, OPTIONS, PATCH"


async def _look(parts: TheParts, owner_id: UserId, upload_id: UploadId) -> Upload:
    upload = await parts.appending.look(owner_id=owner_id, upload_id=upload_id)
    if upload.state in ENDED:
        raise UploadGone
    return upload
