"""What a block, or consent that was taken back, does to subscriptions that stand."""

import asyncio
from dataclasses import replace

from services.gateway.tests.api.realtime.test_presence import BY_SIGNAL, LAST, presence, said
from services.gateway.tests.api.realtime.test_sharing import watched
from services.gateway.tests.api.realtime.test_subscribing import subscribe
from services.gateway.tests.api.realtime.world import User, World
from sharezync_shared.streams.frames import Control
from sharezync_testkit.waiting import wait_until


async def block(world: World, one: User, other: User) -> None:
    """Have auth tell of a block on the stream of who made it."""
    world.services.blocks.add((one.id, other.id))
    control = Control(recheck=[one.id, other.id])
    await world.say(f"account:{one.id}", control=control)


async def unblock(world: World, one: User, other: User) -> None:
    world.services.blocks.discard((one.id, other.id))
    await world.say(f"account:{one.id}", control=Control(recheck=[one.id, other.id]))


async def test_who_agreed_to_nothing_is_not_seen_by_who_is(
    world: World, ada: User, bob: User
) -> None:
    world.channel(ada, bob)
    world.services.shy.add((bob.id, ada.id))  # ada added bob, who said nothing yet
    async with (
        world.node(limits=BY_SIGNAL) as node,
        node.device(ada) as adas,
        node.device(bob) as bobs,
    ):
        refused = await subscribe(adas, users=[bob.id])
        seen = await subscribe(bobs, users=[ada.id])
        assert (refused["refused"]["users"], seen["refused"]["users"]) == ([bob.id], [])
        assert watched(node) == {ada.id}


async def test_who_is_blocked_sees_somebody_go_and_who_blocks_sees_nobody_more(
    world: World, ada: User, bob: User
) -> None:
    world.channel(ada, bob)
    async with (
        world.node(limits=BY_SIGNAL) as node,
        node.device(ada) as adas,
        node.device(bob) as bobs,
    ):
        for device, other in ((adas, bob), (bobs, ada)):
            shown = await subscribe(device, users=[other.id])
            assert [each["online"] for each in shown["presence"]] == [True]
        await block(world, ada, bob)
        await adas.frame("said")  # the event of one's own block
        assert await presence(bobs) == {ada.id: (False, None)}
        await wait_until(lambda: watched(node) == {ada.id})
        for online in (False, True):
            await world.send(said(ada, online=online), said(bob, online=online))
            await asyncio.sleep(0.1)
        await adas.hears_nothing()
        await bobs.hears_nothing()
        await unblock(world, ada, bob)
        await adas.frame("said")
        assert await presence(bobs) == {ada.id: (True, None)}


async def test_who_is_blocked_is_answered_as_about_who_has_no_device(
    world: World, ada: User, bob: User
) -> None:
    """Those who share a channel would know by a refusal that there is a block."""
    silent = world.user()
    world.channel(ada, bob, silent)
    world.services.last_seen[ada.id] = LAST
    world.services.blocks.add((ada.id, bob.id))
    async with (
        world.node(limits=BY_SIGNAL) as node,
        node.device(ada) as adas,
        node.device(bob) as bobs,
    ):
        of_blocking = await subscribe(bobs, users=[ada.id])
        of_other = await subscribe(bobs, users=[silent.id])
        assert of_blocking["refused"] == of_other["refused"] == {"users": [], "channels": []}
        assert of_other["subscribed"]["users"] == [ada.id, silent.id]
        (blocking,), (other,) = of_blocking["presence"], of_other["presence"]
        assert blocking == {**other, "user_id": ada.id}
        assert other == {"user_id": silent.id, "online": False, "last_seen_at": None}
        refused = await subscribe(adas, users=[bob.id])
        assert refused["refused"]["users"] == [bob.id], "who blocks knows, and sees nobody"


async def test_a_stranger_who_is_blocked_is_refused_as_strangers_are(
    world: World, ada: User, bob: User
) -> None:
    world.channel(ada, bob)
    world.services.shy.add((ada.id, bob.id))
    world.services.blocks.add((ada.id, bob.id))
    async with world.node(limits=BY_SIGNAL) as node, node.device(bob) as bobs:
        refused = await subscribe(bobs, users=[ada.id])
        assert refused["refused"]["users"] == [ada.id]


async def test_a_block_is_heard_by_nodes_on_which_the_blocker_is_not(
    world: World, ada: User, bob: User
) -> None:
    channel_id = world.channel(ada, bob).removeprefix("channel:")
    limits = replace(BY_SIGNAL, typing_seconds=0)
    async with (
        world.node(limits=limits) as adas_node,
        world.node(limits=limits) as bobs_node,
        adas_node.device(ada) as adas,
        bobs_node.device(bob) as bobs,
    ):
        await subscribe(bobs, users=[ada.id], channels=[channel_id])
        await adas.say("typing", channel_id=channel_id)
        await adas.frame("reply")
        assert (await bobs.frame("typing"))["data"]["user_id"] == ada.id
        await block(world, ada, bob)
        await adas.frame("said")
        assert await presence(bobs) == {ada.id: (False, None)}
        await adas.say("typing", channel_id=channel_id)
        await adas.frame("reply")
        await asyncio.sleep(0.1)
        await bobs.hears_nothing()


async def test_consent_that_was_taken_back_ends_one_direction_only(
    world: World, ada: User, bob: User
) -> None:
    world.channel(ada, bob)
    async with (
        world.node(limits=BY_SIGNAL) as node,
        node.device(ada) as adas,
        node.device(bob) as bobs,
    ):
        await subscribe(adas, users=[bob.id])
        await subscribe(bobs, users=[ada.id])
        world.services.shy.add((bob.id, ada.id))
        await world.say(f"inbox:{bob.id}", control=Control(recheck=[ada.id, bob.id]))
        await wait_until(lambda: watched(node) == {ada.id})


async def test_a_block_that_comes_while_it_is_asked_is_noticed(
    world: World, ada: User, bob: User
) -> None:
    world.channel(ada, bob)
    async with world.node(limits=BY_SIGNAL) as node, node.device(ada) as device:
        answers = world.services.gate["acquaintances"] = asyncio.Event()
        await device.say("subscribe", users=[bob.id])
        await wait_until(lambda: world.services.calls("acquaintances"))
        await block(world, bob, ada)
        answers.set()
        reply = await device.frame("reply")
        assert reply["data"]["presence"][0]["online"] is False
        await wait_until(lambda: len(world.services.calls("acquaintances")) > 1)
        await world.send(said(bob, online=True))
        await asyncio.sleep(0.1)
        await device.hears_nothing()


async def test_nobody_is_told_who_types_across_a_block(world: World, ada: User, bob: User) -> None:
    stream = world.channel(ada, bob)
    channel_id = stream.removeprefix("channel:")
    async with (
        world.node(limits=replace(BY_SIGNAL, typing_seconds=0)) as node,
        node.device(ada) as adas,
        node.device(bob) as bobs,
    ):
        await subscribe(adas, channels=[channel_id])
        await subscribe(bobs, channels=[channel_id])
        await bobs.say("typing", channel_id=channel_id)
        await bobs.frame("reply")
        assert (await adas.frame("typing"))["data"]["user_id"] == bob.id
        await block(world, ada, bob)
        await adas.frame("said")
        for device in (adas, bobs):
            await device.say("typing", channel_id=channel_id)
            await device.frame("reply")
        await asyncio.sleep(0.1)
        await adas.hears_nothing()
        await bobs.hears_nothing()


async def test_who_agreed_to_nothing_is_not_heard_typing_until_they_do(
    world: World, ada: User, bob: User
) -> None:
    channel_id = world.channel(ada, bob).removeprefix("channel:")
    world.services.shy.add((bob.id, ada.id))  # ada added bob, who said nothing yet
    async with (
        world.node(limits=replace(BY_SIGNAL, typing_seconds=0)) as node,
        node.device(ada) as adas,
        node.device(bob) as bobs,
    ):
        for device in (adas, bobs):
            await subscribe(device, channels=[channel_id])
        for device in (adas, bobs):
            await device.say("typing", channel_id=channel_id)
        assert (await adas.frame())["type"] == "reply"
        assert {(await bobs.frame())["type"] for _ in range(2)} == {"reply", "typing"}
        await asyncio.sleep(0.1)
        await adas.hears_nothing()
        world.services.shy.clear()
        # As the event of their first act does: no answer of before holds any more.
        await world.say(f"inbox:{bob.id}", control=Control(recheck=[bob.id]))
        await bobs.frame("said")
        await bobs.say("typing", channel_id=channel_id)
        assert (await adas.frame("typing"))["data"]["user_id"] == bob.id


async def test_without_auth_nobody_is_told_who_types(world: World, ada: User, bob: User) -> None:
    channel_id = world.channel(ada, bob).removeprefix("channel:")
    async with (
        world.node(limits=BY_SIGNAL) as node,
        node.device(ada) as adas,
        node.device(bob) as bobs,
    ):
        await subscribe(adas, channels=[channel_id])
        world.services.away.add("auth")
        await bobs.say("typing", channel_id=channel_id)
        await wait_until(lambda: world.services.calls("acquaintances"))
        await asyncio.sleep(0.1)
        await adas.hears_nothing()
        world.services.away.clear()


async def test_presence_still_comes_to_who_may_see_it(world: World, ada: User, bob: User) -> None:
    world.channel(ada, bob)
    async with world.node(limits=BY_SIGNAL) as node, node.device(ada) as device:
        await subscribe(device, users=[bob.id])
        await world.say(f"account:{bob.id}", control=Control(recheck=[ada.id, bob.id]))
        await wait_until(lambda: len(world.services.calls("acquaintances")) > 1)
        await world.send(said(bob, online=True))
        assert await presence(device) == {bob.id: (True, None)}
