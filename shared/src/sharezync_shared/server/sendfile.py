"""Files on their way out: from the page cache into the socket, without passing through us.

The ASGI extension `http.response.zerocopysend` (asgi.readthedocs.io, Extensions), for HTTP/1.1
without TLS on systems that have sendfile(2). An application that finds it in its scope may send,
behind `http.response.start` with a `Content-Length`, messages of that type in the place of
`http.response.body`: `file` (with a `fileno()`), `offset` and `count` in bytes, and `more_body`.
"""

import asyncio
import os
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Final, Protocol

from sharezync_shared.threads import IoThreads

ZERO_COPY: Final = "http.response.zerocopysend"
"""The name of the extension in `scope["extensions"]`, and of its message."""
ZERO_COPY_OFFERED: Final[dict[str, dict[object, object]]] = (
    {ZERO_COPY: {}} if hasattr(os, "sendfile") else {}
)
"""What a server that can puts among the extensions."""

_AT_ONCE_BYTES: Final = 4 * 1024 * 1024
_FLUSH_SECONDS: Final = 0.005

# A page that isn't in memory is waited for in a thread; a client that doesn't read is not.
_THREADS: Final = IoThreads("sendfile")


class FileTruncated(OSError):
    """The file ended before all was sent that was to be."""


class HasFileno(Protocol):
    def fileno(self) -> int: ...


async def send_file(
    transport: asyncio.Transport, file: HasFileno, *, offset: int, count: int
) -> None:
    """Send `count` bytes of `file` from `offset` on, behind all that was written before.

    `file` is not touched any more once this has returned or raised. Raises FileTruncated, and
    OSError where the peer has gone.
    """
    async with flushed_socket(transport) as socket:
        await _send_all(socket, file.fileno(), offset, count)


@asynccontextmanager
async def flushed_socket(transport: asyncio.Transport) -> AsyncGenerator[int]:
    """Yield a descriptor to write to, behind all that was written. Raises BrokenPipeError."""
    while transport.get_write_buffer_size():
        # There is no event when its last byte is out. A head nearly always is, one turn later.
        await asyncio.sleep(0)
        if transport.get_write_buffer_size():
            await asyncio.sleep(_FLUSH_SECONDS)
    if transport.is_closing():
        raise BrokenPipeError
    # Of our own: the loop keeps others from waiting for a descriptor that a transport has.
    socket = os.dup(transport.get_extra_info("socket").fileno())
    try:
        yield socket
    finally:
        os.close(socket)


async def _send_all(socket: int, file: int, offset: int, count: int) -> None:
    while count:
        sent, is_full = await _THREADS.run(_send_some, socket, file, offset, count)
        offset, count = offset + sent, count - sent
        if count and is_full:
            await writable(socket)


def _send_some(socket: int, file: int, offset: int, count: int) -> tuple[int, bool]:
    """Return how much went into the socket, and whether it took no more."""
    sent = 0
    while sent < min(count, _AT_ONCE_BYTES):
        try:
            now = os.sendfile(socket, file, offset + sent, count - sent)
        except BlockingIOError:
            return sent, True
        if not now:
            raise FileTruncated
        sent += now
    return sent, False


async def writable(socket: int) -> None:
    """Wait until a descriptor that no transport has takes more."""
    loop = asyncio.get_running_loop()
    ready = asyncio.Event()
    loop.add_writer(socket, ready.set)
    try:
        await ready.wait()
    finally:
        loop.remove_writer(socket)
