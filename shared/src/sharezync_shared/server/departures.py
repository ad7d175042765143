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
from collections.abc import Callable
from typing import Final

from sharezync_shared.problems import Malformed
from sharezync_shared.server import tcp

CLIENT_EXTENSION: Final = "sharezync.client"
PATIENCE_SECONDS: Final = 0.03
"""Who has waited for less is let in without the kernel being asked."""


class Departure:
    """The end of one connection, and who wants to hear of it."""

    __slots__ = ("_call",)

    def __init__(self) -> None:
        self._call: Callable[[], None] | None = None

    def offered(self, has_left: Callable[[], bool]) -> dict[str, dict[object, object]]:
        """Return what a server puts among the extensions of a request's scope."""
        return {CLIENT_EXTENSION: {"has_left": has_left, "on_left": self.then}}

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
    info = tcp.tcp_info(transport, 1)
    if info is None:
        return tcp.IS_LINUX  # it was closed just now
    if not tcp.is_half_closed(info):
        return tcp.is_reset(info)
    try:
        unread = tcp.unread_bytes(transport.get_extra_info("socket").fileno())
    except tcp.CLOSED:
        return True
    return unread < missing_bytes


def refuse_gone(transport: asyncio.Transport, missing_bytes: int, waited_seconds: float) -> None:
    """Drop a connection whose client gave up while it waited for its turn. Raises Malformed."""
    if waited_seconds > PATIENCE_SECONDS and has_left(transport, missing_bytes):
        transport.abort()
        raise Malformed("The client has left")
