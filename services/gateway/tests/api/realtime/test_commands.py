"""Commands on sockets: batched on the way to chat, answered one by one."""

import asyncio

from services.gateway.tests.api.realtime.registry import device_named
from services.gateway.tests.api.realtime.world import Node, User, World
from sharezync_gateway.realtime.socket_limits import SocketLimits
from sharezync_shared.contracts.commands import CommandResult, Refusal
from sharezync_shared.ids import uuid7
from sharezync_testkit.waiting import wait_until


async def test_a_command_is_carried_out_for_its_user_and_answered(
    world: World, node: Node, ada: User
) -> None:
    channel_id = str(uuid7())
    async with node.device(ada) as device:
        message = {
            "channel_id": channel_id,
            "text": "hello",
            "attachments": ["f1"],
            "reply_to": "m1",
            "client_message_id": "c1",
        }
        device.conversation.strictly = False
        frame_id = await device.say("send_message", **message, unknown="ignored")
        reply = await device.frame("reply")
        assert reply == {"type": "reply", "id": frame_id, "data": {"send_message": message}}
        frame_id = await device.say("mark_read", channel_id=channel_id, seq=4)
        reply = await device.frame("reply")
        assert reply["data"] == {"mark_read": {"channel_id": channel_id, "seq": 4}}
    commands = [command for batch in world.services.batches for command in batch]
    assert [(str(c.user_id), str(c.device_id), c.kind) for c in commands] == [
        (ada.id, device_named("laptop"), "send_message"),
        (ada.id, device_named("laptop"), "mark_read"),
    ]


async def test_what_comes_while_a_batch_is_on_its_way_is_the_next_batch(
    world: World, node: Node, ada: User, bob: User
) -> None:
    channel_id = str(uuid7())
    async with node.device(ada) as adas, node.device(bob) as bobs:
        gate = world.services.gate["commands"] = asyncio.Event()
        await adas.say("send_message", channel_id=channel_id, text="first")
        await wait_until(lambda: world.services.batches)
        for n in range(5):
            await adas.say("send_message", channel_id=channel_id, text=f"ada {n}")
            await bobs.say("send_message", channel_id=channel_id, text=f"bob {n}")
        await adas.hears_nothing()
        await bobs.hears_nothing()
        gate.set()
        assert [frame["id"] for frame in await adas.frames(6)] == [1, 2, 3, 4, 5, 6]
        await bobs.frames(5)
    assert [len(batch) for batch in world.services.batches] == [1, 10]


async def test_a_refused_command_gets_the_problem_that_rest_would_answer(
    world: World, node: Node, ada: User
) -> None:
    world.services.outcomes = {
        "no": CommandResult(problem=Refusal("not-found", "No such channel", 404)),
        "later": CommandResult(problem=Refusal("rate-limited", "Slow down", 429, 1.5)),
    }
    async with node.device(ada) as device:
        frame_id = await device.say("send_message", channel_id=str(uuid7()), text="no")
        assert await device.frame() == {
            "type": "error",
            "id": frame_id,
            "code": "not-found",
            "message": "No such channel",
            "retryable": False,
            "retry_after_ms": None,
        }
        await device.say("send_message", channel_id=str(uuid7()), text="later")
        error = await device.frame("error")
        assert (error["retryable"], error["retry_after_ms"]) == (True, 1500)
        await device.say("send_message", channel_id=str(uuid7()), text="yes")
        await device.frame("reply")


async def test_with_chat_away_commands_are_refused_as_unavailable(
    world: World, node: Node, ada: User
) -> None:
    async with node.device(ada) as device:
        world.services.away.add("chat")
        await device.say("send_message", channel_id=str(uuid7()), text="x")
        error = await device.frame("error")
        assert (error["code"], error["retryable"]) == ("unavailable", True)
        world.services.away.clear()
        await device.say("send_message", channel_id=str(uuid7()), text="x")
        await device.frame("reply")


async def test_one_socket_has_only_so_many_commands_waiting(world: World, ada: User) -> None:
    limits = SocketLimits(max_commands_in_flight=3)
    async with world.node(limits=limits) as node, node.device(ada) as device:
        gate = world.services.gate["commands"] = asyncio.Event()
        for _ in range(4):
            await device.say("send_message", channel_id=str(uuid7()), text="x")
        error = await device.frame("error")
        assert (error["id"], error["code"]) == (4, "rate-limited")
        gate.set()
        await device.frames(3)
        await device.say("send_message", channel_id=str(uuid7()), text="x")
        await device.frame("reply")


async def test_a_ping_gets_its_timestamp_back(node: Node, ada: User) -> None:
    async with node.device(ada) as device:
        for timestamp in (1795281600123, 1795281600.5, "2026-11-21T17:00:00Z"):
            frame_id = await device.say("ping", timestamp=timestamp)
            pong = await device.frame("pong")
            assert pong == {"type": "pong", "id": frame_id, "timestamp": timestamp}
        await device.say("ping")
        assert "timestamp" not in await device.frame("pong")
