"""Whom one has blocked: one list, of which one's devices and all services hear, and nobody else."""

import asyncio
from dataclasses import replace
from typing import Any

import httpx
import msgspec

from services.auth.tests.api.conftest import Account, Auth, register
from sharezync_shared.events import contracts as facts
from sharezync_shared.ids import uuid7


async def listed(who: Account) -> list[str]:
    answer = await who.http.get("/v1/blocks")
    assert answer.status_code == 200, answer.text
    return [each["user_id"] for each in answer.json()["items"]]


def told_of_blocks(auth: Auth, user_id: str) -> list[tuple[str, str]]:
    stream = f"account:{user_id}"
    events = [msgspec.json.decode(each.text) for each in auth.frames if each.stream == stream]
    return [(e["type"], e["data"]["user_id"]) for e in events if e["type"].startswith("user_")]


def facts_about(auth: Auth, *kinds: type[facts.UserBlocked | facts.UserUnblocked]) -> list[Any]:
    return [kind.decode(each) for each in auth.facts for kind in kinds if each.type == kind.type]


async def test_a_block_is_on_the_list_until_it_is_taken_back(
    auth: Auth, ada: Account, bob: Account
) -> None:
    first = await ada.http.put(f"/v1/blocks/{bob.id}")
    again = await ada.http.put(f"/v1/blocks/{bob.id}")
    assert (first.status_code, again.json()) == (200, first.json())
    assert (await listed(ada), await listed(bob)) == ([bob.id], [])
    for _ in range(2):
        assert (await ada.http.delete(f"/v1/blocks/{bob.id}")).status_code == 204
    assert await listed(ada) == []
    await auth.told()
    assert told_of_blocks(auth, ada.id) == [("user_blocked", bob.id), ("user_unblocked", bob.id)]
    assert told_of_blocks(auth, bob.id) == [], "who is blocked is told nothing"
    said = facts_about(auth, facts.UserBlocked, facts.UserUnblocked)
    assert [(type(each), str(each.blocked_id), each.version) for each in said] == [
        (facts.UserBlocked, bob.id, 1),
        (facts.UserUnblocked, bob.id, 2),
    ]


async def test_gateways_are_told_to_look_again_and_clients_are_not(
    auth: Auth, ada: Account, bob: Account
) -> None:
    await ada.http.put(f"/v1/blocks/{bob.id}")
    await auth.told()
    (frame,) = [each for each in auth.frames if each.control and each.control.recheck]
    assert frame.stream == f"account:{ada.id}"
    assert frame.control is not None
    assert set(frame.control.recheck) == {ada.id, bob.id}
    assert b"recheck" not in frame.text


async def test_who_cannot_be_blocked(ada: Account) -> None:
    oneself = await ada.http.put(f"/v1/blocks/{ada.id}")
    nobody = await ada.http.put(f"/v1/blocks/{uuid7()}")
    assert (oneself.status_code, nobody.status_code) == (422, 404)
    assert nobody.json()["code"] == "user-not-found"


async def test_a_list_has_a_bound_and_pages(auth: Auth, ada: Account, bob: Account) -> None:
    eve, dan = await register(auth, "eve"), await register(auth, "dan")
    settings = auth.settings.model_copy(update={"max_blocks": 2})
    auth.app.state.context = replace(auth.app.state.context, settings=settings)
    others = sorted([bob.id, eve.id])
    for each in others:
        assert (await ada.http.put(f"/v1/blocks/{each}")).status_code == 200
    full = await ada.http.put(f"/v1/blocks/{dan.id}")
    assert (full.status_code, full.json()["code"]) == (409, "too-many-blocks")
    assert (await ada.http.put(f"/v1/blocks/{bob.id}")).status_code == 200, "there already"
    first = (await ada.http.get("/v1/blocks?limit=1")).json()
    second = (await ada.http.get(f"/v1/blocks?limit=1&cursor={first['next']}")).json()
    pages = [[each["user_id"] for each in page["items"]] for page in (first, second)]
    assert (pages, second["next"]) == ([[others[0]], [others[1]]], None)


async def test_two_who_block_each_other_at_once_both_do(ada: Account, bob: Account) -> None:
    for _ in range(5):
        answers = await asyncio.gather(
            ada.http.put(f"/v1/blocks/{bob.id}"), bob.http.put(f"/v1/blocks/{ada.id}")
        )
        assert [each.status_code for each in answers] == [200, 200]
        await asyncio.gather(
            ada.http.delete(f"/v1/blocks/{bob.id}"), bob.http.delete(f"/v1/blocks/{ada.id}")
        )


async def test_with_an_account_go_the_blocks_by_it_and_of_it(
    auth: Auth, ada: Account, bob: Account
) -> None:
    await ada.http.put(f"/v1/blocks/{bob.id}")
    await bob.http.put(f"/v1/blocks/{ada.id}")
    await bob.delete()
    assert await listed(ada) == []
    await auth.told()
    assert told_of_blocks(auth, ada.id)[-1] == ("user_unblocked", bob.id)
    left = await auth.rows("SELECT FROM auth.blocks WHERE $1 IN (user_id, blocked_id)", bob.id)
    assert left == []


async def test_services_ask_between_whom_there_is_a_block(
    ada: Account, bob: Account, gateway: httpx.AsyncClient
) -> None:
    await ada.http.put(f"/v1/blocks/{bob.id}")
    for one, other, who in ((ada, bob, "blocked"), (bob, ada, "blocking")):
        body = {"user_id": one.id, "other_ids": [other.id, str(uuid7())]}
        answer = await gateway.post("/internal/blocks", json=body)
        nobody: dict[str, list[str]] = {"blocked": [], "blocking": []}
        assert answer.json() == {**nobody, who: [other.id], "ids": [other.id]}
    refused = await ada.http.post("/internal/blocks", json={"user_id": ada.id, "other_ids": []})
    assert refused.status_code in {401, 403}


async def test_services_that_begin_are_told_all_that_was_said(
    auth: Auth, ada: Account, bob: Account, gateway: httpx.AsyncClient
) -> None:
    eve = await register(auth, "eve")
    await ada.http.put(f"/v1/blocks/{bob.id}")
    await bob.http.patch("/v1/users/me", json={"who_may_add": "known"})
    await eve.http.put(f"/v1/blocks/{bob.id}")
    await eve.http.delete(f"/v1/blocks/{bob.id}")
    told: dict[str, Any] = {}
    query: dict[str, str] = {}
    while True:
        page = (await gateway.get("/internal/contact-rules", params=query)).json()
        told |= {each["user_id"]: each for each in page["items"]}
        if page["next"] is None:
            break
        query = {"after": page["next"]}
    assert (told[ada.id]["version"], told[ada.id]["blocked_ids"]) == (1, [bob.id])
    assert (told[bob.id]["who_may_add"], told[bob.id]["blocked_ids"]) == ("known", [])
    assert (told[eve.id]["version"], told[eve.id]["blocked_ids"]) == (2, [])


async def test_who_may_add_is_ones_own_and_told_to_services(
    auth: Auth, ada: Account, bob: Account
) -> None:
    assert (await ada.http.get("/v1/users/me")).json()["who_may_add"] == "everybody"
    changed = await ada.http.patch("/v1/users/me", json={"who_may_add": "nobody"})
    wrong = await ada.http.patch("/v1/users/me", json={"who_may_add": "friends"})
    assert (changed.json()["who_may_add"], wrong.status_code) == ("nobody", 422)
    assert "who_may_add" not in (await bob.http.get(f"/v1/users/{ada.id}")).json()
    await auth.told()
    said = [e for e in auth.facts if e.type == facts.UserUpdated.type]
    assert facts.UserUpdated.decode(said[-1]).who_may_add == "nobody"
