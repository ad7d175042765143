"""Clients that leave before their request was begun: noticed though nothing is read from them.

Our own ASGI extension `sharezync.client`. While an application lets a request wait, nobody reads
its body, so nothing tells that who sent it has gone: what came lies in front of the connection's
end. `scope["extensions"][CLIENT_EXTENSION]` has two functions: `has_left()` asks the kernel, and
`on_left(call)` has `call` called once when the connection has ended; None takes that back.

It should be asked only of a request that has waited for longer than `PATIENCE_SECONDS`: what came
of a body that breaks off is worth keeping (tus). Who has sent all and ended their direction may
still read, and hasn't left.
"""

import asyncio
import fcntl
import socket
import struct
import sys
import termios
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from sharezync_shared.problems import Malformed
from sharezync_shared.server.answer import ABORT_EXTENSION

CLIENT_EXTENSION: Final = "sharezync.client"
PATIENCE_SECONDS: Final = 0.03

_STATE: Final = 0  # in struct tcp_info (linux/tcp.h)
_TCP_CLOSE, _TCP_CLOSE_WAIT = 7, 8  # states (linux/tcp_states.h): reset by the peer; half closed
_IS_LINUX: Final = sys.platform == "linux"


class Departure:
    """The end of one connection, and who wants to hear of it."""

    __slots__ = ("_call",)

    def __init__(self) -> None:
        self._call: Callable[[], None] | None = None

    def offered(
        self, *, has_left: Callable[[], bool], abort: Callable[[], None]
    ) -> dict[str, dict[object, object]]:
        """Return what a server puts among the extensions of a request's scope."""
        client: dict[object, object] = {"has_left": has_left, "on_left": self.then}
        return {CLIENT_EXTENSION: client, ABORT_EXTENSION: {"abort": abort}}

    def then(self, call: Callable[[], None] | None) -> None:
        """Have `call` called when it has ended; None takes that back."""
        self._call = call

    def tell(self) -> None:
        """Tell that it has ended."""
        if self._call is not None:
            self._call()


def has_left(transport: asyncio.Transport, missing_bytes: int) -> bool:
    """Whether the peer has closed, and so many bytes more can't come any more; Linux only.

    Of 0 bytes it is only who has reset the connection.
    """
    if transport.is_closing():
        return True
    if not _IS_LINUX:
        return False
    with suppress(OSError, ValueError):  # it was closed just now: of uvloop the one or the other
        sock: socket.socket = transport.get_extra_info("socket")
        state = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[_STATE]
        if state == _TCP_CLOSE_WAIT:
            unread = fcntl.ioctl(sock.fileno(), termios.FIONREAD, bytes(4))
            return int(struct.unpack("i", unread)[0]) < missing_bytes
        return state == _TCP_CLOSE
    return True


def refuse_gone(transport: asyncio.Transport, missing_bytes: int) -> None:
    """Drop a connection whose client gave up while it waited for its turn. Raises Malformed."""
    if has_left(transport, missing_bytes):
        transport.abort()
        raise Malformed("The client has left")
