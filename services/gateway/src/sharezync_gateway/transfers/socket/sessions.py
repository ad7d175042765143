"""All that one connection has to do with transfers."""

import asyncio
from collections.abc import Coroutine, Generator
from contextlib import contextmanager
from typing import Any, Final
from uuid import UUID

from sharezync_gateway.realtime.connection import Connection
from sharezync_gateway.transfers.context import CALLER_BYTES, TransferContext
from sharezync_gateway.transfers.core.byte_semaphore import ByteSemaphore
from sharezync_gateway.transfers.core.calls import Caller
from sharezync_gateway.transfers.socket.socket_transfer import SocketTransfer
from sharezync_shared.problems import RateLimited

MOST_TRANSFERS: Final = 64
"""At a time on one socket: bounds what one client makes us remember."""


class TransferSession:
    """The transfers of one connection. Over when the connection is."""

    def __init__(self, context: TransferContext, connection: Connection) -> None:
        self.context = context
        self.connection = connection
        self.unstored_bytes = ByteSemaphore(CALLER_BYTES)
        self.offering = asyncio.Lock()
        """Keeps offers in the order they were sent."""
        self.transfers: dict[UUID, SocketTransfer] = {}
        self.closed = False
        """Whether the connection is gone."""
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def caller(self) -> Caller:
        """Who is on the connection."""
        return Caller(self.connection.user_id, self.connection.device)

    @contextmanager
    def using(self, transfer_id: UUID) -> Generator[SocketTransfer]:
        """Give out a transfer; afterwards it is kept only if there is something to remember."""
        transfer = self.transfers.get(transfer_id)
        if transfer is None:
            transfer = self.transfers[transfer_id] = SocketTransfer(self, transfer_id)
            self.context.listeners.add(transfer_id, transfer)
        transfer.users += 1
        try:
            yield transfer
        finally:
            transfer.users -= 1
            self.release(transfer)

    def release(self, transfer: SocketTransfer) -> None:
        """Let go of a transfer of which nothing is known, unless it is in use. Safe to repeat."""
        if transfer.is_idle and self.transfers.get(transfer.transfer_id) is transfer:
            del self.transfers[transfer.transfer_id]
            self.context.listeners.remove(transfer.transfer_id, transfer)

    def make_room(self) -> None:
        """Forget a transfer at rest if there are too many. Raises RateLimited if none is."""
        known = [each for each in self.transfers.values() if each.participation is not None]
        if len(known) < MOST_TRANSFERS:
            return
        for transfer in known:
            if not transfer.is_moving:
                transfer.forget()
                return
        raise RateLimited("Too many concurrent transfers on this connection", retry_after_seconds=1)

    def start(self, work: Coroutine[Any, Any, None], name: str) -> None:
        """Begin to do `work`, which is of use only as long as the connection is open."""
        task = self.context.tasks.start(work, name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def close(self) -> None:
        """The connection is gone."""
        self.closed = True
        for transfer in list(self.transfers.values()):
            transfer.forget()
        for task in self._tasks:
            task.cancel()
