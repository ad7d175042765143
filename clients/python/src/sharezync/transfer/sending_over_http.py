"""Sending through the doors of a transfer: each chunk a request, several at a time."""

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from sharezync.documents import Transfer
from sharezync.problems import Corrupt, Problem, SharezyncError
from sharezync.transfer.chunks import Place, chunk_length
from sharezync.transfer.listing import Outgoing
from sharezync.transfer.progress import OnProgress, Progress, Rate
from sharezync.transfer.ranges import Ranges
from sharezync.transfer.sending import read_exactly
from sharezync.transfer.transfer_http import TransferHttp

if TYPE_CHECKING:
    from sharezync.session import Session

AT_A_TIME: Final = 4
"""Chunks on their way, and in memory."""
_CORRUPT_TIMES: Final = 5
_LOOK_SECONDS: Final = 1.0


class HttpSender:
    """Sends what is missing of a transfer that was offered, until the server has all of it."""

    def __init__(
        self,
        session: "Session",
        doors: TransferHttp,
        progress: Progress,
        files: Sequence[Outgoing],
        on_progress: OnProgress,
    ) -> None:
        self._session = session
        self._doors = doors
        self._files = files
        self._chunk_size = progress.transfer.chunk_size_bytes
        self._on_progress = on_progress
        self._rate = Rate()
        self.progress = progress

    async def send(self) -> None:
        """Have everything stored and verified by the server.

        Raises TransferEnded, Problem (`digest-mismatch` …), FileChanged, Corrupt, Unreachable.
        """
        looking = asyncio.create_task(self._look_now_and_then(), name="look-at-transfer")
        try:
            while True:
                await self._put_all(await self._doors.missing())
                try:
                    self.progress.learn(await self._doors.complete())
                except Problem as problem:
                    if problem.code != "upload-incomplete":
                        raise
                else:
                    self._on_progress(self.progress)
                    return
        finally:
            looking.cancel()
            await asyncio.gather(looking, return_exceptions=True)

    async def _put_all(self, missing: Mapping[int, Ranges]) -> None:
        left = sum(self._length(place) for place in _places(missing))
        self.progress.stored_bytes = self.progress.size_bytes - left
        self._rate = Rate()
        self._rate.note(self.progress.stored_bytes)
        places = _places(missing)
        putting = [asyncio.create_task(self._put_some(places)) for _ in range(AT_A_TIME)]
        try:
            await asyncio.gather(*putting)
        finally:
            for task in putting:
                task.cancel()
            await asyncio.gather(*putting, return_exceptions=True)

    async def _put_some(self, places: Iterator[Place]) -> None:
        """Put chunks of those that the others have not taken yet."""
        for place in places:
            payload = await asyncio.to_thread(self._read, place)
            await self._put(place, payload)
            progress = self.progress
            progress.moved_bytes += len(payload)
            progress.stored_bytes = min(progress.size_bytes, progress.stored_bytes + len(payload))
            progress.rate = self._rate.note(progress.stored_bytes)
            self._on_progress(progress)

    async def _put(self, place: Place, payload: bytes) -> None:
        for _ in range(_CORRUPT_TIMES):
            try:
                await self._doors.put_chunk(*place, payload)
            except Problem as problem:
                if problem.code != "chunk-corrupt":
                    raise
            else:
                return
        raise Corrupt(f"chunk {place[1]} arrives damaged again and again")

    def _read(self, place: Place) -> bytes:
        """Read a chunk; called in threads."""
        index, number = place
        payload = bytearray(self._length(place))
        read_exactly(self._files[index], number * self._chunk_size, memoryview(payload))
        return bytes(payload)

    def _length(self, place: Place) -> int:
        index, number = place
        return chunk_length(self._files[index].size_bytes, self._chunk_size, number)

    async def _look_now_and_then(self) -> None:
        """See how far the recipients are. Where we can't look, sending goes on all the same."""
        while True:
            await asyncio.sleep(_LOOK_SECONDS)
            with suppress(SharezyncError):
                path = f"/v1/transfers/{self._doors.transfer_id}"
                self.progress.learn(Transfer.of(await self._session.document(path)))
                self._on_progress(self.progress)


def _places(missing: Mapping[int, Ranges]) -> Iterator[Place]:
    return ((file, index) for file, ranges in sorted(missing.items()) for index in ranges)
