"""Bodies of requests on their way in: read in large pieces, and passed on as they came.

uvicorn copies what it reads four times before an application has it, in pieces of at most 256 KiB.
Here the socket is read into one buffer that all connections of the process share, and each piece is
copied out of it once, by the parser.
"""

import asyncio
from collections import deque
from typing import Final

from uvicorn._types import ASGIReceiveEvent, HTTPDisconnectEvent, HTTPRequestEvent
from uvicorn.protocols.http.flow_control import HIGH_WATER_LIMIT
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

PIECE_BYTES: Final = 512 * 1024
"""The most that is read at a time, and so the most that a message of a body holds."""

# Never read after the call in which it was filled: the parser has copied what it keeps.
_BUFFER: Final = memoryview(bytearray(PIECE_BYTES))


class SharedBufferReader(asyncio.BufferedProtocol):
    """Stands between a transport and an HTTP protocol, and reads for it."""

    def __init__(self, protocol: HttpToolsProtocol) -> None:
        self._protocol = protocol
        self.connection_lost = protocol.connection_lost  # type: ignore[method-assign]  # straight on
        self.eof_received = protocol.eof_received  # type: ignore[method-assign]  # as above
        self.pause_writing = protocol.pause_writing  # type: ignore[method-assign]  # as above
        self.resume_writing = protocol.resume_writing  # type: ignore[method-assign]  # as above

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._protocol.connection_made(transport)  # type: ignore[arg-type]  # a stream's

    def get_buffer(self, sizehint: int) -> memoryview:  # noqa: ARG002 - as asyncio asks for it
        return _BUFFER

    def buffer_updated(self, nbytes: int) -> None:
        self._protocol.data_received(_BUFFER[:nbytes])  # type: ignore[arg-type]  # any buffer will do


class IncomingBody:
    """What has come of one request's body, and the ASGI `receive` that gives it out.

    Where the connection breaks, all that came before is given out first: uvicorn forgets it, which
    an upload that is resumed would have to send again.
    """

    def __init__(self, cycle: RequestResponseCycle) -> None:
        self._cycle = cycle
        self._pieces: deque[bytes] = deque()
        self.waiting_bytes = 0
        """What has come and was not given out."""

    def add(self, piece: bytes) -> None:
        """Take in what has come; the connection is not read on while much of it waits."""
        self._pieces.append(piece)
        self.waiting_bytes += len(piece)
        if self.waiting_bytes > HIGH_WATER_LIMIT:
            self._cycle.flow.pause_reading()
        self._cycle.message_event.set()

    async def receive(self) -> ASGIReceiveEvent:
        """Return the next piece, or `http.disconnect` once there is nothing to come."""
        cycle = self._cycle
        if cycle.waiting_for_100_continue and not cycle.transport.is_closing():
            cycle.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            cycle.waiting_for_100_continue = False
        if not (self._pieces or cycle.disconnected or cycle.response_complete):
            cycle.flow.resume_reading()
            await cycle.message_event.wait()
        cycle.message_event.clear()
        if cycle.response_complete or (cycle.disconnected and not self._pieces):
            # Said again to whoever asks again, at once.
            return HTTPDisconnectEvent(type="http.disconnect")
        piece = self._pieces.popleft() if self._pieces else b""
        self.waiting_bytes -= len(piece)
        more = bool(self._pieces) or cycle.more_body
        return HTTPRequestEvent(type="http.request", body=piece, more_body=more)
