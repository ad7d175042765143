"""Posting under load: order, gaps, retries, and who is removed meanwhile."""

import asyncio
import itertools
from uuid import UUID

import asyncpg
import msgspec

from services.chat.tests.support.world import Json, World, channel_stream
from sharezync_chat import access
from sharezync_chat.models import ChannelId
from sharezync_chat.schemas import UserRead
from sharezync_chat.usecases import membership_changes
from sharezync_shared.events.bus import Envelope
from sharezync_shared.ids import UserId, uuid7
from sharezync_testkit.waiting import GIVE_UP_SECONDS, wait_until


async def test_fifty_at_once_get_fifty_places_without_a_gap(world: World) -> None:
    ada, bob = await world.people("ada", "bob")
    paths = [await ada.channel("private", bob) for _ in range(2)]
    turns = [
        (who, path, f"{n}")
        for n, (who, path) in enumerate(itertools.product([ada, bob] * 13, paths))
    ]
    assert len(turns) >= 50
    messages = await asyncio.gather(*(who.say(path, text) for who, path, text in turns))
    for path in paths:
        mine = {m["seq"]: m for m in messages if m["channel_id"] == path.rpartition("/")[2]}
        events = await world.events(channel_stream(path))
        assert [event["seq"] for event in events] == list(range(1, len(events) + 1))
        told = [event["data"] for event in events if event["type"] == "message.created"]
        assert told == [mine[seq] for seq in sorted(mine)]
        assert [message["number"] for message in told] == list(range(1, len(told) + 1))
        assert (await ada.get(path))["message_count"] == len(told)
        history = (await ada.get(f"{path}/messages", limit=200))["items"]
        assert history == told[::-1]


async def test_what_is_sent_live_is_what_the_log_holds_in_order(world: World) -> None:
    ada = await world.person()
    path = await ada.channel()
    stream = channel_stream(path)
    await asyncio.gather(*(ada.say(path, str(n)) for n in range(20)))
    await wait_until(lambda: sum(frame.stream == stream for frame in world.sent) == 21)
    live = [frame for frame in world.sent if frame.stream == stream]
    assert [frame.seq for frame in live] == list(range(1, 22))
    logged = await world.rows(
        "SELECT text FROM chat.stream_log WHERE stream = $1 ORDER BY seq", stream
    )
    assert [frame.text.decode() for frame in live] == [row["text"] for row in logged]


async def test_one_refused_message_costs_nobody_else(world: World) -> None:
    ada, bob, eve = await world.people("ada", "bob", "eve")
    path = await ada.channel("private", bob)
    attempts = [
        (who, {"text": str(n), **more})
        for n in range(5)
        for who, more in (
            (ada, {}),
            (eve, {}),
            (bob, {"reply_to": "01936f0c-2b7e-7d33-8d7a-0c8e3a7c1f10"}),
            (bob, {}),
        )
    ]
    answers = await asyncio.gather(
        *(who.http.post(f"{path}/messages", json=body) for who, body in attempts)
    )
    assert [answer.status_code for answer in answers] == [201, 404, 422, 201] * 5
    assert (await ada.get(path))["message_count"] == 10


async def test_a_made_up_channel_leaves_no_trace(world: World) -> None:
    ada = await world.person()
    path, nowhere = await ada.channel(), f"/v1/channels/{uuid7()}"
    await asyncio.gather(
        ada.post(f"{nowhere}/messages", {"text": "x"}, 404),
        ada.say(path),
        ada.post(f"{nowhere}/join", status=404),
        ada.patch(nowhere, {"topic": "x"}, 404),
        ada.put(f"{nowhere}/read", {}, 404),
        ada.post(f"{nowhere}/members", {"user_id": ada.id}, 404),
    )
    stream = channel_stream(nowhere)
    assert await world.rows("SELECT 1 FROM chat.stream_heads WHERE stream = $1", stream) == []


async def test_a_retry_gets_the_first_message_however_late(world: World) -> None:
    ada, bob = await world.people("ada", "bob")
    path, other = await ada.channel("private", bob), await ada.channel("private", bob)
    file_id = world.peers.add_file(bob.id)
    body = {"text": "once", "client_message_id": "k", "attachments": [file_id]}
    first = await bob.post(f"{path}/messages", body)
    events = await world.events(channel_stream(path))
    assert await bob.post(f"{path}/messages", body, 200) == first
    assert await bob.post(f"{path}/messages", {**body, "text": "twice"}, 200) == first
    world.peers.files.clear()
    assert await bob.post(f"{path}/messages", body, 200) == first, "its file may be gone by now"
    world.peers.away.add("storage")
    assert await bob.post(f"{path}/messages", body, 200) == first
    world.peers.away.clear()
    await ada.patch(path, {"archived": True})
    assert await bob.post(f"{path}/messages", body, 200) == first
    await ada.patch(path, {"archived": False})
    edited = await bob.patch(f"/v1/messages/{first['id']}", {"text": "edited"})
    assert await bob.post(f"{path}/messages", body, 200) == edited
    posted = [e for e in await world.events(channel_stream(path)) if e["type"] == "message.created"]
    assert len(posted) == 1
    assert len(events) == first["seq"]
    problem = await bob.post(f"{other}/messages", {"text": "x", "client_message_id": "k"}, 409)
    assert problem["code"] == "client-message-id-reused"
    mine = await ada.post(f"{path}/messages", {"text": "x", "client_message_id": "k"})
    assert mine["id"] != first["id"], "a key is its author's own"
    await ada.delete(f"{path}/members/{bob.id}")
    await bob.post(f"{path}/messages", body, 404)


async def test_the_idempotency_key_header_counts_where_the_body_has_no_key(world: World) -> None:
    ada = await world.person()
    path = await ada.channel()

    async def post(key: str, **body: str) -> tuple[int, Json]:
        headers = {"idempotency-key": key}
        answer = await ada.http.post(
            f"{path}/messages", json={"text": "x", **body}, headers=headers
        )
        return answer.status_code, answer.json()

    status, first = await post("k")
    assert (status, first["client_message_id"]) == (201, "k")
    assert await post("k") == (200, first)
    assert (await post("k", client_message_id="other"))[0] == 201
    assert (await post("x" * 201))[0] == 422


async def test_one_key_at_once_is_one_message(world: World) -> None:
    ada = await world.person()
    path, other = await ada.channel(), await ada.channel()
    body = {"text": "once", "client_message_id": "k"}
    answers = await asyncio.gather(
        *(ada.http.post(f"{path}/messages", json=body) for _ in range(10))
    )
    assert sorted(answer.status_code for answer in answers) == [200] * 9 + [201]
    assert len({answer.content for answer in answers}) == 1
    body = {"text": "once", "client_message_id": "k2"}
    answers = await asyncio.gather(
        *(ada.http.post(f"{where}/messages", json=body) for where in (path, other) * 5)
    )
    codes = sorted(answer.status_code for answer in answers)
    assert codes == [200] * 4 + [201] + [409] * 5


async def test_nothing_of_who_is_removed_stands_after_the_removal(world: World) -> None:
    ada, bob = await world.people("ada", "bob")
    for _ in range(3):
        path = await ada.channel("private", bob)
        posts = [bob.http.post(f"{path}/messages", json={"text": "x"}) for _ in range(40)]
        removal = ada.http.delete(f"{path}/members/{bob.id}")
        answers = await asyncio.gather(*posts[:20], removal, *posts[20:])
        assert answers.pop(20).status_code == 204
        events = await world.events(channel_stream(path))
        (left,) = [event for event in events if event["type"] == "member.left"]
        assert left["control"] == {"leave": [bob.id]}
        by_bob = [e["seq"] for e in events if e["type"] == "message.created"]
        assert all(seq < left["seq"] for seq in by_bob)
        accepted = [answer.json()["seq"] for answer in answers if answer.status_code == 201]
        assert sorted(accepted) == by_bob, "what was acknowledged is there, and nothing else"
        assert {answer.status_code for answer in answers} <= {201, 404}


async def test_a_message_that_meets_a_removal_under_way_waits_and_is_refused(world: World) -> None:
    """Its author is looked at before the removal is committed, and it would be written after."""
    ada, bob = await world.people("ada", "bob")
    path = await ada.channel("private", bob)
    bob_id, channel_id = UserId(UUID(bob.id)), ChannelId(UUID(path.rpartition("/")[2]))
    pool = await world.core.database.pool()
    for _ in range(2):  # the second time, the heads are held from before the look
        async with world.core.work.begin() as unit:
            await access.lock(unit, channel_id, bob_id)
            channel, member = await access.channel_to_read(unit, bob_id, channel_id)
            await membership_changes.depart(unit, channel, member, UserRead(**bob.read), "removed")
            post = asyncio.create_task(bob.post(f"{path}/messages", {"text": "x"}, 404))
            await until_waiting(pool)
        await post
        assert (await world.events(channel_stream(path)))[-1]["type"] == "member.left"
        await ada.post(f"{path}/members", {"user_id": bob.id})
    assert (await bob.say(path))["number"] == 1


async def test_a_message_that_meets_another_event_comes_after_it(world: World) -> None:
    ada = await world.person()
    path = await ada.channel()
    stream = channel_stream(path)
    pool = await world.core.database.pool()
    for _ in range(2):  # afterwards the heads are held from the beginning
        async with pool.acquire() as connection, connection.transaction():
            await world.core.streams.lock(connection, [stream])
            edits = asyncio.create_task(ada.patch(path, {"topic": uuid7().hex}))
            await until_waiting(pool)
            post = asyncio.create_task(ada.say(path))
            await until_waiting(pool, count=2)
        edited, message = await asyncio.gather(edits, post)
        events = await world.events(stream)
        assert [event["seq"] for event in events] == list(range(1, len(events) + 1))
        assert {event["type"] for event in events[-2:]} == {"channel.updated", "message.created"}
        assert edited["topic"]
        assert message["seq"] in {len(events) - 1, len(events)}


async def test_a_lost_connection_costs_those_who_wait_and_nobody_after(world: World) -> None:
    ada = await world.person()
    path = await ada.channel()
    await ada.say(path)
    stream = channel_stream(path)
    pool = await world.core.database.pool()
    async with pool.acquire() as connection, connection.transaction():
        await world.core.streams.lock(connection, [stream])
        lost = asyncio.create_task(ada.post(f"{path}/messages", {"text": "x"}, 503))
        await until_waiting(pool)
        await connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE datname = current_database() AND wait_event_type = 'Lock'"
        )
        await lost
    await ada.say(path)
    assert (await ada.get(path))["message_count"] == 2


async def until_waiting(pool: "asyncpg.Pool[asyncpg.Record]", count: int = 1) -> None:
    """Return once so many statements of this database wait for a lock."""
    async with asyncio.timeout(GIVE_UP_SECONDS), pool.acquire() as connection:
        while count > await connection.fetchval(_WAITING):  # noqa: ASYNC110 - it is in another process
            await asyncio.sleep(0.005)


# Whoever looks may not see why another role waits, but that it does.
_WAITING = """
    SELECT count(*) FROM pg_locks AS l JOIN pg_stat_activity AS a USING (pid)
     WHERE NOT l.granted AND a.datname = current_database()
"""


async def test_two_processes_share_a_channel(world: World, second: World) -> None:
    """Two replicas of the service on one database: one order, one key, each mention once."""
    ada, bob = await world.people("ada", "bob")
    path = await ada.channel("private", bob)
    twin = await second.same(ada)
    body = {"text": "once", "client_message_id": "k"}
    for _ in range(5):
        await asyncio.gather(
            *(ada.say(path, f"@{bob.username}") for _ in range(5)),
            *(twin.say(path, "x") for _ in range(5)),
            *(who.http.post(f"{path}/messages", json=body) for who in (ada, twin)),
        )
    events = await world.events(channel_stream(path))
    messages = [event["data"] for event in events if event["type"] == "message.created"]
    assert [event["seq"] for event in events] == list(range(1, len(events) + 1))
    assert [message["number"] for message in messages] == list(range(1, 52))
    assert len({message["epoch"] for message in messages}) == 1
    assert sum(message["client_message_id"] == "k" for message in messages) == 1
    (membership,) = (await bob.get("/v1/memberships"))["items"]
    assert membership["mention_count"] == 25


async def test_one_key_in_two_channels_through_two_processes_is_one_message(
    world: World, second: World
) -> None:
    ada = await world.person()
    twin = await second.same(ada)
    path, other = await ada.channel(), await ada.channel()
    for n in range(5):
        body = {"text": "once", "client_message_id": f"k{n}"}
        answers = await asyncio.gather(
            ada.http.post(f"{path}/messages", json=body),
            twin.http.post(f"{other}/messages", json=body),
        )
        assert sorted(answer.status_code for answer in answers) == [201, 409]


async def test_other_services_hear_of_messages_with_attachments(world: World) -> None:
    ada = await world.person()
    path = await ada.channel()
    file_id = world.peers.add_file(ada.id)
    heard = await world.hear("chat.message.sent.v1", "chat.message.deleted.v1")
    plain = await ada.say(path)
    message = await ada.say(path, attachments=[file_id])
    await ada.delete(f"/v1/messages/{message['id']}")

    def of_message() -> list[Envelope]:
        # Earlier tests may have left something untold in the same database.
        mine = [envelope for envelope in heard if envelope.subject == message["id"]]
        return sorted(mine, key=lambda envelope: envelope.type, reverse=True)

    await wait_until(lambda: len(of_message()) == 2)
    assert not [envelope for envelope in heard if envelope.subject == plain["id"]]
    sent, deleted = of_message()
    place = {"message_id": message["id"], "channel_id": message["channel_id"]}
    assert sent.subject == message["id"]
    assert msgspec.json.decode(sent.data) == {
        **place,
        "author_id": ada.id,
        "seq": message["seq"],
        "attachments": [file_id],
    }
    assert msgspec.json.decode(deleted.data) == {**place, "attachments": [file_id]}
    assert await world.core.relay.flush(GIVE_UP_SECONDS)
    left = await world.rows("SELECT id FROM chat.outbox WHERE subject = $1", message["id"])
    assert left == [], "what was told is forgotten"
