"""An account is deleted: all services agree that nobody of that name was ever here.

What others need stays: texts in a channel, that a transfer took place. Everything that says whose
they were goes, out of every table of every service.
"""

import asyncio
import os
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field
from functools import partial

import aio_pika
import pytest

from tests.blackbox.people import PASSWORD, Json, Person
from tests.blackbox.test_files import upload
from tests.blackbox.test_transfer import MIB, offer, receive_all, send_all
from tests.fleet.conftest import Product
from tests.fleet.crowd import Crowd, closed, refresh, refused, tell, until
from tests.fleet.footprints import Footprints

pytestmark = pytest.mark.timeout(180)

ADDRESS = "203.0.113.177"  # of RFC 5737: nobody's
CONSUMERS = ("auth.events", "chat.events", "transfer.events", "storage.events")


@pytest.fixture
async def crowd(product: Product) -> AsyncGenerator[Crowd]:
    crowd = Crowd(product.gateways)
    yield crowd
    await crowd.aclose()


@dataclass
class Past:
    """What somebody leaves behind, by ids; `words` name them, `contents` are bytes of theirs."""

    channel_id: str
    direct_id: str
    message_id: str
    file_id: str
    sent_id: str
    pending_id: str
    received_id: str
    words: list[str] = field(default_factory=list)
    contents: list[bytes] = field(default_factory=list)


async def test_a_deleted_person_is_forgotten_by_all_services(
    crowd: Crowd, product: Product
) -> None:
    ada, bob = await crowd.register("ada", gateway=0), await crowd.register("bob", gateway=1)
    carol = await crowd.register("carol", gateway=0)
    ada.http.headers["X-Forwarded-For"] = ADDRESS
    await ada.log_in()
    second = await crowd.log_in(ada, gateway=1)
    async with Footprints.of(product.database_url, product.files) as kept:
        past = await live(ada, bob, carol)
        stream = f"channel:{past.channel_id}"
        async with carol.connected("carols") as carols:
            was_at = (await carols.of_type("ready"))["heads"][stream]
        await ada.say(past.channel_id, "Farewell.")
        found = await kept.rows_with(*past.words, ADDRESS)
        assert all(found.values()), "the search finds what is there"
        assert kept.files_with(past.contents)

        async with bob.connected("bobs") as bobs, second.connected("second") as seconds:
            body = {"password": PASSWORD}
            gone = await ada.http.request("DELETE", "/v1/users/me", json=body)
            assert gone.status_code == 204, gone.text
            await closed(seconds)
            leaving = await bobs.event("member.left", channel_id=past.channel_id)
            assert leaving["data"]["reason"] == "account_deleted"

        took = await until(partial(_settled, kept, past, bob), seconds=40)
        tell("all services had forgotten a deleted person after", [took])
        found = await kept.rows_with(*past.words, ADDRESS)
        # How often passwords from an address were wrong lately says nothing of who it was.
        assert await kept.throttled(ADDRESS) == [f"address:{ADDRESS}"]
        assert found == {word: set() for word in past.words} | {ADDRESS: {"auth.throttles"}}
        assert await _dead_letters(product.amqp_url) == 0

    for login in (ada, second):
        await refused(crowd.everywhere(login))
        assert (await refresh(login))["error"] == "invalid_grant"
    async with carol.connected("carols", cursors={stream: was_at}) as carols:
        assert (await carols.of_type("reset"))["stream"] == stream
    for gateway in range(2):
        await bob_sees_nobody(crowd.by_way_of(bob, gateway), ada, past)
    await same_name_is_somebody_new(crowd, ada, past)


async def live(ada: Person, bob: Person, carol: Person) -> Past:
    """Have Ada do a bit of everything, with Bob and, where a third is needed, Carol."""
    mark = os.urandom(6).hex()
    names = {what: f"{what}-{mark}.bin" for what in ("shared", "own", "sent", "pending")}
    contents = {what: os.urandom(MIB + 17) for what in names}
    await ada.http.patch("/v1/users/me", json={"display_name": f"Countess {mark}"})
    await ada.http.post(
        "/token", data={"grant_type": "password", "username": ada.username, "password": "wrong"}
    )

    channel_id = await bob.channel("engines")
    await bob.add(channel_id, ada)
    direct = await ada.post("/v1/conversations", {"user_ids": [bob.id]})
    file = await upload(ada, names["shared"], contents["shared"])
    await upload(ada, names["own"], contents["own"])
    message = await ada.say(channel_id, "The engine weaves.", attachments=[file["id"]])
    await bob.add(channel_id, carol)  # whose membership is told with Ada's message
    await ada.say(direct["id"], "Between us.")
    await bob.say(channel_id, "Nobody has read this.")
    left = await carol.channel("left")
    await carol.add(left, ada)
    await ada.post(f"/v1/channels/{left}/leave", expect=204)

    async with ada.connected(f"ada-{mark}") as adas, bob.connected("bobs") as bobs:
        await adas.command("send_message", channel_id=channel_id, text="By socket.")
        sent = await offer(adas, bob, names["sent"], contents["sent"])
        await bobs.event("incoming_transfer", id=sent["id"])
        await bobs.command("transfer_accept", transfer_id=sent["id"])
        await asyncio.gather(
            send_all(adas, sent, contents["sent"], sent["window_bytes"]),
            receive_all(bobs, sent, len(contents["sent"])),
        )
        await adas.command("transfer_complete", transfer_id=sent["id"])
        await bobs.event("transfer_completed", id=sent["id"])

        after = len(adas.frames)
        pending = await offer(adas, bob, names["pending"], contents["pending"])
        await send_all(adas, pending, contents["pending"], pending["window_bytes"])
        await adas.frame(lambda f: f["type"] == "chunk_ack" and f["next"] >= 2, after=after)

        theirs = os.urandom(1000)
        received = await offer(bobs, ada, "for-ada.bin", theirs)
        await adas.event("incoming_transfer", id=received["id"])
        await adas.command("transfer_accept", transfer_id=received["id"])
        await asyncio.gather(
            send_all(bobs, received, theirs, received["window_bytes"]),
            receive_all(adas, received, len(theirs)),
        )
        await bobs.command("transfer_complete", transfer_id=received["id"])
        await adas.event("transfer_completed", id=received["id"])
    return Past(
        channel_id,
        str(direct["id"]),
        str(message["id"]),
        str(file["id"]),
        str(sent["id"]),
        str(pending["id"]),
        str(received["id"]),
        # The e-mail address begins with the username.
        words=[ada.username, f"Countess {mark}", f"ada-{mark}", *names.values()],
        contents=list(contents.values()),
    )


async def bob_sees_nobody(bob: Person, ada: Person, past: Past) -> None:
    """Check what the other side is left with, by way of one gateway."""
    nobody = {"id": ada.id, "username": "deleted", "display_name": "Deleted user"}
    for channel_id, texts in (
        (past.channel_id, {"The engine weaves.", "By socket.", "Farewell."}),
        (past.direct_id, {"Between us."}),
    ):
        history = (await bob.get(f"/v1/channels/{channel_id}/messages"))["items"]
        theirs = [message for message in history if message["author"]["id"] == ada.id]
        assert {message["text"] for message in theirs} == texts
        assert [message["author"] for message in theirs] == [nobody] * len(texts)
        assert not any(message["attachments"] for message in theirs)
    assert (await bob.get(f"/v1/channels/{past.channel_id}"))["member_count"] == 2
    assert (await bob.get(f"/v1/channels/{past.direct_id}"))["participants"] == [
        {"id": bob.id, "username": bob.username, "display_name": "Bob"}
    ]
    await bob.get(f"/v1/users/{ada.id}", expect=404)
    assert (await bob.get(f"/v1/users?q={ada.username}"))["items"] == []
    await bob.get(f"/v1/users/{ada.id}/devices", expect=404)
    await bob.get(f"/v1/messages/{past.message_id}/attachments/{past.file_id}", expect=404)
    await bob.get(f"/v1/files/{past.file_id}", expect=404)
    again = await bob.http.post("/v1/conversations", json={"user_ids": [ada.id]})
    assert again.status_code == 404

    states = {}
    for transfer_id in (past.sent_id, past.pending_id, past.received_id):
        transfer = await bob.get(f"/v1/transfers/{transfer_id}")
        states[transfer_id] = transfer["state"]
        if transfer["sender_id"] == ada.id:
            assert [file["name"] for file in transfer["files"]] == ["file"]
    assert states == {
        past.sent_id: "completed",
        past.pending_id: "cancelled",
        past.received_id: "completed",
    }


async def same_name_is_somebody_new(crowd: Crowd, ada: Person, past: Past) -> None:
    """Check that name and address are free, and lead to nothing of what was."""
    form = {
        "username": ada.username,
        "email": f"{ada.username}@example.com",
        "password": PASSWORD,
    }
    made = await ada.http.post("/v1/auth/register", json=form)
    assert made.status_code == 201, made.text
    assert made.json()["id"] != ada.id
    new = await crowd.log_in(ada, gateway=1)
    for path in ("memberships", "files", "transfers", "devices"):
        assert (await new.get(f"/v1/{path}"))["items"] == [], path
    assert len((await new.get("/v1/auth/sessions"))["items"]) == 1
    for path in (
        f"channels/{past.channel_id}/messages",
        f"messages/{past.message_id}",
        f"transfers/{past.sent_id}",
        f"files/{past.file_id}",
    ):
        await new.get(f"/v1/{path}", expect=404)


async def _settled(kept: Footprints, past: Past, bob: Person) -> bool:
    """Whether every service has heard of it, and has said what follows from it."""
    message: Json = await bob.get(f"/v1/messages/{past.message_id}")
    pending: Json = await bob.get(f"/v1/transfers/{past.pending_id}")
    return (
        message["author"]["username"] == "deleted"
        and not message["attachments"]
        and pending["state"] == "cancelled"
        and not await kept.waiting()
        and not kept.files_with(past.contents)
    )


async def _dead_letters(amqp_url: str | None) -> int:
    if amqp_url is None:
        return 0  # kept in memory, where nobody outside can look
    async with await aio_pika.connect(amqp_url) as connection:
        channel = await connection.channel()
        queues = [await channel.declare_queue(f"{name}.dlq", passive=True) for name in CONSUMERS]
        return sum(queue.declaration_result.message_count or 0 for queue in queues)
