"""Two ways for chunks: down a socket, or through doors over HTTP. Pure."""

from typing import Final, Literal

from sharezync.problems import NotLoggedIn, SocketClosed, Unreachable

Over = Literal["auto", "socket", "http"]
"""`auto`: a socket, and HTTP where there is none to be had, or none any more."""

OPENING_SECONDS: Final = 10.0
"""How long a first socket is tried for where there is another way."""

# By us; revoked on purpose; a protocol of another time.
_NO_OTHER: Final = frozenset({1000, 4503, 4509})


def leaves_http(error: Exception) -> bool:
    """Whether HTTP may do where this ended a socket, or kept one from being opened.

    Proxies refuse upgrades, or drop them silently; and doors need no login any more.
    """
    if isinstance(error, SocketClosed):
        return error.code not in _NO_OTHER
    return isinstance(error, NotLoggedIn | Unreachable)
