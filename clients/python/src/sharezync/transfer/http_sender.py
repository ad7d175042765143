"""Sending over HTTP: each chunk is a request, several at a time."""

import asyncio
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from sharezync.problems import Problem, SharezyncError
from sharezync.transfer.api import TransferApi
from sharezync.transfer.chunks import Place
from sharezync.transfer.progress import Rate
from sharezync.transfer.sender import Missing, Sender

AT_A_TIME: Final = 4
"""Chunks on their way, and in memory."""
_POLL_SECONDS: Final = 1.0


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
