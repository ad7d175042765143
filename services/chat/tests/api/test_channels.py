"""Channels: who sees, changes and ends them."""

from services.chat.tests.support.world import World, channel_stream


async def test_whoever_makes_a_channel_owns_it_and_is_in_it(world: World) -> None:
    ada = await world.person()
    body = {"name": " engines ", "kind": "private", "description": "d", "topic": "t"}
    answer = await ada.http.post("/v1/channels", json=body)
    made = answer.json()
    assert answer.status_code == 201
    assert answer.headers["location"] == f"/v1/channels/{made['id']}"
    assert answer.headers["stream-position"].startswith(f"channel:{made['id']} ")
    assert made["name"] == "engines"
    assert (made["kind"], made["description"], made["topic"]) == ("private", "d", "t")
    assert (made["owner_id"], made["member_count"], made["archived"]) == (ada.id, 1, False)
    assert await ada.get(f"/v1/channels/{made['id']}") == made
    (member,) = (await ada.get(f"/v1/channels/{made['id']}/members"))["items"]
    assert (member["user"], member["role"]) == (ada.read, "owner")
    await ada.say(f"/v1/channels/{made['id']}")


async def test_nobody_makes_a_channel_for_somebody_else(world: World) -> None:
    ada, bob = await world.people("ada", "bob")
    body = {"name": "x", "kind": "public", "owner_id": bob.id}
    made = await ada.post(f"/v1/channels?owner_id={bob.id}", body)
    assert made["owner_id"] == ada.id


async def test_a_channel_that_makes_no_sense_is_refused(world: World) -> None:
    ada = await world.person()
    for body in (
        {},
        {"name": "x"},
        {"name": "", "kind": "public"},
        {"name": "   ", "kind": "public"},
        {"name": "x" * 81, "kind": "public"},
        {"name": "a\0b", "kind": "public"},
        {"name": "x", "kind": "direct"},
        {"name": "x", "kind": "secret"},
        {"name": 7, "kind": "public"},
        {"name": "x", "kind": "public", "topic": "x" * 251},
        ["not", "an", "object"],
    ):
        problem = await ada.call("POST", "/v1/channels", 422, json=body)
        assert problem["code"] == "invalid"
    await ada.call(
        "POST", "/v1/channels", 400, content=b"{", headers={"content-type": "application/json"}
    )
    assert (await ada.get("/v1/memberships"))["items"] == []


async def test_public_channels_are_seen_by_all_private_ones_by_members(world: World) -> None:
    ada, bob, eve = await world.people("ada", "bob", "eve")
    public = await ada.channel("public")
    private = await ada.channel("private", bob)
    assert (await eve.get(public))["kind"] == "public"
    assert (await bob.get(private))["member_count"] == 2
    assert (await eve.get(private, 404))["code"] == "not-found"
    assert (await eve.get("/v1/channels/01936f0c-2b7e-7d33-8d7a-0c8e3a7c1f10", 404)) is not None
    await eve.get("/v1/channels/nonsense", 422)


async def test_the_list_shows_what_one_may_see_newest_first_page_by_page(world: World) -> None:
    ada, eve = await world.people("ada", "eve")
    await ada.channel("private")
    made = [(await ada.channel("public")).rpartition("/")[2] for _ in range(3)]
    old = await ada.channel("public")
    await ada.patch(old, {"archived": True})
    page = await eve.get("/v1/channels", limit=2)
    assert [channel["id"] for channel in page["items"]] == made[:0:-1]
    rest = await eve.get("/v1/channels", limit=2, cursor=page["next"])
    assert rest["items"][0]["id"] == made[0]
    assert all(channel["kind"] == "public" for channel in rest["items"])
    archived = await eve.get("/v1/channels", archived=True, limit=1)
    assert [channel["id"] for channel in archived["items"]] == [old.rpartition("/")[2]]
    mine = await ada.get("/v1/channels", kind="private")
    assert [channel["kind"] for channel in mine["items"]] == ["private"]
    assert (await eve.get("/v1/channels", kind="private"))["items"] == []
    await eve.get("/v1/channels", 422, limit=0)
    await eve.get("/v1/channels", 422, cursor="x")


async def test_owners_and_admins_change_a_channel_and_everyone_hears_of_it(world: World) -> None:
    ada, bob, cleo, eve = await world.people("ada", "bob", "cleo", "eve")
    path = await ada.channel("public", bob, cleo)
    await ada.patch(f"{path}/members/{bob.id}", {"role": "admin"})
    changed = await bob.patch(path, {"name": "cogs", "topic": "wheels"})
    assert (changed["name"], changed["topic"]) == ("cogs", "wheels")
    event = (await world.events(channel_stream(path)))[-1]
    assert (event["type"], event["data"]) == ("channel.updated", changed)
    await bob.patch(path, {"name": "cogs"})
    assert (await world.events(channel_stream(path)))[-1] == event, "nothing changed"
    assert (await cleo.patch(path, {"name": "mine"}, 403))["code"] == "forbidden"
    assert (await eve.patch(path, {"name": "mine"}, 403))["code"] == "not-a-member"
    await ada.patch(path, {"name": ""}, 422)
    private = await ada.channel("private")
    await eve.patch(private, {"name": "mine"}, 404)


async def test_an_archived_channel_is_only_read(world: World) -> None:
    ada, bob, eve = await world.people("ada", "bob", "eve")
    path = await ada.channel("public", bob)
    message = await bob.say(path)
    assert (await ada.patch(path, {"archived": True}))["archived"]
    refusals = [
        await bob.post(f"{path}/messages", {"text": "more"}, 409),
        await bob.patch(f"/v1/messages/{message['id']}", {"text": "more"}, 409),
        await eve.post(f"{path}/join", status=409),
        await ada.post(f"{path}/members", {"user_id": eve.id}, 409),
    ]
    assert {refusal["code"] for refusal in refusals} == {"channel-archived"}
    assert len((await bob.get(f"{path}/messages"))["items"]) == 1
    await bob.delete(f"/v1/messages/{message['id']}")
    await ada.patch(path, {"archived": False})
    await bob.say(path)


async def test_only_an_owner_ends_a_channel_and_then_it_is_gone_for_all(world: World) -> None:
    ada, bob, eve = await world.people("ada", "bob", "eve")
    path = await ada.channel("public", bob)
    message = await bob.say(path)
    await ada.patch(f"{path}/members/{bob.id}", {"role": "admin"})
    assert (await bob.delete(path, 403))["code"] == "forbidden"
    await eve.delete(path, 403)
    await ada.delete(path)
    event = (await world.events(channel_stream(path)))[-1]
    assert event["type"] == "channel.deleted"
    assert event["data"] == {"id": path.rpartition("/")[2]}
    assert event["control"] == {"end": True}
    for person in (ada, bob, eve):
        await person.get(path, 404)
        await person.delete(path, 404)
        await person.post(f"{path}/join", status=404)
        await person.post(f"{path}/messages", {"text": "hello?"}, 404)
        await person.get(f"/v1/messages/{message['id']}", 404)
        assert (await person.get("/v1/memberships"))["items"] == []
    assert (await bob.get("/v1/messages", author=bob.id))["items"] == []
