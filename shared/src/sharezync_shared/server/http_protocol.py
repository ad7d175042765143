"""What a stranger may cost before a request has even begun: bytes of its head, and time.

uvicorn with httptools bounds neither: a head may be of any size, and a connection on which nothing
(or a byte now and then) arrives is kept for ever. The same goes for a body that still trickles in
when its request has long been answered, and for an answer that nobody reads.
"""

import asyncio
from functools import partial
from typing import Any, Final, cast

from starlette.types import Message
from uvicorn._types import ASGISendEvent
from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import (
    STATUS_LINE,
    HttpToolsProtocol,
    RequestResponseCycle,
)
from uvicorn.server import ServerState

from sharezync_shared.problems import CONTENT_TYPE, Malformed, Problem, TooLarge, problem_body
from sharezync_shared.server.request_body import IncomingBody, SharedBufferReader
from sharezync_shared.server.sendfile import ZERO_COPY, ZERO_COPY_OFFERED, send_file

MAX_HEAD_BYTES: Final = 32 * 1024
"""Request line and headers together. A token takes one to two KiB, cookies of others a few."""
HEAD_SECONDS: Final = 10.0
"""From a connection's opening, or a later request's first byte, to the end of the head."""
LINGER_SECONDS: Final = 30.0
"""From an answer's end to the end of the body that it did not wait for. Closing at once would
destroy the answer on its way to a client that is still sending (RFC 9112 §9.6)."""
ABORT_EXTENSION: Final = "sharezync.abort"
"""`scope["extensions"][ABORT_EXTENSION]["abort"]()` drops the connection, and with it what the peer
has not read. Returning without the end of the answer closes politely: that waits for the peer."""


class HeadTooLarge(TooLarge):
    """The request line and headers outgrew `MAX_HEAD_BYTES` (RFC 6585 §5)."""

    slug, title = "head-too-large", "The request line and headers are more than is accepted here"

    @property
    def status(self) -> int:
        return 431


class GuardedHttpProtocol(HttpToolsProtocol):
    """uvicorn's HTTP protocol with bounds, which tells its refusals as problem documents."""

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._in_head = True
        self._head_bytes = 0
        self._head_timer: asyncio.TimerHandle | None = None
        self._in_body = False
        self.incoming: IncomingBody | None = None
        self._linger_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as in uvicorn
        super().connection_made(transport)
        self._start_timer()

    def connection_lost(self, exc: Exception | None) -> None:
        self._head_arrived()
        self._body_arrived()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        # Only now: most heads arrive whole, and cost neither a timer nor a count. The parser keeps
        # an unfinished header to itself, so that its callbacks could not count it anyway.
        if self._in_head:
            self._head_bytes += len(data)
            if self._head_bytes > MAX_HEAD_BYTES:
                self._refuse(HeadTooLarge(f"At most {MAX_HEAD_BYTES} bytes are accepted here"))
            elif self._head_timer is None:
                self._start_timer()

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._in_head = True
        extensions: dict[str, dict[object, object]] = {
            ABORT_EXTENSION: {"abort": self.transport.abort}
        }
        self.scope["extensions"] = extensions | ZERO_COPY_OFFERED

    def on_headers_complete(self) -> None:
        self._head_arrived()
        self._in_body = True
        super().on_headers_complete()
        if self.cycle is not None:
            # The task of the request asks for these when it begins.
            self.incoming = IncomingBody(self.cycle)
            self.cycle.receive = self.incoming.receive  # type: ignore[method-assign]
            self.cycle.send = partial(_send, self.cycle)  # type: ignore[method-assign]

    def on_body(self, body: bytes) -> None:
        if self.incoming is not None and not self.cycle.response_complete:
            self.incoming.add(body)

    def on_message_complete(self) -> None:
        self._body_arrived()
        super().on_message_complete()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self._in_body and self.cycle.response_complete and not self.transport.is_closing():
            self._linger_timer = self.loop.call_later(LINGER_SECONDS, self.transport.abort)

    def send_400_response(self, msg: str) -> None:
        self._refuse(Malformed(msg))

    def _refuse(self, problem: Problem) -> None:
        self._head_arrived()
        body = problem_body(problem)
        head = (
            STATUS_LINE[problem.status],
            b"content-type: %s\r\n" % CONTENT_TYPE.encode(),
            b"content-length: %d\r\n" % len(body),
            b"connection: close\r\n\r\n",
        )
        self.transport.write(b"".join(head) + body)
        self.transport.close()

    def _start_timer(self) -> None:
        self._head_timer = self.loop.call_later(HEAD_SECONDS, self._head_overdue)

    def _head_arrived(self) -> None:
        self._in_head = False
        self._head_bytes = 0
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _body_arrived(self) -> None:
        self._in_body = False
        if self._linger_timer is not None:
            self._linger_timer.cancel()
            self._linger_timer = None

    def _head_overdue(self) -> None:
        self._head_timer = None
        self.transport.abort()


async def _send(cycle: RequestResponseCycle, message: Message) -> None:
    """Send as uvicorn does, or from a file (`ZERO_COPY`); into the void where nobody is left."""
    if message["type"] != ZERO_COPY:
        await RequestResponseCycle.send(cycle, cast("ASGISendEvent", message))
        return
    count, more = message["count"], message.get("more_body", False)
    if cycle.chunked_encoding or count > cycle.expected_content_length:
        raise RuntimeError(f"{ZERO_COPY} must fit into a Content-Length")
    if cycle.scope["method"] != "HEAD" and not cycle.disconnected:
        try:
            await send_file(cycle.transport, message["file"], offset=message["offset"], count=count)
        except ConnectionError:
            return  # as for any message: the server soon tells that the client has left
    cycle.expected_content_length -= count
    if not more:
        await RequestResponseCycle.send(
            cycle, {"type": "http.response.body", "body": b"", "more_body": False}
        )


def guarded_http(
    config: Config,
    server_state: ServerState,
    app_state: dict[str, Any],
    _loop: asyncio.AbstractEventLoop | None = None,
) -> asyncio.BufferedProtocol:
    """Return the protocol of one connection: what uvicorn takes for its class of HTTP protocols."""
    return SharedBufferReader(GuardedHttpProtocol(config, server_state, app_state, _loop))
