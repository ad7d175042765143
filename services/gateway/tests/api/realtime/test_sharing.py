"""Presence is for those who share a channel: it ends, soon, when that ends, and not before."""

import asyncio

import pytest

from services.gateway.tests.api.realtime.test_presence import BY_SIGNAL, presence, said
from services.gateway.tests.api.realtime.test_subscribing import subscribe, subscriptions
from services.gateway.tests.api.realtime.world import Node, User, World
from sharezync_gateway.realtime.socket_limits import SocketLimits
from sharezync_shared.streams.frames import Control
from sharezync_testkit.waiting import wait_until


def watched(node: Node) -> set[str]:
    """Return of whom somebody on this node wants to know."""
    return set(subscriptions(node).interests.watched)


@pytest.mark.parametrize("how", [Control(end=True), None])
async def test_it_ends_soon_after_sharing_ends_for_both(
    world: World, ada: User, bob: User, how: Control | None
) -> None:
    stream = world.channel(ada, bob)
    async with (
        world.node(limits=BY_SIGNAL) as node,
        node.device(ada) as adas,
        node.device(bob) as bobs,
    ):
        await subscribe(adas, users=[bob.id, ada.id])
        await subscribe(bobs, users=[ada.id])
        world.services.asked.clear()
        if how is not None:
            world.services.members[stream].clear()
        await world.say(stream, control=how or Control(leave=[bob.id]))
        await wait_until(lambda: watched(node) == {ada.id})
        assert len(subscriptions(node).interests.watched[ada.id].watchers) == 1  # oneself
        # About the one who left: whom they may see, and who may see them.
        if how is None:
            assert len(world.services.calls("acquaintances")) == 2
        for device in (adas, bobs):
            await device.frame("said")
        await world.send(said(bob, online=False), said(ada, online=False))
        await asyncio.sleep(0.15)
        await bobs.hears_nothing()
        await adas.hears_nothing()


async def test_sharing_that_ended_while_chat_was_away_is_asked_about_again(
    world: World, ada: User, bob: User
) -> None:
    stream = world.channel(ada, bob)
    async with world.node(limits=BY_SIGNAL) as node, node.device(ada) as device:
        await subscribe(device, users=[bob.id])
        world.services.asked.clear()
        world.services.away.add("chat")
        await world.say(stream, control=Control(leave=[bob.id]))
        await wait_until(lambda: len(world.services.calls("acquaintances")) > 1)
        assert watched(node)
        world.services.away.clear()
        await wait_until(lambda: not watched(node))


async def test_it_goes_on_while_another_channel_is_shared(
    world: World, ada: User, bob: User
) -> None:
    stream = world.channel(ada, bob)
    world.channel(ada, bob)
    async with world.node(limits=BY_SIGNAL) as node, node.device(ada) as device:
        await subscribe(device, users=[bob.id])
        world.services.asked.clear()
        await world.say(stream, control=Control(leave=[bob.id]))
        await device.frame("said")
        await wait_until(lambda: world.services.calls("acquaintances"))
        await world.send(said(bob, online=True))
        assert await presence(device) == {bob.id: (True, None)}


async def test_sharing_that_ended_unheard_is_found_by_the_rounds(
    world: World, ada: User, bob: User
) -> None:
    stream = world.channel(ada, bob)
    limits = SocketLimits(gather_seconds=0.02, presence_poll_seconds=3600, recheck_seconds=0.1)
    async with world.node(limits=limits) as node, node.device(ada) as device:
        await subscribe(device, users=[bob.id])
        world.services.away.add("chat")
        world.services.members[stream].discard(bob.id)
        world.services.asked.clear()
        await wait_until(lambda: world.services.calls("acquaintances"))
        assert watched(node)
        world.services.away.clear()
        await wait_until(lambda: not watched(node))


async def test_sharing_that_ends_while_chat_answers_is_noticed(
    world: World, ada: User, bob: User
) -> None:
    stream = world.channel(ada, bob)
    async with world.node(limits=BY_SIGNAL) as node, node.device(ada) as device:
        answers = world.services.gate["acquaintances"] = asyncio.Event()
        await device.say("subscribe", users=[bob.id])
        await wait_until(lambda: world.services.calls("acquaintances"))
        await world.say(stream, control=Control(leave=[bob.id]))
        await device.frame("said")
        answers.set()
        await device.frame("reply")
        await wait_until(lambda: not watched(node))


# --- of a channel that nobody on the node is on ---------------------------------------------------


async def test_who_follows_another_channel_only_is_not_told_after_it_either(
    world: World, ada: User, bob: User
) -> None:
    shared, followed = world.channel(ada, bob), world.channel(ada)
    async with world.node(limits=BY_SIGNAL) as node, node.on_channel(ada, followed) as device:
        await subscribe(device, users=[bob.id])
        await world.say(shared, control=Control(leave=[bob.id]))
        await wait_until(lambda: not watched(node))
        await world.send(said(bob, online=True))
        await device.hears_nothing()


async def test_who_is_removed_from_a_channel_they_do_not_follow_is_told_nothing_after_it(
    world: World, ada: User, bob: User
) -> None:
    shared, followed = world.channel(ada, bob), world.channel(ada)
    async with world.node(limits=BY_SIGNAL) as node, node.on_channel(ada, followed) as device:
        await subscribe(device, users=[bob.id])
        await world.say(shared, control=Control(leave=[ada.id]))
        await wait_until(lambda: not watched(node))
        assert not device.socket.close_code


async def test_it_goes_on_for_who_follows_the_channel_that_is_still_shared(
    world: World, ada: User, bob: User
) -> None:
    shared, followed = world.channel(ada, bob), world.channel(ada, bob)
    async with world.node(limits=BY_SIGNAL) as node, node.on_channel(ada, followed) as device:
        await subscribe(device, users=[bob.id])
        world.services.asked.clear()
        await world.say(shared, control=Control(leave=[bob.id]))
        await wait_until(lambda: world.services.calls("acquaintances"))
        await world.send(said(bob, online=True))
        assert await presence(device) == {bob.id: (True, None)}


async def test_the_end_of_a_channel_is_found_with_the_next_round(
    world: World, ada: User, bob: User
) -> None:
    shared, followed = world.channel(ada, bob), world.channel(ada)
    limits = SocketLimits(gather_seconds=3600, presence_poll_seconds=0.1)
    async with (
        world.node(limits=limits) as node,
        node.on_channel(ada, followed) as device,
        node.device(world.user()) as elsewhere,
    ):
        await subscribe(device, users=[bob.id])
        await subscribe(elsewhere, users=[elsewhere.user.id])
        world.services.asked.clear()
        world.services.members[shared].clear()
        await world.say(shared, control=Control(end=True))
        await wait_until(lambda: watched(node) == {elsewhere.user.id})
        # Nobody is asked about whose sockets would have been on it.
        assert {call[1] for call in world.services.asked if call[0] == "acquaintances"} == {ada.id}


async def test_frames_that_take_nobody_off_cost_no_question(
    world: World, ada: User, bob: User
) -> None:
    shared, followed = world.channel(ada, bob), world.channel(ada)
    limits = SocketLimits(gather_seconds=0, presence_poll_seconds=0)
    async with world.node(limits=limits) as node, node.on_channel(ada, followed) as device:
        await subscribe(device, users=[bob.id])
        world.services.asked.clear()
        await world.say(shared, control=Control(join=[world.user().id]))
        await world.say(shared, control=Control(leave=[world.user().id]))
        await device.hears_nothing()
        assert not world.services.calls("acquaintances")


# --- leaving, and coming back ---------------------------------------------------------------------


async def test_an_answer_from_before_somebody_came_back_ends_nothing_that_began_since(
    world: World, ada: User, bob: User
) -> None:
    stream = world.channel(ada, bob)
    async with world.node(limits=BY_SIGNAL) as node, node.device(ada) as device:
        await subscribe(device, users=[bob.id])
        world.services.asked.clear()
        late = world.services.gate["acquaintances"] = asyncio.Event()
        await world.say(stream, control=Control(leave=[bob.id]))
        await wait_until(lambda: world.services.calls("acquaintances"))
        del world.services.gate[
            "acquaintances"
        ]  # what was asked so far waits, what follows doesn't
        await world.say(stream, control=Control(join=[bob.id]))
        for _ in range(2):
            await device.frame("said")
        assert (await subscribe(device, users=[bob.id]))["subscribed"]["users"] == [bob.id]
        late.set()
        # It is asked again, since either answer may be the older one.
        await wait_until(lambda: len(world.services.calls("acquaintances")) == 3)
        await world.send(said(bob, online=True))
        assert await presence(device) == {bob.id: (True, None)}
        assert watched(node) == {bob.id}


async def test_who_leaves_after_that_is_lost_sight_of_all_the_same(
    world: World, ada: User, bob: User
) -> None:
    stream = world.channel(ada, bob)
    async with world.node(limits=BY_SIGNAL) as node, node.device(ada) as device:
        late = world.services.gate["acquaintances"] = asyncio.Event()
        await device.say("subscribe", users=[bob.id])
        await wait_until(lambda: world.services.calls("acquaintances"))
        del world.services.gate["acquaintances"]
        await world.say(stream, control=Control(leave=[bob.id]))
        await device.frame("said")
        late.set()
        assert (await device.frame("reply"))["data"]["subscribed"]["users"] == [bob.id]
        await wait_until(lambda: not watched(node))
