"""How many transfers one account may have under way, also when many begin at the same moment."""

import asyncio
from collections import Counter

import pytest

from services.transfer.tests.support.world import Json, Person, World
from sharezync_shared.ids import DeviceId, uuid7
from sharezync_transfer.settings import TransferSettings
from sharezync_transfer.usecases import choices


@pytest.fixture
def settings(settings: TransferSettings) -> TransferSettings:
    """Small numbers."""
    return settings.model_copy(
        update={
            "offers_per_sender": 6,
            "offers_per_recipient": 4,
            "transfers_per_sender": 8,
            "transfer_files_per_sender": 30,
        }
    )


async def offers_at_once(sender: Person, *to: Person, files: int = 1) -> tuple[Counter[int], Json]:
    """Offer to each of these people at once; return the statuses, and a refusal."""
    described = [{"name": f"{n}.txt", "size": 1} for n in range(files)]
    answers = await asyncio.gather(
        *(
            sender.http.post(
                "/v1/transfers",
                json={"recipients": [{"user_id": each.id}], "files": described},
            )
            for each in to
        )
    )
    refusals = [answer.json() for answer in answers if answer.is_error]
    return Counter(answer.status_code for answer in answers), refusals[-1] if refusals else {}


async def test_offers_of_one_sender_that_wait(world: World) -> None:
    ada, *others = await world.people(13)
    statuses, refusal = await offers_at_once(ada, *others)
    assert statuses == {201: 6, 429: 6}
    assert (refusal["code"], refusal["of"], refusal["limit"]) == ("too-many-offers", "sender", 6)


async def test_offers_of_acquaintances_to_one_recipient_that_wait(world: World) -> None:
    ada, *others = await world.people(9)
    world.befriend(ada, *others)
    body = {"recipients": [{"user_id": ada.id}], "files": [{"name": "a", "size": 1}]}
    answers = await asyncio.gather(*(o.http.post("/v1/transfers", json=body) for o in others))
    assert Counter(answer.status_code for answer in answers) == {201: 4, 429: 4}
    refusal = next(answer.json() for answer in answers if answer.is_error)
    assert (refusal["of"], refusal["user_id"], refusal["limit"]) == ("recipient", ada.id, 4)
    assert refusal["pending"] == 4


async def test_transfers_of_one_sender_that_have_not_ended(world: World) -> None:
    ada, bob, *others = await world.people(14)
    for _ in range(4):
        await bob.act(await ada.offer(bob), "accept")
    statuses, refusal = await offers_at_once(ada, *others)
    assert statuses == {201: 4, 429: 8}
    assert (refusal["code"], refusal["limit"]) == ("too-many-transfers", 8)
    mine = (await ada.get("/v1/transfers"))["items"]
    await ada.act(mine[0], "cancel")
    await ada.offer(others[-1])


async def test_files_of_transfers_that_have_not_ended(world: World) -> None:
    ada, *others = await world.people(7)
    statuses, refusal = await offers_at_once(ada, *others, files=10)
    assert statuses == {201: 3, 409: 3}
    assert (refusal["code"], refusal["limit"]) == ("too-many-files", 30)


async def test_policies_of_devices_that_are_no_more_are_forgotten(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(choices, "POLICIES_KEPT", 3)
    ada = await world.person()
    device_ids = [str(DeviceId(uuid7())) for _ in range(6)]
    for device_id in device_ids:
        world.peers.devices.add((ada.id, device_id))
        path = f"/v1/transfers/policies/{device_id}"
        await ada.call("PUT", path, 200, json={"policy": "block"})
    listed = (await ada.get("/v1/transfers/policies"))["items"]
    assert len(listed) == 3
    assert {each["device_id"] for each in listed} == set(device_ids[3:])
