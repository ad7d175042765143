"""A token alone, which may have leaked, neither deletes an account nor takes it over."""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any
from uuid import UUID

import httpx
import pytest

from services.auth.tests.api.conftest import PASSWORD, Account, Auth
from sharezync_auth.usecases import users
from sharezync_shared.problems import Unavailable

WRONG = "wrong one"
AVATAR = "01936f0c-2b7e-7d33-8d7a-0c8e3a7c1f10"


async def delete(who: Account, password: str | None) -> httpx.Response:
    body = {} if password is None else {"password": password}
    return await who.http.request("DELETE", "/v1/users/me", json=body)


async def move(who: Account, password: str | None) -> httpx.Response:
    """Change all that there is, the address among it."""
    name = f"thief-{who.username[-8:]}"
    body = {"email": f"{name}@example.com", "username": name, "bio": "x", "display_name": "Thief"}
    body |= {"avatar_file_id": AVATAR}
    body |= {} if password is None else {"current_password": password}
    return await who.http.patch("/v1/users/me", json=body)


async def change_password(who: Account, password: str | None) -> httpx.Response:
    body = {"new_password": "another good password"}
    body |= {} if password is None else {"current_password": password}
    return await who.http.post("/v1/auth/password", json=body)


Act = Callable[[Account, str | None], Awaitable[httpx.Response]]
ACTS: list[Act] = [delete, move, change_password]


async def account(auth: Auth, who: Account) -> dict[str, Any]:
    """Return all that is stored of an account."""
    (row,) = await auth.rows("SELECT * FROM auth.users WHERE id = $1", UUID(who.id))
    return dict(row)


@pytest.fixture
def unmoved(auth: Auth, ada: Account) -> Callable[[], Awaitable[None]]:
    """What sees to it that nothing has come of what was tried."""

    async def check() -> None:
        await auth.told()
        assert (await auth.rows("SELECT 1 FROM auth.users WHERE id = $1", UUID(ada.id))) != []
        assert (await account(auth, ada))["email"] == f"{ada.username}@example.com"
        assert (await account(auth, ada))["updated_at"] == (await account(auth, ada))["created_at"]
        assert auth.frames == []
        told = [fact.type for fact in auth.facts if fact.subject == ada.id]
        assert told == ["auth.user.registered.v1"]
        assert auth.peers.asked == []
        await ada.log_in(username=f"{ada.username}@example.com")

    return check


@pytest.mark.parametrize("act", ACTS)
async def test_without_the_password_nothing_is_done(
    ada: Account, act: Act, unmoved: Callable[[], Awaitable[None]]
) -> None:
    missing, wrong = await act(ada, None), await act(ada, WRONG)
    field = "body.password" if act is delete else "body.current_password"
    assert (missing.status_code, missing.json()["code"]) == (422, "invalid")
    assert [error["field"] for error in missing.json()["errors"]] == [field]
    assert (wrong.status_code, wrong.json()["code"]) == (403, "wrong-password")
    await unmoved()


async def test_without_a_body_nobody_is_deleted(
    ada: Account, unmoved: Callable[[], Awaitable[None]]
) -> None:
    refused = await ada.http.delete("/v1/users/me")
    assert (refused.status_code, refused.json()["code"]) == (422, "invalid")
    await unmoved()


async def test_another_address_takes_the_password(auth: Auth, ada: Account) -> None:
    moved = await ada.move(f"new-{ada.username}@example.com")
    assert moved.json()["email"] == f"new-{ada.username}@example.com"
    await ada.log_in(username=f"new-{ada.username}@example.com")
    old = {"grant_type": "password", "username": f"{ada.username}@example.com"}
    gone = await auth.http.post("/token", data={**old, "password": PASSWORD})
    assert gone.json()["error"] == "invalid_grant"


async def test_whose_an_address_is_takes_the_password_too(ada: Account, bob: Account) -> None:
    """Else a token would be enough to ask who has an account."""
    bobs = f"{bob.username}@example.com"
    refused = await ada.move(bobs, current_password=WRONG)
    taken = await ada.move(bobs)
    assert (refused.status_code, refused.json()["code"]) == (403, "wrong-password")
    assert (taken.status_code, taken.json()["code"]) == (409, "email-taken")


@pytest.mark.parametrize("more", [{}, {"current_password": WRONG}])
async def test_another_spelling_of_the_address_takes_none(
    auth: Auth, ada: Account, more: dict[str, str]
) -> None:
    await ada.move(f"{ada.username}@bücher.example")
    for spelling in ("xn--bcher-kva.example", "BÜCHER.example"):
        body = {"email": f"{ada.username.title()}@{spelling}", "bio": spelling, **more}
        done = await ada.http.patch("/v1/users/me", json=body)
        assert done.status_code == 200, done.text
        assert done.json()["bio"] == spelling
    assert await auth.rows("SELECT 1 FROM auth.throttles WHERE key LIKE $1", f"%{ada.id}%") == []


@pytest.mark.parametrize("act", ACTS)
async def test_guesses_at_all_of_these_make_the_next_wait(
    auth: Auth, ada: Account, act: Act, unmoved: Callable[[], Awaitable[None]]
) -> None:
    other = {"Authorization": f"Bearer {(await ada.log_in())['access_token']}"}
    now = auth.app.state.work.now()
    auth.app.state.work.now = lambda: now
    for number in range(auth.settings.login_free_failures):
        assert (await ACTS[number % len(ACTS)](ada, WRONG)).json()["code"] == "wrong-password"
    waits = await act(ada, PASSWORD)
    assert (waits.status_code, waits.json()["code"]) == (429, "too-many-tries")
    assert waits.headers["retry-after"] == "1"
    await unmoved()

    # Another login of hers is another place.
    ada.http.headers.update(other)
    auth.peers.files[AVATAR] = ada.id
    assert (await act(ada, PASSWORD)).status_code in (200, 204)


@pytest.mark.parametrize("act", ACTS)
async def test_a_password_that_changes_meanwhile_is_none_any_more(
    auth: Auth,
    ada: Account,
    act: Act,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    auth.peers.files[AVATAR] = ada.id
    verify = auth.app.state.context.passwords.verify

    async def verify_late(
        password: str, stored: str | None, *, caller: str
    ) -> tuple[bool, str | None]:
        verdict: tuple[bool, str | None] = await verify(password, stored, caller=caller)
        await auth.rows(
            "UPDATE auth.users SET password_hash = 'another' WHERE id = $1", UUID(ada.id)
        )
        return verdict

    monkeypatch.setattr(auth.app.state.context.passwords, "verify", verify_late)
    refused = await act(ada, PASSWORD)
    assert (refused.status_code, refused.json()["code"]) == (403, "wrong-password")
    kept = await account(auth, ada)
    assert (kept["username"], kept["bio"], kept["password_hash"]) == (ada.username, "", "another")


async def test_an_address_that_changed_meanwhile_is_not_changed_back_without_it(
    ada: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody repeats what was theirs when they looked, and the owner has moved."""

    async def unmoved_yet(*_: object) -> bool:
        return False

    await ada.move(f"new-{ada.username}@example.com")
    monkeypatch.setattr(users, "_moves", unmoved_yet)
    body = {"email": f"{ada.username}@example.com", "bio": "x"}
    refused = await ada.http.patch("/v1/users/me", json=body)
    mine = (await ada.http.get("/v1/users/me")).json()
    assert [error["field"] for error in refused.json()["errors"]] == ["body.current_password"]
    assert (mine["email"], mine["bio"]) == (f"new-{ada.username}@example.com", "")


@pytest.mark.parametrize("act", ACTS)
async def test_where_nobody_can_look_nothing_is_done(
    auth: Auth,
    ada: Account,
    act: Act,
    unmoved: Callable[[], Awaitable[None]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def overloaded(*_: object, caller: str) -> None:
        raise Unavailable

    with monkeypatch.context() as patched:
        patched.setattr(auth.app.state.context.passwords, "verify", overloaded)
        refused = await act(ada, PASSWORD)
    assert (refused.status_code, refused.json()["code"]) == (503, "unavailable")
    assert "retry-after" in refused.headers
    await unmoved()


async def test_who_logged_in_a_moment_ago_gave_the_password_then_where_that_is_set(
    auth: Auth, ada: Account
) -> None:
    auth.app.state.context.throttle._recent_login_seconds = 300
    auth.let_pass(timedelta(seconds=301))
    other = {"email": f"other-{ada.username}@example.com"}
    assert (await ada.http.patch("/v1/users/me", json=other)).status_code == 422
    assert (await delete(ada, None)).status_code == 422
    tokens = await ada.log_in()
    ada.http.headers["Authorization"] = f"Bearer {tokens['access_token']}"
    assert (await delete(ada, WRONG)).status_code == 403
    assert (await ada.http.patch("/v1/users/me", json=other)).status_code == 200
    assert (await delete(ada, None)).status_code == 204


async def test_neither_a_refreshed_token_nor_another_login_is_a_recent_one(
    auth: Auth, ada: Account
) -> None:
    auth.app.state.context.throttle._recent_login_seconds = 300
    tokens = await ada.log_in()
    auth.let_pass(timedelta(seconds=301))
    refreshed = (await ada.refresh(tokens["refresh_token"])).json()
    await ada.log_in()  # somewhere else, just now
    ada.http.headers["Authorization"] = f"Bearer {refreshed['access_token']}"
    assert (await delete(ada, None)).status_code == 422
    other = {"email": f"other-{ada.username}@example.com"}
    assert (await ada.http.patch("/v1/users/me", json=other)).status_code == 422
