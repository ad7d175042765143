"""Whatever a client says gets an answer or ends the socket by a documented code, and at once."""

import asyncio
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any
from uuid import UUID

import msgspec
import websockets
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry
from websockets.asyncio.client import ClientConnection, connect

from services.gateway.tests.api.realtime.transfer.scene import Scene
from services.gateway.tests.api.realtime.world import Node, User, World
from sharezync_gateway.asyncapi.frames import CLIENT
from sharezync_gateway.realtime.protocol import CloseCode, Cursor
from sharezync_gateway.realtime.service_calls import Replayed
from sharezync_gateway.realtime.socket_limits import SocketLimits
from sharezync_gateway.transfers.context import TransferContext
from sharezync_gateway.transfers.core.calls import Caller
from sharezync_gateway.transfers.socket.socket_transfers import SocketTransfers
from sharezync_shared.contracts.commands import Command, CommandResult
from sharezync_shared.contracts.transfer import TransferResult
from sharezync_testkit.threads import LoopThread
from sharezync_testkit.waiting import GIVE_UP_SECONDS

Json = dict[str, Any]

INT64 = range(2**63)
CHANNEL = "01936f0c-2b7e-7d33-8d7a-0c8e3a7c1f10"
FIELDS = (
    "token", "cursors", "stream", "after", "epoch", "heads", "users", "channels", "channel_id",
    "text", "attachments", "reply_to", "client_message_id", "seq", "message_id", "transfer_id",
    "file", "index", "sha256", "data", "next", "indexes", "window", "have", "files",
    "recipients", "note",
)  # fmt: skip
GOOD: Json = {
    "cursors": {f"channel:{CHANNEL}": ["e1", 0]},
    "stream": f"channel:{CHANNEL}",
    "after": 0,
    "channel_id": CHANNEL,
    "transfer_id": CHANNEL,
    "file": 0,
    "index": 0,
    "sha256": "0" * 64,
    "data": "aGVsbG8=",
    "text": "x",
    "recipients": [],
    "files": [],
}


class _Raw(str):
    """JSON as it stands."""

    __slots__ = ()


numbers = st.one_of(
    st.integers(-(2**70), 2**70),
    st.sampled_from([2**31, 2**32, 2**53, 2**62, 2**63 - 1, 2**63, 2**64, 10**400, -1]),
    st.floats(allow_nan=False, allow_infinity=False),
    st.sampled_from(["9" * 5000, "1e400", "-0", "1.0"]).map(_Raw),
)
texts = st.one_of(st.text(max_size=20), st.sampled_from(["", "\0", "\ud800", "x" * 5000, CHANNEL]))
leaves = st.one_of(st.none(), st.booleans(), numbers, texts)
values = st.recursive(
    leaves,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=8,
)
deep = st.integers(1, 3000).map(lambda depth: _Raw("[" * depth + "]" * depth))
cursors = st.dictionaries(
    st.sampled_from([f"channel:{CHANNEL}", "channel:x", "inbox:x", ""]) | texts,
    st.tuples(texts, numbers).map(list),
    max_size=4,
)


def dump(value: Any) -> str:
    if isinstance(value, _Raw):
        return str(value)
    if isinstance(value, dict):
        return "{" + ",".join(f"{json.dumps(k)}:{dump(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(dump, value)) + "]"
    return json.dumps(value)


@st.composite
def frames(draw: st.DrawFn) -> str:
    kind = draw(st.sampled_from(sorted(CLIENT)) | texts)
    frame: Json = {"type": kind, "id": draw(st.one_of(st.just(1), st.just("a"), leaves))}
    chosen = draw(st.lists(st.sampled_from(FIELDS), max_size=5, unique=True))
    frame |= {name: GOOD[name] for name in GOOD if draw(st.booleans())}
    for name in chosen:
        frame[name] = draw(cursors if name == "cursors" and draw(st.booleans()) else values | deep)
    text = dump(frame)
    cut = draw(st.integers(0, 20))
    return text if cut else text[: draw(st.integers(0, len(text)))]


class CarefulScene(Scene):
    """Services that are asked nothing that they could not read."""

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self.asked_wrongly: list[str] = []
        replay = world.services.replay
        commands = world.services.commands

        async def careful_replay(stream: str, cursor: Cursor) -> Replayed:
            epoch, seq = cursor
            if seq not in INT64 or len(epoch) > 64 or not (epoch.isascii() and epoch.isprintable()):
                self.asked_wrongly.append(f"{stream} {cursor}")
            return await replay(stream, cursor)

        async def careful_commands(batch: Sequence[Command]) -> list[CommandResult]:
            for command in batch:
                seq = getattr(command.data, "seq", None)
                if seq is not None and seq not in INT64:
                    self.asked_wrongly.append(repr(command))
            return await commands(batch)

        world.services.replay = careful_replay  # type: ignore[method-assign]
        world.services.commands = careful_commands  # type: ignore[method-assign]
        self.service.command = self._command  # type: ignore[method-assign]

    async def _command(self, caller: Caller, kind: str, data: Mapping[str, Any]) -> TransferResult:
        msgspec.json.encode(data)
        return TransferResult(msgspec.Raw(b"{}"))


async def answers(node: Node, user: User, said: Sequence[str]) -> None:
    """Say all that on one socket, and after each of them be answered still, or be closed."""
    headers = {"Authorization": f"Bearer {node.world.token(user)}"}
    path = node.served.ws + "/ws/laptop"
    async with connect(path, additional_headers=headers, compression=None, proxy=None) as socket:
        try:
            for number, text in enumerate(said):
                await socket.send(text)
                await socket.send(f'{{"type":"ping","id":"after-{number}"}}')
                await _until(socket, lambda f, n=number: f.get("id") == f"after-{n}")  # type: ignore[misc]
        except websockets.ConnectionClosed:
            assert socket.close_code in set(CloseCode), socket.close_code


async def _until(socket: ClientConnection, condition: Callable[[Json], bool]) -> None:
    async with asyncio.timeout(GIVE_UP_SECONDS):
        while True:
            frame: Json = json.loads(await socket.recv())
            assert frame.get("code") != "internal-error", frame
            if condition(frame):
                return


async def test_any_frame_is_answered_or_ends_the_socket_by_a_documented_code(
    world: World, ada: User
) -> None:
    scene = CarefulScene(world)
    world.services.members[f"channel:{CHANNEL}"].add(ada.id)
    world.services.say(f"channel:{CHANNEL}")
    scene.service.offers[UUID(CHANNEL)] = scene.service.offer(ada, world.user(), 100)
    context = TransferContext(
        bus=world.bus, registry=CollectorRegistry(), store=scene.store, calls=scene.service
    )
    await context.start()
    transfers = SocketTransfers(context)
    # Nothing is refused for its number, and many sockets come after one another.
    limits = SocketLimits(
        commands_per_second=1e6, commands_burst=1e6, max_connections_per_user=1000
    )
    loop = LoopThread()
    async with world.node(
        limits=limits, handlers=transfers.handlers, binary_handler=transfers.take_binary
    ) as node:

        @settings(max_examples=120, deadline=None, suppress_health_check=list(HealthCheck))
        @given(st.lists(frames(), min_size=1, max_size=6))
        def law(said: list[str]) -> None:
            loop.do(answers(node, ada, said))

        await loop.aside(law)
    transfers.close()
    await context.aclose()
    assert not scene.asked_wrongly
