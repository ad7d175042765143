"""Devices, as their owner sees them. Online and offline: test_nodes.py."""

import asyncio

import httpx
import pytest

from services.auth.tests.api.conftest import PASSWORD, Account, Auth
from sharezync_auth.settings import AuthSettings
from sharezync_shared.ids import uuid7

MAX_DEVICES = AuthSettings.model_fields["devices_per_user"].default
LAPTOP = {"client_id": "laptop", "name": "Laptop", "platform": "linux"}
PHONE = {"client_id": "phone", "name": "Phone", "platform": "android"}


async def add(account: Account, body: dict[str, str]) -> str:
    made = await account.http.post("/v1/devices", json=body)
    assert made.status_code == 201, made.text
    return str(made.json()["id"])


async def listed(account: Account) -> list[str]:
    items = (await account.http.get("/v1/devices")).json()["items"]
    return [item["client_id"] for item in items]


async def session_of(tokens: dict[str, str], auth: Auth) -> str:
    identity = await auth.app.state.verifier.verify(tokens["access_token"])
    return str(identity.session_id)


async def connect(gateway: httpx.AsyncClient, account: Account, **more: str) -> httpx.Response:
    body = {"user_id": account.id, "client_id": "phone", **more}
    return await gateway.post("/internal/devices/connect", json=body)


async def test_devices_are_registered_once_listed_renamed_and_removed(ada: Account) -> None:
    made = await ada.http.post("/v1/devices", json=LAPTOP)
    again = await ada.http.post("/v1/devices", json=LAPTOP)
    device_id = made.json()["id"]
    second = await add(ada, PHONE)
    assert made.status_code == 201
    assert made.headers["location"] == f"/v1/devices/{device_id}"
    assert again.status_code == 409
    assert again.json()["device_id"] == device_id
    assert await listed(ada) == ["laptop", "phone"]

    renamed = await ada.http.patch(f"/v1/devices/{device_id}", json={"name": "Old laptop"})
    assert renamed.json() == {**made.json(), "name": "Old laptop"}
    removed = await ada.http.delete(f"/v1/devices/{device_id}")
    assert removed.status_code == 204
    items = (await ada.http.get("/v1/devices")).json()["items"]
    assert [item["id"] for item in items] == [second]
    assert (await ada.http.delete(f"/v1/devices/{device_id}")).status_code == 404


async def test_somebody_elses_device_is_out_of_reach(ada: Account, bob: Account) -> None:
    device_id = await add(ada, LAPTOP)
    path = f"/v1/devices/{device_id}"
    assert (await bob.http.patch(path, json={"name": "Mine"})).status_code == 404
    assert (await bob.http.delete(path)).status_code == 404
    assert await listed(ada) == ["laptop"]
    # The name is unique for its user only.
    assert (await bob.http.post("/v1/devices", json=LAPTOP)).status_code == 201


@pytest.mark.parametrize("client_id", ["", "a/b", "a b", "x" * 65, "é"])
async def test_a_client_id_is_one_plain_path_segment(ada: Account, client_id: str) -> None:
    refused = await ada.http.post("/v1/devices", json={**LAPTOP, "client_id": client_id})
    assert refused.status_code == 422
    assert refused.json()["errors"][0]["field"] == "body.client_id"
    assert await listed(ada) == []


async def test_a_login_names_only_ones_own_device(ada: Account, bob: Account) -> None:
    form = {
        "grant_type": "password",
        "username": bob.username,
        "password": PASSWORD,
        "device_id": await add(ada, PHONE),
    }
    refused = await bob.http.post("/token", data=form)
    assert (refused.status_code, refused.json().get("error")) == (400, "invalid_request")
    form["device_id"] = await add(bob, PHONE)
    assert (await bob.http.post("/token", data=form)).status_code == 200


async def test_removing_a_device_ends_the_logins_that_were_made_on_it(
    auth: Auth, ada: Account
) -> None:
    device_id = await add(ada, PHONE)
    on_phone = await ada.log_in(device_id=device_id)
    await ada.http.delete(f"/v1/devices/{device_id}")
    await auth.told()
    assert (await ada.refresh(on_phone["refresh_token"])).status_code == 400
    assert (await ada.refresh(ada.tokens["refresh_token"])).status_code == 200
    control = auth.frames[-1].control
    assert control is not None
    assert control.revoke_sessions == [await session_of(on_phone, auth)]


async def test_a_login_belongs_to_the_device_that_it_first_connects_as(
    auth: Auth, ada: Account, gateway: httpx.AsyncClient
) -> None:
    session_id = await session_of(ada.tokens, auth)
    phone = (await connect(gateway, ada, session_id=session_id)).json()["id"]
    laptop = (await connect(gateway, ada, session_id=session_id, client_id="laptop")).json()["id"]
    (session,) = (await ada.http.get("/v1/auth/sessions")).json()["items"]
    assert session["device"]["id"] == phone

    await ada.http.delete(f"/v1/devices/{laptop}")
    assert (await ada.refresh(ada.tokens["refresh_token"])).status_code == 200
    await ada.http.delete(f"/v1/devices/{phone}")
    assert (await ada.refresh(ada.tokens["refresh_token"])).status_code == 400


async def test_nobody_connects_with_somebody_elses_login(
    auth: Auth, ada: Account, bob: Account, gateway: httpx.AsyncClient
) -> None:
    await connect(gateway, bob, session_id=await session_of(ada.tokens, auth))
    (session,) = (await ada.http.get("/v1/auth/sessions")).json()["items"]
    assert session["device"] is None


async def test_a_first_connection_registers_a_device_once(
    auth: Auth, ada: Account, gateway: httpx.AsyncClient
) -> None:
    answers = await asyncio.gather(*(connect(gateway, ada) for _ in range(10)))
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.json()["id"] for answer in answers}) == 1
    (device,) = (await ada.http.get("/v1/devices")).json()["items"]
    assert (device["name"], device["platform"]) == ("phone", "")
    await auth.told()
    facts = [fact for fact in auth.facts if fact.type == "auth.device.registered.v1"]
    assert len(facts) == 1


async def test_a_later_connection_changes_no_name(ada: Account, gateway: httpx.AsyncClient) -> None:
    device_id = await add(ada, PHONE)
    assert (await connect(gateway, ada)).json() == {"id": device_id}
    (device,) = (await ada.http.get("/v1/devices")).json()["items"]
    assert (device["name"], device["platform"]) == ("Phone", "android")


async def test_a_deleted_account_connects_nothing(ada: Account, gateway: httpx.AsyncClient) -> None:
    assert (await connect(gateway, ada)).status_code == 200
    await ada.delete()
    refused = await connect(gateway, ada)
    assert refused.status_code == 401


async def test_devices_are_counted_right_when_many_are_made_at_once(
    ada: Account, gateway: httpx.AsyncClient
) -> None:
    for number in range(MAX_DEVICES - 3):
        await add(ada, {**PHONE, "client_id": f"phone-{number}"})
    posted = [ada.http.post("/v1/devices", json={**PHONE, "client_id": f"p{n}"}) for n in range(6)]
    connected = [connect(gateway, ada, client_id=f"c{n}") for n in range(6)]
    answers = await asyncio.gather(*posted, *connected)
    refused = [answer for answer in answers if answer.status_code == 409]
    assert len(refused) == len(answers) - 3
    refusals = {(answer.json()["code"], answer.json()["limit"]) for answer in refused}
    assert refusals == {("too-many-devices", MAX_DEVICES)}
    assert len(await listed(ada)) == MAX_DEVICES
    # Those that are there go on connecting, and one that goes makes room.
    assert (await connect(gateway, ada, client_id="phone-0")).status_code == 200
    first = (await ada.http.get("/v1/devices")).json()["items"][0]["id"]
    await ada.http.delete(f"/v1/devices/{first}")
    await add(ada, LAPTOP)


async def test_services_ask_whose_devices_are(
    ada: Account, bob: Account, gateway: httpx.AsyncClient
) -> None:
    laptop, phone = await add(ada, LAPTOP), await add(bob, PHONE)

    async def owned(*pairs: tuple[Account, str]) -> list[tuple[str, str]]:
        asked = [{"user_id": each.id, "device_id": device_id} for each, device_id in pairs]
        answer = await gateway.post("/internal/devices/owned", json={"devices": asked})
        assert answer.status_code == 200, answer.text
        return [(each["user_id"], each["device_id"]) for each in answer.json()["devices"]]

    nobodys = str(uuid7())
    both = await owned((ada, laptop), (bob, phone), (ada, phone), (bob, laptop), (ada, nobodys))
    assert sorted(both) == sorted([(ada.id, laptop), (bob.id, phone)])
    # In either order: what is said of one device twice is looked at twice.
    assert await owned((bob, laptop), (ada, laptop)) == [(ada.id, laptop)]
    assert await owned((ada, laptop), (bob, laptop)) == [(ada.id, laptop)]
    await ada.http.delete(f"/v1/devices/{laptop}")
    assert await owned((ada, laptop)) == []
    assert await owned() == []
