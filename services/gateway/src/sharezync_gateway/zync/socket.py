"""The socket of one channel as Zync's clients know it: every frame is a bare message."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Final
from urllib.parse import parse_qs
from uuid import UUID

import msgspec
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sharezync_gateway.realtime.protocol import SUBPROTOCOL, CloseCode
from sharezync_gateway.zync.documents import message_of
from sharezync_shared.server import (
    FramePort,
    encode_text_frame,
    frame_port,
    text_payloads,
    with_frame_port,
)

_POLICY_VIOLATION: Final = 1008
_GOING_AWAY: Final = 1001
_TRY_AGAIN_LATER: Final = 1013
_CLOSE_CODES: Final[dict[int, int]] = {
    CloseCode.GOING_AWAY: _GOING_AWAY,
    CloseCode.TOO_SLOW: _GOING_AWAY,
    CloseCode.IDLE: _GOING_AWAY,
    CloseCode.TRY_LATER: _TRY_AGAIN_LATER,
}
"""RFC 6455 §7.4.1, for those with which a client should come back; all others are 1008."""
_PING: Final = '{"type":"ping"}'


class _Event(msgspec.Struct):
    type: str
    data: msgspec.Raw = msgspec.Raw(b"null")


class ZyncSockets:
    """Passes sockets on to the engine, and translates those of the dialect on the way."""

    def __init__(self, engine: ASGIApp) -> None:
        self._engine = engine

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        token = _token_of(scope)
        if token is None:
            await self._engine(scope, receive, send)
            return
        channel_id = scope["path"].rpartition("/")[2].lower()
        path = f"/ws/channels/{channel_id}"
        narrowed = {
            **scope,
            "path": path,
            "raw_path": path.encode("ascii"),
            "query_string": b"",
            "subprotocols": [SUBPROTOCOL, f"bearer.{token}"],
        }

        async def commands() -> Message:
            """What they send is nothing to anybody; it counts as what floods a socket does."""
            message = await receive()
            if message["type"] == "websocket.receive":
                return {"type": "websocket.receive", "text": _PING}
            return message

        async def accept() -> None:
            await send({"type": "websocket.accept", "subprotocol": None})

        async def answer(message: Message) -> None:
            if message["type"] != "websocket.accept":  # the port says when
                await send(message)

        port = _MessagePort(frame_port(scope), accept)
        try:
            await self._engine(with_frame_port(narrowed, port), commands, answer)
        finally:
            await port.settled()


def _token_of(scope: Scope) -> str | None:
    """Return the token of a socket of the dialect; None for any other."""
    if scope.get("subprotocols") or not scope["path"].startswith("/ws/"):
        return None
    try:
        UUID(scope["path"].removeprefix("/ws/"))
    except ValueError:
        return None
    tokens = parse_qs(scope.get("query_string", b"")).get(b"token")
    return tokens[0].decode("latin-1") if tokens else None


class _MessagePort:
    """Writes the messages of a channel to a socket, and nothing else.

    The socket is accepted when it is on its channel, or is to be closed: who is connected misses
    nothing.
    """

    def __init__(self, port: FramePort, accept: Callable[[], Awaitable[None]]) -> None:
        self._port = port
        self._accept = accept
        self._held: list[bytes] | None = []
        """Until it is accepted."""
        self._closing: tuple[int, str] | None = None
        self._opening: asyncio.Task[None] | None = None

    @property
    def buffered_bytes(self) -> int:
        return self._port.buffered_bytes

    def write(self, frame: bytes) -> bool:
        return self._write(frame, self._port.write)

    def write_within(self, frame: bytes, limit_bytes: int) -> bool:
        return self._write(frame, lambda written: self._port.write_within(written, limit_bytes))

    def write_parts(self, _: Sequence[bytes]) -> bool:
        return True  # chunks of files: a socket of one channel has none

    async def wait_writable(self) -> bool:
        return await self._port.wait_writable()

    def limit_messages(self, most_bytes: int | None) -> None:
        self._port.limit_messages(most_bytes)

    def close(self, code: int, reason: str = "") -> None:
        closing = _CLOSE_CODES.get(code, _POLICY_VIOLATION), reason
        if self._held is None:
            self._port.close(*closing)
        else:
            self._closing = closing
            self._open()

    async def settled(self) -> None:
        """Wait until what was begun is done; a client that has left meanwhile is no error."""
        if self._opening is not None:
            await asyncio.gather(self._opening, return_exceptions=True)

    def _write(self, frames: bytes, write: Callable[[bytes], bool]) -> bool:
        messages = []
        for text in text_payloads(frames):
            event = msgspec.json.decode(text, type=_Event)
            if event.type == "message.created":
                document = message_of(msgspec.json.decode(event.data))
                messages.append(encode_text_frame(msgspec.json.encode(document)))
            elif event.type == "ready":
                self._open()
        written = b"".join(messages)
        if self._held is not None:
            self._held.append(written)
            return True
        return not written or write(written)

    def _open(self) -> None:
        if self._opening is None:
            self._opening = asyncio.create_task(self._accept_and_write(), name="accept-zync")

    async def _accept_and_write(self) -> None:
        await self._accept()
        held, self._held = b"".join(self._held or ()), None
        if held:
            self._port.write(held)
        if self._closing is not None:
            self._port.close(*self._closing)
