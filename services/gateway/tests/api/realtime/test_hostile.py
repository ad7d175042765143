"""Strangers and users with bad intent: what each gets, and that nobody else waits."""

import asyncio
import contextlib
import json
import logging
from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from structlog.testing import capture_logs
from websockets.exceptions import InvalidHandshake, InvalidStatus
from websockets.frames import Frame, Opcode

from services.gateway.tests.api.realtime.world import Device, Node, User, World
from sharezync_gateway.realtime import Connection
from sharezync_gateway.realtime.protocol import FrameHead
from sharezync_gateway.realtime.socket_limits import SocketLimits
from sharezync_shared.ids import uuid7
from sharezync_testkit.waiting import GIVE_UP_SECONDS, wait_until

SEQ_TOO_LARGE = 2**63


@pytest.fixture(autouse=True)
def no_errors(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Nothing that a stranger does is an error of ours."""
    caplog.set_level(logging.WARNING)
    with capture_logs() as logged:
        yield
    records = caplog.get_records("call")
    assert not [r.getMessage() for r in records if r.levelno >= logging.ERROR or r.exc_info]
    assert not [event for event in logged if event["log_level"] in {"error", "critical"}]


@asynccontextmanager
async def without_token(node: Node, user: User) -> AsyncGenerator[Device]:
    device = node.device(user, by="frame")
    device.conversation.strictly = False
    async with device:
        yield device


async def keep_sending(device: Device, data: bytes) -> None:
    with contextlib.suppress(Exception):
        while True:
            device.socket.transport.write(data)
            # No faster than the kernel takes it: asyncio can't abort a connection that was closed
            # while it held something back.
            await asyncio.sleep(0.005)


@pytest.mark.parametrize("opcode", [Opcode.PONG, Opcode.PING])
async def test_two_sockets_without_a_token_that_flood_are_closed_and_nobody_waits(
    world: World, node: Node, ada: User, bob: User, opcode: Opcode
) -> None:
    flood = Frame(opcode, b"").serialize(mask=True) * 2000
    async with (
        without_token(node, ada) as one,
        without_token(node, ada) as two,
        node.device(bob) as innocent,
    ):
        floods = [asyncio.create_task(keep_sending(each, flood)) for each in (one, two)]
        await innocent.hears_nothing()
        assert await one.closed() == await two.closed() == 4029
        await innocent.hears_nothing()
        for each in floods:
            each.cancel()
    await wait_until(lambda: node.count("sharezync_ws_closes_total", code="4029") == 2)


async def test_a_first_frame_that_trickles_among_pings_is_not_waited_for(
    world: World, ada: User
) -> None:
    first = Frame(Opcode.TEXT, b'{"type":"authenticate"').serialize(mask=True)
    ping = Frame(Opcode.PING, b"").serialize(mask=True)
    async with (
        world.node(limits=SocketLimits(first_frame_seconds=0.2)) as node,
        without_token(node, ada) as device,
    ):
        closing = asyncio.create_task(device.closed())
        device.socket.transport.write(ping * 10 + first[:-1])
        assert await closing == 4501


NUMBERS: list[dict[str, Any]] = [
    {"type": "resume", "cursors": {"$channel": ["e1", SEQ_TOO_LARGE]}},
    {"type": "resume", "cursors": {"$channel": ["e1", -1]}},
    {"type": "resume", "cursors": {"$channel": ["e1", 1.5]}},
    {"type": "resume", "cursors": {"$channel": ["e" * 65, 1]}},
    {"type": "resume", "cursors": {"$channel": ["e\n", 1]}},
    {"type": "resume", "cursors": {f"channel:{n}": ["e1", 1] for n in range(2001)}},
    {"type": "replay", "stream": "$channel", "after": SEQ_TOO_LARGE},
    {"type": "replay", "stream": "$channel", "after": 1, "epoch": "é"},
    {"type": "authenticate", "token": "x", "cursors": {"$channel": ["e1", SEQ_TOO_LARGE]}},
    {"type": "mark_read", "channel_id": str(uuid7()), "seq": SEQ_TOO_LARGE},
]


@pytest.mark.parametrize("frame", NUMBERS, ids=lambda f: f["type"])
async def test_what_no_service_could_read_is_refused_at_once(
    world: World, node: Node, ada: User, frame: dict[str, Any]
) -> None:
    """A service refuses it, which would pass for being away: tried again for seconds."""
    channel = world.channel(ada)
    await world.say(channel)
    text = json.dumps(frame).replace("$channel", channel)
    async with node.device(ada) as device:
        await device.socket.send(text)
        assert (await device.frame("error"))["code"] == "invalid"
        await device.hears_nothing()
    assert not [call for call in world.services.asked if call[0] == "replay"]
    assert not world.services.batches


async def test_a_flood_of_commands_costs_a_bounded_number_of_answers(
    world: World, ada: User
) -> None:
    limits = SocketLimits(commands_per_second=10, commands_burst=20)
    async with world.node(limits=limits) as node, node.device(ada) as device:
        flood = Frame(Opcode.TEXT, b'{"type":"ping"}').serialize(mask=True) * 500
        flooding = asyncio.create_task(keep_sending(device, flood))
        kinds = []
        with contextlib.suppress(Exception):
            while True:
                kinds.append((await device.frame())["type"])
        flooding.cancel()
        assert device.socket.close_code == 4029
    assert kinds[:20] == ["pong"] * 20
    # Five bursts of refusals, and what a few seconds on a busy machine restore.
    assert len(kinds) < 20 + 5 * 20 + GIVE_UP_SECONDS * 30


async def test_answers_that_nobody_reads_are_kept_up_to_a_mebibyte(world: World, ada: User) -> None:
    """Each may be far larger than what asked for it."""
    for _ in range(300):
        world.channel(ada)
    limits = SocketLimits(commands_per_second=1e6, commands_burst=1e6)
    async with world.node(limits=limits) as node, node.device(ada) as device:
        (connection,) = node.engine.of_user(ada.id)
        device.socket.transport.pause_reading()
        text = Frame(Opcode.TEXT, b'{"type":"ping","heads":true}').serialize(mask=True)
        most = 0
        while not connection.closed:
            device.socket.transport.write(text * 10)
            await asyncio.sleep(0.001)
            most = max(most, connection.buffered_bytes)
        assert connection.close_code == 4008
        assert most <= 1024 * 1024
        device.socket.transport.abort()


async def test_an_answer_that_is_large_counts_as_several(world: World, ada: User) -> None:
    for _ in range(500):
        world.channel(ada)
    limits = SocketLimits(commands_per_second=0.001, commands_burst=100)
    async with world.node(limits=limits) as node, node.device(ada) as device:
        kinds = []
        for _ in range(20):
            await device.say("ping", heads=True)
            kinds.append((await device.frame())["type"])
        assert 8 <= kinds.count("pong") <= 10
        assert kinds[-1] == "error"


async def test_catching_up_with_many_streams_counts_as_several(world: World, ada: User) -> None:
    channels = [world.channel(ada) for _ in range(100)]
    for channel in channels:
        world.services.say(channel)
    limits = SocketLimits(commands_per_second=0.001, commands_burst=40)
    async with world.node(limits=limits) as node, node.device(ada) as device:
        cursors = {channel: ["e1", 0] for channel in channels}
        results = []
        for _ in range(6):
            await device.say("resume", cursors=cursors)
            frames = [await device.frame()]
            while frames[-1]["type"] not in {"resumed", "error"}:
                frames.append(await device.frame())
            results.append(frames[-1]["type"])
        assert results == ["resumed"] * 4 + ["error"] * 2  # six commands each, and six KiB to read


async def test_frames_that_say_much_count_as_several(world: World, ada: User) -> None:
    limits = SocketLimits(commands_per_second=0.001, commands_burst=60)
    cursors = {f"x{number}": ["", 0] for number in range(2000)}  # 30 KiB
    async with world.node(limits=limits) as node, node.device(ada) as device:
        kinds = []
        for _ in range(4):
            await device.say("resume", cursors=cursors)
            kinds.append((await device.frame())["type"])
        assert kinds == ["resumed"] * 2 + ["error"] * 2


async def test_the_sockets_of_one_user_share_what_they_may_send(
    world: World, ada: User, bob: User
) -> None:
    limits = SocketLimits(commands_per_second=0.001, commands_burst=20, user_share=1.5)
    async with (
        world.node(limits=limits) as node,
        node.device(ada, "a") as a,
        node.device(ada, "b") as b,
        node.device(ada, "c") as c,
        node.device(bob) as innocent,
    ):
        kinds = []
        for device in (a, b, c):
            for _ in range(16):
                await device.say("ping")
                kinds.append((await device.frame())["type"])
        assert kinds == ["pong"] * 30 + ["error"] * 18
        await innocent.hears_nothing()


async def test_a_user_who_comes_back_has_not_been_forgotten(world: World, ada: User) -> None:
    limits = SocketLimits(commands_per_second=0.001, commands_burst=20, user_share=1)
    async with world.node(limits=limits) as node:
        async with node.device(ada) as device:
            for _ in range(20):
                await device.hears_nothing()
        await wait_until(lambda: not node.engine.of_user(ada.id))
        node.engine._socket_handler.sweep()
        async with node.device(ada) as device:
            await device.say("ping")
            assert (await device.frame("error"))["code"] == "rate-limited"


async def test_frames_with_a_credit_of_their_own_are_waited_with(world: World, ada: User) -> None:
    taken: list[float] = []
    loop = asyncio.get_running_loop()

    async def take(_connection: Connection, _head: FrameHead, _text: str) -> None:
        taken.append(loop.time())

    limits = SocketLimits(commands_per_second=10, commands_burst=10, user_share=1)
    async with (
        world.node(limits=limits, handlers={"chunk_ack": take}) as node,
        node.device(ada) as device,
    ):
        for _ in range(110):
            await device.say("chunk_ack")
        await device.say("chunk_ack", indexes=[1000] * 1000)  # six KiB
        await wait_until(lambda: len(taken) == 111)
        assert taken[-1] - taken[0] >= 0.5


@pytest.mark.parametrize("opcode", [Opcode.TEXT, Opcode.BINARY])
async def test_who_has_not_said_who_they_are_gets_no_room_for_a_large_frame(
    node: Node, ada: User, opcode: Opcode
) -> None:
    head = Frame(opcode, b"x" * 1024 * 1024).serialize(mask=True)[:14]
    async with without_token(node, ada) as device:
        device.socket.transport.write(head)
        assert await device.closed() == 1009
    async with without_token(node, ada) as device:
        await device.say("authenticate", token=device.token)
        await device.frame("ready")
        device.socket.transport.write(Frame(opcode, b"x" * 1024 * 1024).serialize(mask=True))
        if opcode is Opcode.BINARY:
            assert (await device.frame("error"))["code"] == "unsupported"
        else:
            assert await device.closed() == 1009


async def test_codes_that_clients_make_up_are_counted_together(node: Node, ada: User) -> None:
    for code in (4001, 4777, 4999, 3000):
        async with node.device(ada) as device:
            await device.socket.close(code)
    await wait_until(lambda: node.count("sharezync_ws_closes_total", code="other") == 3)
    assert node.count("sharezync_ws_closes_total", code="4001") == 1


async def test_attachments_without_end_are_not_carried_to_chat(
    world: World, node: Node, ada: User
) -> None:
    channel_id = world.channel(ada).removeprefix("channel:")
    async with node.device(ada) as device:
        await device.say("send_message", channel_id=channel_id, text="a", attachments=["b"] * 101)
        assert (await device.frame("error"))["code"] == "invalid"


# --- how many sockets ---------------------------------------------------------------------------


async def refused(device: Device) -> tuple[int, dict[str, Any], str | None]:
    with pytest.raises(InvalidStatus) as refusal:
        await device.__aenter__()
    answer = refusal.value.response
    return answer.status_code, json.loads(answer.body or b""), answer.headers.get("Retry-After")


async def test_a_process_with_as_many_sockets_as_it_may_refuses_the_handshake(
    world: World, ada: User, bob: User
) -> None:
    async with world.node(limits=SocketLimits(max_connections=2)) as node:
        async with node.device(ada, "a"), node.device(ada, "b") as second:
            status, problem, after = await refused(node.device(bob))
            assert (status, problem["code"], after) == (503, "unavailable", "5")
            await second.hears_nothing()
        await wait_until(lambda: not node.engine.of_user(ada.id))
        async with node.device(bob) as device:
            assert device.ready["type"] == "ready"


async def test_sockets_without_a_token_take_no_room_of_those_with_one(
    world: World, ada: User, bob: User
) -> None:
    async with (
        world.node(limits=SocketLimits(max_connections=100)) as node,
        contextlib.AsyncExitStack() as stack,
    ):
        waiting = [await stack.enter_async_context(without_token(node, ada)) for _ in range(4)]
        status, problem, after = await refused(node.device(bob, by="frame"))
        assert (status, problem["code"], after) == (429, "rate-limited", "5")
        for by in ("header", "subprotocol"):
            async with node.device(bob, by=by) as device:
                assert device.ready["type"] == "ready"
        await waiting[0].say("authenticate", token=waiting[0].token)
        await waiting[0].frame("ready")
        await stack.enter_async_context(without_token(node, ada))


@pytest.mark.parametrize("by", ["header", "frame"])
async def test_sockets_that_were_refused_take_up_nothing(world: World, ada: User, by: str) -> None:
    async with world.node(limits=SocketLimits(max_connections=4)) as node:
        for _ in range(12):
            device = node.device(ada, token=world.token(ada)[:-4] + "AAAA", by=by)
            device._waits_for_ready = False
            async with device:
                if by == "frame":
                    await device.say("authenticate", token=device.token)
                assert await device.closed() == 4501
        await wait_until(lambda: not node.engine._socket_handler.open)
        assert node.engine._context.admission.open == 0


async def test_a_user_who_opens_sockets_in_a_loop_is_told_to_come_later(
    world: World, ada: User, bob: User
) -> None:
    async with world.node(limits=SocketLimits(max_connections_per_user=1)) as node:
        codes: list[int | None] = []
        for number in range(40):
            device = node.device(ada, f"new-{number}")
            async with device:
                if device.ready["type"] == "error":
                    assert device.ready["code"] == "rate-limited"
                    codes.append(await device.closed())
            await wait_until(lambda: not node.engine.of_user(ada.id))
        assert set(codes) == {4013}
        connects = [call for call in world.services.asked if call[0] == "heads"]
        assert len(connects) + len(codes) == 40
        async with node.device(bob) as device:
            assert device.ready["type"] == "ready"


WEIRD: dict[str, dict[str, Any]] = {
    "a thousand subprotocols": {"subprotocols": [f"s{n}" for n in range(1000)]},
    "deflate of every kind": {
        "headers": {"Sec-WebSocket-Extensions": ", ".join(["permessage-deflate"] * 200)}
    },
    "several tokens": {"subprotocols": ["bearer.a", "bearer.b", "sharezync.v1"], "by": "frame"},
}


@pytest.mark.parametrize("options", WEIRD.values(), ids=WEIRD)
async def test_weird_handshakes_are_answered_by_a_code_or_a_status(
    node: Node, ada: User, options: dict[str, Any]
) -> None:
    device = node.device(ada, **options)
    device._waits_for_ready = False
    async with device:
        assert not device.socket.protocol.extensions
        first = asyncio.create_task(device.frame())
        await asyncio.wait([first])
        if first.exception() is None:
            assert first.result()["type"] == "ready"
        else:
            assert device.socket.close_code in {4501, 4509}


async def test_more_subprotocols_than_a_head_holds_are_refused(node: Node, ada: User) -> None:
    device = node.device(ada, subprotocols=["s" * 100] * 1000)
    with pytest.raises((InvalidHandshake, OSError)):
        await device.__aenter__()
