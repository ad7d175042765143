"""Uploads in chunks, for transfers. The gateway never routes these."""

from typing import Annotated, Final

import msgspec
from fastapi import APIRouter, Header, Path, Request, Response

from sharezync_shared.calls.serving import serve
from sharezync_shared.contracts import storage
from sharezync_shared.contracts.storage import CHUNK_PATH, DIGEST_HEADER, ChunkStored, Sha256Hex
from sharezync_shared.problems import Invalid, NotFound, Unauthenticated, problems
from sharezync_shared.tokens.dependencies import InternalCaller
from sharezync_storage.api.bodies import SmallBodyRoute, chunk_of
from sharezync_storage.api.dependencies import Context
from sharezync_storage.errors import (
    BodyBroken,
    BodyTooSlow,
    ChunkConflict,
    ChunkCorrupt,
    ChunkLength,
    ChunkOutside,
    ContentDamaged,
    StoreFull,
    StoreUnavailable,
)
from sharezync_storage.models import UploadId
from sharezync_storage.schemas.files import upload_of
from sharezync_storage.usecases import chunk_uploads

router = APIRouter(tags=["internal"], route_class=SmallBodyRoute)

MOST_INDEX: Final = 2**31 - 1
_CHUNK = {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}

Index = Annotated[int, Path(ge=0, le=MOST_INDEX, description="Number of the chunk, from 0")]


chunk_router = APIRouter(tags=["internal"])
"""Its bodies are chunks: they have exactly the length of their place. See `chunk_layer.py`, too."""


@serve(router, storage.GET_UPLOAD, summary="Get a chunked upload")
async def get_chunked_upload(upload_id: UploadId, context: Context) -> storage.UploadRead:
    """Returns the recorded state; no content is read."""
    return upload_of(await chunk_uploads.status(context.work, upload_id=upload_id))


@chunk_router.put(
    CHUNK_PATH,
    summary="Upload a chunk",
    response_model=ChunkStored,
    responses=problems(
        Unauthenticated, Invalid, NotFound, ChunkOutside, ChunkLength, ChunkCorrupt, ChunkConflict,
        storage.UploadClosed, BodyBroken, BodyTooSlow, StoreFull, StoreUnavailable,
    ),
    openapi_extra={"requestBody": {"required": True, "content": _CHUNK}},
)  # fmt: skip
async def upload_chunk(
    upload_id: UploadId,
    index: Index,
    digest: Annotated[Sha256Hex, Header(alias=DIGEST_HEADER)],
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
    body = msgspec.json.encode(progress._asdict())
    return Response(body, media_type="application/json")


@chunk_router.get(
    CHUNK_PATH,
    summary="Download a chunk",
    response_class=Response,
    responses={
        200: {
            "description": "The chunk, after its digest was verified",
            "content": _CHUNK,
            "headers": {
                DIGEST_HEADER: {
                    "schema": {"type": "string"},
                    "description": "SHA-256 of the chunk, hexadecimal",
                }
            },
        },
        **problems(Unauthenticated, NotFound, ContentDamaged, StoreUnavailable),
    },
)
async def download_chunk(
    upload_id: UploadId, index: Index, _: InternalCaller, context: Context
) -> Response:
    """Available as soon as the chunk is stored, until the upload's file is deleted."""
    data, sha256 = await context.chunks.read(upload_id, index)
    context.metrics.read_chunk_bytes.inc(len(data))
    return Response(
        data, media_type="application/octet-stream", headers={DIGEST_HEADER: sha256.hex()}
    )
