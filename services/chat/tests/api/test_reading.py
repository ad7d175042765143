"""Unread counts and read marks."""

import asyncio

from services.chat.tests.support.world import Json, Person, World, channel_stream


async def standing(person: Person) -> Json:
    membership: Json
    (membership,) = (await person.get("/v1/memberships"))["items"]
    return membership


async def test_messages_of_others_count_until_they_are_read(world: World) -> None:
    ada, bob = await world.people("ada", "bob")
    path = await ada.channel("private", bob)
    said = [await ada.say(path, str(n)) for n in range(4)]
    await ada.patch(path, {"topic": "no message"})
    assert (await standing(bob))["unread_count"] == 4
    assert (await standing(bob))["last_message"] == said[3]
    assert (await standing(ada))["unread_count"] == 0, "posting reads"
    read = await bob.put(f"{path}/read", {"seq": said[1]["seq"]})
    assert read == {
        "channel_id": path.rpartition("/")[2],
        "last_read_seq": said[1]["seq"],
        "last_read_number": 2,
        "unread_count": 2,
        "mention_count": 0,
        "message_count": 4,
    }
    event = (await world.events(f"inbox:{bob.id}"))[-1]
    assert (event["type"], event["data"]) == ("read.updated", read)
    assert (await standing(bob))["unread_count"] == 2
    await bob.put(f"{path}/read", {"message_id": said[2]["id"]})
    assert (await standing(bob))["unread_count"] == 1
    everything = await bob.put(f"{path}/read", {})
    assert everything["unread_count"] == 0
    assert everything["last_read_seq"] == (await world.events(channel_stream(path)))[-1]["seq"]
    await bob.say(path)
    assert (await standing(ada))["unread_count"] == 1
    assert (await standing(bob))["unread_count"] == 0


async def test_a_mark_never_moves_back_nor_ahead_of_the_stream(world: World) -> None:
    ada, bob = await world.people("ada", "bob")
    path = await ada.channel("private", bob)
    said = [await ada.say(path, str(n)) for n in range(3)]
    latest = await bob.put(f"{path}/read", {"seq": said[2]["seq"]})
    events = await world.events(f"inbox:{bob.id}")
    assert await bob.put(f"{path}/read", {"seq": said[0]["seq"]}) == latest
    assert await bob.put(f"{path}/read", {"last_read_seq": 0}) == latest
    assert await bob.put(f"{path}/read", {"seq": 2**62}) == latest
    assert await world.events(f"inbox:{bob.id}") == events, "nothing changed, nothing told"
    await ada.say(path)
    assert (await standing(bob))["unread_count"] == 1


async def test_marks_that_race_end_at_the_furthest(world: World) -> None:
    ada, bob = await world.people("ada", "bob")
    path = await ada.channel("private", bob)
    said = [await ada.say(path, str(n)) for n in range(10)]
    await asyncio.gather(
        *(bob.put(f"{path}/read", {"seq": each["seq"]}) for each in said[::-1]),
        *(ada.say(path, "more") for _ in range(5)),
    )
    membership = await standing(bob)
    assert membership["last_read_seq"] == said[-1]["seq"]
    assert membership["unread_count"] == 5
    marks = [
        event["data"]["last_read_seq"]
        for event in await world.events(f"inbox:{bob.id}")
        if event["type"] == "read.updated"
    ]
    assert marks == sorted(set(marks))


async def test_a_mark_that_makes_no_sense_is_refused(world: World) -> None:
    ada, eve = await world.people("ada", "eve")
    path, other = await ada.channel("private"), await ada.channel()
    elsewhere = await ada.say(other)
    await ada.put(f"{path}/read", {"seq": -1}, 422)
    await ada.put(f"{path}/read", {"seq": 2**63}, 422)
    await ada.put(f"{path}/read", {"seq": 1, "message_id": elsewhere["id"]}, 422)
    await ada.put(f"{path}/read", {"message_id": elsewhere["id"]}, 404)
    await eve.put(f"{path}/read", {}, 404)
