"""`/v1/files` and `/v1/usage`: the files of the caller."""

from contextlib import aclosing
from typing import Annotated, Any, Final

from fastapi import APIRouter, Header, Query, Request, Response

from sharezync_shared.contracts import storage
from sharezync_shared.names.policies import KEY
from sharezync_shared.pages import Page, page_of
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
from sharezync_storage.api.bodies import body_of
from sharezync_storage.api.dependencies import Context
from sharezync_storage.api.forms import FIELD, FileForm
from sharezync_storage.models import FileId
from sharezync_storage.schemas import FileRead, UsageRead
from sharezync_storage.usecases import files, form_uploads, quota

router = APIRouter(prefix="/v1", tags=["files"])

_FORM: Final[dict[str, Any]] = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "description": "A form with one file",
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
    summary="Upload a file",
    responses=problems(
        Unauthenticated, errors.NotAForm, errors.FormInvalid, errors.BodyBroken,
        errors.BodyTooSlow, storage.FileTooLarge, storage.QuotaExceeded, storage.TooManyFiles,
        storage.TooManyUploads, errors.UploadBusy, errors.UploadGone, Conflict, errors.StoreFull,
        errors.StoreUnavailable, Unavailable,
    ),
    openapi_extra=_FORM,
)  # fmt: skip
async def upload_file(
    request: Request,
    response: Response,
    caller: Caller,
    context: Context,
    idempotency_key: Annotated[
        Annotated[str, KEY] | None,
        Header(
            description="Unique key of your choice for each file: repeating the request with the "
            "same key returns the first file, and nothing is stored twice",
        ),
    ] = None,
) -> FileRead:
    """Send a form with one file in the field `file`.

    The file is streamed to the store and hashed. An incomplete request stores nothing. For large
    files and unreliable connections, use resumable uploads.
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
            file = await form_uploads.receive(
                context,
                owner_id=caller.user_id,
                name=form.name,
                mime=form.mime,
                pieces=form.pieces(),
                expected_bytes=form.expected_bytes,
                idempotency_key=idempotency_key,
            )
        except BaseException:
            context.sweeper.wake()
            raise
    context.metrics.form_bytes.inc(file.size_bytes)
    response.headers["Location"] = f"/v1/files/{file.id}"
    return FileRead.model_validate(file)


@router.get("/files", summary="List your files", responses=problems(Unauthenticated, Invalid))
async def list_files(
    caller: Caller,
    context: Context,
    cursor: Annotated[FileId | None, Query(description="`next` of the previous page")] = None,
    limit: Annotated[int, Query(ge=1, le=200, description="Maximum number of items")] = 50,
) -> Page[FileRead]:
    """Returns your files, newest first, from uploads as well as transfers."""
    found = await files.page(context.work, owner_id=caller.user_id, after=cursor, limit=limit + 1)
    return page_of([FileRead.model_validate(file) for file in found], limit, lambda file: file.id)


@router.get("/files/{file_id}", summary="Get a file", responses=problems(Unauthenticated, NotFound))
async def get_file(file_id: FileId, caller: Caller, context: Context) -> FileRead:
    """Returns metadata of a file that you own or may read, and of users' avatars.

    Other files are available where they were shared: in a message or a transfer.
    """
    return FileRead.model_validate(
        await files.get_readable(
            context.work, context.auth, user_id=caller.user_id, file_id=file_id
        )
    )


@router.delete(
    "/files/{file_id}",
    status_code=204,
    summary="Delete a file",
    responses=problems(Unauthenticated, NotFound),
)
async def delete_file(
    file_id: FileId,
    caller: Caller,
    context: Context,
    everywhere: Annotated[  # noqa: FBT002 - a query parameter, not a call's
        bool, Query(description="Delete it for everyone, wherever it was shared")
    ] = False,
) -> None:
    """Removes a file from your files. It stays available where you have shared it.

    While a message or a transfer refers to it, it counts toward your quota; afterwards its
    content is deleted. With `everywhere` the content is deleted at once, even if you deleted the
    file before.
    """
    await files.delete(
        context.work, owner_id=caller.user_id, file_id=file_id, everywhere=everywhere
    )
    context.sweeper.wake()


@router.get("/usage", summary="Get your storage usage", responses=problems(Unauthenticated))
async def get_usage(caller: Caller, context: Context) -> UsageRead:
    """Returns your quota, and how much of it is used and reserved."""
    usage = await quota.look(context.work, caller.user_id)
    return UsageRead(
        quota_bytes=context.settings.quota_bytes,
        used_bytes=usage.used_bytes,
        reserved_bytes=usage.reserved_bytes,
    )
