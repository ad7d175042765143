"""A name and an address are somebody's, in whatever spelling, whoever comes at the same time."""

import asyncio
from collections import Counter
from collections.abc import Callable

import httpx
import pytest

from services.auth.tests.api.conftest import PASSWORD, Account, Auth, register
from sharezync_auth.names import RESERVED
from sharezync_shared.text import key_of


async def attempt(auth: Auth, username: str, email: str) -> httpx.Response:
    body = {"username": username, "email": email, "password": PASSWORD}
    return await auth.http.post("/v1/auth/register", json=body)


def wide(text: str) -> str:
    """Return the full-width spelling of ASCII letters and digits."""
    return "".join(chr(ord(c) + 0xFEE0) if c.isalnum() else c for c in text)


SPELLINGS: tuple[Callable[[str], str], ...] = (str, str.upper, str.title, str.swapcase, wide)


async def test_of_all_spellings_of_a_name_at_once_one_gets_it(auth: Auth) -> None:
    attempts = [
        attempt(auth, SPELLINGS[n % len(SPELLINGS)]("wanted.name"), f"wanted{n}@example.com")
        for n in range(20)
    ]
    await check_that_one_won(auth, await asyncio.gather(*attempts), "username-taken")


async def test_of_all_spellings_of_an_address_at_once_one_gets_it(auth: Auth) -> None:
    emails = ("many@example.com", "Many@Example.com", "MANY@EXAMPLE.COM", "mANY@example.COM")
    attempts = [attempt(auth, f"many-{n}", emails[n % len(emails)]) for n in range(20)]
    await check_that_one_won(auth, await asyncio.gather(*attempts), "email-taken")


async def check_that_one_won(auth: Auth, answers: list[httpx.Response], code: str) -> None:
    assert Counter(answer.status_code for answer in answers) == {201: 1, 409: 19}
    refused = [answer.json() for answer in answers if answer.status_code == 409]
    assert {problem["code"] for problem in refused} == {code}
    (won,) = (answer.json() for answer in answers if answer.status_code == 201)
    await auth.told()
    # Nothing half-made: one row, one fact, and who lost may register as somebody else.
    kept = await auth.rows(
        "SELECT id FROM auth.users WHERE starts_with(username_key, $1)", key_of(won["username"])[:4]
    )
    assert [str(row["id"]) for row in kept] == [won["id"]]
    assert [fact.subject for fact in auth.facts] == [won["id"]]
    token = {"grant_type": "password", "username": won["email"].upper(), "password": PASSWORD}
    assert (await auth.http.post("/token", data=token)).status_code == 200


@pytest.mark.parametrize("name", sorted(RESERVED - {"me"}))
async def test_reserved_names_are_nobodys(auth: Auth, ada: Account, name: str) -> None:
    for spelling in (str, str.upper, wide):
        refused = await attempt(auth, spelling(name), "reserved@example.com")
        renamed = await ada.http.patch("/v1/users/me", json={"username": spelling(name)})
        assert (refused.status_code, renamed.status_code) == (422, 422)
        (problem,) = refused.json()["errors"]
        assert problem["field"] == "body.username"
        assert "reserved" in problem["message"]
    longer = await ada.http.patch("/v1/users/me", json={"username": f"{name}-{ada.username[-8:]}"})
    assert longer.status_code == 200


async def test_a_renamed_account_keeps_its_logins_and_frees_its_name(
    auth: Auth, ada: Account
) -> None:
    old, new = ada.username, f"{ada.username}.new"
    taken = await attempt(auth, old.upper(), "heir@example.com")
    renamed = await ada.http.patch("/v1/users/me", json={"username": new})
    heir = await attempt(auth, old.upper(), f"heir-{old}@example.com")

    assert taken.json()["code"] == "username-taken"
    assert (renamed.status_code, heir.status_code) == (200, 201)
    me = (await ada.http.get("/v1/users/me")).json()  # the old access token
    assert (me["id"], me["username"]) == (ada.id, new)
    assert len((await ada.http.get("/v1/auth/sessions")).json()["items"]) == 1
    assert (await ada.refresh(ada.tokens["refresh_token"])).status_code == 200
    form = {"grant_type": "password", "username": old, "password": PASSWORD}
    tokens = (await auth.http.post("/token", data=form)).json()
    identity = await auth.app.state.verifier.verify(tokens["access_token"])
    assert str(identity.user_id) == heir.json()["id"]


async def test_a_changed_address_is_free_again(auth: Auth, ada: Account) -> None:
    old = f"{ada.username}@example.com"
    await ada.move(f"new-{old}")
    assert (await attempt(auth, f"{ada.username}.2", old)).status_code == 201


async def test_of_many_who_rename_themselves_at_once_one_gets_the_name(auth: Auth) -> None:
    people = [await register(auth, f"r{n}") for n in range(5)]
    answers = await asyncio.gather(
        *(
            person.http.patch("/v1/users/me", json={"username": spelling("renamed.to")})
            for person, spelling in zip(people, SPELLINGS, strict=True)
        )
    )
    assert Counter(answer.status_code for answer in answers) == {200: 1, 409: 4}
    for person, answer in zip(people, answers, strict=True):
        kept = (await person.http.get("/v1/users/me")).json()["username"]
        assert (kept == person.username) == (answer.status_code == 409)
