"""Those who write to uploads from this process, as they see each other."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Generator
from contextlib import asynccontextmanager, contextmanager
from typing import Final
from uuid import UUID

import structlog

from sharezync_storage.models import Upload
from sharezync_storage.problems import UploadBusy
from sharezync_storage.usecases.leasing import Leases, Preempted

log = structlog.get_logger()

STALL_SECONDS: Final = 0.5
"""Without a byte for so long, a writer has stalled: who comes now may take over."""
_RENEW_SECONDS: Final = 1.0
_STOP_SECONDS: Final = 5.0
"""How long a writer may take to put down what came."""


def busy() -> UploadBusy:
    """Return the refusal of one who comes while another is writing."""
    return UploadBusy(headers={"Retry-After": "1"})


class Writer:
    """One request of this process that writes, as others in this process see it."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._waiting_since: float | None = None
        self._waiting: asyncio.Timeout | None = None
        self._stopped = False
        self.ending = False
        """No more is expected; what came is being put down."""
        self.ended: asyncio.Future[None] = self._loop.create_future()

    @property
    def stalled(self) -> bool:
        """Whether it has waited for its client for too long. One that waits for us has not."""
        since = self._waiting_since
        return since is not None and self._loop.time() - since >= STALL_SECONDS

    def stop(self) -> None:
        """Have it take no more, and put down what came. Its `ended` tells when it has."""
        self._stopped = True
        if self._waiting is not None:
            self._waiting.reschedule(self._loop.time())

    async def taken(self, pieces: AsyncIterable[bytes]) -> AsyncGenerator[bytes]:
        """Pass `pieces` on until it is stopped. Raises Preempted then."""
        source = aiter(pieces)
        try:
            while (piece := await self._next(source)) is not None:
                yield piece
        finally:
            self.ending = True

    async def _next(self, source: AsyncIterator[bytes]) -> bytes | None:
        if self._stopped:
            raise Preempted
        self._waiting_since = self._loop.time()
        try:
            async with asyncio.timeout(None) as self._waiting:
                return await anext(source, None)
        except TimeoutError as error:
            if self._stopped:
                raise Preempted from error
            raise
        finally:
            self._waiting = self._waiting_since = None


class Writers:
    """One writer for each upload; and what becomes of it when another one comes."""

    def __init__(self, leases: Leases) -> None:
        self._leases = leases
        self._writers: dict[UUID, Writer] = {}

    def writes(self, upload_id: UUID) -> bool:
        """Whether somebody of this process writes to an upload."""
        return upload_id in self._writers

    async def preempt_stalled(self, upload: Upload) -> bool:
        """Have whoever writes to an upload and has stalled end; False where one goes on.

        One of another process can record nothing any more when this returns, and what one of this
        process has got is on record.
        """
        writer = self._writers.get(upload.id)
        if writer is not None:
            if not (writer.ending or writer.stalled):
                return False
            return await _stop(writer)
        if upload.leased_until is not None:
            return await self._leases.end_elsewhere(upload.id)
        return True

    async def stop(self, upload_id: UUID) -> None:
        """Have the writer of this process end, if there is one, stalled or not."""
        writer = self._writers.get(upload_id)
        if writer is not None:
            await _stop(writer)

    @contextmanager
    def one(self, upload_id: UUID) -> Generator[Writer]:
        """Be the one writer of this process while the block runs. Raises UploadBusy."""
        if upload_id in self._writers:
            raise busy()
        writer = self._writers[upload_id] = Writer()
        try:
            yield writer
        finally:
            del self._writers[upload_id]
            writer.ended.set_result(None)

    @asynccontextmanager
    async def leased(self, writer: Writer, upload_id: UUID, epoch: int) -> AsyncGenerator[None]:
        """Hold the lease while the block runs and bytes come."""
        keeper = asyncio.create_task(self._keep(writer, upload_id, epoch))
        try:
            yield
        finally:
            keeper.cancel()

    async def _keep(self, writer: Writer, upload_id: UUID, epoch: int) -> None:
        while True:
            await asyncio.sleep(_RENEW_SECONDS)
            if writer.stalled:
                continue
            try:
                if not await self._leases.renew(upload_id, epoch):
                    writer.stop()
            except Exception as error:  # noqa: BLE001 - the rim: the next time may go better
                log.warning("lease_not_renewed", upload_id=str(upload_id), error=repr(error))


async def _stop(writer: Writer) -> bool:
    """Have a writer end; False where it takes too long."""
    writer.stop()
    done, _ = await asyncio.wait([writer.ended], timeout=_STOP_SECONDS)
    return bool(done)
