import asyncio

import httpx
import pytest

from services.auth.tests.api.conftest import Account, Auth
from sharezync_shared.ids import uuid7


async def test_logins_are_listed_and_this_one_is_marked(ada: Account) -> None:
    await ada.log_in()
    items = (await ada.http.get("/v1/auth/sessions")).json()["items"]
    assert [item["current"] for item in items].count(True) == 1
    assert len(items) == 2


async def test_one_login_is_ended_and_its_sockets_are_told(auth: Auth, ada: Account) -> None:
    other = await ada.log_in()
    items = (await ada.http.get("/v1/auth/sessions")).json()["items"]
    target = next(item["id"] for item in items if not item["current"])
    ended = await ada.http.delete(f"/v1/auth/sessions/{target}")
    again = await ada.http.delete(f"/v1/auth/sessions/{target}")
    await auth.told()

    assert (ended.status_code, again.status_code) == (204, 404)
    assert (await ada.refresh(other["refresh_token"])).status_code == 400
    control = auth.frames[-1].control
    assert control is not None
    assert control.revoke_sessions == [target]


async def test_nobody_ends_somebody_elses_login(ada: Account, bob: Account) -> None:
    items = (await ada.http.get("/v1/auth/sessions")).json()["items"]
    assert (await bob.http.delete(f"/v1/auth/sessions/{items[0]['id']}")).status_code == 404
    assert (await ada.refresh(ada.tokens["refresh_token"])).status_code == 200


@pytest.mark.parametrize(
    ("scope", "this_lives", "other_lives"),
    [("local", False, True), ("others", True, False), ("global", False, False)],
)
async def test_logging_out_ends_what_its_scope_says(
    ada: Account, scope: str, this_lives: bool, other_lives: bool
) -> None:
    other = await ada.log_in()
    out = await ada.http.post("/v1/auth/logout", json={"scope": scope})
    assert out.status_code == 204
    verdicts = [
        (await ada.refresh(token)).status_code == 200
        for token in (ada.tokens["refresh_token"], other["refresh_token"])
    ]
    assert verdicts == [this_lives, other_lives]


async def test_what_was_revoked_lately_is_told_to_gateways(
    ada: Account, gateway: httpx.AsyncClient
) -> None:
    items = (await ada.http.get("/v1/auth/sessions")).json()["items"]
    await ada.http.post("/v1/auth/logout")
    answer = await gateway.get("/internal/revocations", params={"since_seconds": 60})
    assert items[0]["id"] in answer.json()["sessions"]


async def test_devices_are_registered_once_listed_renamed_and_removed(ada: Account) -> None:
    body = {"client_id": "laptop", "name": "Laptop", "platform": "linux"}
    made = await ada.http.post("/v1/devices", json=body)
    again = await ada.http.post("/v1/devices", json=body)
    device_id = made.json()["id"]
    renamed = await ada.http.patch(f"/v1/devices/{device_id}", json={"name": "Old laptop"})
    listed = (await ada.http.get("/v1/devices")).json()["items"]
    removed = await ada.http.delete(f"/v1/devices/{device_id}")

    assert made.status_code == 201
    assert again.status_code == 409
    assert again.json()["device_id"] == device_id
    assert renamed.json()["name"] == "Old laptop"
    assert [device["client_id"] for device in listed] == ["laptop"]
    assert removed.status_code == 204
    assert (await ada.http.get("/v1/devices")).json()["items"] == []


async def test_somebody_elses_device_is_out_of_reach(ada: Account, bob: Account) -> None:
    body = {"client_id": "laptop", "name": "Laptop", "platform": "linux"}
    device_id = (await ada.http.post("/v1/devices", json=body)).json()["id"]
    assert (await bob.http.patch(f"/v1/devices/{device_id}", json={})).status_code == 404
    assert (await bob.http.delete(f"/v1/devices/{device_id}")).status_code == 404
    # The name is unique for its user only.
    assert (await bob.http.post("/v1/devices", json=body)).status_code == 201


@pytest.mark.parametrize("client_id", ["", "a/b", "a b", "x" * 65, "é"])
async def test_a_client_id_is_one_plain_path_segment(ada: Account, client_id: str) -> None:
    body = {"client_id": client_id, "name": "x", "platform": ""}
    assert (await ada.http.post("/v1/devices", json=body)).status_code == 422


async def test_removing_a_device_ends_its_logins(ada: Account) -> None:
    body = {"client_id": "phone", "name": "Phone", "platform": "android"}
    device_id = (await ada.http.post("/v1/devices", json=body)).json()["id"]
    on_phone = await ada.log_in(device_id=device_id)
    await ada.http.delete(f"/v1/devices/{device_id}")
    assert (await ada.refresh(on_phone["refresh_token"])).status_code == 400
    assert (await ada.refresh(ada.tokens["refresh_token"])).status_code == 200


async def test_a_login_names_only_ones_own_device(ada: Account, bob: Account) -> None:
    body = {"client_id": "phone", "name": "Phone", "platform": "android"}
    device_id = (await ada.http.post("/v1/devices", json=body)).json()["id"]
    form = {
        "grant_type": "password",
        "username": bob.username,
        "password": "correct horse battery staple",
        "device_id": device_id,
    }
    assert (await bob.http.post("/token", data=form)).json()["error"] == "invalid_request"


async def test_a_first_connection_registers_a_device_once(
    ada: Account, gateway: httpx.AsyncClient
) -> None:
    node_id = str(uuid7())
    body = {"user_id": ada.id, "client_id": "phone", "node_id": node_id}
    answers = await asyncio.gather(
        *(gateway.post("/internal/devices/connect", json=body) for _ in range(4))
    )
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.json()["id"] for answer in answers}) == 1
    assert answers[0].json()["online"] is True

    gone = {"user_id": ada.id, "device_id": answers[0].json()["id"], "node_id": node_id}
    assert (await gateway.post("/internal/devices/disconnect", json=gone)).status_code == 204
    assert (await ada.http.get("/v1/devices")).json()["items"][0]["online"] is False


async def test_names_are_told_to_other_services(ada: Account, gateway: httpx.AsyncClient) -> None:
    answer = await gateway.get("/internal/users", params={"ids": ada.id})
    assert answer.json()["users"] == [
        {"id": ada.id, "username": ada.username, "display_name": "Ada"}
    ]
    assert (await gateway.get("/internal/users", params={"ids": "x"})).status_code == 422
