"""Who is kept out of a channel, and who comes back how."""

import pytest

from services.chat.tests.support.world import Person, World


async def code_of(who: Person, path: str) -> str:
    return str((await who.post(f"{path}/invites"))["code"])


async def take(who: Person, code: str, status: int = 201) -> str:
    answer = await who.post(f"/v1/invites/{code}/accept", status=status)
    return str(answer.get("code", ""))


@pytest.mark.parametrize("end", ["removed", "demoted", "left"])
async def test_an_invite_ends_with_its_makers_right_to_invite(world: World, end: str) -> None:
    ada, bob, cleo = await world.people("ada", "bob", "cleo")
    path = await ada.channel("private")
    await ada.post(f"{path}/members", {"user_id": bob.id, "role": "admin"})
    bobs, adas = await code_of(bob, path), await code_of(ada, path)
    match end:
        case "removed":
            await ada.delete(f"{path}/members/{bob.id}")
        case "demoted":
            await ada.patch(f"{path}/members/{bob.id}", {"role": "member"})
            await ada.patch(f"{path}/members/{bob.id}", {"role": "admin"})  # too late for it
        case "left":
            await bob.post(f"{path}/leave", status=204)
    assert await take(cleo, bobs, 410) == "invite-gone"
    held = [each["created_by"]["id"] for each in (await ada.get(f"{path}/invites"))["items"]]
    assert held == [ada.id]
    await take(cleo, adas)


async def test_a_removed_admin_does_not_take_their_own_invite(world: World) -> None:
    ada, bob = await world.people("ada", "bob")
    path = await ada.channel("private")
    await ada.post(f"{path}/members", {"user_id": bob.id, "role": "admin"})
    code = await code_of(bob, path)
    await ada.delete(f"{path}/members/{bob.id}")
    assert await take(bob, code, 410) == "invite-gone"
    await bob.get(path, 404)


async def test_who_was_removed_comes_back_by_what_is_made_afterwards_only(world: World) -> None:
    ada, bob = await world.people("ada", "bob")
    path = await ada.channel("private")
    old = await code_of(ada, path)
    await take(bob, old)
    await ada.delete(f"{path}/members/{bob.id}")
    assert await take(bob, old, 410) == "invite-gone"
    await take(bob, await code_of(ada, path))
    await ada.delete(f"{path}/members/{bob.id}")
    await ada.post(f"{path}/members", {"user_id": bob.id})
    await bob.post(f"{path}/leave", status=204)
    await take(bob, old)  # who left by themselves may come back by any


async def test_who_passed_the_channel_on_may_still_invite(world: World) -> None:
    ada, bob, cleo = await world.people("ada", "bob", "cleo")
    path = await ada.channel("private", bob)
    code = await code_of(ada, path)
    await ada.post(f"{path}/owner", {"user_id": bob.id}, status=200)
    await take(cleo, code)


async def test_who_is_banned_is_out_and_kept_out_until_unbanned(world: World) -> None:
    ada, bob = await world.people("ada", "bob")
    path = await ada.channel("public", bob)
    code = await code_of(ada, path)
    banned = await ada.put(f"{path}/bans/{bob.id}")
    assert (banned["user"]["id"], banned["banned_by"]["id"]) == (bob.id, ada.id)
    assert await ada.put(f"{path}/bans/{bob.id}") == banned
    await bob.get(f"{path}/messages", 403)
    refused = [
        await bob.post(f"{path}/join", status=403),
        await bob.post(f"/v1/invites/{code}/accept", status=403),
        await ada.post(f"{path}/members", {"user_id": bob.id}, 403),
    ]
    assert {each["code"] for each in refused} == {"banned"}
    assert [each["user"]["id"] for each in (await ada.get(f"{path}/bans"))["items"]] == [bob.id]
    await ada.delete(f"{path}/bans/{bob.id}")
    await ada.delete(f"{path}/bans/{bob.id}")
    assert await take(bob, code, 410) == "invite-gone", "it is from before the removal"
    await bob.post(f"{path}/join")


async def test_one_can_be_banned_before_one_ever_came(world: World) -> None:
    ada, bob = await world.people("ada", "bob")
    path = await ada.channel("public")
    await ada.put(f"{path}/bans/{bob.id}")
    assert (await bob.post(f"{path}/join", status=403))["code"] == "banned"
    await ada.put(f"{path}/bans/01936f0c-2b7e-7d33-8d7a-0c8e3a7c1f10", status=404)


async def test_admins_ban_plain_members_only_and_nobody_themselves(world: World) -> None:
    ada, bob, cleo, dan = await world.people("ada", "bob", "cleo", "dan")
    path = await ada.channel("private", dan)
    for admin in (bob, cleo):
        await ada.post(f"{path}/members", {"user_id": admin.id, "role": "admin"})
    await bob.put(f"{path}/bans/{cleo.id}", status=403)
    await bob.put(f"{path}/bans/{ada.id}", status=403)
    await bob.put(f"{path}/bans/{bob.id}", status=422)
    await dan.put(f"{path}/bans/{bob.id}", status=403)
    await bob.put(f"{path}/bans/{dan.id}")
    await ada.put(f"{path}/bans/{bob.id}")


async def test_bans_have_pages(world: World) -> None:
    ada, *others = await world.people("ada", "bob", "cleo", "dan")
    path = await ada.channel("public")
    for each in others:
        await ada.put(f"{path}/bans/{each.id}")
    first = await ada.get(f"{path}/bans", limit=2)
    second = await ada.get(f"{path}/bans", limit=2, cursor=first["next"])
    listed = [each["user"]["id"] for page in (first, second) for each in page["items"]]
    assert (listed, second["next"]) == (sorted(each.id for each in others), None)


async def test_who_was_made_owner_without_asking_can_leave(world: World) -> None:
    ada, bob, cleo = await world.people("ada", "bob", "cleo")
    path = await ada.channel("private", cleo)
    await ada.post(f"{path}/members", {"user_id": bob.id, "role": "owner"})
    await ada.post(f"{path}/leave", status=204)
    await bob.post(f"{path}/leave", status=204)
    assert (await cleo.get(path))["owner_id"] == cleo.id
    await cleo.post(f"{path}/leave", status=204)
    left = await world.rows(
        "SELECT FROM chat.channels WHERE id::text = $1 AND deleted_at IS NULL",
        path.rpartition("/")[2],
    )
    assert left == []


async def test_a_direct_conversation_is_hidden_until_the_next_message(world: World) -> None:
    ada, bob = await world.people("ada", "bob")
    made = await ada.post("/v1/conversations", {"user_ids": [bob.id]})
    path = f"/v1/channels/{made['id']}"
    await ada.say(path)
    await bob.say(path)

    async def hidden(who: Person) -> bool:
        (mine,) = (await who.get("/v1/memberships"))["items"]
        up_to = mine["hidden_up_to"]
        return up_to is not None and mine["channel"]["message_count"] <= up_to

    before = await world.events(f"channel:{made['id']}")
    await bob.post(f"{path}/leave", status=204)
    await bob.delete(f"{path}/members/{bob.id}")  # says the same
    assert await world.events(f"channel:{made['id']}") == before, "the other one can't tell"
    assert (await hidden(bob), await hidden(ada)) == (True, False)
    event = (await world.events(f"inbox:{bob.id}"))[-1]
    assert event["data"]["hidden_up_to"] == 2
    assert set(event["control"]["recheck"]) == {ada.id, bob.id}
    await ada.say(path)
    assert not await hidden(bob)
    await bob.post(f"{path}/leave", status=204)
    await bob.post("/v1/conversations", {"user_ids": [ada.id]}, status=200)
    assert not await hidden(bob)
