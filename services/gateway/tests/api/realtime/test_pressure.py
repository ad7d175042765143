"""Slow, flooding and careless clients: each costs a bounded amount, and nobody else anything."""

import asyncio
import base64
import contextlib
import json
import os
import socket
from collections.abc import Iterator
from typing import Any

import pytest

from services.gateway.tests.api.realtime.overhearing import typing_in
from services.gateway.tests.api.realtime.world import Node, User, World
from sharezync_gateway.realtime import BadFrame, Connection
from sharezync_gateway.realtime.protocol import FrameHead
from sharezync_gateway.realtime.socket_limits import SocketLimits
from sharezync_shared.sizes import MAX_TEXT_FRAME_BYTES
from sharezync_shared.streams.frames import Frame
from sharezync_testkit.waiting import wait_until

KIB = 1024


@contextlib.contextmanager
def stalled(node: Node, user: User) -> Iterator[socket.socket]:
    """A client that opens a socket and then reads nothing, with little room in its kernel."""
    raw = socket.socket()
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    raw.connect(("127.0.0.1", node.served.port))
    raw.sendall(
        (
            "GET /ws/stalled HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Key: {base64.b64encode(os.urandom(16)).decode()}\r\n"
            "Sec-WebSocket-Version: 13\r\n"
            f"Authorization: Bearer {node.world.token(user)}\r\n\r\n"
        ).encode()
    )
    with contextlib.closing(raw):
        yield raw


async def the_stalled(node: Node, user: User) -> Connection:
    """The node's end of that socket, once it is on its streams."""
    await wait_until(lambda: any(c.streams for c in node.engine.of_user(user.id)))
    return next(c for c in node.engine.of_user(user.id) if c.client_id == "stalled")


async def test_a_slow_reader_is_closed_and_the_others_hear_everything(
    world: World, node: Node, ada: User, bob: User
) -> None:
    channel = world.channel(ada, bob)
    with stalled(node, bob):
        async with node.device(ada) as adas:
            slow = await the_stalled(node, bob)
            most = sent = 0
            while not slow.closed:
                assert sent < 20_000
                await world.say(channel, "x" * 4000)
                sent += 1
                assert (await adas.frame())["seq"] == sent
                most = max(most, slow.buffered_bytes)
            assert slow.close_code == 4008
            assert 900 * KIB < most <= 1024 * KIB
            assert not node.engine.of_user(bob.id)
            await world.say(channel)
            assert (await adas.frame())["seq"] == sent + 1
    async with node.device(bob) as back:
        await back.say("resume", cursors={channel: ["e1", sent - 99]})
        assert await back.seqs(100) == list(range(sent - 98, sent + 2))
        await back.frame("resumed")
    assert node.count("sharezync_ws_frames_dropped_total", reason="too_slow") == 1
    await wait_until(lambda: node.count("sharezync_ws_closes_total", code="4008"))


async def test_a_slow_reader_loses_signals_first(world: World, node: Node, bob: User) -> None:
    channel = world.channel(bob)
    signal = Frame(channel, "", 0, typing_in(channel))
    with stalled(node, bob):
        slow = await the_stalled(node, bob)
        while slow.buffered_bytes < 300 * KIB:
            await world.say(channel, "x" * 4000)
        assert not slow.closed
        before = slow.buffered_bytes
        await world.send(signal)
        assert slow.buffered_bytes <= before
        assert node.count("sharezync_ws_frames_dropped_total", reason="signal") == 1
        await world.say(channel, "an event is still kept")
        assert not slow.closed


async def test_a_chunk_that_waits_does_not_make_its_reader_slow(
    world: World, node: Node, bob: User
) -> None:
    channel = world.channel(bob)
    with stalled(node, bob):
        slow = await the_stalled(node, bob)
        while slow.buffered_bytes < 50 * KIB:  # until the kernel takes no more
            assert slow.send_binary(b"x" * 16 * KIB)
            await asyncio.sleep(0.001)
        assert slow.send_binary(b"header", b"c" * 1024 * KIB)
        assert not slow.send_binary(b"another")
        assert slow.buffered_bytes > 1024 * KIB
        for _ in range(100):
            await world.say(channel, "x" * 4000)
        assert not slow.closed
        for _ in range(300):
            await world.say(channel, "x" * 4000)
        assert slow.closed


async def test_a_peer_that_never_answers_pings_is_closed_as_idle(world: World, bob: User) -> None:
    async with world.node() as node:
        node.served.server.config.ws_ping_interval = 0.05
        node.served.server.config.ws_ping_timeout = 0.05
        with stalled(node, bob):
            await the_stalled(node, bob)
            await wait_until(lambda: node.count("sharezync_ws_closes_total", code="4009"))


@pytest.mark.parametrize(
    ("sent", "code"),
    [
        ("", "malformed"),
        ("{", "malformed"),
        ("null", "invalid"),
        ("[]", "invalid"),
        ('"ping"', "invalid"),
        ("{}", "invalid"),
        ('{"type": 7}', "invalid"),
        ('{"type": "ping", "id": {}}', "invalid"),
        ('{"type": "ping", "id": 1.5}', "invalid"),
        ('{"type": "ping", "id": "' + "x" * 129 + '"}', "invalid"),
        ('{"type": "ping", "heads": 7}', "invalid"),
        ('{"type": "no_such_thing"}', "unknown-type"),
        ('{"type": "' + "x" * 1000 + '"}', "unknown-type"),
        ('{"type": "resume"}', "invalid"),
        ('{"type": "resume", "cursors": []}', "invalid"),
        ('{"type": "resume", "cursors": {"channel:x": ["e", -1]}}', "invalid"),
        ('{"type": "resume", "cursors": {"channel:x": ["e", 1e99]}}', "invalid"),
        ('{"type": "resume", "cursors": {"channel:x": 7}}', "invalid"),
        ('{"type": "replay", "stream": "x", "after": -1}', "invalid"),
        ('{"type": "replay", "stream": "x"}', "invalid"),
        ('{"type": "authenticate"}', "invalid"),
        ('{"type": "send_message", "channel_id": "x", "text": "x"}', "invalid"),
        ('{"type": "send_message", "text": "x"}', "invalid"),
        ('{"type": "mark_read", "channel_id": 1}', "invalid"),
        ('{"type": "ping", "x": ' + "[" * 30_000 + "]" * 30_000 + "}", "malformed"),
        (b"\x00\x01", "unsupported"),
        (b"", "unsupported"),
    ],
)
async def test_bad_frames_get_an_error_and_the_socket_lives(
    node: Node, ada: User, sent: str | bytes, code: str
) -> None:
    async with node.device(ada) as device:
        await device.socket.send(sent)
        error = await device.frame("error")
        assert error["code"] == code
        assert error["message"]
        assert error["retryable"] is False
        await device.hears_nothing()


async def test_a_pong_is_heeded_by_nobody(node: Node, ada: User) -> None:
    async with node.device(ada) as device:
        await device.say("pong")
        await device.hears_nothing()


async def test_an_error_names_the_frame_that_it_is_about(node: Node, ada: User) -> None:
    async with node.device(ada) as device:
        for type_, fields in (("nope", {}), ("resume", {}), ("replay", {"stream": 1})):
            frame_id = await device.say(type_, **fields)
            assert (await device.frame("error"))["id"] == frame_id


async def test_what_a_handler_fails_at_is_its_own_trouble(world: World, ada: User) -> None:
    async def breaks(connection: Connection, head: FrameHead, text: str) -> None:
        raise RuntimeError("a secret")

    async with world.node(handlers={"break": breaks}) as node, node.device(ada) as device:
        await device.say("break")
        error = await device.frame("error")
        assert error["code"] == "internal-error"
        assert "secret" not in json.dumps(error)
        await device.hears_nothing()


@pytest.mark.parametrize("character", ["x", "é", "😀"])
async def test_text_frames_over_the_limit_close_with_1009(
    node: Node, ada: User, character: str
) -> None:
    size = len(character.encode())
    frame = '{"type":"ping","x":"%s"}'
    room = MAX_TEXT_FRAME_BYTES - len(frame % "")
    async with node.device(ada) as device:
        device.conversation.strictly = False
        await device.socket.send(frame % (character * (room // size)))
        await device.frame("pong")
        await device.socket.send(frame % (character * (room // size + 1)))
        assert await device.closed() == 1009


async def test_a_chunk_in_text_may_be_longer(world: World, ada: User) -> None:
    seen: list[int] = []

    async def chunk(connection: Connection, head: FrameHead, text: str) -> None:
        seen.append(len(text))

    async with world.node(handlers={"file_chunk": chunk}) as node, node.device(ada) as device:
        await device.say("file_chunk", data="x" * 1_400_000)
        await device.hears_nothing()
        assert seen[0] > 1_400_000
        await device.say("file_chunk", data="x" * 1_600_000)
        assert await device.closed() == 1009


async def test_binary_frames_over_a_chunk_close_with_1009(world: World, ada: User) -> None:
    seen: list[int] = []

    async def binary(connection: Connection, data: bytes) -> None:
        seen.append(len(data))

    async with world.node(binary_handler=binary) as node, node.device(ada) as device:
        await device.socket.send(b"x" * (1024 * KIB + 64))
        await device.hears_nothing()
        assert seen == [1024 * KIB + 64]
        await device.socket.send(b"x" * (1024 * KIB + 65))
        assert await device.closed() == 1009


async def test_commands_over_the_rate_are_refused_and_floods_closed(
    world: World, ada: User
) -> None:
    limits = SocketLimits(commands_per_second=10, commands_burst=5)
    async with world.node(limits=limits) as node, node.device(ada) as device:
        for _ in range(8):
            await device.say("ping")
        answers = await device.frames(8)
        assert [frame["type"] for frame in answers] == ["pong"] * 5 + ["error"] * 3
        assert answers[-1]["code"] == "rate-limited"
        assert answers[-1]["id"] == 8
        assert answers[-1]["retryable"] is True
        assert 0 < answers[-1]["retry_after_ms"] <= 200
        for _ in range(100):
            await device.say("ping")
        assert await device.closed() == 4029


@pytest.mark.parametrize("frame", ['{"type":"chunk_ack"}', '{"type":"file_chunk"}', b"junk", "{"])
async def test_bad_frames_that_are_not_metered_are_a_flood_too(
    world: World, ada: User, frame: str | bytes
) -> None:
    async def refuse(connection: Connection, head: FrameHead, text: str) -> None:
        raise BadFrame("invalid", "No")

    limits = SocketLimits(commands_per_second=10, commands_burst=5)
    handlers = {"chunk_ack": refuse}
    async with world.node(limits=limits, handlers=handlers) as node, node.device(ada) as device:
        for _ in range(100):
            await device.socket.send(frame)
        assert await device.closed() == 4029


async def test_good_frames_that_have_a_credit_of_their_own_are_no_flood(
    world: World, ada: User
) -> None:
    seen = 0

    async def chunk(connection: Connection, head: FrameHead, text: str) -> None:
        nonlocal seen
        seen += 1

    async def binary(connection: Connection, data: bytes) -> None:
        nonlocal seen
        seen += 1

    parts: dict[str, Any] = {"handlers": {"chunk_ack": chunk}, "binary_handler": binary}
    limits = SocketLimits(commands_per_second=10, commands_burst=5)
    async with world.node(limits=limits, **parts) as node, node.device(ada) as device:
        for _ in range(100):
            await device.socket.send('{"type":"chunk_ack"}')
            await device.socket.send(b"chunk")
        await device.hears_nothing()
        assert seen == 200
