"""Files for other services. The gateway never routes these."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends

from sharezync_shared.calls.serving import ids_of, serve
from sharezync_shared.contracts import storage
from sharezync_shared.ids import UserId
from sharezync_shared.problems import Invalid
from sharezync_storage.api.bodies import SmallBodyRoute
from sharezync_storage.api.dependencies import Context
from sharezync_storage.models import FileId
from sharezync_storage.schemas.files import FileRead
from sharezync_storage.usecases import files

router = APIRouter(tags=["internal"], route_class=SmallBodyRoute)


@serve(router, storage.DESCRIBE_FILES, Invalid, summary="List files by id")
async def list_files_by_id(
    asked: Annotated[storage.FilesAsked, Depends()], context: Context
) -> storage.FileList:
    """Unknown and deleted files are left out. The others are kept for at least an hour. Pass
    `owner_id` when acting for a user, so that they can't refer to files of others.
    """
    found = await files.describe(
        context.work,
        file_ids=ids_of(asked.ids, storage.MAX_FILES),
        owner_id=None if asked.owner_id is None else UserId(asked.owner_id),
    )
    return storage.FileList(
        [storage.FileDescription(**FileRead.from_file(file).model_dump()) for file in found]
    )


@serve(router, storage.MAKE_URL, summary="Create a signed download URL for a user")
async def create_download_url_for_user(
    file_id: FileId, body: storage.UrlCreateFor, context: Context
) -> storage.SignedUrl:
    """The calling service must have checked that the user may read the file now."""
    url = await context.urls.make_vouched_for(
        file_id=file_id,
        user_id=UserId(body.user_id),
        expires_in_seconds=body.expires_in_seconds,
    )
    return storage.SignedUrl(url.url, url.expires_at)


@serve(router, storage.GIVE_GRANT, summary="Grant a user access to a file")
async def grant_file_access(file_id: FileId, user_id: UUID, context: Context) -> None:
    """Lets the user read and download the file until the grant is revoked. Idempotent."""
    await files.give_grant(context.work, file_id=file_id, user_id=UserId(user_id))


@serve(router, storage.TAKE_GRANT_BACK, summary="Revoke the access of a user to a file")
async def revoke_file_access(file_id: FileId, user_id: UUID, context: Context) -> None:
    """Revokes a grant. Idempotent."""
    await files.take_grant_back(context.work, file_id=file_id, user_id=UserId(user_id))
