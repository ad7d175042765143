"""Devices come and go, and auth believes what is true of them, whatever is lost on the way."""

import asyncio

import pytest

from services.gateway.tests.api.realtime.registry import device_named
from services.gateway.tests.api.realtime.world import Node, User, World
from sharezync_gateway.realtime import devices
from sharezync_shared.contracts.auth import TooManyDevices
from sharezync_testkit.waiting import wait_until


@pytest.fixture
async def quick(world: World) -> World:
    """A world where nodes say several times a second that they live."""
    world.services.lease_seconds = 0.1
    return world


async def test_a_device_is_online_while_it_has_a_socket(
    world: World, node: Node, ada: User
) -> None:
    services = world.services
    async with node.device(ada, "phone"):
        async with node.device(ada, "phone"):
            assert services.online == {(ada.id, "phone"): True}
        await wait_until(lambda: len(node.engine.of_user(ada.id)) == 1)
        assert services.online == {(ada.id, "phone"): True}
    await wait_until(lambda: services.online == {(ada.id, "phone"): False})


async def test_a_device_on_two_nodes_is_online_until_it_has_left_both(
    world: World, ada: User
) -> None:
    services = world.services
    async with world.node() as first, world.node() as second:
        async with first.device(ada, "phone"):
            async with second.device(ada, "phone"):
                assert len(services.nodes) == 2
            await wait_until(lambda: set() in services.nodes.values())
            assert services.online == {(ada.id, "phone"): True}
        await wait_until(lambda: services.online == {(ada.id, "phone"): False})


async def test_logins_on_a_device_are_told_also_one_that_a_socket_changed_to(
    world: World, node: Node, ada: User
) -> None:
    later = User(ada.id, world.user().session)
    sessions = world.services.sessions
    async with node.device(ada, "phone") as device:
        assert sessions == {ada.session: device_named("phone")}
        await device.say("authenticate", token=world.token(ada))
        await device.frame("reply")
        assert world.services.calls("connect_device") == ["connect_device"]
        await device.say("authenticate", token=world.token(later))
        await device.frame("reply")
        await wait_until(lambda: sessions.get(later.session) == device_named("phone"))


async def test_with_auth_away_sockets_open_and_their_devices_follow(
    quick: World, node: Node, ada: User
) -> None:
    services = quick.services
    services.away.add("auth")
    async with node.device(ada, "phone") as device, node.device(ada, "phone"):
        assert device.ready["device"] is None
        assert services.online == {}
        services.away.clear()
        await wait_until(lambda: services.online == {(ada.id, "phone"): True})
        assert {c.device for c in node.engine.of_user(ada.id)} == {device_named("phone")}
    await wait_until(lambda: services.online == {(ada.id, "phone"): False})


async def test_a_socket_of_one_device_too_many_opens_without_a_device(
    quick: World, node: Node, ada: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refuse(*_: str) -> str:
        raise TooManyDevices(limit=1)

    monkeypatch.setattr(quick.services, "connect_device", refuse)
    async with node.device(ada, "phone") as device:
        assert device.ready["device"] is None
        await device.say("ping")
        await device.frame("pong")


async def test_a_device_that_comes_back_while_its_leaving_is_told_is_online(
    world: World, node: Node, ada: User
) -> None:
    services = world.services
    phone = {device_named("phone")}
    async with node.device(ada, "phone"):
        arrives = services.first_gate["update_node"] = asyncio.Event()
    await wait_until(lambda: services.updates[-1].disconnected)
    back = node.device(ada, "phone")
    async with asyncio.TaskGroup() as group:
        coming = group.create_task(back.__aenter__())
        await wait_until(lambda: len(services.calls("connect_device")) == 2)
        assert [*services.nodes.values()] == [phone]
        arrives.set()
        await coming
        assert {back.ready["device"]} == phone
        assert services.online == {(ada.id, "phone"): True}
        await back.socket.close()


async def test_a_leaving_that_was_lost_is_told_with_the_next_heartbeat(
    quick: World, node: Node, ada: User
) -> None:
    services = quick.services
    async with node.device(ada, "laptop"):
        async with node.device(ada, "phone"):
            services.lost.add("update_node")
        await wait_until(lambda: services.updates[-1].disconnected)
        assert services.online == {(ada.id, "laptop"): True, (ada.id, "phone"): True}
        services.lost.clear()
        believed = {(ada.id, "laptop"): True, (ada.id, "phone"): False}
        await wait_until(lambda: services.online == believed)
        assert node.count("sharezync_gateway_device_lists_total") == 0


async def test_a_node_that_auth_gave_up_says_again_what_it_holds(
    quick: World, node: Node, ada: User, bob: User
) -> None:
    services = quick.services
    async with node.device(ada, "phone"), node.device(bob, "laptop"):
        services.forget_nodes()
        believed = {(ada.id, "phone"): True, (bob.id, "laptop"): True}
        await wait_until(lambda: services.online == believed)


async def test_nodes_beat_though_auth_was_away_when_they_started(quick: World, ada: User) -> None:
    quick.services.away.add("auth")
    async with quick.node() as node, node.device(ada, "phone"):
        quick.services.away.clear()
        await wait_until(lambda: quick.services.online == {(ada.id, "phone"): True})
        failed = node.count("sharezync_gateway_heartbeats_total", result="failed")
        beaten = node.count("sharezync_gateway_heartbeats_total", result="ok")
        assert failed >= 1
        assert beaten >= 1


async def test_a_node_that_stops_takes_its_devices_with_it(
    quick: World, ada: User, bob: User
) -> None:
    services = quick.services
    async with (
        quick.node() as other,
        other.device(bob, "laptop"),
        quick.node() as node,
        node.device(ada, "phone") as device,
    ):
        await node.engine.aclose()
        assert services.online == {(ada.id, "phone"): False, (bob.id, "laptop"): True}
        assert await device.closed() == 4001


async def test_a_node_says_that_it_leaves_after_all_else_has_arrived(
    world: World, node: Node, ada: User
) -> None:
    services = world.services
    async with node.device(ada, "phone"):
        arrives = services.first_gate["update_node"] = asyncio.Event()
        told = len(services.updates)
        opening = asyncio.create_task(node.device(ada, "tablet").__aenter__())
        await wait_until(lambda: len(services.updates) == told + 1)
        stopping = asyncio.create_task(node.engine.aclose())
        async with node.device(ada, "laptop") as late:  # comes while the node stops
            assert late.ready["device"] is None
            assert len(services.updates) == told + 1
            arrives.set()
            await stopping
            assert len(services.updates) == told + 2
            assert services.updates[-1].after == 0
            assert not any(services.online.values())
    opening.cancel()
    await asyncio.gather(opening, return_exceptions=True)


@pytest.mark.parametrize("stuck", ["update_node", "connect_device"])
async def test_a_node_stops_though_auth_says_nothing(
    quick: World, ada: User, stuck: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(devices, "_LAST_UPDATES_SECONDS", 0.05)
    async with quick.node() as node:
        quick.services.first_gate[stuck] = asyncio.Event()
        quick.services.asked.clear()
        opening = asyncio.create_task(node.device(ada, "phone").__aenter__())
        await wait_until(lambda: quick.services.calls(stuck))
        await node.engine.aclose()
        opening.cancel()
        await asyncio.gather(opening, return_exceptions=True)
