"""What the kernel knows of a TCP connection: TCP_INFO and FIONREAD of Linux (tcp(7))."""

import asyncio
import fcntl
import socket
import struct
import sys
import termios
from contextlib import suppress
from typing import Final

IS_LINUX: Final = sys.platform == "linux"
CLOSED: Final = (OSError, ValueError)
"""What asking a socket raises that is closed: of asyncio the one, of uvloop the other."""
INFO_BYTES: Final = 232
"""Of struct tcp_info (linux/tcp.h), as far as we read it."""

_STATE: Final = 0  # where in it
_RESET, _HALF_CLOSED = 7, 8  # TCP_CLOSE, TCP_CLOSE_WAIT (linux/tcp_states.h)


def tcp_info(transport: asyncio.Transport, size_bytes: int = INFO_BYTES) -> bytes | None:
    """Return the first bytes of a connection's struct tcp_info; None where nothing tells.

    So it is on other systems, and of what is no TCP connection or was closed just now.
    """
    if IS_LINUX:
        with suppress(*CLOSED):
            sock: socket.socket = transport.get_extra_info("socket")
            return sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, size_bytes)
    return None


def is_reset(info: bytes) -> bool:
    """Whether the peer has reset the connection."""
    return info[_STATE] == _RESET


def is_half_closed(info: bytes) -> bool:
    """Whether the peer says no more, also where nobody read so far as to notice."""
    return info[_STATE] == _HALF_CLOSED


def unread_bytes(descriptor: int) -> int:
    """Return how much of what came has not been read. Raises OSError for what is closed."""
    unread = fcntl.ioctl(descriptor, termios.FIONREAD, bytes(4))
    return int(struct.unpack("i", unread)[0])
