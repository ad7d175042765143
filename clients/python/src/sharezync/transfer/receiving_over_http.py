"""Receiving through the doors of a transfer: files are followed as they grow, in order."""

import asyncio
import time
from collections.abc import Collection, Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

import httpx

from sharezync.documents import Transfer
from sharezync.pauses import jittered
from sharezync.problems import Corrupt, Problem, SharezyncError, TransferEnded, Unreachable
from sharezync.transfer.parts import Part
from sharezync.transfer.progress import OnProgress, Progress, Rate
from sharezync.transfer.ranges import Ranges
from sharezync.transfer.received_files import Destination, ReceivedFiles
from sharezync.transfer.transfer_http import TransferHttp, ended_by

if TYPE_CHECKING:
    from sharezync.session import Session

FILES_AT_A_TIME: Final = 3
_NOTE_SECONDS: Final = 0.5
_ROOT_SECONDS: Final = 1.0
"""How often we ask for the root of a file, once all of it is here."""
_RESTS_SECONDS: Final = 1.0
_LIVED_SECONDS: Final = 5.0
"""An answer that lived so long was a good one: pauses begin anew."""
_DIGESTS_AT_A_TIME: Final = 8


class HttpReceiver:
    """Receives the accepted files of one transfer into a folder."""

    def __init__(
        self,
        session: "Session",
        transfer: Transfer,
        destination: Destination,
        on_progress: OnProgress,
        *,
        files: Collection[int] | None = None,
    ) -> None:
        self._session = session
        self._transfer = transfer
        self._chosen = None if files is None else sorted(set(files))
        self._landing = ReceivedFiles(destination, transfer)
        self._on_progress = on_progress
        self._rate = Rate()
        self._confirmed: dict[int, Ranges] = {}
        self._roots: dict[int, str] = {}
        self._reached_at = 0.0
        """When the server last gave us something, if only an answer that waits for more."""
        self.progress = Progress(transfer, transfer.size_bytes)
        self.progress.learn(transfer)

    @property
    def _parts(self) -> Mapping[int, Part]:
        return self._landing.parts

    async def receive(self, doors: TransferHttp | None = None) -> list[Path]:
        """Have everything here, verified, under its name; return the files.

        With `doors` it was accepted already, and goes on: no login is needed. Raises TransferEnded,
        Problem, Corrupt, UnsafePath, OSError, Unreachable.
        """
        wanted = self._chosen or [file.index for file in self._transfer.files]
        await asyncio.to_thread(self._landing.open, wanted)
        self.progress.size_bytes = sum(part.size_bytes for part in self._parts.values())
        self.progress.resumed = self._landing.resumed
        self.progress.folder = self._landing.folder
        self._tell_progress()
        try:
            if not (self._transfer.state == "completed" and self._complete):
                await self._fetch_all(doors or await self._begin())
            return await asyncio.to_thread(self._landing.finish, self._verified())
        except (TransferEnded, Corrupt):  # it can never become complete
            await asyncio.to_thread(self._landing.discard)
            raise
        finally:
            with suppress(OSError):  # so that the next run knows of all that is here
                await asyncio.to_thread(self._flush)

    async def _begin(self) -> TransferHttp:
        """Accept it, or say what is here already; return the doors of this end."""
        transfer, transfers = self._transfer, self._session.transfers
        if transfer.over:
            elsewhere = "it was received elsewhere" if transfer.state == "completed" else ""
            raise TransferEnded(transfer.state, elsewhere)
        token: str | None = None
        try:
            if transfer.state == "offered":
                token = (await transfers.accept(transfer.id, files=self._chosen)).raw.get("token")
            have = {index: part.held for index, part in self._parts.items()}
            if self._landing.resumed or transfer.state != "offered":
                await transfers.say_held(transfer.id, have)
            return await transfers.doors(transfer.id, token)
        except Problem as problem:
            raise ended_by(problem) or problem from None

    async def _fetch_all(self, doors: TransferHttp) -> None:
        waiting = iter(list(self._parts))

        async def fetch_some() -> None:
            for index in waiting:
                await self._fetch(doors, index)

        tasks = [asyncio.create_task(fetch_some()) for _ in range(FILES_AT_A_TIME)]
        noting = asyncio.create_task(self._note_now_and_then(doors), name="confirm-chunks")
        try:
            await asyncio.gather(*tasks)
        finally:
            for task in (*tasks, noting):
                task.cancel()
            await asyncio.gather(*tasks, noting, return_exceptions=True)

    # --- one file ------------------------------------------------------------------------------

    async def _fetch(self, doors: TransferHttp, index: int) -> None:
        """Have one file here, verified, and say so."""
        part = self._parts[index]
        await self._fetch_chunks(doors, index, part)
        self._roots[index] = root = await self._root(doors, index)
        if root != part.root:
            damaged = await self._damaged(doors, index, part)
            await asyncio.to_thread(part.lose, damaged)
            self._tell_progress()
            await self._fetch_chunks(doors, index, part)
        if root != part.root:
            raise Corrupt(f"{part.name} is not what was sent: have it sent again")
        # With its last chunk confirmed nobody else keeps it for us: first to the disk.
        await asyncio.to_thread(part.flush)
        if part.held:
            await doors.confirm(index, part.held)

    async def _fetch_chunks(self, doors: TransferHttp, index: int, part: Part) -> None:
        attempt = 0
        self._reached_at = time.monotonic()
        while part.remaining:
            before, began_at = part.held.count, time.monotonic()
            failure: Unreachable | Problem
            asked: float | None = None
            try:
                await self._follow(doors, index, part)
                continue
            except Unreachable as error:
                failure = error
            except Problem as problem:
                if problem.code == "wrong-state":  # somebody paused it
                    self._reached_at = time.monotonic()
                    await asyncio.sleep(_RESTS_SECONDS)
                    continue
                if not problem.retryable:
                    raise
                failure = problem
                asked = problem.retry_after_seconds
            if part.held.count > before or time.monotonic() - began_at > _LIVED_SECONDS:
                attempt = 0
            pause = jittered(attempt, asked_seconds=asked)
            if time.monotonic() + pause - self._reached_at > doors.patience_seconds:
                raise failure
            attempt += 1
            await asyncio.sleep(pause)

    async def _follow(self, doors: TransferHttp, index: int, part: Part) -> None:
        """Read the first gap of a file, as far as it comes."""
        size = self._transfer.chunk_size_bytes
        first, last = part.first_gap()
        begin, end = first * size, min((last + 1) * size, part.size_bytes) - 1
        async with doors.content(index, begin, end) as answer:
            self._reached_at = time.monotonic()
            number = first if answer.status_code == httpx.codes.PARTIAL_CONTENT else 0
            async for payload in answer.aiter_raw(size):  # a chunk each
                self._reached_at = time.monotonic()
                if len(payload) < part.length(number):
                    raise Unreachable("the answer ended too soon")
                await asyncio.to_thread(part.keep, number, memoryview(payload), None)
                if number not in part.held:
                    part.note(number)
                    self.progress.moved_bytes += len(payload)
                number += 1
                self._tell_progress()
            if number <= last:
                raise Unreachable("the answer ended too soon")

    async def _damaged(self, doors: TransferHttp, index: int, part: Part) -> list[int]:
        """Return which chunks of a file came otherwise than the server has them."""
        damaged: list[int] = []
        for first in range(0, part.count, _DIGESTS_AT_A_TIME):
            chunks = range(first, min(first + _DIGESTS_AT_A_TIME, part.count))
            digests = await asyncio.gather(*(self._digest(doors, index, each) for each in chunks))
            pairs = zip(chunks, digests, strict=True)
            damaged += [each for each, digest in pairs if digest != part.digest(each)]
        return damaged

    async def _digest(self, doors: TransferHttp, index: int, chunk: int) -> bytes:
        while True:
            try:
                return await doors.digest(index, chunk)
            except Problem as problem:
                if problem.code != "wrong-state":  # somebody paused it
                    raise
            await asyncio.sleep(_RESTS_SECONDS)

    async def _root(self, doors: TransferHttp, index: int) -> str:
        """Return the root of a file, once its sender has completed."""
        attempt = 0
        while True:
            try:
                root = await doors.root(index)
            except Problem as problem:
                if problem.code != "wrong-state":
                    raise
                root = None
            if root is not None:
                return root
            await asyncio.sleep(min(_ROOT_SECONDS, jittered(attempt)))
            attempt += 1

    # --- what is here --------------------------------------------------------------------------

    async def _note_now_and_then(self, doors: TransferHttp) -> None:
        """Keep records of what came, and tell the other end: of all but each file's last chunk.

        That is confirmed only when the root is right, so that until then all can be had again.
        """
        while True:
            await asyncio.sleep(_NOTE_SECONDS)
            with suppress(SharezyncError, OSError):  # said again, and met again elsewhere
                await self._note(doors)

    async def _note(self, doors: TransferHttp) -> None:
        for index, part in self._parts.items():
            told = self._confirmed.setdefault(index, Ranges())
            held = part.held_but_last()
            if held and held != told:
                await asyncio.to_thread(part.flush)
                await doors.confirm(index, held)
                self._confirmed[index] = held

    def _flush(self) -> None:
        for part in self._parts.values():
            part.flush()

    @property
    def _complete(self) -> bool:
        return not any(part.remaining for part in self._parts.values())

    def _verified(self) -> Transfer:
        """Return the transfer with the roots that the server confirmed."""
        files = tuple(
            replace(file, root=self._roots.get(file.index, file.root))
            for file in self._transfer.files
        )
        return replace(self._transfer, files=files)

    def _tell_progress(self) -> None:
        received = sum(part.held_bytes for part in self._parts.values())
        self.progress.received_bytes = received
        self.progress.stored_bytes = max(self.progress.stored_bytes, received)
        self.progress.rate = self._rate.note(received)
        self._on_progress(self.progress)
