"""How sockets end from our side: revocation, drain, and what is left behind."""

import asyncio
import gc

import pytest
from websockets.exceptions import InvalidStatus

from services.gateway.tests.api.realtime.world import Node, User, World
from sharezync_gateway.realtime import Connection
from sharezync_gateway.realtime.service_calls import Revoked
from sharezync_shared.server import Draining
from sharezync_shared.streams.frames import Control, Frame
from sharezync_testkit.waiting import wait_until


async def test_a_revoked_session_ends_on_every_node(world: World, ada: User) -> None:
    other = User(ada.id, world.user().session)
    async with world.node() as first, world.node() as second:
        async with (
            first.device(ada, "one") as one,
            second.device(ada, "two") as two,
            second.device(other, "three") as three,
        ):
            account = f"account:{ada.id}"
            control = Control(revoke_sessions=[ada.session])
            frame = world.services.say(account, control=control, kind="session.revoked")
            await world.send(frame)
            assert await one.closed() == 4503
            assert await two.closed() == 4503
            assert (await three.frame("session.revoked"))["seq"] == 1
            await three.hears_nothing()
        again = first.device(ada)
        again._waits_for_ready = False
        async with again:
            assert await again.closed() == 4501


async def test_a_revoked_user_ends_everywhere_whatever_stream_says_so(
    world: World, node: Node, ada: User, bob: User
) -> None:
    async with node.device(ada) as adas, node.device(bob) as bobs:
        await world.send(Frame("account:x", "e1", 99, b"", Control(revoke_user=ada.id)))
        assert await adas.closed() == 4503
        await bobs.hears_nothing()


async def test_a_revocation_that_nobody_heard_of_is_pulled_when_the_bus_is_back(
    world: World, node: Node, ada: User, bob: User
) -> None:
    async with node.device(ada) as adas, node.device(bob) as bobs:
        world.services.revoked = Revoked(sessions=[ada.session])
        world.services.asked.clear()
        await world.bus.come_back()
        assert ("revocations", 600) in world.services.asked  # as long as a token lives
        assert await adas.closed() == 4503
        await bobs.hears_nothing()


async def test_a_session_that_a_socket_changed_to_is_the_one_that_counts(
    world: World, node: Node, ada: User
) -> None:
    later = User(ada.id, world.user().session)
    async with node.device(ada) as device:
        await device.say("authenticate", token=world.token(later))
        await device.frame("reply")
        await world.send(Frame("x", "", 0, b"", Control(revoke_sessions=[ada.session])))
        await device.hears_nothing()
        await world.send(Frame("x", "", 0, b"", Control(revoke_sessions=[later.session])))
        assert await device.closed() == 4503


async def test_a_drain_says_goodbye_to_everybody_and_takes_nobody_in(
    world: World, ada: User
) -> None:
    async with world.node() as node:
        async with node.device(ada, "one") as one, node.device(ada, "two") as two:
            was_ready = node.engine.ready
            async with asyncio.TaskGroup() as group:
                draining = group.create_task(node.engine.drain(2))
                for device in (one, two):
                    bye = await device.frame("bye")
                    assert (bye["code"], bye["resume"]) == (4001, True)
                    assert 0 <= bye["after_ms"] < 1000
                    assert await device.closed() == 4001
                await draining
            assert (was_ready, node.engine.ready) == (True, False)
        with pytest.raises(InvalidStatus) as refused:
            await node.device(ada).__aenter__()
        assert refused.value.response.status_code == 503
        assert refused.value.response.headers["Retry-After"] == "1"


async def test_a_server_that_stops_says_goodbye_before_it_closes(world: World, ada: User) -> None:
    async with world.node() as node, node.device(ada) as device:
        draining: Draining = node.served.draining
        draining.add("sockets", node.engine.drain)
        stopping = asyncio.create_task(node.served.stop())
        await device.frame("bye")
        assert await device.closed() == 4001
        await stopping


async def test_nothing_is_left_of_sockets_that_are_gone(
    world: World, node: Node, ada: User, bob: User
) -> None:
    channel = world.channel(ada, bob)
    async with node.device(ada) as adas, node.device(bob):
        await world.say(channel)
        await adas.frame()
        await wait_until(lambda: node.count("sharezync_ws_connections") == 2)
    hub = node.engine.hub
    await wait_until(lambda: not hub.connections)
    assert (hub.users, hub.sessions, hub.by_stream) == ({}, {}, {})
    await world.say(channel, "to nobody")
    async with node.device(ada) as device:
        assert device.head(channel) == ("e1", 2)
    await wait_until(lambda: not hub.connections)
    await wait_until(lambda: not node.served.server.server_state.tasks)
    gc.collect()
    assert not [thing for thing in gc.get_objects() if isinstance(thing, Connection)]


async def test_listeners_hear_once_of_a_connections_end(world: World, ada: User) -> None:
    ended: list[str | None] = []
    async with world.node() as node:
        async with node.device(ada, "phone"):
            (connection,) = node.engine.of_user(ada.id)

            def fails(_: object) -> None:
                raise RuntimeError("not the others' trouble")

            connection.on_close(fails)
            connection.on_close(lambda c: ended.append(c.client_id))
        await wait_until(lambda: ended)
        assert ended == ["phone"]


async def test_chunk_announcements_go_to_who_handles_them(world: World, ada: User) -> None:
    heard: list[Frame] = []
    frame = Frame("transfer:t1", "", 0, b"", Control(chunk=[0, 7, 1024]))
    async with world.node(chunk_handler=heard.append) as node, node.device(ada) as device:
        await world.send(frame)
        assert heard == [frame]
        await device.hears_nothing()
