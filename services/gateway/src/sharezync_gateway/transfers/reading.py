"""The bytes of one file in order, as they are stored: from memory, or from storage."""

import asyncio
from typing import Final

import structlog

from sharezync_gateway.realtime.protocol import CHUNK_HEADER_BYTES
from sharezync_gateway.realtime.transfer.chunk_store import ChunkAbsent, StoreAway
from sharezync_gateway.realtime.transfer.chunks import Bytes
from sharezync_gateway.realtime.transfer.context import TransferContext
from sharezync_shared.calls.client import ServiceUnavailable
from sharezync_shared.contracts.transfer import FileShape
from sharezync_shared.problems import NotFound
from sharezync_shared.ranges import Ranges

log = structlog.get_logger()

_LOOK_SECONDS: Final = (0.25, 1.0, 2.0, 5.0, 10.0)
"""Pauses between looks at storage's record while nothing is announced: a notice may be lost."""
REST_SECONDS: Final = 30.0
"""How often a transfer that rests is looked at, should the notice of its going on be lost."""
_SOON: Final = 4
"""Chunks that are kept in memory for a reader who is about to get them."""
_AWAY_SECONDS: Final = 1.0


class ChunkReader:
    """What one reader knows of a file's chunks. A `Follower`; holds no bytes itself."""

    def __init__(
        self, commons: TransferContext, file: int, shape: FileShape, *, stored_bytes: int
    ) -> None:
        self._commons = commons
        self.file = file
        self.shape = shape
        whole = stored_bytes >= shape.size_bytes
        self._stored = Ranges.whole(shape.chunk_count) if whole else Ranges()
        self._at = 0
        self._wake = asyncio.Event()
        self._looks = 0
        self.gone = False
        """Whether storage knows nothing of the file any more."""
        self.doubt = False
        """Whether the transfer may have ended, or rests: to be found out before anything else."""

    def takes_fresh(self, file: int, index: int) -> bool:
        """Whether a chunk that is stored now will be sent soon."""
        return file == self.file and 0 <= index - self._at < _SOON

    def announce(self, file: int, index: int) -> None:
        """A chunk is stored."""
        if file == self.file:
            self._stored.add(index)
            self._looks = 0
            self._wake.set()

    def changed(self) -> None:
        """The transfer is not as it was."""
        self.doubt = True
        self._wake.set()

    async def wait(self, index: int) -> None:
        """Wait until a chunk is stored, or there is a doubt."""
        self._at = index
        while not self.doubt and index not in self._stored:
            self._wake.clear()
            pause_seconds = _LOOK_SECONDS[min(self._looks, len(_LOOK_SECONDS) - 1)]
            try:
                # The first look is at once: what was stored before we came, nobody tells us.
                async with asyncio.timeout(pause_seconds if self._looks else 0):
                    await self._wake.wait()
            except TimeoutError:
                await self._look()

    async def rest(self) -> None:
        """Wait until something about the transfer changes; now and then it is looked at anyway."""
        try:
            async with asyncio.timeout(REST_SECONDS):
                while not self.doubt:
                    self._wake.clear()
                    await self._wake.wait()
        except TimeoutError:
            pass
        self.doubt = True

    async def get(self, index: int) -> Bytes | None:
        """Return a chunk; None if it can't be had now, and must be waited for."""
        frame = self._commons.fresh.pop((self.shape.upload_id, index))
        if frame is not None:
            return memoryview(frame)[CHUNK_HEADER_BYTES:]
        try:
            return (await self._commons.store.get_chunk(self.shape.upload_id, index)).payload
        except ChunkAbsent:
            self._stored.remove(index)
            self._looks = max(self._looks, 1)
        except StoreAway as error:
            log.debug("chunk_not_fetched", error=str(error))
            await asyncio.sleep(_AWAY_SECONDS)
        return None

    async def _look(self) -> None:
        self._looks += 1
        try:
            self._stored = self._stored | await self._commons.calls.stored(self.shape.upload_id)
        except ServiceUnavailable:
            pass
        except NotFound:
            self.gone = self.doubt = (
                True  # storage gave it up: something has happened to the transfer
            )
