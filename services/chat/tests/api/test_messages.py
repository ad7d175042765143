"""Messages: posting, reading, editing, deleting, attaching."""

import pytest

from services.chat.tests.support.world import Json, World, channel_stream
from sharezync_shared.sizes import MAX_JSON_BODY_BYTES, MAX_TEXT_CHARACTERS


def shared(message: Json) -> Json:
    """What a message is to everyone: who of them reacted is told by events of its own."""
    return {key: value for key, value in message.items() if key != "reactions"}


async def test_a_message_is_answered_and_told_as_the_same_document(world: World) -> None:
    ada, bob = await world.people("ada", "bob")
    path = await ada.channel("private", bob)
    body = {"text": "Does the engine run?", "client_message_id": "k1"}
    answer = await bob.http.post(f"{path}/messages", json=body)
    message = answer.json()
    assert answer.status_code == 201
    assert answer.headers["location"] == f"/v1/messages/{message['id']}"
    (event,) = [e for e in await world.events(channel_stream(path)) if e["seq"] == message["seq"]]
    assert event["type"] == "message.created"
    assert event["epoch"] == message["epoch"]
    assert event["data"] == message
    assert answer.headers["stream-position"] == " ".join(
        [channel_stream(path), message["epoch"], str(message["seq"])]
    )
    assert message == {
        "id": message["id"],
        "channel_id": path.rpartition("/")[2],
        "author": bob.read,
        "text": "Does the engine run?",
        "attachments": [],
        "reply_to": None,
        "reactions": [],
        "mentions": [],
        "mentions_channel": False,
        "seq": message["seq"],
        "epoch": message["epoch"],
        "number": 1,
        "edited_at": None,
        "edited_by": None,
        "deleted": False,
        "client_message_id": "k1",
        "created_at": message["created_at"],
    }
    assert message["created_at"].endswith("Z")
    assert await ada.get(f"/v1/messages/{message['id']}") == message
    assert (await ada.get(f"{path}/messages"))["items"] == [message]


async def test_only_members_post_and_read(world: World) -> None:
    ada, bob, eve = await world.people("ada", "bob", "eve")
    for kind, status, code in (("public", 403, "not-a-member"), ("private", 404, "not-found")):
        path = await ada.channel(kind, bob)
        message = await bob.say(path)
        one = f"/v1/messages/{message['id']}"
        assert (await eve.post(f"{path}/messages", {"text": "x"}, status))["code"] == code
        assert (await eve.get(f"{path}/messages", status))["code"] == code
        assert (await eve.put(f"{path}/read", {}, status))["code"] == code
        for refusal in (
            await eve.get(one, 404),
            await eve.get(f"{one}/edits", 404),
            await eve.patch(one, {"text": "mine"}, 404),
            await eve.delete(one, 404),
        ):
            assert refusal["code"] == "not-found"
        assert (await eve.get("/v1/messages", author=bob.id))["items"] == []
        assert (await ada.get(one))["text"] == "hello"


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"text": ""},
        {"text": " \n"},
        {"text": None},
        {"text": 7},
        {"text": "a\0b"},
        {"text": "x" * (MAX_TEXT_CHARACTERS + 1)},
        {"text": "x", "reply_to": "nonsense"},
        {"text": "x", "reply_to": "01936f0c-2b7e-7d33-8d7a-0c8e3a7c1f10"},
        {"text": "x", "client_message_id": ""},
        {"text": "x", "client_message_id": "x" * 201},
        {"text": "x", "client_message_id": "a\0b"},
        {"attachments": ["nonsense"]},
        {"attachments": "01936f0c-2b7e-7d33-8d7a-0c8e3a7c1f10"},
        {"attachments": ["01936f0c-2b7e-7d33-8d7a-0c8e3a7c1f10"] * 2},
        {"attachments": [f"01936f0c-2b7e-7d33-8d7a-0c8e3a7c1f{i:02}" for i in range(11)]},
        [],
    ],
)
async def test_a_message_that_makes_no_sense_is_refused(world: World, body: object) -> None:
    ada = await world.person()
    path = await ada.channel()
    problem = await ada.call("POST", f"{path}/messages", 422, json=body)
    assert problem["code"] == "invalid"
    assert problem["errors"]
    assert (await ada.get(f"{path}/messages"))["items"] == []


async def test_text_that_no_unicode_knows_is_refused(world: World) -> None:
    ada = await world.person()
    path = await ada.channel()
    for content in (b'{"text":"\\ud800"}', b'{"text":"\xff"}', b'{"text":'):
        answer = await ada.http.post(
            f"{path}/messages", content=content, headers={"content-type": "application/json"}
        )
        assert answer.status_code in {400, 422}, content
    too_large = await ada.http.post(f"{path}/messages", content=b" " * (MAX_JSON_BODY_BYTES + 1))
    assert (too_large.status_code, too_large.json()["code"]) == (413, "too-large")


async def test_the_longest_message_passes_in_any_alphabet(world: World) -> None:
    ada = await world.person()
    path = await ada.channel()
    for text in ("x" * MAX_TEXT_CHARACTERS, "😀" * MAX_TEXT_CHARACTERS, '\\"\t' * 5_000):
        assert (await ada.say(path, text))["text"] == text


async def test_a_reply_names_a_message_of_the_same_channel(world: World) -> None:
    ada = await world.person()
    path, other = await ada.channel(), await ada.channel()
    first = await ada.say(path)
    assert (await ada.say(path, reply_to=first["id"]))["reply_to"] == first["id"]
    problem = await ada.post(f"{other}/messages", {"text": "x", "reply_to": first["id"]}, 422)
    assert problem["errors"][0]["field"] == "body.reply_to"


async def test_an_author_edits_and_everyone_sees_what_it_said_before(world: World) -> None:
    ada, bob, cleo = await world.people("ada", "bob", "cleo")
    path = await ada.channel("public", bob, cleo)
    await ada.patch(f"{path}/members/{cleo.id}", {"role": "admin"})
    message = await bob.say(path, "one")
    one = f"/v1/messages/{message['id']}"
    assert (await ada.get(f"{one}/edits"))["items"] == []
    answer = await bob.http.patch(one, json={"text": "two"})
    edited = answer.json()
    event = (await world.events(channel_stream(path)))[-1]
    assert (event["type"], event["data"]) == ("message.updated", shared(edited))
    assert answer.headers["stream-position"].endswith(f" {event['seq']}")
    assert (edited["text"], edited["seq"]) == ("two", message["seq"])
    assert edited["edited_at"] is not None
    assert await bob.patch(one, {"text": "two"}) == edited
    assert (await world.events(channel_stream(path)))[-1] == event
    await bob.patch(one, {"text": "three"})
    history = (await ada.get(f"{one}/edits"))["items"]
    assert [(edit["version"], edit["text"]) for edit in history] == [(2, "two"), (1, "one")]
    assert history[1]["written_at"] == message["created_at"]
    assert {edit["written_by"] for edit in history} == {bob.id}
    assert (await cleo.patch(one, {"text": "mine"}, 403))["code"] == "forbidden"
    await bob.patch(one, {"text": ""}, 422)
    await bob.patch(one, {"text": "a\0"}, 422)
    await bob.patch(one, {}, 422)
    await bob.patch("/v1/messages/01936f0c-2b7e-7d33-8d7a-0c8e3a7c1f10", {"text": "x"}, 404)


async def test_the_owner_of_a_channel_edits_and_everybody_sees_who_wrote_what(
    world: World,
) -> None:
    ada, bob, eve = await world.people("ada", "bob", "eve")
    path = await ada.channel("private", bob)
    message = await bob.say(path, "one")
    one = f"/v1/messages/{message['id']}"
    by_owner = await ada.patch(one, {"text": "two"})
    assert (by_owner["author"]["id"], by_owner["edited_by"]) == (bob.id, ada.id)
    event = (await world.events(channel_stream(path)))[-1]
    assert (event["type"], event["data"]["edited_by"]) == ("message.updated", ada.id)
    assert (await bob.patch(one, {"text": "three"}))["edited_by"] == bob.id
    history = (await bob.get(f"{one}/edits"))["items"]
    assert [(edit["text"], edit["written_by"]) for edit in history] == [
        ("two", ada.id),
        ("one", bob.id),
    ]
    await eve.patch(one, {"text": "four"}, 404)
    direct = await ada.post("/v1/conversations", {"user_ids": [bob.id]})
    said = await bob.say(f"/v1/channels/{direct['id']}", "between us")
    await ada.patch(f"/v1/messages/{said['id']}", {"text": "forged"}, 403)


async def test_what_was_edited_before_it_was_kept_by_whom_was_edited_by_its_author(
    world: World,
) -> None:
    ada = await world.person()
    path = await ada.channel()
    message = await ada.say(path, "one")
    await ada.patch(f"/v1/messages/{message['id']}", {"text": "two"})
    await world.rows("UPDATE chat.messages SET edited_by = NULL")
    await world.rows("UPDATE chat.message_edits SET written_by = NULL")
    (read,) = (await ada.get(f"{path}/messages"))["items"]
    assert read["edited_by"] == ada.id
    (edit,) = (await ada.get(f"/v1/messages/{message['id']}/edits"))["items"]
    assert edit["written_by"] == ada.id


async def test_author_owner_and_admin_delete_and_only_the_place_is_left(world: World) -> None:
    ada, bob, cleo, dan = await world.people("ada", "bob", "cleo", "dan")
    path = await ada.channel("public", bob, cleo, dan)
    await ada.patch(f"{path}/members/{cleo.id}", {"role": "admin"})
    file_id = world.peers.add_file(bob.id)
    for who in (bob, ada, cleo):
        message = await bob.say(path, "secret", attachments=[file_id])
        one = f"/v1/messages/{message['id']}"
        await bob.patch(one, {"text": "still secret"})
        assert (await dan.delete(one, 403))["code"] == "forbidden"
        await who.delete(one)
        event = (await world.events(channel_stream(path)))[-1]
        left = await dan.get(one)
        assert (event["type"], event["data"]) == ("message.deleted", shared(left))
        assert left["deleted"]
        assert (left["text"], left["attachments"]) == ("", [])
        assert (left["seq"], left["number"]) == (message["seq"], message["number"])
        assert (await dan.get(f"{one}/edits"))["items"] == []
        await who.delete(one)
        assert (await world.events(channel_stream(path)))[-1] == event, "nothing left to delete"
        assert (await bob.patch(one, {"text": "again"}, 410))["code"] == "message-deleted"
    assert (await dan.get("/v1/messages", author=bob.id))["items"] == []
    await ada.delete("/v1/messages/01936f0c-2b7e-7d33-8d7a-0c8e3a7c1f10", 404)


async def test_who_was_removed_can_neither_read_edit_nor_delete(world: World) -> None:
    ada, bob = await world.people("ada", "bob")
    path = await ada.channel("private", bob)
    message = await bob.say(path)
    one = f"/v1/messages/{message['id']}"
    await ada.delete(f"{path}/members/{bob.id}")
    await bob.get(one, 404)
    await bob.patch(one, {"text": "x"}, 404)
    await bob.delete(one, 404)
    await bob.post(f"{path}/messages", {"text": "x"}, 404)
    assert (await bob.get("/v1/messages", author=bob.id))["items"] == []


async def test_messages_by_author_are_those_the_caller_may_see(world: World) -> None:
    ada, bob, eve = await world.people("ada", "bob", "eve")
    shared, apart = await ada.channel("private", bob, eve), await ada.channel("private", bob)
    said = [await bob.say(shared, str(n)) for n in range(3)]
    hidden = await bob.say(apart)
    await ada.say(shared)
    page = await eve.get("/v1/messages", author=bob.id, limit=2)
    rest = await eve.get("/v1/messages", author=bob.id, limit=2, cursor=page["next"])
    assert page["items"] + rest["items"] == said[::-1]
    assert rest["next"] is None
    assert (await ada.get("/v1/messages", author=bob.id, limit=1))["items"] == [hidden]
    only = await ada.get("/v1/messages", author=bob.id, channel=apart.rpartition("/")[2])
    assert only["items"] == [hidden]
    await eve.get("/v1/messages", 422)
    await eve.get("/v1/messages", 422, author="bob")


async def test_a_member_fetches_an_attached_file_and_a_stranger_does_not(world: World) -> None:
    ada, bob, eve = await world.people("ada", "bob", "eve")
    path = await ada.channel("public", bob)
    file_id = world.peers.add_file(ada.id)
    message = await ada.post(f"{path}/messages", {"attachments": [file_id]})
    expected = {"file_id": file_id, "name": "engine.png", "size_bytes": 48213, "mime": "image/png"}
    assert message["attachments"] == [expected]
    assert (await bob.get(f"/v1/messages/{message['id']}"))["attachments"] == [expected]
    url = f"/v1/messages/{message['id']}/attachments/{file_id}"
    answer = await bob.http.get(url)
    assert answer.status_code == 307
    assert answer.headers["location"].startswith(f"/v1/files/{file_id}/content?")
    assert answer.headers["cache-control"] == "no-store"
    assert world.peers.urls == [{"user_id": bob.id, "expires_in_seconds": 300}]
    await eve.get(url, 404)
    await bob.get(f"/v1/messages/{message['id']}/attachments/{world.peers.add_file(ada.id)}", 404)
    world.peers.away.add("storage")
    await bob.get(url, 503)
    world.peers.away.clear()
    await ada.delete(f"{path}/members/{bob.id}")
    await bob.get(url, 404)
    await ada.delete(f"/v1/messages/{message['id']}")
    await ada.get(url, 404)
    assert len(world.peers.urls) == 1


async def test_only_ones_own_stored_files_are_attached(world: World) -> None:
    ada, bob = await world.people("ada", "bob")
    path = await ada.channel("public", bob)
    own, other = world.peers.add_file(bob.id), world.peers.add_file(ada.id)
    unknown = "01936f0c-2b7e-7d33-8d7a-0c8e3a7c1f10"
    messages = f"{path}/messages"
    for bad in (other, unknown):
        problem = await bob.post(messages, {"attachments": [own, bad]}, 422)
        assert (problem["code"], problem["file_ids"]) == ("attachment-unusable", [bad])
    assert world.peers.owners == [bob.id, bob.id]  # so that nobody else's is held
    world.peers.away.add("storage")
    assert (await bob.post(messages, {"attachments": [own]}, 503))["code"] == "unavailable"
    await bob.say(path, "text goes on")
    world.peers.away.clear()
    posted = await bob.post(messages, {"attachments": [own]})
    assert posted["text"] == ""
    await bob.patch(f"/v1/messages/{posted['id']}", {"text": "a caption"})
    await bob.patch(f"/v1/messages/{posted['id']}", {"text": ""})
