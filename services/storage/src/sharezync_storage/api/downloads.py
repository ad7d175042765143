"""`/v1/files/{id}/content` and `/v1/files/{id}/urls`: the bytes of a file, and leave to read it."""

from typing import Any, Final

from fastapi import APIRouter, Request, Response

from sharezync_shared.asgi.content_headers import validators
from sharezync_shared.asgi.content_wanted import (
    PreconditionFailed,
    RangeUnsatisfiable,
    not_modified,
    span_of,
)
from sharezync_shared.problems import Invalid, NotFound, Unauthenticated, problems
from sharezync_shared.tokens.dependencies import Caller
from sharezync_storage.api.bodies import SmallBodyRoute
from sharezync_storage.api.content import ContentResponse, headers_of, version_of
from sharezync_storage.api.dependencies import ReadableFile, TheParts
from sharezync_storage.api.link_wire import UrlCreate, UrlRead
from sharezync_storage.models import FileId
from sharezync_storage.problems import (
    ContentDamaged,
    SignatureExpired,
    SignatureInvalid,
    StoreUnavailable,
)

router = APIRouter(prefix="/v1/files", tags=["files"], route_class=SmallBodyRoute)

BYTES: Final[dict[str, Any]] = {
    "content": {"*/*": {"schema": {"type": "string", "format": "binary"}}}
}
"""In the document: an answer that is a file."""

_ANSWERS: Final[dict[int | str, dict[str, Any]]] = {
    200: {"description": "The whole file, as its own media type", **BYTES},
    206: {"description": "The range that was asked for", **BYTES},
    304: {"description": "The client has it already"},
}
_REFUSED: Final = (Unauthenticated, SignatureInvalid, SignatureExpired, NotFound)


def header(name: str, description: str) -> dict[str, Any]:
    """Return a header of a request, for the document."""
    return {
        "name": name,
        "in": "header",
        "required": False,
        "schema": {"type": "string"},
        "description": description,
    }


RANGES: Final = (
    header("Range", "One range of bytes, such as `bytes=1000-` or `bytes=-500`"),
    header("If-Range", "An `ETag` or `Last-Modified`; the whole where it has changed"),
)
_CONDITIONS: Final = (
    header("If-None-Match", "An `ETag`; 304 where it is still the same"),
    header("If-Modified-Since", "A `Last-Modified`; the same, for clients that kept no `ETag`"),
    header("If-Match", "An `ETag`; 412 where the content has another"),
    header("If-Unmodified-Since", "A `Last-Modified`; 412 where the content is younger"),
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
async def get_content(file: ReadableFile, request: Request, parts: TheParts) -> Response:
    """With one's token for what one may read, or by a signed URL for anybody's.

    One `Range` of bytes is answered with 206; several are refused. `If-None-Match` and `If-Range`
    take the `ETag`, which never changes. Only media that can do no harm are shown in place;
    anything else is an attachment.
    """
    version = version_of(file)
    if not_modified(request.headers, version):
        return Response(status_code=304, headers=validators(version))
    span = span_of(request.headers, file.size_bytes, version)
    response = ContentResponse(parts.store, file, span)
    parts.metrics.content_bytes.inc(response.length)
    return response


@router.head(
    "/{file_id}/content",  # noqa: FAST003 - as above
    summary="Look at what a download would be",
    response_class=Response,
    responses={
        200: {"description": "The headers of the whole file"},
        304: {"description": "The client has it already"},
        **problems(*_REFUSED, PreconditionFailed),
    },
    openapi_extra=_LOOK,
)
async def head_content(file: ReadableFile, request: Request) -> Response:
    """As the download of the whole, without its body; a `Range` changes nothing here."""
    version = version_of(file)
    if not_modified(request.headers, version):
        return Response(status_code=304, headers=validators(version))
    return Response(headers=headers_of(file))


@router.post(
    "/{file_id}/urls",
    summary="Make a signed URL to a file's content",
    responses=problems(Unauthenticated, NotFound, Invalid, StoreUnavailable),
)
async def make_url(
    file_id: FileId, caller: Caller, parts: TheParts, body: UrlCreate | None = None
) -> UrlRead:
    """To be followed without a token, such as by an `<img>`, for at most five minutes.

    For one's own files, and those that one was given leave to read. It leads straight to the store
    where clients can reach that. It can't be taken back.
    """
    url = await parts.urls.make(
        file_id=file_id,
        user_id=caller.user_id,
        expires_in_seconds=(body or UrlCreate()).expires_in_seconds,
    )
    return UrlRead.of(url)
