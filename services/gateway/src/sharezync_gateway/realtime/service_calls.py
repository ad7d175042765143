"""The short calls that sockets make to the services, with the gateway's own credential.

The acting user is named in the call. Anything but an answer is `ServiceUnavailable`: callers retry,
or answer that the client should.
"""

import asyncio
from collections.abc import Awaitable, Collection, Sequence
from typing import Final, Literal, NamedTuple, TypeVar
from uuid import UUID

import msgspec

from sharezync_gateway.realtime.protocol import Cursor
from sharezync_shared.calls.client import ServiceUnavailable
from sharezync_shared.calls.operations import portions
from sharezync_shared.contracts import auth, chat
from sharezync_shared.contracts.chat import ChatClient
from sharezync_shared.contracts.commands import Command, CommandResult, Commands
from sharezync_shared.contracts.services import Services
from sharezync_shared.contracts.streams import StreamsClient
from sharezync_shared.ids import UserId
from sharezync_shared.streams.frames import Frame

_OWNERS: Final = {
    "channel": "chat",
    "inbox": "chat",
    "transfers": "transfer",
    "account": "auth",
}
OWNERS: Final = ("auth", "chat", "transfer")
"""The services that own streams."""
_AT_ONCE: Final = 64
"""Calls in flight, beside commands: after a restart thousands come back at the same moment."""

T = TypeVar("T")


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


class NewFrames(msgspec.Struct, frozen=True):
    """What an owner has beyond some positions."""

    epoch: str
    heads: dict[str, int]
    """Of the streams that are further on; not all frames up to there need be in `frames`."""
    frames: list[Frame]
    publishing: bool
    """Whether the owner reaches the broker."""


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


class ServiceCalls:
    """What sockets ask of the services. Each call raises ServiceUnavailable, but for `heads`.

    `commands`: what carries commands to chat, if not the client of all other calls.
    """

    def __init__(self, services: Services, commands: ChatClient | None = None) -> None:
        self._auth = services.auth
        self._chat = services.chat
        self._owners: dict[str, StreamsClient] = {
            "auth": services.auth,
            "chat": services.chat,
            "transfer": services.transfer,
        }
        self._commands = commands or services.chat
        self._at_once = asyncio.Semaphore(_AT_ONCE)

    async def heads(self, user_id: str, owners: Collection[str] = OWNERS) -> UserHeads:
        """Return every stream that the user is on, of those `owners` that answer. Never raises."""
        streams: dict[str, Cursor] = {}
        missing: set[str] = set()

        async def ask(owner: str) -> None:
            try:
                answer = await self._in_turn(self._owners[owner].heads(UserId(UUID(user_id))))
                streams.update(answer.streams)
            except ServiceUnavailable:
                missing.add(owner)

        await asyncio.gather(*map(ask, owners))
        return UserHeads(streams, frozenset(missing))

    async def replay(self, stream: str, cursor: Cursor) -> Replayed:
        """Return what the log of the stream's owner has behind `cursor`."""
        owner = owner_of(stream)
        if owner is None:
            raise ServiceUnavailable("nobody", f"{stream} has no owner")
        read = await self._in_turn(self._owners[owner].replay(stream, *cursor))
        frames = [
            Frame(stream, read.epoch, seq, text.encode(), control)
            for seq, text, control in zip(read.seqs, read.frames, read.controls, strict=True)
        ]
        return Replayed(read.epoch, read.head, read.reset, frames)

    async def connect_device(self, user_id: str, session_id: str, client_id: str) -> str:
        """Return the id of a device that has opened a socket; one not seen before is made.

        A session without a device belongs to it from now on. Safe to repeat.
        """
        update = auth.DeviceConnect(UUID(user_id), client_id, UUID(session_id))
        return str((await self._in_turn(self._auth.call(auth.CONNECT_DEVICE, update))).id)

    async def presence(self, user_ids: Collection[str]) -> Present:
        """Return who of these users is online."""
        online: set[str] = set()
        last_seen: dict[str, str] = {}
        for some in portions(_ids(user_ids), auth.MAX_ASKED):
            asked = self._auth.call(auth.GET_PRESENCE, auth.PresenceAsked(some))
            read = await self._in_turn(asked)
            online.update(map(str, read.online))
            last_seen |= msgspec.to_builtins(read.last_seen)
        return Present(frozenset(online), last_seen)

    async def acquaintances(self, user_id: str, other_ids: Collection[str]) -> Sight:
        """Return whom of these a user may see.

        They agreed to be in a channel with the user, who has not blocked them.
        """
        return await self._sight(user_id, other_ids, looking="user")

    async def viewers(self, user_id: str, other_ids: Collection[str]) -> Sight:
        """Return who of these may see a user: the same the other way round."""
        return await self._sight(user_id, other_ids, looking="others")

    async def _sight(
        self, user_id: str, other_ids: Collection[str], *, looking: Literal["user", "others"]
    ) -> Sight:
        user = UserId(UUID(user_id))
        known: set[UUID] = set()
        blocked: set[UUID] = set()
        blocking: set[UUID] = set()
        for some in portions(_ids(other_ids), auth.MAX_ASKED):
            ids, blocks = await asyncio.gather(
                self._in_turn(self._chat.acquaintances(user, some, looking)),
                self._in_turn(self._auth.blocks(user, some)),
            )
            known |= ids
            blocked.update(blocks.blocked)
            blocking.update(blocks.blocking)
        by_viewer, by_seen = (blocked, blocking) if looking == "user" else (blocking, blocked)
        shown, hidden = known - by_viewer - by_seen, known & by_seen - by_viewer
        return Sight(set(map(str, shown)), set(map(str, hidden)))

    # What follows is one call at a time for the whole node, and must not wait behind thousands.

    async def changes(self, owner: str, after: dict[str, int]) -> NewFrames:
        """Return what an owner has beyond these positions, of at most `MAX_STREAMS_ASKED`."""
        read = await self._owners[owner].changes(after)
        frames = [
            Frame(stream, read.epoch, seq, text.encode(), control)
            for stream, seq, text, control in zip(
                read.streams, read.seqs, read.frames, read.controls, strict=True
            )
        ]
        return NewFrames(read.epoch, read.heads, frames, read.publishing)

    async def update_node(self, node_id: str, change: auth.NodeUpdate) -> auth.NodeLease:
        """Say that a node lives, and which devices have sockets there since an earlier update."""
        return await self._auth.call(auth.UPDATE_NODE, change, node_id=UUID(node_id))

    async def revocations(self, since_seconds: int) -> Revoked:
        """Return what was revoked in the last `since_seconds`."""
        asked = auth.RevocationsSince(since_seconds)
        read = await self._auth.call(auth.LIST_REVOCATIONS, asked)
        return Revoked([*map(str, read.sessions)], [*map(str, read.users)])

    async def commands(self, batch: Sequence[Command]) -> list[CommandResult]:
        """Have chat carry out commands, each by itself; one outcome for each, in their order.

        When this raises, some may have been carried out all the same.
        """
        read = await self._commands.call(chat.RUN_COMMANDS, Commands(list(batch)))
        if len(read.results) != len(batch):
            raise ServiceUnavailable("chat", "as many results as commands were promised")
        return read.results

    async def _in_turn(self, call: Awaitable[T]) -> T:
        async with self._at_once:
            return await call


def _ids(texts: Collection[str]) -> list[UserId]:
    return [UserId(UUID(text)) for text in texts]
