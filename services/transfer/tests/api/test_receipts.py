"""What recipients without a socket confirm over REST."""

import pytest

from services.transfer.tests.support.world import MIB, Json, Person, World, own_part


async def confirm(person: Person, transfer: Json, status: int = 200, **body: object) -> Json:
    return await person.post(f"/v1/transfers/{transfer['id']}/receipts", body, status)


async def test_a_recipient_without_a_socket_completes(world: World) -> None:
    ada, bob = await world.people(2)
    sent = await ada.offer(bob, files={"a": 3 * MIB, "b": 1})
    await bob.act(sent, "accept")
    first = await confirm(bob, sent, file=0, ranges=[[0, 0], [2, 2]])
    assert first == own_part(bob, await bob.sees(sent))
    assert (first["state"], first["received_bytes"]) == ("receiving", 2 * MIB)
    again = await confirm(bob, sent, file=0, ranges=[[0, 2]])
    assert again["received_bytes"] == 3 * MIB
    last = await confirm(bob, sent, file=1, ranges=[[0, 0]])
    assert last["state"] == "verifying"
    world.peers.store_everything()
    await ada.act(sent, "complete")
    repeated = await confirm(bob, sent, file=1, ranges=[[0, 0]])  # its answer had been lost
    assert (repeated["state"], repeated["received_bytes"]) == ("completed", 3 * MIB + 1)
    assert (await world.told(bob))[-1] == "transfer_completed"


async def test_a_capability_token_does_it_all_without_an_access_token(world: World) -> None:
    ada, bob = await world.people(2)
    sent = await ada.offer(bob, files={"a": 2 * MIB})
    taken = await bob.act(sent, "accept")
    for person, token in ((ada, sent["token"]), (bob, taken["token"])):
        person.http.headers["Authorization"] = f"Transfer {token}"
    missing = f"/v1/transfers/{sent['id']}/missing"
    world.peers.named("a").stored.add(0)
    assert (await ada.get(missing))["files"][0]["missing"] == [[1, 1]]
    assert (await bob.get(missing))["files"][0]["missing"] == [[0, 1]]
    await confirm(bob, sent, file=0, ranges=[[0, 1]])
    world.peers.store_everything()
    assert (await ada.act(sent, "complete"))["state"] == "completed"
    assert (await bob.get(missing))["files"][0]["missing"] == []


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"file": 0},
        {"file": 0, "ranges": []},
        {"file": 0, "ranges": [[1, 0]]},
        {"file": 0, "ranges": [[0]]},
        {"file": -1, "ranges": [[0, 0]]},
        {"file": 2, "ranges": [[0, 0]]},
        {"file": 1, "ranges": [[0, 0]]},  # not accepted
    ],
)
async def test_what_is_no_receipt_is_refused(world: World, body: Json) -> None:
    ada, bob = await world.people(2)
    sent = await ada.offer(bob, files={"a": 1, "b": 1})
    await bob.act(sent, "accept", {"files": [0]})
    assert (await confirm(bob, sent, 422, **body))["code"] == "invalid"
    assert own_part(bob, await bob.sees(sent))["received_bytes"] == 0


async def test_chunks_beyond_the_end_count_for_nothing(world: World) -> None:
    ada, bob = await world.people(2)
    sent = await ada.offer(bob, files={"a": 2 * MIB})
    await bob.act(sent, "accept")
    assert (await confirm(bob, sent, file=0, ranges=[[2, 99]]))["received_bytes"] == 0


async def test_nothing_is_confirmed_before_it_is_accepted_nor_after_the_end(world: World) -> None:
    ada, bob = await world.people(2)
    sent = await ada.offer(bob)
    assert (await confirm(bob, sent, 409, file=0, ranges=[[0, 0]]))["code"] == "wrong-state"
    await bob.act(sent, "accept")
    await bob.act(sent, "cancel")
    assert (await confirm(bob, sent, 409, file=0, ranges=[[0, 0]]))["code"] == "transfer-over"
