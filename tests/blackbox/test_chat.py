"""Channels and messages, by REST and by socket, seen live and afterwards."""

import asyncio

from sharezync_shared.sizes import MAX_TEXT_CHARACTERS
from tests.blackbox.people import Person


async def test_messages_by_rest_and_by_socket_reach_other_members_in_order(
    alice: Person, bob: Person
) -> None:
    channel_id = await alice.channel()
    await alice.add(channel_id, bob)
    async with bob.connected() as bobs, alice.connected() as alices:
        first = await alice.say(channel_id, "by REST")
        second = await alices.command("send_message", channel_id=channel_id, text="by socket")
        await alice.say(channel_id, "and again by REST")
        await bobs.event("message.created", text="and again by REST")

        texts = [
            frame["data"]["text"]
            for frame in bobs.events(f"channel:{channel_id}")
            if frame["type"] == "message.created"
        ]
        seqs = [frame["seq"] for frame in bobs.events(f"channel:{channel_id}")]

    assert texts == ["by REST", "by socket", "and again by REST"]
    assert second["type"] == "reply"
    assert second["data"]["seq"] == first["seq"] + 1
    assert seqs == list(range(seqs[0], seqs[0] + len(seqs)))


async def test_many_of_the_longest_messages_at_once_are_sent_and_so_is_a_strangers(
    alice: Person, bob: Person
) -> None:
    theirs, his = await alice.channel(), await bob.channel()
    longest = "x" * MAX_TEXT_CHARACTERS
    async with alice.connected() as alices, bob.connected() as bobs:
        pipelined = [
            alices.command("send_message", channel_id=theirs, text=longest) for _ in range(60)
        ]
        *replies, short = await asyncio.gather(
            *pipelined, bobs.command("send_message", channel_id=his, text="hello")
        )

    assert short["type"] == "reply", short
    assert [(reply["type"], reply.get("code")) for reply in replies] == [("reply", None)] * 60


async def test_edits_and_deletions_are_delivered(alice: Person, bob: Person) -> None:
    channel_id = await alice.channel()
    await alice.add(channel_id, bob)
    async with bob.connected() as bobs:
        message = await alice.say(channel_id, "frist")
        edited = await alice.http.patch(f"/v1/messages/{message['id']}", json={"text": "first"})
        assert edited.status_code == 200, edited.text
        update = await bobs.event("message.updated", id=message["id"])
        deleted = await alice.http.delete(f"/v1/messages/{message['id']}")
        assert deleted.status_code in {200, 204}, deleted.text
        deletion = await bobs.event("message.deleted", id=message["id"])

    assert update["data"]["text"] == "first"
    assert update["data"]["edited_at"]
    assert deletion["seq"] == update["seq"] + 1
    history = await bob.get(f"/v1/channels/{channel_id}/messages")
    assert [m["deleted"] for m in history["items"] if m["id"] == message["id"]] in ([], [True])


async def test_history_is_newest_first_and_paged(alice: Person) -> None:
    channel_id = await alice.channel()
    for number in range(7):
        await alice.say(channel_id, f"message {number}")

    page = await alice.get(f"/v1/channels/{channel_id}/messages?limit=3")
    oldest = page["items"][-1]
    before = await alice.get(f"/v1/channels/{channel_id}/messages?limit=3&before={oldest['seq']}")

    assert [m["text"] for m in page["items"]] == ["message 6", "message 5", "message 4"]
    assert [m["text"] for m in before["items"]] == ["message 3", "message 2", "message 1"]


async def test_a_stranger_finds_nothing(alice: Person, bob: Person) -> None:
    channel_id = await alice.channel(kind="private")
    message = await alice.say(channel_id, "between us")

    for path in (
        f"/v1/channels/{channel_id}",
        f"/v1/channels/{channel_id}/messages",
        f"/v1/channels/{channel_id}/members",
        f"/v1/messages/{message['id']}",
    ):
        await bob.get(path, expect=404)
    refused = await bob.http.post(f"/v1/channels/{channel_id}/messages", json={"text": "hi"})
    assert refused.status_code == 404


async def test_two_devices_of_one_person_see_the_same_events_in_the_same_order(
    alice: Person, bob: Person
) -> None:
    channel_id = await alice.channel()
    await alice.add(channel_id, bob)
    stream = f"channel:{channel_id}"
    async with bob.connected("phone") as phone, bob.connected("laptop") as laptop:
        await asyncio.gather(
            *(alice.say(channel_id, f"a{n}") for n in range(20)),
            *(bob.say(channel_id, f"b{n}") for n in range(20)),
        )
        await alice.say(channel_id, "the end")
        await phone.event("message.created", text="the end")
        await laptop.event("message.created", text="the end")

        ready = [await device.of_type("ready") for device in (phone, laptop)]
        # The later device begins where the stream stood by then.
        start = max(frame["heads"][stream][1] for frame in ready)
        seen = [
            [frame for frame in device.events(stream) if frame["seq"] > start]
            for device in (phone, laptop)
        ]
    assert seen[0] == seen[1]
    assert [frame["seq"] for frame in seen[0]] == list(range(start + 1, start + 42))


async def test_a_message_sent_while_one_was_away_is_there_after_reconnecting(
    alice: Person, bob: Person
) -> None:
    channel_id = await alice.channel()
    await alice.add(channel_id, bob)
    stream = f"channel:{channel_id}"
    async with bob.connected() as before:
        await alice.say(channel_id, "seen live")
        seen = await before.event("message.created", text="seen live")

    await alice.say(channel_id, "missed one")
    await alice.say(channel_id, "missed two")

    cursors = {stream: [seen["epoch"], seen["seq"]]}
    async with bob.connected(cursors=cursors) as after:
        await after.event("message.created", text="missed two")
        await alice.say(channel_id, "live again")
        await after.event("message.created", text="live again")
        texts = [frame["data"]["text"] for frame in after.events(stream)]
    assert texts == ["missed one", "missed two", "live again"]


async def test_a_retried_message_is_the_same_message(alice: Person) -> None:
    channel_id = await alice.channel()
    key = {"client_message_id": "0b9f6a52-0001-4000-8000-000000000001"}
    first = await alice.say(channel_id, "once", **key)
    again = await alice.post(
        f"/v1/channels/{channel_id}/messages", {"text": "once", **key}, expect=200
    )
    assert again["id"] == first["id"]
    async with alice.connected() as socket:
        third = await socket.command("send_message", channel_id=channel_id, text="once", **key)
    assert third["data"]["id"] == first["id"]


async def test_nothing_is_delivered_after_removal(alice: Person, bob: Person) -> None:
    channel_id = await alice.channel()
    await alice.add(channel_id, bob)
    stream = f"channel:{channel_id}"
    async with bob.connected() as bobs:
        await alice.say(channel_id, "before")
        removed = await alice.http.delete(f"/v1/channels/{channel_id}/members/{bob.id}")
        assert removed.status_code in {200, 204}, removed.text
        for number in range(5):
            await alice.say(channel_id, f"after {number}")
        # Their inbox tells of it too, with a place of its own.
        leaving = await bobs.frame(
            lambda frame: frame["type"] == "member.left" and frame["stream"] == stream
        )
        # Something later on another stream shows that whatever would come has come.
        other_id = await bob.channel("elsewhere")
        await bob.say(other_id, "a sign")
        await bobs.event("message.created", text="a sign")

        assert all(frame["seq"] <= leaving["seq"] for frame in bobs.events(stream))
    await bob.get(f"/v1/channels/{channel_id}/messages", expect=404)


async def test_the_narrow_socket_carries_one_channel(alice: Person) -> None:
    wanted = await alice.channel("wanted")
    other = await alice.channel("other")
    async with alice.connected(path=f"/ws/channels/{wanted}") as socket:
        await alice.say(other, "not here")
        await alice.say(wanted, "here")
        await socket.event("message.created", text="here")
        assert socket.events(f"channel:{other}") == []
