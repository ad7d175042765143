"""The end: confirmed by storage, held by each recipient, in either order."""

import pytest

from services.transfer.tests.support.world import MIB, World, about
from sharezync_shared.events.contracts import TransferCompleted, TransferEnded
from sharezync_testkit.waiting import wait_until


async def test_who_holds_everything_is_through_when_it_is_confirmed(world: World) -> None:
    ada, bob = await world.people(2)
    offered = await ada.offer(bob)
    await bob.act(offered, "accept")
    standing = await world.receives(bob, offered)
    assert standing == {"state": "verifying", "recipient_state": "verifying"}
    world.peers.store_everything()
    completed = await ada.act(offered, "complete")
    assert completed["state"] == "completed"
    assert completed["completed_at"] is not None
    assert len(completed["files"][0]["root"]) == 64
    for person in (ada, bob):
        assert (await world.told(person))[-1] == "transfer_completed"
        assert (await world.events(person))[-1]["data"] == await person.sees(offered)


async def test_who_gets_the_rest_after_it_is_confirmed_is_through_then(world: World) -> None:
    ada, bob = await world.people(2)
    offered = await ada.offer(bob)
    world.peers.store_everything()
    confirmed = await ada.act(offered, "complete")
    assert confirmed["state"] == "offered"
    assert confirmed["files"][0]["stored_bytes"] == 3 * MIB
    await bob.act(offered, "accept")
    half = await world.report(bob, offered, received={"0": [[0, 1]]})
    assert half["recipient_state"] == "receiving"
    whole = await world.report(bob, offered, received={"0": [[2, 2]]})
    assert whole == {"state": "completed", "recipient_state": "completed"}
    assert (await world.told(ada))[-1] == "transfer_completed"
    assert (await world.told(bob))[-1] == "transfer_completed"


async def test_each_recipient_is_through_alone(world: World) -> None:
    ada, bob, eve = await world.people(3)
    offered = await ada.offer(bob, eve)
    await bob.act(offered, "accept")
    await eve.act(offered, "accept")
    await world.receives(bob, offered)
    world.peers.store_everything()
    await ada.act(offered, "complete")
    assert (await bob.sees(offered))["state"] == "completed"
    assert (await eve.sees(offered))["state"] == "accepted"
    assert (await ada.sees(offered))["state"] == "accepted"
    await world.receives(eve, offered)
    assert (await ada.sees(offered))["state"] == "completed"


async def test_other_services_hear_of_each_completion_and_of_the_end(world: World) -> None:
    heard = await world.hear(TransferCompleted.type, TransferEnded.type)
    ada, bob = await world.people(2)
    offered = await ada.offer(bob)
    await bob.act(offered, "accept")
    await world.receives(bob, offered)
    world.peers.store_everything()
    await ada.act(offered, "complete")
    await wait_until(lambda: len(about(heard, offered)) == 2)
    facts = {envelope.type: envelope for envelope in about(heard, offered)}
    completed = TransferCompleted.decode(facts[TransferCompleted.type])
    ended = TransferEnded.decode(facts[TransferEnded.type])
    assert str(completed.recipient_id) == bob.id
    assert completed.size_bytes == 3 * MIB
    assert (str(ended.transfer_id), ended.outcome) == (offered["id"], "completed")


async def test_empty_files_arrive_by_being_accepted(world: World) -> None:
    ada, bob = await world.people(2)
    offered = await ada.offer(bob, files={"empty": 0, "also": 0})
    await ada.act(offered, "complete")
    assert (await bob.act(offered, "accept"))["state"] == "completed"
    assert (await world.told(ada))[-1] == "transfer_completed"


async def test_empty_files_wait_for_the_sender(world: World) -> None:
    ada, bob = await world.people(2)
    offered = await ada.offer(bob, files={"empty": 0})
    assert (await bob.act(offered, "accept"))["state"] == "verifying"
    assert (await ada.act(offered, "complete"))["state"] == "completed"


async def test_only_what_was_accepted_needs_to_arrive(world: World) -> None:
    ada, bob = await world.people(2)
    offered = await ada.offer(bob, files={"a": MIB, "b": MIB})
    world.peers.store_everything()
    await ada.act(offered, "complete")
    await bob.act(offered, "accept", {"files": [1]})
    done = await world.report(bob, offered, received={"0": [[0, 0]], "1": [[0, 0]]})
    assert done["recipient_state"] == "completed"
    (part,) = (await ada.sees(offered))["recipients"]
    assert part["received_bytes"] == MIB


async def test_what_is_not_all_there_is_named(world: World) -> None:
    ada, bob = await world.people(2)
    offered = await ada.offer(bob, files={"a": 3 * MIB, "b": MIB})
    world.peers.named("a").stored.add(1)
    world.peers.named("b").stored.add(0)
    refused = await ada.post(f"/v1/transfers/{offered['id']}/complete", status=409)
    assert refused["code"] == "upload-incomplete"
    assert refused["files"] == [{"index": 0, "missing": [[0, 0], [2, 2]]}]
    world.peers.store_everything()
    await ada.act(offered, "complete")


async def test_a_file_that_is_not_what_was_said_fails_the_transfer(world: World) -> None:
    ada, bob = await world.people(2)
    offered = await ada.offer(bob, files={"good": MIB, "bad": MIB})
    await bob.act(offered, "accept")
    world.peers.store_everything()
    world.peers.corrupt.add("bad")
    refused = await ada.post(f"/v1/transfers/{offered['id']}/complete", status=422)
    assert (refused["code"], refused["file"]) == ("digest-mismatch", 1)
    for person in (ada, bob):
        assert (await person.sees(offered))["state"] == "failed"
        assert (await world.events(person))[-1]["data"]["state"] == "failed"
    path = f"/v1/transfers/{offered['id']}/complete"
    assert await ada.refused(path, status=409) == "transfer-over"


async def test_completing_may_be_repeated(world: World) -> None:
    ada, bob = await world.people(2)
    offered = await ada.offer(bob)
    world.peers.store_everything()
    first = await ada.act(offered, "complete")
    events = await world.events(ada)
    world.peers.away.add("storage")
    assert await ada.act(offered, "complete") == first
    assert await world.events(ada) == events


async def test_completing_waits_for_storage_to_verify(world: World) -> None:
    ada, bob = await world.people(2)
    offered = await ada.offer(bob)
    world.peers.store_everything()
    world.peers.still_verifying = 3
    assert (await ada.act(offered, "complete"))["files"][0]["root"]


async def test_without_storage_the_sender_is_told_to_come_again(world: World) -> None:
    ada, bob = await world.people(2)
    offered = await ada.offer(bob)
    world.peers.store_everything()
    world.peers.away.add("storage")
    path = f"/v1/transfers/{offered['id']}/complete"
    assert await ada.refused(path, status=503) == "unavailable"
    world.peers.away.clear()
    await ada.act(offered, "complete")


async def test_a_recipient_can_not_complete(world: World) -> None:
    ada, bob = await world.people(2)
    offered = await ada.offer(bob)
    path = f"/v1/transfers/{offered['id']}/complete"
    assert await bob.refused(path, status=403) == "forbidden"


@pytest.mark.parametrize("act", ["reject", "cancel"])
async def test_what_is_over_is_not_completed(world: World, act: str) -> None:
    ada, bob = await world.people(2)
    offered = await ada.offer(bob)
    await bob.act(offered, act)
    world.peers.store_everything()
    path = f"/v1/transfers/{offered['id']}/complete"
    assert await ada.refused(path, status=409) == "transfer-over"


async def test_who_is_out_of_it_sees_nothing_that_they_do_not_hear(world: World) -> None:
    ada, bob, eve = await world.people(3)
    offered = await ada.offer(bob, eve)
    await eve.act(offered, "reject")
    await bob.act(offered, "accept")
    world.peers.store_everything()
    await ada.act(offered, "complete")
    assert (await bob.sees(offered))["files"][0]["root"]
    assert (await world.events(eve))[-1]["data"] == await eve.sees(offered)


async def test_a_completion_that_fails_is_as_if_nobody_had_tried(world: World) -> None:
    ada, bob = await world.people(2)
    offered = await ada.offer(bob, files={"whole": 0, "missing": 1})
    await ada.refused(f"/v1/transfers/{offered['id']}/complete", status=409)
    for person in (ada, bob):
        assert (await world.events(person))[-1]["data"] == await person.sees(offered)
