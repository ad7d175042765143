"""What all that move chunks on this node share, and what they have in common."""

import asyncio
from typing import Final
from uuid import UUID

import structlog
from prometheus_client import CollectorRegistry, Counter

from sharezync_gateway.transfers.core.calls import Caller, TransferCalls
from sharezync_gateway.transfers.core.chunk_store import ChunkRefused, ChunkStore, StoreAway
from sharezync_gateway.transfers.core.chunks import Chunk
from sharezync_gateway.transfers.core.memory import ByteSemaphore, ChunkCache
from sharezync_gateway.transfers.core.notices import Notices, TransferListeners
from sharezync_gateway.transfers.core.reports import Reporter
from sharezync_shared.background import TaskSupervisor
from sharezync_shared.contracts.storage import ChunkStored
from sharezync_shared.events.bus import Bus
from sharezync_shared.streams.frames import Frame

log = structlog.get_logger()

NODE_BYTES: Final = 128 * 1024 * 1024
"""Of chunks that came up and are not stored yet, on the whole node; who brings more must wait."""
CALLER_BYTES: Final = 8 * 1024 * 1024
"""Of those that came up one socket, or from one caller for one transfer over HTTP: two windows."""
STALL_SECONDS: Final = 10.0
"""A receiver that acknowledges nothing for so long, with no credit left, is pushed to no more."""
LOOK_SECONDS: Final = (0.25, 1.0, 2.0, 5.0, 10.0)
"""Pauses between looks at storage's record while nothing is announced: a notice may be lost."""
PAUSED_SECONDS: Final = 30.0
"""How often a paused transfer is looked at, should the notice of its resuming be lost."""
AWAY_SECONDS: Final = 1.0
"""Before a chunk is asked for again that storage didn't give."""
_PAUSES_SECONDS: Final = (0.1, 0.4, 1.0, 2.0, 4.0)
"""Between attempts to store a chunk while storage is away; its sender has no credit meanwhile."""
_LAST_SECONDS: Final = 3.0


class TransferMetrics:
    """The metrics of one node's transfers, in `registry`."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.stored_bytes = Counter(
            "sharezync_ws_chunk_stored_bytes_total",
            "Bytes of stored chunks that were received on connections",
            registry=registry,
        )
        self.delivered_bytes = Counter(
            "sharezync_ws_chunk_delivered_bytes_total",
            "Bytes of chunks that were sent on connections",
            registry=registry,
        )
        self.refused = Counter(
            "sharezync_ws_chunks_refused_total",
            "Refused chunks that were received on connections, by error code",
            ("code",),
            registry=registry,
        )
        self.stalled = Counter(
            "sharezync_ws_deliveries_stalled_total",
            "Deliveries that stopped because the recipient acknowledged nothing for too long",
            registry=registry,
        )


class TransferContext:
    """One of each on a node. `start` before the socket engine; `aclose` when no socket is open."""

    def __init__(
        self,
        *,
        bus: Bus,
        registry: CollectorRegistry,
        store: ChunkStore,
        calls: TransferCalls,
        stall_seconds: float = STALL_SECONDS,
    ) -> None:
        self.store = store
        self.calls = calls
        self.stall_seconds = stall_seconds
        self.tasks = TaskSupervisor()
        self.cache = ChunkCache()
        self.listeners = TransferListeners()
        self.metrics = TransferMetrics(registry)
        self.node_bytes = ByteSemaphore(NODE_BYTES)
        self._notices = Notices(bus)

    async def start(self) -> None:
        """Make ready to move chunks."""
        await self.store.start()

    async def aclose(self) -> None:
        """Stop; what was taken gets a moment to be stored and reported."""
        await self.tasks.wind_down(_LAST_SECONDS)
        await self._notices.aclose()
        await self.store.aclose()

    def reporter(self, transfer_id: UUID, caller: Caller) -> Reporter:
        """Return what reports a caller's progress in a transfer."""
        return Reporter(self.calls, self.tasks, transfer_id, caller)

    async def store_chunk(self, chunk: Chunk, upload_id: UUID, reporter: Reporter) -> ChunkStored:
        """Have a chunk stored, then handed to whoever waits for it, announced and reported.

        Tried again while storage is away. Raises ChunkRefused and StoreAway.
        """
        pauses = iter(_PAUSES_SECONDS)
        while True:
            try:
                stored = await self.store.put_chunk(
                    upload_id, chunk.index, chunk.sha256, chunk.payload
                )
            except ChunkRefused as refusal:
                self.metrics.refused.labels(refusal.code).inc()
                raise
            except StoreAway as error:
                log.debug("chunk_put_failed", error=str(error))
                pause_seconds = next(pauses, None)
                if pause_seconds is None:
                    raise
                await asyncio.sleep(pause_seconds)
            else:
                self._announce(chunk, upload_id)
                reporter.stored(chunk.file, stored.stored_bytes)
                return stored

    def _announce(self, chunk: Chunk, upload_id: UUID) -> None:
        place = chunk.place
        self.metrics.stored_bytes.inc(len(chunk.payload))
        listeners = self.listeners.for_transfer(chunk.transfer_id)
        takers = sum(listener.takers(place) for listener in listeners)
        self.cache.put((upload_id, chunk.index), chunk.frame, takers)
        for listener in listeners:
            listener.chunk_stored(place)
        self._notices.chunk_stored(chunk)

    def take_notice(self, frame: Frame) -> None:
        """Handle a frame of `transfer:<id>`: a chunk was stored, or the transfer has changed."""
        notice = self._notices.read(frame)
        if notice is None:
            return
        transfer_id, place = notice
        for listener in self.listeners.for_transfer(transfer_id):
            if place is None:
                listener.transfer_changed()
            else:
                listener.chunk_stored(place)
