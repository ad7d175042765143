"""`/internal/files`: files for other services. The gateway never routes these."""

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


@router.get("", summary="List files by id", responses=problems(Unauthenticated, Invalid))
async def list_files_by_id(
    _: InternalCaller,
    work: WorkPart,
    ids: Annotated[Parsed, Query(max_length=4000, description="Comma-separated ids, at most 100")],
    owner_id: Annotated[UUID | None, Query(description="Only files of this user")] = None,
) -> FileList:
    """Unknown and deleted files are left out. The others are kept for at least an hour. Pass
    `owner_id` when acting for a user, so that they can't refer to files of others.
    """
    try:
        wanted = [UUID(part) for part in ids.split(",") if part]
    except ValueError as error:
        raise Invalid("`ids` must be a comma-separated list of UUIDs") from error
    if len(wanted) > _MAX_IDS:
        raise Invalid(f"At most {_MAX_IDS} ids at once")
    found = await files.describe(
        work, file_ids=wanted, owner_id=None if owner_id is None else UserId(owner_id)
    )
    return FileList(files=[FileRead.of(file) for file in found])


@router.post(
    "/{file_id}/urls",
    summary="Create a signed download URL for a user",
    responses=problems(Unauthenticated, NotFound),
)
async def create_download_url_for_user(
    file_id: FileId, body: UrlCreateFor, _: InternalCaller, parts: TheParts
) -> UrlRead:
    """The calling service must have checked that the user may read the file now."""
    url = await parts.urls.make_vouched_for(
        file_id=file_id,
        user_id=UserId(body.user_id),
        expires_in_seconds=body.expires_in_seconds,
    )
    return UrlRead.of(url)


@router.put(
    "/{file_id}/grants/{user_id}",
    status_code=204,
    summary="Grant a user access to a file",
    responses=problems(Unauthenticated, NotFound),
)
async def grant_file_access(
    file_id: FileId, user_id: UUID, _: InternalCaller, work: WorkPart
) -> None:
    """Lets the user read and download the file until the grant is revoked. Idempotent."""
    await grants.give(work, file_id=file_id, user_id=UserId(user_id))


@router.delete(
    "/{file_id}/grants/{user_id}",
    status_code=204,
    summary="Revoke the access of a user to a file",
    responses=problems(Unauthenticated),
)
async def revoke_file_access(
    file_id: FileId, user_id: UUID, _: InternalCaller, work: WorkPart
) -> None:
    """Revokes a grant. Idempotent."""
    await grants.take_back(work, file_id=file_id, user_id=UserId(user_id))
