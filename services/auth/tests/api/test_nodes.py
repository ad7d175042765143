"""Online and offline: what gateways say of devices holds while their heartbeats come."""

import asyncio
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from structlog.testing import capture_logs

from services.auth.tests.api.conftest import Account, Auth
from services.auth.tests.api.nodes import Node, last_seen, online
from sharezync_auth.usecases.sweeping import give_up_nodes
from sharezync_shared.ids import uuid7
from sharezync_testkit.waiting import GIVE_UP_SECONDS


async def test_a_device_is_online_until_its_last_node_says_otherwise(
    ada: Account, node: Node, other: Node
) -> None:
    device = await node.connect(ada)
    assert await other.connect(ada) == device
    await node.connect(ada)  # safe to repeat
    assert await online(ada) == {device}
    await node.disconnect(device)
    await node.disconnect(device)
    assert await online(ada) == {device}
    await other.disconnect(device)
    assert await online(ada) == set()


async def test_one_node_takes_no_device_away_from_another_that_has_it_at_the_same_time(
    auth: Auth, ada: Account, node: Node, other: Node
) -> None:
    device = await other.connect(ada)
    await node.snapshot()
    async with (await auth.app.state.core.database.pool()).acquire() as connection:
        async with connection.transaction():
            await connection.execute("SELECT FROM auth.devices WHERE id = $1 FOR UPDATE", device)
            changes = [node.update(connected=[device]), other.update(disconnected=[device])]
            tasks = [asyncio.ensure_future(change) for change in changes]
            waiting = (
                "SELECT FROM pg_stat_activity "
                "WHERE datname = current_database() AND wait_event_type = 'Lock'"
            )
            async with asyncio.timeout(GIVE_UP_SECONDS):
                while len(await auth.rows(waiting)) < 2:  # noqa: ASYNC110 - it tells nobody
                    await asyncio.sleep(0.01)
        assert await asyncio.gather(*tasks) == [True, True]
    assert await online(ada) == {device}
    await node.disconnect(device)
    assert await online(ada) == set()


async def test_a_disconnected_device_was_last_seen_just_then(
    auth: Auth, ada: Account, node: Node
) -> None:
    device = await node.connect(ada)
    connected_at = await last_seen(ada, device)
    auth.let_pass(timedelta(seconds=20))
    await node.disconnect(device)
    disconnected_at = await last_seen(ada, device)
    auth.let_pass(timedelta(seconds=20))
    assert await last_seen(ada, device) == disconnected_at
    assert disconnected_at - connected_at > timedelta(seconds=19)


async def test_nobody_elses_device_is_disconnected(ada: Account, bob: Account, node: Node) -> None:
    device, phone = await node.connect(ada), await node.connect(bob)
    await node.disconnect(device)
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
    await give_up_nodes(auth.app.state.work, auth.settings)
    assert await online(ada) == set()
    assert await node.beat()
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
    await give_up_nodes(auth.app.state.work, auth.settings)
    rows = await auth.rows("SELECT id FROM auth.gateway_nodes WHERE id = $1", UUID(node.id))
    connections = await auth.rows(
        "SELECT 1 FROM auth.device_connections WHERE device_id = $1", UUID(device)
    )
    assert (rows, connections) == ([], [])
    assert await online(ada) == set()
    assert abs(await last_seen(ada, device) - heard_at) < timedelta(seconds=5)
    # Nobody else's lease was touched.
    assert await auth.rows("SELECT id FROM auth.gateway_nodes WHERE id = $1", UUID(other.id))


async def test_a_node_that_was_given_up_is_asked_for_a_snapshot_and_all_is_well(
    auth: Auth, ada: Account, node: Node
) -> None:
    devices = {await node.connect(ada, f"d{number}") for number in range(3)}
    auth.let_pass(timedelta(seconds=auth.settings.device_lease_seconds * 3))
    await give_up_nodes(auth.app.state.work, auth.settings)
    assert not await node.beat()
    assert not await node.update(disconnected=devices)
    assert await node.snapshot(devices)
    assert await online(ada) == devices
    assert await node.beat()


async def test_a_node_that_stops_takes_its_devices_with_it(
    auth: Auth, ada: Account, node: Node, other: Node
) -> None:
    phone, laptop = await node.connect(ada), await node.connect(ada, "laptop")
    await other.connect(ada, "laptop")
    late = node.next([phone], [])
    auth.let_pass(timedelta(seconds=20))
    assert await node.snapshot()
    assert await online(ada) == {laptop}
    assert auth.app.state.work.now() - await last_seen(ada, phone) < timedelta(seconds=5)
    for after in (late["after"], 0):  # what was said before arrives after all
        answer = await node.send({**late, "after": after})
        assert answer.json()["accepted"] is False
    assert await online(ada) == {laptop}
    auth.let_pass(timedelta(seconds=auth.settings.device_lease_seconds * 3))
    with capture_logs() as logged:
        await give_up_nodes(auth.app.state.work, auth.settings)
    expired = [event for event in logged if event["event"] == "gateway_nodes_expired"]
    assert [event["count"] for event in expired] == [1]  # that is the other one


async def test_a_snapshot_is_all_that_is_true(auth: Auth, ada: Account, node: Node) -> None:
    first, second, third = [await node.connect(ada, f"d{number}") for number in range(3)]
    await node.disconnect(third)
    auth.let_pass(timedelta(seconds=20))
    assert await node.snapshot([second, third])
    assert await online(ada) == {second, third}
    assert auth.app.state.work.now() - await last_seen(ada, first) < timedelta(seconds=5)


async def test_a_process_under_the_name_of_another_has_its_own_devices_only(
    ada: Account, node: Node
) -> None:
    await node.connect(ada)
    laptop = await node.connect(ada, "laptop")
    again = Node(node.http, node.id)
    assert not await again.snapshot([laptop])  # it doesn't know yet how far that had counted
    assert await again.snapshot([laptop])
    assert await online(ada) == {laptop}
    assert not await node.beat()


async def test_an_update_that_comes_late_or_twice_changes_nothing(ada: Account, node: Node) -> None:
    phone = await node.connect(ada)
    node.seq += 1
    lost = node.next([], [phone])
    laptop = await node.connect(ada, "laptop")  # tells again what was not answered, if it is so
    for _ in range(2):
        answer = await node.send(lost)
        assert answer.json() == {"lease_seconds": 45, "seq": node.seq, "accepted": False}
    assert await online(ada) == {phone, laptop}
    again = {**lost, "seq": node.seq}
    assert (await node.send(again)).json()["accepted"] is False
    assert await online(ada) == {phone, laptop}


async def test_an_update_may_follow_an_earlier_one_than_the_last(ada: Account, node: Node) -> None:
    phone = await node.connect(ada)
    before = node.accepted_seq
    await node.disconnect(phone)
    node.accepted_seq = before  # the answer was lost
    assert await node.update(connected=[phone])
    assert await online(ada) == {phone}


async def test_an_update_that_follows_one_that_is_unknown_here_is_refused(
    auth: Auth, ada: Account, node: Node
) -> None:
    phone = await node.connect(ada)
    await node.connect(ada, "laptop")
    restored = "UPDATE auth.gateway_nodes SET seq = seq - 1 WHERE id = $1"
    await auth.rows(restored, UUID(node.id))
    assert not await node.update(disconnected=[phone])
    assert phone in await online(ada)
    assert await node.snapshot([])
    assert await online(ada) == set()


async def test_a_removed_device_is_ignored(ada: Account, node: Node) -> None:
    kept, removed = await node.connect(ada), await node.connect(ada, "laptop")
    await ada.http.delete(f"/v1/devices/{removed}")
    assert await node.snapshot([kept, removed, str(uuid7())])
    assert await online(ada) == {kept}
    await node.disconnect(removed)


@pytest.mark.parametrize(
    "wrong",
    [
        {"connected": [str(uuid7())] * 5001},
        {"disconnected": [str(uuid7())] * 5001},
        {"seq": 0},
        {"seq": 2**63},
        {"after": -1},
        {"after": None},
        {"after": False},
    ],
)
async def test_an_update_has_bounds(node: Node, wrong: dict[str, Any]) -> None:
    answer = await node.send({"seq": 1, "after": 0, "connected": [], "disconnected": [], **wrong})
    assert answer.status_code == 422
