"""A line to a gateway on which every byte of a chunk is counted, and which can tell of a moment.

It stands outside of everything that is tested: what a sender sent is what came out of its socket,
whoever read it, and whoever was killed before they could.
"""

import asyncio
import json
from collections.abc import Callable
from types import TracebackType
from typing import Any, Final, Self

_READ_BYTES: Final = 256 * 1024
_CHUNK_HEADER_BYTES: Final = 64  # docs/realtime.md, "Files, device to device"
_TEXT, _BINARY = 1, 2  # RFC 6455, 5.2

Json = dict[str, Any]


class Flow:
    """What has gone over the line in one direction, in all connections together."""

    def __init__(self) -> None:
        self.chunk_bytes = 0
        """Of payloads of chunks; of a chunk that was cut off, what had gone over."""
        self.texts: list[Json] = []
        self._due: list[Callable[[], bool]] = []

    @property
    def granted_bytes(self) -> int:
        """The largest window that was granted here to the one at the other end."""
        return max(text.get("window") or 0 for text in self.texts)

    def when(self, is_due: Callable[["Flow"], bool], act: Callable[[], None]) -> None:
        """Do something once, as soon as what has gone over the line makes it due."""

        def look() -> bool:
            if not is_due(self):
                return False
            act()
            return True

        self._due.append(look)

    def look(self) -> None:
        """Do what is due."""
        self._due = [each for each in self._due if not each()]


class Scanner:
    """Finds the frames of one direction of one connection, in pieces of whatever size."""

    def __init__(self, flow: Flow) -> None:
        self._flow = flow
        self._pending = bytearray()
        self._is_socket: bool | None = None
        """None: the head of the request, or of its answer, has not ended yet."""
        self._left = 0
        """How much of the present frame is still to come."""

    def feed(self, data: bytes) -> None:
        """Count what has gone over the line."""
        if self._is_socket is False:
            return
        self._pending += data
        if self._is_socket is None and not self._read_head():
            return
        while self._pass_on() and self._begin_frame():
            pass

    def _read_head(self) -> bool:
        head, end, rest = self._pending.partition(b"\r\n\r\n")
        if not end:
            return False
        self._is_socket = b"upgrade: websocket" in head.lower()
        self._pending = rest if self._is_socket else bytearray()
        return self._is_socket

    def _pass_on(self) -> bool:
        """Count what is there of a chunk's payload; True if it has ended."""
        count = min(self._left, len(self._pending))
        self._flow.chunk_bytes += count
        self._left -= count
        del self._pending[:count]
        return not self._left

    def _begin_frame(self) -> bool:
        """Take the beginning of a frame, of a text all of it; False while that isn't there."""
        pending = self._pending
        if len(pending) < 2:
            return False
        masked, short = pending[1] >> 7, pending[1] & 0x7F
        extended = {126: 2, 127: 8}.get(short, 0)
        begin = 2 + extended + 4 * masked
        if len(pending) < begin:
            return False
        length = int.from_bytes(pending[2 : 2 + extended], "big") if extended else short
        kind = pending[0] & 0x0F
        assert pending[0] & 0x80, "nobody here sends a message in several frames"
        if kind == _BINARY:
            taken = min(length, _CHUNK_HEADER_BYTES)
            self._left = length - taken
        else:
            taken = length
        if len(pending) < begin + taken:
            self._left = 0
            return False
        if kind == _TEXT:
            payload = bytes(pending[begin : begin + taken])
            if masked:
                key = bytes(pending[begin - 4 : begin])
                payload = bytes(byte ^ key[at % 4] for at, byte in enumerate(payload))
            self._flow.texts.append(json.loads(payload))
        del pending[: begin + taken]
        return True


class CountingLine:
    """Listens on 127.0.0.1 and passes everything on to a gateway at `port`, there or not.

    `up` is what clients send, `down` what they get. Who is killed by what comes down never got it,
    and who is killed by what goes up has just been sent it. An end that dies is told to the other
    one as the kernel tells it: after what it had sent before.
    """

    def __init__(self, port: int) -> None:
        self._port = port
        self._server: asyncio.Server | None = None
        self._connections: set[asyncio.Task[None]] = set()
        self._writers: set[asyncio.StreamWriter] = set()
        self.up = Flow()
        self.down = Flow()

    @property
    def url(self) -> str:
        """Where clients find the gateway through here; the same for its whole life."""
        assert self._server is not None
        return f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        assert self._server is not None
        self._server.close()
        for task in self._connections:
            task.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)
        for writer in self._writers:  # to ends that never took what was sent to them
            writer.transport.abort()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._connections.add(task)
        self._writers.add(writer)
        onward = writer
        try:
            answers, onward = await asyncio.open_connection("127.0.0.1", self._port)
            self._writers.add(onward)
            async with asyncio.TaskGroup() as pumps:
                pumps.create_task(_pump(reader, onward, self.up))
                pumps.create_task(_pump(answers, writer, self.down, look_first=True))
        except (asyncio.CancelledError, OSError, ExceptionGroup):
            writer.close()
            onward.close()
        finally:
            self._connections.discard(task)


async def _pump(
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    flow: Flow,
    *,
    look_first: bool = False,
) -> None:
    """Pass on until one end is gone. Raises ConnectionError then.

    What is due is done as soon as the bytes are on their way; with `look_first` before they are.
    """
    scanner = Scanner(flow)
    while data := await reader.read(_READ_BYTES):
        scanner.feed(data)
        if look_first:
            flow.look()
        writer.write(data)
        flow.look()
        await writer.drain()
    raise ConnectionResetError
