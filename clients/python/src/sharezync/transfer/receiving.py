"""Receiving: chunks checked and written in threads, acknowledged, named when all is verified."""

import asyncio
from collections.abc import Callable, Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

from sharezync.documents import Transfer
from sharezync.problems import Corrupt, Problem, SharezyncError, TransferEnded
from sharezync.realtime.frame_queue import FrameQueue, Item
from sharezync.realtime.frames import Connected, Lost
from sharezync.realtime.socket import Socket
from sharezync.shapes import Json, object_in, understood
from sharezync.transfer.acknowledging import Acknowledging
from sharezync.transfer.chunks import Chunk, decode
from sharezync.transfer.parts import Part
from sharezync.transfer.progress import OnProgress, Progress, Rate
from sharezync.transfer.received_files import Destination, ReceivedFiles

if TYPE_CHECKING:
    from sharezync.session import Session

T = TypeVar("T")

WINDOW_BYTES: Final = 8 * 1024 * 1024
"""What may be on its way to us: bounds what we hold in memory."""
_THREADS: Final = 2
_FLUSH_SECONDS: Final = 1.0
_LOOK_SECONDS: Final = 10.0
"""How often we ask how it stands, once we have everything: an event may be on its way for long."""
_CORRUPT_TIMES: Final = 5
_RESUME_CODES: Final = frozenset({"unavailable", "receiver-stalled"})


class Receiver:
    """Receives the accepted files of one transfer into a folder."""

    def __init__(
        self,
        session: "Session",
        socket: Socket,
        transfer: Transfer,
        destination: Destination,
        on_progress: OnProgress,
        *,
        files: Collection[int] | None = None,
    ) -> None:
        self._session = session
        self._socket = socket
        self._transfer = transfer
        self._chosen = None if files is None else sorted(set(files))
        self._landing = ReceivedFiles(destination, transfer)
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="keep-chunks")
        self._on_progress = on_progress
        self._rate = Rate()
        self._acks = Acknowledging(self._acknowledge)
        self._keeping: set[asyncio.Task[None]] = set()
        self._in_hand: set[tuple[int, int]] = set()
        self._corrupt = 0
        self._changed = asyncio.Event()
        self._failure: BaseException | None = None
        self.token: str | None = None
        """Opens this end's doors over HTTP, from when it was accepted."""
        self.progress = Progress(transfer, transfer.size_bytes)
        self.progress.learn(transfer)

    @property
    def _parts(self) -> Mapping[int, Part]:
        return self._landing.parts

    async def receive(self, line: FrameQueue) -> list[Path]:
        """Have everything here, verified, under its name; return the files.

        Raises TransferEnded, Problem, Corrupt, UnsafePath, OSError, and what ended the socket.
        """
        wanted = self._chosen or [file.index for file in self._transfer.files]
        await self._in_thread(self._landing.open, wanted)
        self.progress.size_bytes = sum(part.size_bytes for part in self._parts.values())
        self.progress.resumed = self._landing.resumed
        self.progress.folder = self._landing.folder
        hearing = asyncio.create_task(self._hear(line), name="hear-chunks")
        flushing = asyncio.create_task(self._flush_now_and_then(), name="flush")
        try:
            await self._receive_all()
            return await self._in_thread(self._landing.finish, self._transfer)
        except (TransferEnded, Corrupt):
            if self._transfer.over:  # it can never become complete
                await self._in_thread(self._landing.discard)
            raise
        finally:
            for task in (hearing, flushing, *self._keeping):
                task.cancel()
            await asyncio.gather(hearing, flushing, *self._keeping, return_exceptions=True)
            self._acks.close()
            with suppress(OSError):  # so that the next run knows of all that is here
                await self._flush()
            self._threads.shutdown(wait=True, cancel_futures=True)

    async def _receive_all(self) -> None:
        if not self._transfer.over:
            await self._begin()
        elif not self._complete:
            state = self._transfer.state
            elsewhere = "it was received elsewhere" if state == "completed" else ""
            raise TransferEnded(state, elsewhere)
        self._tell_progress()
        while not (self._complete and self._transfer.state == "completed"):
            self._check()
            self._changed.clear()
            try:
                async with asyncio.timeout(_LOOK_SECONDS if self._complete else None):
                    await self._changed.wait()
            except TimeoutError:
                await self._look()
        self._check()

    async def _begin(self) -> None:
        """Have chunks pushed to this socket from now on, all but those that are here."""
        try:
            if self._transfer.state == "offered":
                members: dict[str, Any] = {"window": WINDOW_BYTES}
                if self._chosen is not None:
                    members["files"] = self._chosen
                accepted = await self._command("transfer_accept", **members)
                self.token = accepted.raw.get("token")
                if not self._landing.resumed:
                    self._learn(accepted)
                    return
            have = {str(index): part.held.pairs() for index, part in self._parts.items()}
            self._learn(await self._command("transfer_resume", have=have, window=WINDOW_BYTES))
            if self.token is None:
                with suppress(SharezyncError):  # only of use where all else breaks
                    given = await self._session.transfers.capability(self._transfer.id)
                    self.token = given.token if given.role == "recipient" else None
        except Problem as problem:
            if problem.code != "transfer-over":
                raise
            await self._look()

    async def _command(self, kind: str, **members: object) -> Transfer:
        return Transfer.of(
            await self._socket.command(kind, transfer_id=self._transfer.id, **members)
        )

    async def _look(self) -> None:
        path = f"/v1/transfers/{self._transfer.id}"
        self._learn(Transfer.of(await self._session.document(path)))

    # --- what the server says -------------------------------------------------------------------

    async def _hear(self, line: FrameQueue) -> None:
        try:
            while True:
                await self._take(await line.next())
        except Exception as error:  # noqa: BLE001 - raised where it is waited for
            self._fail(error)

    async def _take(self, item: Item) -> None:
        if isinstance(item, bytes):
            self._take_chunk(decode(item))
        elif isinstance(item, Lost):
            self._acks.pause()
        elif isinstance(item, Connected):
            # What is being written counts: else it would be sent again.
            await asyncio.gather(*self._keeping, return_exceptions=True)
            await self._look()
            if not self._transfer.over:
                await self._begin()
            self._acks.go_on()
        elif item["type"] == "progress_update":
            with understood(item):
                stored_bytes = int(item["data"]["stored_bytes"])
            self.progress.stored_bytes = max(self.progress.stored_bytes, stored_bytes)
            self._tell_progress()
        elif item["type"] == "error":
            await self._take_error(item)
        elif item["type"] != "chunk_ack":
            self._learn(Transfer.of(object_in(item, "data")))

    async def _take_error(self, error: Json) -> None:
        problem = Problem.of_frame(error)
        if problem.code in _RESUME_CODES:
            await asyncio.gather(*self._keeping, return_exceptions=True)
            await self._begin()

    def _learn(self, transfer: Transfer) -> None:
        self._transfer = transfer
        self.progress.learn(transfer)
        if transfer.over and transfer.state != "completed":
            self._fail(TransferEnded(transfer.state))
        self._changed.set()

    # --- chunks --------------------------------------------------------------------------------

    def _take_chunk(self, chunk: Chunk) -> None:
        place = (chunk.file, chunk.number)
        part = self._parts.get(chunk.file)
        if part is None:
            return
        self.progress.moved_bytes += len(chunk.payload)  # whether it was here already or not
        if place in self._in_hand:
            return
        if chunk.number in part.held:
            self._acks.kept(chunk.file, len(chunk.payload))  # it was lost on the way
            return
        self._in_hand.add(place)
        task = asyncio.create_task(self._keep(part, chunk), name="keep-chunk")
        self._keeping.add(task)
        task.add_done_callback(self._keeping.discard)

    async def _keep(self, part: Part, chunk: Chunk) -> None:
        try:
            await self._in_thread(part.keep, chunk.number, chunk.payload, chunk.digest)
            if self._remaining == 1:
                # With this one acknowledged nobody else keeps it for us: first to the disk.
                await self._flush()
            part.note(chunk.number)
        except Corrupt as error:
            self._corrupt += 1
            if self._corrupt > _CORRUPT_TIMES:
                self._fail(error)
            else:  # it comes again, with all that we don't have
                asyncio.get_running_loop().call_soon(self._ask_again)
            return
        except OSError as error:
            self._fail(error)
            return
        finally:
            self._in_hand.discard((chunk.file, chunk.number))
        self._acks.kept(chunk.file, len(chunk.payload))
        self._tell_progress()
        if self._complete:
            self._changed.set()

    def _ask_again(self) -> None:
        task = asyncio.create_task(self._begin_again(), name="ask-again")
        self._keeping.add(task)
        task.add_done_callback(self._keeping.discard)

    async def _begin_again(self) -> None:
        try:
            await self._begin()
        except SharezyncError as error:
            self._fail(error)

    async def _acknowledge(self, file: int) -> bool:
        held = self._parts[file].held
        first_gap = held.first_gap
        return await self._socket.tell(
            {
                "type": "chunk_ack",
                "transfer_id": self._transfer.id,
                "file": file,
                "next": first_gap,
                "indexes": held.from_index(first_gap, 1000),
                "window": WINDOW_BYTES,
            }
        )

    async def _flush_now_and_then(self) -> None:
        while True:
            await asyncio.sleep(_FLUSH_SECONDS)
            try:
                await self._flush()
            except OSError as error:
                self._fail(error)
                return

    async def _flush(self) -> None:
        loop = asyncio.get_running_loop()
        # Beside the threads that keep chunks: the disk may take its time.
        await loop.run_in_executor(None, self._flush_parts)

    def _flush_parts(self) -> None:
        for part in self._parts.values():
            part.flush()

    # --- how it stands -------------------------------------------------------------------------

    @property
    def _remaining(self) -> int:
        """How many chunks are not held."""
        return sum(part.remaining for part in self._parts.values())

    @property
    def _complete(self) -> bool:
        return self._remaining == 0

    def _tell_progress(self) -> None:
        received = sum(part.held_bytes for part in self._parts.values())
        self.progress.received_bytes = received
        self.progress.rate = self._rate.note(received)
        self._on_progress(self.progress)

    def _fail(self, error: BaseException) -> None:
        self._failure = self._failure or error
        self._changed.set()

    def _check(self) -> None:
        if self._failure is not None:
            raise self._failure

    async def _in_thread(self, call: Callable[..., T], *arguments: object) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._threads, call, *arguments)
