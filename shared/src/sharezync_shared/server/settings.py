"""What a server can be told: each field with its unit, and why its default is right."""

from dataclasses import dataclass, field
from typing import Final

from sharezync_shared.settings import Settings

INTERNAL_ERROR: Final = 1011


@dataclass(frozen=True, slots=True, kw_only=True)
class WebSocketSettings:
    """How WebSockets are served."""

    max_message_bytes: int = 1024 * 1024
    """What is larger is refused, and the socket closed with 1009."""
    ping_seconds: float = 20
    """How often a peer is pinged, and how long it has to answer each time."""
    silent_close_code: int = INTERNAL_ERROR
    """What a peer is told that did not answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerSettings:
    """What `make_server` and `serve` are told."""

    host: str = "127.0.0.1"
    port: int = 0
    """0 takes any port that is free."""
    metrics_port: int | None = None
    """Where Prometheus asks; None: no metrics server."""
    metrics_host: str = "127.0.0.1"
    """Apart from `host`: that one is open to clients."""
    drain_seconds: float = 20
    """How long a stopping process may take to say goodbye."""
    keep_alive_seconds: float = 75
    """How long an idle connection is kept. Longer than the 30 s for which our own clients keep one:
    the client lets go first."""
    websockets: WebSocketSettings = field(default_factory=WebSocketSettings)


def server_settings(
    settings: Settings, *, websockets: WebSocketSettings | None = None
) -> ServerSettings:
    """Return what the environment says about serving (`Settings`)."""
    return ServerSettings(
        host=settings.host,
        port=settings.port,
        metrics_port=settings.metrics_port,
        metrics_host=settings.metrics_host,
        drain_seconds=settings.drain_seconds,
        websockets=websockets or WebSocketSettings(),
    )
