"""Signed URLs of a file's content that hold for minutes, for whoever was given one."""

from dataclasses import dataclass
from datetime import UTC, datetime

import structlog

from sharezync_shared.asgi.content_headers import content_disposition, content_type
from sharezync_shared.ids import UserId
from sharezync_shared.media_types import INLINE
from sharezync_shared.work import UnitsOfWork
from sharezync_storage import access
from sharezync_storage.models import File, FileId
from sharezync_storage.signatures import Signer
from sharezync_storage.stores import BlobStore, DirectUploads
from sharezync_storage.usecases import files

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class IssuedUrl:
    """`url` is absolute, or a path at the gateway."""

    url: str
    expires_at: datetime


class Urls:
    """Makes signed URLs. They lead straight to the store where clients can reach it, else to us.

    Whoever holds one can read until it runs out; it can't be taken back, short of deleting the
    file.
    """

    def __init__(self, work: UnitsOfWork, store: BlobStore, signer: Signer) -> None:
        self._work = work
        self._store = store
        self._signer = signer

    async def make(self, *, file_id: FileId, user_id: UserId, expires_in_seconds: int) -> IssuedUrl:
        """Make one for the user, if they may read the file themselves. Raises NotFound."""
        async with self._work.read() as unit:
            file = await access.readable_file(unit, user_id, file_id)
        return await self._sign(file, user_id, expires_in_seconds)

    async def make_vouched_for(
        self, *, file_id: FileId, user_id: UserId, expires_in_seconds: int
    ) -> IssuedUrl:
        """Make one for a user for whom the caller vouches. Raises NotFound."""
        file = await files.get_vouched_for(self._work, file_id=file_id)
        return await self._sign(file, user_id, expires_in_seconds)

    async def _sign(self, file: File, user_id: UserId, expires_in_seconds: int) -> IssuedUrl:
        expires = int(self._work.now().timestamp()) + expires_in_seconds
        store, url = self._store, None
        if isinstance(store, DirectUploads) and store.reachable_by_clients:
            url = await store.link(
                file.store_key,
                expires_in_seconds=expires_in_seconds,
                content_type=content_type(file.mime),
                disposition=content_disposition(file.name, in_place=file.mime in INLINE),
            )
        log.info("url_created", file_id=str(file.id), user_id=str(user_id), direct=url is not None)
        return IssuedUrl(
            url or self._signer.path(file.id, expires), datetime.fromtimestamp(expires, UTC)
        )
