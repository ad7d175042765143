"""From an open socket to `ready`: whose it is, and which streams it continues from where."""

import asyncio
from dataclasses import replace
from typing import Final

from starlette.types import Message, Receive

from sharezync_gateway.realtime.admission import Slot
from sharezync_gateway.realtime.budget import UserTurns
from sharezync_gateway.realtime.connection import Connection, StreamChanges
from sharezync_gateway.realtime.context import SocketContext
from sharezync_gateway.realtime.handshake import Handshake
from sharezync_gateway.realtime.protocol import (
    MAX_TEXT_BYTES,
    Authenticate,
    BadFrame,
    CloseCode,
    Cursor,
    Ready,
    check_cursors,
    error_about,
    read_body,
    read_head,
    size_in_utf8,
)
from sharezync_gateway.realtime.service_calls import UserHeads
from sharezync_shared.problems import NotFound, Problem, RateLimited, Unauthenticated, Unavailable
from sharezync_shared.tokens.claims import Identity

_STRAY_FRAMES = 10
"""Frames other than `authenticate` that a socket without a token may send."""
_STARTS_AT_ONCE: Final = 2
"""Sockets of one user for which the services are asked at the same time."""


class SocketRefused(Exception):
    """The socket is to be closed; its client is sent an error about `problem` before, if any."""

    def __init__(self, code: CloseCode, reason: str, problem: Problem | None = None) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason
        self.last = None if problem is None else error_about(None, problem)


class ClientLeft(Exception):
    """The client went away first."""

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


class ConnectionOpener:
    """Lets connections in. Raises SocketRefused or ClientLeft for those that don't get there."""

    def __init__(self, context: SocketContext) -> None:
        self._context = context
        self._turns = UserTurns(_STARTS_AT_ONCE)

    async def examine(self, handshake: Handshake) -> Handshake:
        """Return the handshake with what its token, if it brought one, was found to be."""
        if handshake.token is None or handshake.refusal is not None:
            return handshake
        try:
            return replace(handshake, identity=await self.identify(handshake.token))
        except SocketRefused as refused:
            return replace(handshake, refusal=(refused.code, refused.reason))

    async def enter(
        self, connection: Connection, handshake: Handshake, slot: Slot, receive: Receive
    ) -> Message | None:
        """Bring a connection to `ready`; return a message that was received meanwhile, if any."""
        if handshake.refusal is not None:
            raise SocketRefused(*handshake.refusal)
        cursors: dict[str, Cursor] = {}
        identity = handshake.identity
        if identity is None:
            first = await self._first_frame(connection, receive)
            identity, cursors = await self.identify(first.token), first.cursors
            slot.authenticated()
            connection.limit_messages(None)
        hub, limits = self._context.hub, self._context.limits
        connection.identify(identity, limits.token_grace_seconds)
        if len(hub.of_user(connection.user_id)) >= limits.max_connections_per_user:
            raise SocketRefused(CloseCode.TOO_MANY_CONNECTIONS, "too many connections of this user")
        now = asyncio.get_running_loop().time()
        if not self._context.admission.may_start(connection.user_id, now):
            problem = RateLimited("Too many new connections of this user", retry_after_seconds=5)
            raise SocketRefused(CloseCode.TRY_LATER, "too many sockets in a short time", problem)
        connection.user_budget = self._context.budgets.for_user(connection.user_id, now)
        hub.add(connection)
        return await self._start(connection, receive, cursors)

    async def identify(self, token: str) -> Identity:
        """Return whose token this is; raises SocketRefused with the code that says what to do."""
        try:
            return await self._context.verifier.verify(token)
        except Unauthenticated as problem:
            raise SocketRefused(CloseCode.BAD_TOKEN, problem.detail) from problem
        except Unavailable as problem:
            raise SocketRefused(CloseCode.TRY_LATER, problem.detail) from problem

    async def _first_frame(self, connection: Connection, receive: Receive) -> Authenticate:
        try:
            async with asyncio.timeout(self._context.limits.first_frame_seconds):
                for _ in range(_STRAY_FRAMES):
                    message = await receive()
                    if message["type"] == "websocket.disconnect":
                        raise ClientLeft(message.get("code", 1005))
                    try:
                        return _authenticate(message)
                    except BadFrame as error:
                        connection.refuse(error.frame_id, error)
        except TimeoutError:
            raise SocketRefused(CloseCode.BAD_TOKEN, "no token came in time") from None
        raise SocketRefused(CloseCode.FLOODING, "a token was expected")

    async def _start(
        self, connection: Connection, receive: Receive, cursors: dict[str, Cursor]
    ) -> Message | None:
        # A client that knows its cursors may send `resume` without waiting for `ready`. Then it is
        # here by now, and is acted on before anything else happens: no live frame comes between.
        ahead = asyncio.ensure_future(receive())
        try:
            notes = connection.notes = StreamChanges()
            connection.cork()
            heads = await self._ask(connection)
            if connection.closed:
                raise ClientLeft(connection.close_code or 1006)
            await self._continue(connection, heads, notes, cursors)
            return ahead.result() if ahead.done() else None
        finally:
            connection.notes = None
            if not ahead.done():  # a message that comes now stays with the server
                ahead.cancel()
                await asyncio.wait({ahead})

    async def _continue(
        self,
        connection: Connection,
        heads: UserHeads,
        notes: StreamChanges,
        cursors: dict[str, Cursor],
    ) -> None:
        # Until `begin` has returned nothing is awaited: no frame can come between.
        shown = self._context.membership.subscribe_all(connection, heads, notes)
        if connection.channel is not None and connection.channel not in shown:
            problem = NotFound("The channel doesn't exist, or you aren't a member")
            raise SocketRefused(CloseCode.NOT_ON_CHANNEL, "not on this channel", problem)
        connection.missing = heads.missing
        missing = sorted(heads.missing)
        if not connection.release(Ready(connection.user_id, connection.device, shown, missing)):
            raise ClientLeft(connection.close_code or 1006)
        if missing:
            self._context.reconciler.recheck_soon(connection.user_id)
        if cursors:
            resumption = self._context.resumer.begin(connection, cursors)
            connection.notes = None
            await self._context.resumer.finish(connection, resumption)

    async def _ask(self, connection: Connection) -> UserHeads:
        try:
            # Who opens a hundred at once waits for themselves.
            turn = self._turns.for_user(connection.user_id)
            async with asyncio.timeout(self._context.limits.start_seconds), turn:
                heads, _ = await asyncio.gather(
                    self._context.membership.heads_for(connection),
                    self._context.devices.connect(connection),
                )
        except TimeoutError:
            raise _nobody_answers() from None
        if heads.missing and not heads.streams:
            raise _nobody_answers()
        return heads


def _authenticate(message: Message) -> Authenticate:
    text = message.get("text")
    if text is None:
        raise BadFrame("unauthenticated", "Authenticate first")
    if size_in_utf8(text) > MAX_TEXT_BYTES:  # where the server could not be given a limit
        raise SocketRefused(CloseCode.TOO_BIG, "too big")
    head = read_head(text)
    if head.type != "authenticate":
        raise BadFrame("unauthenticated", "Authenticate first", head.id)
    frame = read_body(text, Authenticate, head.id)
    check_cursors(frame.cursors, head.id)
    return frame


def _nobody_answers() -> SocketRefused:
    problem = Unavailable("The services are temporarily unavailable", retry_after_seconds=1)
    return SocketRefused(CloseCode.TRY_LATER, "try later", problem)
