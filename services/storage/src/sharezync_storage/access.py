"""The only doors to rows on behalf of somebody. What one may not see does not exist: 404."""

from uuid import UUID

from sharezync_shared.db.work import Unit
from sharezync_shared.ids import UserId
from sharezync_shared.problems import NotFound
from sharezync_storage.models import File, FileId, Upload, UploadId


async def own_file(unit: Unit, user_id: UserId, file_id: FileId, *, lock: bool = False) -> File:
    """Return a file of the user's own; with `lock`, held until the commit."""
    file = await file_vouched_for(unit, file_id, lock=lock)
    if file.owner_id != user_id:
        raise NotFound
    return file


async def file_vouched_for(unit: Unit, file_id: FileId, *, lock: bool = False) -> File:
    """Return a file for a reader that somebody else vouches for: a signature, or a service."""
    file = await unit.get(File, file_id, lock=lock)
    if file is None or file.deleted_at is not None:
        raise NotFound
    return file


async def upload_in_chunks(unit: Unit, upload_id: UploadId | UUID, *, lock: bool = False) -> Upload:
    """Return an upload that comes in chunks, for a service of ours."""
    upload = await unit.get(Upload, upload_id, lock=lock)
    if upload is None or upload.door != "chunks":
        raise NotFound
    return upload
