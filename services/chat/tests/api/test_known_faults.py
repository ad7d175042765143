"""Faults of the design that this service succeeds; each is shut out by name.

One more, that a slow reader delays whoever sends, is the gateway's to shut out:
`test_a_slow_reader_is_closed_and_the_others_hear_everything` in
`services/gateway/tests/api/realtime/test_pressure.py`.
"""

import asyncio
from collections.abc import Sequence
from typing import Any

import msgspec
import pytest

from services.chat.tests.support.hub import Hub
from services.chat.tests.support.many import post_to_all
from services.chat.tests.support.world import World, channel_stream
from sharezync_testkit.waiting import GIVE_UP_SECONDS, wait_until


@pytest.mark.parametrize("kind", ["public", "private"])
async def test_a_message_is_not_read_by_its_id_without_membership(world: World, kind: str) -> None:
    ada, bob, eve = await world.people("ada", "bob", "eve")
    path = await ada.channel(kind, bob)
    message = await ada.say(path, "a secret")
    url = f"/v1/messages/{message['id']}"
    assert (await bob.get(url))["text"] == "a secret"
    await ada.delete(f"{path}/members/{bob.id}")
    for outsider in (bob, eve):
        for each in (url, f"{url}/edits", f"{url}/replies"):
            await outsider.get(each, 404)


async def test_nobodys_memberships_are_listed_without_their_login(world: World) -> None:
    ada, eve = await world.people("ada", "eve")
    await ada.channel("public")
    async with world.stranger() as stranger:
        for url in ("/v1/memberships", "/v1/sync", f"/v1/memberships?user_id={ada.id}"):
            assert (await stranger.get(url)).status_code == 401
    assert (await eve.get("/v1/memberships", user_id=ada.id))["items"] == []


async def test_a_channel_is_owned_by_who_creates_it_whatever_they_say(world: World) -> None:
    ada, bob = await world.people("ada", "bob")
    named = dict.fromkeys(("owner_id", "owner", "user_id", "created_by"), bob.id)
    made = await ada.post("/v1/channels", {"name": "engines", "kind": "private", **named})
    assert made["owner_id"] == ada.id
    assert (await bob.get("/v1/memberships"))["items"] == []
    await bob.get(f"/v1/channels/{made['id']}", 404)


async def test_who_creates_a_channel_is_in_it(world: World) -> None:
    ada = await world.person()
    path = await ada.channel("private")
    (membership,) = (await ada.get("/v1/memberships"))["items"]
    assert (membership["role"], membership["channel"]["member_count"]) == ("owner", 1)
    assert [each["user"] for each in (await ada.get(f"{path}/members"))["items"]] == [ada.read]
    await ada.say(path)


async def test_the_default_page_is_the_latest_messages(world: World) -> None:
    ada = await world.person()
    path = await ada.channel("private")
    channel_id = path.rpartition("/")[2]
    said = await post_to_all(await world.service(), ada, [channel_id] * 130, "hello")
    page = await ada.get(f"{path}/messages")
    assert page["next"], "this was meant to be more than a page"
    assert page["items"] == said[: -len(page["items"]) - 1 : -1]


async def test_edits_and_deletions_are_delivered(world: World) -> None:
    ada, bob = await world.people("ada", "bob")
    path = await ada.channel("private", bob)
    hub = Hub(world, await world.service())
    device = await hub.connect(bob)
    message = await ada.say(path, "first")
    edited = await ada.patch(f"/v1/messages/{message['id']}", {"text": "second"})
    await ada.delete(f"/v1/messages/{message['id']}")
    await hub.settle()
    heard = [msgspec.json.decode(text) for text in device.waiting[channel_stream(path)]]
    told = [(event["type"], event["data"]["id"], event["data"]["text"]) for event in heard]
    assert told == [
        ("message.created", message["id"], "first"),
        ("message.updated", message["id"], edited["text"]),
        ("message.deleted", message["id"], ""),
    ]


async def test_nobodys_email_is_in_what_others_see(world: World) -> None:
    ada, bob = await world.people("ada", "bob")
    for person in (ada, bob):  # should auth ever tell more than it is asked for
        known: dict[str, Any] = world.peers.users[person.id]
        known["email"] = f"{person.username}@example.com"
    path = await ada.channel("private", bob)
    message = await ada.say(path, "hello")
    urls = [
        "/v1/sync",
        path,
        f"{path}/members",
        f"{path}/messages",
        f"/v1/messages/{message['id']}",
    ]
    for url in urls:
        assert "example.com" not in (await bob.http.get(url)).text
    for stream in (channel_stream(path), f"inbox:{bob.id}"):
        for row in await world.rows("SELECT text FROM chat.stream_log WHERE stream = $1", stream):
            assert "example.com" not in row["text"]
    assert "email" not in msgspec.json.encode(world.app.openapi()["components"]).decode().lower()


async def test_a_bus_that_hangs_keeps_nobody_waiting(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    ada, bob = await world.people("ada", "bob")
    path = await ada.channel("private", bob)
    assert await world.core.relay.flush(GIVE_UP_SECONDS)
    bus, released, hanging = world.platform.bus, asyncio.Event(), asyncio.Event()
    send = bus.send_frames

    async def hang(frames: Sequence[Any]) -> None:
        hanging.set()
        await released.wait()
        await send(frames)

    monkeypatch.setattr(bus, "send_frames", hang)
    sent = len(world.sent)
    async with asyncio.timeout(GIVE_UP_SECONDS):
        first = await ada.say(path, "first")
        await hanging.wait()
        second = await ada.say(path, "second")
        await ada.patch(f"/v1/messages/{first['id']}", {"text": "edited"})
        await bob.put(f"{path}/read", {})
        assert (await bob.get(f"{path}/messages"))["items"][0] == second
    assert len(world.sent) == sent, "nothing went out, and nobody waited for it"
    released.set()
    stream = channel_stream(path)
    await wait_until(lambda: sum(frame.stream == stream for frame in world.sent[sent:]) >= 3)


async def test_delivery_ends_with_leaving(world: World) -> None:
    ada, bob = await world.people("ada", "bob")
    path = await ada.channel("public", bob)
    hub = Hub(world, await world.service())
    device = await hub.connect(bob)
    await ada.say(path, "before")
    await bob.post(f"{path}/leave", status=204)
    await ada.say(path, "after")
    await hub.settle()
    heard = [msgspec.json.decode(text)["type"] for text in device.waiting[channel_stream(path)]]
    assert heard == ["message.created", "member.left"]
