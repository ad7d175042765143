"""The life of one connection: handshake, `hello`, token, `ready`, frames, end.

Everything a socket asks for comes through here; what it gets from its streams does not.
"""

import asyncio
import random
import time
from collections.abc import Mapping
from typing import Final

import structlog
from starlette.types import Message, Receive, Scope, Send

from sharezync_gateway.realtime.admission import Slot
from sharezync_gateway.realtime.budget import BULK_FRAMES, COSTLY_BYTES, Budget
from sharezync_gateway.realtime.connection import Connection
from sharezync_gateway.realtime.context import SocketContext
from sharezync_gateway.realtime.handlers import (
    ANSWERED_LATER,
    BinaryHandler,
    Handler,
    command_span,
)
from sharezync_gateway.realtime.handshake import Handshake, read_handshake, refuse_handshake
from sharezync_gateway.realtime.metrics import UNKNOWN_TYPE
from sharezync_gateway.realtime.opening import ClientLeft, ConnectionOpener, SocketRefused
from sharezync_gateway.realtime.protocol import (
    BULKY_TYPE,
    MAX_BINARY_BYTES,
    MAX_TEXT_BYTES,
    AnnouncedLimits,
    BadFrame,
    Bye,
    CloseCode,
    FrameHead,
    FrameId,
    Hello,
    read_head,
    size_in_utf8,
)
from sharezync_shared.addresses import UNKNOWN
from sharezync_shared.ids import uuid7
from sharezync_shared.problems import InternalError, Problem, Unavailable
from sharezync_shared.server import frame_port
from sharezync_shared.tracing.context import TraceContext, current_trace
from sharezync_shared.tracing.spans import NO_SPAN

log = structlog.get_logger()

_UNMETERED: Final = frozenset({BULKY_TYPE, "chunk_ack"})
"""Types of frames that have a credit of their own: they are waited with, and refused only for what
they say."""
_WEIGHTLESS: Final = frozenset({BULKY_TYPE, "send_message"})
"""Types of frames whose length is one string that nobody here looks into."""
_COMMAND_BYTES: Final = 1024
"""What a command may say; each further so many count as one more: lists are work to read."""
_PIECE_BYTES: Final = 64 * 1024
"""Of a chunk in JSON: each further so many count as one frame more. Base64 is work to read."""
_SPREAD: Final = 0.8
"""The share of the drain's time over which `bye`s are spread; the rest is for their answers."""


class SocketHandler:
    """Leads the connections of this node through their lives."""

    def __init__(
        self,
        context: SocketContext,
        opener: ConnectionOpener,
        handlers: Mapping[str, Handler],
        binary_handler: BinaryHandler | None,
    ) -> None:
        self._context = context
        self._opener = opener
        self._handlers = handlers
        self._binary_handler = binary_handler
        self.open: set[Connection] = set()
        """Every accepted socket, those without a token included."""
        self.leaving = False

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one WebSocket from its handshake to its end.

        Empties the lists of headers and subprotocols in `scope`: the socket lives long, they are
        large, and hold a token.
        """
        try:
            handshake, slot = await self._admit(scope)
        except Problem as problem:
            await refuse_handshake(scope, receive, send, problem)
            return
        try:
            connection = await self._accept(scope, receive, send, handshake)
            self.open.add(connection)
            code = 1006
            try:
                message = await self._enter(connection, handshake, slot, receive)
                if not connection.closed:
                    log.info("connected", **_who(connection))
                del handshake  # as the headers
                code = await self._listen(connection, receive, message)
            except ClientLeft as gone:
                code = gone.code
            finally:
                self.open.discard(connection)
                connection.end()
                if connection.user_id:
                    code_of_end = connection.close_code or code
                    log.debug("disconnected", **_who(connection), code=code_of_end)
                self._context.metrics.closed(connection.close_code or code)
        finally:
            slot.leave()

    def sweep(self) -> None:
        """Close what has outlived its token, and sample what waits to be sent. Once a second."""
        now = time.time()
        over = [connection for connection in self.open if connection.ends_at <= now]
        for connection in over:
            connection.close(CloseCode.BAD_TOKEN, "the token has run out")
        loop_now = asyncio.get_running_loop().time()
        self._context.admission.sweep(loop_now)
        self._context.budgets.sweep(loop_now, self._context.hub.users.__contains__)
        self._context.metrics.queue_bytes.set(sum(c.buffered_bytes for c in self.open))
        self._context.metrics.connections.set(len(self._context.hub.connections))

    async def drain(self, seconds: float) -> None:
        """Take no more sockets; close those there are with `bye`, spread over most of `seconds`.

        Each `bye` asks its client to come back at once, give or take a second: they are spread
        already. Returns when all have gone, or when the time is over.
        """
        self.leaving = True
        loop = asyncio.get_running_loop()
        started = loop.time()
        waiting = list(self.open)
        random.shuffle(waiting)
        for number, connection in enumerate(waiting):
            due = started + seconds * _SPREAD * number / len(waiting)
            if (pause := due - loop.time()) > 0.01:
                await asyncio.sleep(pause)
            after_ms = random.randrange(1000)  # noqa: S311 - to spread load, no secret
            last = Bye(CloseCode.GOING_AWAY, resume=True, after_ms=after_ms)
            connection.close(CloseCode.GOING_AWAY, "going away", last=last)
        while self.open and loop.time() < started + seconds:  # noqa: ASYNC110 - no event says so
            await asyncio.sleep(0.02)

    def close_all(self) -> None:
        for connection in list(self.open):
            connection.close(CloseCode.GOING_AWAY, "going away")

    async def _admit(self, scope: Scope) -> tuple[Handshake, Slot]:
        """Return what is asked for, and a place; raises Problem where there is none."""
        if self.leaving:
            raise Unavailable("The server is shutting down; try again", retry_after_seconds=1)
        limits = self._context.limits
        handshake = read_handshake(
            scope, origins=limits.origins, allow_query_token=limits.allow_query_token
        )
        # Known before it is accepted: who has a token does not queue with those who have none.
        handshake = await self._opener.examine(handshake)
        address = (scope.get("client") or (UNKNOWN, 0))[0]
        known = handshake.identity is not None
        return handshake, self._context.admission.admit(address, authenticated=known)

    async def _accept(
        self, scope: Scope, receive: Receive, send: Send, handshake: Handshake
    ) -> Connection:
        for holds_token in (scope["headers"], scope.get("subprotocols")):
            if isinstance(holds_token, list):
                holds_token.clear()
        await receive()  # websocket.connect
        await send({"type": "websocket.accept", "subprotocol": handshake.subprotocol})
        limits = self._context.limits
        now = asyncio.get_running_loop().time()
        port = frame_port(scope)
        if handshake.identity is None:
            port.limit_messages(MAX_TEXT_BYTES)
        return Connection(
            port=port,
            id=uuid7().hex,
            client_id=handshake.client_id,
            channel=handshake.channel,
            budget=Budget(limits.commands_per_second, limits.commands_burst, now),
            on_closing=self._context.hub.remove,
        )

    async def _enter(
        self, connection: Connection, handshake: Handshake, slot: Slot, receive: Receive
    ) -> Message | None:
        """Say hello and bring the connection in, or close it. Raises ClientLeft."""
        limits = AnnouncedLimits(commands_per_second=self._context.limits.commands_per_second)
        connection.send(Hello(connection.id, self._context.limits.ping_seconds, limits))
        try:
            return await self._opener.enter(connection, handshake, slot, receive)
        except SocketRefused as refused:
            connection.close(refused.code, refused.reason, last=refused.last)
        except ClientLeft:
            raise
        except Exception:  # boundary: a socket is never left hanging
            log.exception("socket_not_started", conn_id=connection.id)
            connection.close(CloseCode.TRY_LATER, "something went wrong on our side")
        finally:
            self._context.metrics.connections.set(len(self._context.hub.connections))
        return None

    async def _listen(
        self, connection: Connection, receive: Receive, message: Message | None
    ) -> int:
        """Act on messages until the end; return the close code of the side that closed first."""
        while True:
            message = message or await receive()
            if message["type"] == "websocket.disconnect":
                return int(message.get("code") or 1005)
            if not connection.closed:
                await self._take(connection, message)
            message = None

    async def _take(self, connection: Connection, message: Message) -> None:
        text: str | None = message.get("text")
        try:
            if text is None:
                await self._take_binary(connection, message["bytes"])
            else:
                await self._take_text(connection, text)
        except BadFrame as error:
            connection.refuse(error.frame_id, error)
        except Exception:  # boundary: one frame's trouble is not the socket's
            log.exception("frame_failed", conn_id=connection.id)
            connection.refuse(None, InternalError())

    async def _take_text(self, connection: Connection, text: str) -> None:
        began = time.perf_counter()
        # In characters first: none has fewer bytes than characters.
        too_long = len(text) > MAX_TEXT_BYTES or size_in_utf8(text) > MAX_TEXT_BYTES
        try:
            head = await _read_head(connection, text)
        except BadFrame:
            if too_long:
                connection.close(CloseCode.TOO_BIG, "too big")
            elif _may(connection, None):
                raise
            return
        if too_long and head.type != BULKY_TYPE:
            connection.close(CloseCode.TOO_BIG, "too big")
            return
        handler = self._handlers.get(head.type)
        metered = handler is None or head.type not in _UNMETERED
        if not await _may_go_on(connection, head, len(text), metered=metered):
            self._context.metrics.answered(head.type if handler else UNKNOWN_TYPE, 429, began)
            return
        if handler is None:
            self._context.metrics.answered(UNKNOWN_TYPE, 400, began)
            raise BadFrame("unknown-type", f"{head.type[:64]!r} is not a type of frame", head.id)
        await self._act(handler, connection, head, text, metered=metered, began=began)

    async def _act(
        self,
        handler: Handler,
        connection: Connection,
        head: FrameHead,
        text: str,
        *,
        metered: bool,
        began: float,
    ) -> None:
        """Have a frame acted on, refuse it where that is the answer, and count it."""
        status = 200
        trace = self._context.tracing.admit(head.trace)
        try:
            if trace is None:
                await handler(connection, head, text)
            else:
                await _act_in(trace, handler, connection, head, text)
        except (Problem, BadFrame) as refusal:
            status = 400 if isinstance(refusal, BadFrame) else refusal.status
            if metered or _may(connection, head.id):
                connection.refuse(head.id, refusal)
        except Exception:
            self._context.metrics.answered(head.type, 500, began)
            raise
        if status != 200 or head.type not in ANSWERED_LATER:
            self._context.metrics.answered(head.type, status, began)

    async def _take_binary(self, connection: Connection, data: bytes) -> None:
        if len(data) > MAX_BINARY_BYTES:
            connection.close(CloseCode.TOO_BIG, "too big")
            return
        await connection.slow_down(1)
        if connection.closed:
            return
        try:
            if self._binary_handler is None:
                raise BadFrame("unsupported", "Binary frames aren't supported on this connection")
            await self._binary_handler(connection, data)
        except (Problem, BadFrame) as refusal:
            if _may(connection, None):
                connection.refuse(None, refusal)


async def _act_in(
    trace: TraceContext, handler: Handler, connection: Connection, head: FrameHead, text: str
) -> None:
    """Act on a frame as part of a trace; what is answered later begins a span of its own."""
    reset = current_trace.set(trace)
    try:
        with NO_SPAN if head.type in ANSWERED_LATER else command_span(head.type):
            await handler(connection, head, text)
    finally:
        current_trace.reset(reset)


def _who(connection: Connection) -> dict[str, str]:
    """Return what a log line says of a connection."""
    return {
        "conn_id": connection.id,
        "user_id": connection.user_id,
        "session_id": connection.session_id,
    }


async def _read_head(connection: Connection, text: str) -> FrameHead:
    if len(text) <= COSTLY_BYTES:
        return read_head(text)
    # What follows without a pause is still in the turn: that ends some time later.
    async with connection.costly():
        return read_head(text)


async def _may_go_on(connection: Connection, head: FrameHead, size: int, *, metered: bool) -> bool:
    """Count a text frame by what it weighs; False if nothing is to be done of what it asks."""
    if metered and not _may(connection, head.id):
        return False
    weight = 0 if head.type in _WEIGHTLESS else size // _COMMAND_BYTES
    if metered:
        connection.charge(weight)
    else:
        pieces = size // _PIECE_BYTES if head.type == BULKY_TYPE else 0
        await connection.slow_down(1 + pieces + weight * BULK_FRAMES)
    return not connection.closed  # while it waited for its turn: perhaps its session was revoked


def _may(connection: Connection, frame_id: FrameId) -> bool:
    return connection.admit(frame_id, asyncio.get_running_loop().time())
