"""What a connection has to do with transfers: with one of them, and with all."""

import asyncio
from collections.abc import Coroutine, Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final
from uuid import UUID

import structlog

from sharezync_gateway.realtime.connection import Connection
from sharezync_gateway.realtime.protocol import RETRYABLE
from sharezync_gateway.transfers.context import CALLER_BYTES, TransferContext
from sharezync_gateway.transfers.core.calls import DELIVERING, OVER, Caller
from sharezync_gateway.transfers.core.chunks import Place
from sharezync_gateway.transfers.core.memory import ByteSemaphore
from sharezync_gateway.transfers.core.notices import TransferListener
from sharezync_gateway.transfers.socket.chunk_receiver import ChunkReceiver
from sharezync_gateway.transfers.socket.delivery import Delivery
from sharezync_gateway.transfers.socket.frames import (
    ChunkError,
    TransferCommandFrame,
    bounded_window,
    encode_frame,
)
from sharezync_shared.contracts.transfer import ParticipationRead
from sharezync_shared.problems import Problem, RateLimited, Unavailable
from sharezync_shared.ranges import Ranges

log = structlog.get_logger()

MOST_TRANSFERS: Final = 64
"""At a time on one socket: bounds what one client makes us remember."""
_ATTACH_FRAMES: Final = 20.0
"""What asking transfer counts as: chunks of ever other transfers make us ask for each of them."""
_NEWS_SECONDS: Final = 0.05
"""After a delivery has begun, before it is asked what changed while it was about to: nearly always
that which began it, and the first chunks are more urgent."""
_EXPECTED_CHUNKS: Final = 32
"""Remembered of those that are stored meanwhile: as many as a window may hold. The others are found
in storage's record."""
_PAUSES_SECONDS: Final = (0.2, 0.5, 1.0, 2.0, 4.0, 8.0)
"""Between questions to transfer while it is away."""


@dataclass(slots=True)
class _Expected:
    """What happens while an answer that begins a delivery is on its way."""

    stored: set[Place] = field(default_factory=set)
    changed: bool = False


class SocketTransfer(TransferListener):
    """Chunks that come up one connection for a transfer, and those that go down."""

    def __init__(self, session: "TransferSession", transfer_id: UUID) -> None:
        self.transfer_id = transfer_id
        self.participation: ParticipationRead | None = None
        """What the user is to the transfer, once that was asked."""
        self.users = 0
        """How many frames about it are being handled."""
        self.wanted = False
        """Whether the client wants the transfer pushed."""
        self.delivery: Delivery | None = None
        self.receiver: ChunkReceiver | None = None
        self.lock = asyncio.Lock()
        """Keeps commands about the transfer in the order they were sent."""
        self.stale = False
        """Whether something changed since `participation` was asked for."""
        self.reporter = session.context.reporter(transfer_id, session.caller)
        self._session = session
        self._context = session.context
        self._connection = session.connection
        self._wish: TransferCommandFrame | None = None
        """How the client wants chunks, since it last said so."""
        self._expected: _Expected | None = None
        self._refreshing = False
        self._changed = False
        """Whether something changed again since `_refresh` asked how it stands."""

    @property
    def is_idle(self) -> bool:
        """Whether nothing is known of the transfer, wanted or being done."""
        return self.participation is None and not self.wanted and not self.users

    @property
    def is_moving(self) -> bool:
        """Whether chunks of it come up, or are to go down."""
        return self.wanted or (self.receiver is not None and self.receiver.busy)

    async def attach(self) -> ParticipationRead:
        """Ask what the user is to the transfer, and remember it.

        Raises NotFound for strangers, RateLimited for one transfer too many, and Unavailable.
        """
        if self.participation is None:
            self._session.make_room()
        await self._connection.slow_down(_ATTACH_FRAMES)
        self.stale = False
        try:
            async with self._connection.costly():
                participation = await self._context.calls.attach(
                    self.transfer_id, self._session.caller
                )
        except BaseException:
            self.stale = True
            raise
        self._remember(participation)
        return participation

    async def receiver_for_chunks(self) -> ChunkReceiver:
        """Return what takes chunks from the client. Raises as `attach`."""
        if self.receiver is None or self.stale:
            participation = await self.attach()
            if self.receiver is None:
                return self._open_receiver(participation)
        return self.receiver

    def offered(self, participation: ParticipationRead) -> None:
        """The client has offered it: its chunks may come at once. Raises RateLimited."""
        self._know(participation)
        self._open_receiver(participation)

    def acknowledge(self, file: int, confirmed: Ranges, window_bytes: int | None) -> None:
        """The client holds chunks, and may grant another window."""
        delivery = self.delivery
        if delivery is not None:
            delivery.confirm(file, confirmed, window_bytes)
        if confirmed:
            urgent = delivery is not None and delivery.scheduler.finished
            self.reporter.received(file, confirmed, urgent=urgent)

    def forget(self) -> None:
        """Remember nothing; what was taken is stored and reported."""
        self.participation = None
        self.unfollow()
        if self.receiver is not None:
            self.receiver.close()
            self.receiver = None
        self._session.release(self)

    def _know(self, participation: ParticipationRead) -> None:
        if self.participation is None:
            self._session.make_room()
        self._remember(participation)

    def _remember(self, participation: ParticipationRead) -> None:
        if not self._session.closed:
            self.participation = participation
            if self.receiver is not None:
                self.receiver.participation = participation

    def _open_receiver(self, participation: ParticipationRead) -> ChunkReceiver:
        receiver = ChunkReceiver(
            self._context,
            self._connection,
            self.transfer_id,
            participation,
            self.reporter,
            semaphores=(self._session.unstored_bytes, self._context.node_bytes),
        )
        if not self._session.closed:
            self.receiver = receiver
        return receiver

    # --- what is pushed to the client ------------------------------------------------------------

    def expect(self) -> None:
        """Note from now on what is stored and changes, until `begin` or `expect_no_more`."""
        self._expected = _Expected()

    def expect_no_more(self) -> None:
        """Nothing came of it, or it has begun. Safe to repeat."""
        self._expected = None

    def begin(self, wish: TransferCommandFrame, participation: ParticipationRead | None) -> None:
        """Push from now on what is stored, beginning anew, in the way that is wished for.

        `participation` is how it stood when transfer answered, at some time since `expect`; None:
        ask.
        """
        expected, self._expected = self._expected or _Expected(), None
        self.stop_delivery()
        self.wanted, self._wish = True, wish
        if participation is None:
            self.refresh()
            return
        try:
            self._know(participation)
        except RateLimited as problem:
            self._give_up(problem)
            return
        self._follow(participation)
        if self.delivery is not None:
            for place in expected.stored:
                self.delivery.announce(place)
        if expected.changed or self._refreshing:
            self.refresh(after_seconds=_NEWS_SECONDS)

    def unfollow(self) -> None:
        """Push no more. Safe to repeat."""
        self.wanted = False
        self.stop_delivery()

    def stop_delivery(self) -> None:
        """Pause; that the client wants it is still known, and it can be taken up again."""
        if self.delivery is not None:
            self.delivery.stop()
            self.delivery = None

    def refresh(self, *, after_seconds: float = 0) -> None:
        """Find out how the transfer stands, and push or pause accordingly."""
        self._changed = True
        if self._expected is not None:
            self._expected.changed = True
        if self.wanted and not self._refreshing:
            self._refreshing = True
            self._session.start(self._refresh(after_seconds), "refresh-transfer")

    async def _refresh(self, after_seconds: float) -> None:
        try:
            await asyncio.sleep(after_seconds)
            while True:
                self._changed = False
                participation = await self._attach_patiently()
                if participation is None:
                    return
                if not self._changed:  # else the answer may be older than the change
                    self._follow(participation)
                    return
        finally:
            self._refreshing = False

    async def _attach_patiently(self) -> ParticipationRead | None:
        """Return how it stands; None where it is none of this user's, or can't be found out."""
        problem: Problem = Unavailable()
        for pause_seconds in _PAUSES_SECONDS:
            try:
                return await self.attach()
            except Unavailable as away:
                problem = away
                await asyncio.sleep(pause_seconds)
            except Problem as refused:
                problem = refused
                break
        self._give_up(problem)
        return None

    def _give_up(self, problem: Problem) -> None:
        """Push nothing until the client asks again; it gets an error where that may help."""
        told = problem.status in RETRYABLE
        write = log.warning if told else log.debug
        write("transfer_not_followed", transfer_id=str(self.transfer_id), code=problem.slug)
        self.forget()
        if told and not self._session.closed:
            message = f"{problem.detail or problem.title}: transfer_resume later"
            error = ChunkError(self.transfer_id, problem.slug, message, retryable=True)
            self._connection.send_text(encode_frame(error))

    def _follow(self, participation: ParticipationRead) -> None:
        if participation.role == "sender" or participation.state in OVER:
            self.unfollow()
        elif participation.state not in DELIVERING:
            self.stop_delivery()
        elif self.wanted and self.delivery is None and self._wish is not None:
            self.delivery = Delivery(
                self._context,
                self._connection,
                self.transfer_id,
                participation,
                window_bytes=bounded_window(self._wish.window, participation.window_bytes),
                as_json=self._wish.encoding == "json",
                on_finished=self._finished,
                on_gone=self.refresh,
            )
            self.delivery.start()

    def _finished(self, delivery: Delivery) -> None:
        if self.delivery is delivery:
            self.delivery = None
            self.wanted = False

    # --- what happens to the transfer ------------------------------------------------------------

    def takers(self, place: Place) -> int:
        delivering = self.delivery is not None and self.delivery.takes_fresh(place)
        return delivering + (self._expected is not None)

    def chunk_stored(self, place: Place) -> None:
        if self._expected is not None and len(self._expected.stored) < _EXPECTED_CHUNKS:
            self._expected.stored.add(place)
        if self.delivery is not None:
            self.delivery.announce(place)

    def transfer_changed(self) -> None:
        self.stale = True
        self.refresh()


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
