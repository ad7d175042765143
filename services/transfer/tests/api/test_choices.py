"""What people want to be sent: policies, blocked people, and how many strangers may wait."""

import asyncio

import pytest

from services.transfer.tests.support.world import MIB, Json, Person, World, own_part
from sharezync_shared.events.contracts import UserBlocked, UserDeleted, UserUnblocked
from sharezync_shared.ids import uuid7
from sharezync_testkit.lines import Lines
from sharezync_transfer.settings import TransferSettings
from sharezync_transfer.usecases import acquaintances

OF_SENDER = TransferSettings.model_fields["offers_per_sender"].default
FROM_STRANGERS = TransferSettings.model_fields["offers_from_strangers"].default
OF_A_STRANGER = FROM_STRANGERS // 2


async def decide(device: Person, policy: str) -> Json:
    path = f"/v1/transfers/policies/{device.device_id}"
    return await device.call("PUT", path, 200, json={"policy": policy})


async def block(world: World, person: Person, whom: Person, version: int = 1) -> None:
    """Have auth say that somebody has blocked somebody."""
    await world.publish(UserBlocked(user_id=person.uuid, blocked_id=whom.uuid, version=version))


async def unblock(world: World, person: Person, whom: Person, version: int = 2) -> None:
    await world.publish(UserUnblocked(user_id=person.uuid, blocked_id=whom.uuid, version=version))


# ---------------------------------------------------------------------------------------- policies


async def test_every_device_asks_until_told_otherwise(world: World) -> None:
    bob = await world.person()
    phone = await world.on_device(bob)
    path = f"/v1/transfers/policies/{phone.device_id}"
    assert (await bob.get("/v1/transfers/policies")) == {"items": [], "next": None}
    asks = {"device_id": phone.device_id, "policy": "ask", "updated_at": None}
    assert await bob.get(path) == asks
    for policy in ("block", "accept_known"):
        put = await decide(phone, policy)
        assert put["policy"] == policy
        assert await bob.get(path) == put
        assert (await bob.get("/v1/transfers/policies"))["items"] == [put]


async def test_somebody_elses_device_is_nobodys_to_decide_for(world: World) -> None:
    ada, bob = await world.people(2)
    phone = await world.on_device(bob)
    for device_id in (phone.device_id, uuid7()):
        path = f"/v1/transfers/policies/{device_id}"
        await ada.call("PUT", path, 404, json={"policy": "block"})
        await ada.get(path, 404)
    world.peers.away.add("auth")
    path = f"/v1/transfers/policies/{phone.device_id}"
    await bob.call("PUT", path, 503, json={"policy": "block"})


async def test_what_acquaintances_send_is_accepted_in_the_same_moment(world: World) -> None:
    ada, bob = await world.people(2)
    phone = await world.on_device(bob)
    await decide(phone, "accept_known")
    world.befriend(ada, bob)
    offered = await ada.offer(bob)
    part = own_part(bob, offered)
    assert (offered["state"], part["state"]) == ("accepted", "accepted")
    assert (part["device_id"], part["accepted_bytes"]) == (phone.device_id, 3 * MIB)
    (_, incoming) = await world.events(bob)
    assert incoming["type"] == "incoming_transfer"
    assert incoming["data"] == await bob.sees(offered)
    await world.receives(phone, offered)
    world.peers.store_everything()
    assert (await ada.act(offered, "complete"))["state"] == "completed"


async def test_what_is_empty_is_all_there_when_it_is_accepted(world: World) -> None:
    ada, bob = await world.people(2)
    await decide(await world.on_device(bob), "accept_known")
    world.befriend(ada, bob)
    assert (await ada.offer(bob, files={"empty": 0}))["state"] == "verifying"


async def test_what_strangers_send_waits_for_an_answer(world: World) -> None:
    ada, bob = await world.people(2)
    phone = await world.on_device(bob)
    await decide(phone, "accept_known")
    first = await ada.offer(bob)
    assert first["state"] == "offered"
    await bob.act(first, "accept")
    assert (await ada.offer(bob))["state"] == "accepted"  # by now they have met


async def test_who_only_had_a_device_accept_knows_the_sender_no_longer_than_before(
    world: World,
) -> None:
    """Else one channel, left long ago, would have files taken for ever."""
    ada, bob = await world.people(2)
    await decide(await world.on_device(bob), "accept_known")
    world.befriend(ada, bob)
    assert (await ada.offer(bob))["state"] == "accepted"
    world.peers.channels.clear()
    assert (await ada.offer(bob))["state"] == "offered"


async def test_the_latest_device_to_say_so_accepts_unless_one_is_chosen(world: World) -> None:
    ada, bob = await world.people(2)
    world.befriend(ada, bob)
    first, second, asking = [await world.on_device(bob) for _ in range(3)]
    await decide(first, "accept_known")
    await decide(second, "accept_known")

    async def taken_by(to: Person) -> tuple[str, str | None]:
        part = own_part(bob, await ada.offer(to))
        return part["state"], part["device_id"]

    assert await taken_by(bob) == ("accepted", second.device_id)
    assert await taken_by(first) == ("accepted", first.device_id)
    assert await taken_by(asking) == ("offered", asking.device_id)
    await decide(first, "accept_known")
    assert await taken_by(bob) == ("accepted", first.device_id)


async def test_a_device_that_is_gone_accepts_nothing(world: World) -> None:
    ada, bob = await world.people(2)
    world.befriend(ada, bob)
    phone = await world.on_device(bob)
    await decide(phone, "accept_known")
    world.peers.devices.clear()
    assert (await ada.offer(bob))["state"] == "offered"


async def test_where_chat_is_away_everybody_is_asked_and_no_offer_tells_of_it_again(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    ada, bob = await world.people(2)
    world.befriend(ada, bob)
    await decide(await world.on_device(bob), "accept_known")
    world.peers.away.add("chat")
    lines = Lines.capture(acquaintances, monkeypatch)
    assert (await ada.offer(bob))["state"] == "offered"
    assert [line["level"] for line in lines.written] == ["debug"]


async def test_a_device_that_takes_nothing_rejects_what_is_for_it_alone(world: World) -> None:
    ada, bob, eve = await world.people(3)
    phone = await world.on_device(bob)
    await decide(phone, "block")
    refused = await ada.offer(phone)
    assert refused["state"] == "rejected"
    assert await world.told(bob) == ["policy_updated", "transfer_updated"]
    assert (await world.events(bob))[-1]["data"] == await bob.sees(refused)
    assert (await ada.get("/v1/transfers/stats"))["sent"]["ended"] == 1
    both = await ada.offer(phone, eve)
    assert both["state"] == "offered"
    assert [own_part(each, both)["state"] for each in (bob, eve)] == ["rejected", "offered"]
    assert (await ada.offer(bob))["state"] == "offered"  # whichever accepts


async def test_a_chosen_device_must_be_the_recipients(world: World) -> None:
    ada, bob, eve = await world.people(3)
    phone = await world.on_device(eve)
    files = [{"name": "a", "size": 1}]
    for device_id in (phone.device_id, str(uuid7())):
        to = [{"user_id": bob.id, "device_id": device_id}]
        body = {"recipients": to, "files": files}
        assert await ada.refused("/v1/transfers", body, status=422) == "invalid"
    assert world.peers.uploads == {}
    world.peers.away.add("auth")
    await ada.offer(phone, status=503)


# ----------------------------------------------------------------------------------------- blocked


async def test_what_a_blocked_person_offers_is_never_heard_of(world: World) -> None:
    ada, bob, eve = await world.people(3)
    world.befriend(ada, bob)
    phone = await world.on_device(bob)
    await decide(phone, "accept_known")
    await block(world, bob, ada)
    offers = [await ada.offer(bob, eve), await ada.offer(bob)]
    for offered in offers:
        path = f"/v1/transfers/{offered['id']}"
        for call in ("", "/missing"):
            await bob.get(path + call, 404)
        for act in ("accept", "reject", "pause", "resume", "cancel", "token"):
            await bob.post(f"{path}/{act}", None, 404)
        await bob.post(f"{path}/receipts", {"file": 0, "ranges": [[0, 0]]}, 404)
        await world.attach(bob, offered, 404)
        await world.report(bob, offered, 404, received={"0": [[0, 0]]})
    await ada.act(offers[0], "cancel")
    assert await world.told(bob) == ["policy_updated"]
    assert (await bob.get("/v1/transfers"))["items"] == []
    nothing = (await bob.get("/v1/transfers/stats"))["received"]
    assert (nothing["transfers"], nothing["ended"]) == (0, 0)


async def test_a_blocked_person_sees_what_one_sees_who_gets_no_answer(world: World) -> None:
    """To be compared with `eve`, who just does not answer."""
    ada, bob, eve = await world.people(3)
    await block(world, bob, ada)
    seen, told = [], []
    for whom in (bob, eve):
        before = len(await world.told(ada))
        offered = await ada.offer(whom)
        part = {**own_part(whom, offered), "user_id": None}
        await world.report(ada, offered, stored={"0": MIB})
        cancelled = await ada.act(offered, "cancel")
        seen.append((offered["state"], part, cancelled["state"]))
        told.append((await world.told(ada))[before:])
    assert seen[0] == seen[1]
    assert told[0] == told[1] == ["transfer_updated"] * 2
    stats = (await ada.get("/v1/transfers/stats"))["peers"]
    assert [each["sent"]["ended"] for each in stats] == [1, 1]


async def test_who_has_blocked_one_has_no_devices_to_offer_to(world: World) -> None:
    """Auth shows none either; what one knows of before is gone."""
    ada, bob, eve = await world.people(3)
    phone, old = await world.on_device(bob), await world.on_device(eve)
    await decide(phone, "block")
    await block(world, bob, ada)
    world.peers.devices.discard((eve.id, str(old.device_id)))
    one, other = await ada.offer(phone, status=422), await ada.offer(old, status=422)
    assert one["detail"].replace(bob.id, "").replace(str(phone.device_id), "") == (
        other["detail"].replace(eve.id, "").replace(str(old.device_id), "")
    )
    assert (await eve.offer(phone))["state"] == "rejected"


@pytest.mark.parametrize("acquainted", [True, False])
async def test_what_is_hidden_meets_every_limit_as_what_is_not_answered(
    world: World, acquainted: bool
) -> None:
    """Neither who is blocked can tell by counting, nor a friend of theirs."""
    answers: list[list[tuple[int, list[object]]]] = []
    for blocks in (True, False):
        bob, *others = await world.people(4)
        for each in others[:2]:
            if acquainted:
                world.befriend(each, bob)
        if blocks:
            await block(world, bob, others[0])
            await block(world, bob, others[1], version=2)
        answers.append([])
        for each in others:
            for _ in range(OF_A_STRANGER + 1):
                body = {
                    "recipients": [{"user_id": bob.id}],
                    "files": [{"name": "a", "size": 1}],
                }
                answer = await each.http.post("/v1/transfers", json=body)
                told = answer.json()
                kept = ("code", "detail", "of", "limit", "pending", "state")
                answers[-1].append((answer.status_code, [told.get(key) for key in kept]))
    assert answers[0] == answers[1]
    taken = [status for status, _ in answers[0]].count(201)
    assert taken == (2 * (OF_A_STRANGER + 1) + OF_A_STRANGER if acquainted else 2 * OF_A_STRANGER)


async def test_unblocking_brings_back_what_comes_from_then_on(world: World) -> None:
    ada, bob = await world.people(2)
    before = await ada.offer(bob)
    await block(world, bob, ada)
    await ada.offer(bob)
    await unblock(world, bob, ada)
    after = await ada.offer(bob)
    listed = (await bob.get("/v1/transfers"))["items"]
    assert [each["id"] for each in listed] == [after["id"], before["id"]]


async def test_nobody_offers_to_whom_they_have_blocked(world: World) -> None:
    ada, bob, eve = await world.people(3)
    await block(world, ada, bob)
    refused = await ada.offer(eve, bob, status=409)
    assert (refused["code"], refused["user_ids"]) == ("user-blocked", [bob.id])
    assert world.peers.uploads == {}
    await unblock(world, ada, bob)
    await ada.offer(bob)


async def test_facts_come_in_any_order_and_twice(world: World) -> None:
    ada, bob = await world.people(2)
    await unblock(world, bob, ada, version=2)
    await block(world, bob, ada, version=1)
    await ada.offer(bob)
    assert len((await bob.get("/v1/transfers"))["items"]) == 1
    await block(world, bob, ada, version=3)
    await unblock(world, bob, ada, version=2)
    await ada.offer(bob)
    assert len((await bob.get("/v1/transfers"))["items"]) == 1


async def test_only_who_accepted_takes_what_the_other_sends(world: World) -> None:
    """Who sent something has agreed to nothing: their devices ask."""
    ada, bob = await world.people(2)
    for person in (ada, bob):
        await decide(await world.on_device(person), "accept_known")
    await bob.act(await ada.offer(bob), "accept")
    assert (await ada.offer(bob))["state"] == "accepted"
    assert (await bob.offer(ada))["state"] == "offered"


async def test_the_choices_of_who_is_gone_are_forgotten(world: World) -> None:
    ada, bob = await world.people(2)
    await decide(await world.on_device(bob), "block")
    await block(world, bob, ada)
    await block(world, ada, bob)
    await world.publish(UserDeleted(user_id=bob.uuid))
    for table, column in (("policies", "user_id"), ("blocks", "user_id"), ("blocks", "blocked_id")):
        where = f"SELECT FROM transfer.{table} WHERE {column} = $1"
        assert not await world.rows(where, bob.uuid)
    await block(world, ada, bob, version=9)  # late
    assert not await world.rows("SELECT FROM transfer.blocks WHERE blocked_id = $1", bob.uuid)


# ------------------------------------------------------------------------------------------ limits


async def test_strangers_wait_in_a_short_queue_and_acquaintances_in_none(world: World) -> None:
    bob, friend, ada = await world.people(3)
    strangers = await world.people(FROM_STRANGERS)
    offers = [await each.offer(bob) for each in strangers]
    world.peers.uploads.clear()
    refused = await ada.offer(bob, status=429)
    assert refused["code"] == "too-many-offers"
    assert (refused["of"], refused["user_id"]) == ("recipient", bob.id)
    assert (refused["limit"], refused["pending"]) == (FROM_STRANGERS, FROM_STRANGERS)
    assert world.peers.uploads == {}
    world.befriend(friend, bob)
    await friend.offer(bob)
    await bob.act(offers[0], "reject")
    await ada.offer(bob)


async def test_one_stranger_leaves_room_for_others(world: World) -> None:
    eve, ada, bob = await world.people(3)
    offers = [await eve.offer(ada) for _ in range(OF_A_STRANGER)]
    refused = await eve.offer(ada, status=429)
    assert (refused["of"], refused["user_id"]) == ("recipient", ada.id)
    assert (refused["limit"], refused["pending"]) == (OF_A_STRANGER, OF_A_STRANGER)
    await bob.offer(ada)
    await eve.act(offers[0], "cancel")
    await eve.offer(ada)


async def test_a_sender_has_only_so_many_offers_waiting(world: World) -> None:
    ada, bob, eve = await world.people(3)
    world.befriend(ada, bob)
    offered = await ada.offer(bob)
    await world.rows(
        "INSERT INTO transfer.transfers (id, sender_id, note, chunk_size_bytes, file_count, "
        "size_bytes, state, created_at, expires_at, progress_at) "
        "SELECT gen_random_uuid(), sender_id, '', chunk_size_bytes, 1, 0, 'offered', created_at, "
        "expires_at, progress_at FROM transfer.transfers, generate_series(2, $2) WHERE id = $1",
        offered["id"],
        OF_SENDER,
    )
    refused = await ada.offer(bob, status=429)
    assert (refused["of"], refused["limit"], refused["pending"]) == ("sender", OF_SENDER, OF_SENDER)
    await bob.act(offered, "accept")
    await ada.offer(bob)
    await eve.offer(bob)


@pytest.mark.parametrize("attempts", [4])
async def test_many_at_once_do_not_slip_in_together(world: World, attempts: int) -> None:
    bob = await world.person()
    strangers = await world.people(FROM_STRANGERS - 1 + attempts)
    for each in strangers[: FROM_STRANGERS - 1]:
        await each.offer(bob)
    body = {"recipients": [{"user_id": bob.id}], "files": [{"name": "a", "size": 1}]}
    answers = await asyncio.gather(
        *(each.http.post("/v1/transfers", json=body) for each in strangers[FROM_STRANGERS - 1 :])
    )
    assert sorted(each.status_code for each in answers) == [201] + [429] * (attempts - 1)
