"""What sockets ask of the services, typed, as one small protocol (`http_peers` is the way there).

The acting user is named in the call. Anything but an answer is `ServiceUnavailable`: callers retry,
or tell the client to.
"""

import hashlib
from collections.abc import Collection, Generator, Iterable, Sequence
from typing import Final, NamedTuple, Protocol

import msgspec

from sharezync_gateway.realtime.protocol import Cursor
from sharezync_shared.contracts.auth import Heartbeat
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
MOST_ASKED: Final = 200
"""Users in one question about presence or acquaintances, as the services bound it."""


def owner_of(stream: str) -> str | None:
    """Return the service that owns a stream; None for a name that can't be a stream's."""
    return _OWNERS.get(stream.partition(":")[0])


def in_batches(user_ids: Collection[str]) -> Generator[list[str]]:
    """Cut users into lists that may be asked about at once."""
    ids = list(user_ids)
    for start in range(0, len(ids), MOST_ASKED):
        yield ids[start : start + MOST_ASKED]


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


def digest_of(device_ids: Iterable[str]) -> int:
    """Return what tells one set of devices from another; auth reckons it in the same way.

    The exclusive or of 60 bits of each id's MD5, so that one that comes or goes is reckoned in or
    out by itself. Nobody gains by a collision: all the ids are told by us.
    """
    digest = 0
    for device_id in device_ids:
        hexed = hashlib.md5(device_id.encode(), usedforsecurity=False).hexdigest()
        digest ^= int(hexed[:15], 16)
    return digest


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

    async def connect_device(
        self, node_id: str, user_id: str, session_id: str, client_id: str
    ) -> str:
        """Note that a device has a socket on a node; return the device's id.

        One not seen before is made. A session without a device belongs to it from now on.
        """
        ...

    async def disconnect_device(self, node_id: str, user_id: str, device_id: str) -> None:
        """Note that a device has no socket on a node any more."""
        ...

    async def send_heartbeat(self, node_id: str) -> Heartbeat:
        """Say that a node lives: for a lease's time its devices stay online."""
        ...

    async def list_devices(
        self, node_id: str, device_ids: Sequence[str], *, after: str | None, up_to: str | None
    ) -> Heartbeat:
        """Say which devices a node holds, of those with ids in (`after`, `up_to`]; None: no bound.

        Devices that don't exist are passed over.
        """
        ...

    async def leave(self, node_id: str) -> None:
        """Say that a node stops: its devices have no socket there any more."""
        ...

    async def revocations(self, since_seconds: int) -> Revoked:
        """Return what was revoked in the last `since_seconds`."""
        ...

    async def presence(self, user_ids: Sequence[str]) -> Present:
        """Return who of at most `MOST_ASKED` users is online."""
        ...

    async def acquaintances(self, user_id: str, other_ids: Sequence[str]) -> Sight:
        """Return whom of at most `MOST_ASKED` a user may see.

        They agreed to be in a channel with the user, who has not blocked them.
        """
        ...

    async def viewers(self, user_id: str, other_ids: Sequence[str]) -> Sight:
        """Return who of at most `MOST_ASKED` may see a user: the same the other way round."""
        ...

    async def commands(self, batch: Sequence[Command]) -> list[CommandResult]:
        """Have chat carry out commands, each by itself; one outcome for each, in their order.

        When this raises, some may have been carried out all the same.
        """
        ...
