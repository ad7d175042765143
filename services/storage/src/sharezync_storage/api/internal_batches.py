"""`/internal/uploads`: all uploads of a transfer at once. The gateway never routes these.

What each costs grows with its uploads by rows alone: calls and statements are as many for one.
"""

from typing import Annotated, Any, ClassVar, Final
from uuid import UUID

from fastapi import APIRouter
from pydantic import BaseModel, Field

from sharezync_shared.ids import UserId
from sharezync_shared.problems import (
    Invalid,
    Problem,
    Unauthenticated,
    problems,
    refusal_document,
)
from sharezync_shared.tokens.dependencies import InternalCaller
from sharezync_storage.api.bodies import SmallBodyRoute
from sharezync_storage.api.dependencies import TheParts, WorkPart
from sharezync_storage.api.wire import (
    ChunkSize,
    FileComing,
    UploadCreated,
    UploadFinished,
    UploadRead,
)
from sharezync_storage.models import UploadId
from sharezync_storage.problems import (
    FileTooLarge,
    QuotaExceeded,
    StoreFull,
    StoreUnavailable,
    TooManyFiles,
    TooManyUploads,
)
from sharezync_storage.settings import MIB
from sharezync_storage.usecases import uploads

MOST_UPLOADS: Final = 1000
"""As many as a transfer has files."""


class _BatchRoute(SmallBodyRoute):
    """Takes what transfer makes of the largest offer, of 1 MiB."""

    max_body_bytes: ClassVar[int] = 2 * MIB


router = APIRouter(prefix="/internal/uploads", tags=["internal"], route_class=_BatchRoute)


class UploadsCreate(BaseModel):
    """Files that are going to come, whose they will be, and how they are cut."""

    owner_id: UUID
    chunk_size_bytes: ChunkSize
    files: list[FileComing] = Field(
        min_length=1, max_length=MOST_UPLOADS, description="Files to upload"
    )


class UploadsCreated(BaseModel):
    """An upload for each file, in their order."""

    uploads: list[UploadCreated] = Field(description="New uploads, in the order of the files")


class UploadIds(BaseModel):
    """Which uploads are meant."""

    ids: Annotated[
        list[UploadId],
        Field(min_length=1, max_length=MOST_UPLOADS, description="Ids of the uploads"),
    ]


class UploadsRead(BaseModel):
    """How far uploads are; those that are gone are left out."""

    uploads: list[UploadRead] = Field(description="Uploads that exist, in no order")


class FinishResult(BaseModel):
    """`finished` on success, else `problem`."""

    finished: UploadFinished | None = Field(None, description="The file, if it was completed")
    problem: dict[str, Any] | None = Field(
        None, description="Problem document, as the route for one upload answers"
    )


class FinishResults(BaseModel):
    """One result for each upload, in the order of the ids."""

    results: list[FinishResult] = Field(description="Results, in the order of the ids")


@router.post(
    "/begin",
    status_code=201,
    summary="Create chunked uploads",
    responses=problems(
        Unauthenticated, Invalid, FileTooLarge, QuotaExceeded, TooManyFiles, TooManyUploads,
        StoreFull, StoreUnavailable,
    ),
)  # fmt: skip
async def create_chunked_uploads(
    body: UploadsCreate, _: InternalCaller, work: WorkPart, parts: TheParts
) -> UploadsCreated:
    """Creates an upload for each file, or none. The sizes are reserved in the owner's quota."""
    begun = await uploads.begin(
        work,
        parts.store,
        parts.limits,
        owner_id=UserId(body.owner_id),
        coming=[file.coming() for file in body.files],
        chunk_size_bytes=body.chunk_size_bytes,
        lifetime=parts.upload_lifetime,
    )
    return UploadsCreated(uploads=[UploadCreated.of(each) for each in begun])


@router.post(
    "/status", summary="List chunked uploads", responses=problems(Unauthenticated, Invalid)
)
async def list_chunked_uploads(body: UploadIds, _: InternalCaller, work: WorkPart) -> UploadsRead:
    """Returns the recorded state of uploads, in no order. Nothing is read or hashed again."""
    found = await uploads.status_of_each(work, upload_ids=body.ids)
    return UploadsRead(uploads=[UploadRead.of(status) for status in found])


@router.post(
    "/finish", summary="Complete chunked uploads", responses=problems(Unauthenticated, Invalid)
)
async def complete_chunked_uploads(
    body: UploadIds, _: InternalCaller, parts: TheParts
) -> FinishResults:
    """Completes each upload, as the route for one does. An upload that is refused does not affect
    the others. Uploads that take longer are completed in the background: their problem is
    `upload-finishing`, with `retry_after_seconds`.
    """
    results = []
    for outcome in await parts.finishing.finish_each(body.ids):
        if isinstance(outcome, Problem):
            results.append(FinishResult(problem=refusal_document(outcome)))
        elif isinstance(outcome, Exception):
            raise outcome
        else:
            results.append(FinishResult(finished=UploadFinished.of(outcome)))
    return FinishResults(results=results)


@router.post(
    "/abort",
    status_code=204,
    summary="Cancel chunked uploads",
    responses=problems(Unauthenticated, Invalid),
)
async def cancel_chunked_uploads(
    body: UploadIds, _: InternalCaller, work: WorkPart, parts: TheParts
) -> None:
    """Deletes uploads, and the files of those that were completed. Idempotent."""
    await uploads.abort(work, upload_ids=body.ids)
    parts.sweeper.wake()
