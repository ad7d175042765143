"""What one request brings to an upload: counted, hashed, room kept for it, and put on record."""

import hmac
from collections.abc import AsyncGenerator, AsyncIterable

from sharezync_storage.errors import ChecksumMismatch, UploadLengthConflict
from sharezync_storage.models import Upload
from sharezync_storage.states import TAKES_BYTES, Act, after
from sharezync_storage.stores.port import Extent
from sharezync_storage.usecases import quota
from sharezync_storage.usecases.checksums import Checksum, Digests
from sharezync_storage.usecases.context import StorageContext
from sharezync_storage.usecases.writers import Preempted


class AppendReceiver:
    """One request's bytes, from `start` on. `upload` is kept as the record says it is."""

    def __init__(
        self,
        context: StorageContext,
        upload: Upload,
        epoch: int,
        start: Extent,
        checksum: Checksum | None,
    ) -> None:
        self.upload = upload
        self.epoch = epoch
        self.start = start
        self._context = context
        self._recorded = start
        self._reserved_bytes = upload.reserved_bytes
        self._checksum = checksum
        self._sum = checksum.start() if checksum else None
        self._verified = checksum is None
        self._whole = context.wholes.begin(upload.id, epoch=epoch, offset=start.size_bytes)
        # Bytes that turn out wrong must not be part of the whole.
        self._before = self._whole.copy() if self._whole and checksum else None
        self._digests = Digests(*(one for one in (self._whole, self._sum) if one is not None))

    async def metered(self, pieces: AsyncIterable[bytes]) -> AsyncGenerator[bytes]:
        """Pass `pieces` on as far as there may be so many; all of them hashed.

        Raises UploadLengthConflict before a piece that goes past the end, FileTooLarge and
        QuotaExceeded where the length isn't known, ChecksumMismatch after the last one, and
        Preempted.
        """
        async for piece in pieces:
            end = self.start.size_bytes + self._digests.seen_bytes + len(piece)
            size = self.upload.size_bytes
            if size is None:
                quota.check_size(self._context.settings, end)
                if end > self._reserved_bytes:
                    await self._reserve(end)
            elif end > size:
                raise UploadLengthConflict(f"The upload has only {size} bytes")
            await self._digests.feed(piece)
            yield piece
        if self._checksum is not None and self._sum is not None:
            await self._digests.settle()
            if not hmac.compare_digest(self._sum.digest(), self._checksum.digest):
                raise ChecksumMismatch
            self._verified = True

    async def kept(self, extent: Extent) -> bool:
        """Record what is durable, where it counts already. Raises Preempted.

        With its last byte the upload is closed, in the same transaction.
        """
        if not self._verified:
            return False
        act = self._act(extent)
        if extent == self._recorded and act == "write":
            return True
        if self.upload.state not in TAKES_BYTES:
            return True  # all of it is on record
        known = set(self._recorded.segments)
        state = after(self.upload.state, act)
        if state is None:
            raise Preempted
        sha256 = None
        if act != "write" and self._whole is not None:
            await self._digests.settle()
            sha256 = self._whole.digest()
        expires_at = await self._context.writers.leases.record(
            self.upload.id,
            self.epoch,
            state=state,
            extent=extent,
            changed=[segment for segment in extent.segments if segment not in known],
            sha256=sha256,
        )
        self._recorded = extent
        self.upload.state, self.upload.stored_bytes = state, extent.size_bytes
        self.upload.expires_at, self.upload.sha256 = expires_at, sha256
        return True

    async def aclose(self) -> None:
        """Remember the digest of the whole for the next request, where it is of what counts."""
        await self._digests.settle()
        if self.upload.state not in TAKES_BYTES or self._whole is None:
            return
        recorded = self._recorded.size_bytes
        if self.start.size_bytes + self._digests.seen_bytes == recorded:
            whole = self._whole
        elif self._before is not None and recorded == self.start.size_bytes:
            whole = self._before
        else:
            return
        self._context.wholes.keep(
            self.upload.id, epoch=self.epoch, size_bytes=recorded, whole=whole
        )

    def _act(self, extent: Extent) -> Act:
        if extent.size_bytes != self.upload.size_bytes:
            return "write"
        return "verify" if self.upload.tus_concat is None else "hold"

    async def _reserve(self, size_bytes: int) -> None:
        async with self._context.work.begin() as unit:
            upload = await unit.get(Upload, self.upload.id, lock=True)
            if upload is None or upload.epoch != self.epoch or upload.state not in TAKES_BYTES:
                raise Preempted
            await quota.reserve_up_to(unit, self._context.settings, upload, size_bytes)
            self._reserved_bytes = upload.reserved_bytes
