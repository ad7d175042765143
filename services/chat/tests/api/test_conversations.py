"""Direct and group conversations."""

import asyncio

from services.chat.tests.support.world import World, channel_stream


async def test_two_people_have_one_conversation_whoever_asks(world: World) -> None:
    ada, bob, eve = await world.people("ada", "bob", "eve")
    made = await ada.post("/v1/conversations", {"user_ids": [bob.id]})
    assert (made["kind"], made["name"], made["owner_id"]) == ("direct", None, None)
    assert made["participants"] == [ada.read, bob.read]
    assert await bob.post("/v1/conversations", {"user_ids": [ada.id]}, 200) == made
    assert await ada.post("/v1/conversations", {"user_ids": [bob.id, ada.id]}, 200) == made
    path = f"/v1/channels/{made['id']}"
    (created,) = await world.events(channel_stream(path))
    assert created["type"] == "channel.created"
    assert created["control"] == {"join": [ada.id, bob.id]}
    assert [m["user"] for m in created["data"]["members"]] == [ada.read, bob.read]
    for person in (ada, bob):
        told = (await world.events(f"inbox:{person.id}"))[0]
        assert (told["type"], told["data"]["channel_id"]) == ("member.joined", made["id"])
    await bob.say(path)
    await eve.get(path, 404)
    await eve.post(f"{path}/messages", {"text": "psst"}, 404)


async def test_however_many_ask_at_once_they_get_the_same(world: World) -> None:
    ada, bob = await world.people("ada", "bob")
    bodies = [(ada, bob.id), (bob, ada.id)] * 4
    answers = await asyncio.gather(
        *(who.http.post("/v1/conversations", json={"user_ids": [other]}) for who, other in bodies)
    )
    assert sorted(answer.status_code for answer in answers) == [200] * 7 + [201]
    assert len({answer.json()["id"] for answer in answers}) == 1


async def test_a_group_is_its_people_until_one_leaves(world: World) -> None:
    ada, bob, cleo = await world.people("ada", "bob", "cleo")
    made = await ada.post("/v1/conversations", {"user_ids": [bob.id, cleo.id], "name": "trio"})
    assert (made["kind"], made["name"], made["member_count"]) == ("group", "trio", 3)
    again = await cleo.post("/v1/conversations", {"user_ids": [bob.id, ada.id]}, 200)
    assert again["id"] == made["id"]
    path = f"/v1/channels/{made['id']}"
    renamed = await bob.patch(path, {"name": "us three"})
    assert renamed["name"] == "us three"
    await cleo.post(f"{path}/leave", status=204)
    anew = await ada.post("/v1/conversations", {"user_ids": [bob.id, cleo.id]})
    assert anew["id"] != made["id"]
    assert [p["id"] for p in (await ada.get(path))["participants"]] == [ada.id, bob.id]
    await ada.post(f"{path}/leave", status=204)
    await bob.post(f"{path}/leave", status=204)
    assert (await world.events(channel_stream(path)))[-1]["type"] == "channel.deleted"


async def test_conversations_have_no_owners_joiners_or_archive(world: World) -> None:
    ada, bob, cleo, dan = await world.people("ada", "bob", "cleo", "dan")
    direct = await ada.post("/v1/conversations", {"user_ids": [bob.id]})
    group = await ada.post("/v1/conversations", {"user_ids": [bob.id, cleo.id]})
    await dan.channel()
    for made in (direct, group):
        path = f"/v1/channels/{made['id']}"
        refusals = [
            await ada.post(f"{path}/members", {"user_id": dan.id}, 409),
            await ada.delete(f"{path}/members/{bob.id}", 409),
            await ada.patch(f"{path}/members/{bob.id}", {"role": "owner"}, 409),
            await ada.patch(path, {"archived": True}, 409),
            await ada.delete(path, 409),
        ]
        assert {refusal["code"] for refusal in refusals} == {"conversation-fixed"}
        await dan.post(f"{path}/join", status=404)
        await bob.post(f"{path}/join", status=200)  # who is in it accepts it
    path = f"/v1/channels/{direct['id']}"
    assert (await ada.patch(path, {"name": "us"}, 409))["code"] == "conversation-fixed"
    message = await bob.say(path)
    await ada.delete(f"/v1/messages/{message['id']}", 403)


async def test_a_conversation_needs_people_who_exist(world: World) -> None:
    ada, bob = await world.people("ada", "bob")
    start = "/v1/conversations"
    nobody = "01936f0c-2b7e-7d33-8d7a-0c8e3a7c1f10"
    assert (await ada.post(start, {"user_ids": [nobody]}, 404))["code"] == "user-not-found"
    assert (await ada.post(start, {"user_ids": [bob.id, nobody]}, 404))["code"] == "user-not-found"
    await ada.post(start, {"user_ids": []}, 422)
    await ada.post(start, {"user_ids": [ada.id]}, 422)
    await ada.post(start, {"user_ids": [nobody] * 21}, 422)
    await ada.post(start, {}, 422)
    world.peers.away.add("auth")
    await ada.post(start, {"user_ids": [(await world.person()).id]}, 503)
    world.peers.away.clear()
    assert (await ada.get("/v1/memberships"))["items"] == []
