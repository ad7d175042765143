"""`/v1/files` and `/v1/usage`: one's own files."""

from contextlib import aclosing
from typing import Annotated, Any, Final

from fastapi import APIRouter, Header, Query, Request, Response

from sharezync_shared.names.policies import KEY
from sharezync_shared.problems import (
    Conflict,
    Invalid,
    NotFound,
    Unauthenticated,
    Unavailable,
    problems,
)
from sharezync_shared.tokens.dependencies import Caller
from sharezync_storage.api.bodies import body_of
from sharezync_storage.api.dependencies import TheParts, WorkPart
from sharezync_storage.api.forms import FIELD, FileForm
from sharezync_storage.api.wire import FilePage, FileRead, UsageRead
from sharezync_storage.models import FileId
from sharezync_storage.problems import (
    BodyBroken,
    BodyTooSlow,
    FileTooLarge,
    FormInvalid,
    NotAForm,
    QuotaExceeded,
    StoreFull,
    StoreUnavailable,
    TooManyFiles,
    TooManyUploads,
    UploadBusy,
    UploadGone,
)
from sharezync_storage.usecases import files, quota, receiving

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


@router.post(
    "/files",
    status_code=201,
    summary="Upload a file in one piece",
    responses=problems(
        Unauthenticated, NotAForm, FormInvalid, BodyBroken, BodyTooSlow, FileTooLarge,
        QuotaExceeded, TooManyFiles, TooManyUploads, UploadBusy, UploadGone, Conflict, StoreFull,
        StoreUnavailable, Unavailable,
    ),
    openapi_extra=_FORM,
)  # fmt: skip
async def upload_file(
    request: Request,
    response: Response,
    caller: Caller,
    work: WorkPart,
    parts: TheParts,
    idempotency_key: Annotated[
        Annotated[str, KEY] | None,
        Header(
            description="Of your making, one for each file: sent again with the same key, the "
            "file that came first is the answer, and nothing is stored twice",
        ),
    ] = None,
) -> FileRead:
    """Send a form with one file, in the field `file`.

    It goes to the store as it comes and is hashed on the way. A body that breaks off leaves
    nothing behind. For large files and bad lines there are resumable uploads.
    """
    length = request.headers.get("content-length", "")
    async with aclosing(body_of(request)) as body:
        form = FileForm(
            request.headers.get("content-type", ""),
            body,
            int(length) if length.isascii() and length.isdigit() else None,
        )
        await form.open()
        try:
            file = await receiving.receive(
                work,
                parts.store,
                parts.limits,
                parts.places,
                owner_id=caller.user_id,
                name=form.name,
                mime=form.mime,
                pieces=form.pieces(),
                expected_bytes=form.expected_bytes,
                idempotency_key=idempotency_key,
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
    """One's own, and those that one was given leave to read.

    Files of others are else seen where they were shared: in a message, in a transfer.
    """
    return FileRead.of(await files.get_readable(work, user_id=caller.user_id, file_id=file_id))


@router.delete(
    "/files/{file_id}",
    status_code=204,
    summary="Delete a file",
    responses=problems(Unauthenticated, NotFound),
)
async def delete_file(
    file_id: FileId,
    caller: Caller,
    work: WorkPart,
    parts: TheParts,
    everywhere: Annotated[  # noqa: FBT002 - a query parameter, not a call's
        bool, Query(description="Gone for everyone at once, wherever it was shared")
    ] = False,
) -> None:
    """It is none of mine any more, at once. Where I sent it, others still have it.

    As long as a message or a transfer holds it, it counts in my quota; then its bytes go. With
    `everywhere` they go now, also for a file that I had deleted before.
    """
    await files.delete(work, owner_id=caller.user_id, file_id=file_id, everywhere=everywhere)
    parts.sweeper.wake()


@router.get("/usage", summary="My quota", responses=problems(Unauthenticated))
async def get_usage(caller: Caller, work: WorkPart, parts: TheParts) -> UsageRead:
    """What is left is the quota less what is used and what is reserved."""
    return UsageRead.of(await quota.look(work, parts.limits, caller.user_id))
