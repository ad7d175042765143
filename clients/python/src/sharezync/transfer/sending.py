"""Sending: an offer, and its chunks, as often as the line breaks."""

import asyncio
import os
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from sharezync.documents import OVER, Recipient, Transfer
from sharezync.pauses import jittered
from sharezync.problems import Corrupt, FileChanged, Problem, SharezyncError, TransferEnded
from sharezync.realtime.frame_queue import FrameQueue, Item
from sharezync.realtime.frames import Connected, Lost
from sharezync.realtime.socket import Socket
from sharezync.shapes import Json, object_in, rows_of, understood
from sharezync.transfer.chunk_prefetch import ChunkPrefetch
from sharezync.transfer.chunks import HEADER_BYTES, Place, chunk_count, chunk_length, seal
from sharezync.transfer.chunks import transfer_bytes as id_bytes
from sharezync.transfer.listing import Outgoing
from sharezync.transfer.progress import OnProgress, Progress, Rate
from sharezync.transfer.ranges import Ranges
from sharezync.transfer.transfer_http import TransferHttp
from sharezync.transfer.window import Window

_FIRST_WINDOW_BYTES: Final = 4 * 1024 * 1024
_STILL_SECONDS: Final = 60.0
"""After so long without an acknowledgement the server is asked what it has."""
_CORRUPT_TIMES: Final = 5
_AGAIN: Final = frozenset({"chunk-corrupt", "window-exceeded"})
"""Refusals of one chunk after which it is sent again, beside those that say so themselves."""

Missing = Mapping[int, Ranges]


class Sender:
    """Sends the files of one transfer that was offered, until the server has all of them."""

    def __init__(
        self,
        doors: TransferHttp,
        socket: Socket,
        transfer: Transfer,
        files: Sequence[Outgoing],
        on_progress: OnProgress,
        *,
        resumed: bool,
    ) -> None:
        self.doors = doors
        self._socket = socket
        self._files = files
        self._id = transfer.id
        self._id_bytes = id_bytes(transfer.id)
        self._chunk_size = transfer.chunk_size_bytes
        self._window = Window(transfer.window_bytes or _FIRST_WINDOW_BYTES)
        self._on_progress = on_progress
        self._resumed = resumed
        self._rate = Rate()
        self._moved = asyncio.Event()
        self._lost = False
        self._held_up = False
        """Whether chunks are refused that nothing is wrong with: more would be sent in vain."""
        self._refused: list[Place] = []
        self._corrupt: dict[Place, int] = {}
        self._failure: SharezyncError | None = None
        self.progress = Progress(transfer, transfer.size_bytes, resumed=resumed)
        self.progress.learn(transfer)

    async def send(self, line: FrameQueue) -> None:
        """Have everything stored and verified by the server.

        Raises TransferEnded, Problem (`digest-mismatch` …), FileChanged, Corrupt, and what ended
        the socket.
        """
        hearing = asyncio.create_task(self._hear(line), name="hear-acks")
        ahead = ChunkPrefetch(self._prepare, self._chunk_size)
        try:
            missing = await self.doors.missing() if self._resumed else self._everything()
            while True:
                await self._push(ahead, missing)
                self._check()
                try:
                    done = await self._socket.command("transfer_complete", transfer_id=self._id)
                except Problem as problem:
                    if problem.code != "upload-incomplete":
                        raise
                    missing = await self.doors.missing()
                else:
                    self._learn(Transfer.of(done))
                    return
        finally:
            hearing.cancel()
            ahead.close()
            await asyncio.gather(hearing, return_exceptions=True)

    async def _push(self, ahead: ChunkPrefetch, missing: Missing) -> None:
        """Send what is missing, and again what was refused or lost, until nothing is."""
        while missing:
            self._lost = self._held_up = False
            self._refused.clear()
            self._window = Window(self._window.limit_bytes)
            finished = await self._round(ahead, missing)
            self._check()
            if finished and not self._refused:
                return
            if self._held_up:
                await asyncio.sleep(jittered(0))
            await self._socket.ready()
            missing = await self.doors.missing()

    async def _round(self, ahead: ChunkPrefetch, missing: Missing) -> bool:
        """Send these chunks within the window; False where the line broke or stands still."""
        frames = ahead.frames(self._places(missing))
        try:
            async for place, frame in frames:
                length = len(frame) - HEADER_BYTES
                while not self._held_up and not self._window.has_room(length):
                    if not await self._movement():
                        return False
                if self._held_up:
                    break
                # Before it is sent: its acknowledgement may be here before we go on.
                self._window.sent(place, length)
                if not await self._socket.send_binary(frame):
                    return False
                self.progress.moved_bytes += length
                if self._lost or self._failure is not None:
                    return False
        finally:
            await frames.aclose()
        while not self._window.empty:
            if not await self._movement():
                return False
        return True

    async def _movement(self) -> bool:
        """Wait until something was acknowledged or refused; False where nothing will be."""
        if not self._lost and self._failure is None:
            self._moved.clear()
            try:
                async with asyncio.timeout(_STILL_SECONDS):
                    await self._moved.wait()
            except TimeoutError:
                return False
        return not self._lost and self._failure is None

    def _prepare(self, buffer: bytearray, place: Place) -> memoryview:
        """Read a chunk and return its frame; called in threads."""
        index, number = place
        file = self._files[index]
        length = chunk_length(file.size_bytes, self._chunk_size, number)
        payload = memoryview(buffer)[HEADER_BYTES : HEADER_BYTES + length]
        read_exactly(file, number * self._chunk_size, payload)
        return seal(buffer, self._id_bytes, place, length)

    def _places(self, missing: Missing) -> Iterable[Place]:
        for file, ranges in sorted(missing.items()):
            for index in ranges:
                yield file, index

    def _everything(self) -> Missing:
        counts = [chunk_count(file.size_bytes, self._chunk_size) for file in self._files]
        return {file: Ranges.whole(count) for file, count in enumerate(counts) if count}

    # --- what the server says -------------------------------------------------------------------

    async def _hear(self, line: FrameQueue) -> None:
        try:
            while True:
                self._take(await line.next())
        except SharezyncError as error:
            self._fail(error)

    def _take(self, item: Item) -> None:
        if isinstance(item, Lost):
            self._lost = True
            self._moved.set()
        elif isinstance(item, dict):
            match item["type"]:
                case "chunk_ack":
                    self._acknowledged(item)
                case "error":
                    self._refuse(item)
                case "progress_update":
                    self._learn_progress(object_in(item, "data"))
                case _:
                    self._learn(Transfer.of(object_in(item, "data")))
        elif not isinstance(item, Connected):
            pass  # a chunk: we send this transfer to another device of ours from the same socket

    def _acknowledged(self, ack: Json) -> None:
        with understood(ack):
            self._window.limit_bytes = int(ack.get("window") or self._window.limit_bytes)
            freed = self._window.acknowledged(ack["file"], ack["next"], ack.get("indexes", ()))
        if freed:
            progress = self.progress
            progress.stored_bytes = min(progress.size_bytes, progress.stored_bytes + freed)
            progress.rate = self._rate.note(progress.stored_bytes)
            self._on_progress(progress)
        self._moved.set()

    def _refuse(self, error: Json) -> None:
        problem = Problem.of_frame(error)
        if error.get("file") is None or error.get("index") is None:
            return  # about delivering, which is the other end's
        with understood(error):
            place = (int(error["file"]), int(error["index"]))
        self._window.settled(place)
        self._moved.set()
        if problem.code == "chunk-corrupt":
            self._corrupt[place] = self._corrupt.get(place, 0) + 1
            if self._corrupt[place] > _CORRUPT_TIMES:
                self._fail(Corrupt(f"chunk {place[1]} arrives damaged again and again"))
        if problem.retryable or problem.code in _AGAIN:
            self._refused.append(place)
            self._held_up = self._held_up or problem.code not in _AGAIN
        else:
            self._fail(problem)

    def _learn_progress(self, data: Mapping[str, Any]) -> None:
        for each in map(Recipient.of, rows_of({"recipients": [], **data}, "recipients")):
            self.progress.recipients[each.user_id] = (each.state, each.received_bytes)
        self._on_progress(self.progress)

    def _learn(self, transfer: Transfer) -> None:
        self.progress.learn(transfer)
        self._on_progress(self.progress)
        if transfer.state in OVER - {"completed"}:
            self._fail(TransferEnded(transfer.state))
        self._moved.set()

    def _fail(self, error: SharezyncError) -> None:
        # That it is over says more than that a chunk came too late.
        if self._failure is None or isinstance(error, TransferEnded):
            self._failure = error
        self._moved.set()

    def _check(self) -> None:
        if self._failure is not None:
            raise self._failure


def read_exactly(file: Outgoing, offset: int, into: memoryview) -> None:
    """Fill a buffer from a file that is still what it was. Raises FileChanged."""
    try:
        with file.path.open("rb", buffering=0) as opened:
            status = os.fstat(opened.fileno())
            if (status.st_size, status.st_mtime_ns) != (file.size_bytes, file.modified_ns):
                raise FileChanged(f"{file.path} has changed since it was offered: send it again")
            opened.seek(offset)
            filled = 0
            while filled < len(into):
                count = opened.readinto(into[filled:])
                if not count:
                    raise FileChanged(f"{file.path} has become shorter: send it again")
                filled += count
    except OSError as error:
        raise FileChanged(f"{file.path} can't be read any more: {error}") from error
