"""What all requests about chunks on this node share."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from typing import Final

from sharezync_gateway.transfers.context import TransferContext
from sharezync_gateway.transfers.core.byte_semaphore import ByteSemaphore
from sharezync_gateway.transfers.http.participations import HttpParticipations
from sharezync_shared.problems import Unavailable

ARRIVING_BYTES: Final = 64 * 1024 * 1024
"""Of chunks whose requests are being read, on the whole node. Not of the node's own room for
chunks: there nobody waits for a client, and nobody's slow client may make sockets wait."""
LEAVING_BYTES: Final = 64 * 1024 * 1024
"""Of chunks that are being sent to readers, on the whole node."""


class HttpContext:
    """One of each on a node."""

    def __init__(self, transfers: TransferContext) -> None:
        self.transfers = transfers
        self.participations = HttpParticipations(transfers)
        self.arriving_bytes = ByteSemaphore(ARRIVING_BYTES)
        self.leaving_bytes = ByteSemaphore(LEAVING_BYTES)

    @staticmethod
    @asynccontextmanager
    async def room_in(
        semaphores: Sequence[ByteSemaphore], size_bytes: int, patience_seconds: float
    ) -> AsyncGenerator[None]:
        """Wait until a chunk may come or go, and keep its room. Raises Unavailable."""
        try:
            async with asyncio.timeout(patience_seconds):
                await ByteSemaphore.enter_all(semaphores, size_bytes)
        except TimeoutError as error:
            raise Unavailable("Too many concurrent chunks") from error
        try:
            yield
        finally:
            for semaphore in semaphores:
                semaphore.leave(size_bytes)
