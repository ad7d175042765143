"""Who the client is, as far as the network knows: behind proxies that we trust, or the peer."""

from collections.abc import Sequence
from functools import lru_cache
from ipaddress import ip_address
from typing import Final

from starlette.types import Scope

from sharezync_gateway.proxy.headers import RequestHead
from sharezync_gateway.proxy.upstream import ClientOrigin
from sharezync_gateway.settings import Network
from sharezync_shared.addresses import UNKNOWN

_REMEMBERED: Final = 4096  # addresses; parsing one costs more than all else here


class Addresses:
    """Finds the client behind the proxies before us, by the networks in TRUSTED_PROXIES."""

    def __init__(self, trusted: Sequence[Network]) -> None:
        self._trusted = tuple(trusted)
        self._is_trusted = lru_cache(_REMEMBERED)(self._look_up)

    def origin(self, scope: Scope, head: RequestHead) -> ClientOrigin:
        """Return where a request came from.

        X-Forwarded-For is read from its end: the first address that is no trusted proxy's is the
        client. What stands before it, the client made up. Proto and Host are believed from a
        trusted peer only.
        """
        peer = peer_of(scope)
        scheme = _plain(scope.get("scheme", "http"))
        if not self._trusted or not self._is_trusted(peer):
            return ClientOrigin(address=peer, scheme=scheme, host=head.host)
        address = peer
        for raw in reversed(head.forwarded_for):
            if not _is_address(address := raw.decode("latin-1")):
                address = peer  # the proxy passed on what it can't have seen
                break
            if not self._is_trusted(address):
                break
        if head.forwarded_proto in {b"http", b"https"}:
            scheme = head.forwarded_proto.decode()
        return ClientOrigin(address=address, scheme=scheme, host=head.forwarded_host or head.host)

    def _look_up(self, address: str) -> bool:
        if not _is_address(address):
            return False
        parsed = ip_address(address)
        return any(parsed in network for network in self._trusted)


def peer_of(scope: Scope) -> str:
    """Return the address at the other end of the connection."""
    client = scope.get("client")
    return client[0] if client else UNKNOWN


def _plain(scheme: str) -> str:
    return {"ws": "http", "wss": "https"}.get(scheme, scheme)


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True
