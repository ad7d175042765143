"""The receiver's side: a transfer's chunks go down one socket as soon as they are stored."""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from typing import Final
from uuid import UUID

import structlog

from sharezync_gateway.realtime.connection import Connection
from sharezync_gateway.transfers.context import AWAY_SECONDS, LOOK_SECONDS, TransferContext
from sharezync_gateway.transfers.core.chunk_store import ChunkAbsent, StoreAway
from sharezync_gateway.transfers.core.chunks import Place, chunk_header, encode_json
from sharezync_gateway.transfers.socket.chunk_scheduler import ChunkScheduler
from sharezync_gateway.transfers.socket.frames import ChunkError, encode_frame
from sharezync_shared.calls.client import ServiceUnavailable
from sharezync_shared.contracts.transfer import FileShape, ParticipationRead
from sharezync_shared.problems import NotFound
from sharezync_shared.ranges import Ranges
from sharezync_shared.server import BINARY, TEXT

log = structlog.get_logger()

_AHEAD: Final = 3
"""Chunks that are fetched before their turn, so that storage's answer is waited for once."""
_LATEST_LOOK_SECONDS: Final = 5.0
"""After so long there is a look although notices come: one among them may have been lost."""
_LOOK_FILES: Final = 8
"""Files that are looked at in one go."""

Parts = Sequence[bytes]


class Delivery:
    """Pushes a transfer's accepted files to one receiver.

    Has one task, and holds a few chunks at most, however slow the receiver is: what isn't
    acknowledged can be had from storage again. A receiver that stalls is pushed to no more until
    it acknowledges something after all.
    """

    def __init__(
        self,
        context: TransferContext,
        connection: Connection,
        transfer_id: UUID,
        participation: ParticipationRead,
        *,
        window_bytes: int,
        as_json: bool = False,
        on_finished: Callable[["Delivery"], None],
        on_gone: Callable[[], None],
    ) -> None:
        """`on_gone` is called where storage has nothing of a file any more."""
        self.transfer_id = transfer_id
        self.connection = connection
        self.stalled = False
        self.scheduler = ChunkScheduler(participation.shapes, participation.confirmed, window_bytes)
        self._context = context
        self._as_json = as_json
        self._on_finished = on_finished
        self._on_gone = on_gone
        self._stall_seconds = context.stall_seconds
        self._loop = asyncio.get_running_loop()
        self._wake = asyncio.Event()
        self._ahead: deque[tuple[Place, Parts | asyncio.Task[Parts]]] = deque()
        self._looked_at_all = False
        self._looks = 0
        self._look_from = 0
        self._look_at = self._looked_at = self._moved_at = self._loop.time()
        self._stopped = False
        self._task: asyncio.Task[None] | None = None
        for file, shape in participation.shapes.items():
            if participation.stored_bytes(file) >= shape.size_bytes:
                self.scheduler.learn(file, Ranges.whole(shape.chunk_count))

    def start(self) -> None:
        """Begin to push, or go on."""
        if not self._stopped and self._task is None:
            self._moved_at = self._loop.time()
            self._task = self._context.tasks.start(self._run(), "deliver")

    def takes_fresh(self, place: Place) -> bool:
        """Whether a chunk that is stored now will be sent soon: within the next window."""
        scheduler = self.scheduler
        return (
            not self.stalled
            and place[0] in scheduler.files
            and scheduler.ready_bytes < scheduler.window_bytes
        )

    def announce(self, place: Place) -> None:
        """A chunk is stored."""
        file, index = place
        if self.scheduler.learn(file, Ranges([(index, index)])):
            self._looks = 0
            if self._looked_at_all:
                self._look_at = min(
                    self._loop.time() + LOOK_SECONDS[0], self._looked_at + _LATEST_LOOK_SECONDS
                )
            self._wake.set()

    def confirm(self, file: int, confirmed: Ranges, window_bytes: int | None) -> None:
        """The receiver holds chunks, and may grant another window."""
        if window_bytes is not None:
            self.scheduler.window_bytes = window_bytes
        if self.scheduler.confirm(file, confirmed):
            self._moved_at = self._loop.time()
            if self.stalled:
                self.stalled = False
                self.start()
        self._wake.set()

    def stop(self) -> None:
        """Push no more, for good. Safe to repeat."""
        self._stopped = True
        if self._task is not None:
            self._task.cancel()

    # --- the task ------------------------------------------------------------------------------

    async def _run(self) -> None:
        try:
            going = True
            while going and not self.scheduler.finished and not self.connection.closed:
                self._read_ahead()
                going = await (self._push_next() if self._ahead else self._wait())
        finally:
            self._task = None
            while self._ahead:
                self._give_back()
            if self.scheduler.finished or self.connection.closed:
                self._on_finished(self)

    def _read_ahead(self) -> None:
        while len(self._ahead) < _AHEAD:
            was_idle = not self.scheduler.in_flight_bytes
            place = self.scheduler.next_chunk()
            if place is None:
                return
            if was_idle:  # from now on there is something to acknowledge
                self._moved_at = self._loop.time()
            shape = self.scheduler.files[place[0]]
            frame = self._context.cache.pop((shape.upload_id, place[1]))
            found: Parts | asyncio.Task[Parts] = (
                (frame,)
                if frame is not None
                else asyncio.create_task(self._fetch(place, shape), name="fetch-chunk")
            )
            self._ahead.append((place, found))

    async def _fetch(self, place: Place, shape: FileShape) -> Parts:
        """Return the binary frame of a stored chunk. Raises ChunkAbsent and StoreAway."""
        file, index = place
        chunk = await self._context.store.get_chunk(shape.upload_id, index)
        header = chunk_header(self.transfer_id, file, index, len(chunk.payload), chunk.sha256)
        return (header, chunk.payload)

    async def _push_next(self) -> bool:
        """Send the chunk whose turn it is; False if there is nobody to send to."""
        (file, index), found = self._ahead[0]
        try:
            parts = await found if isinstance(found, asyncio.Task) else found
        except ChunkAbsent:
            self._give_back()
            self._look_at = self._loop.time() + LOOK_SECONDS[1]
            return True
        except StoreAway as error:
            log.debug("chunk_not_fetched", transfer_id=str(self.transfer_id), error=str(error))
            self._give_back()
            self.scheduler.learn(file, Ranges([(index, index)]))
            await asyncio.sleep(AWAY_SECONDS)
            return True
        kind = BINARY
        if self._as_json:
            kind, parts = TEXT, (encode_json(b"".join(parts)),)
        while not self.connection.send_binary(*parts, kind=kind):
            if not await self._wait_writable():
                return False
        self._ahead.popleft()
        self._context.metrics.delivered_bytes.inc(self.scheduler.files[file].length(index))
        return True

    def _give_back(self) -> None:
        """Take back the chunk that was to be sent next."""
        place, found = self._ahead.popleft()
        if isinstance(found, asyncio.Task):
            found.cancel()
            found.add_done_callback(_forget)
        self.scheduler.put_back(place)

    async def _wait_writable(self) -> bool:
        """Wait until the socket takes more; False if it is closing, or takes nothing for long."""
        while True:
            before = self.connection.buffered_bytes
            try:
                async with asyncio.timeout(self._stall_seconds):
                    return await self.connection.wait_writable()
            except TimeoutError:
                if self.connection.buffered_bytes >= before:
                    self._stall()
                    return False

    async def _wait(self) -> bool:
        """Wait for something to do; False if the receiver has stalled."""
        self._wake.clear()
        blocked = self.scheduler.blocked
        until: float | None = None  # all is sent: only acknowledgements are to come
        if blocked:
            until = self._moved_at + self._stall_seconds
        elif self.scheduler.doubtful:
            until = self._look_at
        try:
            async with asyncio.timeout_at(until):
                await self._wake.wait()
        except TimeoutError:
            if blocked:
                self._stall()
                return False
            await self._look()
        return True

    def _stall(self) -> None:
        self.stalled = True
        self._context.metrics.stalled.inc()
        error = ChunkError(
            self.transfer_id,
            "receiver-stalled",
            "Nothing was acknowledged for too long: acknowledge, or transfer_resume",
            retryable=True,
        )
        self.connection.send_text(encode_frame(error))

    # --- what is stored ------------------------------------------------------------------------

    async def _look(self) -> None:
        """Ask storage what it has of some files: at the beginning of all, then a few in turns."""
        uncertain = self.scheduler.uncertain()
        later = [file for file in uncertain if file >= self._look_from]
        chosen = (later or uncertain)[:_LOOK_FILES]
        round_ends = len(later) <= _LOOK_FILES
        self._look_from = 0 if round_ends else chosen[-1] + 1
        news = False
        for file in chosen:
            try:
                stored = await self._context.calls.stored(self.scheduler.files[file].upload_id)
            except ServiceUnavailable:
                continue
            except NotFound:
                self._on_gone()  # storage gave it up: something has happened to the transfer
                continue
            news = self.scheduler.learn(file, stored) or news
        self._looked_at_all = self._looked_at_all or round_ends
        self._looks = 0 if news else self._looks + 1
        pause_seconds = LOOK_SECONDS[min(self._looks, len(LOOK_SECONDS) - 1)]
        self._looked_at = self._loop.time()
        self._look_at = self._looked_at + (pause_seconds if self._looked_at_all else 0)


def _forget(task: "asyncio.Task[Parts]") -> None:
    """Take note of how a fetch ended that nobody waits for."""
    if not task.cancelled():
        task.exception()
