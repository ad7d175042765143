"""Receiving over a socket: chunks are checked and written in threads, and acknowledged."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

from sharezync.documents import Transfer
from sharezync.problems import Corrupt, Problem, SharezyncError, TransferEnded
from sharezync.realtime.frame_router import Connected, FrameQueue, Item, Lost
from sharezync.realtime.socket import Socket
from sharezync.shapes import Json, member, object_in
from sharezync.transfer.chunks import Chunk, Place, decode
from sharezync.transfer.parts import Part
from sharezync.transfer.receiver import Receiver

ACK_BYTES: Final = 1024 * 1024
ACK_SECONDS: Final = 0.05

WINDOW_BYTES: Final = 8 * 1024 * 1024
"""What may be on its way to us: bounds what is in memory."""
_THREADS: Final = 2
_FLUSH_SECONDS: Final = 1.0
_POLL_SECONDS: Final = 10.0
"""How often the state is asked for, once everything is here: an event may take long to come."""
_CORRUPT_TIMES: Final = 5
_RESUME_CODES: Final = frozenset({"unavailable", "receiver-stalled"})


class Acknowledgements:
    """Sends what is due for each file, one at a time, so that none overtakes another.

    `send` returns False where it can't now. While `paused` nothing is sent, nor kept for later:
    resuming says what is here.
    """

    def __init__(self, send: Callable[[int], Awaitable[bool]]) -> None:
        self._send = send
        self._files: set[int] = set()
        self._bytes = 0
        self._due = asyncio.Event()
        self._many = asyncio.Event()
        self.paused = False

    def add(self, file: int, length_bytes: int) -> None:
        if not self.paused:
            self._files.add(file)
            self._bytes += length_bytes
            self._due.set()
            if self._bytes >= ACK_BYTES:
                self._many.set()

    async def run(self) -> None:
        """Send what becomes due, until cancelled."""
        while True:
            await self._due.wait()
            with suppress(TimeoutError):
                async with asyncio.timeout(ACK_SECONDS):
                    await self._many.wait()
            files, self._files, self._bytes = self._files, set(), 0
            self._due.clear()
            self._many.clear()
            for file in files:
                if not self.paused:
                    await self._send(file)


@dataclass(eq=False)
class SocketReceiver(Receiver):
    """Receives the accepted files of one transfer into a folder; `queue` is of its frames."""

    socket: Socket
    queue: FrameQueue

    def __post_init__(self) -> None:
        super().__post_init__()
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="keep-chunks")
        self._acks = Acknowledgements(self._acknowledge)
        self._tasks: set[asyncio.Task[None]] = set()
        """Chunks that are being written, and what goes on beside."""
        self._being_written: set[Place] = set()
        self._corrupt = 0
        self._changed = asyncio.Event()
        self._failure: BaseException | None = None
        self.token: str | None = None
        """The capability token of this side, from when it was accepted."""

    @property
    def _hopeless(self) -> bool:
        return self.transfer.over

    async def _fetch_all(self) -> None:
        beside = (self._handle_frames(), self._flush_regularly(), self._acks.run())
        tasks = [asyncio.create_task(each) for each in beside]
        try:
            if not self.transfer.over:
                await self._begin()
            elif self._remaining:
                self._check_open()
            self._show_progress()
            while self._failure is None and not self._finished:
                self._changed.clear()
                try:
                    async with asyncio.timeout(None if self._remaining else _POLL_SECONDS):
                        await self._changed.wait()
                except TimeoutError:
                    self._learn(await self.api.get(self.transfer.id))
            if self._failure is not None:
                raise self._failure
        finally:
            for task in (*tasks, *self._tasks):
                task.cancel()
            await asyncio.gather(*tasks, *self._tasks, return_exceptions=True)
            # Not cancelled in the midst: what is being written is flushed afterwards.
            await asyncio.to_thread(self._threads.shutdown, wait=True, cancel_futures=True)

    @property
    def _finished(self) -> bool:
        return not self._remaining and self.transfer.state == "completed"

    async def _begin(self) -> None:
        """Have chunks pushed to this socket from now on, all but those that are here."""
        try:
            if self.transfer.state == "offered":
                chosen = {} if self._chosen is None else {"files": self._chosen}
                accepted = await self._command("transfer_accept", window=WINDOW_BYTES, **chosen)
                self.token = accepted.token
                if not self._files.resumed:
                    self._learn(accepted)
                    return
            have = {str(index): part.kept.pairs() for index, part in self._parts.items()}
            self._learn(await self._command("transfer_resume", have=have, window=WINDOW_BYTES))
            if self.token is None:
                with suppress(SharezyncError):  # only of use where all else breaks
                    capability = await self.api.capability(self.transfer.id)
                    self.token = capability.token if capability.role == "recipient" else None
        except Problem as problem:
            if problem.code != "transfer-over":
                raise
            self._learn(await self.api.get(self.transfer.id))

    async def _command(self, kind: str, **members: object) -> Transfer:
        answer = await self.socket.command(kind, transfer_id=self.transfer.id, **members)
        return Transfer.of(answer)

    # --- what the server says -------------------------------------------------------------------

    async def _handle_frames(self) -> None:
        try:
            while True:
                await self._handle(await self.queue.next())
        except Exception as error:  # noqa: BLE001 - raised where it is waited for
            self._fail(error)

    async def _handle(self, item: Item) -> None:
        if isinstance(item, bytes):
            self._handle_chunk(decode(item))
        elif isinstance(item, Lost):
            self._acks.paused = True
        elif isinstance(item, Connected):
            await self._all_written()
            self._learn(await self.api.get(self.transfer.id))
            if not self.transfer.over:
                await self._begin()
            self._acks.paused = False
        elif isinstance(item, dict):
            await self._handle_frame(item)

    async def _handle_frame(self, frame: Json) -> None:
        if frame["type"] == "progress_update":
            stored_bytes = member(object_in(frame, "data"), "stored_bytes", int)
            self.progress.stored_bytes = max(self.progress.stored_bytes, stored_bytes)
            self._show_progress()
        elif frame["type"] == "error":
            if Problem.of_frame(frame).code in _RESUME_CODES:
                await self._all_written()
                await self._begin()
        elif frame["type"] != "chunk_ack":
            self._learn(Transfer.of(object_in(frame, "data")))

    async def _all_written(self) -> None:
        """Wait for what is being written: it would be sent again otherwise."""
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _learn(self, transfer: Transfer) -> None:
        self.transfer = transfer
        self.progress.learn(transfer)
        if transfer.over and transfer.state != "completed":
            self._fail(TransferEnded(transfer.state))
        self._changed.set()

    def _fail(self, error: BaseException) -> None:
        self._failure = self._failure or error
        self._changed.set()

    # --- chunks --------------------------------------------------------------------------------

    def _handle_chunk(self, chunk: Chunk) -> None:
        place = (chunk.file, chunk.number)
        part = self._parts.get(chunk.file)
        if part is None:
            return
        self.progress.moved_bytes += len(chunk.payload)  # whether it was here already or not
        if chunk.number in part.kept:
            self._acks.add(chunk.file, len(chunk.payload))  # the acknowledgement was lost
        elif place not in self._being_written:
            self._being_written.add(place)
            self._start(self._keep(part, chunk))

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _keep(self, part: Part, chunk: Chunk) -> None:
        loop = asyncio.get_running_loop()
        try:
            await loop.run_in_executor(
                self._threads, part.keep, chunk.number, chunk.payload, chunk.digest
            )
            if self._remaining == 1:
                # With this one acknowledged nobody else has it for us: first to the disk.
                await self._flush()
            part.note(chunk.number)
        except Corrupt as error:
            self._corrupt += 1
            if self._corrupt > _CORRUPT_TIMES:
                self._fail(error)
            else:  # it comes again, with all that isn't here
                loop.call_soon(lambda: self._start(self._begin_again()))
            return
        except OSError as error:
            self._fail(error)
            return
        finally:
            self._being_written.discard((chunk.file, chunk.number))
        self._acks.add(chunk.file, len(chunk.payload))
        self._show_progress()
        if not self._remaining:
            self._changed.set()

    async def _begin_again(self) -> None:
        try:
            await self._begin()
        except SharezyncError as error:
            self._fail(error)

    async def _acknowledge(self, file: int) -> bool:
        kept = self._parts[file].kept
        first_gap = kept.first_gap
        return await self.socket.send_frame(
            {
                "type": "chunk_ack",
                "transfer_id": self.transfer.id,
                "file": file,
                "next": first_gap,
                "indexes": kept.from_index(first_gap, 1000),
                "window": WINDOW_BYTES,
            }
        )

    async def _flush_regularly(self) -> None:
        while True:
            await asyncio.sleep(_FLUSH_SECONDS)
            try:
                await self._flush()
            except OSError as error:
                self._fail(error)
                return
