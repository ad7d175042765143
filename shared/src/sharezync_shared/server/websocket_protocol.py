"""One frame, encoded once, written to many sockets.

`send({"type": "websocket.send", …})` encodes the frame again for every socket and awaits each of
them. `FanoutProtocol` is uvicorn's own WebSocket protocol with one more door, which the application
finds in its scope (`frame_port`): finished frames go straight to the transport, in order with
everything else that is written below the high-water mark, and nobody waits.
"""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, Final, Protocol, cast

from starlette.types import Scope
from websockets.protocol import OPEN

from sharezync_shared.server.websocket_guard import GuardedWebSocketProtocol

EXTENSION: Final = "sharezync.frame_port"
"""Where an application finds its `FramePort`: `scope["extensions"][EXTENSION]`."""

HIGH_WATER_BYTES: Final = 256 * 1024
"""Above this many unsent bytes a peer counts as slow."""
LOW_WATER_BYTES: Final = 64 * 1024
"""At this many a slow peer has caught up."""


class FramePort(Protocol):
    """The way to one socket for frames that are encoded already (`server.frames`). Never blocks."""

    @property
    def buffered_bytes(self) -> int:
        """Bytes written that the kernel has not taken yet."""
        ...

    def write(self, frame: bytes) -> bool:
        """Write one or more whole frames; False if nothing was written.

        That is so when the socket is closing, or when the peer is slow: more than
        `HIGH_WATER_BYTES` lie unsent, and have not fallen to `LOW_WATER_BYTES` since.
        """
        ...

    def write_within(self, frame: bytes, limit_bytes: int) -> bool:
        """Write to a slow peer too, unless more than `limit_bytes` would lie unsent; as `write`."""
        ...

    def write_parts(self, parts: Sequence[bytes]) -> bool:
        """Write one frame given in pieces, which are not copied together; as `write`."""
        ...

    async def wait_writable(self) -> bool:
        """Wait until the peer isn't slow. False if the socket is closing or closed."""
        ...

    def limit_messages(self, most_bytes: int | None) -> None:
        """Refuse messages of more, from the next that begins on; None: what the server is set to.

        For a peer of whom nothing is known yet, who shouldn't have room for a large one: call it
        as soon as the socket is accepted.
        """
        ...

    def close(self, code: int, reason: str = "") -> None:
        """Send a close frame behind what was written, and end the connection.

        The application gets `websocket.disconnect` at once. A peer that has not read everything
        within `websocket_guard.GRACE_SECONDS` is cut off. Does nothing when the socket is closing.
        `reason` is at most 123 bytes of UTF-8.
        """
        ...


class FanoutProtocol(GuardedWebSocketProtocol):
    """A WebSocket protocol with bounds that offers a `FramePort`."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self.transport.set_write_buffer_limits(high=HIGH_WATER_BYTES, low=LOW_WATER_BYTES)

    def run_asgi(self) -> Coroutine[Any, Any, None]:
        extensions = cast("dict[str, object]", self.scope["extensions"])
        extensions[EXTENSION] = self
        return super().run_asgi()

    def start_keepalive(self) -> None:
        super().start_keepalive()
        # The socket is accepted, so its request and response have served. The parser keeps the
        # request for as long as the socket lives; its headers are three kilobytes.
        self.request.headers.clear()
        del self.request, self.response

    # --- FramePort -------------------------------------------------------------------------------

    @property
    def buffered_bytes(self) -> int:
        return self.transport.get_write_buffer_size()

    def write(self, frame: bytes) -> bool:
        if self.conn.state is not OPEN or self.disconnected or not self.writable.is_set():
            return False
        self.transport.write(frame)
        return True

    def write_within(self, frame: bytes, limit_bytes: int) -> bool:
        if self.conn.state is not OPEN or self.disconnected:
            return False
        if self.transport.get_write_buffer_size() + len(frame) > limit_bytes:
            return False
        self.transport.write(frame)
        return True

    def write_parts(self, parts: Sequence[bytes]) -> bool:
        if self.conn.state is not OPEN or self.disconnected or not self.writable.is_set():
            return False
        self.transport.writelines(parts)
        return True

    async def wait_writable(self) -> bool:
        await self.writable.wait()
        return self.conn.state is OPEN and not self.disconnected


class CountedSocket(FanoutProtocol):
    """A WebSocket, which is one of the connections that are counted."""

    leave: Callable[[], None] | None = None

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        if self.leave is not None:
            self.leave()


def frame_port(scope: Scope) -> FramePort:
    """Return the port to the socket of this scope, once it is accepted."""
    port: FramePort = scope["extensions"][EXTENSION]
    return port


def with_frame_port(scope: Scope, port: FramePort) -> Scope:
    """Return a copy of `scope` whose frames are written to `port`."""
    return {**scope, "extensions": {**scope["extensions"], EXTENSION: port}}
