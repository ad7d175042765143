"""Offering files: who may be offered what, what they hear, and what is kept when it fails."""

import asyncio
from typing import Any

import msgspec
import pytest

from services.transfer.tests.support.world import MIB, World, about
from sharezync_shared.events.contracts import TransferOffered
from sharezync_shared.ids import uuid7
from sharezync_testkit.waiting import wait_until


async def test_an_offer_reaches_its_recipients_and_the_senders_other_devices(world: World) -> None:
    ada, bob, eve = await world.people(3)
    offered = await ada.offer(bob, eve, files={"film.mkv": 3 * MIB + 1, "empty": 0}, note="look!")

    assert offered["state"] == "offered"
    assert [file["chunk_count"] for file in offered["files"]] == [4, 0]
    assert offered["chunk_size_bytes"] == MIB
    assert offered["size_bytes"] == 3 * MIB + 1
    assert offered["window_bytes"] == 4 * MIB
    assert {each["user_id"] for each in offered["recipients"]} == {bob.id, eve.id}
    (incoming,) = await world.events(bob)
    assert incoming["type"] == "incoming_transfer"
    assert incoming["data"] == await bob.sees(offered)
    assert incoming["data"]["note"] == "look!"
    (own,) = await world.events(ada)
    assert own["type"] == "transfer_updated"
    assert own["data"] == await ada.sees(offered)


async def test_a_recipient_does_not_learn_who_else_got_it(world: World) -> None:
    ada, bob, eve = await world.people(3)
    offered = await ada.offer(bob, eve)
    assert [each["user_id"] for each in (await bob.sees(offered))["recipients"]] == [bob.id]


async def test_an_offer_is_answered_with_its_place_and_its_position(world: World) -> None:
    ada, bob = await world.people(2)
    body = {"recipients": [{"user_id": bob.id}], "files": [{"name": "a", "size": 1}]}
    answer = await ada.http.post("/v1/transfers", json=body)
    assert answer.headers["location"] == f"/v1/transfers/{answer.json()['id']}"
    stream, _, seq = answer.headers["stream-position"].split()
    assert (stream, seq) == (ada.stream, "1")


async def test_other_services_hear_of_an_offer(world: World) -> None:
    heard = await world.hear(TransferOffered.type)
    ada, bob = await world.people(2)
    offered = await ada.offer(bob, files={"a": 1, "b": 2})
    await wait_until(lambda: about(heard, offered))
    fact = TransferOffered.decode(about(heard, offered)[0])
    assert str(fact.transfer_id) == offered["id"]
    assert (str(fact.sender_id), [str(i) for i in fact.recipient_ids]) == (ada.id, [bob.id])
    assert (fact.file_count, fact.size_bytes) == (2, 3)


async def test_an_upload_is_opened_for_each_file(world: World) -> None:
    ada, bob = await world.people(2)
    await ada.offer(bob, files={"a": MIB, "b": 7}, chunk_size=64 * 1024)
    upload = world.peers.named("a")
    assert upload.body["owner_id"] == ada.id
    assert (upload.body["size_bytes"], upload.body["chunk_size_bytes"]) == (MIB, 64 * 1024)
    assert len(upload.body["sha256"]) == 64
    assert world.peers.named("b").chunk_count == 1


async def test_a_note_is_one_line_of_what_can_be_seen(world: World) -> None:
    ada, bob = await world.people(2)
    forged = "Holiday photos\n\nTake it? [Y/n]: y\u202e\u200b"
    offered = await ada.offer(bob, files={"a": 1}, note=forged)
    assert offered["note"] == "Holiday photos Take it? [Y/n]: y"
    assert (await ada.offer(bob, files={"b": 1}, note="\u3164\n"))["note"] == ""


async def test_names_are_cleaned(world: World) -> None:
    ada, bob = await world.people(2)
    offered = await ada.offer(bob, files={"../../etc/pass\u202ewd": 1, "nul.txt": 1})
    names = [(file["name"], file["path"]) for file in offered["files"]]
    assert names == [("passwd", "etc/passwd"), ("_nul.txt", None)]


async def test_one_may_send_to_another_device_of_ones_own(world: World) -> None:
    laptop = await world.on_device(await world.person())
    phone = await world.on_device(laptop)
    offered = await laptop.offer(phone)
    assert await world.told(laptop) == ["incoming_transfer"]
    assert (await world.attach(laptop, offered))["role"] == "sender"
    assert (await world.attach(phone, offered))["role"] == "recipient"
    assert (await phone.act(offered, "accept"))["state"] == "accepted"


async def test_an_offer_to_the_very_same_device_is_refused(world: World) -> None:
    ada = await world.on_device(await world.person())
    body = {"files": [{"name": "a", "size": 1}]}
    for device_id in (None, ada.device_id):
        recipients = [{"user_id": ada.id, "device_id": device_id}]
        code = await ada.refused("/v1/transfers", {**body, "recipients": recipients}, status=422)
        assert code == "invalid"


@pytest.mark.parametrize(
    "change",
    [
        {"recipients": []},
        {"files": []},
        {"files": [{"name": "a", "size": -1}]},
        {"files": [{"name": "", "size": 1}]},
        {"files": [{"name": "a", "size": 1, "sha256": "abc"}]},
        {"files": [{"name": "a", "size": 1}] * 1001},
        {"chunk_size": 64 * 1024 - 1},
        {"chunk_size": MIB + 1},
        {"note": "x" * 1001},
        {"note": "a\0b"},
        {"expires_in_s": 0},
        {"expires_in_s": 31 * 86400},
    ],
)
async def test_what_is_no_offer_is_refused(world: World, change: dict[str, Any]) -> None:
    ada, bob = await world.people(2)
    body = {"recipients": [{"user_id": bob.id}], "files": [{"name": "a", "size": 1}]}
    await ada.post("/v1/transfers", body, 201)
    assert await ada.refused("/v1/transfers", {**body, **change}, status=422) == "invalid"


async def test_naming_somebody_twice_is_refused(world: World) -> None:
    ada, bob = await world.people(2)
    await ada.offer(bob, bob, status=422)


async def test_an_offer_to_nobody_known_is_refused(world: World) -> None:
    ada = await world.person()
    nobody = await world.person(known=False)
    refused = await ada.offer(nobody, status=404)
    assert refused["code"] == "user-not-found"


async def test_too_much_is_refused(world: World) -> None:
    ada, bob = await world.people(2)
    limit = world.app.state.settings.transfer_max_bytes
    refused = await ada.offer(bob, files={"a": limit, "b": 1}, status=413)
    assert refused["limit_bytes"] == limit


@pytest.mark.parametrize(
    ("refusal", "status", "code"),
    [
        ((507, "quota-exceeded"), 507, "quota-exceeded"),
        ((429, "too-many-uploads"), 409, "too-many-files"),
        ((409, "too-many-files"), 409, "too-many-files"),
        ((413, "file-too-large"), 413, "transfer-too-large"),
        ((422, "invalid"), 422, "invalid"),
        ((503, "storage-unavailable"), 503, "unavailable"),
    ],
)
async def test_what_storage_refuses_leaves_nothing_behind(
    world: World, refusal: tuple[int, str], status: int, code: str
) -> None:
    ada, bob = await world.people(2)
    world.peers.refuse_upload = refusal
    refused = await ada.offer(bob, files={"a": 1, "b": 1, "c": 1}, status=status)
    assert refused["code"] == code
    assert world.peers.uploads == {}
    assert await world.told(bob) == []
    assert (await ada.get("/v1/transfers"))["items"] == []


async def test_without_auth_a_newcomer_is_told_to_come_again(world: World) -> None:
    ada, bob = await world.people(2)
    await ada.offer(bob)
    world.peers.away.add("auth")
    await ada.offer(bob)  # both are known by now
    world.peers.users[str(uuid7())] = {}
    nobody = await world.person()
    refused = await ada.offer(nobody, status=503)
    assert refused["code"] == "unavailable"


async def test_the_snapshot_is_what_the_last_event_said(world: World) -> None:
    ada, bob, eve = await world.people(3)
    offered = await ada.offer(bob, eve)
    await bob.act(offered, "accept")
    await eve.act(offered, "reject")
    await bob.act(offered, "pause")
    await ada.act(offered, "resume")
    await ada.act(offered, "cancel")
    for person in (ada, bob, eve):
        events = await world.events(person)
        assert events[-1]["data"] == await person.sees(offered)


async def test_frames_that_went_out_are_those_of_the_log(world: World) -> None:
    ada, bob = await world.people(2)
    await ada.offer(bob)
    await wait_until(lambda: [f for f in world.sent if f.stream == bob.stream])
    (frame,) = (frame for frame in world.sent if frame.stream == bob.stream)
    assert msgspec.json.decode(frame.text) == (await world.events(bob))[0]


@pytest.mark.parametrize("how", ["body", "header"])
async def test_an_offer_that_is_repeated_is_made_once(world: World, how: str) -> None:
    ada, bob = await world.people(2)
    body: dict[str, Any] = {
        "recipients": [{"user_id": bob.id}],
        "files": [{"name": "a", "size": 1}],
    }
    headers = {"Idempotency-Key": "once"} if how == "header" else {}
    if how == "body":
        body["client_transfer_id"] = "once"
    first = await ada.http.post("/v1/transfers", json=body, headers=headers)
    await bob.act(first.json(), "accept")
    again = await ada.http.post("/v1/transfers", json=body, headers=headers)
    assert (first.status_code, again.status_code) == (201, 200)
    assert again.headers["location"] == first.headers["location"]
    own = {"window_bytes": 4 * MIB, "token": first.json()["token"]}
    assert again.json() == {**await ada.sees(first.json()), **own}
    assert len(world.peers.uploads) == 1
    await bob.http.post("/v1/transfers", json={**body, "recipients": [{"user_id": ada.id}]})
    assert len((await ada.get("/v1/transfers", role="sender"))["items"]) == 1


async def test_an_offer_that_is_made_twice_at_once_is_made_once(world: World) -> None:
    ada, bob = await world.people(2)
    offers = await asyncio.gather(
        *(
            world.command(
                ada,
                "file_transfer_start",
                recipients=[{"user_id": bob.id}],
                files=[{"name": "a", "size": 1}],
                client_transfer_id="once",
            )
            for _ in range(4)
        )
    )
    assert len({offer["data"]["id"] for offer in offers}) == 1
    assert await world.told(bob) == ["incoming_transfer"]
    assert len(world.peers.uploads) == 1


async def test_who_was_away_finds_the_offer_when_they_come_back(world: World) -> None:
    """By all three ways: what was missed is replayed, the list has it, and it can be accepted."""
    ada, bob = await world.people(2)

    async def ask(path: str, **query: Any) -> dict[str, Any]:
        answer = await world.gateway.get(f"/internal/streams/{path}", params=query)
        return dict(answer.json())

    await bob.act(await ada.offer(bob), "reject")
    epoch, seq = (await ask("heads", user_id=bob.id))["streams"][bob.stream]
    # Here bob's last device goes away; nobody listens to the stream any more.
    offered = await ada.offer(bob)
    await world.report(ada, offered, stored={"0": MIB})

    phone = await world.on_device(bob)
    missed = await ask("replay", stream=bob.stream, after=seq, epoch=epoch)
    assert not missed["reset"]
    (frame,) = missed["frames"]
    incoming = msgspec.json.decode(frame)
    assert (incoming["type"], incoming["data"]["id"]) == ("incoming_transfer", offered["id"])
    (waiting,) = (await phone.get("/v1/transfers", role="recipient", state="offered"))["items"]
    assert (waiting["id"], waiting["files"][0]["stored_bytes"]) == (offered["id"], MIB)
    assert (await phone.act(waiting, "accept"))["recipients"][0]["device_id"] == phone.device_id
