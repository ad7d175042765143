"""What a socket gets of its streams: everything, in order, once, and nothing beyond its rights."""

import asyncio
import random

import pytest

from services.gateway.tests.api.realtime.overhearing import typing_in
from services.gateway.tests.api.realtime.world import Node, User, World
from sharezync_gateway.realtime.socket_limits import SocketLimits
from sharezync_shared.streams.frames import Control, Frame
from sharezync_testkit.waiting import GIVE_UP_SECONDS, wait_until


async def test_everybody_on_a_stream_gets_the_same_frames(
    world: World, node: Node, ada: User, bob: User
) -> None:
    channel = world.channel(ada, bob)
    async with (
        node.device(ada, "one") as one,
        node.device(ada, "two") as two,
        node.device(bob) as bobs,
        node.device(world.user()) as stranger,
    ):
        sent = [await world.say(channel, f"message {n}") for n in range(20)]
        for device in (one, two, bobs):
            async with asyncio.timeout(GIVE_UP_SECONDS):
                received = [await device.socket.recv() for _ in sent]
            assert received == [frame.text.decode() for frame in sent]
        await stranger.hears_nothing()
    assert node.count("sharezync_ws_frames_delivered_total") == 60


async def test_frames_that_come_together_are_written_together_and_in_order(
    world: World, node: Node, ada: User
) -> None:
    first, second = world.channel(ada), world.channel(ada)
    async with node.device(ada) as device:
        mixed = [world.services.say(random.choice([first, second]), "x" * 3000) for _ in range(100)]
        await world.send(*mixed)
        got = await device.frames(100)
        for stream in (first, second):
            seqs = [frame["seq"] for frame in got if frame["stream"] == stream]
            assert seqs == list(range(1, len(seqs) + 1))


async def test_frames_in_any_order_arrive_in_order_and_once(
    world: World, node: Node, ada: User
) -> None:
    channel = world.channel(ada)
    async with node.device(ada) as device:
        frames = [world.services.say(channel, str(n)) for n in range(60)]
        shuffled = [*frames, *random.sample(frames, 20)]
        random.shuffle(shuffled)
        for frame in shuffled:
            await world.send(frame)
        assert await device.seqs(60) == list(range(1, 61))
        await device.hears_nothing()


async def test_a_lost_frame_is_fetched_from_the_owner(world: World, node: Node, ada: User) -> None:
    channel = world.channel(ada)
    async with node.device(ada) as device:
        await world.say(channel)
        world.services.say(channel, "lost")
        world.services.say(channel, "lost too")
        await world.say(channel)
        assert await device.seqs(4) == [1, 2, 3, 4]
        assert ("replay", channel, ("e1", 1)) in world.services.asked


async def test_a_hole_is_fetched_although_the_owner_is_away_for_a_while(
    world: World, node: Node, ada: User
) -> None:
    channel = world.channel(ada)
    async with node.device(ada) as device:
        world.services.say(channel, "lost")
        world.services.away.add("chat")
        await world.say(channel)
        await wait_until(lambda: any(call[0] == "replay" for call in world.services.asked))
        await device.hears_nothing()
        world.services.away.clear()
        assert await device.seqs(2) == [1, 2]


async def test_what_was_said_while_the_bus_was_away_arrives_afterwards(
    world: World, node: Node, ada: User, bob: User
) -> None:
    channel, joined, left = world.channel(ada), world.channel(bob), world.channel(ada)
    say = world.services.say
    async with node.device(ada) as device:
        say(channel, "lost, and nothing after it")
        say(joined, "before ada")
        say(joined, "ada joins", control=Control(join=[ada.id]))
        say(left, "ada leaves", control=Control(leave=[ada.id]))
        say(left, "after ada")
        await world.bus.come_back()
        got = await device.frames(3)
        by_stream = {frame["stream"]: frame for frame in got}
        assert by_stream[channel]["seq"] == 1
        assert by_stream[left]["seq"] == 1
        assert by_stream[joined] == {"type": "reset", "stream": joined, "epoch": "e1", "seq": 2}
        await world.say(left, "never for ada")
        await world.say(joined)
        assert (await device.frame())["seq"] == 3


async def test_what_a_service_could_not_say_after_a_gap_it_says_when_it_is_back(
    world: World, node: Node, ada: User
) -> None:
    channel = world.channel(ada)
    async with node.device(ada) as device:
        world.services.say(channel, "lost")
        world.services.away.add("chat")
        await world.bus.come_back()
        await device.hears_nothing()
        world.services.away.clear()
        assert await device.seqs(1) == [1]


async def test_a_lost_last_frame_is_noticed_after_a_while_without_any_gap(
    world: World, ada: User
) -> None:
    limits = SocketLimits(recheck_seconds=0.05)
    channel = world.channel(ada)
    async with world.node(limits=limits) as node, node.device(ada) as device:
        world.services.say(channel, "lost, and nothing after it")
        assert await device.seqs(1) == [1]


async def test_who_joins_gets_the_frame_that_says_so_and_all_after_it(
    world: World, node: Node, ada: User, bob: User
) -> None:
    channel = world.channel(bob)
    async with node.device(ada) as device:
        await world.say(channel, "before")
        await world.say(channel, "ada joins", control=Control(join=[ada.id]))
        await world.say(channel, "after")
        assert await device.seqs(2) == [2, 3]


async def test_who_is_removed_gets_the_frame_that_says_so_and_none_after_it(
    world: World, node: Node, ada: User, bob: User
) -> None:
    channel = world.channel(ada, bob)
    async with node.device(ada) as adas, node.device(bob) as bobs:
        frames = [
            world.services.say(channel, "before"),
            world.services.say(channel, "ada leaves", control=Control(leave=[ada.id])),
            world.services.say(channel, "after"),
        ]
        random.shuffle(frames)
        await world.send(*frames)
        assert await adas.seqs(2) == [1, 2]
        await adas.hears_nothing()
        assert await bobs.seqs(3) == [1, 2, 3]


async def test_who_is_removed_and_added_again_gets_both_ends(
    world: World, node: Node, ada: User
) -> None:
    channel = world.channel(ada)
    async with node.device(ada) as device:
        say = world.services.say
        await world.send(
            say(channel, "1"),
            say(channel, "2", control=Control(leave=[ada.id])),
            say(channel, "3"),
            say(channel, "4", control=Control(join=[ada.id])),
            say(channel, "5"),
        )
        assert await device.seqs(4) == [1, 2, 4, 5]


async def test_the_end_of_a_stream_is_the_last_that_anybody_hears_of_it(
    world: World, node: Node, ada: User, bob: User
) -> None:
    channel = world.channel(ada, bob)
    async with node.device(ada) as adas, node.on_channel(bob, channel) as bobs:
        await world.say(channel, "over", control=Control(end=True))
        await world.say(channel, "a ghost")
        assert await adas.seqs(1) == [1]
        await adas.hears_nothing()
        assert await bobs.seqs(1) == [1]
        assert await bobs.closed() == 4505


async def test_a_socket_of_one_channel_ends_when_its_user_is_removed(
    world: World, node: Node, ada: User, bob: User
) -> None:
    channel = world.channel(ada, bob)
    async with node.on_channel(bob, channel) as bobs, node.on_channel(ada, channel) as adas:
        await world.say(channel, "bob leaves", control=Control(leave=[bob.id]))
        await world.say(channel, "not for bob")
        assert (await bobs.frame())["seq"] == 1
        assert await bobs.closed() == 4505
        assert await adas.seqs(2) == [1, 2]


async def test_signals_reach_who_is_there_and_count_for_nothing(
    world: World, node: Node, ada: User
) -> None:
    channel = world.channel(ada)
    signal = Frame(channel, "", 0, typing_in(channel))
    async with node.device(ada) as device:
        await world.say(channel)
        await world.send(signal, world.services.say(channel), signal)
        kinds = [frame["type"] for frame in await device.frames(4)]
        assert kinds == ["said", "typing", "said", "typing"]
        await world.say(channel)
        assert (await device.frame())["seq"] == 3


async def test_events_that_were_said_while_a_socket_starts_are_not_missed(
    world: World, node: Node, ada: User
) -> None:
    channel = world.channel(ada)
    world.services.say(channel, "before")
    gate = world.services.gate["heads"] = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        device = node.device(ada)
        opening = group.create_task(device.__aenter__())
        await wait_until(lambda: ("heads", ada.id) in world.services.asked)
        await world.say(channel, "while the heads are on their way")
        gate.set()
        await opening
    # The heads that were read say 1; nobody tracked the channel when 2 passed.
    assert device.head(channel) == ("e1", 1)
    assert await device.seqs(1) == [2]
    await device.socket.close()


async def test_leaving_while_a_socket_starts_counts(
    world: World, node: Node, ada: User, bob: User
) -> None:
    channel = world.channel(ada, bob)
    async with node.device(bob) as bobs:
        gate = world.services.gate["heads"] = asyncio.Event()
        async with asyncio.TaskGroup() as group:
            device = node.device(ada)
            opening = group.create_task(device.__aenter__())
            await wait_until(lambda: ("heads", ada.id) in world.services.asked)
            await world.say(channel, "ada leaves", control=Control(leave=[ada.id]))
            await world.say(channel, "not for ada")
            gate.set()
            await opening
        assert channel not in device.ready["heads"]
        await device.hears_nothing()
        assert await bobs.seqs(2) == [1, 2]
        await device.socket.close()


async def test_joining_while_a_socket_starts_counts(
    world: World, node: Node, ada: User, bob: User
) -> None:
    channel = world.channel(bob)
    gate = world.services.gate["heads"] = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        device = node.device(ada)
        opening = group.create_task(device.__aenter__())
        await wait_until(lambda: ("heads", ada.id) in world.services.asked)
        await world.say(channel, "not for ada")
        await world.say(channel, "ada joins", control=Control(join=[ada.id]))
        gate.set()
        await opening
    assert device.head(channel) == ("e1", 1)
    assert await device.seqs(1) == [2]
    await device.socket.close()


async def test_a_new_epoch_resets_the_stream_and_goes_on(
    world: World, node: Node, ada: User, bob: User
) -> None:
    channel = world.channel(ada, bob)
    await world.bus.start()
    async with node.device(ada) as adas, node.device(bob) as bobs:
        await world.say(channel)
        assert await adas.seqs(1) == await bobs.seqs(1) == [1]
        world.services.epoch = "e2"
        world.services.members[channel].discard(bob.id)  # nobody will ever hear of this frame
        await world.say(channel)
        assert await adas.frame() == {"type": "reset", "stream": channel, "epoch": "e2", "seq": 2}
        await world.say(channel)
        assert (await adas.frame())["seq"] == 3
        await bobs.hears_nothing()


async def test_quiet_streams_hear_of_a_new_epoch_from_their_service(
    world: World, node: Node, ada: User
) -> None:
    """After a failover there may be no event for long, and what was lost is shown until then."""
    channel = world.channel(ada)
    world.services.say(channel)
    async with node.device(ada) as device:
        # As after each start of a service.
        await world.send(Frame("epoch:chat", "e1", 0, b"", Control(epoch_of="chat")))
        await device.hears_nothing_yet()
        world.services.epoch = "e2"
        await world.send(Frame("epoch:chat", "e2", 0, b"", Control(epoch_of="chat")))
        while (reset := await device.frame("reset"))["stream"] != channel:
            pass  # of another stream: the stand-in has one epoch for all services
        assert reset == {"type": "reset", "stream": channel, "epoch": "e2", "seq": 1}


async def test_a_frame_of_an_old_epoch_changes_nothing(world: World, node: Node, ada: User) -> None:
    channel = world.channel(ada)
    async with node.device(ada) as device:
        await world.say(channel)
        await world.send(Frame(channel, "e0", 7, b'{"type":"said"}'))
        await world.say(channel)
        assert await device.seqs(2) == [1, 2]
        await device.hears_nothing()


@pytest.mark.parametrize("lost", [501, 800])
async def test_a_node_that_is_too_far_behind_has_its_clients_refetch(
    world: World, node: Node, ada: User, lost: int
) -> None:
    channel = world.channel(ada)
    async with node.device(ada) as device:
        for _ in range(lost):
            world.services.say(channel)
        await world.say(channel)
        assert await device.frame() == {
            "type": "reset",
            "stream": channel,
            "epoch": "e1",
            "seq": lost + 1,
        }
        await world.say(channel)
        assert (await device.frame())["seq"] == lost + 2
