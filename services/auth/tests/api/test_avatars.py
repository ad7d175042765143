"""An avatar is a finished file of one's own, as long as there is that file."""

import asyncio
from uuid import UUID

import httpx
import msgspec
import pytest
from starlette.responses import JSONResponse, Response

from services.auth.tests.api.conftest import Account, Auth
from sharezync_shared.events.contracts import FileDeleted
from sharezync_shared.ids import uuid7


async def put_on(who: Account, file_id: str | None, **more: str) -> httpx.Response:
    return await who.http.patch("/v1/users/me", json={"avatar_file_id": file_id, **more})


async def avatar_of(who: Account) -> str | None:
    found: str | None = (await who.http.get("/v1/users/me")).json()["avatar_file_id"]
    return found


def gone(file_id: str, owner: Account) -> FileDeleted:
    return FileDeleted(file_id=UUID(file_id), owner_id=UUID(owner.id))


async def test_ones_own_file_is_asked_for_with_a_credential_of_auths_own(
    auth: Auth, ada: Account, bob: Account
) -> None:
    file_id = auth.peers.add_file(ada.id)
    assert (await put_on(ada, file_id)).json()["avatar_file_id"] == file_id
    assert (await bob.http.get(f"/v1/users/{ada.id}")).json()["avatar_file_id"] == file_id
    assert auth.peers.asked == ["storage"]
    identity = await auth.app.state.verifier.verify_service(auth.peers.tokens[0])
    assert identity.name == "auth"


async def test_somebody_elses_file_and_nobodys_are_refused_alike(
    auth: Auth, ada: Account, bob: Account
) -> None:
    mine = auth.peers.add_file(ada.id)
    await put_on(ada, mine)
    bobs = await put_on(ada, auth.peers.add_file(bob.id), bio="changed")
    nobodys = await put_on(ada, str(uuid7()), bio="changed")
    assert (bobs.status_code, bobs.json()["code"]) == (422, "avatar-not-yours")
    assert {**bobs.json(), "request_id": ""} == {**nobodys.json(), "request_id": ""}
    assert bobs.headers.keys() == nobodys.headers.keys()
    me = (await ada.http.get("/v1/users/me")).json()
    assert (me["avatar_file_id"], me["bio"]) == (mine, "")


async def test_what_is_no_image_is_refused(auth: Auth, ada: Account) -> None:
    refused = await put_on(ada, auth.peers.add_file(ada.id, "text/html"))
    assert (refused.status_code, refused.json()["code"]) == (422, "avatar-not-an-image")
    assert await avatar_of(ada) is None


async def test_services_are_told_it_with_the_names(
    auth: Auth, ada: Account, gateway: httpx.AsyncClient
) -> None:
    mine = auth.peers.add_file(ada.id)
    await put_on(ada, mine)
    (read,) = (await gateway.get(f"/internal/users?ids={ada.id}")).json()["users"]
    assert read["avatar_file_id"] == mine


async def test_taking_it_away_asks_nobody(auth: Auth, ada: Account) -> None:
    await put_on(ada, auth.peers.add_file(ada.id))
    auth.peers.asked.clear()
    auth.peers.answers["storage"] = Response(status_code=503)
    taken = await put_on(ada, None)
    kept = await ada.http.patch("/v1/users/me", json={"bio": "Analyst"})
    assert (taken.status_code, taken.json()["avatar_file_id"]) == (200, None)
    assert kept.status_code == 200
    assert auth.peers.asked == []


@pytest.mark.parametrize(
    "answer",
    [Response(status_code=503), Response(status_code=404), JSONResponse({"files": [{"id": 1}]})],
)
async def test_without_storage_nothing_is_changed(
    auth: Auth, ada: Account, answer: Response
) -> None:
    mine = auth.peers.add_file(ada.id)
    await put_on(ada, mine)
    auth.peers.answers["storage"] = answer
    refused = await put_on(ada, auth.peers.add_file(ada.id), bio="changed")
    assert (refused.status_code, refused.json()["code"]) == (503, "unavailable")
    me = (await ada.http.get("/v1/users/me")).json()
    assert (me["avatar_file_id"], me["bio"]) == (mine, "")


async def test_a_file_that_is_gone_is_no_avatar_any_more_and_its_owner_is_told(
    auth: Auth, ada: Account, bob: Account
) -> None:
    mine, bobs = auth.peers.add_file(ada.id), auth.peers.add_file(bob.id)
    await put_on(ada, mine)
    await put_on(bob, bobs)
    await auth.told()
    auth.frames.clear()
    for _ in range(2):  # each time as an event of its own, like a dead letter that is replayed
        await auth.publish(gone(mine, ada))
    await auth.told()
    assert (await avatar_of(ada), await avatar_of(bob)) == (None, bobs)
    (frame,) = auth.frames
    event = msgspec.json.decode(frame.text)
    assert frame.stream == f"account:{ada.id}"
    assert (event["type"], event["data"]["avatar_file_id"]) == ("user.updated", None)


async def test_the_end_of_any_other_file_changes_nothing(
    auth: Auth, ada: Account, bob: Account
) -> None:
    first, second = auth.peers.add_file(ada.id), auth.peers.add_file(ada.id)
    await put_on(ada, first)
    await put_on(ada, second)
    await bob.delete()
    await auth.told()
    auth.frames.clear()
    await auth.publish(gone(first, ada))  # an avatar of hers before
    await auth.publish(gone(auth.peers.add_file(ada.id), ada))
    await auth.publish(gone(auth.peers.add_file(bob.id), bob))  # of who is gone
    await auth.told()
    assert await avatar_of(ada) == second
    assert auth.frames == []


async def test_news_of_its_end_and_a_new_one_at_once_leave_the_new_one(
    auth: Auth, ada: Account
) -> None:
    old, new = auth.peers.add_file(ada.id), auth.peers.add_file(ada.id)
    await put_on(ada, old)
    await asyncio.gather(put_on(ada, new), auth.publish(gone(old, ada)))
    assert await avatar_of(ada) == new
