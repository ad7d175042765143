"""Links to a file's content that hold for minutes, for whoever was given one."""

from dataclasses import dataclass
from datetime import UTC, datetime

import structlog

from sharezync_shared.db.work import Work
from sharezync_shared.ids import UserId
from sharezync_storage.models import FileId
from sharezync_storage.serving import content_disposition, content_type
from sharezync_storage.signatures import Signer
from sharezync_storage.stores import BlobStore
from sharezync_storage.usecases import files

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Link:
    """`url` is absolute, or a path at the gateway."""

    url: str
    expires_at: datetime


async def make(
    work: Work,
    store: BlobStore,
    signer: Signer,
    *,
    file_id: FileId,
    user_id: UserId,
    expires_in_seconds: int,
) -> Link:
    """Make a link to the content of a file for `user_id`, for whom the caller vouches.

    It leads straight to the store where clients can reach that, else to ourselves. Whoever holds
    it can read until it runs out; it can't be taken back, short of deleting the file. Raises
    NotFound.
    """
    file = await files.get_vouched_for(work, file_id=file_id)
    expires = int(work.now().timestamp()) + expires_in_seconds
    url = await store.link(
        file.store_key,
        expires_in_seconds=expires_in_seconds,
        content_type=content_type(file.mime),
        disposition=content_disposition(file.name, file.mime),
    )
    log.info("link_made", file_id=str(file_id), user_id=str(user_id), direct=url is not None)
    return Link(url or signer.path(file_id, expires), datetime.fromtimestamp(expires, UTC))
