"""Files and uploads in chunks, for other services. The gateway never routes these.

What a call for all uploads of a transfer costs grows with its uploads by rows alone: calls and
statements are as many for one.
"""

from typing import Annotated, ClassVar, Final

import msgspec
from fastapi import APIRouter, Depends, Header, Path, Request, Response

from sharezync_shared.calls.serving import ids_of, serve
from sharezync_shared.contracts import storage
from sharezync_shared.ids import UserId
from sharezync_shared.problems import (
    Invalid,
    NotFound,
    Problem,
    Unauthenticated,
    problems,
    refusal_document,
)
from sharezync_shared.ranges import Ranges
from sharezync_shared.tokens.dependencies import InternalCaller
from sharezync_storage import errors
from sharezync_storage.api.bodies import SmallBodyRoute, chunk_of
from sharezync_storage.api.dependencies import Context
from sharezync_storage.models import FileId, Upload, UploadId
from sharezync_storage.schemas import FileRead
from sharezync_storage.settings import MIB
from sharezync_storage.usecases import chunk_uploads, files, links
from sharezync_storage.usecases.uploads import plan_of

MOST_INDEX: Final = 2**31 - 1
_CHUNK = {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}

Index = Annotated[int, Path(ge=0, le=MOST_INDEX, description="Number of the chunk, from 0")]


class _BatchRoute(SmallBodyRoute):
    """Takes what transfer makes of the largest offer, of 1 MiB."""

    max_body_bytes: ClassVar[int] = 2 * MIB


chunk_router = APIRouter(tags=["internal"])
"""Its bodies are chunks: they have exactly the length of their place. See `chunk_layer.py`, too."""
router = APIRouter(tags=["internal"], route_class=SmallBodyRoute)
batch_router = APIRouter(tags=["internal"], route_class=_BatchRoute)


# --- chunks ---------------------------------------------------------------------------------


@chunk_router.put(
    storage.CHUNK_PATH,
    summary="Upload a chunk",
    response_model=storage.ChunkStored,
    responses=problems(
        Unauthenticated, Invalid, NotFound, errors.ChunkOutside, errors.ChunkLength,
        errors.ChunkCorrupt, errors.ChunkConflict, storage.UploadClosed, errors.BodyBroken,
        errors.BodyTooSlow, errors.StoreFull, errors.StoreUnavailable,
    ),
    openapi_extra={"requestBody": {"required": True, "content": _CHUNK}},
)  # fmt: skip
async def upload_chunk(
    upload_id: UploadId,
    index: Index,
    digest: Annotated[storage.Sha256Hex, Header(alias=storage.DIGEST_HEADER)],
    request: Request,
    _: InternalCaller,
    context: Context,
) -> Response:
    """The raw body is the chunk. Once the response is sent, it is durable and can be downloaded.

    Chunks can be uploaded in any order. Uploading the same chunk again returns the same response;
    a different one is refused.
    """
    length = await context.chunks.length(upload_id, index)
    data = await chunk_of(request, length)
    progress = await context.chunks.put(upload_id, index, data, bytes.fromhex(digest))
    context.metrics.chunk_bytes.inc(length)
    return Response(msgspec.json.encode(progress._asdict()), media_type="application/json")


@chunk_router.get(
    storage.CHUNK_PATH,
    summary="Download a chunk",
    response_class=Response,
    responses={
        200: {
            "description": "The chunk, after its digest was verified",
            "content": _CHUNK,
            "headers": {
                storage.DIGEST_HEADER: {
                    "schema": {"type": "string"},
                    "description": "SHA-256 of the chunk, hexadecimal",
                }
            },
        },
        **problems(Unauthenticated, NotFound, errors.ContentDamaged, errors.StoreUnavailable),
    },
)
async def download_chunk(
    upload_id: UploadId, index: Index, _: InternalCaller, context: Context
) -> Response:
    """Available as soon as the chunk is stored, until the upload's file is deleted."""
    data, sha256 = await context.chunks.read(upload_id, index)
    context.metrics.read_chunk_bytes.inc(len(data))
    headers = {storage.DIGEST_HEADER: sha256.hex()}
    return Response(data, media_type="application/octet-stream", headers=headers)


# --- uploads --------------------------------------------------------------------------------


@serve(router, storage.GET_UPLOAD, summary="Get a chunked upload")
async def get_chunked_upload(upload_id: UploadId, context: Context) -> storage.UploadRead:
    """Returns the recorded state; no content is read."""
    found = await chunk_uploads.status_of_each(context.work, upload_ids=[upload_id])
    if not found:
        raise NotFound
    return _read(*found[0])


@serve(
    batch_router,
    storage.BEGIN_UPLOADS,
    errors.StoreFull,
    errors.StoreUnavailable,
    summary="Create chunked uploads",
)
async def create_chunked_uploads(
    body: storage.UploadsCreate, context: Context
) -> storage.UploadsCreated:
    """Creates an upload for each file, or none. The sizes are reserved in the owner's quota."""
    begun = await chunk_uploads.begin(
        context,
        owner_id=UserId(body.owner_id),
        coming=body.files,
        chunk_size_bytes=body.chunk_size_bytes,
    )
    return storage.UploadsCreated(begun)


@serve(batch_router, storage.LIST_UPLOADS, Invalid, summary="List chunked uploads")
async def list_chunked_uploads(body: storage.UploadIds, context: Context) -> storage.UploadsRead:
    """Returns the recorded state of uploads, in no order. Nothing is read or hashed again."""
    found = await chunk_uploads.status_of_each(context.work, upload_ids=body.ids)
    return storage.UploadsRead([_read(*each) for each in found])


@serve(batch_router, storage.FINISH_UPLOADS, Invalid, summary="Complete chunked uploads")
async def complete_chunked_uploads(
    body: storage.UploadIds, context: Context
) -> storage.FinishResults:
    """Checks of each upload that no chunk is missing, and the digest of the file if one was given.

    An upload that is refused does not affect the others. Uploads that take longer are completed in
    the background: their problem is `upload-finishing`, with `retry_after_seconds`. Idempotent.
    """
    results = []
    for outcome in await context.assembler.finish_each([UploadId(each) for each in body.ids]):
        if isinstance(outcome, Problem):
            results.append(storage.FinishResult(problem=refusal_document(outcome)))
        elif isinstance(outcome, Exception):
            raise outcome
        else:
            finished = storage.UploadFinished(
                outcome.id, (outcome.root or b"").hex(), _hexadecimal(outcome.sha256)
            )
            results.append(storage.FinishResult(finished=finished))
    return storage.FinishResults(results)


@serve(batch_router, storage.ABORT_UPLOADS, Invalid, summary="Cancel chunked uploads")
async def cancel_chunked_uploads(body: storage.UploadIds, context: Context) -> None:
    """Deletes uploads, and the files of those that were completed. Idempotent."""
    await chunk_uploads.abort(context.work, upload_ids=body.ids)
    context.sweeper.wake()


def _read(upload: Upload, stored: Ranges) -> storage.UploadRead:
    plan = plan_of(upload)
    return storage.UploadRead(
        id=upload.id,
        size_bytes=plan.size_bytes,
        chunk_size_bytes=plan.chunk_size_bytes,
        chunk_count=plan.count,
        stored_bytes=upload.stored_bytes,
        stored=stored.pairs(),
        state=upload.state,
        root=_hexadecimal(upload.root),
        sha256=_hexadecimal(upload.sha256),
        file_id=upload.file_id,
    )


def _hexadecimal(digest: bytes | None) -> str | None:
    return digest.hex() if digest else None


# --- files ----------------------------------------------------------------------------------


@serve(router, storage.DESCRIBE_FILES, Invalid, summary="List files by id")
async def list_files_by_id(
    asked: Annotated[storage.FilesAsked, Depends()], context: Context
) -> storage.FileList:
    """Unknown and deleted files are left out. The others are kept for at least an hour. Pass
    `owner_id` when acting for a user, so that they can't refer to files of others.
    """
    found = await files.describe(
        context.work,
        file_ids=ids_of(asked.ids, storage.MAX_FILES),
        owner_id=None if asked.owner_id is None else UserId(asked.owner_id),
    )
    documents = (FileRead.model_validate(file).model_dump() for file in found)
    return storage.FileList([storage.FileDescription(**each) for each in documents])


@serve(router, storage.MAKE_URL, summary="Create a signed download URL for a user")
async def create_download_url_for_user(
    file_id: FileId, body: storage.UrlCreateFor, context: Context
) -> storage.SignedUrl:
    """The calling service must have checked that the user may read the file now."""
    return await links.make_url_vouched_for(
        context,
        file_id=file_id,
        user_id=UserId(body.user_id),
        expires_in_seconds=body.expires_in_seconds,
    )
