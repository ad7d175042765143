"""What an address on the network is counted as, wherever something is counted by address."""

from functools import lru_cache
from ipaddress import IPv6Address, IPv6Network, ip_address
from typing import Final

UNKNOWN: Final = "unknown"
"""The address of a client that has none, such as one on a unix socket."""

_REMEMBERED: Final = 4096  # addresses; parsing one costs more than all else here
_V6_SITE_BITS: Final = 64  # what one customer is usually given; a single address means nothing


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
    return str(IPv6Network((int(parsed), _V6_SITE_BITS), strict=False))
