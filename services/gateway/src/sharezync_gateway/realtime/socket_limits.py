"""What sockets are held to on one node."""

from dataclasses import dataclass
from typing import Any, Final, Self

from sharezync_gateway.settings import GatewaySettings

_DEFAULTS: Final[dict[str, Any]] = {
    name: field.default for name, field in GatewaySettings.model_fields.items()
}


@dataclass(frozen=True, slots=True, kw_only=True)
class SocketLimits:
    """Limits and allowances; those that are settings have their reason there."""

    origins: tuple[str, ...] = ()
    """Origins whose pages may open sockets. Clients that send no Origin are no pages."""
    allow_query_token: bool = _DEFAULTS["ws_allow_query_token"]
    max_connections: int = _DEFAULTS["ws_max_connections"]
    max_connections_per_user: int = _DEFAULTS["ws_max_connections_per_user"]
    commands_per_second: float = _DEFAULTS["ws_max_commands_per_second"]
    commands_burst: float = (
        2 * _DEFAULTS["ws_max_commands_per_second"]
    )  # after a reconnect, what had piled up
    user_share: float = 3  # of both, for all sockets of a user on this node: who uses three at once
    max_commands_in_flight: int = 100  # of one socket: bounds what a slow chat makes us keep
    first_frame_seconds: float = 5  # for a socket that brought no token
    token_grace_seconds: float = 30  # how long a socket outlives its token: renewal may be late
    start_seconds: float = 10  # for the services to say where the streams stand
    ping_seconds: float = 20  # the server's WebSocket pings; announced in `hello`
    pull_seconds: float = 0.5  # how often auth is asked what was revoked: known within a second
    presence: bool = _DEFAULTS["presence"]
    typing: bool = _DEFAULTS["typing"]
    presence_poll_seconds: float = 60  # as long as auth's lease: nobody is wrongly shown for long
    gather_seconds: float = 1  # of presence: a person's eye is no faster, and one frame is cheaper
    typing_seconds: float = 3  # what comes sooner says nothing new: clients show it for 6 s
    recheck_seconds: float = 600  # how often each user's streams are compared with the services'

    @classmethod
    def from_settings(cls, settings: GatewaySettings) -> Self:
        """Return what the settings say, and defaults where there is none for it."""
        return cls(
            origins=settings.frontend_origin,
            allow_query_token=settings.ws_allow_query_token,
            max_connections=settings.ws_max_connections,
            max_connections_per_user=settings.ws_max_connections_per_user,
            commands_per_second=settings.ws_max_commands_per_second,
            commands_burst=2 * settings.ws_max_commands_per_second,
            presence=settings.presence,
            typing=settings.typing,
        )
