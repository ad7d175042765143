"""What both ways of receiving have in common, and receiving over HTTP: files as they grow."""

import asyncio
import itertools
import time
from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Final

import httpx
import msgspec

from sharezync.backoff import jittered
from sharezync.documents import Transfer
from sharezync.problems import Corrupt, Problem, SharezyncError, TransferEnded, Unreachable
from sharezync.transfer.chunks import Ranges
from sharezync.transfer.parts import Part
from sharezync.transfer.progress import OnProgress, Progress, Rate
from sharezync.transfer.received_files import Destination, ReceivedFiles
from sharezync.transfer.transfer_http import TransferApi, TransferHttp, noticing_the_end

FILES_AT_A_TIME: Final = 3
_CONFIRM_SECONDS: Final = 0.5
_ROOT_SECONDS: Final = 1.0
"""How often we ask for the root of a file, once all of it is here."""
_PAUSED_SECONDS: Final = 1.0
_LIVED_SECONDS: Final = 5.0
"""An answer that lived so long was a good one: pauses begin anew."""
_DIGESTS_AT_A_TIME: Final = 8


@dataclass(eq=False)
class Receiver(ABC):
    """Receives the accepted files of one transfer into a folder."""

    api: TransferApi
    transfer: Transfer
    destination: Destination
    on_progress: OnProgress
    chosen: Collection[int] | None
    """Which files; None: all."""

    def __post_init__(self) -> None:
        self._chosen = None if self.chosen is None else sorted(set(self.chosen))
        self._files = ReceivedFiles(self.destination, self.transfer)
        self._rate = Rate()
        self.progress = Progress(self.transfer, self.transfer.size_bytes)
        self.progress.learn(self.transfer)

    async def receive(self) -> list[Path]:
        """Have everything here, verified, under its name; return the files.

        Raises TransferEnded, Problem, Corrupt, UnsafePath, OSError, and what ended the way there.
        """
        wanted = self._chosen or [file.index for file in self.transfer.files]
        await asyncio.to_thread(self._files.open, wanted)
        self.progress.size_bytes = sum(part.size_bytes for part in self._parts.values())
        self.progress.resumed = self._files.resumed
        self.progress.folder = self._files.folder
        try:
            await self._fetch_all()
            return await asyncio.to_thread(self._files.finish, self.transfer)
        except (TransferEnded, Corrupt):
            if self._hopeless:
                await asyncio.to_thread(self._files.discard)
            raise
        finally:
            with suppress(OSError):  # so that the next run knows of all that is here
                await self._flush()

    @abstractmethod
    async def _fetch_all(self) -> None:
        """Have every chunk here, and know from the server that the roots are right."""

    @property
    @abstractmethod
    def _hopeless(self) -> bool:
        """Whether what has ended can never become complete."""

    @property
    def _parts(self) -> Mapping[int, Part]:
        return self._files.parts

    @property
    def _remaining(self) -> int:
        """How many chunks are not here."""
        return sum(part.remaining for part in self._parts.values())

    def _check_open(self) -> None:
        """Raise TransferEnded where nothing can come any more."""
        state = self.transfer.state
        if self.transfer.over:
            raise TransferEnded(state, "it was received elsewhere" if state == "completed" else "")

    async def _flush(self) -> None:
        def flush_parts() -> None:
            for part in self._parts.values():
                part.flush()

        await asyncio.to_thread(flush_parts)

    def _show_progress(self) -> None:
        received = sum(part.kept_bytes for part in self._parts.values())
        self.progress.received_bytes = received
        self.progress.stored_bytes = max(self.progress.stored_bytes, received)
        self.progress.rate = self._rate.note(received)
        self.on_progress(self.progress)


@dataclass(eq=False)
class HttpReceiver(Receiver):
    """Receives the accepted files of one transfer into a folder.

    With `side`, this side of the transfer, it was accepted already, and goes on without a login.
    """

    side: TransferHttp | None = None
    _hopeless: ClassVar = True

    async def _fetch_all(self) -> None:
        self._show_progress()
        if self.transfer.state == "completed" and not self._remaining:
            return
        side = self.side or await self._begin()
        fetches = [
            _Fetch(side, index, part, self.transfer.chunk_size_bytes, self)
            for index, part in self._parts.items()
        ]
        waiting = iter(fetches)
        roots: dict[int, str] = {}

        async def fetch_some() -> None:
            for fetch in waiting:
                roots[fetch.index] = await fetch.run()

        tasks = [asyncio.create_task(fetch_some()) for _ in range(FILES_AT_A_TIME)]
        confirming = asyncio.create_task(_confirm_regularly(fetches), name="confirm-chunks")
        try:
            await asyncio.gather(*tasks)
        finally:
            for task in (*tasks, confirming):
                task.cancel()
            await asyncio.gather(*tasks, confirming, return_exceptions=True)
        files = tuple(
            msgspec.structs.replace(file, root=roots.get(file.index, file.root))
            for file in self.transfer.files
        )
        self.transfer = msgspec.structs.replace(self.transfer, files=files)

    async def _begin(self) -> TransferHttp:
        """Accept it, or say what is here already; return this side of it."""
        self._check_open()
        transfer, token = self.transfer, None
        with noticing_the_end():
            if transfer.state == "offered":
                token = (await self.api.accept(transfer.id, files=self._chosen)).token
            if self._files.resumed or transfer.state != "offered":
                have = {index: part.kept for index, part in self._parts.items()}
                await self.api.resume(transfer.id, have)
            return await self.api.transfer_http(transfer.id, token)

    def note(self, part: Part, chunk: int, length_bytes: int) -> None:
        if chunk not in part.kept:
            part.note(chunk)
            self.progress.moved_bytes += length_bytes
        self._show_progress()


@dataclass
class _Fetch:
    side: TransferHttp
    index: int
    part: Part
    chunk_size_bytes: int
    receiver: HttpReceiver
    confirmed: Ranges | None = None
    reached_at: float = 0.0
    """When the server last gave us something, if only an answer that waits for more."""

    async def run(self) -> str:
        """Have the file here, verified, and confirm it; return its root."""
        await self._fetch_chunks()
        root = await self._root()
        if root != self.part.root:
            await asyncio.to_thread(self.part.lose, await self._damaged())
            await self._fetch_chunks()
        if root != self.part.root:
            raise Corrupt(f"{self.part.name} is not what was sent: have it sent again")
        # With its last chunk confirmed nobody else has it for us: first to the disk.
        await asyncio.to_thread(self.part.flush)
        if self.part.kept:
            await self.side.confirm(self.index, self.part.kept)
        return root

    async def confirm(self) -> None:
        """Confirm what is here, all but the last chunk.

        That is confirmed only when the root is right, so that until then all can be had again.
        """
        kept = self.part.kept_but_last()
        if kept and kept != self.confirmed:
            await asyncio.to_thread(self.part.flush)
            await self.side.confirm(self.index, kept)
            self.confirmed = kept

    async def _fetch_chunks(self) -> None:
        attempt = 0
        self.reached_at = time.monotonic()
        while self.part.remaining:
            before, began_at = self.part.kept.count, time.monotonic()
            try:
                await self._follow()
                continue
            except (Unreachable, Problem) as error:
                if _is_paused(error):
                    self.reached_at = time.monotonic()
                    await asyncio.sleep(_PAUSED_SECONDS)
                    continue
                if not error.retryable:
                    raise
                failure = error
            if self.part.kept.count > before or time.monotonic() - began_at > _LIVED_SECONDS:
                attempt = 0
            pause = jittered(attempt, asked_seconds=failure.retry_after_seconds)
            if time.monotonic() + pause - self.reached_at > self.side.patience_seconds:
                raise failure
            attempt += 1
            await asyncio.sleep(pause)

    async def _follow(self) -> None:
        """Read the first gap of the file, as far as it comes."""
        part, size = self.part, self.chunk_size_bytes
        first, last = part.first_gap()
        begin, end = first * size, min((last + 1) * size, part.size_bytes) - 1
        async with self.side.content(self.index, begin, end) as answer:
            self.reached_at = time.monotonic()
            number = first if answer.status_code == httpx.codes.PARTIAL_CONTENT else 0
            async for payload in answer.aiter_raw(size):  # a chunk each
                self.reached_at = time.monotonic()
                if len(payload) < part.length(number):
                    break
                await asyncio.to_thread(part.keep, number, memoryview(payload), None)
                self.receiver.note(part, number, len(payload))
                number += 1
            if number <= last:
                raise Unreachable("the answer ended too soon")

    async def _damaged(self) -> list[int]:
        """Return which chunks of the file came otherwise than the server has them."""
        damaged: list[int] = []
        for first in range(0, self.part.count, _DIGESTS_AT_A_TIME):
            chunks = range(first, min(first + _DIGESTS_AT_A_TIME, self.part.count))
            digests = await asyncio.gather(*map(self._digest, chunks))
            pairs = zip(chunks, digests, strict=True)
            damaged += [each for each, digest in pairs if digest != self.part.digest(each)]
        return damaged

    async def _digest(self, chunk: int) -> bytes:
        while True:
            try:
                return await self.side.digest(self.index, chunk)
            except Problem as problem:
                if not _is_paused(problem):
                    raise
            await asyncio.sleep(_PAUSED_SECONDS)

    async def _root(self) -> str:
        """Return the root of the file, once its sender has completed."""
        for attempt in itertools.count():
            try:
                if (root := await self.side.root(self.index)) is not None:
                    return root
            except Problem as problem:
                if not _is_paused(problem):
                    raise
            await asyncio.sleep(min(_ROOT_SECONDS, jittered(attempt)))
        raise AssertionError  # attempts have no end


async def _confirm_regularly(fetches: Collection[_Fetch]) -> None:
    while True:
        await asyncio.sleep(_CONFIRM_SECONDS)
        with suppress(SharezyncError, OSError):  # confirmed again, and met again elsewhere
            for fetch in fetches:
                await fetch.confirm()


def _is_paused(error: SharezyncError) -> bool:
    """Whether it was refused because somebody paused the transfer."""
    return isinstance(error, Problem) and error.code == "wrong-state"
