"""`/internal/files`: what other services ask of files. The gateway never routes these."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query

from sharezync_shared.ids import UserId
from sharezync_shared.problems import Invalid, NotFound, Unauthenticated, problems
from sharezync_shared.tokens.dependencies import InternalCaller
from sharezync_storage.api.bodies import SmallBodyRoute
from sharezync_storage.api.dependencies import TheParts, WorkPart
from sharezync_storage.api.wire import FileList, FileRead, LinkCreate, LinkRead
from sharezync_storage.models import FileId
from sharezync_storage.usecases import files, links

router = APIRouter(prefix="/internal/files", tags=["internal"], route_class=SmallBodyRoute)

_MAX_IDS = 100


@router.get("", summary="Describe files", responses=problems(Unauthenticated, Invalid))
async def describe_files(
    _: InternalCaller,
    work: WorkPart,
    ids: Annotated[str, Query(max_length=4000, description="Comma-separated ids, at most 100")],
) -> FileList:
    """Unknown and deleted ones are left out."""
    try:
        wanted = [UUID(part) for part in ids.split(",") if part]
    except ValueError as error:
        raise Invalid("`ids` holds something that is not an id") from error
    if len(wanted) > _MAX_IDS:
        raise Invalid(f"At most {_MAX_IDS} ids at once")
    found = await files.describe(work, file_ids=wanted)
    return FileList(files=[FileRead.of(file) for file in found])


@router.post(
    "/{file_id}/urls",
    summary="Make a link to a file's content",
    responses=problems(Unauthenticated, NotFound),
)
async def make_link(
    file_id: FileId, body: LinkCreate, _: InternalCaller, work: WorkPart, parts: TheParts
) -> LinkRead:
    """For a user of whom the caller knows that they may read it, now."""
    link = await links.make(
        work,
        parts.store,
        parts.signer,
        file_id=file_id,
        user_id=UserId(body.user_id),
        expires_in_seconds=body.expires_in_seconds,
    )
    return LinkRead(url=link.url, expires_at=link.expires_at)
