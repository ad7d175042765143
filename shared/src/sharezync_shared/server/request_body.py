"""Bodies of requests on their way in: read in large pieces, and passed on as they came.

uvicorn copies what it reads four times before an application has it, in pieces of at most 256 KiB.
Here the socket is read into one buffer that all connections of the process share, and each piece is
copied out of it once, by the parser.
"""

import asyncio
from collections.abc import Callable
from typing import Final, Protocol

from uvicorn._types import ASGIReceiveEvent, HTTPDisconnectEvent, HTTPRequestEvent
from uvicorn.protocols.http.flow_control import HIGH_WATER_LIMIT
from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

PIECE_BYTES: Final = 512 * 1024
"""The most that is read at a time. A message of a body holds no more than that and what may wait
until reading stops, `HIGH_WATER_LIMIT`."""

# Never read after the call in which it was filled: the parser has copied what it keeps.
BUFFER: Final = memoryview(bytearray(PIECE_BYTES))


class Reads(Protocol):
    """What a protocol of asyncio must be able to for `SharedBufferReader` to read for it."""

    @property
    def wanted_bytes(self) -> int:
        """How much to read at a time."""
        ...

    def connection_made(self, transport: asyncio.Transport) -> None: ...
    def connection_lost(self, exc: Exception | None) -> None: ...
    def data_received(self, data: bytes) -> None: ...
    def eof_received(self) -> bool | None: ...
    def pause_writing(self) -> None: ...
    def resume_writing(self) -> None: ...


class SharedBufferReader(asyncio.BufferedProtocol):
    """Stands between a transport and a protocol, and reads for it: into a buffer of all."""

    __slots__ = ("_protocol",)

    def __init__(self, protocol: Reads) -> None:
        self._protocol = protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._protocol.connection_made(transport)  # type: ignore[arg-type]  # it is a stream's

    def connection_lost(self, exc: Exception | None) -> None:
        self._protocol.connection_lost(exc)

    def get_buffer(self, sizehint: int) -> memoryview:  # noqa: ARG002 - as asyncio asks for it
        return BUFFER[: self._protocol.wanted_bytes]

    def buffer_updated(self, nbytes: int) -> None:
        self._protocol.data_received(BUFFER[:nbytes])  # type: ignore[arg-type]  # any buffer will do

    def eof_received(self) -> bool | None:
        return self._protocol.eof_received()

    def pause_writing(self) -> None:
        self._protocol.pause_writing()

    def resume_writing(self) -> None:
        self._protocol.resume_writing()


class IncomingBody:
    """What has come of one request's body, and the ASGI `receive` that gives it out.

    Where the connection breaks, all that came before is given out first: uvicorn forgets it, which
    an upload that is resumed would have to send again.
    """

    def __init__(self, cycle: RequestResponseCycle, regulate: Callable[[], None]) -> None:
        """`regulate` is called whenever `is_full` may have changed."""
        self._cycle = cycle
        self._regulate = regulate
        self._pieces: list[bytes] = []
        self.waiting_bytes = 0
        """What has come and was not given out."""
        self.was_asked_for = False
        """Whether the application has begun to read."""

    @property
    def is_full(self) -> bool:
        """Whether so much waits that no more should be read."""
        return self.waiting_bytes > HIGH_WATER_LIMIT and not self._cycle.response_complete

    def add(self, pieces: list[bytes]) -> None:
        """Take in what has come."""
        self._pieces += pieces
        self.waiting_bytes += sum(map(len, pieces))
        self._cycle.message_event.set()

    @property
    def _is_over(self) -> bool:
        return self._cycle.disconnected or self._cycle.transport.is_closing()

    async def receive(self) -> ASGIReceiveEvent:
        """Return the next piece, or `http.disconnect` once there is nothing to come."""
        cycle = self._cycle
        self.was_asked_for = True
        if cycle.waiting_for_100_continue and not self._is_over:
            cycle.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            cycle.waiting_for_100_continue = False
        if not (self._pieces or cycle.disconnected or cycle.response_complete):
            self._regulate()
            await cycle.message_event.wait()
        cycle.message_event.clear()
        if cycle.response_complete or (cycle.disconnected and not self._pieces):
            # Said again to whoever asks again, at once.
            return HTTPDisconnectEvent(type="http.disconnect")
        # Nearly always one. Many are small: a chunked body can be of a byte each, and a message for
        # every byte would cost us a thousand times what it costs who sends it.
        body = self._pieces[0] if len(self._pieces) == 1 else b"".join(self._pieces)
        self._pieces.clear()
        self.waiting_bytes = 0
        return HTTPRequestEvent(type="http.request", body=body, more_body=cycle.more_body)
