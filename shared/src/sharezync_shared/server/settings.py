"""Settings of a server: each field with its unit, and the reason for its default."""

from dataclasses import dataclass, field
from ipaddress import IPv4Network, IPv6Network
from typing import Final

from sharezync_shared.settings import Settings

Network = IPv4Network | IPv6Network

INTERNAL_ERROR: Final = 1011
POLICY_VIOLATION: Final = 1008
SLOWEST_BYTES_PER_SECOND: Final = 512
"""Who reads an answer at this pace is slow, and not gone: a message of it may take as long."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WebSocketSettings:
    """How WebSockets are served."""

    max_message_bytes: int = 1024 * 1024
    """What is larger is refused, and the socket closed with 1009."""
    max_unfinished_bytes: int = 128 * 1024 * 1024
    """Of all messages that have begun and not come whole; beyond it, those are closed with 1013 of
    which least has come lately."""
    ping_seconds: float = 20
    """How often a peer is pinged, and how long it has to answer each time."""
    silent_close_code: int = INTERNAL_ERROR
    """For a peer that did not answer."""
    flooding_close_code: int = POLICY_VIOLATION
    """For a peer that sends frames without end that bring nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerSettings:
    """Settings of `make_server` and `serve`."""

    host: str = "127.0.0.1"
    port: int = 0
    """0 takes any port that is free."""
    metrics_port: int | None = None
    """Where Prometheus asks; None: no metrics server."""
    metrics_host: str = "127.0.0.1"
    """Apart from `host`: that one is open to clients."""
    drain_seconds: float = 20
    """How long a stopping process may take to say goodbye."""
    max_connections: int = 20_000
    """WebSockets included; idle ones cost 10 to 30 KiB each. Never more than three quarters of the
    files that the process may have open."""
    max_connections_per_address: int | None = None
    """An IPv6 address counts as its /64. None: any number."""
    trusted_proxies: tuple[Network, ...] = ()
    """From these any number of connections is taken: they speak for many."""
    stall_seconds: float = 30
    """How long a peer may take nothing of what is written to it. A phone in a tunnel is back by
    then, or gone; and a resumed download goes on where it was."""
    min_bytes_per_second: float = SLOWEST_BYTES_PER_SECOND
    """Who has something to read all the time takes at least so much, over a minute."""
    max_stalled_bytes: int = 32 * 1024 * 1024
    """What may be held in all for those who take nothing: beyond it, who has stalled for longest is
    reset before its time."""
    keep_alive_seconds: float = 75
    """How long an idle connection is kept. Longer than the 30 s for which our own clients keep one:
    the client lets go first."""
    head_seconds: float = 10
    """From a connection's opening, or a later request's first byte, to the end of the head; and
    from a body's last content to the end of its trailers."""
    linger_seconds: float = 30
    """From an answer's end to the end of the body that it did not wait for. Closing at once would
    destroy the answer on its way to a client that is still sending (RFC 9112 §9.6)."""
    refused_seconds: float = 5
    """The same, behind the refusal of what is no request: enough for a round trip or two."""
    half_closed_seconds: float = 10
    """Until an answer must have begun to a client that says no more: it may have gone altogether,
    which looks the same from here until something is written to it."""
    half_closed_pause_seconds: float = 2
    """How long the answer may then pause that has begun, all of it taken so far: who closes a
    connection in the middle of an answer has practically always gone."""
    websockets: WebSocketSettings = field(default_factory=WebSocketSettings)


def server_settings(
    settings: Settings,
    *,
    websockets: WebSocketSettings | None = None,
    max_connections_per_address: int | None = None,
    trusted_proxies: tuple[Network, ...] = (),
) -> ServerSettings:
    """Return what the environment says about serving (`Settings`), and what a gateway adds."""
    return ServerSettings(
        host=settings.host,
        port=settings.port,
        metrics_port=settings.metrics_port,
        metrics_host=settings.metrics_host,
        drain_seconds=settings.drain_seconds,
        max_connections=settings.max_connections,
        max_connections_per_address=max_connections_per_address,
        trusted_proxies=trusted_proxies,
        websockets=websockets or WebSocketSettings(),
    )
