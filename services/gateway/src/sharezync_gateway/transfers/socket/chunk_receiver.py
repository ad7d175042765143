"""The sender's side: chunks that come up one socket for one transfer, stored and acknowledged."""

import asyncio
from collections import Counter
from typing import Final
from uuid import UUID

import structlog

from sharezync_gateway.realtime.connection import Connection
from sharezync_gateway.transfers.context import TransferContext
from sharezync_gateway.transfers.core.calls import refusal_of
from sharezync_gateway.transfers.core.chunk_store import ChunkRefused, StoreAway
from sharezync_gateway.transfers.core.chunks import Chunk
from sharezync_gateway.transfers.core.memory import ByteSemaphore
from sharezync_gateway.transfers.core.reports import Reporter
from sharezync_gateway.transfers.socket.frames import ChunkError, SenderAck, encode_frame
from sharezync_shared.contracts.transfer import ParticipationRead

ACK_BYTES: Final = 1024 * 1024
ACK_SECONDS: Final = 0.1
"""An acknowledgement goes out after so much, or so long (realtime.md, Acknowledgement)."""

log = structlog.get_logger()

_SLOW_SECONDS: Final = 10.0
"""How long a socket isn't read whose sender went beyond its window. Less than two pings: unread
pongs would close it."""


class AckTracker:
    """Stored chunks of one transfer since the last acknowledgement.

    Storage says how many chunks it has without a gap, and may count some whose own answers are
    still on their way to us. Those still take up the sender's window here, so they are not
    acknowledged yet: who goes by acknowledgements never exceeds the window.
    """

    def __init__(self) -> None:
        self._next: dict[int, int] = {}
        self._said: dict[int, int] = {}
        self._new: dict[int, set[int]] = {}
        self._new_bytes = 0
        self._awaited: dict[int, Counter[int]] = {}

    def expect(self, file: int, index: int) -> None:
        """Note that a chunk is on its way to storage; the caller owes `settle`."""
        self._awaited.setdefault(file, Counter())[index] += 1

    def settle(self, file: int, index: int) -> None:
        """Note that a chunk is not on its way any more, whatever became of it."""
        awaited = self._awaited[file]
        awaited[index] -= 1
        if not awaited[index]:
            del awaited[index]

    def note(self, file: int, index: int, length_bytes: int, next_index: int) -> None:
        """Note that a chunk is stored, and which of its file is the first that is missing."""
        self._next[file] = max(next_index, self._next.get(file, 0))
        self._new.setdefault(file, set()).add(index)
        self._new_bytes += length_bytes

    @property
    def waiting(self) -> bool:
        """Whether something was not acknowledged yet."""
        return bool(self._new)

    @property
    def due(self) -> bool:
        """Whether so much was stored that it must be acknowledged now."""
        return self._new_bytes >= ACK_BYTES

    def pop_acks(self) -> list[tuple[int, int, list[int]]]:
        """Return file, `next` and the chunks beyond it, for each file with news; begin anew."""
        taken = []
        for file, new in sorted(self._new.items()):
            # Never less than was said before, also where an old chunk comes again.
            next_index = max(self._stored_next(file), self._said.get(file, 0))
            self._said[file] = next_index
            taken.append((file, next_index, sorted(index for index in new if index >= next_index)))
        self._new = {}
        self._new_bytes = 0
        return taken

    def _stored_next(self, file: int) -> int:
        awaited: Counter[int] = self._awaited.get(file, Counter())
        return min([self._next[file], *awaited])


class ChunkReceiver:
    """Takes chunks from a sender. Holds at most a window of them."""

    def __init__(
        self,
        context: TransferContext,
        connection: Connection,
        transfer_id: UUID,
        participation: ParticipationRead,
        reporter: Reporter,
        *,
        semaphores: tuple[ByteSemaphore, ...],
    ) -> None:
        """`semaphores` bound the bytes that are not stored yet."""
        self.transfer_id = transfer_id
        self.participation = participation
        self._context = context
        self._connection = connection
        self._reporter = reporter
        self._semaphores = semaphores
        self._acks = AckTracker()
        self._timer: asyncio.TimerHandle | None = None
        self._in_flight_bytes = 0
        self._idle = asyncio.Event()
        self._idle.set()
        self._calmed = asyncio.Event()

    @property
    def busy(self) -> bool:
        """Whether something that was taken is not stored yet."""
        return self._in_flight_bytes > 0

    async def receive(self, chunk: Chunk) -> None:
        """Have a chunk stored, acknowledged and announced; returns when the next may be read.

        The sender is sent what is wrong with it, and may go on with others.
        """
        length = len(chunk.payload)
        refusal = refusal_of(self.participation, chunk.file, chunk.index, length)
        if refusal is not None:
            # Who sends what fits nowhere is flooding; that it is over, a sender may not know yet.
            now = asyncio.get_running_loop().time()
            if refusal[0] == "transfer-over" or self._connection.admit(None, now):
                self._refuse(chunk, *refusal)
            return
        window = self.participation.window_bytes
        if self._in_flight_bytes and self._in_flight_bytes + length > window:
            self._refuse(
                chunk,
                "window-exceeded",
                f"At most {window} bytes may be on their way: wait for chunk_ack",
                retryable=True,
            )
            await self._calm_down(window // 2)
            return
        self._in_flight_bytes += length
        self._idle.clear()
        try:
            await ByteSemaphore.enter_all(self._semaphores, length)
        except BaseException:
            self._done(length)
            raise
        self._acks.expect(chunk.file, chunk.index)
        self._context.tasks.start(self._store(chunk, length), "store-chunk")

    async def settled(self) -> None:
        """Wait until everything that was taken is stored or refused."""
        await self._idle.wait()

    def close(self) -> None:
        """The connection is gone; what was taken is stored all the same."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._calmed.set()

    # --- one chunk -----------------------------------------------------------------------------

    async def _store(self, chunk: Chunk, length: int) -> None:
        upload_id = self.participation.shapes[chunk.file].upload_id
        try:
            stored = await self._context.store_chunk(chunk, upload_id, self._reporter)
        except ChunkRefused as refusal:
            reason = refusal.detail or "The chunk was refused"
            send_refusal(self._connection, chunk, refusal.code, reason)
        except StoreAway as error:
            log.debug("chunk_not_stored", transfer_id=str(self.transfer_id), error=str(error))
            self._refuse(chunk, "unavailable", "Storage is temporarily unavailable", retryable=True)
        else:
            self._acks.note(chunk.file, chunk.index, length, stored.next)
        finally:
            for semaphore in self._semaphores:
                semaphore.leave(length)
            self._acks.settle(chunk.file, chunk.index)
            self._done(length)

    def _done(self, length: int) -> None:
        self._in_flight_bytes -= length
        if not self._in_flight_bytes:
            self._idle.set()
        if self._in_flight_bytes <= self.participation.window_bytes // 2:
            self._calmed.set()
        self._acknowledge_if_due()

    async def _calm_down(self, below_bytes: int) -> None:
        """Read nothing more from this sender until its chunks are stored, or some seconds."""
        if self._in_flight_bytes <= below_bytes:
            return
        self._calmed.clear()
        try:
            async with asyncio.timeout(_SLOW_SECONDS):
                await self._calmed.wait()
        except TimeoutError:
            pass

    # --- to the sender -------------------------------------------------------------------------

    def _acknowledge_if_due(self) -> None:
        if not self._acks.waiting:
            return
        if self._acks.due or not self._in_flight_bytes:
            self._acknowledge()
        elif self._timer is None and not self._connection.closed:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(ACK_SECONDS, self._acknowledge)

    def _acknowledge(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        for file, next_index, beyond in self._acks.pop_acks():
            if not self._connection.closed:
                ack = SenderAck(
                    self.transfer_id, file, next_index, self.participation.window_bytes, beyond
                )
                self._connection.send_text(encode_frame(ack))

    def _refuse(self, chunk: Chunk, code: str, message: str, *, retryable: bool = False) -> None:
        self._context.metrics.refused.labels(code).inc()
        send_refusal(self._connection, chunk, code, message, retryable=retryable)


def send_refusal(
    connection: Connection, chunk: Chunk, code: str, message: str, *, retryable: bool = False
) -> None:
    """Send the sender of a chunk why it is refused, unless the connection is gone."""
    if not connection.closed:
        error = ChunkError(chunk.transfer_id, code, message, retryable, *chunk.place)
        connection.send_text(encode_frame(error))
