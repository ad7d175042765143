"""One frame, encoded once, written to many sockets.

`send({"type": "websocket.send", …})` encodes the frame again for every socket and awaits each of
them. `FanoutProtocol` is uvicorn's own WebSocket protocol with one more door, which the application
finds in its scope (`frame_port`): finished frames go straight to the transport, in order with
everything else that is written below the high-water mark, and nobody waits.

It leans on attributes of `WebSocketsSansIOProtocol` that no document promises: uvicorn is pinned to
its minor version, and the tests beside this file hold every promise against a real server.
"""

import asyncio
from collections.abc import Coroutine, Sequence
from typing import Any, Final, Protocol, cast

from starlette.types import Scope, Send
from uvicorn.config import Config
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from uvicorn.server import ServerState
from websockets.frames import Frame
from websockets.protocol import OPEN

from sharezync_shared.server.asgi_port import AsgiFramePort
from sharezync_shared.server.frame_reader import FrameReader, FrameStream
from sharezync_shared.server.light import Gate, Mailbox
from sharezync_shared.server.settings import WebSocketSettings

EXTENSION: Final = "sharezync.frame_port"
"""Where an application finds its `FramePort`: `scope["extensions"][EXTENSION]`."""

HIGH_WATER_BYTES: Final = 256 * 1024
"""Above this many unsent bytes a peer counts as slow."""
LOW_WATER_BYTES: Final = 64 * 1024
"""At this many a slow peer has caught up."""
GRACE_SECONDS: Final = 10.0
"""How long a closing peer may take to read what was written; then its buffer is thrown away."""

# A client decides how many frames it cuts a message into and how many messages it sends at once.
# Sizes are bounded by uvicorn, numbers are not, and each costs memory however small it is.
MAX_FRAGMENTS: Final = 1024
MAX_WAITING_MESSAGES: Final = 1024


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

    def close(self, code: int, reason: str = "") -> None:
        """Send a close frame behind what was written, and end the connection.

        The application gets `websocket.disconnect` at once. A peer that has not read everything
        within `GRACE_SECONDS` is cut off. Does nothing when the socket is closing already.
        `reason` is at most 123 bytes of UTF-8.
        """
        ...


class FanoutProtocol(WebSocketsSansIOProtocol):
    """uvicorn's WebSocket protocol that offers a `FramePort` and bounds what a peer can cost."""

    abort_timer: asyncio.TimerHandle | None = None

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
        *,
        settings: WebSocketSettings,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self.settings = settings
        self.queue = Mailbox()  # type: ignore[assignment]  # what is used of it, it has
        self.writable = Gate()  # type: ignore[assignment]  # as above
        self.writable.set()
        self.stream = self.conn.reader = FrameStream()
        self.conn.parser = self.conn.parse()  # anew: it has begun with the stream that it had
        next(self.conn.parser)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self.transport.set_write_buffer_limits(high=HIGH_WATER_BYTES, low=LOW_WATER_BYTES)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if not self.handshake_initiated and self.conn.handshake_exc is not None:
            # Its headers were too long, or too many. websockets has an answer ready; uvicorn does
            # not look for one, and would keep the connection open and silent.
            self.transport.write(b"".join(self.conn.data_to_send()))
            self.transport.close()

    def run_asgi(self) -> Coroutine[Any, Any, None]:
        extensions = cast("dict[str, object]", self.scope["extensions"])
        extensions[EXTENSION] = self
        return super().run_asgi()

    def start_keepalive(self) -> None:
        super().start_keepalive()
        self.transport.set_protocol(FrameReader(self, self.stream))
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

    def close(self, code: int, reason: str = "") -> None:
        if self.conn.state is not OPEN or self.disconnected:
            return
        self.stop_keepalive()
        self.queue.put_nowait({"type": "websocket.disconnect", "code": code, "reason": reason})
        self.conn.send_close(code, reason)
        self.transport.write(b"".join(self.conn.data_to_send()))
        self.close_sent = True
        if self.read_paused:  # or the peer's answer to the close frame is never seen
            self.read_paused = False
            self.transport.resume_reading()
        # uvicorn's own timer closes politely, that is, waits for a stalled peer for ever.
        self.close_timer = self.loop.call_later(GRACE_SECONDS, self.transport.abort)

    # --- what a peer may cost --------------------------------------------------------------------

    def handle_cont(self, event: Frame) -> None:
        if len(self.frames) >= MAX_FRAGMENTS:
            self._fail(1008, "too many fragments")
        else:
            super().handle_cont(event)

    def send_receive_event_to_app(self) -> None:
        if self.queue.qsize() >= MAX_WAITING_MESSAGES:
            self._fail(1008, "too many messages at once")
        else:
            super().send_receive_event_to_app()

    def handle_ping(self) -> None:
        pong = self.conn.data_to_send()
        # A peer that pings and never reads would fill the buffer with answers. Only the latest
        # ping needs one (RFC 6455 §5.5.3), and this peer's latest is still to come.
        if self.writable.is_set():
            self.transport.write(b"".join(pong))

    def keepalive_timeout(self) -> None:
        # The peer is gone, or reads nothing: there is no point in waiting for it.
        self.pong_timer = None
        self.close(self.settings.silent_close_code, "no answer to pings")

    def on_task_complete(self, task: asyncio.Task[None]) -> None:
        super().on_task_complete(task)
        # However the application ended, uvicorn now closes the transport, and that waits until
        # the peer has read everything. Who asked to close and then stalls would hold the buffer.
        if not self.disconnected and self.abort_timer is None:
            self.abort_timer = self.loop.call_later(GRACE_SECONDS, self.transport.abort)

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        if self.abort_timer is not None:
            self.abort_timer.cancel()

    def _fail(self, code: int, reason: str) -> None:
        if not self.close_sent:
            self.conn.fail(code, reason)
            self.handle_parser_exception()


def frame_port(scope: Scope, send: Send) -> FramePort:
    """Return the port to the socket of this scope, once it is accepted.

    Under a server that does not offer one it is made of plain `send`: slower, and no less correct.
    """
    offered: FramePort | None = scope.get("extensions", {}).get(EXTENSION)
    return offered if offered is not None else AsgiFramePort(send)
