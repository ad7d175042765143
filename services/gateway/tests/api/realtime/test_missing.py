"""Services that do not answer when a socket starts: what can't be known yet is not denied."""

import asyncio

import pytest

from services.gateway.tests.api.realtime.test_subscribing import channel_id, refusal, subscribe
from services.gateway.tests.api.realtime.world import Device, Node, User, World
from sharezync_testkit.waiting import wait_until


async def test_with_a_service_away_sockets_open_and_its_streams_follow(
    world: World, node: Node, ada: User
) -> None:
    channel = world.channel(ada)
    world.services.say(channel)
    world.services.away.add("chat")
    async with node.device(ada) as device:
        assert device.ready["missing"] == ["chat"]
        assert channel not in device.ready["heads"]
        world.services.away.clear()
        told = {frame["stream"]: frame for frame in await device.frames(2)}
        assert told[channel] == {"type": "reset", "stream": channel, "epoch": "e1", "seq": 1}
        await world.say(channel, "here again")
        assert (await device.frame())["seq"] == 2


async def test_with_all_services_away_clients_are_told_to_come_later(
    world: World, node: Node, ada: User
) -> None:
    world.services.away |= {"auth", "chat", "transfer"}
    async with node.device(ada) as device:
        assert device.ready["type"] == "error"
        assert device.ready["code"] == "unavailable"
        assert device.ready["retryable"] is True
        assert await device.closed() == 4013


async def test_a_resume_says_that_a_stream_comes_later_and_not_that_it_is_gone(
    world: World, node: Node, ada: User, bob: User
) -> None:
    channel, foreign = world.channel(ada), world.channel(bob)
    world.services.say(channel)
    world.services.away.add("chat")
    async with node.device(ada) as device:
        cursors = {name: ["e1", 0] for name in (channel, foreign, "nonsense")}
        cursors[f"account:{ada.id}"] = ["e1", 0]
        await device.say("resume", cursors=cursors)
        assert (await device.frame("resumed"))["streams"] == {
            channel: {"result": "later"},
            foreign: {"result": "later"},  # whose it is, nobody can say now
            "nonsense": {"result": "gone"},
            f"account:{ada.id}": {"result": "current"},
        }
        world.services.away.clear()
        told = {frame["stream"]: frame["type"] for frame in await device.frames(2)}
        assert told == {channel: "reset", f"inbox:{ada.id}": "reset"}
        await device.say("resume", cursors={foreign: ["e1", 0], channel: ["e1", 1]})
        outcomes = (await device.frame("resumed"))["streams"]
        assert outcomes == {foreign: {"result": "gone"}, channel: {"result": "current"}}


@pytest.mark.parametrize("type_", ["subscribe", "typing"])
async def test_channels_that_are_not_known_yet_are_to_be_tried_again(
    world: World, node: Node, ada: User, type_: str
) -> None:
    stream = world.channel(ada)
    channel = channel_id(stream)
    fields = {"channels": [channel]} if type_ == "subscribe" else {"channel_id": channel}
    world.services.away.add("chat")
    async with node.device(ada) as device:
        refused = await refusal(device, type_, **fields)
        assert (refused["code"], refused["retryable"]) == ("unavailable", True)
        world.services.away.clear()
        assert {frame["stream"] for frame in await device.frames(2)} >= {stream}
        await device.say(type_, **fields)
        await device.frame("reply")


async def test_streams_that_are_known_can_be_subscribed_to_while_others_are_not(
    world: World, node: Node, ada: User, bob: User
) -> None:
    channel = channel_id(world.channel(ada))
    foreign = channel_id(world.channel(bob))
    world.services.away.add("transfer")
    async with node.device(ada) as device:
        told = await subscribe(device, channels=[channel, foreign])
        assert told["subscribed"]["channels"] == [channel]
        assert told["refused"]["channels"] == [foreign]


async def test_a_socket_that_comes_while_another_is_being_seated_is_not_forgotten(
    world: World, node: Node, ada: User
) -> None:
    """It asked before the service was back; the question for the other came after."""
    channel = world.channel(ada)
    services = world.services
    services.away.add("chat")
    async with node.device(ada, "first") as first:
        before = services.gate["heads"] = asyncio.Event()
        asked = len(services.asked)
        second = node.device(ada, "second")
        async with asyncio.TaskGroup() as group:
            coming = group.create_task(Device.__aenter__(second))
            await wait_until(lambda: ("heads", ada.id) in services.asked[asked:])
            after = services.gate["heads"] = asyncio.Event()
            services.away.clear()
            asked = len(services.asked)
            await wait_until(lambda: ("heads", ada.id) in services.asked[asked:])
            before.set()
            await coming
        assert second.ready["missing"] == ["chat"]
        after.set()
        for device in (first, second):
            told = {frame["stream"]: frame["type"] for frame in await device.frames(2)}
            assert told == {channel: "reset", f"inbox:{ada.id}": "reset"}
        await second.socket.close()
