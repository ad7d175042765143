"""`/v1/files` and `/v1/usage`: one's own files."""

from contextlib import aclosing
from typing import Annotated, Any, Final

from fastapi import APIRouter, Query, Request, Response

from sharezync_shared.problems import Invalid, NotFound, Unauthenticated, problems
from sharezync_shared.tokens.dependencies import Caller
from sharezync_storage.api.bodies import body_of
from sharezync_storage.api.content import (
    ContentResponse,
    etag_of,
    headers_of,
    last_modified_of,
    validators_of,
)
from sharezync_storage.api.dependencies import ReadableFile, TheParts, WorkPart
from sharezync_storage.api.forms import FIELD, FileForm
from sharezync_storage.api.ranges import not_modified, span_of
from sharezync_storage.api.wire import FilePage, FileRead, UsageRead
from sharezync_storage.models import FileId
from sharezync_storage.problems import (
    BodyBroken,
    ContentDamaged,
    FileTooLarge,
    FormInvalid,
    NotAForm,
    QuotaExceeded,
    RangeUnsatisfiable,
    SignatureExpired,
    SignatureInvalid,
    StoreFull,
    StoreUnavailable,
)
from sharezync_storage.usecases import files, quota

router = APIRouter(prefix="/v1", tags=["files"])

_FORM: Final[dict[str, Any]] = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": [FIELD],
                    "properties": {
                        FIELD: {
                            "type": "string",
                            "contentMediaType": "application/octet-stream",
                            "description": "The file, with its name and media type",
                        }
                    },
                }
            }
        },
    }
}
_BYTES: Final[dict[str, Any]] = {
    "content": {"*/*": {"schema": {"type": "string", "format": "binary"}}}
}
_CONTENT_ANSWERS: Final[dict[int | str, dict[str, Any]]] = {
    200: {"description": "The whole file, as its own media type", **_BYTES},
    206: {"description": "The range that was asked for", **_BYTES},
    304: {"description": "The client has it already"},
}
_CONTENT_PROBLEMS: Final = (
    Unauthenticated, SignatureInvalid, SignatureExpired, NotFound, RangeUnsatisfiable,
    ContentDamaged, StoreUnavailable,
)  # fmt: skip


def _header(name: str, description: str) -> dict[str, Any]:
    return {
        "name": name,
        "in": "header",
        "required": False,
        "schema": {"type": "string"},
        "description": description,
    }


_IF_NONE_MATCH = _header("If-None-Match", "An `ETag`; 304 where it is still the same")
# By token or by signature: neither scheme of the document says that.
_LOOK: Final[dict[str, Any]] = {
    "security": [{"user": []}, {}],
    "parameters": [_IF_NONE_MATCH],
}
_DOWNLOAD: Final[dict[str, Any]] = {
    "security": [{"user": []}, {}],
    "parameters": [
        _IF_NONE_MATCH,
        _header("Range", "One range of bytes, such as `bytes=1000-` or `bytes=-500`"),
        _header("If-Range", "An `ETag` or `Last-Modified`; the whole where it has changed"),
    ],
}


@router.post(
    "/files",
    status_code=201,
    summary="Upload a file in one piece",
    responses=problems(
        Unauthenticated, NotAForm, FormInvalid, BodyBroken, FileTooLarge, QuotaExceeded, StoreFull,
        StoreUnavailable,
    ),
    openapi_extra=_FORM,
)  # fmt: skip
async def upload_file(
    request: Request, response: Response, caller: Caller, work: WorkPart, parts: TheParts
) -> FileRead:
    """Send a form with one file, in the field `file`.

    It goes to the store as it comes and is hashed on the way. A body that breaks off leaves
    nothing behind. For large files and bad lines there are resumable uploads.
    """
    length = request.headers.get("content-length", "")
    async with aclosing(body_of(request)) as body:
        form = FileForm(
            request.headers.get("content-type", ""), body, int(length) if length.isdigit() else None
        )
        await form.open()
        try:
            file = await files.receive(
                work,
                parts.store,
                parts.limits,
                owner_id=caller.user_id,
                name=form.name,
                mime=form.mime,
                pieces=form.pieces(),
                expected_bytes=form.expected_bytes,
            )
        except BaseException:
            parts.sweeper.wake()
            raise
    parts.metrics.form_bytes.inc(file.size_bytes)
    response.headers["Location"] = f"/v1/files/{file.id}"
    return FileRead.of(file)


@router.get(
    "/files", summary="My files, newest first", responses=problems(Unauthenticated, Invalid)
)
async def list_files(
    caller: Caller,
    work: WorkPart,
    cursor: Annotated[FileId | None, Query(description="`next` of the page before")] = None,
    limit: Annotated[int, Query(ge=1, le=200, description="How many at most")] = 50,
) -> FilePage:
    """Those that came in forms, by resumable uploads and through transfers."""
    page = await files.page(work, owner_id=caller.user_id, after=cursor, limit=limit)
    items = [FileRead.of(file) for file in page.items]
    return FilePage(items=items, next=str(page.next) if page.next else None)


@router.get(
    "/files/{file_id}", summary="Look at a file", responses=problems(Unauthenticated, NotFound)
)
async def get_file(file_id: FileId, caller: Caller, work: WorkPart) -> FileRead:
    """One's own; files of others are seen where they were shared: in a message, in a transfer."""
    return FileRead.of(await files.get(work, owner_id=caller.user_id, file_id=file_id))


@router.delete(
    "/files/{file_id}",
    status_code=204,
    summary="Delete a file",
    responses=problems(Unauthenticated, NotFound),
)
async def delete_file(file_id: FileId, caller: Caller, work: WorkPart, parts: TheParts) -> None:
    """It is gone for everyone at once, wherever it was shared."""
    await files.delete(work, owner_id=caller.user_id, file_id=file_id)
    parts.sweeper.wake()


@router.get(
    "/files/{file_id}/content",  # noqa: FAST003 - ReadableFile takes the id
    summary="Download a file",
    response_class=Response,
    responses={**_CONTENT_ANSWERS, **problems(*_CONTENT_PROBLEMS)},
    openapi_extra=_DOWNLOAD,
)
async def get_content(file: ReadableFile, request: Request, parts: TheParts) -> Response:
    """With one's token for one's own files, or by a signed link for anybody's.

    One `Range` of bytes is answered with 206; several are refused. `If-None-Match` and `If-Range`
    take the `ETag`, which never changes. Only media that can do no harm are shown in place;
    anything else is an attachment.
    """
    etag = etag_of(file)
    if not_modified(request.headers, etag):
        return Response(status_code=304, headers=validators_of(file))
    modified = last_modified_of(file)
    span = span_of(request.headers, file.size_bytes, etag=etag, last_modified=modified)
    response = ContentResponse(parts.store, file, span)
    parts.metrics.content_bytes.inc(response.length)
    return response


@router.head(
    "/files/{file_id}/content",  # noqa: FAST003 - as above
    summary="Look at what a download would be",
    response_class=Response,
    responses={
        200: {"description": "The headers of the whole file"},
        304: {"description": "The client has it already"},
        **problems(Unauthenticated, SignatureInvalid, SignatureExpired, NotFound),
    },
    openapi_extra=_LOOK,
)
async def head_content(file: ReadableFile, request: Request) -> Response:
    """As the download, without its body."""
    if not_modified(request.headers, etag_of(file)):
        return Response(status_code=304, headers=validators_of(file))
    return Response(headers=headers_of(file, length=file.size_bytes))


@router.get("/usage", summary="My quota", responses=problems(Unauthenticated))
async def get_usage(caller: Caller, work: WorkPart, parts: TheParts) -> UsageRead:
    """What is left is the quota less what is used and what is reserved."""
    return UsageRead.of(await quota.look(work, parts.limits, caller.user_id))
