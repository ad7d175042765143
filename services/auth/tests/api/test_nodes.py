"""Online and offline: what gateways say of devices holds while their heartbeats come."""

import asyncio
import hashlib
import random
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import httpx
import pytest

from services.auth.tests.api.conftest import PASSWORD, Account, Auth, register
from sharezync_auth.usecases.sweeping import sweep
from sharezync_shared.ids import uuid7


@dataclass
class Node:
    """A gateway process, as far as auth hears of it."""

    http: httpx.AsyncClient
    id: str = field(default_factory=lambda: str(uuid7()))

    async def connect(self, account: Account, client_id: str = "phone") -> str:
        body = {"node_id": self.id, "user_id": account.id, "client_id": client_id}
        answer = await self.http.post("/internal/devices/connect", json=body)
        assert answer.status_code == 200, answer.text
        assert answer.json()["online"] is True
        return str(answer.json()["id"])

    async def disconnect(self, account: Account, device_id: str) -> None:
        body = {"node_id": self.id, "user_id": account.id, "device_id": device_id}
        answer = await self.http.post("/internal/devices/disconnect", json=body)
        assert answer.status_code == 204, answer.text

    async def beat(self) -> int:
        answer = await self.http.post(f"/internal/nodes/{self.id}/heartbeat")
        assert answer.status_code == 200, answer.text
        return int(answer.json()["devices"])

    async def says(self, device_ids: Iterable[str], **bounds: str | None) -> int:
        body = {"device_ids": list(device_ids), **bounds}
        answer = await self.http.put(f"/internal/nodes/{self.id}/devices", json=body)
        assert answer.status_code == 200, answer.text
        return int(answer.json()["devices"])

    async def leave(self) -> None:
        answer = await self.http.delete(f"/internal/nodes/{self.id}")
        assert answer.status_code == 204, answer.text


@pytest.fixture
def node(gateway: httpx.AsyncClient) -> Node:
    return Node(gateway)


@pytest.fixture
def other(gateway: httpx.AsyncClient) -> Node:
    return Node(gateway)


async def devices_of(account: Account) -> dict[str, dict[str, Any]]:
    items = (await account.http.get("/v1/devices")).json()["items"]
    return {item["id"]: item for item in items}


async def online(account: Account) -> set[str]:
    return {key for key, device in (await devices_of(account)).items() if device["online"]}


async def last_seen(account: Account, device_id: str) -> datetime:
    return datetime.fromisoformat((await devices_of(account))[device_id]["last_seen_at"])


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


@dataclass
class Crowd:
    """Everything that takes hold of devices, by chance and in any order."""

    auth: Auth
    gateway: httpx.AsyncClient
    accounts: list[Account]
    nodes: list[Node]
    known: list[tuple[Account, str]] = field(default_factory=list)
    dice: random.Random = field(default_factory=lambda: random.Random(0))

    async def gather(self) -> None:
        for node in self.nodes:
            for account in self.accounts:
                self.known += [(account, await node.connect(account, f"c{n}")) for n in range(4)]

    @property
    def device_ids(self) -> list[str]:
        return sorted({device_id for _, device_id in self.known})

    @property
    def acts(self) -> list[Callable[[], Awaitable[int]]]:
        often = [self.connect] * 6 + [self.disconnect] * 4 + [self.say] * 4
        return [*often, self.log_in, self.leave, self.give_up, self.remove, self.end_logins]

    async def connect(self) -> int:
        account = self.dice.choice(self.accounts)
        token = account.tokens["access_token"]
        identity = await self.auth.app.state.verifier.verify(token)
        body = {
            "node_id": self.dice.choice(self.nodes).id,
            "user_id": account.id,
            "session_id": str(identity.session_id),
            "client_id": f"c{self.dice.randrange(6)}",
        }
        return (await self.gateway.post("/internal/devices/connect", json=body)).status_code

    async def disconnect(self) -> int:
        account, device_id = self.dice.choice(self.known)
        node = self.dice.choice(self.nodes)
        body = {"node_id": node.id, "user_id": account.id, "device_id": device_id}
        return (await self.gateway.post("/internal/devices/disconnect", json=body)).status_code

    async def say(self) -> int:
        some = self.dice.sample(self.device_ids, self.dice.randrange(len(self.device_ids)))
        path = f"/internal/nodes/{self.dice.choice(self.nodes).id}/devices"
        return (await self.gateway.put(path, json={"device_ids": some})).status_code

    async def leave(self) -> int:
        path = f"/internal/nodes/{self.dice.choice(self.nodes).id}"
        return (await self.gateway.delete(path)).status_code

    async def give_up(self) -> int:
        # After so long every heartbeat is too old.
        self.auth.let_pass(timedelta(seconds=self.auth.settings.device_lease_seconds * 3))
        await sweep(self.auth.app.state.work, self.auth.settings)
        return 204

    async def remove(self) -> int:
        account, device_id = self.dice.choice(self.known)
        return (await account.http.delete(f"/v1/devices/{device_id}")).status_code

    async def log_in(self) -> int:
        account, device_id = self.dice.choice(self.known)
        form = {"grant_type": "password", "username": account.username, "password": PASSWORD}
        return (
            await account.http.post("/token", data={**form, "device_id": device_id})
        ).status_code

    async def end_logins(self) -> int:
        account = self.dice.choice(self.accounts)
        body = {"scope": "others"}
        return (await account.http.post("/v1/auth/logout", json=body)).status_code

    async def erase(self) -> int:
        return (await self.accounts[0].http.delete("/v1/users/me")).status_code


async def test_whatever_happens_at_once_nobody_waits_in_a_circle(
    auth: Auth, gateway: httpx.AsyncClient
) -> None:
    """A deadlock would be a 500: PostgreSQL ends one of those who wait for each other."""
    accounts = [await register(auth, f"d{number}") for number in range(4)]
    crowd = Crowd(auth, gateway, accounts, [Node(gateway) for _ in range(3)])
    await crowd.gather()

    async def go_on(worker: int) -> None:
        for step in range(25):
            act = crowd.erase if (worker, step) == (0, 15) else crowd.dice.choice(crowd.acts)
            status = await act()
            assert status in (200, 204, 400, 401, 404), act.__name__

    await asyncio.gather(*(go_on(worker) for worker in range(10)))
    # And what the nodes say after that is what everybody sees.
    first, *others = crowd.nodes
    for node in others:
        await node.leave()
    await first.beat()
    await first.says(crowd.device_ids)
    for account in accounts[1:]:
        assert await online(account) == set(await devices_of(account)) & set(crowd.device_ids)


async def presence(node: Node, *user_ids: str) -> dict[str, Any]:
    answer = await node.http.post("/internal/presence", json={"user_ids": list(user_ids)})
    assert answer.status_code == 200, answer.text
    read: dict[str, Any] = answer.json()
    assert read.keys() == {"online", "last_seen"}
    assert len(read["online"]) == len(set(read["online"]))
    return read


async def test_a_user_is_present_while_a_device_of_theirs_is_online(
    auth: Auth, ada: Account, bob: Account, node: Node, other: Node
) -> None:
    phone, laptop = await node.connect(ada), await node.connect(ada, "laptop")
    await other.connect(ada, "laptop")
    nobody = str(uuid7())
    read = await presence(node, ada.id, bob.id, nobody, ada.id)
    assert read["online"] == [ada.id]
    assert read["last_seen"].keys() == {ada.id}  # the others have no device
    await node.disconnect(ada, phone)
    await node.disconnect(ada, laptop)
    assert (await presence(node, ada.id))["online"] == [ada.id]
    assert (await presence(node, bob.id))["online"] == []
    auth.let_pass(timedelta(seconds=5))
    await other.disconnect(ada, laptop)
    left_at = await last_seen(ada, laptop)
    auth.let_pass(timedelta(seconds=5))
    read = await presence(node, ada.id)
    assert read["online"] == []
    assert datetime.fromisoformat(read["last_seen"][ada.id]) == left_at


async def test_a_silent_nodes_users_are_absent_when_its_lease_ends(
    auth: Auth, ada: Account, bob: Account, node: Node, other: Node
) -> None:
    phone = await node.connect(ada)
    await other.connect(bob)
    lease = timedelta(seconds=auth.settings.device_lease_seconds)
    auth.let_pass(lease * 0.6)
    await other.beat()
    assert set((await presence(node, ada.id, bob.id))["online"]) == {ada.id, bob.id}
    auth.let_pass(lease * 0.6)
    read = await presence(node, ada.id, bob.id)
    assert read["online"] == [bob.id]
    # As it is told of the device itself, before and after the node is given up.
    assert datetime.fromisoformat(read["last_seen"][ada.id]) == await last_seen(ada, phone)
    auth.let_pass(lease * 2)
    await sweep(auth.app.state.work, auth.settings)
    again = await presence(node, ada.id, bob.id)
    assert again["online"] == []
    assert again["last_seen"][ada.id] == read["last_seen"][ada.id]


async def test_presence_is_told_of_200_at_once_and_to_services_only(
    ada: Account, node: Node
) -> None:
    await node.connect(ada)
    many = [ada.id, *(str(uuid7()) for _ in range(199))]
    assert (await presence(node, *many))["online"] == [ada.id]
    for wrong in ([*many, str(uuid7())], ["x"], None):
        refused = await node.http.post("/internal/presence", json={"user_ids": wrong})
        assert refused.status_code == 422
    answer = await ada.http.post("/internal/presence", json={"user_ids": [ada.id]})
    assert answer.status_code == 401
