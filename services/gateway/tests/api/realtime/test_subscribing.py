"""`subscribe` and `unsubscribe`: who may want to know what, how much of it, and until when."""

import json
from typing import Any

import pytest

from services.gateway.tests.api.realtime.world import Device, Node, User, World
from sharezync_gateway.realtime.socket_limits import SocketLimits
from sharezync_gateway.realtime.subscribing import Subscriptions
from sharezync_shared.ids import uuid7
from sharezync_testkit.waiting import wait_until


def channel_id(stream: str) -> str:
    return stream.removeprefix("channel:")


def subscriptions(node: Node) -> Subscriptions:
    return node.engine._subscriptions


async def subscribe(device: Device, type_: str = "subscribe", **ids: list[str]) -> dict[str, Any]:
    """Subscribe, and return what the reply says."""
    frame_id = await device.say(type_, **ids)
    reply = await device.frame("reply")
    assert reply["id"] == frame_id
    data: dict[str, Any] = reply["data"]
    return data


async def refusal(device: Device, type_: str = "subscribe", **fields: Any) -> dict[str, Any]:
    frame_id = await device.say(type_, **fields)
    error = await device.frame("error")
    assert error["id"] == frame_id
    return error


async def test_acquaintances_are_told_of_and_strangers_are_as_if_they_were_not(
    world: World, node: Node, ada: User, bob: User
) -> None:
    dan, eve, nobody = world.user(), world.user(), str(uuid7())
    world.channel(ada, bob, dan)
    world.services.last_seen = {dan.id: "2026-11-21T17:00:00.000000Z", eve.id: "x"}
    async with node.device(ada) as device, node.device(bob, "phone"), node.device(eve, "tablet"):
        users = [bob.id, eve.id, dan.id, nobody, ada.id, bob.id]
        told = await subscribe(device, users=users)
        assert sorted(told["subscribed"]["users"]) == sorted([bob.id, dan.id, ada.id])
        assert told["refused"] == {"users": [eve.id, nobody], "channels": []}
        seen_at = "2026-11-21T17:00:00.000000Z"
        assert told["presence"] == [
            {"user_id": bob.id, "online": True, "last_seen_at": None},
            {"user_id": dan.id, "online": False, "last_seen_at": seen_at},
            {"user_id": ada.id, "online": True, "last_seen_at": None},
        ]
        assert len(world.services.calls("acquaintances")) == 1
        assert len(world.services.calls("presence")) == 1


async def test_only_channels_that_one_is_on_can_be_subscribed_to(
    world: World, node: Node, ada: User, bob: User
) -> None:
    own, others, none = world.channel(ada, bob), world.channel(bob), str(uuid7())
    async with node.device(ada) as device:
        told = await subscribe(device, channels=[channel_id(own), channel_id(others), none])
        assert told["subscribed"] == {"users": [], "channels": [channel_id(own)]}
        assert told["refused"] == {"users": [], "channels": [channel_id(others), none]}
        assert told["presence"] == []
        assert not world.services.calls("acquaintances", "presence")
    async with node.on_channel(bob, others) as narrowed:
        told = await subscribe(narrowed, channels=[channel_id(own), channel_id(others)])
        assert told["subscribed"]["channels"] == [channel_id(others)]


async def test_replies_tell_all_that_a_connection_is_subscribed_to(
    world: World, node: Node, ada: User, bob: User
) -> None:
    stream = world.channel(ada, bob)
    channel = channel_id(stream)
    async with node.device(ada) as device, node.device(ada) as other:
        await subscribe(device, users=[bob.id])
        told = await subscribe(device, channels=[channel])
        assert told["subscribed"] == {"users": [bob.id], "channels": [channel]}
        assert told["presence"] == []  # of what this frame named
        told = await subscribe(device, "unsubscribe", users=[bob.id, str(uuid7())])
        assert told == {"subscribed": {"users": [], "channels": [channel]}}
        assert (await subscribe(device))["subscribed"] == {"users": [], "channels": [channel]}
        assert (await subscribe(other))["subscribed"] == {"users": [], "channels": []}


async def test_beyond_200_ids_nothing_is_changed(
    world: World, node: Node, ada: User, bob: User
) -> None:
    friends = [world.user() for _ in range(198)]
    channel = channel_id(world.channel(ada, bob, *friends))
    ids = [friend.id for friend in friends]
    async with node.device(ada) as device:
        told = await subscribe(device, users=ids, channels=[channel])
        assert len(told["subscribed"]["users"]) == 198
        error = await refusal(device, users=[bob.id, ada.id])
        assert (error["code"], error["retryable"]) == ("too-many-subscriptions", False)
        error = await refusal(device, users=[str(uuid7())], channels=[str(uuid7())])
        assert error["code"] == "too-many-subscriptions"
        again = await subscribe(device, users=ids)  # says nothing new
        assert again["subscribed"] == told["subscribed"]
        assert len((await subscribe(device, users=[bob.id]))["subscribed"]["users"]) == 199
        await refusal(device, users=[ada.id])
        await subscribe(device, "unsubscribe", channels=[channel])
        assert len((await subscribe(device, users=[ada.id]))["subscribed"]["users"]) == 200


@pytest.mark.parametrize(("away", "asked"), [("chat", 0), ("auth", 1)])
async def test_with_a_service_away_it_is_to_be_tried_again_and_nothing_changed(
    world: World, node: Node, ada: User, bob: User, away: str, asked: int
) -> None:
    dan = world.user()
    channel = channel_id(world.channel(ada, bob, dan))
    async with node.device(ada) as device:
        await subscribe(device, users=[bob.id])
        world.services.asked.clear()
        world.services.away.add(away)
        error = await refusal(device, users=[bob.id, dan.id], channels=[channel])
        assert (error["code"], error["retryable"]) == ("unavailable", True)
        assert len(world.services.calls("presence")) == asked
        told = await subscribe(device)
        assert told["subscribed"] == {"users": [bob.id], "channels": []}
        assert subscriptions(node).interests.watched.keys() == {bob.id}
        world.services.away.clear()
        told = await subscribe(device, users=[bob.id, dan.id])
        assert set(told["subscribed"]["users"]) == {bob.id, dan.id}


async def test_interest_ends_with_the_connection(
    world: World, node: Node, ada: User, bob: User
) -> None:
    channel = channel_id(world.channel(ada, bob))
    interests = subscriptions(node).interests
    async with node.device(bob) as kept:
        await subscribe(kept, users=[ada.id], channels=[channel])
        async with node.device(ada) as device:
            await subscribe(device, users=[bob.id, ada.id], channels=[channel])
            assert interests.watched.keys() == {ada.id, bob.id}
        await wait_until(lambda: interests.watched.keys() == {ada.id})
        assert len(interests.listeners[channel]) == 1
        async with node.device(ada) as back:
            assert (await subscribe(back))["subscribed"] == {"users": [], "channels": []}
    await wait_until(lambda: not interests.watched)
    assert not interests.listeners
    assert not interests._of


async def test_two_thousand_subscriptions_that_ended_leave_nothing(
    world: World, ada: User, bob: User
) -> None:
    limits = SocketLimits(commands_per_second=1e6, commands_burst=1e6)
    friends = [world.user() for _ in range(100)]
    channel = channel_id(world.channel(ada, bob, *friends))
    async with world.node(limits=limits) as node, node.device(ada) as device:
        await subscribe(device, users=[bob.id])
        connection = node.engine.of_user(ada.id)[0]
        callbacks = len(connection._on_close)
        for start in range(0, 2000, 500):
            for number in range(start, start + 500):
                friend = friends[number // 2 % 100].id
                fields = {"users": [friend, str(uuid7())], "channels": [channel]}
                type_ = "unsubscribe" if number % 2 else "subscribe"
                await device.socket.send(json.dumps({"type": type_, **fields}))
                assert (await device.frame("reply"))["data"]["subscribed"]
        parts = subscriptions(node)
        assert parts.interests.watched.keys() == {bob.id}
        assert not parts.interests.listeners
        interest = parts.interests.for_connection(connection)
        assert interest.users == {bob.id: False}
        assert not interest.channels | interest.untold
        assert len(parts.interests._of) == 1
        assert len(connection._on_close) == callbacks
        assert not len(parts._presence._doubted) + len(parts._presence._untold)
        assert not len(parts._visibility._checks)


@pytest.mark.parametrize(
    ("type_", "fields"),
    [
        ("subscribe", {"users": ["x"]}),
        ("subscribe", {"users": "x"}),
        ("subscribe", {"channels": [1]}),
        ("subscribe", {"channels": {}}),
        ("unsubscribe", {"users": [None]}),
        ("typing", {}),
        ("typing", {"channel_id": "x"}),
    ],
)
async def test_bad_ids_are_refused(
    node: Node, ada: User, type_: str, fields: dict[str, Any]
) -> None:
    async with node.device(ada) as device:
        assert (await refusal(device, type_, **fields))["code"] == "invalid"
        await device.hears_nothing()


async def test_what_is_switched_off_is_refused_and_nothing_is_said_of_it(
    world: World, ada: User, bob: User
) -> None:
    stream = world.channel(ada, bob)
    channel = channel_id(stream)
    limits = SocketLimits(presence=False, typing=False)
    async with world.node(limits=limits) as node:
        async with node.device(ada) as device, node.device(bob):
            assert (await refusal(device, users=[bob.id]))["code"] == "presence-off"
            assert (await refusal(device, channels=[channel]))["code"] == "typing-off"
            assert (await refusal(device, "typing", channel_id=channel))["code"] == "typing-off"
            assert (await subscribe(device))["subscribed"] == {"users": [], "channels": []}
        await wait_until(lambda: not any(world.services.online.values()))
    assert world.bus.signals == []
    assert not world.services.calls("presence", "acquaintances")


async def test_each_can_be_switched_off_alone(world: World, ada: User, bob: User) -> None:
    channel = channel_id(world.channel(ada, bob))
    async with world.node(limits=SocketLimits(presence=False)) as node, node.device(ada) as device:
        assert (await refusal(device, users=[bob.id], channels=[channel]))["code"] == "presence-off"
        assert (await subscribe(device, channels=[channel]))["subscribed"]["channels"] == [channel]
        await device.say("typing", channel_id=channel)
        await device.frame("reply")
    async with world.node(limits=SocketLimits(typing=False)) as node, node.device(ada) as device:
        assert (await refusal(device, users=[bob.id], channels=[channel]))["code"] == "typing-off"
        assert (await subscribe(device, users=[bob.id]))["subscribed"]["users"] == [bob.id]
