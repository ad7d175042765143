"""Members: coming, going, roles."""

import asyncio

from services.chat.tests.support.world import World, channel_stream


async def test_anyone_joins_a_public_channel_once(world: World) -> None:
    ada, bob = await world.people("ada", "bob")
    path = await ada.channel("public")
    await ada.say(path)
    membership = await bob.post(f"{path}/join")
    assert (membership["role"], membership["unread_count"]) == ("member", 0)
    assert membership["channel"]["member_count"] == 2
    assert membership["last_message"]["text"] == "hello"
    assert await bob.post(f"{path}/join", status=200) == membership
    events = [e for e in await world.events(channel_stream(path)) if e["type"] == "member.joined"]
    assert len(events) == 1
    assert events[0]["control"] == {"join": [bob.id]}
    assert events[0]["data"]["user"] == bob.read
    assert events[0]["data"]["member_count"] == 2
    assert membership["last_read_seq"] == events[0]["seq"]
    (told,) = await world.events(f"inbox:{bob.id}")
    assert told["type"] == "member.joined"
    assert told["data"]["membership"] == membership
    stream, epoch, seq = told["data"]["position"]
    assert (stream, epoch, seq) == (channel_stream(path), events[0]["epoch"], events[0]["seq"])


async def test_nobody_joins_what_is_not_public(world: World) -> None:
    ada, bob, eve = await world.people("ada", "bob", "eve")
    private = await ada.channel("private", bob)
    assert (await eve.post(f"{private}/join", status=404))["code"] == "not-found"
    await bob.post(f"{private}/join", status=200)
    await eve.post("/v1/channels/01936f0c-2b7e-7d33-8d7a-0c8e3a7c1f10/join", status=404)
    made_up = await world.rows(
        "SELECT stream FROM chat.stream_heads WHERE stream LIKE 'channel:01936f0c-2b7e%'"
    )
    assert made_up == [], "a made-up id leaves nothing behind"


async def test_who_leaves_hears_no_more(world: World) -> None:
    ada, bob = await world.people("ada", "bob")
    path = await ada.channel("private", bob)
    await bob.post(f"{path}/leave", status=204)
    await ada.say(path, "after")
    left, after = (await world.events(channel_stream(path)))[-2:]
    assert (left["type"], left["data"]["reason"]) == ("member.left", "left")
    assert left["data"]["user"] == bob.read
    assert left["control"] == {"leave": [bob.id]}
    assert after["seq"] == left["seq"] + 1
    inbox = (await world.events(f"inbox:{bob.id}"))[-1]
    assert (inbox["type"], inbox["data"]) == ("member.left", left["data"])
    await bob.get(f"{path}/messages", 404)
    await bob.post(f"{path}/leave", status=404)
    assert (await bob.get("/v1/memberships"))["items"] == []


async def test_the_last_owner_stays(world: World) -> None:
    ada, bob = await world.people("ada", "bob")
    path = await ada.channel("public", bob)
    me = f"{path}/members/{ada.id}"
    refusals = [
        await ada.post(f"{path}/leave", status=409),
        await ada.delete(me, 409),
        await ada.patch(me, {"role": "member"}, 409),
    ]
    assert {refusal["code"] for refusal in refusals} == {"last-owner"}
    await ada.patch(f"{path}/members/{bob.id}", {"role": "owner"})
    await ada.post(f"{path}/leave", status=204)
    channel = await bob.get(path)
    assert channel["owner_id"] == bob.id
    updated = (await world.events(channel_stream(path)))[-1]
    assert (updated["type"], updated["data"]) == ("channel.updated", channel)


async def test_two_owners_who_leave_at_once_do_not_leave_a_channel_without_one(
    world: World,
) -> None:
    ada, bob = await world.people("ada", "bob")
    path = await ada.channel("public", bob)
    await bob.say(path)  # or he could leave what he was merely made the owner of
    await ada.patch(f"{path}/members/{bob.id}", {"role": "owner"})
    answers = await asyncio.gather(ada.http.post(f"{path}/leave"), bob.http.post(f"{path}/leave"))
    assert sorted(answer.status_code for answer in answers) == [204, 409]


async def test_owners_and_admins_add_members_and_only_owners_make_admins(world: World) -> None:
    ada, bob, cleo, dan, eve = await world.people("ada", "bob", "cleo", "dan", "eve")
    path = await ada.channel("private")
    added = await ada.post(f"{path}/members", {"user_id": bob.id, "role": "admin"})
    assert (added["user"], added["role"]) == (bob.read, "admin")
    await bob.post(f"{path}/members", {"user_id": cleo.id})
    members = f"{path}/members"
    again = await bob.post(members, {"user_id": cleo.id}, 200)
    assert again["role"] == "member"
    problem = await bob.post(members, {"user_id": dan.id, "role": "owner"}, 403)
    assert problem["code"] == "forbidden"
    await cleo.post(members, {"user_id": dan.id}, 403)
    await eve.post(members, {"user_id": dan.id}, 404)
    await ada.post(members, {"user_id": "01936f0c-2b7e-7d33-8d7a-0c8e3a7c1f10"}, 404)
    await ada.post(members, {"user_id": dan.id, "role": "king"}, 422)
    await ada.post(members, {}, 422)
    assert [m["role"] for m in (await cleo.get(members))["items"]] == ["owner", "admin", "member"]


async def test_only_owners_change_roles(world: World) -> None:
    ada, bob, cleo, eve = await world.people("ada", "bob", "cleo", "eve")
    path = await ada.channel("public", bob, cleo)
    bobs = f"{path}/members/{bob.id}"
    changed = await ada.patch(bobs, {"role": "admin"})
    assert changed["role"] == "admin"
    event = (await world.events(channel_stream(path)))[-1]
    assert (event["type"], event["data"]) == ("member.updated", changed)
    assert await ada.patch(bobs, {"role": "admin"}) == changed
    assert (await world.events(channel_stream(path)))[-1] == event
    await bob.patch(f"{path}/members/{cleo.id}", {"role": "admin"}, 403)
    await bob.patch(bobs, {"role": "owner"}, 403)
    await eve.patch(bobs, {"role": "member"}, 403)
    await ada.patch(f"{path}/members/{eve.id}", {"role": "member"}, 404)
    await ada.patch(bobs, {}, 422)
    await ada.patch(bobs, {"role": "admin", "muted": True}, 422)


async def test_muting_is_ones_own_affair(world: World) -> None:
    ada, bob = await world.people("ada", "bob")
    path = await ada.channel("public", bob)
    before = await world.events(channel_stream(path))
    await bob.patch(f"{path}/members/{bob.id}", {"muted": True})
    (membership,) = (await bob.get("/v1/memberships"))["items"]
    assert membership["muted"]
    event = (await world.events(f"inbox:{bob.id}"))[-1]
    assert (event["type"], event["data"]["muted"]) == ("member.updated", True)
    await bob.patch(f"{path}/members/{bob.id}", {"muted": True})
    assert (await world.events(f"inbox:{bob.id}"))[-1] == event
    assert await world.events(channel_stream(path)) == before, "nobody else hears of it"
    assert "muted" not in (await ada.get(f"{path}/members"))["items"][1]
    await ada.patch(f"{path}/members/{bob.id}", {"muted": False}, 403)


async def test_admins_remove_plain_members_and_owners_anyone(world: World) -> None:
    ada, bob, cleo, dan, eve = await world.people("ada", "bob", "cleo", "dan", "eve")
    path = await ada.channel("private", bob, cleo, dan)
    for admin in (bob, cleo):
        await ada.patch(f"{path}/members/{admin.id}", {"role": "admin"})
    await dan.delete(f"{path}/members/{cleo.id}", 403)
    await eve.delete(f"{path}/members/{cleo.id}", 404)
    await bob.delete(f"{path}/members/{cleo.id}", 403)
    await bob.delete(f"{path}/members/{ada.id}", 403)
    await bob.delete(f"{path}/members/{dan.id}")
    removed = (await world.events(channel_stream(path)))[-1]
    assert (removed["type"], removed["data"]["reason"]) == ("member.left", "removed")
    assert removed["control"] == {"leave": [dan.id]}
    assert (await world.events(f"inbox:{dan.id}"))[-1]["data"] == removed["data"]
    await bob.delete(f"{path}/members/{dan.id}", 404)
    await ada.delete(f"{path}/members/{bob.id}")
    await cleo.delete(f"{path}/members/{cleo.id}")
    assert (await ada.get(path))["member_count"] == 1


async def test_members_are_listed_to_members_page_by_page(world: World) -> None:
    ada, bob, eve = await world.people("ada", "bob", "eve")
    path = await ada.channel("public", bob)
    first = await bob.get(f"{path}/members", limit=1)
    second = await bob.get(f"{path}/members", limit=1, cursor=first["next"])
    assert [m["user"] for m in first["items"] + second["items"]] == [ada.read, bob.read]
    assert second["next"] is None
    assert (await eve.get(f"{path}/members", 403))["code"] == "not-a-member"
    private = await ada.channel("private")
    await eve.get(f"{private}/members", 404)


async def test_nobody_learns_an_e_mail_address(world: World) -> None:
    ada, bob = await world.people("ada", "bob")
    for person in (ada, bob):
        world.peers.users[person.id]["email"] = "secret@example.org"
    path = await ada.channel("public", bob)
    await bob.say(path)
    answers = [
        await ada.get(f"{path}/members"),
        await ada.get(f"{path}/messages"),
        await ada.get("/v1/sync"),
        await ada.post("/v1/conversations", {"user_ids": [bob.id]}),
    ]
    assert "@" not in str(answers)
    assert "@" not in str(await world.events(channel_stream(path)))


async def test_a_name_that_nobody_told_us_is_asked_for_once(world: World) -> None:
    ada, bob = await world.people("ada", "bob")
    path = await ada.channel("public")
    world.peers.asked.clear()
    await ada.post(f"{path}/members", {"user_id": bob.id})
    await ada.delete(f"{path}/members/{bob.id}")
    await ada.post(f"{path}/members", {"user_id": bob.id})
    assert world.peers.asked == ["/internal/users"]


async def test_without_auth_strangers_wait_and_acquaintances_go_on(world: World) -> None:
    ada, bob, cleo = await world.people("ada", "bob", "cleo")
    path = await ada.channel("public", bob)
    world.peers.away.add("auth")
    refused = await cleo.http.post(f"{path}/join")
    assert (refused.status_code, refused.json()["code"]) == (503, "unavailable")
    assert int(refused.headers["retry-after"]) >= 1
    await bob.say(path)
    await ada.channel("private", bob)


async def test_an_account_that_auth_does_not_know_is_turned_away(world: World) -> None:
    ghost = await world.person("ghost")
    del world.peers.users[ghost.id]
    problem = await ghost.post("/v1/channels", {"name": "x", "kind": "public"}, 401)
    assert problem["code"] == "unauthenticated"
