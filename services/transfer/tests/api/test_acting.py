"""Accepting, rejecting, pausing, resuming, cancelling: by whom, when, and who hears of it."""

import pytest

from services.transfer.tests.support.world import MIB, Json, Person, World, own_part
from sharezync_shared.ids import uuid7


async def test_accepting_takes_every_file(world: World) -> None:
    ada, bob = await world.people(2)
    offered = await ada.offer(bob, files={"a": MIB, "b": 5})
    accepted = await bob.act(offered, "accept")
    assert accepted["state"] == "accepted"
    assert own_part(bob, accepted)["accepted_bytes"] == MIB + 5
    assert await world.told(ada) == ["transfer_updated", "transfer_updated"]
    assert await world.told(bob) == ["incoming_transfer", "transfer_updated"]
    assert (await ada.sees(offered))["state"] == "accepted"


async def test_accepting_some_files_leaves_out_the_others(world: World) -> None:
    ada, bob = await world.people(2)
    offered = await ada.offer(bob, files={"a": 1, "b": 20, "c": 300})
    accepted = await bob.act(offered, "accept", {"files": [2, 0]})
    assert own_part(bob, accepted)["accepted_bytes"] == 301
    attached = await world.attach(bob, offered)
    assert [file["accepted"] for file in attached["files"]] == [True, False, True]


@pytest.mark.parametrize("files", [[], [3], [0, 9], [-1]])
async def test_accepting_what_is_not_offered_is_refused(world: World, files: list[int]) -> None:
    ada, bob = await world.people(2)
    offered = await ada.offer(bob, files={"a": 1, "b": 20, "c": 300})
    path = f"/v1/transfers/{offered['id']}/accept"
    assert await bob.refused(path, {"files": files}, status=422) == "invalid"
    assert (await bob.act(offered, "accept", {"files": [1]}))["state"] == "accepted"


async def test_accepting_otherwise_a_second_time_is_refused(world: World) -> None:
    ada, bob = await world.people(2)
    offered = await ada.offer(bob, files={"a": 1, "b": 20})
    path = f"/v1/transfers/{offered['id']}/accept"
    await bob.post(path, {"files": [1]})
    refused = await bob.post(path, {"files": [0]}, 409)
    assert (refused["code"], refused["files"]) == ("accepted-otherwise", [1])
    await bob.post(path, {"files": [1]})
    await bob.post(path)


@pytest.mark.parametrize("act", ["accept", "reject", "pause", "resume", "cancel"])
async def test_acts_may_be_repeated_and_are_told_once(world: World, act: str) -> None:
    ada, bob = await world.people(2)
    offered = await ada.offer(bob)
    if act in {"pause", "resume"}:
        await bob.act(offered, "accept")
    if act == "resume":
        await bob.act(offered, "pause")
    first = await bob.act(offered, act)
    events = await world.events(bob)
    assert await bob.act(offered, act) == first
    assert await world.events(bob) == events


async def test_a_sender_acts_for_all_and_a_recipient_for_themselves(world: World) -> None:
    ada, bob, eve = await world.people(3)
    offered = await ada.offer(bob, eve)
    await bob.act(offered, "accept")
    await eve.act(offered, "accept")
    assert (await bob.act(offered, "pause"))["state"] == "paused"
    assert (await eve.sees(offered))["state"] == "accepted"
    await ada.act(offered, "pause")
    assert (await eve.sees(offered))["state"] == "paused"
    await ada.act(offered, "resume")
    assert [(await each.sees(offered))["state"] for each in (bob, eve)] == ["accepted"] * 2
    await eve.act(offered, "cancel")
    assert (await ada.sees(offered))["state"] == "accepted"
    await ada.act(offered, "cancel")
    assert (await bob.sees(offered))["state"] == "cancelled"


async def test_what_concerns_one_recipient_is_not_told_to_the_other(world: World) -> None:
    ada, bob, eve = await world.people(3)
    offered = await ada.offer(bob, eve)
    await bob.act(offered, "accept")
    assert await world.told(eve) == ["incoming_transfer"]


async def test_what_is_over_can_not_be_taken_up_again(world: World) -> None:
    ada, bob = await world.people(2)
    offered = await ada.offer(bob)
    await bob.act(offered, "reject")
    path = f"/v1/transfers/{offered['id']}"
    for person, act in ((bob, "accept"), (bob, "cancel"), (ada, "cancel"), (ada, "resume")):
        refused = await person.post(f"{path}/{act}", status=409)
        assert (refused["code"], refused["state"]) == ("transfer-over", "rejected")


async def test_what_was_not_accepted_can_not_be_paused(world: World) -> None:
    ada, bob = await world.people(2)
    offered = await ada.offer(bob)
    path = f"/v1/transfers/{offered['id']}/pause"
    assert await bob.refused(path, status=409) == "wrong-state"
    assert await ada.refused(path, status=409) == "wrong-state"


async def test_an_accepted_offer_is_cancelled_and_not_rejected(world: World) -> None:
    ada, bob = await world.people(2)
    offered = await ada.offer(bob)
    await bob.act(offered, "accept")
    path = f"/v1/transfers/{offered['id']}/reject"
    assert await bob.refused(path, status=409) == "wrong-state"


@pytest.mark.parametrize(
    ("act", "body"),
    [("accept", None), ("reject", None), ("resume", {"have": {}})],
)
async def test_a_sender_can_not_do_what_is_a_recipients(
    world: World, act: str, body: Json | None
) -> None:
    ada, bob = await world.people(2)
    offered = await ada.offer(bob)
    path = f"/v1/transfers/{offered['id']}/{act}"
    assert await ada.refused(path, body, status=403) == "forbidden"


ACTS = ["accept", "reject", "pause", "resume", "cancel", "complete"]


@pytest.mark.parametrize("act", ACTS)
async def test_strangers_can_do_nothing(world: World, act: str) -> None:
    ada, bob, eve = await world.people(3)
    offered = await ada.offer(bob)
    path = f"/v1/transfers/{offered['id']}"
    assert await eve.refused(f"{path}/{act}", status=404) == "not-found"
    assert await eve.refused(f"/v1/transfers/{uuid7()}/{act}", status=404) == "not-found"
    for look in ("", "/missing"):
        await eve.get(path + look, 404)
    assert (await bob.sees(offered))["state"] == "offered"


async def test_an_offer_to_one_device_is_not_for_another(world: World) -> None:
    ada, bob = await world.people(2)
    phone, tablet = await world.on_device(bob), await world.on_device(bob)
    offered = await ada.offer(phone)
    path = f"/v1/transfers/{offered['id']}/accept"
    assert await tablet.refused(path, status=403) == "other-device"
    assert (await phone.act(offered, "accept"))["state"] == "accepted"


async def test_the_device_that_accepts_is_known_to_the_sender(world: World) -> None:
    ada, bob = await world.people(2)
    phone = await world.on_device(bob)
    offered = await ada.offer(bob)
    await phone.act(offered, "accept")
    assert own_part(bob, await ada.sees(offered))["device_id"] == phone.device_id


async def half_received(world: World) -> tuple[Person, Person, Json]:
    ada, bob = await world.people(2)
    offered = await ada.offer(bob, files={"a": 4 * MIB})
    await bob.act(offered, "accept")
    await world.report(bob, offered, received={"0": [[0, 1]]})
    return ada, bob, offered


async def test_who_resumes_elsewhere_says_what_is_there(world: World) -> None:
    _, bob, offered = await half_received(world)
    tablet = await world.on_device(bob)
    resumed = await tablet.act(offered, "resume", {"have": {"0": [[3, 3]]}})
    assert own_part(bob, resumed)["received_bytes"] == MIB
    assert (await world.attach(tablet, offered))["received"] == {"0": [[3, 3]]}
    missing = await tablet.get(f"/v1/transfers/{offered['id']}/missing")
    assert missing["files"] == [{"index": 0, "chunk_count": 4, "missing": [[0, 2]]}]


async def test_who_resumes_without_a_word_goes_on_where_they_were(world: World) -> None:
    _, bob, offered = await half_received(world)
    await bob.act(offered, "pause")
    assert (await bob.act(offered, "resume"))["state"] == "receiving"
    assert (await world.attach(bob, offered))["received"] == {"0": [[0, 1]]}


async def test_who_held_everything_and_resumes_with_less_is_receiving_again(world: World) -> None:
    _, bob, offered = await half_received(world)
    await world.receives(bob, offered)
    assert (await bob.sees(offered))["state"] == "verifying"
    resumed = await bob.act(offered, "resume", {"have": {}})
    assert (resumed["state"], own_part(bob, resumed)["received_bytes"]) == ("receiving", 0)


@pytest.mark.parametrize("have", [{"0": [[2, 1]]}, {"0": [[-1, 1]]}, {"x": []}, {"0": [[1]]}, []])
async def test_what_is_no_set_of_chunks_is_refused(world: World, have: object) -> None:
    _, bob, offered = await half_received(world)
    path = f"/v1/transfers/{offered['id']}/resume"
    assert await bob.refused(path, {"have": have}, status=422) == "invalid"


async def test_chunks_that_do_not_exist_are_not_held(world: World) -> None:
    _, bob, offered = await half_received(world)
    resumed = await bob.act(offered, "resume", {"have": {"0": [[0, 99]], "7": [[0, 1]]}})
    assert own_part(bob, resumed)["received_bytes"] == 4 * MIB


async def test_going_on_with_another_device_is_told_though_nothing_else_changes(
    world: World,
) -> None:
    ada, bob = await world.people(2)
    phone, laptop = await world.on_device(bob), await world.on_device(bob)
    offered = await ada.offer(bob)
    await phone.act(offered, "accept")
    resumed = await laptop.act(offered, "resume", {"have": {}})
    assert own_part(bob, resumed)["device_id"] == laptop.device_id
    for person in (ada, bob):
        assert (await world.events(person))[-1]["data"] == await person.sees(offered)
