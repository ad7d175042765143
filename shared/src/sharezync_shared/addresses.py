"""What an address on the network is counted as, wherever something is counted by address."""

from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from typing import Final

from starlette.requests import HTTPConnection

UNKNOWN: Final = "unknown"
"""The address of a client that has none, such as one on a unix socket."""

_REMEMBERED: Final = 4096  # addresses; parsing one costs more than all else here
_NAT64: Final = IPv6Network("64:ff9b::/96")  # RFC 6052 §2.1: IPv4 as a translator shows it
_V6_SITE_BITS: Final = 64  # what one customer is usually given; a single address means nothing


def address_of(request: HTTPConnection) -> str:
    """Return where a client is, behind the gateway; empty if it has no address.

    The gateway rebuilds X-Forwarded-For, so its first entry is true.
    """
    forwarded = request.headers.get("x-forwarded-for", "").split(",")[0].strip()
    return forwarded or (request.client.host if request.client else "")


@lru_cache(_REMEMBERED)
def bucket_of(address: str) -> str:
    """Return what an address is counted as: itself, or its /64 where it is IPv6.

    An IPv4 address in IPv6 clothes counts as what it is; what is no address is UNKNOWN.
    """
    try:
        parsed = ip_address(address)
    except ValueError:
        return UNKNOWN
    if not isinstance(parsed, IPv6Address):
        return str(parsed)
    if parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    if parsed in _NAT64:
        return str(IPv4Address(int(parsed) & 0xFFFFFFFF))
    return str(IPv6Network((int(parsed), _V6_SITE_BITS), strict=False))
