"""Whose devices one may see."""

import asyncio

import pytest
from starlette.responses import JSONResponse, Response

from services.auth.tests.api.conftest import Account, Auth
from services.auth.tests.api.peers import PEERS
from sharezync_shared.ids import uuid7
from sharezync_testkit.waiting import GIVE_UP_SECONDS


@pytest.fixture
async def laptop(ada: Account) -> str:
    body = {"client_id": "laptop", "name": "Laptop", "platform": "linux"}
    return str((await ada.http.post("/v1/devices", json=body)).json()["id"])


@pytest.mark.parametrize("peer", PEERS)
async def test_who_shares_something_sees_the_devices_and_a_stranger_finds_nobody(
    auth: Auth, ada: Account, bob: Account, laptop: str, peer: str
) -> None:
    path = f"/v1/users/{ada.id}/devices"
    stranger = await bob.http.get(path)
    auth.peers.shared.add((peer, bob.id, ada.id))
    friend = await bob.http.get(path)
    assert stranger.status_code == 404
    assert stranger.json()["code"] == "not-found"
    assert friend.status_code == 200
    assert [device["id"] for device in friend.json()["items"]] == [laptop]
    assert friend.json()["items"][0]["online"] is False


async def test_the_one_who_looks_is_asked_about_not_the_other(
    auth: Auth, ada: Account, bob: Account
) -> None:
    auth.peers.shared |= {(peer, ada.id, bob.id) for peer in PEERS}
    assert (await bob.http.get(f"/v1/users/{ada.id}/devices")).status_code == 404
    assert (await ada.http.get(f"/v1/users/{bob.id}/devices")).status_code == 200


async def test_ones_own_devices_need_no_asking(auth: Auth, ada: Account, laptop: str) -> None:
    own = await ada.http.get(f"/v1/users/{ada.id}/devices")
    assert [device["id"] for device in own.json()["items"]] == [laptop]
    assert own.json() == (await ada.http.get("/v1/devices")).json()
    assert auth.peers.asked == []


async def test_who_does_not_exist_has_no_devices(auth: Auth, ada: Account, bob: Account) -> None:
    auth.peers.shared |= {("chat", bob.id, ada.id)}
    nobody = await bob.http.get(f"/v1/users/{uuid7()}/devices")
    await ada.delete()
    gone = await bob.http.get(f"/v1/users/{ada.id}/devices")
    assert (nobody.status_code, gone.status_code) == (404, 404)
    assert auth.peers.asked == []


async def test_both_are_asked_at_once_with_a_credential_of_auths_own(
    auth: Auth, ada: Account, bob: Account
) -> None:
    for peer in PEERS:
        auth.peers.silent[peer] = asyncio.Event()
    asking = asyncio.create_task(bob.http.get(f"/v1/users/{ada.id}/devices"))
    async with asyncio.timeout(GIVE_UP_SECONDS):
        while len(auth.peers.asked) < len(PEERS):  # noqa: ASYNC110 - neither has answered
            await asyncio.sleep(0)
    for event in auth.peers.silent.values():
        event.set()
    assert (await asking).status_code == 404
    for token in auth.peers.tokens:
        identity = await auth.app.state.verifier.verify_service(token)
        assert identity.name == "auth"


@pytest.mark.parametrize("silent", PEERS)
async def test_the_first_yes_decides(auth: Auth, ada: Account, bob: Account, silent: str) -> None:
    auth.peers.silent[silent] = asyncio.Event()  # never answers
    auth.peers.shared |= {(peer, bob.id, ada.id) for peer in PEERS}
    async with asyncio.timeout(GIVE_UP_SECONDS):
        answer = await bob.http.get(f"/v1/users/{ada.id}/devices")
    assert answer.status_code == 200


@pytest.mark.parametrize(
    "answer",
    [Response(status_code=503), Response(status_code=404), JSONResponse({"acquainted": "maybe"})],
)
@pytest.mark.parametrize("away", PEERS)
async def test_a_peer_that_can_not_be_asked_is_no_no(
    auth: Auth, ada: Account, bob: Account, away: str, answer: Response
) -> None:
    auth.peers.answers[away] = answer
    path = f"/v1/users/{ada.id}/devices"
    unknown = await bob.http.get(path)
    (other,) = (peer for peer in PEERS if peer != away)
    auth.peers.shared.add((other, bob.id, ada.id))
    known = await bob.http.get(path)
    assert unknown.status_code == 503
    assert unknown.json()["code"] == "unavailable"
    assert known.status_code == 200


@pytest.mark.parametrize("peer", PEERS)
async def test_who_is_blocked_finds_what_is_found_of_who_has_no_device(
    auth: Auth, ada: Account, bob: Account, laptop: str, peer: str
) -> None:
    """A refusal would tell those who know each other that there is a block."""
    path = f"/v1/users/{ada.id}/devices"
    await ada.http.put(f"/v1/blocks/{bob.id}")
    stranger = await bob.http.get(path)
    auth.peers.shared |= {(peer, bob.id, ada.id), (peer, ada.id, bob.id)}
    blocked = await bob.http.get(path)
    blocking = await ada.http.get(f"/v1/users/{bob.id}/devices")
    await ada.http.delete(f"/v1/blocks/{bob.id}")
    assert [device["id"] for device in (await bob.http.get(path)).json()["items"]] == [laptop]
    await ada.http.delete(f"/v1/devices/{laptop}")
    without = await bob.http.get(path)
    assert (stranger.status_code, blocking.status_code) == (404, 404)
    assert (blocked.status_code, blocked.json()) == (without.status_code, without.json())
    assert without.json()["items"] == []


async def test_across_a_block_strangers_are_answered_as_strangers_also_in_an_outage(
    auth: Auth, ada: Account, bob: Account
) -> None:
    await ada.http.put(f"/v1/blocks/{bob.id}")
    path = f"/v1/users/{ada.id}/devices"
    assert (await bob.http.get(path)).status_code == 404
    auth.peers.answers["chat"] = Response(status_code=503)
    assert (await bob.http.get(path)).status_code == 503
    auth.peers.shared |= {("transfer", bob.id, ada.id)}
    assert (await bob.http.get(path)).status_code == 200, "the first yes decides, as ever"
