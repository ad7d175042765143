"""What members put at messages: emoji and pins."""

import asyncio

import pytest

from services.chat.tests.support.world import World, channel_stream


async def test_reactions_are_counted_and_each_sees_their_own(world: World) -> None:
    ada, bob = await world.people("ada", "bob")
    path = await ada.channel("private", bob)
    message = await ada.say(path)
    one = f"/v1/messages/{message['id']}"
    for who in (ada, bob, bob):
        await who.put(f"{one}/reactions/👍", status=204)
    await bob.put(f"{one}/reactions/:tada:", status=204)

    seen_by_ada = (await ada.get(one))["reactions"]
    seen_by_bob = (await ada.get(f"{path}/messages"))["items"][0]["reactions"]
    assert seen_by_ada == [
        {"emoji": ":tada:", "count": 1, "me": False},
        {"emoji": "👍", "count": 2, "me": True},
    ]
    assert seen_by_bob == seen_by_ada
    assert [each["me"] for each in (await bob.get(one))["reactions"]] == [True, True]

    await bob.delete(f"{one}/reactions/👍")
    await bob.delete(f"{one}/reactions/👍")
    told = [e for e in await world.events(channel_stream(path)) if "reaction" in e["type"]]
    assert [(e["type"], e["data"]["emoji"], e["data"]["count"]) for e in told] == [
        ("message.reaction_added", "👍", 1),
        ("message.reaction_added", "👍", 2),
        ("message.reaction_added", ":tada:", 1),
        ("message.reaction_removed", "👍", 1),
    ]


NEWER = ("🩷", "🩵", "🫨", "🪿", "🫩", "‼️", "⁉️", "ℹ️", "〰️", "〽️", "↔️", "❤️", "🏴󠁧󠁢󠁳󠁣󠁴󠁿", "👁️‍🗨️")


@pytest.mark.parametrize("emoji", ["👍", "👨‍👩‍👧‍👦", "🇦🇹", "☕", "1️⃣", "👋🏽", ":+1:", *NEWER])
async def test_emoji_of_all_kinds_are_taken(world: World, emoji: str) -> None:
    ada = await world.person()
    message = await ada.say(await ada.channel())
    await ada.put(f"/v1/messages/{message['id']}/reactions/{emoji}", status=204)
    read = await ada.get(f"/v1/messages/{message['id']}")
    assert [each["emoji"] for each in read["reactions"]] == [emoji]


@pytest.mark.parametrize(
    "emoji",
    [
        *("a", "hello", "12", "<b>", "👍" * 33, ":no such:", "\u200d"),
        *("👍👎🎉🔥", "👍👎", "─━█", "🇦", "1", "👍a", "\ufe0f"),
        *("\u2800", "\ufffc", "\U0001d159\ufe0f"),
    ],
)
async def test_other_text_is_no_emoji(world: World, emoji: str) -> None:
    ada = await world.person()
    message = await ada.say(await ada.channel())
    answer = await ada.http.put(f"/v1/messages/{message['id']}/reactions/{emoji}")
    assert answer.status_code == 422, answer.text
    assert (await ada.get(f"/v1/messages/{message['id']}"))["reactions"] == []


@pytest.mark.parametrize(
    ("emoji", "other"),
    [
        ("❤️", "❤"),
        ("👋", "👋\ufe0f"),
        ("☕", "☕\ufe0f"),
        ("❤️", "❤\ufe0e"),
        ("1️⃣", "1⃣"),
        ("👁️‍🗨️", "👁‍🗨"),
    ],
)
async def test_an_emoji_is_one_reaction_in_whatever_form_it_comes(
    world: World, emoji: str, other: str
) -> None:
    ada, bob = await world.people("ada", "bob")
    path = await ada.channel("private", bob)
    one = f"/v1/messages/{(await ada.say(path))['id']}"
    await ada.put(f"{one}/reactions/{emoji}", status=204)
    await bob.put(f"{one}/reactions/{other}", status=204)
    await bob.put(f"{one}/reactions/{emoji}", status=204)
    assert (await bob.get(one))["reactions"] == [{"emoji": emoji, "count": 2, "me": True}]
    await ada.delete(f"{one}/reactions/{other}")
    assert (await ada.get(one))["reactions"] == [{"emoji": emoji, "count": 1, "me": False}]
    told = [e for e in await world.events(channel_stream(path)) if "reaction" in e["type"]]
    assert [(e["data"]["emoji"], e["data"]["count"]) for e in told] == [
        (emoji, n) for n in (1, 2, 1)
    ]


async def test_reactions_of_the_release_before_are_read_and_taken_back(world: World) -> None:
    ada, bob = await world.people("ada", "bob")
    path = await ada.channel("private", bob)
    message = await ada.say(path)
    one = f"/v1/messages/{message['id']}"
    await bob.put(f"{one}/reactions/❤️", status=204)
    for emoji, who in (("❤", ada), ("❤", bob), ("─━█", ada)):
        await world.rows(
            "INSERT INTO chat.reactions VALUES ($1, $2, $3, now())", message["id"], emoji, who.id
        )
    assert (await ada.get(one))["reactions"] == [
        {"emoji": "─━█", "count": 1, "me": True},
        {"emoji": "❤️", "count": 2, "me": True},
    ]
    await bob.delete(f"{one}/reactions/❤")
    await ada.delete(f"{one}/reactions/❤️")
    await ada.delete(f"{one}/reactions/─━█")
    assert (await ada.get(one))["reactions"] == []


async def test_a_message_takes_fifty_different_emoji(world: World) -> None:
    ada, *others = await world.people(*["ada"] * 6)
    path = await ada.channel("private", *others)
    one = f"/v1/messages/{(await ada.say(path))['id']}/reactions"
    for n in range(50):
        await others[n % 5].put(f"{one}/:e{n}:", status=204)
    refused = await ada.put(f"{one}/:e50:", status=409)
    assert (refused["code"], refused["of"], refused["limit"]) == (
        "too-many-reactions",
        "message",
        50,
    )
    await ada.put(f"{one}/:e7:", status=204)


async def test_one_member_leaves_others_room_for_their_emoji(world: World) -> None:
    ada, bob = await world.people("ada", "bob")
    path = await ada.channel("private", bob)
    one = f"/v1/messages/{(await ada.say(path))['id']}/reactions"
    for n in range(10):
        await bob.put(f"{one}/:e{n}:", status=204)
    refused = await bob.put(f"{one}/:e10:", status=409)
    assert (refused["code"], refused["of"], refused["limit"]) == ("too-many-reactions", "user", 10)
    await bob.put(f"{one}/:e9:", status=204)  # again changes nothing
    await ada.put(f"{one}/:e10:", status=204)
    await bob.put(f"{one}/:e10:", status=409)
    await bob.delete(f"{one}/:e9:")
    await bob.put(f"{one}/:e10:", status=204)


async def test_many_react_at_once_and_all_count(world: World) -> None:
    people = await world.people(*("p" * 8))
    path = await people[0].channel("private", *people[1:])
    one = f"/v1/messages/{(await people[0].say(path))['id']}"
    await asyncio.gather(*(who.put(f"{one}/reactions/🎉", status=204) for who in people))
    assert (await people[0].get(one))["reactions"][0]["count"] == 8
    told = [e for e in await world.events(channel_stream(path)) if "reaction" in e["type"]]
    assert [e["data"]["count"] for e in told] == list(range(1, 9))


async def test_deleted_messages_and_archived_channels_take_no_reactions(world: World) -> None:
    ada = await world.person()
    path = await ada.channel()
    gone, left = await ada.say(path), await ada.say(path)
    await ada.put(f"/v1/messages/{gone['id']}/reactions/👍", status=204)
    await ada.delete(f"/v1/messages/{gone['id']}")
    refused = await ada.put(f"/v1/messages/{gone['id']}/reactions/👍", status=410)
    assert refused["code"] == "message-deleted"
    assert (await ada.get(f"/v1/messages/{gone['id']}"))["reactions"] == []
    await ada.patch(path, {"archived": True})
    refused = await ada.put(f"/v1/messages/{left['id']}/reactions/👍", status=409)
    assert refused["code"] == "channel-archived"


async def test_moderators_pin_and_the_latest_comes_first(world: World) -> None:
    ada, bob = await world.people("ada", "bob")
    path = await ada.channel("private", bob)
    first, second = await bob.say(path, "one"), await bob.say(path, "two")
    for message in (first, second, first):
        await ada.put(f"{path}/pins/{message['id']}", status=204)
    pins = (await bob.get(f"{path}/pins"))["items"]
    assert [pin["message"]["text"] for pin in pins] == ["two", "one"]
    assert pins[0]["pinned_by"]["id"] == ada.id

    await bob.delete(f"{path}/pins/{first['id']}", status=403)
    await ada.delete(f"{path}/pins/{first['id']}")
    await ada.delete(f"{path}/pins/{first['id']}")
    told = [e for e in await world.events(channel_stream(path)) if "pinned" in e["type"]]
    assert [(e["type"], e["data"]["message_id"]) for e in told] == [
        ("message.pinned", first["id"]),
        ("message.pinned", second["id"]),
        ("message.unpinned", first["id"]),
    ]


async def test_everybody_in_a_conversation_may_pin(world: World) -> None:
    ada, bob = await world.people("ada", "bob")
    made = await ada.post("/v1/conversations", {"user_ids": [bob.id]})
    path = f"/v1/channels/{made['id']}"
    message = await ada.say(path)
    await bob.put(f"{path}/pins/{message['id']}", status=204)
    assert len((await ada.get(f"{path}/pins"))["items"]) == 1


async def test_only_a_message_of_the_channel_is_pinned_in_it(world: World) -> None:
    ada = await world.person()
    path, elsewhere = await ada.channel(), await ada.channel()
    message = await ada.say(elsewhere)
    await ada.put(f"{path}/pins/{message['id']}", status=404)
    assert (await ada.get(f"{path}/pins"))["items"] == []


async def test_a_deleted_message_is_unpinned_first(world: World) -> None:
    ada = await world.person()
    path = await ada.channel()
    message = await ada.say(path)
    await ada.put(f"{path}/pins/{message['id']}", status=204)
    await ada.delete(f"/v1/messages/{message['id']}")
    assert (await ada.get(f"{path}/pins"))["items"] == []
    told = [e["type"] for e in await world.events(channel_stream(path))]
    assert told[-2:] == ["message.unpinned", "message.deleted"]
    assert (await ada.put(f"{path}/pins/{message['id']}", status=410))["code"] == "message-deleted"


async def test_a_channel_holds_a_hundred_pins(world: World) -> None:
    ada = await world.person()
    path = await ada.channel()
    said = await asyncio.gather(*(ada.say(path, str(n)) for n in range(101)))
    for message in said[:100]:
        await ada.put(f"{path}/pins/{message['id']}", status=204)
    refused = await ada.put(f"{path}/pins/{said[100]['id']}", status=409)
    assert refused["code"] == "too-many-pins"
