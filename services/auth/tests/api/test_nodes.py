"""Online and offline: what gateways say of devices holds while their heartbeats come."""

import asyncio
import hashlib
from datetime import timedelta
from uuid import UUID

import httpx

from services.auth.tests.api.conftest import Account, Auth
from services.auth.tests.api.nodes import Node, last_seen, online
from sharezync_auth.usecases.sweeping import sweep
from sharezync_shared.ids import uuid7
from sharezync_testkit.waiting import GIVE_UP_SECONDS


async def test_a_device_is_online_until_its_last_node_says_otherwise(
    ada: Account, node: Node, other: Node
) -> None:
    device = await node.connect(ada)
    assert await other.connect(ada) == device
    await node.connect(ada)  # safe to repeat
    assert await online(ada) == {device}
    await node.disconnect(ada, device)
    await node.disconnect(ada, device)
    assert await online(ada) == {device}
    await other.disconnect(ada, device)
    assert await online(ada) == set()


async def test_who_leaves_takes_along_what_came_while_the_device_was_waited_for(
    auth: Auth, ada: Account, node: Node, other: Node
) -> None:
    device = await other.connect(ada)
    await node.beat()
    async with (await auth.app.state.core.database.pool()).acquire() as connection:
        async with connection.transaction():
            await connection.execute("SELECT FROM auth.devices WHERE id = $1 FOR UPDATE", device)
            leaving = asyncio.create_task(node.disconnect(ada, device))
            waiting = (
                "SELECT FROM pg_stat_activity "
                "WHERE datname = current_database() AND wait_event_type = 'Lock'"
            )
            async with asyncio.timeout(GIVE_UP_SECONDS):
                while not await auth.rows(waiting):  # noqa: ASYNC110 - it tells nobody
                    await asyncio.sleep(0.01)
            await connection.execute(
                "INSERT INTO auth.device_connections VALUES ($1, $2)", device, node.id
            )
        await leaving
    await other.disconnect(ada, device)
    assert await online(ada) == set()


async def test_a_node_is_told_which_devices_it_is_believed_to_hold(
    ada: Account, node: Node
) -> None:
    devices = [await node.connect(ada, name) for name in ("phone", "laptop", "tablet")]
    await node.disconnect(ada, devices[1])
    answer = await node.http.post(f"/internal/nodes/{node.id}/heartbeat")
    first, _, third = (int(hashlib.md5(each.encode()).hexdigest()[:15], 16) for each in devices)
    assert answer.json()["devices"] == 2
    assert answer.json()["digest"] == first ^ third


async def test_a_disconnected_device_was_last_seen_just_then(
    auth: Auth, ada: Account, node: Node
) -> None:
    device = await node.connect(ada)
    connected_at = await last_seen(ada, device)
    auth.let_pass(timedelta(seconds=20))
    await node.disconnect(ada, device)
    disconnected_at = await last_seen(ada, device)
    auth.let_pass(timedelta(seconds=20))
    assert await last_seen(ada, device) == disconnected_at
    assert disconnected_at - connected_at > timedelta(seconds=19)


async def test_nobody_elses_device_is_disconnected(ada: Account, bob: Account, node: Node) -> None:
    device, phone = await node.connect(ada), await node.connect(bob)
    await node.disconnect(ada, device)
    assert await online(bob) == {phone}


async def test_a_silent_nodes_devices_go_offline_when_its_lease_ends(
    auth: Auth, ada: Account, node: Node, other: Node
) -> None:
    lease = timedelta(seconds=auth.settings.device_lease_seconds)
    device, laptop = await node.connect(ada), await node.connect(ada, "laptop")
    auth.let_pass(lease / 2)
    await node.beat()
    heard_at = auth.app.state.work.now()
    await other.connect(ada, "laptop")
    auth.let_pass(lease * 0.9)
    assert await online(ada) == {device, laptop}
    await other.beat()
    auth.let_pass(lease * 0.2)
    assert await online(ada) == {laptop}  # the other node holds it
    assert abs(await last_seen(ada, device) - heard_at) < timedelta(seconds=5)


async def test_a_node_that_was_slow_needs_to_say_nothing_again(
    auth: Auth, ada: Account, node: Node
) -> None:
    device = await node.connect(ada)
    auth.let_pass(timedelta(seconds=auth.settings.device_lease_seconds * 1.5))
    await sweep(auth.app.state.work, auth.settings)
    assert await online(ada) == set()
    assert await node.beat() == 1
    assert await online(ada) == {device}


async def test_a_dead_nodes_devices_were_last_seen_at_its_last_heartbeat(
    auth: Auth, ada: Account, node: Node, other: Node
) -> None:
    device = await node.connect(ada)
    auth.let_pass(timedelta(seconds=30))
    await node.beat()
    heard_at = auth.app.state.work.now()
    for _ in range(3):
        auth.let_pass(timedelta(seconds=auth.settings.device_lease_seconds))
        await other.beat()
    await sweep(auth.app.state.work, auth.settings)
    rows = await auth.rows("SELECT id FROM auth.gateway_nodes WHERE id = $1", UUID(node.id))
    connections = await auth.rows(
        "SELECT 1 FROM auth.device_connections WHERE device_id = $1", UUID(device)
    )
    assert (rows, connections) == ([], [])
    assert await online(ada) == set()
    assert abs(await last_seen(ada, device) - heard_at) < timedelta(seconds=5)
    # Nobody else's lease was touched.
    assert await auth.rows("SELECT id FROM auth.gateway_nodes WHERE id = $1", UUID(other.id))


async def test_a_node_that_was_given_up_says_its_list_and_all_is_well(
    auth: Auth, ada: Account, node: Node
) -> None:
    devices = {await node.connect(ada, f"d{number}") for number in range(3)}
    auth.let_pass(timedelta(seconds=auth.settings.device_lease_seconds * 3))
    await sweep(auth.app.state.work, auth.settings)
    assert await node.beat() == 0
    assert await node.says(devices) == 3
    assert await online(ada) == devices
    assert await node.beat() == 3


async def test_a_node_that_stops_takes_its_devices_with_it(
    ada: Account, node: Node, other: Node
) -> None:
    phone, laptop = await node.connect(ada), await node.connect(ada, "laptop")
    await other.connect(ada, "laptop")
    await node.leave()
    await node.leave()
    assert await online(ada) == {laptop}
    assert await node.beat() == 0
    assert await node.connect(ada) == phone
    assert await online(ada) == {laptop, phone}


async def test_the_list_of_a_node_is_the_truth(auth: Auth, ada: Account, node: Node) -> None:
    first, second, third = [await node.connect(ada, f"d{number}") for number in range(3)]
    await node.disconnect(ada, third)
    auth.let_pass(timedelta(seconds=20))
    assert await node.says([second, third]) == 2
    assert await online(ada) == {second, third}
    assert auth.app.state.work.now() - await last_seen(ada, first) < timedelta(seconds=5)
    assert await node.says([second, third]) == 2  # safe to repeat


async def test_a_long_list_comes_in_pages_that_leave_each_other_alone(
    ada: Account, node: Node
) -> None:
    ids = sorted([await node.connect(ada, f"d{number}") for number in range(8)])
    # The first and the last page each have one less than before; the one in between none at all.
    await node.says(ids[1:3], up_to=ids[2])
    assert await online(ada) == set(ids[1:])
    await node.says([], after=ids[2], up_to=ids[5])
    assert await online(ada) == {*ids[1:3], *ids[6:]}
    assert await node.says([ids[7]], after=ids[5]) == 3
    assert await online(ada) == {*ids[1:3], ids[7]}


async def test_a_removed_device_is_passed_over_in_a_list(ada: Account, node: Node) -> None:
    kept, removed = await node.connect(ada), await node.connect(ada, "laptop")
    await ada.http.delete(f"/v1/devices/{removed}")
    assert await node.beat() == 1
    assert await node.says([kept, removed, str(uuid7())]) == 1
    await node.disconnect(ada, removed)


async def test_a_list_of_more_than_a_page_is_refused(
    node: Node, gateway: httpx.AsyncClient
) -> None:
    body = {"device_ids": [str(uuid7()) for _ in range(5001)]}
    answer = await gateway.put(f"/internal/nodes/{node.id}/devices", json=body)
    assert answer.status_code == 422
