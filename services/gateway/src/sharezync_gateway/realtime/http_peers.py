"""The calls that sockets make to the services.

All of them are short JSON calls with the gateway's own credential.
"""

import asyncio
from collections.abc import Awaitable, Collection, Sequence
from typing import Final, Literal, TypeVar
from uuid import UUID

import msgspec

from sharezync_gateway.realtime.peers import (
    OWNERS,
    Present,
    Replayed,
    Revoked,
    Sight,
    UserHeads,
    owner_of,
)
from sharezync_gateway.realtime.protocol import Cursor
from sharezync_shared.calls.client import ServiceUnavailable
from sharezync_shared.contracts import auth, chat
from sharezync_shared.contracts.chat import ChatClient
from sharezync_shared.contracts.commands import Command, CommandResult, Commands
from sharezync_shared.contracts.services import Services
from sharezync_shared.contracts.streams import StreamsClient
from sharezync_shared.ids import UserId
from sharezync_shared.streams.frames import Frame

_AT_ONCE: Final = 64
"""Calls in flight, beside commands: after a restart thousands come back at the same moment."""

T = TypeVar("T")


class HttpPeers:
    """`Peers` over what the services serve. `commands`: what carries commands to chat, if not the
    client of all other calls.
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
        self._gate = asyncio.Semaphore(_AT_ONCE)

    async def heads(self, user_id: str, owners: Collection[str] = OWNERS) -> UserHeads:
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
        owner = owner_of(stream)
        if owner is None:
            raise ServiceUnavailable("nobody", f"{stream} has no owner")
        read = await self._in_turn(self._owners[owner].replay(stream, *cursor))
        frames = [
            Frame(stream, read.epoch, seq, text.encode(), control)
            for seq, text, control in zip(read.seqs, read.frames, read.controls, strict=True)
        ]
        return Replayed(read.epoch, read.head, read.reset, frames)

    async def connect_device(
        self, node_id: str, user_id: str, session_id: str, client_id: str
    ) -> str:
        told = auth.DeviceConnect(UUID(node_id), UUID(user_id), client_id, UUID(session_id))
        return str((await self._in_turn(self._auth.call(auth.CONNECT_DEVICE, told))).id)

    async def disconnect_device(self, node_id: str, user_id: str, device_id: str) -> None:
        told = auth.DeviceDisconnect(UUID(node_id), UUID(user_id), UUID(device_id))
        await self._in_turn(self._auth.call(auth.DISCONNECT_DEVICE, told))

    async def presence(self, user_ids: Sequence[str]) -> Present:
        asked = auth.PresenceAsked(_ids(user_ids))
        read = await self._in_turn(self._auth.call(auth.GET_PRESENCE, asked))
        return Present(frozenset(map(str, read.online)), msgspec.to_builtins(read.last_seen))

    async def acquaintances(self, user_id: str, other_ids: Sequence[str]) -> Sight:
        known, blocks = await self._known(user_id, other_ids, looking="user")
        hidden = known & set(blocks.blocking) - set(blocks.blocked)
        return Sight(_texts(known - set(blocks.ids)), _texts(hidden))

    async def viewers(self, user_id: str, other_ids: Sequence[str]) -> Sight:
        known, blocks = await self._known(user_id, other_ids, looking="others")
        hidden = known & set(blocks.blocked) - set(blocks.blocking)
        return Sight(_texts(known - set(blocks.ids)), _texts(hidden))

    async def _known(
        self, user_id: str, other_ids: Sequence[str], *, looking: Literal["user", "others"]
    ) -> tuple[set[UUID], auth.BlocksRead]:
        asked = self._chat.acquaintances(UserId(UUID(user_id)), _ids(other_ids), looking)
        return await asyncio.gather(
            self._in_turn(asked),
            self._in_turn(self._auth.blocks(UUID(user_id), _ids(other_ids))),
        )

    # What follows is one call at a time for the whole node, and must not wait behind thousands.

    async def send_heartbeat(self, node_id: str) -> auth.Heartbeat:
        return await self._auth.call(auth.BEAT, None, node_id=UUID(node_id))

    async def list_devices(
        self, node_id: str, device_ids: Sequence[str], *, after: str | None, up_to: str | None
    ) -> auth.Heartbeat:
        body = auth.NodeDevices(
            [*map(UUID, device_ids)], UUID(after) if after else None, UUID(up_to) if up_to else None
        )
        return await self._auth.call(auth.LIST_NODE_DEVICES, body, node_id=UUID(node_id))

    async def leave(self, node_id: str) -> None:
        await self._auth.call(auth.REMOVE_NODE, None, node_id=UUID(node_id))

    async def revocations(self, since_seconds: int) -> Revoked:
        asked = auth.RevocationsSince(since_seconds)
        read = await self._auth.call(auth.LIST_REVOCATIONS, asked)
        return Revoked([*map(str, read.sessions)], [*map(str, read.users)])

    async def commands(self, batch: Sequence[Command]) -> list[CommandResult]:
        read = await self._commands.call(chat.RUN_COMMANDS, Commands(list(batch)))
        if len(read.results) != len(batch):
            raise ServiceUnavailable("chat", "as many results as commands were promised")
        return read.results

    async def _in_turn(self, call: Awaitable[T]) -> T:
        async with self._gate:
            return await call


def _ids(texts: Sequence[str]) -> list[UserId]:
    return [UserId(UUID(text)) for text in texts]


def _texts(ids: Collection[UUID]) -> set[str]:
    return set(map(str, ids))
