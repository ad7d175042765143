"""Answers from another connection: from socket to socket, without passing through us.

Our own ASGI extension `sharezync.splice`, for HTTP/1.1 without TLS on systems that have splice(2).
An application that finds it in its scope may send, behind `http.response.start` with a
`Content-Length`, messages of that type in the place of `http.response.body`: `source` (a
`SpliceSource`), `count` in bytes, no more than its `readable` said, and `more_body`.
"""

import asyncio
import os
from typing import Final, Self

from sharezync_shared.server.sendfile import flushed_socket, writable
from sharezync_shared.server.tcp import unread_bytes

SPLICE: Final = "sharezync.splice"
"""The name of the extension in `scope["extensions"]`, and of its message."""
SPLICE_OFFERED: Final[dict[str, dict[object, object]]] = (
    {SPLICE: {}} if hasattr(os, "splice") else {}
)
"""What a server that can puts among the extensions."""

_FLAGS: Final = getattr(os, "SPLICE_F_MOVE", 0) | getattr(os, "SPLICE_F_NONBLOCK", 0)
_MOST_AT_ONCE_BYTES: Final = 512 * 1024  # some tenths of a millisecond


class SpliceSource:
    """A connection whose bytes go on to another one. Nobody else may read from it meanwhile."""

    __slots__ = ("_into", "_out_of", "_socket")

    def __init__(self, socket: int) -> None:
        """`socket` is a descriptor of a stream socket that doesn't block; it stays the caller's."""
        self._socket = os.dup(socket)
        self._out_of, self._into = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for descriptor in (self._socket, self._out_of, self._into):
            os.close(descriptor)

    async def readable(self) -> int:
        """Wait until there is something; return how many bytes, or 0 at the end."""
        # Where both ends are fast nothing would ever have to wait, and nobody else had a turn.
        await asyncio.sleep(0)
        loop = asyncio.get_running_loop()
        if not (count := unread_bytes(self._socket)):
            ready = asyncio.Event()
            loop.add_reader(self._socket, ready.set)
            try:
                await ready.wait()
            finally:
                loop.remove_reader(self._socket)
            count = unread_bytes(self._socket)
        return min(count, _MOST_AT_ONCE_BYTES)

    async def move(self, target: int, count: int) -> None:
        """Move `count` bytes that are there.

        Raises OSError where the `target` has gone, and EOFError where this connection broke.
        """
        while count:
            try:
                in_pipe = os.splice(self._socket, self._into, count, flags=_FLAGS)
            except OSError as error:
                raise EOFError from error
            if not in_pipe:
                raise EOFError
            count -= in_pipe
            while in_pipe:
                try:
                    in_pipe -= os.splice(self._out_of, target, in_pipe, flags=_FLAGS)
                except BlockingIOError:
                    await writable(target)


async def send_spliced(transport: asyncio.Transport, source: SpliceSource, *, count: int) -> None:
    """Send `count` bytes of `source`, behind all that was written before.

    Raises OSError where the peer has gone, and EOFError where the source broke.
    """
    async with flushed_socket(transport) as socket:
        await source.move(socket, count)
