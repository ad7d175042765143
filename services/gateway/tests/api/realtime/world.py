"""A small world around the socket engine: services that own streams, a bus, nodes, devices.

The services are stand-ins with a log of their own; tokens, bus, server and client are the real
ones. A node is an engine behind a real server; two nodes on one bus are two replicas.
"""

import asyncio
import itertools
import json
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self, cast
from uuid import UUID

from prometheus_client import CollectorRegistry
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

from services.gateway.tests.api.realtime.overhearing import Overheard, stand_in_protocol
from services.gateway.tests.api.realtime.stand_ins import Services
from sharezync_gateway.realtime import SOCKETS, RealtimeEngine
from sharezync_gateway.realtime.service_calls import ServiceCalls
from sharezync_gateway.realtime.socket_limits import SocketLimits
from sharezync_shared.events.bus import BusUnavailable, OnFrames, OnGap
from sharezync_shared.events.local import LocalBus
from sharezync_shared.ids import SessionId, UserId, uuid7
from sharezync_shared.streams.frames import Control, Frame
from sharezync_shared.tokens.issuer import TokenIssuer
from sharezync_shared.tokens.keys import StaticKeys
from sharezync_shared.tokens.signing import SigningKey
from sharezync_shared.tokens.verifier import Revocations, TokenVerifier
from sharezync_testkit.frames import Conversation
from sharezync_testkit.serving import Served, plain_asgi, serving
from sharezync_testkit.waiting import giving_up

ORIGIN = "https://app.example"
REPLAY_LIMIT = 500
AT = "2026-11-21T17:00:00.000000Z"
PROTOCOL = stand_in_protocol()


class GappyBus(LocalBus):
    """A bus that can be told to have been away: every receiver hears of a gap.

    With `lossy` it is as one over a network; while `away` it takes nothing.
    """

    def __init__(self) -> None:
        super().__init__()
        self.lossy = False
        self.away = False
        self.deaf = False
        """Whether listening never begins."""
        self.loses: set[str] = set()
        """Kinds of streams of which nothing arrives."""
        self.signals: list[Frame] = []
        """What nodes said of their own accord."""
        self._gaps: list[OnGap] = []

    @property
    def may_lose_frames(self) -> bool:
        return self.lossy

    @property
    def delivering(self) -> bool:
        return super().delivering and not self.away

    async def receive_frames(self, on_frames: OnFrames, on_gap: OnGap) -> None:
        if self.deaf:
            return
        self._gaps.append(on_gap)
        await super().receive_frames(on_frames, on_gap)

    async def send_frames(self, frames: Sequence[Frame]) -> None:
        if self.away:
            raise BusUnavailable("away")
        kinds = [frame.stream.partition(":")[0] for frame in frames]
        own = {"presence", "typing"}
        self.signals += [f for f, kind in zip(frames, kinds, strict=True) if kind in own]
        heard = [f for f, kind in zip(frames, kinds, strict=True) if kind not in self.loses]
        await super().send_frames(heard)

    async def come_back(self) -> None:
        for on_gap in self._gaps:
            await on_gap()


@dataclass(frozen=True)
class User:
    """Somebody with a login."""

    id: str
    session: str


class World:
    """Services, keys and a bus. `async with world.node() as node` puts up a replica."""

    def __init__(self) -> None:
        self.services = Services()
        self.bus = GappyBus()
        key = SigningKey.generate()
        self.issuer = TokenIssuer(key=key)
        self.keys = StaticKeys({key.kid: key.public_key()})

    def user(self) -> User:
        return User(str(uuid7()), str(uuid7()))

    def channel(self, *members: User) -> str:
        stream = f"channel:{uuid7()}"
        self.services.members[stream] |= {member.id for member in members}
        return stream

    def token(self, user: User, *, lives_seconds: int = 600) -> str:
        issuer = TokenIssuer(key=self.issuer.key, access_lifetime_seconds=lives_seconds)
        user_id, session_id = UserId(UUID(user.id)), SessionId(UUID(user.session))
        return issuer.access_token(user_id=user_id, session_id=session_id).token

    async def send(self, *frames: Frame) -> None:
        """Bring frames to every node, in this order, in one go."""
        await self.bus.send_frames(frames)

    async def say(self, stream: str, text: str = "", *, control: Control | None = None) -> Frame:
        """Put an event into the log and bring it to every node."""
        frame = self.services.say(stream, text, control=control)
        await self.send(frame)
        return frame

    @asynccontextmanager
    async def node(
        self, *, limits: SocketLimits | None = None, **parts: Any
    ) -> AsyncGenerator["Node"]:
        revocations = Revocations()
        verifier = TokenVerifier(
            self.keys, issuer="sharezync", audience="sharezync", revocations=revocations
        )
        registry = CollectorRegistry()
        engine = RealtimeEngine(
            limits=limits or SocketLimits(origins=(ORIGIN,)),
            bus=self.bus,
            registry=registry,
            verifier=verifier,
            revocations=revocations,
            calls=cast("ServiceCalls", self.services),
            **parts,
        )
        await engine.start()
        await self.bus.start()
        app = plain_asgi(websocket=engine.handle)
        try:
            async with serving(app, websockets=SOCKETS) as served:
                yield Node(self, engine, served, registry)
                await engine.aclose()
        finally:
            await engine.aclose()


@dataclass
class Node:
    """One replica."""

    world: World
    engine: RealtimeEngine
    served: Served
    registry: CollectorRegistry

    def device(self, user: User, client_id: str = "laptop", **options: Any) -> "Device":
        """Return a device of the user's; `async with` connects it."""
        return Device(self, user, f"/ws/{client_id}", **options)

    def on_channel(self, user: User, stream: str) -> "Device":
        """Return a simple client that follows one channel."""
        return Device(self, user, f"/ws/channels/{stream.removeprefix('channel:')}")

    def count(self, name: str, **labels: str) -> float:
        """Return the value of one of the node's metrics."""
        return self.registry.get_sample_value(name, labels) or 0.0


class Device:
    """A client of the realtime protocol that keeps no state but what a test asks of it."""

    def __init__(
        self,
        node: Node,
        user: User,
        path: str,
        *,
        token: str | None = None,
        by: str = "header",
        headers: dict[str, str] | None = None,
        subprotocols: Sequence[str] | None = None,
        **options: Any,
    ) -> None:
        token = token or node.world.token(user)
        headers = dict(headers or {})
        offered = list(subprotocols) if subprotocols is not None else ["sharezync.v1"]
        if by == "header":
            headers["Authorization"] = f"Bearer {token}"
        elif by == "subprotocol":
            offered.append(f"bearer.{token}")
        elif by == "query":
            path = f"{path}?token={token}"
        self.user = user
        self.token = token
        self.hello: dict[str, Any] = {}
        self.ready: dict[str, Any] = {}
        self.last: str | bytes = ""
        """The frame that was returned last."""
        self._ids = itertools.count(1)
        self._connecting = connect(
            node.served.ws + path,
            additional_headers=headers,
            subprotocols=[Subprotocol(name) for name in offered],
            compression=None,
            ping_interval=None,
            open_timeout=5,
            create_connection=Overheard,
            **options,
        )
        self._waits_for_ready = by in {"header", "subprotocol", "query"}
        narrowed = path.startswith("/ws/channels/")
        self.conversation = Conversation(PROTOCOL, "channel" if narrowed else "device")
        self.socket: Overheard

    async def __aenter__(self) -> Self:
        socket = await self._connecting.__aenter__()
        assert isinstance(socket, Overheard)
        socket.conversation = self.conversation
        self.socket = socket
        self.hello = await self.frame("hello")
        if self._waits_for_ready:
            self.ready = await self.frame()
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.socket.close()
        if exc is None:
            self.conversation.check()

    async def say(self, type_: str, **fields: Any) -> int:
        """Send a frame with an id, and return the id."""
        frame_id = next(self._ids)
        await self.socket.send(json.dumps({"type": type_, "id": frame_id, **fields}))
        return frame_id

    async def frame(self, type_: str | None = None) -> dict[str, Any]:
        """Return the next frame; with `type_`, it must be of that type."""
        async with giving_up(lambda: f"{type_ or 'a frame'} after {self.last!r}"):
            text = await self.socket.recv()
        self.last = text
        frame: dict[str, Any] = json.loads(text)
        assert type_ is None or frame["type"] == type_, frame
        return frame

    async def frames(self, count: int) -> list[dict[str, Any]]:
        return [await self.frame() for _ in range(count)]

    async def seqs(self, count: int) -> list[int]:
        """Return the `seq`s of the next `count` frames, which must be events."""
        return [frame["seq"] for frame in await self.frames(count)]

    async def hears_nothing(self) -> None:
        """Assert that what was delivered so far is all there is: the answer to a ping is next."""
        frame_id = await self.say("ping")
        assert await self.frame() == {"type": "pong", "id": frame_id}

    async def hears_nothing_yet(self) -> None:
        """Assert that nothing comes for a moment; for when a ping would have to wait its turn."""
        try:
            async with asyncio.timeout(0.1):
                frame = await self.socket.recv()
        except TimeoutError:
            return
        raise AssertionError(frame)

    async def closed(self) -> int:
        """Wait until the server has closed, and return the code; frames before are skipped."""
        async with giving_up(lambda: f"the end of the socket; the last frame was {self.last!r}"):
            try:
                while True:
                    self.last = await self.socket.recv()
            except ConnectionClosed:
                return self.socket.close_code or 0

    def head(self, stream: str) -> tuple[str, int]:
        """Return what `ready` said of a stream."""
        epoch, seq = self.ready["heads"][stream]
        return epoch, seq
