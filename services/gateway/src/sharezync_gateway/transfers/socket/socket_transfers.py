"""Transfers on this node's sockets: the handlers of their frames, and the engine that has them."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from uuid import UUID

from sharezync_gateway.realtime.connection import Connection
from sharezync_gateway.realtime.engine import RealtimeEngine
from sharezync_gateway.realtime.handlers import Handler
from sharezync_gateway.realtime.protocol import RETRYABLE, BadFrame, FrameHead, FrameId, read_body
from sharezync_gateway.realtime.service_calls import ServiceCalls
from sharezync_gateway.realtime.socket_limits import SocketLimits
from sharezync_gateway.transfers.context import PAUSED_SECONDS, TransferContext
from sharezync_gateway.transfers.core.calls import TransferCalls
from sharezync_gateway.transfers.core.chunk_store import ChunkStore
from sharezync_gateway.transfers.core.chunks import (
    Chunk,
    decode_frame,
    decode_json,
    read_transfer_id,
)
from sharezync_gateway.transfers.socket.chunk_receiver import send_refusal
from sharezync_gateway.transfers.socket.commands import submit_command
from sharezync_gateway.transfers.socket.frames import COMMANDS, ReceiverAck, bounded_window
from sharezync_gateway.transfers.socket.sessions import TransferSession
from sharezync_shared.calls.transports import PlainTransport
from sharezync_shared.contracts.chat import ChatClient
from sharezync_shared.contracts.services import Services
from sharezync_shared.contracts.transfer import ParticipationRead
from sharezync_shared.platform import Platform
from sharezync_shared.problems import Forbidden, NotFound, Problem
from sharezync_shared.ranges import Ranges
from sharezync_shared.tokens.verifier import Revocations, TokenVerifier


class SocketTransfers:
    """What the socket engine is given: `handlers` and `take_binary`.

    `start` before the engine; `close` after it, when no socket is open any more.
    """

    def __init__(self, context: TransferContext) -> None:
        self._context = context
        self._sessions: dict[Connection, TransferSession] = {}
        self._refreshing: asyncio.Task[None] | None = None
        self.handlers: Mapping[str, Handler] = {
            **dict.fromkeys(COMMANDS, self._command),
            "file_chunk": self._json_chunk,
            "chunk_ack": self._ack,
        }

    def start(self) -> None:
        """Begin to look at what is paused."""
        self._refreshing = self._context.tasks.start(self._refresh_paused(), "refresh-paused")

    def close(self) -> None:
        """Let go of every connection."""
        if self._refreshing is not None:
            self._refreshing.cancel()
        for connection in list(self._sessions):
            self._closed(connection)

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
            session = self._session(connection)
            transfer = session.transfers.get(transfer_id)
            if transfer is not None and transfer.receiver is not None and not transfer.stale:
                receiver = transfer.receiver
            else:
                with session.using(transfer_id) as transfer:
                    receiver = await transfer.receiver_for_chunks()
        except Problem as problem:
            # Each asks transfer anew: who goes on with what is none of theirs is flooding.
            now = asyncio.get_running_loop().time()
            if problem.status in RETRYABLE or connection.admit(None, now):
                self._refuse(connection, read(), problem)
        else:
            await receiver.receive(read())

    def _refuse(self, connection: Connection, chunk: Chunk, problem: Problem) -> None:
        self._context.metrics.refused.labels(problem.slug).inc()
        reason = problem.detail or problem.title
        retryable = problem.status in RETRYABLE
        send_refusal(connection, chunk, problem.slug, reason, retryable=retryable)

    async def _command(self, connection: Connection, head: FrameHead, text: str) -> None:
        submit_command(self._session(connection), head, text)

    async def _ack(self, connection: Connection, head: FrameHead, text: str) -> None:
        ack = read_body(text, ReceiverAck, head.id)
        with self._session(connection).using(ack.transfer_id) as transfer:
            participation = transfer.participation
            if participation is None or ack.file not in participation.shapes:
                participation = await transfer.attach()
            if participation.role != "recipient":
                raise Forbidden("Only recipients can acknowledge chunks")
            confirmed = _confirmed(ack, participation, head.id)
            window = None if ack.window is None else bounded_window(ack.window, 0)
            transfer.acknowledge(ack.file, confirmed, window)

    def _session(self, connection: Connection) -> TransferSession:
        """Return what this connection has to do with transfers. Raises NotFound."""
        if connection.channel is not None:
            raise NotFound("This connection is for a single channel")
        session = self._sessions.get(connection)
        if session is None:
            session = self._sessions[connection] = TransferSession(self._context, connection)
            connection.on_close(self._closed)
        return session

    def _closed(self, connection: Connection) -> None:
        session = self._sessions.pop(connection, None)
        if session is not None:
            session.close()

    async def _refresh_paused(self, every_seconds: float = PAUSED_SECONDS) -> None:
        while True:
            await asyncio.sleep(every_seconds)
            for session in self._sessions.values():
                for transfer in session.transfers.values():
                    if transfer.wanted and transfer.delivery is None:
                        transfer.refresh()


def _confirmed(ack: ReceiverAck, participation: ParticipationRead, frame_id: FrameId) -> Ranges:
    """Return which chunks an acknowledgement is about. Raises BadFrame."""
    shape = participation.shapes.get(ack.file)
    if shape is None:
        raise BadFrame("chunk-outside", "The file doesn't exist or wasn't accepted", frame_id)
    if max([ack.next, *(index + 1 for index in ack.indexes)]) > shape.chunk_count:
        raise BadFrame("chunk-outside", f"There are {shape.chunk_count} chunks", frame_id)
    pairs: Sequence[tuple[int, int]] = [(0, ack.next - 1)] if ack.next else []
    return Ranges([*pairs, *((index, index) for index in ack.indexes)])


class EngineWithTransfers(RealtimeEngine):
    """A `RealtimeEngine` that moves chunks.

    `store` and `commands`, the way of commands to chat, are started and closed here. `commands`
    None: they go the way of all other calls.
    """

    def __init__(
        self,
        *,
        limits: SocketLimits,
        platform: Platform,
        verifier: TokenVerifier,
        revocations: Revocations,
        store: ChunkStore,
        commands: PlainTransport | None = None,
    ) -> None:
        services = Services.from_platform(platform)
        self.transfers = TransferContext(
            bus=platform.bus, registry=platform.registry, store=store, calls=TransferCalls(services)
        )
        self._socket_transfers = SocketTransfers(self.transfers)
        self._chat_transport = commands
        chat = ChatClient(commands, platform.credentials) if commands else None
        super().__init__(
            limits=limits,
            bus=platform.bus,
            registry=platform.registry,
            tracing=platform.tracing,
            verifier=verifier,
            revocations=revocations,
            calls=ServiceCalls(services, chat),
            handlers=self._socket_transfers.handlers,
            binary_handler=self._socket_transfers.take_binary,
            chunk_handler=self.transfers.take_notice,
        )

    async def start(self) -> None:
        """Begin to listen to the bus, which is started afterwards."""
        await self.transfers.start()
        self._socket_transfers.start()
        if self._chat_transport is not None:
            await self._chat_transport.start()
        await super().start()

    async def aclose(self) -> None:
        """Stop everything; sockets that are still open are closed."""
        await super().aclose()
        if self._chat_transport is not None:
            await self._chat_transport.aclose()
        self._socket_transfers.close()
        await self.transfers.aclose()
