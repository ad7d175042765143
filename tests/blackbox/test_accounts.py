"""Accounts, sessions and devices, from outside."""

from uuid import uuid4

import httpx

from tests.blackbox.people import PASSWORD, Person
from tests.blackbox.test_files import upload


async def test_a_registered_person_sees_their_own_profile_and_others_see_no_email(
    base_url: str, alice: Person, bob: Person
) -> None:
    mine = await alice.get("/v1/users/me")
    theirs = await bob.get(f"/v1/users/{alice.id}")

    assert mine["username"] == alice.username
    assert mine["email"] == f"{alice.username}@example.com"
    assert theirs["username"] == alice.username
    assert "email" not in theirs


async def test_a_name_can_be_taken_only_once(alice: Person) -> None:
    again = {
        "username": alice.username.upper(),
        "email": "someone.else@example.com",
        "password": PASSWORD,
    }
    refused = await alice.http.post("/v1/auth/register", json=again)

    assert refused.status_code == 409
    assert refused.headers["content-type"] == "application/problem+json"


async def test_tokens_are_given_for_the_right_password_only(alice: Person) -> None:
    form = {"grant_type": "password", "username": alice.username, "password": PASSWORD}
    given = await alice.http.post("/token", data=form)
    refused = await alice.http.post("/token", data={**form, "password": "wrong password"})

    assert given.status_code == 200
    assert given.json()["token_type"].lower() == "bearer"
    assert {"access_token", "refresh_token", "expires_in"} <= given.json().keys()
    assert refused.status_code in {400, 401}
    assert refused.json()["error"] == "invalid_grant"


async def test_a_token_alone_neither_deletes_an_account_nor_takes_it_over(
    alice: Person, bob: Person
) -> None:
    for method, path, body in (
        ("DELETE", "/v1/users/me", {"password": "a guess"}),
        ("PATCH", "/v1/users/me", {"email": "thief@example.com", "current_password": "a guess"}),
        ("POST", "/v1/auth/password", {"new_password": "a good one", "current_password": "guess"}),
    ):
        without = {name: body[name] for name in body.keys() - {"password", "current_password"}}
        refused = await alice.http.request(method, path, json=body)
        missing = await alice.http.request(method, path, json=without)
        assert (refused.status_code, refused.json()["code"]) == (403, "wrong-password")
        assert (missing.status_code, missing.json()["code"]) == (422, "invalid")
    assert (await alice.http.delete("/v1/users/me")).status_code == 422
    await alice.log_in()
    assert (await alice.get("/v1/users/me"))["email"] == f"{alice.username}@example.com"

    body = {"email": f"new-{alice.username}@example.com", "current_password": PASSWORD}
    moved = await alice.http.patch("/v1/users/me", json=body)
    assert moved.json()["email"] == body["email"]
    gone = await alice.http.request("DELETE", "/v1/users/me", json={"password": PASSWORD})
    assert gone.status_code == 204, gone.text
    await bob.get(f"/v1/users/{alice.id}", expect=404)


async def test_an_avatar_is_a_file_of_ones_own_until_that_is_gone(
    alice: Person, bob: Person
) -> None:
    mine = await upload(alice, "me.png", b"a picture")
    other = await upload(alice, "other.png", b"no avatar")
    bobs = await upload(bob, "bob.png", b"another")

    async def put_on(file_id: str) -> httpx.Response:
        return await alice.http.patch("/v1/users/me", json={"avatar_file_id": file_id})

    for file_id in (bobs["id"], str(uuid4())):
        refused = await put_on(file_id)
        assert (refused.status_code, refused.json()["code"]) == (422, "avatar-not-yours")
    async with alice.connected() as laptop:
        assert (await put_on(mine["id"])).json()["avatar_file_id"] == mine["id"]
        await laptop.event("user.updated", avatar_file_id=mine["id"])
        assert (await bob.get(f"/v1/users/{alice.id}"))["avatar_file_id"] == mine["id"]
        await bob.get(f"/v1/files/{mine['id']}")
        await bob.get(f"/v1/files/{other['id']}", expect=404)  # the id alone opens nothing

        await alice.http.delete(f"/v1/files/{mine['id']}?everywhere=true")
        await laptop.event("user.updated", id=alice.id, avatar_file_id=None)
    assert (await alice.get("/v1/users/me"))["avatar_file_id"] is None


async def test_a_refresh_token_gives_the_next_access_token(alice: Person) -> None:
    refreshed = await alice.http.post(
        "/token",
        data={"grant_type": "refresh_token", "refresh_token": alice.tokens["refresh_token"]},
    )
    assert refreshed.status_code == 200, refreshed.text
    alice.use(refreshed.json())
    assert (await alice.get("/v1/users/me"))["id"] == alice.id


async def test_a_first_connection_registers_the_device(alice: Person) -> None:
    async with alice.connected("phone") as phone:
        ready = await phone.of_type("ready")
        devices = (await alice.get("/v1/devices"))["items"]

    assert ready["user"] == alice.id
    assert [device["client_id"] for device in devices] == ["phone"]
    assert ready["device"] == devices[0]["id"]
    assert devices[0]["online"] is True


async def test_a_device_can_be_registered_renamed_and_removed(alice: Person) -> None:
    made = await alice.post(
        "/v1/devices", {"client_id": "tablet", "name": "Tablet", "platform": "android"}
    )
    renamed = await alice.http.patch(f"/v1/devices/{made['id']}", json={"name": "Old tablet"})
    removed = await alice.http.delete(f"/v1/devices/{made['id']}")

    assert renamed.json()["name"] == "Old tablet"
    assert removed.status_code == 204
    assert (await alice.get("/v1/devices"))["items"] == []


async def test_logging_out_ends_the_session_at_every_door(alice: Person) -> None:
    async with alice.connected() as laptop:
        out = await alice.http.post("/v1/auth/logout", json={"scope": "local"})
        assert out.status_code == 204, out.text
        await laptop.closed.wait()
        assert laptop.connection.close_code == 4503

    assert (await alice.http.get("/v1/users/me")).status_code == 401
    again = await alice.http.post(
        "/token",
        data={"grant_type": "refresh_token", "refresh_token": alice.tokens["refresh_token"]},
    )
    assert again.json()["error"] == "invalid_grant"


async def test_devices_are_seen_by_whom_one_added_or_took_a_transfer_of(
    alice: Person, bob: Person, carol: Person
) -> None:
    body = {"client_id": "desk", "name": "Desk", "platform": "linux"}
    desk = await alice.post("/v1/devices", body)
    path = f"/v1/users/{alice.id}/devices"
    await bob.get(path, expect=404)

    channel_id = await alice.channel()
    await alice.add(channel_id, bob)
    assert (await bob.get(path))["items"] == [desk]

    files = [{"name": "notes.txt", "size": 1, "mime": "text/plain", "sha256": "0" * 64}]
    offer = {"recipients": [{"user_id": alice.id}], "files": files}
    transfer = await carol.post("/v1/transfers", offer)
    await carol.get(path, expect=404)  # an offer alone shows nobody anything
    await alice.post(f"/v1/transfers/{transfer['id']}/accept", {}, expect=200)
    assert (await carol.get(path))["items"] == [desk]
