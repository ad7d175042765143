"""What is measured on sockets: how late events come, and what becomes of commands."""

import time
from datetime import datetime

import pytest
from websockets.exceptions import ConnectionClosed

from services.gateway.tests.api.realtime.world import AT, World
from sharezync_gateway.realtime import socket_handler
from sharezync_testkit.lines import Lines
from sharezync_testkit.waiting import wait_until


async def test_how_late_an_event_is_counts_for_each_connection(world: World) -> None:
    ada, bob = world.user(), world.user()
    stream = world.channel(ada, bob)
    async with world.node() as node, node.device(ada) as one, node.device(bob) as other:
        await world.say(stream, "hello")
        for device in (one, other):
            await device.frame("said")
        assert node.count("sharezync_ws_delivery_seconds_count") == 2
        late = node.count("sharezync_ws_delivery_seconds_sum") / 2
        assert abs(time.time() - datetime.fromisoformat(AT).timestamp() - late) < 60


async def test_who_catches_up_says_nothing_about_delivery(world: World) -> None:
    ada = world.user()
    stream = world.channel(ada)
    async with world.node() as node:
        async with node.device(ada) as device:
            head = device.head(stream)
        world.services.say(stream, "missed")
        async with node.device(ada) as device:
            await device.say("resume", cursors={stream: head})
            await device.frame("said")
        assert node.count("sharezync_ws_delivery_seconds_count") == 0


async def test_commands_are_counted_by_type_and_by_what_became_of_them(world: World) -> None:
    ada = world.user()
    channel = world.channel(ada).removeprefix("channel:")
    async with world.node() as node, node.device(ada) as device:

        def counted(frame_type: str, result: str) -> float:
            name = "sharezync_ws_command_duration_seconds_count"
            return node.count(name, type=frame_type, result=result)

        await device.say("ping")
        await device.say("send_message", channel_id=channel, text="hello")
        await device.say("send_message", channel_id="nonsense", text="hello")
        await device.say("of-my-own-making")
        await wait_until(lambda: counted("send_message", "done") == 1)
        assert counted("ping", "done") == 1
        assert counted("send_message", "refused") == 1
        assert counted("unknown", "refused") == 1
        assert not counted("of-my-own-making", "refused")
        world.services.away.add("chat")
        await device.say("send_message", channel_id=channel, text="hello")
        await wait_until(lambda: counted("send_message", "failed") == 1)


async def test_who_connected_is_told_by_ids(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = Lines.capture(socket_handler, monkeypatch)
    ada = world.user()
    async with world.node() as node, node.device(ada, "laptop-of-ada") as device:
        pass
    (connected,) = [line for line in lines.written if line["event"] == "connected"]
    assert (connected["user_id"], connected["session_id"]) == (ada.id, ada.session)
    assert device.token not in str(lines.written)
    assert "laptop-of-ada" not in str(lines.written)


async def test_who_was_refused_did_not_connect(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = Lines.capture(socket_handler, monkeypatch)
    async with world.node() as node:
        with pytest.raises(ConnectionClosed):
            async with node.device(world.user(), token="nonsense"):
                pass
    assert lines.count("connected") == 0
