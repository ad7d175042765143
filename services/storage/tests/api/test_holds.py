"""A file stays as long as somebody has it: its owner, a message, a transfer."""

import asyncio
from datetime import timedelta
from uuid import UUID

import httpx
import pytest

from services.storage.tests.holding import Clock, hear, holders_of
from services.storage.tests.support import CHUNKS, DATA, Json, Person, World, code_of
from sharezync_shared.events.contracts import (
    ChannelDeleted,
    MessageDeleted,
    MessageSent,
    TransferEnded,
    TransferOffered,
    UserDeleted,
)
from sharezync_shared.events.local import LocalBus
from sharezync_shared.ids import uuid7
from sharezync_storage.usecases import holding
from sharezync_testkit.waiting import GIVE_UP_SECONDS, wait_until


def sent(*files: Json, message: UUID | None = None, channel: UUID | None = None) -> MessageSent:
    return MessageSent(
        message_id=message or uuid7(),
        channel_id=channel or uuid7(),
        author_id=uuid7(),
        seq=1,
        attachments=tuple(UUID(file["id"]) for file in files),
    )


def taken_back(message: MessageSent) -> MessageDeleted:
    return MessageDeleted(
        message_id=message.message_id,
        channel_id=message.channel_id,
        attachments=message.attachments,
    )


async def reads(world: World, alice: Person, file: Json) -> httpx.Response:
    """Read a file as a member of a channel does, by a link that chat asks for."""
    link = await world.link(file, alice)
    if link.status_code != 200:
        return link
    return await alice.http.get(link.json()["url"])


async def test_what_its_owner_deletes_stays_for_a_message(world: World, alice: Person) -> None:
    file = await alice.upload(b"picture")
    message = sent(file)
    await hear(world, message)
    assert (await alice.http.delete(f"/v1/files/{file['id']}")).status_code == 204
    for answer in (
        await alice.http.get(f"/v1/files/{file['id']}"),
        await alice.content(file),
        await alice.http.delete(f"/v1/files/{file['id']}"),
    ):
        assert (answer.status_code, code_of(answer)) == (404, "not-found")
    assert (await alice.http.get("/v1/files")).json()["items"] == []
    assert await alice.usage() == (7, 0)
    assert (await reads(world, alice, file)).content == b"picture"
    described = await world.inside.get("/internal/files", params={"ids": file["id"]})
    assert described.json()["files"] == []  # nobody attaches it anew

    await hear(world, taken_back(message))
    await world.collect()
    assert (await reads(world, alice, file)).status_code == 404
    assert await alice.usage() == (0, 0)
    await world.left(0)
    await wait_until(lambda: len(world.told(file)) == 2)


async def test_who_asks_for_files_of_somebody_holds_nobody_elses(
    world: World, alice: Person
) -> None:
    """Else a stranger who names a file in a request of their own would keep it from going."""
    bob = await world.person()
    file, own = await alice.upload(b"picture"), await bob.upload(b"own")
    params = {"ids": f"{file['id']},{own['id']}", "owner_id": str(bob.id)}
    described = await world.inside.get("/internal/files", params=params)
    assert described.json()["files"] == [own]
    assert await holders_of(world, file) == set()
    assert await holders_of(world, own) == {UUID(own["id"])}


async def test_what_nobody_else_has_goes_at_once(world: World, alice: Person) -> None:
    file = await alice.upload(b"picture")
    message = sent(file)
    await hear(world, message, taken_back(message))
    await alice.http.delete(f"/v1/files/{file['id']}")
    assert await alice.usage() == (0, 0)
    await world.left(0)


async def test_everywhere_means_for_everyone_even_later(world: World, alice: Person) -> None:
    kept, gone = await alice.upload(b"kept"), await alice.upload(b"gone")
    await hear(world, sent(kept, gone))
    await alice.http.delete(f"/v1/files/{kept['id']}")
    for file in (gone, kept):
        url = f"/v1/files/{file['id']}?everywhere=true"
        assert (await alice.http.delete(url)).status_code == 204
        assert (await alice.http.delete(url)).status_code == 404
        assert (await reads(world, alice, file)).status_code == 404
        assert await holders_of(world, file) == set()
    assert await alice.usage() == (0, 0)
    await world.left(0)


async def test_strangers_delete_nothing_everywhere(world: World, alice: Person) -> None:
    eve = await world.person()
    file = await alice.upload(b"x")
    answer = await eve.http.delete(f"/v1/files/{file['id']}?everywhere=true")
    assert (answer.status_code, code_of(answer)) == (404, "not-found")
    assert (await alice.content(file)).content == b"x"


async def test_of_two_messages_the_last_one_counts(world: World, alice: Person) -> None:
    file = await alice.upload(b"x")
    first, second = sent(file), sent(file)
    await hear(world, first, second)
    await alice.http.delete(f"/v1/files/{file['id']}")
    await hear(world, taken_back(first))
    await world.collect()
    assert (await reads(world, alice, file)).content == b"x"
    await hear(world, taken_back(second))
    await world.collect()
    await world.left(0)


@pytest.mark.parametrize("last", ["message", "transfer"])
async def test_of_a_message_and_a_transfer_the_last_one_counts(
    world: World, alice: Person, last: str
) -> None:
    file = await alice.upload(b"x")
    message = sent(file)
    offered = TransferOffered(
        transfer_id=uuid7(),
        sender_id=alice.id,
        recipient_ids=(uuid7(),),
        file_count=1,
        size_bytes=1,
        file_ids=(UUID(file["id"]),),
    )
    over = TransferEnded(transfer_id=offered.transfer_id, outcome="completed")
    ends = [taken_back(message), over] if last == "transfer" else [over, taken_back(message)]
    await hear(world, message, offered)
    await alice.http.delete(f"/v1/files/{file['id']}")

    await hear(world, ends[0])
    await world.collect()
    assert [blob.name for blob in world.blobs()] == [UUID(file["id"]).hex], f"the {last} holds it"
    assert await alice.usage() == (1, 0)

    await hear(world, ends[1])
    await world.collect()
    await world.left(0)
    assert await alice.usage() == (0, 0)


async def test_a_channel_goes_with_all_that_its_messages_hold(world: World, alice: Person) -> None:
    file, other, channel = await alice.upload(b"x"), await alice.upload(b"y"), uuid7()
    await hear(world, sent(file, channel=channel), sent(other))
    await hear(world, ChannelDeleted(channel_id=channel), sent(file, channel=channel))
    for each in (file, other):
        await alice.http.delete(f"/v1/files/{each['id']}")
    assert await alice.usage() == (1, 0)
    assert (await reads(world, alice, other)).content == b"y"


@pytest.mark.parametrize("end", ["message", "channel"])
async def test_news_of_what_is_over_hold_nothing(world: World, alice: Person, end: str) -> None:
    file = await alice.upload(b"x")
    message = sent(file)
    over = (
        taken_back(message) if end == "message" else ChannelDeleted(channel_id=message.channel_id)
    )
    await hear(world, over, message)
    assert await holders_of(world, file) == set()


async def test_news_come_over_the_bus_and_come_twice(
    world: World, bus: LocalBus, alice: Person
) -> None:
    file, other = await alice.upload(b"x"), await alice.upload(b"y")
    facts = [sent(file).envelope(), sent(other).envelope()]
    await bus.publish([facts[0], facts[0], facts[1]])

    async def both_held() -> bool:
        return all([await holders_of(world, each) for each in (file, other)])

    async with asyncio.timeout(GIVE_UP_SECONDS):
        while not await both_held():  # noqa: ASYNC110 - a database tells nobody
            await asyncio.sleep(0.01)


async def test_what_a_service_has_asked_for_may_be_on_its_way(
    world: World, alice: Person, clock: Clock
) -> None:
    """Posted a moment before its owner deleted it, while the broker was away."""
    file, unused = await alice.upload(b"picture"), await alice.upload(b"unused")
    ids = f"{file['id']},{unused['id']}"
    assert (
        len((await world.inside.get("/internal/files", params={"ids": ids})).json()["files"]) == 2
    )
    for each in (file, unused):
        await alice.http.delete(f"/v1/files/{each['id']}")
    clock.pass_by(holding.ASKED_FOR - timedelta(minutes=1))
    await world.collect()
    assert await alice.usage() == (13, 0)
    await hear(world, sent(file))
    clock.pass_by(timedelta(minutes=2))
    await world.collect()
    assert (await reads(world, alice, file)).content == b"picture"
    assert (await reads(world, alice, unused)).status_code == 404
    assert await alice.usage() == (7, 0)


async def test_a_transfer_holds_what_is_still_to_come(world: World, alice: Person) -> None:
    upload = await world.begin(alice, len(DATA))
    offered = TransferOffered(
        transfer_id=uuid7(),
        sender_id=alice.id,
        recipient_ids=(uuid7(),),
        file_count=1,
        size_bytes=len(DATA),
        file_ids=(UUID(upload["id"]),),
    )
    await hear(world, offered)
    await world.put_all(upload)
    await world.finish(upload)
    await alice.http.delete(f"/v1/files/{upload['id']}")
    await world.collect()
    assert (await world.chunk(upload, 2)).content == CHUNKS[2]
    await hear(world, TransferEnded(transfer_id=offered.transfer_id, outcome="completed"), offered)
    await world.collect()
    assert (await world.chunk(upload, 2)).status_code == 404
    assert await alice.usage() == (0, 0)
    await world.left(0)


async def test_what_came_by_a_transfer_and_was_posted_outlives_the_transfer(
    world: World, alice: Person
) -> None:
    posted, other = await world.begin(alice, len(DATA)), await world.begin(alice, len(DATA))
    for upload in (posted, other):
        await world.put_all(upload)
        await world.finish(upload)
    message = sent(posted)
    await hear(world, message)
    for upload in (posted, other):
        assert (await world.abort(upload)).status_code == 204
        assert (await world.abort(upload)).status_code == 204
    assert (await reads(world, alice, posted)).content == DATA
    assert (await reads(world, alice, other)).status_code == 404
    assert (await alice.http.get("/v1/files")).json()["items"] == []
    assert await alice.usage() == (len(DATA), 0)
    await hear(world, taken_back(message))
    await world.collect()
    assert await alice.usage() == (0, 0)


async def test_with_their_owner_files_go_whoever_holds_them(world: World, alice: Person) -> None:
    file = await alice.upload(b"x")
    message = sent(file)
    await hear(world, message, UserDeleted(user_id=alice.id))
    assert (await reads(world, alice, file)).status_code == 404
    assert await holders_of(world, file) == set()
    await hear(world, message)
    assert await holders_of(world, file) == set()
    await world.left(0)


async def test_letting_go_and_the_last_hold_going_at_the_same_time_leave_nothing(
    world: World, alice: Person
) -> None:
    files = [await alice.upload(b"x") for _ in range(20)]
    messages = [sent(file) for file in files]
    await hear(world, *messages)
    await asyncio.gather(
        *(alice.http.delete(f"/v1/files/{file['id']}") for file in files),
        *(hear(world, taken_back(message)) for message in messages),
    )
    await world.collect()
    assert await alice.usage() == (0, 0)
    await world.left(0)
