"""Sending over a socket: chunks within the window that the server gives."""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from sharezync.backoff import jittered
from sharezync.documents import OVER, Recipient, Transfer
from sharezync.problems import Problem, SharezyncError, TransferEnded
from sharezync.realtime.frame_router import FrameQueue, Item, Lost
from sharezync.realtime.socket import Socket
from sharezync.shapes import Json, member, object_in, understood
from sharezync.transfer.chunks import HEADER_BYTES, Place, Ranges, chunk_count, encode
from sharezync.transfer.sender import Missing, Sender

DEPTH: Final = 6
"""How many are in the making or wait for their turn: the memory this takes, in chunks."""
_THREADS: Final = 2

Prepare = Callable[[bytearray, Place], memoryview]
"""Fills a buffer with a chunk's frame and returns the frame; called in a thread."""


_FIRST_WINDOW_BYTES: Final = 4 * 1024 * 1024
_STILL_SECONDS: Final = 60.0
"""After so long without an acknowledgement the server is asked what it has."""
_AGAIN: Final = frozenset({"chunk-corrupt", "window-exceeded"})
"""Refusals of one chunk after which it is sent again, beside those that say so themselves."""


class ChunkPrefetch:
    """Prepares frames of chunks, a few before their turn, in buffers that are used again."""

    def __init__(self, prepare: Prepare, chunk_size_bytes: int) -> None:
        self._prepare = prepare
        # Made once: fresh memory for each chunk costs more than reading it.
        self._buffers = [bytearray(HEADER_BYTES + chunk_size_bytes) for _ in range(DEPTH)]
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="read-chunks")

    def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def frames(self, places: Iterable[Place]) -> AsyncGenerator[tuple[Place, memoryview]]:
        """Yield the chunks in order; a frame is good until the next one is asked for.

        Raises what preparing raised. One at a time: the buffers are the same.
        """
        loop = asyncio.get_running_loop()
        todo: Iterator[Place] = iter(places)
        free = list(self._buffers)
        pending: deque[tuple[Place, bytearray, asyncio.Future[memoryview]]] = deque()

        def submit() -> None:
            while free and (place := next(todo, None)) is not None:
                buffer = free.pop()
                future = loop.run_in_executor(self._threads, self._prepare, buffer, place)
                pending.append((place, buffer, future))

        submit()
        try:
            while pending:
                place, buffer, future = pending.popleft()
                yield place, await future
                free.append(buffer)
                submit()
        finally:
            # The buffers are used again: nobody may be writing into them any more.
            await asyncio.gather(*(each[2] for each in pending), return_exceptions=True)


class Window:
    """Counts the bytes on their way. One chunk may always be on its way.

    It opens slowly: at first to one chunk, and then by as much as is acknowledged. On a line that
    many use, what the others say (the recipient's answer above all) has that much less to wait for.
    """

    def __init__(self, limit_bytes: int) -> None:
        self.limit_bytes = limit_bytes
        self.bytes = 0
        self._open_bytes = 0
        self._on_the_way: dict[Place, int] = {}

    def has_room(self, length_bytes: int) -> bool:
        room_bytes = min(self._open_bytes, self.limit_bytes) - self.bytes
        return not self._on_the_way or length_bytes <= room_bytes

    @property
    def empty(self) -> bool:
        return not self._on_the_way

    def sent(self, place: Place, length_bytes: int) -> None:
        self.bytes += length_bytes - self._on_the_way.get(place, 0)
        self._on_the_way[place] = length_bytes
        self._open_bytes = max(self._open_bytes, length_bytes)

    def acknowledged(self, file: int, next_index: int, indexes: Iterable[int] = ()) -> int:
        """Note what is stored for good; return how many bytes that frees."""
        beyond = set(indexes)
        stored = [
            place
            for place in self._on_the_way
            if place[0] == file and (place[1] < next_index or place[1] in beyond)
        ]
        freed_bytes = sum(map(self.settled, stored))
        self._open_bytes = min(self._open_bytes + freed_bytes, self.limit_bytes)
        return freed_bytes

    def settled(self, place: Place) -> int:
        """Note that a chunk is not on its way any more; return how many bytes that frees."""
        length = self._on_the_way.pop(place, 0)
        self.bytes -= length
        return length


@dataclass(eq=False)
class SocketSender(Sender):
    """Sends the files of one transfer that was offered; `queue` is of its frames."""

    socket: Socket
    queue: FrameQueue

    def __post_init__(self) -> None:
        super().__post_init__()
        self._id_bytes = UUID(self.side.transfer_id).bytes
        self._window = Window(self.progress.transfer.window_bytes or _FIRST_WINDOW_BYTES)
        self._prefetch = ChunkPrefetch(self._prepare, self._chunk_size)
        self._moved = asyncio.Event()
        self._lost = False
        self._blocked = False
        """Whether chunks are refused that nothing is wrong with: more would be sent in vain."""
        self._refused: list[Place] = []
        self._failure: SharezyncError | None = None

    async def send(self) -> None:
        handling = asyncio.create_task(self._handle_frames(), name="handle-acks")
        try:
            await super().send()
        finally:
            handling.cancel()
            self._prefetch.close()
            await asyncio.gather(handling, return_exceptions=True)

    async def _first_missing(self) -> Missing:
        if self.progress.resumed:
            return await self.side.missing()
        counts = [chunk_count(file.size_bytes, self._chunk_size) for file in self.files]
        return {file: Ranges.whole(count) for file, count in enumerate(counts) if count}

    async def _complete(self) -> None:
        self._check()
        transfer_id = self.side.transfer_id
        answer = await self.socket.command("transfer_complete", transfer_id=transfer_id)
        self._learn(Transfer.of(answer))

    async def _send_chunks(self, missing: Missing) -> None:
        """Send what is missing, and again what was refused or lost, until nothing is."""
        while missing:
            self._lost = self._blocked = False
            self._refused.clear()
            self._window = Window(self._window.limit_bytes)
            finished = await self._send_once(missing)
            self._check()
            if finished and not self._refused:
                return
            if self._blocked:
                await asyncio.sleep(jittered(0))
            await self.socket.ready()
            missing = await self.side.missing()

    async def _send_once(self, missing: Missing) -> bool:
        """Send these chunks within the window; False where the socket broke or stands still."""
        frames = self._prefetch.frames(self._places(missing))
        try:
            async for place, frame in frames:
                length = len(frame) - HEADER_BYTES
                while not self._blocked and not self._window.has_room(length):
                    if not await self._movement():
                        return False
                if self._blocked:
                    break
                # Before it is sent: its acknowledgement may be here before we go on.
                self._window.sent(place, length)
                if not await self.socket.send_binary(frame):
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
        length = self._length(place)
        payload = memoryview(buffer)[HEADER_BYTES : HEADER_BYTES + length]
        self.files[index].read_into(payload, number * self._chunk_size)
        return encode(buffer, self._id_bytes, place, length)

    # --- what the server says -------------------------------------------------------------------

    async def _handle_frames(self) -> None:
        try:
            while True:
                self._handle(await self.queue.next())
        except SharezyncError as error:
            self._fail(error)

    def _handle(self, item: Item) -> None:
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
        # Else a chunk: this transfer is sent to another device of ours from the same socket.

    def _acknowledged(self, ack: Json) -> None:
        with understood(ack):
            self._window.limit_bytes = int(ack.get("window") or self._window.limit_bytes)
            freed = self._window.acknowledged(ack["file"], ack["next"], ack.get("indexes", ()))
        if freed:
            self._stored(freed)
        self._moved.set()

    def _refuse(self, error: Json) -> None:
        problem = Problem.of_frame(error)
        if error.get("file") is None or error.get("index") is None:
            return  # about delivering, which is the other side's
        with understood(error):
            place = (int(error["file"]), int(error["index"]))
        self._window.settled(place)
        self._moved.set()
        if problem.code == "chunk-corrupt":
            self._note_corrupt(place)
        if problem.retryable or problem.code in _AGAIN:
            self._refused.append(place)
            self._blocked = self._blocked or problem.code not in _AGAIN
        else:
            self._fail(problem)

    def _learn_progress(self, data: Json) -> None:
        for each in member(data, "recipients", list[Recipient]) if "recipients" in data else ():
            self.progress.recipients[each.user_id] = (each.state, each.received_bytes)
        self.on_progress(self.progress)

    def _learn(self, transfer: Transfer) -> None:
        self.progress.learn(transfer)
        self.on_progress(self.progress)
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
