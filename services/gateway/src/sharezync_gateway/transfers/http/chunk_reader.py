"""The bytes of one file in order, as they are stored: from memory, or from storage."""

import asyncio
from typing import Final

import structlog

from sharezync_gateway.realtime.protocol import CHUNK_HEADER_BYTES
from sharezync_gateway.transfers.context import (
    AWAY_SECONDS,
    LOOK_SECONDS,
    PAUSED_SECONDS,
    TransferContext,
)
from sharezync_gateway.transfers.core.chunk_store import ChunkAbsent, StoreAway
from sharezync_gateway.transfers.core.chunks import Bytes, Place
from sharezync_gateway.transfers.core.notices import TransferListener
from sharezync_shared.calls.client import ServiceUnavailable
from sharezync_shared.contracts.transfer import FileShape
from sharezync_shared.problems import NotFound
from sharezync_shared.ranges import Ranges

log = structlog.get_logger()

_SOON: Final = 4
"""Chunks that are kept in memory for a reader who is about to get them."""


class ChunkReader(TransferListener):
    """What one reader knows of a file's chunks. Has no bytes itself."""

    def __init__(
        self, context: TransferContext, file: int, shape: FileShape, *, stored_bytes: int
    ) -> None:
        self._context = context
        self.file = file
        self.shape = shape
        whole = stored_bytes >= shape.size_bytes
        self._stored = Ranges.whole(shape.chunk_count) if whole else Ranges()
        self._at = 0
        self._wake = asyncio.Event()
        self._looks = 0
        self.gone = False
        """Whether storage knows nothing of the file any more."""
        self.changed = False
        """Whether the transfer may have ended, or is paused: to be found out at first."""

    def takers(self, place: Place) -> int:
        file, index = place
        return file == self.file and 0 <= index - self._at < _SOON

    def chunk_stored(self, place: Place) -> None:
        file, index = place
        if file == self.file:
            self._stored.add(index)
            self._looks = 0
            self._wake.set()

    def transfer_changed(self) -> None:
        self.changed = True
        self._wake.set()

    async def wait(self, index: int) -> None:
        """Wait until a chunk is stored, or `changed`."""
        self._at = index
        while not self.changed and index not in self._stored:
            self._wake.clear()
            pause_seconds = LOOK_SECONDS[min(self._looks, len(LOOK_SECONDS) - 1)]
            try:
                # The first look is at once: nobody announces what was stored before.
                async with asyncio.timeout(pause_seconds if self._looks else 0):
                    await self._wake.wait()
            except TimeoutError:
                await self._look()

    async def wait_for_change(self) -> None:
        """Wait until something about the transfer changes; now and then it is looked at anyway."""
        try:
            async with asyncio.timeout(PAUSED_SECONDS):
                while not self.changed:
                    self._wake.clear()
                    await self._wake.wait()
        except TimeoutError:
            pass
        self.changed = True

    async def get(self, index: int) -> Bytes | None:
        """Return a chunk; None if it can't be had now, and must be waited for."""
        frame = self._context.cache.pop((self.shape.upload_id, index))
        if frame is not None:
            return memoryview(frame)[CHUNK_HEADER_BYTES:]
        try:
            return (await self._context.store.get_chunk(self.shape.upload_id, index)).payload
        except ChunkAbsent:
            self._stored.remove(index)
            self._looks = max(self._looks, 1)
        except StoreAway as error:
            log.debug("chunk_not_fetched", error=str(error))
            await asyncio.sleep(AWAY_SECONDS)
        return None

    async def _look(self) -> None:
        self._looks += 1
        try:
            self._stored = self._stored | await self._context.calls.stored(self.shape.upload_id)
        except ServiceUnavailable:
            pass
        except NotFound:
            self.gone = self.changed = (
                True  # storage gave it up: something has happened to the transfer
            )
