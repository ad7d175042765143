"""Across a block nobody reaches anybody, and who is blocked is answered as a stranger is."""

import asyncio
from uuid import UUID

import httpx
import pytest

from services.chat.tests.support.world import Json, Person, World
from sharezync_chat.usecases.people import USERS
from sharezync_shared.background import NEVER
from sharezync_shared.calls.client import ServiceUnavailable
from sharezync_shared.contracts.auth import AuthClient
from sharezync_shared.events.contracts import (
    UserBlocked,
    UserDeleted,
    UserRegistered,
    UserUnblocked,
    UserUpdated,
)


async def block(world: World, who: Person, whom: Person, version: int = 1) -> None:
    await world.publish(
        UserBlocked(user_id=UUID(who.id), blocked_id=UUID(whom.id), version=version)
    )


async def unblock(world: World, who: Person, whom: Person, version: int = 2) -> None:
    await world.publish(
        UserUnblocked(user_id=UUID(who.id), blocked_id=UUID(whom.id), version=version)
    )


async def let(world: World, who: Person, who_may_add: str) -> None:
    """Have somebody say who may add them."""
    await world.publish(
        UserUpdated(
            user_id=UUID(who.id),
            username=who.username,
            display_name=who.username.title(),
            who_may_add=who_may_add,
        )
    )


async def direct(one: Person, other: Person) -> str:
    made = await one.post("/v1/conversations", {"user_ids": [other.id]})
    return f"/v1/channels/{made['id']}"


def told(answer: httpx.Response) -> Json:
    """Return all that an answer tells, but for what is of the request alone."""
    document: Json = answer.json()
    return {"status": answer.status_code, **document, "request_id": None}


async def test_nobody_writes_across_a_block_and_all_stays_readable(world: World) -> None:
    ada, bob = await world.people("ada", "bob")
    path = await direct(ada, bob)
    mine, theirs = await ada.say(path, "hello"), await bob.say(path, "hello yourself")
    await block(world, ada, bob)
    refused = [
        await bob.post(f"{path}/messages", {"text": "x"}, 403),
        await bob.patch(f"/v1/messages/{theirs['id']}", {"text": "x"}, 403),
        await bob.put(f"/v1/messages/{mine['id']}/reactions/:thumbsup:", status=403),
        await bob.put(f"{path}/pins/{mine['id']}", status=403),
    ]
    assert {each["code"] for each in refused} == {"user-unreachable"}
    assert (await ada.post(f"{path}/messages", {"text": "x"}, 409))["code"] == "user-blocked"
    gateway = await world.service("gateway")
    command = {"user_id": bob.id, "kind": "send_message"}
    data = {"channel_id": path.rpartition("/")[2], "text": "by socket"}
    answer = await gateway.post(
        "/internal/commands", json={"commands": [{**command, "data": data}]}
    )
    assert answer.json()["results"][0]["problem"]["code"] == "user-unreachable"
    for who in (ada, bob):
        read = await who.get(f"{path}/messages")
        assert [each["text"] for each in read["items"]] == ["hello yourself", "hello"]
    await bob.delete(f"/v1/messages/{theirs['id']}")  # one's own words are one's own
    await unblock(world, ada, bob)
    await bob.say(path, "at last")


async def test_a_retry_of_what_was_posted_before_a_block_gets_it(world: World) -> None:
    ada, bob = await world.people("ada", "bob")
    path = await direct(ada, bob)
    body = {"text": "once", "client_message_id": "1"}
    first = await bob.post(f"{path}/messages", body)
    await block(world, ada, bob)
    assert (await bob.post(f"{path}/messages", body, 200))["id"] == first["id"]


async def test_nobody_is_added_or_drawn_into_anything_across_a_block(world: World) -> None:
    ada, bob, cleo = await world.people("ada", "bob", "cleo")
    await direct(ada, cleo)
    await direct(bob, cleo)  # so that all are known here
    await block(world, ada, bob)
    bobs, adas = await bob.channel("private"), await ada.channel("private")
    assert [
        (await bob.post(f"{bobs}/members", {"user_id": ada.id}, 403))["code"],
        (await bob.post("/v1/conversations", {"user_ids": [ada.id]}, 403))["code"],
        (await bob.post("/v1/conversations", {"user_ids": [ada.id, cleo.id]}, 403))["code"],
    ] == ["user-unreachable"] * 3
    assert [
        (await ada.post(f"{adas}/members", {"user_id": bob.id}, 409))["code"],
        (await ada.post("/v1/conversations", {"user_ids": [bob.id]}, 409))["code"],
        (await ada.post("/v1/conversations", {"user_ids": [cleo.id, bob.id]}, 409))["code"],
    ] == ["user-blocked"] * 3
    shared = await cleo.channel("private", ada, bob)  # a third one may have both
    await bob.say(shared)
    await ada.say(shared)


async def test_who_is_blocked_is_answered_as_who_is_kept_away_by_a_setting(world: World) -> None:
    ada, bob, cleo, dan = await world.people("ada", "bob", "cleo", "dan")
    old = {each.id: await direct(each, ada) for each in (bob, cleo)}
    await let(world, ada, "nobody")
    await block(world, ada, bob)
    bobs, cleos = await bob.channel("private"), await cleo.channel("private")
    doors = [
        (f"{old[bob.id]}/messages", f"{old[cleo.id]}/messages", {"text": "x"}),
        (f"{bobs}/members", f"{cleos}/members", {"user_id": ada.id}),
        ("/v1/conversations", "/v1/conversations", {"user_ids": [ada.id, dan.id]}),
    ]
    for blocked, kept_away, body in doors:
        one = await bob.http.post(blocked, json=body)
        other = await cleo.http.post(kept_away, json=body)
        assert one.status_code == 403
        assert told(one) == told(other), blocked
    gone = await bob.http.get(old[bob.id])
    assert gone.status_code == 200, "what was there is still there"


@pytest.mark.parametrize("setting", ["known", "nobody"])
async def test_a_setting_says_who_may_add_one(world: World, setting: str) -> None:
    ada, bob, eve = await world.people("ada", "bob", "eve")
    shared = await bob.channel("private", ada)
    await ada.say(shared)  # ada knows bob by that
    await eve.channel("private", ada)  # and eve by nothing
    await let(world, ada, setting)
    bobs, eves = await bob.channel("private"), await eve.channel("private")
    allowed = 201 if setting == "known" else 403
    await bob.post(f"{bobs}/members", {"user_id": ada.id}, allowed)
    await bob.post("/v1/conversations", {"user_ids": [ada.id]}, allowed)
    for path, body in (
        (f"{eves}/members", {"user_id": ada.id}),
        ("/v1/conversations", {"user_ids": [ada.id]}),
        ("/v1/conversations", {"user_ids": [ada.id, bob.id]}),
    ):
        assert (await eve.post(path, body, 403))["code"] == "user-unreachable"
    await ada.post("/v1/conversations", {"user_ids": [eve.id]})  # ada herself may


async def test_a_conversation_that_was_accepted_goes_on_whatever_is_set(world: World) -> None:
    ada, bob, eve = await world.people("ada", "bob", "eve")
    accepted, asked = await direct(bob, ada), await direct(eve, ada)
    await ada.say(accepted)
    await eve.say(asked, "hello?")
    await let(world, ada, "known")
    await bob.say(accepted)
    assert (await eve.post(f"{asked}/messages", {"text": "hello??"}, 403))["code"] == (
        "user-unreachable"
    )


@pytest.mark.parametrize("called", ["by name", "all"])
async def test_however_often_who_is_blocked_calls_the_calls_of_others_count(
    world: World, called: str
) -> None:
    ada, bob, cleo, dan = await world.people("ada", "bob", "cleo", "dan")
    path = await cleo.channel("private", ada, bob, dan)
    channel_id = path.rpartition("/")[2]
    target, text = (ada.id, f"@{ada.username}") if called == "by name" else (channel_id, "@channel")
    calls = (
        "INSERT INTO chat.mentions (channel_id, target_id, number, author_id) "
        "SELECT $1::uuid, $2::uuid, n, $3::uuid FROM generate_series($4::int, $5::int) AS n"
    )
    await world.rows(calls, channel_id, target, bob.id, 1, 6000)
    await world.rows("UPDATE chat.channels SET message_count = 6000 WHERE id = $1", channel_id)
    for who in (cleo, dan, bob, dan):
        await who.say(path, text)

    async def counted() -> int:
        return int((await ada.get("/v1/memberships"))["items"][0]["mention_count"])

    assert await counted() == 1000, "of that many no more are counted"
    await block(world, ada, bob)
    assert await counted() == 3
    await block(world, ada, dan, version=2)
    assert await counted() == 1
    await unblock(world, ada, bob, version=3)
    assert await counted() == 1000
    read = await ada.put(f"{path}/read", {})
    assert read["mention_count"] == 0


async def test_calls_by_who_is_blocked_do_not_count_and_nobody_can_tell(world: World) -> None:
    ada, bob, cleo = await world.people("ada", "bob", "cleo")
    path = await cleo.channel("private", ada, bob)

    async def counted() -> int:
        mine = (await ada.get("/v1/memberships"))["items"]
        return int(mine[0]["mention_count"])

    await bob.say(path, f"@{ada.username}")
    await bob.say(path, "@channel")
    assert await counted() == 2
    await block(world, ada, bob)
    assert await counted() == 0
    called = await bob.say(path, f"@{ada.username} and @channel")
    assert (called["mentions"], called["mentions_channel"]) == ([ada.id], True)
    assert await counted() == 0
    await cleo.say(path, f"@{ada.username}")
    assert await counted() == 1
    read = await ada.put(f"{path}/read", {"seq": 0})
    assert read["mention_count"] == 1
    await unblock(world, ada, bob)
    assert await counted() == 4


async def test_facts_come_in_any_order_and_twice(world: World) -> None:
    ada, bob = await world.people("ada", "bob")
    path = await direct(ada, bob)
    await unblock(world, ada, bob, version=2)
    await block(world, ada, bob, version=1)
    await bob.say(path)
    await block(world, ada, bob, version=3)
    await unblock(world, ada, bob, version=2)
    await bob.post(f"{path}/messages", {"text": "x"}, 403)


async def test_with_an_account_go_its_blocks_for_good(world: World) -> None:
    ada, bob = await world.people("ada", "bob")
    await direct(ada, bob)
    await block(world, ada, bob)
    await world.publish(UserDeleted(user_id=UUID(bob.id)))
    await block(world, ada, bob, version=5)  # late
    left = await world.rows("SELECT FROM chat.blocks WHERE blocked_id = $1", UUID(bob.id))
    assert left == []


async def test_a_block_that_comes_while_an_account_goes_is_not_kept(world: World) -> None:
    ada, bob = await world.people("ada", "bob")
    await direct(ada, bob)
    pool = await world.core.database.pool()
    async with pool.acquire() as erasing:
        async with erasing.transaction():
            await erasing.execute("DELETE FROM chat.blocks WHERE blocked_id = $1", UUID(bob.id))
            await erasing.execute(
                "UPDATE chat.users SET deleted = true WHERE id = $1", UUID(bob.id)
            )
            blocking = asyncio.create_task(block(world, ada, bob))
            done, _ = await asyncio.wait([blocking], timeout=0.3)
            assert not done, "it waits for what becomes of the account"
        await blocking
    assert await world.rows("SELECT FROM chat.blocks WHERE blocked_id = $1", UUID(bob.id)) == []


async def test_of_who_is_gone_by_now_nothing_is_fetched(world: World) -> None:
    """Auth was asked a moment before the account was deleted."""
    ada, bob, cleo = await world.people("ada", "bob", "cleo")
    await direct(ada, bob)
    await direct(ada, cleo)
    await world.publish(UserDeleted(user_id=UUID(bob.id)))
    for who, blocked in ((ada, [bob.id, cleo.id]), (bob, [ada.id])):
        rules = {
            "user_id": who.id,
            "username": who.username,
            "display_name": who.username.title(),
            "who_may_add": "everybody",
            "version": 2,
            "blocked_ids": blocked,
        }
        world.peers.contact_rules.append(rules)
    await world.rows("DELETE FROM chat.backfills WHERE name = 'contact-rules'")
    await USERS.fill(world.core.work, world.platform.client(AuthClient))
    kept = await world.rows(
        "SELECT user_id, blocked_id FROM chat.blocks WHERE user_id = ANY($1)",
        [UUID(ada.id), UUID(bob.id)],
    )
    assert [tuple(map(str, row.values())) for row in kept] == [(ada.id, cleo.id)]


async def test_what_was_said_before_chat_listened_is_fetched_once(world: World) -> None:
    ada, bob, cleo = await world.people("ada", "bob", "cleo")
    path = await direct(ada, bob)
    await block(world, ada, cleo, version=1)
    for who in (ada, bob, cleo):
        rules = {
            "user_id": who.id,
            "username": who.username,
            "display_name": who.username.title(),
            "who_may_add": "nobody" if who is cleo else "everybody",
            "version": 7 if who is ada else 0,
            "blocked_ids": [bob.id] if who is ada else [],
        }
        world.peers.contact_rules.append(rules)
    world.peers.away.add("auth")
    await world.rows("DELETE FROM chat.backfills WHERE name = 'contact-rules'")
    auth = world.platform.client(AuthClient)
    with pytest.raises(ServiceUnavailable):
        await USERS.fill(world.core.work, auth)
    world.peers.away.clear()
    assert await USERS.fill(world.core.work, auth) is NEVER
    world.peers.contact_rules.clear()
    assert await USERS.fill(world.core.work, auth) is NEVER
    await bob.post(f"{path}/messages", {"text": "x"}, 403)
    assert (await ada.post("/v1/conversations", {"user_ids": [cleo.id]}, 403))["code"] == (
        "user-unreachable"  # and not `user-blocked`: that block was taken back since
    )
    await block(world, ada, bob, version=6)
    await unblock(world, ada, bob, version=8)
    await bob.say(path)


async def test_names_of_before_there_was_a_setting_leave_it_as_it_is(world: World) -> None:
    ada, bob = await world.people("ada", "bob")
    await direct(ada, bob)
    await let(world, bob, "nobody")
    await world.publish(
        UserUpdated(user_id=UUID(bob.id), username=bob.username, display_name="Bob")
    )
    await world.publish(
        UserRegistered(user_id=UUID(bob.id), username=bob.username, display_name="Bob")
    )
    path = await ada.channel("private")
    await ada.post(f"{path}/members", {"user_id": bob.id}, 403)
