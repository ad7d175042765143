"""What both ways of sending have in common: the files, what is missing, and how far they are."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from sharezync.problems import Corrupt, Problem
from sharezync.transfer.chunks import Place, chunk_length
from sharezync.transfer.listing import Outgoing
from sharezync.transfer.progress import OnProgress, Progress, Rate
from sharezync.transfer.ranges import Ranges
from sharezync.transfer.transfer_http import TransferHttp

_CORRUPT_TIMES: Final = 5
Missing = Mapping[int, Ranges]


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
