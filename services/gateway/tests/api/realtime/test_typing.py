"""`typing`: to those who asked and are on the channel at that very moment."""

import json
import random
from typing import Any

from services.gateway.tests.api.realtime.test_pressure import KIB, stalled, the_stalled
from services.gateway.tests.api.realtime.test_subscribing import (
    channel_id,
    refusal,
    subscribe,
    subscriptions,
)
from services.gateway.tests.api.realtime.world import Device, Node, User, World
from sharezync_gateway.realtime.protocol import TypingSignal, Typist, encode, now_text
from sharezync_gateway.realtime.socket_limits import SocketLimits
from sharezync_shared.ids import uuid7
from sharezync_shared.streams.frames import Control, Frame
from sharezync_testkit.waiting import wait_until

ONCE = SocketLimits(typing_seconds=3600)


async def types(device: Device, stream: str) -> None:
    frame_id = await device.say("typing", channel_id=channel_id(stream))
    assert await device.frame() == {"type": "reply", "id": frame_id, "data": {}}


def typing(stream: str, user: User) -> Frame:
    """What nodes say to each other when somebody types."""
    typist = Typist(channel_id(stream), user.id)
    text = encode(TypingSignal(stream, now_text(), typist))
    return Frame(f"typing:{channel_id(stream)}:{user.id}", "", 0, text)


async def drain(device: Device) -> list[dict[str, Any]]:
    """Return every frame that was sent until now."""
    await device.say("ping")
    frames = []
    while (frame := await device.frame())["type"] != "pong":
        frames.append(frame)
    return frames


async def test_typing_reaches_who_asked_on_every_node_and_not_the_typist(
    world: World, ada: User, bob: User
) -> None:
    stream = world.channel(ada, bob)
    other = world.channel(ada, bob)
    async with (
        world.node() as here,
        world.node() as there,
        here.device(ada, "phone") as typist,
        there.device(ada, "laptop") as own,
        there.device(bob, "phone") as told,
        here.device(bob, "laptop") as unasked,
    ):
        await subscribe(typist, channels=[channel_id(stream)])
        await subscribe(own, channels=[channel_id(stream)])
        await subscribe(told, channels=[channel_id(stream)])
        await subscribe(unasked, channels=[channel_id(other)])
        await types(typist, stream)
        frame = await told.frame("typing")
        assert frame.keys() == {"type", "stream", "at", "data"}
        assert frame["stream"] == stream
        assert frame["data"] == {"channel_id": channel_id(stream), "user_id": ada.id}
        for device in (typist, own, unasked, told):
            await device.hears_nothing()
        await subscribe(told, "unsubscribe", channels=[channel_id(stream)])
        await types(own, stream)
        await told.hears_nothing()


async def test_typing_goes_out_once_in_a_while_for_each_user_and_channel(
    world: World, ada: User, bob: User
) -> None:
    stream, other = world.channel(ada, bob), world.channel(ada, bob)
    async with (
        world.node(limits=ONCE) as node,
        node.device(ada, "phone") as typist,
        node.device(ada, "laptop") as second,
        node.device(bob) as told,
    ):
        await subscribe(told, channels=[channel_id(stream), channel_id(other)])
        for _ in range(5):
            await types(typist, stream)  # swallowed, and no error
        await types(second, stream)  # nor from another of the user's sockets
        await types(typist, other)
        heard = [(await told.frame("typing"))["stream"] for _ in range(2)]
        assert sorted(heard) == sorted([stream, other])  # signals come in no order
        await told.hears_nothing()


async def test_without_an_id_typing_is_not_answered(world: World, node: Node, ada: User) -> None:
    stream = world.channel(ada)
    async with node.device(ada) as device:
        frame = {"type": "typing", "channel_id": channel_id(stream)}
        await device.socket.send(json.dumps(frame))
        await device.hears_nothing()


async def test_nobody_types_where_they_are_not(
    world: World, node: Node, ada: User, bob: User
) -> None:
    stream, other = world.channel(bob), world.channel(ada, bob)
    async with node.device(ada) as device, node.device(bob) as bobs:
        await subscribe(bobs, channels=[channel_id(stream)])
        for unknown in (channel_id(stream), str(uuid7())):
            assert (await refusal(device, "typing", channel_id=unknown))["code"] == "not-found"
        await bobs.hears_nothing()
    async with node.on_channel(bob, stream) as narrowed:
        error = await refusal(narrowed, "typing", channel_id=channel_id(other))
        assert error["code"] == "not-found"
    assert not [frame for frame in world.bus.signals if frame.stream.startswith("typing")]


async def test_typing_after_a_removal_is_never_delivered(
    world: World, ada: User, bob: User
) -> None:
    """In whatever order, and in however many pieces, the bus brings the one and the other."""
    stream = world.channel(ada, bob)
    rng = random.Random(4)
    heard_before = 0
    async with (
        world.node() as here,
        world.node() as there,
        here.device(bob, "a") as one,
        there.device(bob, "b") as two,
    ):
        for device in (one, two):  # that there is no block, is asked for at first
            await subscribe(device, channels=[channel_id(stream)])
        await world.send(typing(stream, ada))
        for device in (one, two):
            await device.frame("typing")
        for _ in range(40):
            frames = [typing(stream, ada) for _ in range(rng.randint(1, 5))]
            removal = world.services.say(stream, "out", control=Control(leave=[bob.id]))
            frames.insert(rng.randint(0, len(frames)), removal)
            for device in (one, two):
                told = await subscribe(device, channels=[channel_id(stream)])
                assert told["subscribed"]["channels"] == [channel_id(stream)]
            while frames:
                piece = rng.randint(1, len(frames))
                await world.send(*frames[:piece])
                frames = frames[piece:]
            for device in (one, two):
                kinds = [frame["type"] for frame in await drain(device)]
                assert kinds[-1] == "said", kinds
                assert kinds.count("said") == 1
                heard_before += kinds.count("typing")
            await world.say(stream, "in", control=Control(join=[bob.id]))
            # Who comes back has to ask again.
            await world.send(typing(stream, ada))
            for device in (one, two):
                assert [frame["type"] for frame in await drain(device)] == ["said"]
    assert heard_before


async def test_who_is_off_the_stream_is_not_told_though_still_listed(
    world: World, node: Node, ada: User, bob: User
) -> None:
    stream = world.channel(ada, bob)
    async with node.device(bob) as device:
        await subscribe(device, channels=[channel_id(stream)])
        connection = node.engine.of_user(bob.id)[0]
        node.engine.hub.leave(connection, stream)  # as a reset or a round takes off
        await world.send(typing(stream, ada))
        await device.hears_nothing()
        assert not subscriptions(node).interests.listeners


async def test_a_slow_reader_loses_typing_and_nothing_else(
    world: World, node: Node, ada: User, bob: User
) -> None:
    stream = world.channel(ada, bob)
    with stalled(node, bob):
        slow = await the_stalled(node, bob)
        subscriptions(node).interests.add(slow, channels=[channel_id(stream)])
        while slow.buffered_bytes < 300 * KIB:
            await world.say(stream, "x" * 4000)
        before = slow.buffered_bytes
        await world.send(typing(stream, ada))
        await wait_until(
            lambda: node.count("sharezync_ws_frames_dropped_total", reason="signal") == 1
        )
        assert slow.buffered_bytes <= before
        assert not slow.closed
    await wait_until(lambda: not subscriptions(node).interests.listeners)


async def test_a_bus_that_is_away_loses_typing_and_harms_nobody(
    world: World, node: Node, ada: User, bob: User
) -> None:
    other = world.user()
    stream = world.channel(ada, bob, other)
    async with node.device(ada) as typist, node.device(bob) as told:
        await subscribe(told, channels=[channel_id(stream)])
        world.bus.away = True
        await types(typist, stream)
        await told.hears_nothing()
        world.bus.away = False
        async with node.device(other) as device:
            await types(device, stream)
            assert (await told.frame("typing"))["data"]["user_id"] == other.id
