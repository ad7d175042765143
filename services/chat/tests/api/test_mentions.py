"""`@name` and `@channel`: who is called, and who counts it."""

import asyncio

from services.chat.tests.support.world import Person, World


async def mention_count(person: Person) -> int:
    (membership,) = (await person.get("/v1/memberships"))["items"]
    count: int = membership["mention_count"]
    return count


async def test_a_name_calls_a_member_in_any_spelling(world: World) -> None:
    ada, bob, cleo = await world.people("ada", "bob", "cleo")
    path = await ada.channel("private", bob, cleo)
    message = await ada.say(path, f"@{bob.username.upper()}: look, @nobody-there")
    assert message["mentions"] == [bob.id]
    assert message["mentions_channel"] is False
    assert [await mention_count(each) for each in (ada, bob, cleo)] == [0, 1, 0]


async def test_names_stand_beside_any_script_and_punctuation(world: World) -> None:
    ada, bob = await world.people("ada", "bob")
    path = await ada.channel("private", bob)
    for around in (
        "请@{}看一下",
        "@{}さん",
        "@{}님",
        "＠{}",
        "_@{}_",
        "@{}--now",
        "ל@{}",
        "「@{}」",
    ):
        text = around.format(bob.username)
        message = await ada.say(path, text)
        assert message["mentions"] == [bob.id], text
        edited = await ada.patch(f"/v1/messages/{message['id']}", {"text": f"{text}!"})
        assert edited["mentions"] == [bob.id], text
    assert await mention_count(bob) == 8


async def test_the_longest_name_that_a_member_has_is_meant(world: World) -> None:
    ada, bob, other = await world.people("ada", "bob", "eve")
    longer = await world.person(f"{bob.username}さん")
    path = await ada.channel("private", bob, longer)
    assert (await ada.say(path, f"@{longer.username}です"))["mentions"] == [longer.id]
    assert (await ada.say(path, f"@{bob.username}さん"))["mentions"] == [bob.id]
    assert (await ada.say(path, f"@{bob.username}x @{other.username}"))["mentions"] == []


async def test_who_is_no_member_is_not_called(world: World) -> None:
    ada, eve = await world.people("ada", "eve")
    await eve.channel()
    path = await ada.channel("private")
    assert (await ada.say(path, f"@{eve.username}"))["mentions"] == []
    assert await mention_count(eve) == 0


async def test_everyone_is_called_without_a_row_for_each(world: World) -> None:
    ada, *others = await world.people("ada", *(["mia"] * 5))
    path = await ada.channel("private", *others)
    message = await ada.say(path, f"@channel and @{others[0].username}")
    assert message["mentions_channel"] is True
    assert [await mention_count(each) for each in others] == [1] * 5
    rows = await world.rows(
        "SELECT target_id FROM chat.mentions WHERE channel_id = $1", path.rpartition("/")[2]
    )
    assert len(rows) == 2  # the channel, and the one by name


async def test_reading_counts_down_and_posting_reads(world: World) -> None:
    ada, bob = await world.people("ada", "bob")
    path = await ada.channel("private", bob)
    said = [await ada.say(path, f"@{bob.username} {n}") for n in range(3)]
    read = await bob.put(f"{path}/read", {"seq": said[0]["seq"]})
    assert (read["mention_count"], read["message_count"]) == (2, 3)
    await bob.say(path, "I am here")
    assert await mention_count(bob) == 0


async def test_edits_change_who_is_shown_as_called_and_nobody_s_count(world: World) -> None:
    ada, bob, cleo = await world.people("ada", "bob", "cleo")
    path = await ada.channel("private", bob, cleo)
    message = await ada.say(path, f"@{bob.username}")
    edited = await ada.patch(f"/v1/messages/{message['id']}", {"text": f"@{cleo.username}"})
    assert edited["mentions"] == [cleo.id]
    assert [await mention_count(each) for each in (bob, cleo)] == [1, 0]
    await ada.delete(f"/v1/messages/{message['id']}")
    assert (await bob.get(f"/v1/messages/{message['id']}"))["mentions"] == []
    assert await mention_count(bob) == 1, "as with unread messages: until it is read"


async def test_whoever_comes_later_was_not_called(world: World) -> None:
    ada, bob = await world.people("ada", "bob")
    path = await ada.channel()
    await ada.say(path, "@channel")
    await bob.post(f"{path}/join")
    assert await mention_count(bob) == 0
    await ada.say(path, "@channel")
    assert await mention_count(bob) == 1


async def test_calls_of_one_batch_reach_the_right_ones(world: World) -> None:
    ada, bob, cleo = await world.people("ada", "bob", "cleo")
    paths = [await ada.channel("private", bob), await ada.channel("private", cleo)]
    texts = [f"@{bob.username} @{cleo.username} {n}" for n in range(10)]
    said = await asyncio.gather(*(ada.say(path, text) for text in texts for path in paths))
    for message in said:
        expected = bob.id if message["channel_id"] in paths[0] else cleo.id
        assert message["mentions"] == [expected]
    assert [await mention_count(each) for each in (bob, cleo)] == [10, 10]
