"""The calls that sockets make to the services, typed, behind one small protocol.

All of them are short JSON calls with the gateway's own credential; the acting user is named in the
call. Anything but an answer is `PeerUnavailable`: callers retry, or tell the client to.
"""

import asyncio
from collections.abc import Callable, Collection, Sequence
from typing import Final, Protocol, TypeVar

import httpx
import msgspec

from sharezync_gateway.realtime.protocol import Cursor, MarkRead, SendMessage
from sharezync_shared.problems import Unavailable
from sharezync_shared.streams.frames import Control, Frame
from sharezync_shared.tokens.credentials import CredentialsUnavailable

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


def owner_of(stream: str) -> str | None:
    """Return the service that owns a stream; None for a name that can't be a stream's."""
    return _OWNERS.get(stream.partition(":")[0])


class PeerUnavailable(Exception):
    """A service did not answer, or not with what was promised."""

    def __init__(self, service: str, detail: str) -> None:
        super().__init__(f"{service}: {detail}")
        self.service = service


class Heads(msgspec.Struct, frozen=True):
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


class Command(msgspec.Struct):
    """Something that a user asks chat to do."""

    user_id: str
    device_id: str | None
    kind: str
    data: SendMessage | MarkRead


class Refusal(msgspec.Struct):
    """The problem that a command ran into, as REST would answer it."""

    code: str
    detail: str = ""
    status: int = 400
    retry_after_seconds: float | None = None


class Outcome(msgspec.Struct):
    """What became of a command: its data as finished JSON, or the problem."""

    data: msgspec.Raw = msgspec.Raw(b"null")
    problem: Refusal | None = None


class Peers(Protocol):
    """What sockets need of the services. Each call raises PeerUnavailable unless said otherwise."""

    async def heads(self, user_id: str, owners: Collection[str] = OWNERS) -> Heads:
        """Return every stream that the user is on, of those `owners` that answer. Never raises."""
        ...

    async def replay(self, stream: str, cursor: Cursor) -> Replayed:
        """Return what the log of the stream's owner has behind `cursor`."""
        ...

    async def connect_device(self, user_id: str, client_id: str) -> str:
        """Note that a device is online; return its id. One not seen before is made."""
        ...

    async def disconnect_device(self, user_id: str, device_id: str) -> None:
        """Note that a device is offline."""
        ...

    async def revocations(self, since_seconds: float) -> Revoked:
        """Return what was revoked in the last `since_seconds`."""
        ...

    async def commands(self, batch: Sequence[Command]) -> list[Outcome]:
        """Have chat carry out commands, each by itself; one outcome for each, in their order.

        When this raises, some may have been carried out all the same.
        """
        ...


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


class _Nothing(msgspec.Struct):
    """An answer that says nothing."""


class _CommandsRead(msgspec.Struct):
    results: list[Outcome]


class _Commands(msgspec.Struct):
    commands: Sequence[Command]


T = TypeVar("T")


class HttpPeers:
    """`Peers` over the internal routes of the services."""

    def __init__(self, client: Callable[[str], httpx.AsyncClient]) -> None:
        self._client = client
        self._gate = asyncio.Semaphore(_AT_ONCE)

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

    async def connect_device(self, user_id: str, client_id: str) -> str:
        body = msgspec.json.encode({"user_id": user_id, "client_id": client_id})
        return (await self._post("/internal/devices/connect", body, _DeviceRead)).id

    async def disconnect_device(self, user_id: str, device_id: str) -> None:
        body = msgspec.json.encode({"user_id": user_id, "device_id": device_id})
        await self._post("/internal/devices/disconnect", body, _Nothing)

    async def revocations(self, since_seconds: float) -> Revoked:
        return await self._get(
            "auth", "/internal/revocations", Revoked, since_seconds=round(since_seconds)
        )

    async def commands(self, batch: Sequence[Command]) -> list[Outcome]:
        body = msgspec.json.encode(_Commands(batch))
        read = await self._call("chat", "POST", "/internal/commands", _CommandsRead, content=body)
        if len(read.results) != len(batch):
            raise PeerUnavailable("chat", "as many results as commands were promised")
        return read.results

    async def _get(self, service: str, path: str, shape: type[T], **query: str | int) -> T:
        async with self._gate:
            return await self._call(service, "GET", path, shape, query=query)

    async def _post(self, path: str, body: bytes, shape: type[T]) -> T:
        async with self._gate:
            return await self._call("auth", "POST", path, shape, content=body)

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
        headers = {"content-type": "application/json"} if content is not None else None
        try:
            answer = await self._client(service).request(
                method, path, params=query, content=content, headers=headers
            )
        except (httpx.HTTPError, CredentialsUnavailable, Unavailable) as error:
            raise PeerUnavailable(service, repr(error)) from error
        if not answer.is_success:
            raise PeerUnavailable(service, f"{method} {path} was answered {answer.status_code}")
        try:
            return msgspec.json.decode(answer.content or b"{}", type=shape)
        except msgspec.DecodeError as error:
            raise PeerUnavailable(service, f"{method} {path}: {error}") from error
