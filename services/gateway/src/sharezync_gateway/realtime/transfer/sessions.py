"""One connection's ends of transfers: what it sends, what it gets, and what is known of both."""

import asyncio
from collections.abc import Coroutine, Iterator
from typing import Any, Final
from uuid import UUID

import structlog

from sharezync_gateway.realtime.connection import Connection
from sharezync_gateway.realtime.transfer.byte_semaphore import ByteSemaphore
from sharezync_gateway.realtime.transfer.calls import TransferCalls
from sharezync_gateway.realtime.transfer.chunk_receiver import ChunkReceiver
from sharezync_gateway.realtime.transfer.delivery import Delivery
from sharezync_gateway.realtime.transfer.reports import Reporter
from sharezync_gateway.realtime.transfer.task_supervisor import TaskSupervisor
from sharezync_shared.calls.client import ServiceUnavailable
from sharezync_shared.contracts.transfer import ParticipationRead
from sharezync_shared.problems import RateLimited, Unavailable

log = structlog.get_logger()

MOST_TRANSFERS: Final = 64
"""At a time on one socket: bounds what one client makes us remember."""
CONNECTION_BYTES: Final = 8 * 1024 * 1024
"""Of chunks that came up one socket and are not stored yet: two windows, however many transfers."""

_ATTACH_FRAMES: Final = 20.0
"""What asking transfer counts as: chunks of ever other transfers make us ask for each of them."""


class TransferSessionIndex:
    """Which connections on this node have to do with which transfer."""

    def __init__(self) -> None:
        self._by_transfer: dict[UUID, set[TransferSession]] = {}

    def add(self, transfer_id: UUID, ends: "TransferSession") -> None:
        """Note that this connection has to do with a transfer."""
        self._by_transfer.setdefault(transfer_id, set()).add(ends)

    def remove(self, transfer_id: UUID, ends: "TransferSession") -> None:
        """Note that it has no more. Safe to repeat."""
        members = self._by_transfer.get(transfer_id)
        if members is not None:
            members.discard(ends)
            if not members:
                del self._by_transfer[transfer_id]

    def sessions_of(self, transfer_id: UUID) -> tuple["TransferSession", ...]:
        """Return who has to do with a transfer here."""
        return tuple(self._by_transfer.get(transfer_id, ()))

    def deliveries(self, transfer_id: UUID) -> Iterator[Delivery]:
        """Return those who are pushed a transfer here."""
        for ends in self.sessions_of(transfer_id):
            delivery = ends.deliveries.get(transfer_id)
            if delivery is not None:
                yield delivery


class TransferSession:
    """Everything that one connection has to do with transfers. Over when the connection is."""

    def __init__(
        self,
        connection: Connection,
        calls: TransferCalls,
        crew: TaskSupervisor,
        directory: TransferSessionIndex,
    ) -> None:
        self.connection = connection
        self.gate = ByteSemaphore(CONNECTION_BYTES)
        self.attachments: dict[UUID, ParticipationRead] = {}
        self.intakes: dict[UUID, ChunkReceiver] = {}
        self.deliveries: dict[UUID, Delivery] = {}
        self.following: dict[UUID, int | None] = {}
        """Transfers that this connection wants pushed, with the window it grants."""
        self._calls = calls
        self._crew = crew
        self._tasks: set[asyncio.Task[None]] = set()
        self._directory = directory
        self._reporters: dict[UUID, Reporter] = {}
        self._locks: dict[UUID | None, asyncio.Lock] = {}
        self.closed = False
        """Whether the connection is gone."""

    async def attach(self, transfer_id: UUID) -> ParticipationRead:
        """Ask what the user is to a transfer, and remember it.

        Raises NotFound for strangers, RateLimited for one transfer too many, and Unavailable.
        """
        self._make_room(transfer_id)
        connection = self.connection
        await connection.slow_down(_ATTACH_FRAMES)
        try:
            async with connection.costly():
                attachment = await self._calls.attach(
                    transfer_id, connection.user_id, connection.device
                )
        except ServiceUnavailable as error:
            log.debug("transfer_not_attached", error=str(error))
            raise Unavailable("Transfers are temporarily unavailable") from error
        self._remember(transfer_id, attachment)
        return attachment

    def know(self, transfer_id: UUID, attachment: ParticipationRead) -> None:
        """Remember what the user is to a transfer. Raises RateLimited for one too many."""
        self._make_room(transfer_id)
        self._remember(transfer_id, attachment)

    def listen(self, transfer_id: UUID) -> None:
        """Be told when a transfer changes, though nothing is known of it yet."""
        self._directory.add(transfer_id, self)

    def listen_no_more(self, transfer_id: UUID) -> None:
        """Be told of a transfer only if something came of it. Safe to repeat."""
        if transfer_id not in self.attachments and transfer_id not in self.following:
            self._directory.remove(transfer_id, self)

    def follow(self, transfer_id: UUID, window_bytes: int | None) -> None:
        """From now on this connection wants a transfer pushed."""
        if not self.closed:
            self.following[transfer_id] = window_bytes
            self._directory.add(transfer_id, self)

    def unfollow(self, transfer_id: UUID) -> None:
        """Push no more of a transfer. Safe to repeat."""
        self.following.pop(transfer_id, None)
        self.stop_delivery(transfer_id)

    def stop_delivery(self, transfer_id: UUID) -> None:
        """Rest; what it wants is still known, and it can be taken up again."""
        delivery = self.deliveries.pop(transfer_id, None)
        if delivery is not None:
            delivery.stop()

    def drop_transfer(self, transfer_id: UUID) -> None:
        """Remember nothing of a transfer; what was taken of it is stored and reported."""
        self.attachments.pop(transfer_id, None)
        self._reporters.pop(transfer_id, None)
        self.unfollow(transfer_id)
        intake = self.intakes.pop(transfer_id, None)
        if intake is not None:
            intake.close()
        self._directory.remove(transfer_id, self)

    def reporter(self, transfer_id: UUID) -> Reporter:
        """Return who reports this end's progress."""
        reporter = self._reporters.get(transfer_id)
        if reporter is None:
            reporter = self._reporters[transfer_id] = Reporter(
                self._calls,
                self._crew,
                transfer_id,
                self.connection.user_id,
                self.connection.device,
            )
        return reporter

    def lock(self, transfer_id: UUID | None) -> asyncio.Lock:
        """Return what keeps commands about one transfer in the order they were sent."""
        lock = self._locks.get(transfer_id)
        if lock is None:
            if len(self._locks) > MOST_TRANSFERS:
                self._locks = {key: each for key, each in self._locks.items() if each.locked()}
            lock = self._locks[transfer_id] = asyncio.Lock()
        return lock

    def start(self, work: Coroutine[Any, Any, None], name: str) -> None:
        """Begin to do `work`, which is of use only as long as the connection is open."""
        task = self._crew.start(work, name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def close(self) -> None:
        """The connection is gone."""
        self.closed = True
        for transfer_id in {*self.attachments, *self.following}:
            self.drop_transfer(transfer_id)
        for task in self._tasks:
            task.cancel()

    def _remember(self, transfer_id: UUID, attachment: ParticipationRead) -> None:
        if not self.closed:
            self.attachments[transfer_id] = attachment
            self._directory.add(transfer_id, self)

    def _make_room(self, transfer_id: UUID) -> None:
        if transfer_id in self.attachments or len(self.attachments) < MOST_TRANSFERS:
            return
        for known in list(self.attachments):
            intake = self.intakes.get(known)
            if known not in self.following and (intake is None or not intake.busy):
                self.drop_transfer(known)
                return
        raise RateLimited("Too many concurrent transfers on this connection", retry_after_seconds=1)
