"""What chat does when auth and storage say something, in whatever order, however often."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import msgspec

from services.chat.tests.support.world import Json, World, channel_stream
from sharezync_shared.events.contracts import FileDeleted, UserDeleted, UserRegistered, UserUpdated
from sharezync_shared.ids import uuid7

NOW = datetime.now(UTC)


def named(user_id: str, name: str) -> UserUpdated:
    return UserUpdated(user_id=UUID(user_id), username=name, display_name=name.title())


async def test_a_registered_user_needs_not_be_asked_for(world: World) -> None:
    ada = await world.person()
    await world.publish(
        UserRegistered(user_id=UUID(ada.id), username=ada.username, display_name="Ada L.")
    )
    world.peers.away.add("auth")
    path = await ada.channel()
    (member,) = (await ada.get(f"{path}/members"))["items"]
    assert member["user"]["display_name"] == "Ada L."
    assert world.peers.asked == []


async def test_a_new_name_stands_everywhere_and_is_told_once(world: World) -> None:
    ada, bob = await world.people("ada", "bob")
    path = await ada.channel("private", bob)
    message = await bob.say(path)
    event_id = uuid7()
    for _ in range(2):
        await world.publish(named(bob.id, "robert"), event_id=event_id)
    told = [e for e in await world.events(channel_stream(path)) if e["type"] == "member.updated"]
    assert len(told) == 1
    assert told[0]["data"]["user"] == {**bob.read, "username": "robert", "display_name": "Robert"}
    assert (await ada.get(f"/v1/messages/{message['id']}"))["author"] == told[0]["data"]["user"]
    await world.publish(named(bob.id, "robert"))
    assert (await world.events(channel_stream(path)))[-1] == told[0], "nothing changed"


async def test_older_news_of_a_name_changes_nothing(world: World) -> None:
    ada = await world.person()
    await ada.channel()
    later = datetime.now(UTC) + timedelta(seconds=1)
    await world.publish(named(ada.id, "new"), time=later)
    await world.publish(named(ada.id, "old"), time=later - timedelta(seconds=1))
    registered = UserRegistered(user_id=UUID(ada.id), username="first", display_name="First")
    await world.publish(registered, time=NOW - timedelta(days=1))
    (row,) = await world.rows("SELECT username FROM chat.users WHERE id = $1", UUID(ada.id))
    assert row["username"] == "new"


async def test_a_deleted_user_is_forgotten_and_what_they_wrote_stays(world: World) -> None:
    ada, bob, cleo = await world.people("ada", "bob", "cleo")
    path = await ada.channel("private", bob)
    message = await bob.say(path, "I was here")
    direct = await bob.post("/v1/conversations", {"user_ids": [ada.id]})
    own = await bob.channel("private", cleo)
    alone = await bob.channel("private")
    event_id = uuid7()
    for _ in range(2):
        await world.publish(UserDeleted(user_id=UUID(bob.id)), event_id=event_id)
    nobody = {"id": bob.id, "username": "deleted", "display_name": "Deleted user"}
    kept = await ada.get(f"/v1/messages/{message['id']}")
    assert (kept["text"], kept["author"]) == ("I was here", nobody)
    (left,) = [e for e in await world.events(channel_stream(path)) if e["type"] == "member.left"]
    assert left["data"] == {
        "channel_id": path.rpartition("/")[2],
        "user": nobody,
        "reason": "account_deleted",
        "member_count": 1,
    }
    assert left["control"] == {"leave": [bob.id]}
    assert (await ada.get(f"/v1/channels/{direct['id']}"))["participants"] == [ada.read]
    inherited = await cleo.get(own)
    assert (inherited["owner_id"], inherited["member_count"]) == (cleo.id, 1)
    assert (await cleo.get(f"{own}/members"))["items"][0]["role"] == "owner"
    assert (await world.events(channel_stream(alone)))[-1]["type"] == "channel.deleted"
    assert await world.events(f"inbox:{bob.id}") == []
    rows = await world.rows("SELECT * FROM chat.users WHERE id = $1", UUID(bob.id))
    assert bob.username not in str(rows)


async def test_no_log_names_a_deleted_user(world: World) -> None:
    ada, bob, cleo, dan = await world.people("ada", "bob", "cleo", "dan")
    file_id = world.peers.add_file(bob.id, "bobs-diary.txt")
    shared = await ada.channel("private", bob)
    await bob.say(shared, "with a file", attachments=[file_id])
    await ada.post(f"{shared}/members", {"user_id": cleo.id})  # is told of Bob's message
    await ada.post("/v1/conversations", {"user_ids": [bob.id, dan.id]})
    left = await ada.channel("private", bob)
    await bob.post(f"{left}/leave", status=204)
    emptied = await ada.channel("private", bob)
    await ada.say(emptied, "nobody is named here")
    await ada.delete(f"{emptied}/members/{bob.id}")

    await world.publish(UserDeleted(user_id=UUID(bob.id)))

    names = (bob.username, bob.read["display_name"], world.peers.files[file_id]["name"])
    for table in ("stream_log", "users", "attachments", "outbox", "inbox"):
        rows = str(await world.rows(f"SELECT t::text FROM chat.{table} AS t"))
        assert [name for name in names if name in rows] == [], table
    kept = [event["type"] for event in await world.events(channel_stream(emptied))]
    assert kept == ["channel.created", "message.created"]


async def test_who_was_away_when_a_user_was_erased_is_told_to_refetch(world: World) -> None:
    ada, bob = await world.people("ada", "bob")
    path = await ada.channel("private", bob)
    gateway = await world.service()

    async def replay(after: int) -> Json:
        query = {"stream": channel_stream(path), "after": str(after)}
        answer = await gateway.get("/internal/streams/replay", params=query)
        return dict(answer.json())

    before = (await ada.say(path, "before"))["seq"]
    await bob.say(path, "named")
    since = (await ada.say(path, "since"))["seq"]
    assert not (await replay(before))["reset"]
    await world.publish(UserDeleted(user_id=UUID(bob.id)))

    assert (await replay(before))["reset"]
    (frame,) = (await replay(since))["frames"]
    assert msgspec.json.decode(frame)["type"] == "member.left"


async def test_a_deleted_user_comes_back_by_no_door(world: World) -> None:
    ada, bob = await world.people("ada", "bob")
    path = await ada.channel("public", bob)
    await world.publish(UserDeleted(user_id=UUID(bob.id)))
    await world.publish(named(bob.id, "zombie"))
    await world.publish(
        UserRegistered(user_id=UUID(bob.id), username="zombie", display_name="Zombie")
    )
    await bob.post(f"{path}/join", status=401)
    await bob.post("/v1/channels", {"name": "x", "kind": "public"}, 401)
    await bob.post(f"{path}/messages", {"text": "x"}, 403)
    await ada.post(f"{path}/members", {"user_id": bob.id}, 404)
    await ada.post("/v1/conversations", {"user_ids": [bob.id]}, 404)
    stranger = await world.person()
    await world.publish(UserDeleted(user_id=UUID(stranger.id)))
    await stranger.post(f"{path}/join", status=401)


async def test_the_longest_standing_admin_inherits_before_older_members(world: World) -> None:
    ada, bob, cleo, dan = await world.people("ada", "bob", "cleo", "dan")
    path = await ada.channel("private", bob, cleo, dan)
    for admin in (dan, cleo):
        await ada.patch(f"{path}/members/{admin.id}", {"role": "admin"})
    await world.publish(UserDeleted(user_id=UUID(ada.id)))
    assert (await bob.get(path))["owner_id"] == cleo.id


async def test_a_deleted_file_is_off_every_message(world: World) -> None:
    ada, bob = await world.people("ada", "bob")
    paths = [await ada.channel("private", bob) for _ in range(2)]
    file_id, other = world.peers.add_file(ada.id), world.peers.add_file(ada.id)
    messages = [await ada.say(path, attachments=[file_id, other]) for path in paths]
    event = FileDeleted(file_id=UUID(file_id), owner_id=UUID(ada.id))
    await world.publish(event)
    await world.publish(event)
    for path, message in zip(paths, messages, strict=True):
        left = await bob.get(f"/v1/messages/{message['id']}")
        assert [each["file_id"] for each in left["attachments"]] == [other]
        told = [
            e for e in await world.events(channel_stream(path)) if e["type"] == "message.updated"
        ]
        # Who reacted is told by events of its own.
        assert [{**event["data"], "reactions": []} for event in told] == [left]
        await bob.get(f"/v1/messages/{message['id']}/attachments/{file_id}", 404)
