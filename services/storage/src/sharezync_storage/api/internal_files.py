"""`/internal/files`: what other services ask of files. The gateway never routes these."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query

from sharezync_shared.ids import UserId
from sharezync_shared.names.policies import Parsed
from sharezync_shared.problems import Invalid, NotFound, Unauthenticated, problems
from sharezync_shared.tokens.dependencies import InternalCaller
from sharezync_storage.api.bodies import SmallBodyRoute
from sharezync_storage.api.dependencies import TheParts, WorkPart
from sharezync_storage.api.link_wire import UrlCreateFor, UrlRead
from sharezync_storage.api.wire import FileList, FileRead
from sharezync_storage.models import FileId
from sharezync_storage.usecases import files, grants

router = APIRouter(prefix="/internal/files", tags=["internal"], route_class=SmallBodyRoute)

_MAX_IDS = 100


@router.get("", summary="Describe files", responses=problems(Unauthenticated, Invalid))
async def describe_files(
    _: InternalCaller,
    work: WorkPart,
    ids: Annotated[Parsed, Query(max_length=4000, description="Comma-separated ids, at most 100")],
    owner_id: Annotated[UUID | None, Query(description="Only files of this user")] = None,
) -> FileList:
    """Unknown and deleted ones are left out. Those that are told of are held for an hour: who asks
    on behalf of somebody names them, so that nobody holds what is another's.
    """
    try:
        wanted = [UUID(part) for part in ids.split(",") if part]
    except ValueError as error:
        raise Invalid("`ids` holds something that is not an id") from error
    if len(wanted) > _MAX_IDS:
        raise Invalid(f"At most {_MAX_IDS} ids at once")
    found = await files.describe(
        work, file_ids=wanted, owner_id=None if owner_id is None else UserId(owner_id)
    )
    return FileList(files=[FileRead.of(file) for file in found])


@router.post(
    "/{file_id}/urls",
    summary="Make a signed URL to a file's content",
    responses=problems(Unauthenticated, NotFound),
)
async def make_url_for(
    file_id: FileId, body: UrlCreateFor, _: InternalCaller, parts: TheParts
) -> UrlRead:
    """For a user of whom the caller knows that they may read it, now."""
    url = await parts.urls.make_vouched_for(
        file_id=file_id,
        user_id=UserId(body.user_id),
        expires_in_seconds=body.expires_in_seconds,
    )
    return UrlRead.of(url)


@router.put(
    "/{file_id}/grants/{user_id}",
    status_code=204,
    summary="Let somebody read a file",
    responses=problems(Unauthenticated, NotFound),
)
async def give_grant(file_id: FileId, user_id: UUID, _: InternalCaller, work: WorkPart) -> None:
    """They may look at it and download it, until that is taken back; nothing more. Idempotent."""
    await grants.give(work, file_id=file_id, user_id=UserId(user_id))


@router.delete(
    "/{file_id}/grants/{user_id}",
    status_code=204,
    summary="Let somebody read a file no more",
    responses=problems(Unauthenticated),
)
async def take_grant_back(
    file_id: FileId, user_id: UUID, _: InternalCaller, work: WorkPart
) -> None:
    """Idempotent."""
    await grants.take_back(work, file_id=file_id, user_id=UserId(user_id))
