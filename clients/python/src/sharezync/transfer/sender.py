"""What both ways of sending have in common, and sending over HTTP: a request for each chunk."""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from sharezync.problems import Corrupt, Problem, SharezyncError
from sharezync.transfer.chunks import Place, Ranges, chunk_length
from sharezync.transfer.offer import Outgoing
from sharezync.transfer.progress import OnProgress, Progress, Rate
from sharezync.transfer.transfer_http import TransferApi, TransferHttp

_CORRUPT_TIMES: Final = 5
Missing = Mapping[int, Ranges]

AT_A_TIME: Final = 4
"""Chunks on their way, and in memory."""
_POLL_SECONDS: Final = 1.0


@dataclass(eq=False)
class Sender(ABC):
    """Sends what is missing of a transfer that was offered, until the server has all of it."""

    side: TransferHttp
    progress: Progress
    files: Sequence[Outgoing]
    on_progress: OnProgress

    def __post_init__(self) -> None:
        self._chunk_size = self.progress.transfer.chunk_size_bytes
        self._rate = Rate()
        self._corrupt: dict[Place, int] = {}

    async def send(self) -> None:
        """Have everything stored and verified by the server.

        Raises TransferEnded, Problem (`digest-mismatch` …), FileChanged, Corrupt, and what ended
        the way there.
        """
        missing = await self._first_missing()
        while True:
            await self._send_chunks(missing)
            try:
                await self._complete()
            except Problem as problem:
                if problem.code != "upload-incomplete":
                    raise
            else:
                return
            missing = await self.side.missing()

    async def _first_missing(self) -> Missing:
        return await self.side.missing()

    @abstractmethod
    async def _send_chunks(self, missing: Missing) -> None: ...

    @abstractmethod
    async def _complete(self) -> None:
        """Say that everything was sent. Raises Problem (`upload-incomplete` …)."""

    def _places(self, missing: Missing) -> Iterator[Place]:
        return ((file, index) for file, ranges in sorted(missing.items()) for index in ranges)

    def _length(self, place: Place) -> int:
        index, number = place
        return chunk_length(self.files[index].size_bytes, self._chunk_size, number)

    def _stored(self, length_bytes: int) -> None:
        progress = self.progress
        progress.stored_bytes = min(progress.size_bytes, progress.stored_bytes + length_bytes)
        progress.rate = self._rate.note(progress.stored_bytes)
        self.on_progress(progress)

    def _note_corrupt(self, place: Place) -> None:
        """Note that a chunk arrived damaged. Raises Corrupt where that happens too often."""
        self._corrupt[place] = self._corrupt.get(place, 0) + 1
        if self._corrupt[place] > _CORRUPT_TIMES:
            raise Corrupt(f"chunk {place[1]} arrives damaged again and again")


@dataclass(eq=False)
class HttpSender(Sender):
    """Sends over HTTP; how far recipients are is asked of `api`."""

    api: TransferApi

    async def send(self) -> None:
        polling = asyncio.create_task(self._poll_recipients(), name="poll-recipients")
        try:
            await super().send()
        finally:
            polling.cancel()
            await asyncio.gather(polling, return_exceptions=True)

    async def _send_chunks(self, missing: Missing) -> None:
        left = sum(map(self._length, self._places(missing)))
        self.progress.stored_bytes = self.progress.size_bytes - left
        self._rate = Rate()
        self._rate.note(self.progress.stored_bytes)
        places = self._places(missing)
        putting = [asyncio.create_task(self._put_some(places)) for _ in range(AT_A_TIME)]
        try:
            await asyncio.gather(*putting)
        finally:
            for task in putting:
                task.cancel()
            await asyncio.gather(*putting, return_exceptions=True)

    async def _complete(self) -> None:
        self.progress.learn(await self.side.complete())
        self.on_progress(self.progress)

    async def _put_some(self, places: Iterator[Place]) -> None:
        """Put chunks of those that the others have not taken yet."""
        for place in places:
            offset, length = place[1] * self._chunk_size, self._length(place)
            payload = await asyncio.to_thread(self.files[place[0]].read, offset, length)
            await self._put(place, payload)
            self.progress.moved_bytes += length
            self._stored(length)

    async def _put(self, place: Place, payload: bytes) -> None:
        while True:
            try:
                await self.side.put_chunk(*place, payload)
            except Problem as problem:
                if problem.code != "chunk-corrupt":
                    raise
                self._note_corrupt(place)
            else:
                return

    async def _poll_recipients(self) -> None:
        """See how far the recipients are. Where that fails, sending goes on all the same."""
        while True:
            await asyncio.sleep(_POLL_SECONDS)
            with suppress(SharezyncError):
                self.progress.learn(await self.api.get(self.side.transfer_id))
                self.on_progress(self.progress)
