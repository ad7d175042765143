"""What all connections of a server share."""

from dataclasses import dataclass

from sharezync_shared.server.connections import ConnectionLimits
from sharezync_shared.server.outgoing import OutgoingWatch
from sharezync_shared.server.settings import ServerSettings
from sharezync_shared.server.turns import Turns


@dataclass(frozen=True, slots=True)
class ServerContext:
    """One of each for a server."""

    settings: ServerSettings
    limits: ConnectionLimits
    outgoing: OutgoingWatch
    turns: Turns
    """For requests that begin."""
    more_turns: Turns
    """For whoever has more to say than is parsed in one turn."""
