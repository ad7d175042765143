"""While the broker brings nothing, the owners of streams are asked what is new."""

import asyncio
from collections.abc import AsyncGenerator

import pytest

from services.gateway.tests.api.realtime.world import Node, User, World
from sharezync_gateway.realtime.service_calls import Revoked
from sharezync_shared.streams.frames import Control
from sharezync_testkit.waiting import wait_until

POLLS = "sharezync_gateway_fallback_polls_total"
OK = {"owner": "chat", "result": "ok"}


@pytest.fixture
async def cut_off(world: World) -> AsyncGenerator[Node]:
    """A node of which the broker was there, and is away now."""
    world.bus.lossy = True
    async with world.node() as node:
        await wait_until(lambda: node.engine.ready and node.engine.delivering)
        world.bus.away = True
        yield node


async def test_events_arrive_in_order_and_once(world: World, cut_off: Node, ada: User) -> None:
    channel = world.channel(ada)
    async with cut_off.device(ada) as device:
        said = [world.services.say(channel) for _ in range(3)]
        assert await device.seqs(3) == [1, 2, 3]
        world.services.say(channel)
        assert await device.seqs(1) == [4]
        world.bus.away = False
        await world.send(*said)  # what the outbox kept comes after all
        await world.bus.come_back()
        await world.say(channel)
        assert await device.seqs(1) == [5]
        await device.hears_nothing()


async def test_all_streams_of_an_owner_are_in_one_question(
    world: World, cut_off: Node, ada: User
) -> None:
    channels = {world.channel(ada) for _ in range(20)}
    async with cut_off.device(ada) as device:
        world.services.asked.clear()
        for channel in channels:
            world.services.say(channel)
        assert {frame["stream"] for frame in await device.frames(20)} == channels
        asked = [call for call in world.services.asked if call[:2] == ("changes", "chat")]
        assert set(asked[-1][2]) == channels | {f"inbox:{ada.id}"}
        assert world.services.calls("replay") == []
        assert len(asked) <= 3


async def test_what_has_no_room_in_an_answer_is_fetched_from_the_log(
    world: World, cut_off: Node, ada: User
) -> None:
    channel = world.channel(ada)
    world.services.changes_limit = 5
    async with cut_off.device(ada) as device:
        for _ in range(30):
            world.services.say(channel)
        assert await device.seqs(30) == list(range(1, 31))


async def test_a_stream_with_another_epoch_is_reset(world: World, cut_off: Node, ada: User) -> None:
    channel = world.channel(ada)
    async with cut_off.device(ada) as device:
        world.services.epoch = "e2"
        resets = {frame["stream"]: frame for frame in await device.frames(4)}
        assert resets[channel] == {"type": "reset", "stream": channel, "epoch": "e2", "seq": 0}


async def test_who_is_let_in_to_a_stream_hears_it_from_there_on(
    world: World, cut_off: Node, ada: User, bob: User
) -> None:
    channel = world.channel(bob)
    async with cut_off.device(ada) as device:
        for _ in range(3):
            world.services.say(channel)
        joined = world.services.say(channel, "ada", control=Control(join=[ada.id]))
        added = Control(added={channel: (joined.epoch, joined.seq)})
        world.services.say(f"inbox:{ada.id}", control=added)
        world.services.say(channel, "hello")
        told = [(frame["stream"], frame["seq"]) for frame in await device.frames(3)]
        assert sorted(told) == sorted([(f"inbox:{ada.id}", 1), (channel, 4), (channel, 5)])


async def test_who_is_let_out_hears_nothing_after_it(
    world: World, cut_off: Node, ada: User, bob: User
) -> None:
    channel = world.channel(ada, bob)
    async with cut_off.device(ada) as device:
        world.services.say(channel, "bye", control=Control(leave=[ada.id]))
        world.services.say(channel, "secret")
        assert await device.seqs(1) == [1]
        before = cut_off.count(POLLS, **OK)
        await wait_until(lambda: cut_off.count(POLLS, **OK) >= before + 2)
        await device.hears_nothing()


async def test_an_owner_that_cannot_reach_the_broker_is_asked_though_it_reaches_us(
    world: World, ada: User
) -> None:
    world.bus.lossy = True
    world.services.without_broker.add("chat")
    async with world.node() as node:
        channel = world.channel(ada)
        async with node.device(ada) as device:
            world.services.say(channel)
            assert await device.seqs(1) == [1]
            assert not node.engine.delivering
            world.services.without_broker.clear()
            await wait_until(lambda: node.engine.delivering)


async def test_without_need_an_owner_is_asked_for_nothing(world: World, ada: User) -> None:
    world.bus.lossy = True
    async with world.node() as node:
        world.channel(ada)
        async with node.device(ada):
            await wait_until(lambda: node.count(POLLS, **OK) >= 2)
            await wait_until(lambda: node.engine.ready)
            about = [call[2] for call in world.services.asked if call[0] == "changes"]
            assert len([streams for streams in about if streams]) <= 2  # when the bus began


async def test_a_node_that_starts_without_the_broker_becomes_ready_and_delivers(
    world: World, ada: User
) -> None:
    world.bus.lossy = True
    world.bus.away = True
    world.bus.deaf = True
    channel = world.channel(ada)
    async with world.node() as node:
        await wait_until(lambda: node.engine.ready)
        async with node.device(ada) as device:
            world.services.say(channel)
            assert await device.seqs(1) == [1]


async def test_a_revoked_session_ends_without_the_broker(
    world: World, cut_off: Node, ada: User
) -> None:
    async with cut_off.device(ada) as device:
        world.services.revoked = Revoked(sessions=[ada.session])
        async with asyncio.timeout(2):
            assert await device.closed() == 4503


async def test_an_owner_that_is_away_too_is_asked_again(
    world: World, cut_off: Node, ada: User
) -> None:
    channel = world.channel(ada)
    async with cut_off.device(ada) as device:
        world.services.away.add("chat")
        failed = {"owner": "chat", "result": "failed"}
        await wait_until(lambda: cut_off.count(POLLS, **failed) >= 1)
        world.services.say(channel)
        world.services.away.clear()
        assert await device.seqs(1) == [1]
