"""A TCP proxy that misbehaves on request, to stand in front of a broker, a database or S3."""

import asyncio
import socket
import struct
from contextlib import suppress
from types import TracebackType
from typing import Final, Self

_CHUNK_BYTES: Final = 64 * 1024
_LINGER_OFF: Final = struct.pack("ii", 1, 0)
"""SO_LINGER with no time: closing then sends a reset instead of an orderly end."""


class ChaosProxy:
    """Listens on 127.0.0.1 and passes bytes to `target`: a host and port, or a socket's path.

    Behaves until told otherwise. Connections made in any state stay under its control::

        async with ChaosProxy(("127.0.0.1", 5672)) as proxy:
            connect_to(proxy.host, proxy.port)
            proxy.reset()
    """

    host: Final = "127.0.0.1"

    def __init__(self, target: tuple[str, int] | str) -> None:
        self._target = target
        self._server: asyncio.Server | None = None
        self._port = 0
        self._latency_seconds = 0.0
        self._flowing = asyncio.Event()
        self._flowing.set()
        self._refusing = False
        self._connections: set[asyncio.Task[None]] = set()
        self._abandoning = False
        self._abandoned: list[asyncio.StreamWriter] = []

    @property
    def port(self) -> int:
        """The port it listens on; the same for its whole life."""
        return self._port

    @property
    def connections(self) -> int:
        """How many connections are open now."""
        return len(self._connections)

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, self.host, 0)
        self._port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._server is not None:
            self._server.close()
        self.reset()
        await asyncio.gather(*self._connections, return_exceptions=True)
        for upstream in self._abandoned:
            _abort(upstream)

    def lead_to(self, target: tuple[str, int] | str) -> None:
        """Connect to another place from now on; present connections stay where they are."""
        self._target = target

    def latency(self, seconds: float) -> None:
        """Hold each chunk (of 64 KiB at most) back this long, in each direction, from now on."""
        self._latency_seconds = seconds

    def reset(self) -> None:
        """End every present connection with a TCP reset. New ones are accepted."""
        self._abandoning = False
        for task in self._connections:
            task.cancel()

    async def abandon(self) -> None:
        """Reset the clients' ends only: the target goes on believing in its connections."""
        self._abandoning = True
        for task in self._connections:
            task.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)
        self._abandoning = False

    def refuse(self) -> None:
        """Reset present connections and every new one, as if nobody listened, until `heal`."""
        self._refusing = True
        self.reset()

    def black_hole(self) -> None:
        """Let nothing through in either direction and say nothing, until `heal`.

        New connections are accepted by the kernel, as by a host whose process hangs.
        """
        self._flowing.clear()

    def heal(self) -> None:
        """Behave again. What a black hole held back arrives late, as after retransmission."""
        self._latency_seconds = 0.0
        self._refusing = False
        self._flowing.set()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        if self._refusing:
            _abort(writer)
            return
        self._connections.add(task)
        upstream: asyncio.StreamWriter | None = None
        try:
            upstream_reader, upstream = await self._connect()
            async with asyncio.TaskGroup() as pumps:
                pumps.create_task(self._pump(reader, upstream))
                pumps.create_task(self._pump(upstream_reader, writer))
            # Both ends have ended: what is still in the buffers goes out first.
            writer.close()
            upstream.close()
        except (asyncio.CancelledError, OSError, ExceptionGroup):
            pass  # reset by us, or by either end: told to both below
        finally:
            self._connections.discard(task)
            _abort(writer)
            if upstream is not None:
                if self._abandoning:
                    self._abandoned.append(upstream)
                else:
                    _abort(upstream)

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if isinstance(self._target, str):
            return await asyncio.open_unix_connection(self._target)
        return await asyncio.open_connection(*self._target)

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Pass bytes on until the end, and the end too; each direction may end alone."""
        while True:
            await self._flowing.wait()
            chunk = await reader.read(_CHUNK_BYTES)
            await self._flowing.wait()
            if self._latency_seconds:
                await asyncio.sleep(self._latency_seconds)
            if not chunk:
                if writer.can_write_eof():
                    writer.write_eof()
                return
            writer.write(chunk)
            await writer.drain()


def _abort(writer: asyncio.StreamWriter) -> None:
    """End a connection with a reset, unless it is closing in good order."""
    if writer.is_closing():
        return
    plain = writer.get_extra_info("socket")
    if plain is not None and plain.family != socket.AF_UNIX:
        with suppress(OSError):  # already gone
            plain.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_OFF)
    writer.transport.abort()
