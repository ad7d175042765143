"""The calls that sockets make to the services, over HTTP.

All of them are short JSON calls with the gateway's own credential. Commands have a way of their own
(`command_calls`), where there is one: they come with every message.
"""

import asyncio
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Final, TypeVar

import httpx
import msgspec

from sharezync_gateway.realtime.command_calls import CallFailed, CommandCalls
from sharezync_gateway.realtime.peers import (
    OWNERS,
    Belief,
    Command,
    Heads,
    Outcome,
    PeerUnavailable,
    Present,
    Replayed,
    Revoked,
    Sight,
    owner_of,
)
from sharezync_gateway.realtime.protocol import Cursor
from sharezync_shared.outage_log import OutageLogs
from sharezync_shared.problems import Unavailable
from sharezync_shared.streams.frames import Control, Frame
from sharezync_shared.tokens.credentials import CredentialsUnavailable

_NO_ANSWER: Final = (httpx.HTTPError, CredentialsUnavailable, Unavailable)
"""What a call may end with instead of an answer. Who finds that out tells of it, once for all."""
_AT_ONCE: Final = 64
"""Calls in flight, beside commands: after a restart thousands come back at the same moment."""


class _HeadsRead(msgspec.Struct):
    streams: dict[str, Cursor]


class _ReplayRead(msgspec.Struct):
    epoch: str
    head: int
    reset: bool
    frames: list[str]
    seqs: list[int]
    controls: list[Control | None]


class _DeviceRead(msgspec.Struct):
    id: str


class _IdsRead(msgspec.Struct):
    ids: set[str]


class _BlocksRead(msgspec.Struct):
    ids: set[str]
    blocked: set[str] = set()
    blocking: set[str] = set()


class _Nothing(msgspec.Struct):
    """An answer that says nothing."""


class _CommandsRead(msgspec.Struct):
    results: list[Outcome]


class _Commands(msgspec.Struct):
    commands: Sequence[Command]


_read_commands: Final = msgspec.json.Decoder(_CommandsRead).decode

T = TypeVar("T")


class HttpPeers:
    """`Peers` over the internal routes of the services. `command_calls` is not closed here."""

    def __init__(
        self,
        client: Callable[[str], httpx.AsyncClient],
        command_calls: CommandCalls | None = None,
    ) -> None:
        self._client = client
        self._command_calls = command_calls
        self._gate = asyncio.Semaphore(_AT_ONCE)
        self._logs = OutageLogs("calls_failed")

    async def heads(self, user_id: str, owners: Collection[str] = OWNERS) -> Heads:
        async def ask(owner: str) -> _HeadsRead | PeerUnavailable:
            try:
                return await self._get(
                    owner, "/internal/streams/heads", _HeadsRead, user_id=user_id
                )
            except PeerUnavailable as error:
                return error

        answers = await asyncio.gather(*map(ask, owners))
        streams: dict[str, Cursor] = {}
        for answer in answers:
            if isinstance(answer, _HeadsRead):
                streams |= answer.streams
        return Heads(
            streams, frozenset(a.service for a in answers if isinstance(a, PeerUnavailable))
        )

    async def replay(self, stream: str, cursor: Cursor) -> Replayed:
        owner = owner_of(stream)
        if owner is None:
            raise PeerUnavailable("nobody", f"{stream} has no owner")
        epoch, after = cursor
        read = await self._get(
            owner, "/internal/streams/replay", _ReplayRead, stream=stream, epoch=epoch, after=after
        )
        frames = [
            Frame(stream, read.epoch, seq, text.encode(), control)
            for seq, text, control in zip(read.seqs, read.frames, read.controls, strict=True)
        ]
        return Replayed(read.epoch, read.head, read.reset, frames)

    async def connect_device(
        self, node_id: str, user_id: str, session_id: str, client_id: str
    ) -> str:
        told = {
            "node_id": node_id,
            "user_id": user_id,
            "session_id": session_id,
            "client_id": client_id,
        }
        return (await self._post("auth", "/internal/devices/connect", told, _DeviceRead)).id

    async def disconnect_device(self, node_id: str, user_id: str, device_id: str) -> None:
        told = {"node_id": node_id, "user_id": user_id, "device_id": device_id}
        await self._post("auth", "/internal/devices/disconnect", told, _Nothing)

    async def presence(self, user_ids: Sequence[str]) -> Present:
        return await self._post("auth", "/internal/presence", {"user_ids": user_ids}, Present)

    async def acquaintances(self, user_id: str, other_ids: Sequence[str]) -> Sight:
        known, blocks = await self._known(user_id, other_ids, looking="user")
        return Sight(known - blocks.ids, known & blocks.blocking - blocks.blocked)

    async def viewers(self, user_id: str, other_ids: Sequence[str]) -> Sight:
        known, blocks = await self._known(user_id, other_ids, looking="others")
        return Sight(known - blocks.ids, known & blocks.blocked - blocks.blocking)

    async def _known(
        self, user_id: str, other_ids: Sequence[str], *, looking: str
    ) -> tuple[set[str], _BlocksRead]:
        asked = {"user_id": user_id, "other_ids": other_ids}
        known, blocks = await asyncio.gather(
            self._post("chat", "/internal/acquaintances", {**asked, "looking": looking}, _IdsRead),
            self._post("auth", "/internal/blocks", asked, _BlocksRead),
        )
        return known.ids, blocks

    # What follows is one call at a time for the whole node, and must not wait behind thousands.

    async def beat(self, node_id: str) -> Belief:
        return await self._call("auth", "POST", f"/internal/nodes/{node_id}/heartbeat", Belief)

    async def list_devices(
        self, node_id: str, device_ids: Sequence[str], *, after: str | None, up_to: str | None
    ) -> Belief:
        body = msgspec.json.encode({"device_ids": device_ids, "after": after, "up_to": up_to})
        path = f"/internal/nodes/{node_id}/devices"
        return await self._call("auth", "PUT", path, Belief, content=body)

    async def leave(self, node_id: str) -> None:
        await self._call("auth", "DELETE", f"/internal/nodes/{node_id}", _Nothing)

    async def revocations(self, since_seconds: int) -> Revoked:
        query: dict[str, str | int] = {"since_seconds": since_seconds}
        return await self._call("auth", "GET", "/internal/revocations", Revoked, query=query)

    async def commands(self, batch: Sequence[Command]) -> list[Outcome]:
        read = await self._run(msgspec.json.encode(_Commands(batch)))
        if len(read.results) != len(batch):
            raise PeerUnavailable("chat", "as many results as commands were promised")
        return read.results

    async def _run(self, commands: bytes) -> _CommandsRead:
        if self._command_calls is None:
            path = "/internal/commands"
            return await self._call("chat", "POST", path, _CommandsRead, content=commands)
        try:
            return _read_commands(await self._command_calls.call(commands))
        except (CallFailed, msgspec.DecodeError) as error:
            if error.__cause__ is None:  # an answer; that there was none, the breaker has told
                self._logs.of("chat").failed(error)
            raise PeerUnavailable("chat", str(error)) from error

    async def _get(self, service: str, path: str, shape: type[T], **query: str | int) -> T:
        async with self._gate:
            return await self._call(service, "GET", path, shape, query=query)

    async def _post(self, service: str, path: str, told: Mapping[str, object], shape: type[T]) -> T:
        content = msgspec.json.encode(told)
        async with self._gate:
            return await self._call(service, "POST", path, shape, content=content)

    async def _call(
        self,
        service: str,
        method: str,
        path: str,
        shape: type[T],
        *,
        query: dict[str, str | int] | None = None,
        content: bytes | None = None,
    ) -> T:
        try:
            return await self._ask(service, method, path, shape, query=query, content=content)
        except PeerUnavailable as error:
            if not isinstance(error.__cause__, _NO_ANSWER):
                # Here, once: every socket and every stream meets it.
                self._logs.of(service).failed(error)
            raise

    async def _ask(
        self,
        service: str,
        method: str,
        path: str,
        shape: type[T],
        *,
        query: dict[str, str | int] | None = None,
        content: bytes | None = None,
    ) -> T:
        headers = {"content-type": "application/json"} if content is not None else None
        try:
            answer = await self._client(service).request(
                method, path, params=query, content=content, headers=headers
            )
        except _NO_ANSWER as error:
            raise PeerUnavailable(service, repr(error)) from error
        if not answer.is_success:
            raise PeerUnavailable(service, f"{method} {path} was answered {answer.status_code}")
        try:
            return msgspec.json.decode(answer.content or b"{}", type=shape)
        except msgspec.DecodeError as error:
            raise PeerUnavailable(service, f"{method} {path}: {error}") from error
