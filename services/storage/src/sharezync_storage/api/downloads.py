"""`/v1/files/{id}/content` and `/v1/files/{id}/urls`: the bytes of a file, and leave to read it."""

from typing import Any, Final

from fastapi import APIRouter, Request, Response

from sharezync_shared.asgi.content_wanted import (
    PreconditionFailed,
    RangeUnsatisfiable,
    not_modified,
    span_of,
    validators,
)
from sharezync_shared.problems import Invalid, NotFound, Unauthenticated, problems
from sharezync_shared.tokens.dependencies import Caller
from sharezync_storage.api.bodies import SmallBodyRoute
from sharezync_storage.api.content import ContentResponse, headers_of, version_of
from sharezync_storage.api.dependencies import Context, ReadableFile
from sharezync_storage.errors import (
    ContentDamaged,
    SignatureExpired,
    SignatureInvalid,
    StoreUnavailable,
)
from sharezync_storage.models import FileId
from sharezync_storage.schemas import UrlCreate, UrlRead
from sharezync_storage.usecases import links

router = APIRouter(prefix="/v1/files", tags=["files"], route_class=SmallBodyRoute)

BYTES: Final[dict[str, Any]] = {
    "content": {"*/*": {"schema": {"type": "string", "format": "binary"}}}
}
"""In the document: an answer that is a file."""

_ANSWERS: Final[dict[int | str, dict[str, Any]]] = {
    200: {"description": "The whole file, with its media type", **BYTES},
    206: {"description": "The requested range", **BYTES},
    304: {"description": "Not modified"},
}
_REFUSED: Final = (Unauthenticated, SignatureInvalid, SignatureExpired, NotFound)


def header(name: str, description: str) -> dict[str, Any]:
    return {
        "name": name,
        "in": "header",
        "required": False,
        "schema": {"type": "string"},
        "description": description,
    }


RANGES: Final = (
    header("Range", "A range of bytes, such as `bytes=1000-` or `bytes=-500`"),
    header(
        "If-Range", "`ETag` or `Last-Modified`; if the content has changed, all of it is returned"
    ),
)
_CONDITIONS: Final = (
    header("If-None-Match", "`ETag`; 304 if the content hasn't changed"),
    header("If-Modified-Since", "`Last-Modified`; 304 if the content hasn't changed"),
    header("If-Match", "`ETag`; 412 if the content has changed"),
    header("If-Unmodified-Since", "`Last-Modified`; 412 if the content has changed"),
)
# By token or by signature: neither scheme of the document says that.
_LOOK: Final[dict[str, Any]] = {"security": [{"user": []}, {}], "parameters": [*_CONDITIONS]}
_DOWNLOAD: Final[dict[str, Any]] = {
    "security": [{"user": []}, {}],
    "parameters": [*_CONDITIONS, *RANGES],
}


@router.get(
    "/{file_id}/content",  # noqa: FAST003 - ReadableFile takes the id
    summary="Download a file",
    response_class=Response,
    responses={
        **_ANSWERS,
        **problems(
            *_REFUSED, PreconditionFailed, RangeUnsatisfiable, ContentDamaged, StoreUnavailable
        ),
    },
    openapi_extra=_DOWNLOAD,
)
async def download_file(file: ReadableFile, request: Request, context: Context) -> Response:
    """Requires a token of a user who may read the file, or a signed URL.

    A single `Range` is answered with 206, several with the whole file. `If-None-Match` and
    `If-Range` take the `ETag`, which never changes. Only safe media types are served inline, all
    others as an attachment.
    """
    version = version_of(file)
    if not_modified(request.headers, version):
        return Response(status_code=304, headers=validators(version))
    span = span_of(request.headers, file.size_bytes, version)
    response = ContentResponse(context.store, file, span)
    context.metrics.content_bytes.inc(response.length)
    return response


@router.head(
    "/{file_id}/content",  # noqa: FAST003 - as above
    summary="Get the headers of a download",
    response_class=Response,
    responses={
        200: {"description": "Headers of the whole file"},
        304: {"description": "Not modified"},
        **problems(*_REFUSED, PreconditionFailed),
    },
    openapi_extra=_LOOK,
)
async def get_download_headers(file: ReadableFile, request: Request) -> Response:
    """Returns the headers of a download without its body. `Range` is ignored."""
    version = version_of(file)
    if not_modified(request.headers, version):
        return Response(status_code=304, headers=validators(version))
    return Response(headers=headers_of(file))


@router.post(
    "/{file_id}/urls",
    summary="Create a signed download URL",
    responses=problems(Unauthenticated, NotFound, Invalid, StoreUnavailable),
)
async def create_download_url(
    file_id: FileId, caller: Caller, context: Context, body: UrlCreate | None = None
) -> UrlRead:
    """Returns a URL that needs no token, for example for an `<img>`, for at most five minutes.

    Available for files that you own or may read. The URL leads to the object store if clients can
    reach it. It can't be revoked.
    """
    url = await links.make_url(
        context,
        file_id=file_id,
        user_id=caller.user_id,
        expires_in_seconds=(body or UrlCreate()).expires_in_seconds,
    )
    return UrlRead.model_validate(url)
