"""What sockets are held to on one node."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class SocketLimits:
    """Limits and allowances; each default says why it is what it is."""

    origins: tuple[str, ...] = ()
    """Origins whose pages may open sockets. Clients that send no Origin are no pages."""
    allow_query_token: bool = False  # query strings end up in logs and Referer headers
    max_connections: int = 10_000  # WS_MAX_CONNECTIONS: some 300 MiB when all are idle
    max_connections_per_user: int = 20  # on this node: tabs, phones, and one in a loop
    commands_per_second: float = 100  # WS_MAX_COMMANDS_PER_SECOND: a person sends a few
    commands_burst: float = 200  # after a reconnect, what had piled up
    user_share: float = 3  # of both, for all sockets of a user on this node: who uses three at once
    max_commands_in_flight: int = 100  # of one socket: bounds what a slow chat makes us keep
    first_frame_seconds: float = 5  # for a socket that brought no token
    token_grace_seconds: float = 30  # how long a socket outlives its token: renewal may be late
    start_seconds: float = 10  # for the services to say where the streams stand
    ping_seconds: float = 20  # the server's WebSocket pings; told to clients in `hello`
    pull_seconds: float = 0.5  # how often auth is asked what was revoked: known within a second
    presence: bool = True  # whether anybody is told who is online
    typing: bool = True  # whether anybody is told who is typing
    presence_poll_seconds: float = 60  # as long as auth's lease: nobody is wrongly shown for long
    gather_seconds: float = 1  # of presence: a person's eye is no faster, and one frame is cheaper
    typing_seconds: float = 3  # what comes sooner says nothing new: clients show it for 6 s
    recheck_seconds: float = 600  # how often each user's streams are compared with the services'
