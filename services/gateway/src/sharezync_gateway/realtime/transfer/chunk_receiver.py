"""The sender's side: chunks that come up one socket for one transfer, stored and acknowledged."""

import asyncio
from collections.abc import Callable
from typing import Final
from uuid import UUID

import structlog

from sharezync_gateway.realtime.connection import Connection
from sharezync_gateway.realtime.transfer.ack_tracker import ACK_SECONDS, AckTracker
from sharezync_gateway.realtime.transfer.byte_semaphore import ByteSemaphore
from sharezync_gateway.realtime.transfer.chunk_store import (
    ChunkRefused,
    ChunkStore,
    StoreAway,
)
from sharezync_gateway.realtime.transfer.chunks import Chunk
from sharezync_gateway.realtime.transfer.frames import ChunkError, SenderAck, encode_frame
from sharezync_gateway.realtime.transfer.metrics import TransferMetrics
from sharezync_gateway.realtime.transfer.reports import Reporter
from sharezync_gateway.realtime.transfer.storing import put_patiently, refusal_of
from sharezync_gateway.realtime.transfer.task_supervisor import TaskSupervisor
from sharezync_shared.contracts.transfer import ParticipationRead

log = structlog.get_logger()

_SLOW_SECONDS: Final = 10.0
"""How long a socket isn't read whose sender went beyond its window. Less than two pings: unread
pongs would close it."""

OnStored = Callable[[Chunk, UUID], None]
"""Told of each chunk that was stored, with its upload."""


class ChunkReceiver:
    """Takes chunks from a sender. Holds at most a window of them."""

    def __init__(
        self,
        connection: Connection,
        transfer_id: UUID,
        attachment: ParticipationRead,
        *,
        store: ChunkStore,
        crew: TaskSupervisor,
        gates: tuple[ByteSemaphore, ...],
        reporter: Reporter,
        metrics: TransferMetrics,
        on_stored: OnStored,
    ) -> None:
        self.transfer_id = transfer_id
        self.stale = False
        """Whether something changed about the transfer since `attachment` was asked for."""
        self._connection = connection
        self._store = store
        self._crew = crew
        self._gates = gates
        self._reporter = reporter
        self._metrics = metrics
        self._on_stored = on_stored
        self._tally = AckTracker()
        self._timer: asyncio.TimerHandle | None = None
        self._in_flight_bytes = 0
        self._idle = asyncio.Event()
        self._idle.set()
        self._calmed = asyncio.Event()
        self.attachment = attachment
        self._shapes = attachment.shapes

    @property
    def busy(self) -> bool:
        """Whether something that was taken is not stored yet."""
        return self._in_flight_bytes > 0

    def renew(self, attachment: ParticipationRead) -> None:
        """Go by what is known now."""
        self.attachment = attachment
        self._shapes = attachment.shapes
        self.stale = False

    async def receive(self, chunk: Chunk) -> None:
        """Have a chunk stored, acknowledged and announced; returns when the next may be read.

        What is wrong with it is told to the sender, who may go on with others.
        """
        length = len(chunk.payload)
        refusal = refusal_of(self.attachment, chunk.file, chunk.index, length)
        if refusal is not None:
            # Who sends what fits nowhere is flooding; that it is over, a sender may not know yet.
            now = asyncio.get_running_loop().time()
            if refusal[0] == "transfer-over" or self._connection.admit(None, now):
                self._refuse(chunk, *refusal)
            return
        window = self.attachment.window_bytes
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
            await self._enter_gates(length)
        except BaseException:
            self._landed(length)
            raise
        self._tally.expect(chunk.file, chunk.index)
        self._crew.start(self._keep(chunk, length), "store-chunk")

    async def settled(self) -> None:
        """Wait until everything that was taken is stored or refused."""
        await self._idle.wait()

    def close(self) -> None:
        """Nobody is there any more to be told anything; what was taken is stored all the same."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._calmed.set()

    # --- one chunk -----------------------------------------------------------------------------

    async def _enter_gates(self, length: int) -> None:
        entered: list[ByteSemaphore] = []
        try:
            for gate in self._gates:
                await gate.enter(length)
                entered.append(gate)
        except BaseException:
            for gate in entered:
                gate.leave(length)
            raise

    async def _keep(self, chunk: Chunk, length: int) -> None:
        upload_id = self._shapes[chunk.file].upload_id
        try:
            stored = await put_patiently(self._store, upload_id, chunk)
        except ChunkRefused as refusal:
            self._refuse(chunk, refusal.code, refusal.detail or "The chunk was refused")
        except StoreAway as error:
            log.debug("chunk_not_stored", transfer_id=str(self.transfer_id), error=str(error))
            self._refuse(chunk, "unavailable", "Storage is temporarily unavailable", retryable=True)
        else:
            self._metrics.stored_bytes.inc(length)
            self._tally.note(chunk.file, chunk.index, length, stored.next)
            self._on_stored(chunk, upload_id)
            self._reporter.stored(chunk.file, stored.stored_bytes)
        finally:
            for gate in self._gates:
                gate.leave(length)
            self._tally.settle(chunk.file, chunk.index)
            self._landed(length)

    def _landed(self, length: int) -> None:
        self._in_flight_bytes -= length
        if not self._in_flight_bytes:
            self._idle.set()
        if self._in_flight_bytes <= self.attachment.window_bytes // 2:
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

    # --- telling -------------------------------------------------------------------------------

    def _acknowledge_if_due(self) -> None:
        if not self._tally.waiting:
            return
        if self._tally.due or not self._in_flight_bytes:
            self._acknowledge()
        elif self._timer is None and not self._connection.closed:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(ACK_SECONDS, self._acknowledge)

    def _acknowledge(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        for file, next_index, beyond in self._tally.pop_acks():
            if not self._connection.closed:
                ack = SenderAck(
                    self.transfer_id, file, next_index, self.attachment.window_bytes, beyond
                )
                self._connection.send_text(encode_frame(ack))

    def _refuse(self, chunk: Chunk, code: str, message: str, *, retryable: bool = False) -> None:
        self._metrics.refused.labels(code).inc()
        if not self._connection.closed:
            error = ChunkError.at_place(
                self.transfer_id, code, message, place=chunk.place, retryable=retryable
            )
            self._connection.send_text(encode_frame(error))
