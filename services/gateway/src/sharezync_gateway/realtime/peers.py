"""What sockets ask of the services, typed, as one small protocol (`http_peers` is the way there).

The acting user is named in the call. Anything but an answer is `ServiceUnavailable`: callers retry,
or tell the client to.
"""

from collections.abc import Collection, Sequence
from typing import Final, NamedTuple, Protocol

import msgspec

from sharezync_gateway.realtime.protocol import Cursor
from sharezync_shared.contracts.auth import NodeLease, NodeUpdate
from sharezync_shared.contracts.commands import Command, CommandResult
from sharezync_shared.streams.frames import Frame

_OWNERS: Final = {
    "channel": "chat",
    "inbox": "chat",
    "transfers": "transfer",
    "account": "auth",
}
OWNERS: Final = ("auth", "chat", "transfer")
"""The services that own streams."""


def owner_of(stream: str) -> str | None:
    """Return the service that owns a stream; None for a name that can't be a stream's."""
    return _OWNERS.get(stream.partition(":")[0])


class UserHeads(msgspec.Struct, frozen=True):
    """Where the streams of a user stand, and which owners could not be asked."""

    streams: dict[str, Cursor]
    missing: frozenset[str] = frozenset()


class Replayed(msgspec.Struct, frozen=True):
    """What lies behind a position: everything up to `head`, or, with `reset`, nothing."""

    epoch: str
    head: int
    reset: bool
    frames: list[Frame]


class Revoked(msgspec.Struct, frozen=True):
    """Ids of sessions and users whose tokens are refused."""

    sessions: list[str] = []
    users: list[str] = []


class Present(msgspec.Struct, frozen=True):
    """Who is online of those asked about, and when a device of each was seen last."""

    online: frozenset[str]
    last_seen: dict[str, str] = {}


class Sight(NamedTuple):
    """Of some people, between whom and a user it is asked who may see whom."""

    open: set[str]
    """Who may see, or be seen."""
    hidden: set[str]
    """Who might, if who would be seen had not blocked who would look: they look offline."""


class Peers(Protocol):
    """What sockets need of the services. Each call raises ServiceUnavailable, but for `heads`."""

    async def heads(self, user_id: str, owners: Collection[str] = OWNERS) -> UserHeads:
        """Return every stream that the user is on, of those `owners` that answer. Never raises."""
        ...

    async def replay(self, stream: str, cursor: Cursor) -> Replayed:
        """Return what the log of the stream's owner has behind `cursor`."""
        ...

    async def connect_device(self, user_id: str, session_id: str, client_id: str) -> str:
        """Return the id of a device that has opened a socket; one not seen before is made.

        A session without a device belongs to it from now on. Safe to repeat.
        """
        ...

    async def update_node(self, node_id: str, change: NodeUpdate) -> NodeLease:
        """Say that a node lives, and which devices have sockets there since an earlier update."""
        ...

    async def revocations(self, since_seconds: int) -> Revoked:
        """Return what was revoked in the last `since_seconds`."""
        ...

    async def presence(self, user_ids: Collection[str]) -> Present:
        """Return who of these users is online."""
        ...

    async def acquaintances(self, user_id: str, other_ids: Collection[str]) -> Sight:
        """Return whom of these a user may see.

        They agreed to be in a channel with the user, who has not blocked them.
        """
        ...

    async def viewers(self, user_id: str, other_ids: Collection[str]) -> Sight:
        """Return who of these may see a user: the same the other way round."""
        ...

    async def commands(self, batch: Sequence[Command]) -> list[CommandResult]:
        """Have chat carry out commands, each by itself; one outcome for each, in their order.

        When this raises, some may have been carried out all the same.
        """
        ...
