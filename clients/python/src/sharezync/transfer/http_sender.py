"""Sending over HTTP: each chunk is a request, several at a time."""

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import Final

from sharezync.problems import Problem, SharezyncError
from sharezync.transfer.api import TransferApi
from sharezync.transfer.chunks import Place
from sharezync.transfer.listing import Outgoing
from sharezync.transfer.progress import OnProgress, Progress, Rate
from sharezync.transfer.sender import Missing, Sender
from sharezync.transfer.transfer_http import TransferHttp

AT_A_TIME: Final = 4
"""Chunks on their way, and in memory."""
_POLL_SECONDS: Final = 1.0


class HttpSender(Sender):
    """Sends what is missing of a transfer that was offered, until the server has all of it."""

    def __init__(
        self,
        api: TransferApi,
        side: TransferHttp,
        progress: Progress,
        files: Sequence[Outgoing],
        on_progress: OnProgress,
    ) -> None:
        super().__init__(side, progress, files, on_progress)
        self._api = api

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
        self._on_progress(self.progress)

    async def _put_some(self, places: Iterator[Place]) -> None:
        """Put chunks of those that the others have not taken yet."""
        for place in places:
            offset, length = place[1] * self._chunk_size, self._length(place)
            payload = await asyncio.to_thread(self._files[place[0]].read, offset, length)
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
                self.progress.learn(await self._api.get(self.side.transfer_id))
                self._on_progress(self.progress)
