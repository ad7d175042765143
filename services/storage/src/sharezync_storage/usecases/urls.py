"""Signed URLs of a file's content that hold for minutes, for whoever was given one.

They lead straight to the store where clients can reach it, else to us. Whoever holds one can read
until it runs out; it can't be taken back, short of deleting the file.
"""

from datetime import UTC, datetime

import structlog

from sharezync_shared.asgi.content_headers import content_disposition, content_type
from sharezync_shared.contracts.storage import SignedUrl
from sharezync_shared.ids import UserId
from sharezync_shared.media_types import INLINE
from sharezync_storage.models import File, FileId
from sharezync_storage.stores.port import DirectUploads
from sharezync_storage.usecases import files
from sharezync_storage.usecases.context import StorageContext

log = structlog.get_logger()


async def make(
    context: StorageContext, *, file_id: FileId, user_id: UserId, expires_in_seconds: int
) -> SignedUrl:
    """Make one for the user, if they may read the file themselves. Raises NotFound."""
    file = await files.get_readable(context.work, context.auth, user_id=user_id, file_id=file_id)
    return await _sign(context, file, user_id, expires_in_seconds)


async def make_vouched_for(
    context: StorageContext, *, file_id: FileId, user_id: UserId, expires_in_seconds: int
) -> SignedUrl:
    """Make one for a user for whom the caller vouches. Raises NotFound."""
    file = await files.get_vouched_for(context.work, file_id=file_id)
    return await _sign(context, file, user_id, expires_in_seconds)


async def _sign(
    context: StorageContext, file: File, user_id: UserId, expires_in_seconds: int
) -> SignedUrl:
    expires = int(context.work.now().timestamp()) + expires_in_seconds
    store, url = context.store, None
    if isinstance(store, DirectUploads) and store.reachable_by_clients:
        url = await store.link(
            file.store_key,
            expires_in_seconds=expires_in_seconds,
            content_type=content_type(file.mime),
            disposition=content_disposition(file.name, in_place=file.mime in INLINE),
        )
    log.info("url_created", file_id=str(file.id), user_id=str(user_id), direct=url is not None)
    return SignedUrl(
        url or context.signer.path(file.id, expires), datetime.fromtimestamp(expires, UTC)
    )
