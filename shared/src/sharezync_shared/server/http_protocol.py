"""One HTTP/1.1 connection: one request after the other, each of them answered once.

uvicorn makes the scope of a request and writes its answer; what goes in is read here. A request is
parsed when the one before it has been answered and that answer was taken, so that a connection
never holds more than one of each, and a part of what comes next. Nothing is taken for a request
that another reader could take for the body of one (`framing`).
"""

import asyncio
import math
from collections.abc import Callable
from functools import partial
from typing import Any

import httptools
from uvicorn._types import ASGI3Application
from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle
from uvicorn.server import ServerState

from sharezync_shared.addresses import UNKNOWN
from sharezync_shared.problems import Problem
from sharezync_shared.server.answer import ABORT_EXTENSION, ResponseSender, refusal, run_quietly
from sharezync_shared.server.bodies import ChunkedBody, FramedBody, LengthBody
from sharezync_shared.server.bounds import (
    MAX_HEAD_BYTES,
    MAX_IGNORED_BYTES,
    MAX_LEFTOVER_BYTES,
    STEPS_A_TURN,
)
from sharezync_shared.server.departures import Departure, has_left, refuse_gone
from sharezync_shared.server.heads import HeadReader, body_of, offers_websocket, parse_head, path_of
from sharezync_shared.server.outgoing import bound_leftovers
from sharezync_shared.server.request_body import PIECE_BYTES, IncomingBody
from sharezync_shared.server.sendfile import ZERO_COPY_OFFERED
from sharezync_shared.server.server_context import Phase, ServerContext
from sharezync_shared.server.splice import SPLICE_OFFERED
from sharezync_shared.server.websocket_protocol import CountedSocket


class HttpProtocol(HttpToolsProtocol):
    """uvicorn's HTTP protocol that reads strictly, and bounds what a peer can cost."""

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
        *,
        around: ServerContext,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._settings = around.settings
        self._limits = around.limits
        self._outgoing = around.outgoing
        self._turns = around.turns
        self._more_turns = around.more_turns
        self._leave: Callable[[], None] | None = None
        self._phase = Phase.HEAD
        self._head = HeadReader()
        self._body: FramedBody = LengthBody(0)
        self._body_began = False
        self.incoming: IncomingBody | None = None
        self._unparsed = b""
        """What was read too early: the beginning of a later request, or much of a body."""
        self._websocket = False
        self.is_half_closed = False
        self._is_lost = False
        self._is_last = False  # of the requests on this connection
        self._awaits_reader = False  # the answer is written, and the peer has not taken it
        self._ignored_bytes, self._max_ignored_bytes = 0, MAX_IGNORED_BYTES
        self._departure = Departure()
        self._waits_since = math.inf  # for its turn
        abort: dict[object, object] = {"abort": self._abort}
        offered = {ABORT_EXTENSION: abort} | self._departure.offered(self.has_left)
        self._extensions = offered | ZERO_COPY_OFFERED | SPLICE_OFFERED
        self._deadline: asyncio.TimerHandle | None = None
        """When a head, the trailers or the body behind an answer must have come."""

    # --- from the transport ----------------------------------------------------------------------

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as in uvicorn
        super().connection_made(transport)
        try:
            self._leave = self._limits.enter(self._address)
        except Problem as problem:
            transport.write(refusal(problem))
            self._phase = Phase.CLOSING
            self._leave = self._limits.enter_refused()
            if self._leave is not None:
                self._close_politely(self._settings.refused_seconds)
            else:
                transport.close()
        else:
            self._set_deadline(self._settings.head_seconds)

    def connection_lost(self, exc: Exception | None) -> None:
        self._set_deadline(None)
        self._unset_keepalive_if_required()
        self._unparsed = b""
        self._is_lost, self.incoming = True, None
        self._outgoing.discard(self)
        self._let_go()
        super().connection_lost(exc)
        self._departure.tell()

    def _let_go(self) -> None:
        # The socket is closed right after this.
        bound_leftovers(self.transport, self._settings.stall_seconds)
        if self._leave is not None:
            self._leave()

    @property
    def wanted_bytes(self) -> int:
        """How much to read at a time: all that is known to come of a body, else a head."""
        if self._phase is not Phase.BODY:
            return MAX_HEAD_BYTES
        is_read = self.incoming is not None and self.incoming.was_asked_for
        return min(PIECE_BYTES if is_read else MAX_HEAD_BYTES, self._body.wanted_bytes)

    @property
    def _address(self) -> str:
        return self.client[0] if self.client else UNKNOWN

    def data_received(self, data: bytes | memoryview) -> None:
        self._unset_keepalive_if_required()
        if self._phase is Phase.HEAD and not self._turns.take_now(self.loop):
            # A request begins a task: hundreds at once must not go before everything else.
            self._unparsed += bytes(data)
            self._waits_since = self.loop.time()
            self.flow.pause_reading()
            self._turns.soon(self.loop, self._take_unparsed, self._address)
            return
        self._take(memoryview(self._unparsed + data if self._unparsed else data))

    def eof_received(self) -> bool:  # type: ignore[override]  # as asyncio takes it
        """Go on where a request came whole: who has nothing more to say may still read."""
        if self._phase is not Phase.ANSWER and not self._awaits_reader:
            return False
        self._is_last = self.is_half_closed = True
        self._outgoing.add(self)
        if not self.cycle.response_started:
            self._set_deadline(self._settings.half_closed_seconds)
        return True

    @property
    def is_answering(self) -> bool:
        """Whether a request was read, and its answer is not written."""
        return self._phase in {Phase.BODY, Phase.ANSWER} and not self.cycle.response_complete

    @property
    def is_waiting(self) -> bool:
        """Whether a request was read, and its answer has not begun."""
        return self._phase in {Phase.BODY, Phase.ANSWER} and not self.cycle.response_started

    def has_left(self) -> bool:
        """Whether the client has gone before its request came whole, of which nobody reads."""
        missing = self._body.missing_bytes(len(self._unparsed))
        may = self.is_waiting and not (missing and self.incoming and self.incoming.was_asked_for)
        return may and has_left(self.transport, missing)

    def resume_writing(self) -> None:
        super().resume_writing()
        if self._awaits_reader:
            self._awaits_reader = False
            self._next_request()

    def shutdown(self) -> None:
        """Close where nothing is answered, else behind the answer."""
        if self._phase in {Phase.HEAD, Phase.CLOSING} or self.cycle.response_complete:
            self.transport.close()
        else:
            self._is_last = True
            self.cycle.keep_alive &= self.cycle.response_started

    # --- requests on their way in ----------------------------------------------------------------

    def _take(self, data: memoryview) -> None:
        """Read as much as may be read now; hold the rest, and read no more while there is some."""
        try:
            while data:
                if self._phase is Phase.HEAD:
                    data = self._take_head(data)
                elif self._phase is Phase.BODY:
                    data = self._take_body(data)
                    if data and self._phase is Phase.BODY:
                        self._more_turns.soon(self.loop, self._take_unparsed, self._address)
                        break
                elif self._phase is Phase.CLOSING:
                    return self._ignore(len(data))
                else:
                    break
        except Problem as problem:
            return None if self.transport.is_closing() else self._refuse(problem)
        if not self._websocket:
            self._unparsed = bytes(data)
            self.regulate_reading()
        return None

    def _take_unparsed(self) -> bool:
        unparsed, self._unparsed = self._unparsed, b""
        if not self.transport.is_closing():
            self._take(memoryview(unparsed))
        return self._phase is not Phase.CLOSING and not self.transport.is_closing()

    def _take_head(self, data: memoryview) -> memoryview:
        self._unset_keepalive_if_required()
        head, behind = self._head.feed(data)
        if not head:
            if self._deadline is None and self._head.read_bytes:
                self._set_deadline(self._settings.head_seconds)
            return behind
        self._set_deadline(None)
        # A parser for each head: it never sees anything else, so that what it would take an offer
        # to upgrade for doesn't matter.
        self.parser = httptools.HttpRequestParser(self)
        self._behind_bytes = len(behind)
        parse_head(self.parser, head)
        if self._websocket:
            self._hand_over(behind)
            return behind[:0]
        return behind

    def on_header(self, name: bytes, value: bytes) -> None:
        super().on_header(name, value.rstrip(b" \t"))

    def on_headers_complete(self) -> None:
        self._websocket = False
        self.scope["extensions"] = self._extensions
        version, method = self.parser.get_http_version(), self.parser.get_method()
        self._body = body_of(method, version, self.headers)
        waited = self.loop.time() - self._waits_since
        refuse_gone(self.transport, self._body.missing_bytes(self._behind_bytes), waited)
        self._body_began, self._waits_since = False, math.inf
        if version == "1.0":
            self.expect_100_continue = False  # RFC 9110 §10.1.1
        elif self.parser.should_upgrade():
            self._websocket = offers_websocket(method, self.headers, self._body)
        if not self.url.startswith(b"/"):
            self.url = path_of(self.url, self.headers)
        super().on_headers_complete()
        if self._websocket:
            return
        # The task of the request asks for these when it begins.
        self.incoming = IncomingBody(self.cycle, self.regulate_reading)
        self._answer = ResponseSender(self.cycle, on_begin=self._answer_begins)
        self.cycle.send = self._answer.send  # type: ignore[method-assign,assignment]  # as above
        self._phase = Phase.BODY
        if self._body.is_complete:
            self._body_arrived()

    def on_message_complete(self) -> None:
        """Nothing: the parser only knows where the head ends."""

    def _should_upgrade(self) -> bool:
        return self._websocket

    def _hand_over(self, behind: memoryview) -> None:
        """Let the WebSocket protocol have the connection, and what came behind the handshake."""
        early = bytes(behind)
        self.flow.resume_reading()  # from here on that protocol alone pauses and resumes
        self.handle_websocket_upgrade()
        protocol = self.transport.get_protocol()
        assert isinstance(protocol, CountedSocket)  # noqa: S101 - see `make_server`
        protocol.leave = self._let_go
        if early and not self.transport.is_closing():
            protocol.data_received(early)

    def _take_body(self, data: memoryview) -> memoryview:
        body = self._body
        pieces: list[bytes] = []
        data = body.feed(data, pieces.append, at_most=STEPS_A_TURN)
        if pieces:
            self._body_began = True
            if self.incoming is not None and not self.cycle.response_complete:
                self.incoming.add(pieces)
        if body.is_complete:
            self._body_arrived()
        elif isinstance(body, ChunkedBody) and body.in_trailers and self._deadline is None:
            self._set_deadline(self._settings.head_seconds)
        return data

    def _body_arrived(self) -> None:
        self._phase = Phase.ANSWER
        self._set_deadline(None)
        if self.cycle.response_complete:
            self._answered()
        else:
            self.cycle.more_body = False
            self.cycle.message_event.set()

    def regulate_reading(self) -> None:
        """Read on, unless there is enough to do."""
        if self.transport.is_closing():
            return
        is_full = self.incoming is not None and self.incoming.is_full
        if self._unparsed or (is_full and self._phase is Phase.BODY):
            self.flow.pause_reading()
            self._outgoing.add(self)  # which notices who leaves
        else:
            self.flow.resume_reading()

    # --- answers on their way out ----------------------------------------------------------------

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: ASGI3Application) -> None:
        super()._start_asgi_task(cycle, partial(run_quietly, self, cycle, app))  # type: ignore[arg-type]  # an application

    def _answer_begins(self) -> None:
        if self._is_lost:
            return  # nobody would ever discard it
        self._outgoing.add(self)
        if self._phase is Phase.ANSWER:
            self._set_deadline(None)
        elif self.cycle.waiting_for_100_continue and not self._body_began:
            # Nobody knows whether the body comes now: what follows could be that, or a request.
            self.cycle.keep_alive = False

    def on_response_complete(self) -> None:
        self.server_state.total_requests += 1
        self._is_last = self._is_last or self._answer.is_last
        if self.transport.is_closing():
            return
        if self._phase is not Phase.BODY:
            self._answered()
        elif self._is_last:
            self._max_ignored_bytes = MAX_LEFTOVER_BYTES
            self._close_politely(self._settings.linger_seconds)
        else:
            self._set_deadline(self._settings.linger_seconds)
            self.regulate_reading()

    def _answered(self) -> None:
        """Go on behind an answer that is written, to a request that has come whole."""
        if self._is_last:
            self._end()
        elif self.flow.write_paused:
            self._awaits_reader = True
        else:
            self._next_request()

    def _next_request(self) -> None:
        if self._is_last:
            self._end()
            return
        self._phase = Phase.HEAD
        if self._unparsed:
            self._turns.soon(self.loop, self._take_unparsed, self._address)
        else:
            self.timeout_keep_alive_task = self.loop.call_later(
                self._settings.keep_alive_seconds, self.timeout_keep_alive_handler
            )
            self.regulate_reading()

    def _refuse(self, problem: Problem) -> None:
        """Answer with a problem, unless an answer has begun, and close."""
        cycle = self.cycle
        if self._phase is Phase.BODY:
            if not cycle.response_complete:
                cycle.disconnected = True
                cycle.waiting_for_100_continue = False
                cycle.message_event.set()  # the application need not wait for more
            if cycle.response_started:
                return self._close_politely(self._settings.refused_seconds)
        self._outgoing.add(self)
        self.transport.write(refusal(problem, to_head=self._head.is_for_head))
        self._ignored_bytes = 0
        return self._close_politely(self._settings.refused_seconds)

    def _end(self) -> None:
        """Close behind the last answer, which more requests may be on their way to meet."""
        if self.is_half_closed or self.transport.is_closing():
            self.transport.close()
        else:
            self._close_politely(self._settings.refused_seconds)

    def _close_politely(self, seconds: float) -> None:
        """Say that nothing more will be said, and wait for the peer to say the same."""
        self._phase = Phase.CLOSING
        self._unparsed = b""
        self._set_deadline(seconds)
        self.transport.write_eof()
        self.regulate_reading()

    def _ignore(self, count: int) -> None:
        self._ignored_bytes += count
        if self._ignored_bytes > self._max_ignored_bytes:
            self._abort()  # who is still sending would wait for nothing

    def _abort(self) -> None:
        if self.is_answering:
            self.cycle.disconnected = True
        self.transport.abort()

    # --- time ------------------------------------------------------------------------------------

    def _set_deadline(self, seconds: float | None) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
        self._deadline = None if seconds is None else self.loop.call_later(seconds, self._abort)
