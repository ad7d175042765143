"""Transfers on this node's sockets: who sends, who receives, and what goes between them."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Final, Protocol
from uuid import UUID

from prometheus_client import CollectorRegistry

from sharezync_gateway.realtime.commands import RETRYABLE
from sharezync_gateway.realtime.connection import Connection
from sharezync_gateway.realtime.handlers import Handler
from sharezync_gateway.realtime.protocol import BadFrame, FrameHead, FrameId, read_body
from sharezync_gateway.realtime.transfer.byte_semaphore import ByteSemaphore
from sharezync_gateway.realtime.transfer.calls import TransferCalls
from sharezync_gateway.realtime.transfer.chunk_cache import ChunkCache
from sharezync_gateway.realtime.transfer.chunk_receiver import ChunkReceiver
from sharezync_gateway.realtime.transfer.chunk_store import ChunkRefused, ChunkStore
from sharezync_gateway.realtime.transfer.chunks import (
    Chunk,
    decode_frame,
    decode_json,
    read_transfer_id,
)
from sharezync_gateway.realtime.transfer.context import TransferContext
from sharezync_gateway.realtime.transfer.delivery import STALL_SECONDS
from sharezync_gateway.realtime.transfer.delivery_coordinator import DeliveryCoordinator
from sharezync_gateway.realtime.transfer.followers import Followers
from sharezync_gateway.realtime.transfer.frames import (
    COMMANDS,
    ChunkError,
    ReceiverAck,
    bounded_window,
    encode_frame,
)
from sharezync_gateway.realtime.transfer.metrics import TransferMetrics
from sharezync_gateway.realtime.transfer.notices import Notices
from sharezync_gateway.realtime.transfer.reports import Reporter
from sharezync_gateway.realtime.transfer.sessions import TransferSession, TransferSessionIndex
from sharezync_gateway.realtime.transfer.storing import put_patiently
from sharezync_gateway.realtime.transfer.task_supervisor import TaskSupervisor
from sharezync_gateway.realtime.transfer.transfer_commands import TransferCommands
from sharezync_shared.contracts.storage import ChunkStored
from sharezync_shared.contracts.transfer import ParticipationRead
from sharezync_shared.events.bus import Bus
from sharezync_shared.problems import Forbidden, NotFound, Problem, RateLimited
from sharezync_shared.ranges import Ranges
from sharezync_shared.streams.frames import Frame

NODE_BYTES: Final = 128 * 1024 * 1024
"""Of chunks that came up and are not stored yet, on the whole node; who brings more must wait."""
_LAST_WORDS_SECONDS: Final = 3.0


class TransferDependencies(Protocol):
    """The part of `Platform` that transfers stand on."""

    @property
    def bus(self) -> Bus: ...
    @property
    def registry(self) -> CollectorRegistry: ...


class Transfers:
    """What the socket engine is given: `handlers`, `take_binary` and `take_notice`.

    `start` before the engine; `aclose` after it, when no socket is open any more.
    """

    def __init__(
        self,
        *,
        platform: TransferDependencies,
        store: ChunkStore,
        calls: TransferCalls,
        stall_seconds: float = STALL_SECONDS,
    ) -> None:
        self._store = store
        self._calls = calls
        self._metrics = TransferMetrics(platform.registry)
        self._notices = Notices(platform.bus)
        self._fresh = ChunkCache()
        self._followers = Followers()
        self._on_change: list[Callable[[UUID], None]] = []
        self._gate = ByteSemaphore(NODE_BYTES)
        self._directory = TransferSessionIndex()
        self._ends: dict[Connection, TransferSession] = {}
        self._crew = TaskSupervisor()
        self._following = DeliveryCoordinator(
            store=store,
            calls=calls,
            crew=self._crew,
            fresh=self._fresh,
            metrics=self._metrics,
            stall_seconds=stall_seconds,
        )
        self.commons = TransferContext(
            store, calls, self._crew, self._fresh, self._followers, self._metrics
        )
        self._looking: asyncio.Task[None] | None = None
        self._commanding = TransferCommands(calls, self._crew, self._following, self._started)
        self.handlers: Mapping[str, Handler] = {
            **dict.fromkeys(COMMANDS, self._command),
            "file_chunk": self._json_chunk,
            "chunk_ack": self._ack,
        }

    async def start(self) -> None:
        """Make ready to move chunks."""
        await self._store.start()
        self._looking = self._crew.start(self._following.look_at_resting(), "look-at-resting")

    async def aclose(self) -> None:
        """Stop; what was taken gets a moment to be stored and reported."""
        if self._looking is not None:
            self._looking.cancel()
        for connection in list(self._ends):
            self._gone(connection)
        await self._crew.wind_down(_LAST_WORDS_SECONDS)
        await self._notices.aclose()
        await self._store.aclose()

    # --- from clients --------------------------------------------------------------------------

    async def take_binary(self, connection: Connection, frame: bytes) -> None:
        """Take a chunk in a binary frame. Raises BadFrame for what is none."""
        chunk = decode_frame(frame)
        await self._take(connection, chunk.transfer_id, lambda: chunk)

    async def _json_chunk(self, connection: Connection, head: FrameHead, text: str) -> None:
        # Decoded when it can be taken: while transfer is asked, a megabyte would be held twice.
        await self._take(connection, read_transfer_id(head), lambda: decode_json(text))

    async def _take(
        self, connection: Connection, transfer_id: UUID, read: Callable[[], Chunk]
    ) -> None:
        try:
            intake = await self._intake(connection, transfer_id)
        except Problem as problem:
            # Each asks transfer anew: who goes on with what is none of theirs is flooding.
            if problem.status in RETRYABLE or _may(connection):
                self._refuse(connection, read(), problem)
        else:
            await intake.receive(read())

    async def _command(self, connection: Connection, head: FrameHead, text: str) -> None:
        self._commanding.submit(self._ends_of(connection), head, text)

    async def _ack(self, connection: Connection, head: FrameHead, text: str) -> None:
        ack = read_body(text, ReceiverAck, head.id)
        ends = self._ends_of(connection)
        attachment = ends.attachments.get(ack.transfer_id)
        if attachment is None or ack.file not in attachment.shapes:
            attachment = await ends.attach(ack.transfer_id)
        if attachment.role != "recipient":
            raise Forbidden("Only recipients can acknowledge chunks")
        held = _held(ack, attachment, head.id)
        delivery = ends.deliveries.get(ack.transfer_id)
        if delivery is not None:
            window = None if ack.window is None else bounded_window(ack.window, 0)
            delivery.confirm(ack.file, held, window)
        finished = delivery is not None and delivery.agenda.finished
        if held:
            ends.reporter(ack.transfer_id).received(ack.file, held, urgent=finished)

    async def _intake(self, connection: Connection, transfer_id: UUID) -> ChunkReceiver:
        """Return who takes chunks of a transfer from this connection. Raises Problem."""
        ends = self._ends_of(connection)
        intake = ends.intakes.get(transfer_id)
        if intake is not None and not intake.stale:
            return intake
        attachment = await ends.attach(transfer_id)
        if intake is not None:
            intake.renew(attachment)
            return intake
        return self._open_intake(ends, transfer_id, attachment)

    def _started(self, ends: TransferSession, attachment: ParticipationRead) -> None:
        """An offer was made here: its chunks may come at once."""
        transfer_id = attachment.transfer.id
        if transfer_id not in ends.intakes:
            with suppress(RateLimited):  # then its first chunk is told so
                ends.know(transfer_id, attachment)
                self._open_intake(ends, transfer_id, attachment)

    def _open_intake(
        self, ends: TransferSession, transfer_id: UUID, attachment: ParticipationRead
    ) -> ChunkReceiver:
        """Return who takes chunks of a transfer from now on."""
        intake = ends.intakes[transfer_id] = ChunkReceiver(
            ends.connection,
            transfer_id,
            attachment,
            store=self._store,
            crew=self._crew,
            gates=(ends.gate, self._gate),
            reporter=ends.reporter(transfer_id),
            metrics=self._metrics,
            on_stored=self._stored,
        )
        return intake

    def _refuse(self, connection: Connection, chunk: Chunk, problem: Problem) -> None:
        self._metrics.refused.labels(problem.slug).inc()
        error = ChunkError.at_place(
            chunk.transfer_id,
            problem.slug,
            problem.detail or problem.title,
            place=chunk.place,
            retryable=problem.status in RETRYABLE,
        )
        connection.send_text(encode_frame(error))

    # --- over HTTP -----------------------------------------------------------------------------

    async def keep(self, chunk: Chunk, upload_id: UUID, reporter: Reporter) -> ChunkStored:
        """Have a chunk stored that came in a request; all hear of it that would of a socket's.

        Raises ChunkRefused and StoreAway.
        """
        length = len(chunk.payload)
        await self._gate.enter(length)
        try:
            stored = await put_patiently(self._store, upload_id, chunk)
        except ChunkRefused as refusal:
            self._metrics.refused.labels(refusal.code).inc()
            raise
        finally:
            self._gate.leave(length)
        self._metrics.stored_bytes.inc(length)
        self._stored(chunk, upload_id)
        reporter.stored(chunk.file, stored.stored_bytes)
        return stored

    def when_changed(self, callback: Callable[[UUID], None]) -> None:
        """Have `callback` called with each transfer of which it is heard that it has changed."""
        self._on_change.append(callback)

    # --- what is stored ------------------------------------------------------------------------

    def _stored(self, chunk: Chunk, upload_id: UUID) -> None:
        """A chunk was stored here: hand it to who waits for it here, and tell the other nodes."""
        waiting = list(self._directory.deliveries(chunk.transfer_id))
        followers = self._followers.for_transfer(chunk.transfer_id)
        takers = sum(delivery.takes_fresh for delivery in waiting)
        takers += sum(each.takes_fresh(chunk.file, chunk.index) for each in followers)
        takers += self._following.announce(chunk.transfer_id, chunk.file, chunk.index)
        self._fresh.put((upload_id, chunk.index), chunk.frame, takers)
        for delivery in waiting:
            delivery.announce(chunk.file, chunk.index)
        for follower in followers:
            follower.announce(chunk.file, chunk.index)
        self._notices.chunk_stored(chunk)

    def take_notice(self, frame: Frame) -> None:
        """Heed a frame of `transfer:<id>`: a chunk was stored, or the transfer has changed."""
        notice = self._notices.read(frame)
        if notice is None:
            return
        followers = self._followers.for_transfer(notice.transfer_id)
        if notice.place is not None:
            self._following.announce(notice.transfer_id, *notice.place)
            for delivery in self._directory.deliveries(notice.transfer_id):
                delivery.announce(*notice.place)
            for follower in followers:
                follower.announce(*notice.place)
            return
        for callback in self._on_change:
            callback(notice.transfer_id)
        for follower in followers:
            follower.changed()
        for ends in self._directory.sessions_of(notice.transfer_id):
            intake = ends.intakes.get(notice.transfer_id)
            if intake is not None:
                intake.stale = True
            self._following.look_again(ends, notice.transfer_id)

    # --- connections ---------------------------------------------------------------------------

    def _ends_of(self, connection: Connection) -> TransferSession:
        """Return what this connection has to do with transfers. Raises NotFound."""
        if connection.channel is not None:
            raise NotFound("This connection is for a single channel")
        ends = self._ends.get(connection)
        if ends is None:
            ends = self._ends[connection] = TransferSession(
                connection, self._calls, self._crew, self._directory
            )
            connection.on_close(self._gone)
        return ends

    def _gone(self, connection: Connection) -> None:
        ends = self._ends.pop(connection, None)
        if ends is not None:
            ends.close()


def _may(connection: Connection) -> bool:
    return connection.admit(None, asyncio.get_running_loop().time())


def _held(ack: ReceiverAck, attachment: ParticipationRead, frame_id: FrameId) -> Ranges:
    """Return which chunks an acknowledgement is about. Raises BadFrame."""
    shape = attachment.shapes.get(ack.file)
    if shape is None:
        raise BadFrame("chunk-outside", "The file doesn't exist or wasn't accepted", frame_id)
    if max([ack.next, *(index + 1 for index in ack.indexes)]) > shape.chunk_count:
        raise BadFrame("chunk-outside", f"There are {shape.chunk_count} chunks", frame_id)
    pairs: Sequence[tuple[int, int]] = [(0, ack.next - 1)] if ack.next else []
    return Ranges([*pairs, *((index, index) for index in ack.indexes)])
