"""Answers on their way out: written as uvicorn does, but for what it gets wrong or can't do."""

from collections.abc import Callable
from typing import Final, Protocol, cast

import structlog
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn._types import ASGISendEvent
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, RequestResponseCycle

from sharezync_shared.problems import CONTENT_TYPE, Problem, problem_body
from sharezync_shared.server.request_body import IncomingBody
from sharezync_shared.server.sendfile import ZERO_COPY, send_file
from sharezync_shared.server.splice import SPLICE, send_spliced

ABORT_EXTENSION: Final = "sharezync.abort"
"""`scope["extensions"][ABORT_EXTENSION]["abort"]()` drops the connection, and with it what the
kernel has not taken. Returning without the end of the answer closes politely: that waits for the
peer."""

_UNREAD: Final = frozenset({ZERO_COPY, SPLICE})

log = structlog.get_logger()


class ResponseSender:
    """The answer to one request, and the ASGI `send` that writes it."""

    __slots__ = ("_cycle", "_on_begin", "ends_by_closing", "is_last")

    def __init__(self, cycle: RequestResponseCycle, *, on_begin: Callable[[], None]) -> None:
        """`on_begin` is called right before the answer begins."""
        self._cycle = cycle
        self._on_begin = on_begin
        self.ends_by_closing = False
        """Whether its end is shown by closing the connection."""
        self.is_last = False
        """Whether the connection is to be closed behind it."""

    async def send(self, message: Message) -> None:
        """Send as uvicorn does, or without reading it; into the void where nobody is left.

        What is spliced raises OSError where nobody is left, and EOFError where its source broke.
        """
        if message["type"] in _UNREAD:
            await self._send_unread(message)
        elif self._cycle.response_started:
            if self.ends_by_closing:
                self._cycle.expected_content_length = len(message.get("body", b""))
            await RequestResponseCycle.send(self._cycle, cast("ASGISendEvent", message))
        else:
            await self._send_head(message)

    async def _send_head(self, message: Message) -> None:
        cycle = self._cycle
        # A client of HTTP/1.0 knows no chunks (RFC 9112 §6.1).
        self.ends_by_closing = cycle.scope["http_version"] == "1.0" and not any(
            name.lower() == b"content-length" for name, _ in message.get("headers", ())
        )
        if self.ends_by_closing:
            cycle.chunked_encoding = False
        self._on_begin()
        await RequestResponseCycle.send(cycle, cast("ASGISendEvent", message))
        if not cycle.keep_alive:
            # uvicorn would close at once, which destroys the answer on its way to a client that is
            # still sending (RFC 9112 §9.6).
            self.is_last = cycle.keep_alive = True

    async def _send_unread(self, message: Message) -> None:
        cycle, kind, count = self._cycle, message["type"], message["count"]
        if cycle.chunked_encoding or count > cycle.expected_content_length:
            raise RuntimeError(f"{kind} must fit into a Content-Length")
        if kind == SPLICE:
            if cycle.disconnected:
                raise BrokenPipeError
            await send_spliced(cycle.transport, message["source"], count=count)
        elif cycle.scope["method"] != "HEAD" and not cycle.disconnected:
            file, offset = message["file"], message["offset"]
            try:
                await send_file(cycle.transport, file, offset=offset, count=count)
            except ConnectionError:
                return  # as for any message: the server soon sends a disconnect
        cycle.expected_content_length -= count
        if not message.get("more_body", False):
            await RequestResponseCycle.send(
                cycle, {"type": "http.response.body", "body": b"", "more_body": False}
            )


class BodyConnection(Protocol):
    """What a request came on."""

    incoming: IncomingBody | None
    """Of its body; None where the connection is lost."""


async def run_quietly(
    connection: BodyConnection,
    cycle: RequestResponseCycle,
    app: ASGIApp,
    scope: Scope,
    _: Receive,
    send: Send,
) -> None:
    """Call the application. That a client has left is no error, nor an answer that breaks off.

    Of what came of a body nobody else knows then: where the rest is not read, it goes with that.
    """
    if (incoming := connection.incoming) is None:
        return  # before it could begin
    try:
        await app(scope, cast("Receive", incoming.receive), send)
    except Exception as error:
        if not cycle.disconnected:
            raise
        log.debug("client_left", error=type(error).__name__)
    if cycle.response_started and not (cycle.response_complete or cycle.disconnected):
        cycle.disconnected = True
        cycle.transport.close()


def refusal(problem: Problem, *, to_head: bool = False) -> bytes:
    """Return the whole answer to what is no request, or may not be one; the last one.

    `to_head`: the method is HEAD, and the answer has no body (RFC 9110 §9.3.2).
    """
    body = problem_body(problem)
    head = (
        STATUS_LINE[problem.status],
        b"content-type: %s\r\n" % CONTENT_TYPE.encode(),
        *(f"{name}: {value}\r\n".encode("latin-1") for name, value in problem.headers.items()),
        b"content-length: %d\r\n" % len(body),
        b"connection: close\r\n\r\n",
    )
    return b"".join(head) + (b"" if to_head else body)
