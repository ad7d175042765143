"""What the engine itself answers: tokens, catching up, pings, and commands for chat."""

import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Final
from uuid import UUID

from sharezync_gateway.realtime.commands import send_outcome
from sharezync_gateway.realtime.connection import Connection
from sharezync_gateway.realtime.context import SocketContext
from sharezync_gateway.realtime.opening import ConnectionOpener, SocketRefused
from sharezync_gateway.realtime.protocol import (
    Authenticate,
    CloseCode,
    Cursor,
    FrameHead,
    FrameId,
    MarkRead,
    Ping,
    Pong,
    Replay,
    Resume,
    SendMessage,
    check_cursors,
    read_body,
    size_in_utf8,
)
from sharezync_shared.contracts.commands import Command, CommandResult
from sharezync_shared.ids import DeviceId
from sharezync_shared.problems import NotFound, RateLimited
from sharezync_shared.tracing.context import current_trace
from sharezync_shared.tracing.spans import SpanKind, TraceSpan, span

_REPLAYS_FOR_A_COMMAND: Final = 20
"""Streams that are caught up with for the price of one command: each is a call to a service. After
a drop a client may be behind on all of its own, once."""
_HEADS_FOR_A_COMMAND: Final = 50
"""Heads in one `pong` for the price of one command: some three kilobytes."""
_COMMANDS: Final[dict[str, type[SendMessage | MarkRead]]] = {
    "send_message": SendMessage,
    "mark_read": MarkRead,
}
"""What chat carries out, by type of frame."""
ANSWERED_LATER: Final = frozenset(_COMMANDS)
"""Types of frames whose handler returns before they are answered, and counts them itself then."""

Handler = Callable[[Connection, FrameHead, str], Awaitable[None]]
"""Acts on one text frame, given its connection, its head and its text.

May raise Problem or BadFrame, which the client gets as `error`. The next frame of the connection
is read when it returns.
"""
BinaryHandler = Callable[[Connection, bytes], Awaitable[None]]
"""Acts on one binary frame, as `Handler`."""


def command_span(kind: str) -> TraceSpan:
    """Return the span of acting on a frame of this type, begun."""
    return span(kind, SpanKind.SERVER, {"network.protocol.name": "websocket", "rpc.method": kind})


class OwnHandlers:
    """The handlers by frame type, in `table`."""

    def __init__(self, context: SocketContext, opener: ConnectionOpener) -> None:
        self._context = context
        self._tracker = context.membership.tracker
        self._opener = opener
        self.table: Mapping[str, Handler] = {
            "authenticate": self._authenticate,
            "resume": self._resume,
            "replay": self._replay,
            "ping": self._ping,
            "pong": self._nothing,
            **dict.fromkeys(_COMMANDS, self._submit),
        }

    async def _authenticate(self, connection: Connection, head: FrameHead, text: str) -> None:
        """A fresh token of the same user lengthens the socket's life."""
        frame = read_body(text, Authenticate, head.id)
        check_cursors(frame.cursors, head.id)
        try:
            identity = await self._opener.identify(frame.token)
        except SocketRefused as refused:
            connection.close(refused.code, refused.reason)
            return
        if connection.closed:
            return
        if identity.user_id != connection.identity.user_id:
            connection.close(CloseCode.BAD_TOKEN, "the token is somebody else's")
            return
        session_before = connection.session_id
        self._context.hub.remove_session(connection)
        connection.identify(identity, self._context.limits.token_grace_seconds)
        self._context.hub.add_session(connection)
        if connection.session_id != session_before:
            self._context.devices.register_soon(connection)
        connection.reply(head.id, {"expires_at": identity.expires_at})
        if frame.cursors:
            await self._catch_up(connection, frame.cursors, None)

    async def _resume(self, connection: Connection, head: FrameHead, text: str) -> None:
        frame = read_body(text, Resume, head.id)
        await self._catch_up(connection, frame.cursors, head.id)

    async def _replay(self, connection: Connection, head: FrameHead, text: str) -> None:
        frame = read_body(text, Replay, head.id)
        position = self._tracker.position(frame.stream)
        epoch = frame.epoch if frame.epoch is not None else position[0] if position else ""
        await self._catch_up(connection, {frame.stream: (epoch, frame.after)}, head.id)

    async def _catch_up(
        self, connection: Connection, cursors: dict[str, Cursor], frame_id: FrameId
    ) -> None:
        check_cursors(cursors, frame_id)
        resumption = self._context.resumer.begin(connection, cursors)
        connection.charge(len(resumption.behind) / _REPLAYS_FOR_A_COMMAND)
        await self._context.resumer.finish(connection, resumption, frame_id)

    async def _ping(self, connection: Connection, head: FrameHead, text: str) -> None:
        frame = read_body(text, Ping, head.id)
        heads: dict[str, Cursor] | None = None
        if frame.heads:
            connection.charge(len(connection.streams) / _HEADS_FOR_A_COMMAND)
            positions = ((s, self._tracker.position(s)) for s in connection.streams)
            heads = {stream: position for stream, position in positions if position is not None}
        connection.send(Pong(head.id, heads, frame.timestamp))

    async def _nothing(self, connection: Connection, head: FrameHead, text: str) -> None:
        """That it came is all there is to it."""

    async def _submit(self, connection: Connection, head: FrameHead, text: str) -> None:
        """Pass a command on; the next frame is read without waiting for what becomes of it."""
        data = read_body(text, _COMMANDS[head.type], head.id)
        if not connection.follows(f"channel:{data.channel_id}"):
            raise NotFound("This connection is for a single channel")
        if connection.commands_in_flight >= self._context.limits.max_commands_in_flight:
            raise RateLimited("Too many commands are waiting", retry_after_seconds=0.5)
        began = time.perf_counter()
        connection.commands_in_flight += 1
        device_id = DeviceId(UUID(connection.device)) if connection.device else None
        told = command_span(head.type)
        trace = told.context or current_trace.get()
        command = Command(
            connection.identity.user_id,
            head.type,
            data,
            device_id,
            trace.traceparent if trace is not None else None,
        )

        def answer(outcome: CommandResult) -> None:
            if outcome.problem is not None and outcome.problem.status >= 500:
                told.fail(outcome.problem.code)
            told.end()
            connection.commands_in_flight -= 1
            status = 200 if outcome.problem is None else outcome.problem.status
            self._context.metrics.answered(head.type, status, began)
            send_outcome(connection, head.id, outcome)

        self._context.commands.submit(command, size_in_utf8(text), answer)
