"""What happens to transfers: what gateways send each other of it, and who on this node listens."""

import asyncio
from typing import Final
from uuid import UUID

import structlog

from sharezync_gateway.transfers.core.chunks import Chunk, Place
from sharezync_shared.batch_queue import BatchQueue
from sharezync_shared.events.bus import Bus, BusUnavailable
from sharezync_shared.streams.frames import Control, Frame

log = structlog.get_logger()

_PREFIX: Final = "transfer:"
_WAITING: Final = 10_000
"""Notices that may wait for the bus; those beyond are lost, and receivers look for themselves."""
GATHER_SECONDS: Final = 0.02
"""The first notice leaves at once, and then those of so long together: a message of the broker's
for each chunk costs all nodes and the broker as much as some of its way does."""


Notice = tuple[UUID, Place | None]
"""A transfer, and the place of a chunk that was stored; None: the transfer has changed."""


class TransferListener:
    """Is called with what happens to a transfer. None of these may block."""

    def takers(self, place: Place) -> int:  # noqa: ARG002 - for those that override it
        """Return how many will soon take a chunk, stored now, from memory."""
        return 0

    def chunk_stored(self, place: Place) -> None:
        """A chunk is stored."""

    def transfer_changed(self) -> None:
        """Something else about the transfer has changed."""


class TransferListeners:
    """The listeners of each transfer on this node."""

    def __init__(self) -> None:
        self._by_transfer: dict[UUID, set[TransferListener]] = {}

    def __len__(self) -> int:
        return len(self._by_transfer)

    def add(self, transfer_id: UUID, listener: TransferListener) -> None:
        """Call a listener with everything from now on."""
        self._by_transfer.setdefault(transfer_id, set()).add(listener)

    def remove(self, transfer_id: UUID, listener: TransferListener) -> None:
        """Call it no more. Safe to repeat."""
        members = self._by_transfer.get(transfer_id)
        if members is not None:
            members.discard(listener)
            if not members:
                del self._by_transfer[transfer_id]

    def for_transfer(self, transfer_id: UUID) -> tuple[TransferListener, ...]:
        """Return those of a transfer."""
        return tuple(self._by_transfer.get(transfer_id, ()))


class Notices:
    """Says and reads notices. At most once: whoever needs to be sure looks at storage's record."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        self._queue: BatchQueue[Frame] = BatchQueue(
            self._send, name="chunk-notices", capacity=_WAITING, max_batch=1000
        )

    def chunk_stored(self, chunk: Chunk) -> None:
        """Publish to all nodes, this one too, that a chunk is stored."""
        control = Control(chunk=[chunk.file, chunk.index, len(chunk.payload)])
        self._queue.put([Frame(f"{_PREFIX}{chunk.transfer_id}", "", 0, b"", control)])

    @staticmethod
    def read(frame: Frame) -> Notice | None:
        """Return what a frame says; None for one that is none of these, or of a later version."""
        said = frame.control.chunk if frame.control is not None else None
        if said is None or not frame.stream.startswith(_PREFIX):
            return None
        try:
            transfer_id = UUID(frame.stream.removeprefix(_PREFIX))
        except ValueError:
            return None
        match said:
            case [int(file), int(index), int()]:
                return transfer_id, (file, index)
            case ["changed"]:
                return transfer_id, None
        return None

    async def aclose(self) -> None:
        """Say no more."""
        await self._queue.aclose()

    async def _send(self, frames: list[Frame]) -> None:
        # What comes before this returns is the next batch.
        await asyncio.gather(self._publish(frames), asyncio.sleep(GATHER_SECONDS))

    async def _publish(self, frames: list[Frame]) -> None:
        try:
            await self._bus.send_frames(frames)
        except BusUnavailable:
            log.debug("chunk_notices_lost", count=len(frames))
