"""Presence: who comes and goes, told to those who asked and may know, whatever is lost."""

import asyncio
from typing import Any

from services.gateway.tests.api.realtime.registry import device_named
from services.gateway.tests.api.realtime.test_pressure import KIB, stalled, the_stalled
from services.gateway.tests.api.realtime.test_subscribing import subscribe, subscriptions
from services.gateway.tests.api.realtime.world import Device, Node, User, World
from sharezync_gateway.realtime.socket_limits import SocketLimits
from sharezync_shared.streams.frames import Frame
from sharezync_testkit.waiting import wait_until

BY_SIGNAL = SocketLimits(gather_seconds=0.05, presence_poll_seconds=3600)
"""Nothing is made good by asking: what is heard was said."""
BY_ASKING = SocketLimits(gather_seconds=0.05, presence_poll_seconds=0.1)
LAST = "2026-11-21T17:00:00.000000Z"


async def presence(device: Device) -> dict[str, tuple[bool, str | None]]:
    """Return what the next frame, a signal, says of users."""
    frame = await device.frame("presence")
    assert frame.keys() == {"type", "at", "data"}
    assert frame["data"].keys() == {"users"}
    users: list[dict[str, Any]] = frame["data"]["users"]
    told = {each["user_id"]: (each["online"], each["last_seen_at"]) for each in users}
    assert len(told) == len(users)
    return told


def said(user: User, *, online: bool) -> Frame:
    return Frame(f"presence:{user.id}", "", 0, b'{"online":%s}' % str(online).lower().encode())


async def test_who_comes_to_another_node_and_goes_is_told_to_who_asked(
    world: World, ada: User, bob: User
) -> None:
    world.channel(ada, bob)
    world.services.last_seen[bob.id] = LAST
    async with (
        world.node(limits=BY_SIGNAL) as here,
        world.node(limits=BY_SIGNAL) as there,
        here.device(ada) as watching,
        here.device(ada) as other,
    ):
        await subscribe(watching, users=[bob.id])
        asked = len(world.services.calls("presence"))
        async with there.device(bob, "phone"):
            assert await presence(watching) == {bob.id: (True, None)}
            assert len(world.services.calls("presence")) == asked  # who comes is believed
        assert await presence(watching) == {bob.id: (False, LAST)}
        assert len(world.services.calls("presence")) == asked + 1
        await other.hears_nothing()
        await subscribe(watching, "unsubscribe", users=[bob.id])
        async with there.device(bob, "phone"):
            await asyncio.sleep(0.15)
            await watching.hears_nothing()


async def test_who_is_still_on_another_node_or_device_has_not_gone(
    world: World, ada: User, bob: User
) -> None:
    world.channel(ada, bob)
    async with (
        world.node(limits=BY_SIGNAL) as here,
        world.node(limits=BY_SIGNAL) as there,
        here.device(ada) as watching,
    ):
        async with here.device(bob, "phone"):
            await subscribe(watching, users=[bob.id])
            world.bus.signals.clear()
            async with there.device(bob, "laptop"):
                async with there.device(bob, "tablet"):
                    pass
                await wait_until(lambda: not world.services.online[bob.id, "tablet"])
            asked = world.services.calls
            await wait_until(lambda: len(asked("presence")) == 2)
            await asyncio.sleep(0.1)
            await watching.hears_nothing()
            signals = [(frame.stream, frame.text) for frame in world.bus.signals]
            # The node said it once of the user, not of each device.
            assert signals == [
                (f"presence:{bob.id}", b'{"online":true}'),
                (f"presence:{bob.id}", b'{"online":false}'),
            ]
        assert await presence(watching) == {bob.id: (False, None)}


async def test_without_watchers_a_user_costs_two_small_signals_and_no_question(
    world: World, node: Node, ada: User, bob: User
) -> None:
    world.channel(ada, bob)
    async with node.device(ada, "phone"), node.device(ada, "laptop"):
        pass
    await wait_until(lambda: len(world.bus.signals) == 2)
    assert all(len(frame.text) < 20 for frame in world.bus.signals)
    assert not world.services.calls("presence", "acquaintances")
    assert not subscriptions(node).interests.watched


async def test_what_changes_within_a_moment_comes_in_one_frame(world: World, ada: User) -> None:
    friends = [world.user() for _ in range(5)]
    world.channel(ada, *friends)
    limits = SocketLimits(gather_seconds=0.2, presence_poll_seconds=3600)
    async with world.node(limits=limits) as node, node.device(ada) as device:
        await subscribe(device, users=[friend.id for friend in friends])
        for friend in friends:
            await world.send(said(friend, online=True))
        assert await presence(device) == {friend.id: (True, None) for friend in friends}
        world.services.asked.clear()
        await world.send(*(said(friend, online=False) for friend in friends))
        assert (await presence(device)).keys() == {friend.id for friend in friends}
        assert len(world.services.calls("presence")) == 1
        await device.hears_nothing()


async def test_who_comes_and_goes_again_within_a_moment_is_no_news(
    world: World, ada: User, bob: User
) -> None:
    dan = world.user()
    world.channel(ada, bob, dan)
    async with world.node(limits=BY_SIGNAL) as node, node.device(ada) as device:
        await subscribe(device, users=[bob.id, dan.id])
        await world.send(said(bob, online=True))
        node_parts = subscriptions(node)
        await node_parts._presence.ask([bob.id])  # auth knows of no device
        await world.send(said(dan, online=True))
        assert await presence(device) == {dan.id: (True, None)}


async def test_signals_that_were_lost_are_made_good(world: World, ada: User, bob: User) -> None:
    world.channel(ada, bob)
    world.bus.loses.add("presence")
    async with world.node(limits=BY_ASKING) as node, node.device(ada) as watching:
        await subscribe(watching, users=[bob.id])
        async with node.device(bob, "phone"):
            assert await presence(watching) == {bob.id: (True, None)}
        assert await presence(watching) == {bob.id: (False, None)}
    assert node.count("sharezync_gateway_presence_requests_total", result="ok") > 2


async def test_users_of_a_node_that_died_go_offline(world: World, ada: User, bob: User) -> None:
    world.channel(ada, bob)
    async with (
        world.node() as dying,
        dying.device(bob, "phone"),
        world.node(limits=BY_ASKING) as node,
        node.device(ada, "laptop") as watching,
    ):
        told = await subscribe(watching, users=[bob.id])
        assert told["presence"][0]["online"] is True
        for devices in world.services.nodes.values():  # its lease is over
            devices.discard(device_named("phone"))
        assert await presence(watching) == {bob.id: (False, None)}


async def test_all_who_are_watched_are_asked_about_in_batches(world: World, ada: User) -> None:
    friends = [world.user() for _ in range(450)]
    world.channel(ada, *friends)
    async with (
        world.node(limits=BY_ASKING) as node,
        node.device(ada, "a") as one,
        node.device(ada, "b") as two,
        node.device(ada, "c") as three,
    ):
        for device, part in ((one, friends[:200]), (two, friends[200:400]), (three, friends[400:])):
            await subscribe(device, users=[friend.id for friend in part])
        asked: list[list[str]] = []

        def all_asked_twice() -> bool:
            asked[:] = [call[1] for call in world.services.asked if call[0] == "presence"]
            ids = [user_id for batch in asked for user_id in batch]
            return min(ids.count(friend.id) for friend in friends) >= 2

        world.services.asked.clear()
        await wait_until(all_asked_twice)
        assert {len(batch) for batch in asked} == {200}
        # Each as often as the others: nobody waits for good.
        ids = [user_id for batch in asked for user_id in batch]
        counts = {ids.count(friend.id) for friend in friends}
        assert max(counts) - min(counts) <= 1


async def test_with_auth_away_what_was_told_stands_and_is_put_right_later(
    world: World, ada: User, bob: User
) -> None:
    world.channel(ada, bob)
    asks = "sharezync_gateway_presence_requests_total"
    async with (
        world.node(limits=BY_ASKING) as node,
        node.device(ada) as watching,
        node.device(bob, "phone"),
    ):
        await subscribe(watching, users=[bob.id])
        world.services.lost.add("presence")
        world.services.forget_nodes()
        await wait_until(lambda: node.count(asks, result="failed") > 2)
        await watching.hears_nothing()
        world.services.lost.clear()
        assert await presence(watching) == {bob.id: (False, None)}


async def test_a_slow_reader_loses_presence_and_nothing_else_and_hears_of_it_later(
    world: World, ada: User, bob: User
) -> None:
    stream = world.channel(ada, bob)
    async with world.node(limits=BY_SIGNAL) as node:
        with stalled(node, ada):
            slow = await the_stalled(node, ada)
            parts = subscriptions(node)
            parts.interests.add(slow, users=[bob.id])
            parts.interests.for_connection(slow).users[bob.id] = False
            while slow.buffered_bytes < 300 * KIB:
                await world.say(stream, "x" * 4000)
            before = slow.buffered_bytes
            await world.send(said(bob, online=True))
            await wait_until(
                lambda: node.count("sharezync_ws_frames_dropped_total", reason="signal") == 1
            )
            assert not slow.closed
            assert slow.buffered_bytes <= before
            # It was not told, and is known not to have been: a round tells it again.
            assert parts.interests.for_connection(slow).users[bob.id] is False
            await parts._presence.ask([bob.id])
            assert parts.interests.for_connection(slow).untold == set()
            async with node.device(bob, "phone"):
                await parts._presence.ask([bob.id])
                assert parts.interests.for_connection(slow).untold == {bob.id}
