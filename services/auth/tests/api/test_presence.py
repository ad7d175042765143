"""Who is present, as gateways ask it: as long as a device of theirs is online."""

from datetime import datetime, timedelta
from typing import Any

from services.auth.tests.api.conftest import Account, Auth
from services.auth.tests.api.nodes import Node, last_seen
from sharezync_auth.usecases.sweeping import give_up_nodes
from sharezync_shared.ids import uuid7


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
    await node.disconnect(phone)
    await node.disconnect(laptop)
    assert (await presence(node, ada.id))["online"] == [ada.id]
    assert (await presence(node, bob.id))["online"] == []
    auth.let_pass(timedelta(seconds=5))
    await other.disconnect(laptop)
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
    await give_up_nodes(auth.app.state.work, auth.settings)
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
