import httpx
import pytest

from services.auth.tests.api.conftest import PASSWORD, Account, Auth


async def test_registering_answers_with_the_account_and_where_it_is(auth: Auth) -> None:
    answer = await auth.http.post(
        "/v1/auth/register",
        json={"username": "Grace.H", "email": "Grace@Example.com", "password": PASSWORD},
    )
    user = answer.json()
    assert answer.status_code == 201
    assert answer.headers["location"] == f"/v1/users/{user['id']}"
    assert user["display_name"] == "Grace.H"
    assert "password" not in answer.text
    await auth.told()
    about = [fact.type for fact in auth.facts if fact.subject == user["id"]]
    assert about == ["auth.user.registered.v1"]


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"username": "{username}"}, "username-taken"),
        ({"username": "{USERNAME}"}, "username-taken"),
        ({"email": "{USERNAME}@example.com"}, "email-taken"),
    ],
)
async def test_names_and_addresses_are_taken_once_whatever_their_case(
    auth: Auth, ada: Account, change: dict[str, str], code: str
) -> None:
    body = {"username": "somebody-else", "email": "else@example.com", "password": PASSWORD}
    filled = {
        name: value.format(username=ada.username, USERNAME=ada.username.upper())
        for name, value in change.items()
    }
    refused = await auth.http.post("/v1/auth/register", json={**body, **filled})
    assert refused.status_code == 409
    assert refused.json()["code"] == code


@pytest.mark.parametrize(
    "change",
    [
        {"username": "x"},
        {"username": "with space"},
        {"username": None},
        {"email": "no address"},
        {"password": "short"},
        {"password": "x" * 257},
        {"display_name": ""},
        {"display_name": "nul\x00"},
    ],
)
async def test_bad_registrations_are_refused(auth: Auth, change: dict[str, object]) -> None:
    body = {"username": "fine-name", "email": "fine@example.com", "password": PASSWORD}
    refused = await auth.http.post("/v1/auth/register", json={**body, **change})
    assert refused.status_code == 422
    assert refused.json()["code"] == "invalid"


async def test_a_profile_is_changed_in_part_and_told(auth: Auth, ada: Account) -> None:
    answer = await ada.http.patch("/v1/users/me", json={"bio": "Analyst"})
    avatar = auth.peers.add_file(ada.id)
    await ada.http.patch("/v1/users/me", json={"avatar_file_id": avatar})
    renamed = await ada.http.patch("/v1/users/me", json={"username": ada.username + "2"})
    nothing = await ada.http.patch("/v1/users/me", json={"bio": None, "avatar_file_id": None})
    await auth.told()
    assert answer.json()["display_name"] == "Ada"
    assert answer.json()["bio"] == "Analyst"
    assert renamed.json()["username"] == ada.username + "2"
    assert (renamed.json()["bio"], renamed.json()["avatar_file_id"]) == ("Analyst", avatar)
    assert (nothing.json()["bio"], nothing.json()["avatar_file_id"]) == ("Analyst", None)
    assert [frame.seq for frame in auth.frames] == [1, 2, 3, 4]
    assert "auth.user.updated.v1" in {fact.type for fact in auth.facts}


async def test_a_taken_name_is_refused_in_an_update_too(ada: Account, bob: Account) -> None:
    refused = await bob.http.patch("/v1/users/me", json={"username": ada.username.upper()})
    assert refused.status_code == 409
    assert (await bob.http.get("/v1/users/me")).json()["username"] == bob.username


async def test_changing_the_password_ends_other_logins_and_keeps_this_one(
    ada: Account,
) -> None:
    other = await ada.log_in()
    change = {"current_password": PASSWORD, "new_password": "another good password"}
    wrong = await ada.http.post(
        "/v1/auth/password", json={**change, "current_password": "wrong one"}
    )
    done = await ada.http.post("/v1/auth/password", json=change)

    assert wrong.status_code == 403
    assert wrong.json()["code"] == "wrong-password"
    assert done.status_code == 204
    assert (await ada.refresh(other["refresh_token"])).json()["error"] == "invalid_grant"
    assert (await ada.refresh(ada.tokens["refresh_token"])).status_code == 200
    old = await ada.http.post(
        "/token",
        data={"grant_type": "password", "username": ada.username, "password": PASSWORD},
    )
    assert old.json()["error"] == "invalid_grant"


async def test_without_a_token_there_is_nothing(auth: Auth, ada: Account) -> None:
    for path in ("/v1/users/me", "/v1/users", f"/v1/users/{ada.id}", "/v1/devices"):
        answer: httpx.Response = await auth.http.get(path)
        assert answer.status_code == 401
        assert answer.headers["www-authenticate"].startswith("Bearer")


async def test_names_are_told_to_other_services(ada: Account, gateway: httpx.AsyncClient) -> None:
    answer = await gateway.get("/internal/users", params={"ids": ada.id})
    names = {"id": ada.id, "username": ada.username, "display_name": "Ada"}
    more = {"who_may_add": "everybody", "avatar_file_id": None}
    assert answer.json()["users"] == [names | more]
    for wrong in ("x", ",".join([ada.id] * 101)):
        refused = await gateway.get("/internal/users", params={"ids": wrong})
        assert refused.status_code == 422
