"""Revocations that no frame brings: a node asks auth for them, twice a second."""

import asyncio

import pytest

from services.gateway.tests.api.realtime.world import Node, User, World
from sharezync_gateway.realtime.service_calls import Revoked
from sharezync_gateway.realtime.socket_limits import SocketLimits
from sharezync_shared.problems import Unavailable
from sharezync_testkit.waiting import wait_until

PULLS = "sharezync_gateway_revocation_pulls_total"


@pytest.fixture
def network(world: World) -> World:
    """A world whose bus may lose frames."""
    world.bus.lossy = True
    return world


async def test_a_revoked_session_ends_though_the_bus_brings_nothing(
    network: World, ada: User
) -> None:
    other = User(ada.id, network.user().session)
    async with network.node() as first, network.node() as second:
        async with (
            first.device(ada, "one") as one,
            second.device(ada, "two") as two,
            second.device(other, "three") as three,
        ):
            network.services.revoked = Revoked(sessions=[ada.session])
            assert await one.closed() == 4503
            assert await two.closed() == 4503
            await three.hears_nothing()
        again = first.device(ada)
        again._waits_for_ready = False
        async with again:
            assert await again.closed() == 4501


async def test_users_who_are_gone_are_pulled_too(network: World, ada: User, bob: User) -> None:
    async with network.node() as node, node.device(ada) as adas, node.device(bob) as bobs:
        network.services.revoked = Revoked(users=[ada.id])
        assert await adas.closed() == 4503
        await bobs.hears_nothing()


async def test_pulls_go_on_when_auth_is_back(network: World, ada: User) -> None:
    async with (
        network.node(limits=SocketLimits(pull_seconds=0.01)) as node,
        node.device(ada) as device,
    ):
        network.services.away.add("auth")
        await wait_until(lambda: node.count(PULLS, result="failed") >= 3)
        network.services.revoked = Revoked(sessions=[ada.session])
        network.services.away.clear()
        assert await device.closed() == 4503
        assert node.count(PULLS, result="ok") >= 1


async def test_a_gap_while_auth_is_away_is_an_outage(world: World, node: Node) -> None:
    await wait_until(lambda: node.engine.ready)
    world.services.away.add("auth")
    with pytest.raises(Unavailable):  # which a bus doesn't take for an error
        await world.bus.come_back()


async def test_in_one_process_nothing_is_lost_and_nothing_pulled(
    world: World, node: Node, ada: User
) -> None:
    async with node.device(ada) as device:
        await wait_until(lambda: node.engine.ready)
        await asyncio.sleep(0.05)
        await device.hears_nothing()
    assert node.count(PULLS, result="ok") == 0
    assert world.services.calls("revocations") == ["revocations"]  # when the bus began to bring
