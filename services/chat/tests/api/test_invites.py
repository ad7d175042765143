"""Coming into a channel by a code."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from services.chat.tests.support.world import Person, World


async def test_whoever_has_the_code_comes_in(world: World) -> None:
    ada, dan = await world.people("ada", "dan")
    path = await ada.channel("private")
    await ada.say(path, "before")
    made = await ada.post(f"{path}/invites", {"expires_in_seconds": 3600, "max_uses": 5})
    membership = await dan.post(f"/v1/invites/{made['code']}/accept")
    assert membership["channel"]["id"] == path.rpartition("/")[2]
    assert (membership["role"], membership["unread_count"]) == ("member", 0)
    await dan.say(path, "hello")

    again = await dan.post(f"/v1/invites/{made['code']}/accept", status=200)
    assert again["role"] == "member"
    (listed,) = (await ada.get(f"{path}/invites"))["items"]
    assert (listed["uses"], listed["max_uses"], listed["created_by"]) == (1, 5, ada.read)
    assert "code" not in listed


async def test_a_code_is_kept_as_its_digest_only(world: World) -> None:
    ada = await world.person()
    made = await ada.post(f"{await ada.channel()}/invites")
    rows = await world.rows(
        "SELECT i::text AS text FROM chat.invites AS i WHERE id = $1", made["id"]
    )
    assert made["code"] not in rows[0]["text"]


async def test_the_last_use_is_used_once(world: World) -> None:
    ada = await world.person()
    guests = await world.people(*("g" * 6))
    path = await ada.channel("private")
    made = await ada.post(f"{path}/invites", {"max_uses": 2})
    answers = await asyncio.gather(
        *(guest.http.post(f"/v1/invites/{made['code']}/accept") for guest in guests)
    )
    assert sorted(answer.status_code for answer in answers) == [201, 201, 410, 410, 410, 410]
    assert (await ada.get(path))["member_count"] == 3
    assert (await ada.get(f"{path}/invites"))["items"] == []


async def _expire(world: World, ada: Person, path: str, invite_id: str) -> None:
    later = datetime.now(UTC) + timedelta(days=8)
    world.app.state.work.now = lambda: later


async def _revoke(world: World, ada: Person, path: str, invite_id: str) -> None:
    await ada.delete(f"{path}/invites/{invite_id}")


async def _end_channel(world: World, ada: Person, path: str, invite_id: str) -> None:
    await ada.delete(path)


@pytest.mark.parametrize("ended_by", [_expire, _revoke, _end_channel])
async def test_an_invite_that_ended_lets_nobody_in(world: World, ended_by) -> None:  # type: ignore[no-untyped-def]  # one of three functions of one kind
    ada, dan = await world.people("ada", "dan")
    path = await ada.channel("private")
    made = await ada.post(f"{path}/invites")
    await ended_by(world, ada, path, made["id"])
    refused = await dan.post(f"/v1/invites/{made['code']}/accept", status=410)
    assert refused["code"] == "invite-gone"


async def test_a_made_up_code_is_not_found(world: World) -> None:
    dan = await world.person("dan")
    await dan.post("/v1/invites/szi_made-up/accept", status=404)


async def test_an_archived_channel_takes_nobody_in_and_nothing_is_used_up(world: World) -> None:
    ada, dan = await world.people("ada", "dan")
    path = await ada.channel("private")
    made = await ada.post(f"{path}/invites", {"max_uses": 1})
    await ada.patch(path, {"archived": True})
    refused = await dan.post(f"/v1/invites/{made['code']}/accept", status=409)
    assert refused["code"] == "channel-archived"
    await ada.patch(path, {"archived": False})
    await dan.post(f"/v1/invites/{made['code']}/accept")


async def test_conversations_have_no_invites(world: World) -> None:
    ada, bob = await world.people("ada", "bob")
    made = await ada.post("/v1/conversations", {"user_ids": [bob.id]})
    refused = await ada.post(f"/v1/channels/{made['id']}/invites", status=409)
    assert refused["code"] == "conversation-fixed"


async def test_invites_of_one_channel_are_bounded(world: World) -> None:
    ada = await world.person()
    path = await ada.channel("private")
    made = [await ada.post(f"{path}/invites") for _ in range(100)]
    assert (await ada.post(f"{path}/invites", status=409))["code"] == "too-many-invites"
    await ada.delete(f"{path}/invites/{made[0]['id']}")
    await ada.post(f"{path}/invites")
