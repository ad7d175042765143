"""A node that stops in good order takes its users' presence with it, at once."""

import asyncio

import pytest

from services.gateway.tests.api.realtime.test_presence import BY_SIGNAL, presence
from services.gateway.tests.api.realtime.test_subscribing import subscribe
from services.gateway.tests.api.realtime.world import User, World
from sharezync_gateway.realtime import devices


async def test_who_was_on_a_node_that_stops_is_offline_elsewhere_at_once(
    world: World, ada: User, bob: User
) -> None:
    world.channel(ada, bob)
    async with (
        world.node(limits=BY_SIGNAL) as staying,
        world.node(limits=BY_SIGNAL) as leaving,
        staying.device(ada) as watching,
        leaving.device(bob, "phone") as phone,
    ):
        told = await subscribe(watching, users=[bob.id])
        assert told["presence"][0]["online"] is True
        await leaving.engine.aclose()
        assert await presence(watching) == {bob.id: (False, None)}
        assert await phone.closed() == 4001


async def test_who_moved_on_to_another_node_stays_online(
    world: World, ada: User, bob: User
) -> None:
    world.channel(ada, bob)
    dan = world.user()
    world.channel(ada, dan)
    async with (
        world.node(limits=BY_SIGNAL) as staying,
        world.node(limits=BY_SIGNAL) as leaving,
        staying.device(ada) as watching,
        leaving.device(bob, "phone"),
        leaving.device(dan, "tablet"),
        staying.device(bob, "laptop"),
    ):
        await subscribe(watching, users=[bob.id, dan.id])
        await leaving.engine.aclose()
        assert await presence(watching) == {dan.id: (False, None)}
        await watching.hears_nothing()


async def test_a_drain_says_of_each_user_that_they_go_and_the_stop_adds_nothing(
    world: World, ada: User, bob: User
) -> None:
    world.channel(ada, bob)
    async with (
        world.node(limits=BY_SIGNAL) as staying,
        world.node(limits=BY_SIGNAL) as leaving,
        staying.device(ada) as watching,
        leaving.device(bob, "phone") as phone,
    ):
        await subscribe(watching, users=[bob.id])
        async with asyncio.TaskGroup() as group:
            group.create_task(leaving.engine.drain(2))
            await phone.frame("bye")
            assert await phone.closed() == 4001
        assert await presence(watching) == {bob.id: (False, None)}
        await leaving.engine.aclose()
        goings = [f for f in world.bus.signals if f.text == b'{"online":false}']
        assert [frame.stream for frame in goings] == [f"presence:{bob.id}"]


async def test_nobody_is_said_to_be_gone_while_auth_holds_them_to_be_there(
    world: World, ada: User, bob: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(devices, "_LAST_UPDATES_SECONDS", 0.05)
    async with world.node(limits=BY_SIGNAL) as leaving, leaving.device(bob, "phone"):
        world.services.lost.add("update_node")
        world.bus.signals.clear()
        await leaving.engine.aclose()
        assert world.bus.signals == []
