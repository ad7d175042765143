"""Files from one socket to another: cut-through, acknowledged, whole."""

import asyncio
import base64
import hashlib
import os
from functools import partial

from services.gateway.tests.api.realtime.registry import device_named
from services.gateway.tests.api.realtime.transfer.scene import (
    CHUNK,
    Json,
    Replica,
    Scene,
    chunks_of,
    content_of,
    talking,
)
from services.gateway.tests.api.realtime.world import User, World
from sharezync_shared.ids import uuid7
from sharezync_testkit.waiting import wait_until


async def test_a_file_arrives_identical_while_it_is_still_being_sent(
    scene: Scene, replica: Replica, ada: User, bob: User
) -> None:
    content = os.urandom(40 * CHUNK + 17)
    offer = scene.service.offer(ada, bob, len(content))
    chunks = chunks_of(offer, content)
    async with talking(replica, ada) as adas, talking(replica, bob) as bobs:
        bobs.acknowledge_everything()
        await bobs.command("transfer_accept", transfer_id=str(offer.id))
        await adas.send(*chunks[:1])
        await bobs.until(lambda: bobs.chunks)
        assert bobs.chunks[0].frame == chunks[0].frame
        await adas.send(*chunks[1:])
        await bobs.until(lambda: len(bobs.chunks) == len(chunks))
        await adas.acked(len(chunks))
        await wait_until(lambda: offer.received.get(0) and offer.received[0].first_gap == 41)
        await wait_until(lambda: offer.stored == {0: len(content)})
    assert content_of(bobs.chunks) == content
    moved = "sharezync_ws_chunk_{}_bytes_total"
    assert replica.count(moved.format("stored")) == len(content)
    assert replica.count(moved.format("delivered")) == len(content)


async def test_ends_on_two_replicas_are_as_good_as_on_one(
    scene: Scene, ada: User, bob: User
) -> None:
    content = os.urandom(10 * CHUNK)
    offer = scene.service.offer(ada, bob, len(content))
    async with (
        scene.replica() as one,
        scene.replica() as two,
        talking(one, ada) as adas,
        talking(two, bob) as bobs,
    ):
        bobs.acknowledge_everything()
        await bobs.command("transfer_accept", transfer_id=str(offer.id))
        await adas.send(*chunks_of(offer, content))
        await bobs.until(lambda: len(bobs.chunks) == 10)
    assert content_of(bobs.chunks) == content


async def test_what_was_stored_before_comes_after_acceptance(
    scene: Scene, replica: Replica, ada: User, bob: User
) -> None:
    content = os.urandom(5 * CHUNK)
    offer = scene.service.offer(ada, bob, len(content))
    async with talking(replica, ada) as adas:
        await adas.send(*chunks_of(offer, content))
        await adas.acked(5)
    async with talking(replica, bob) as bobs:
        await bobs.command("transfer_accept", transfer_id=str(offer.id))
        await bobs.until(lambda: len(bobs.chunks) == 5)
    assert content_of(bobs.chunks) == content


async def test_several_devices_that_follow_each_get_everything(
    scene: Scene, replica: Replica, ada: User, bob: User
) -> None:
    content = os.urandom(6 * CHUNK)
    offer = scene.service.offer(ada, bob, len(content))
    async with (
        talking(replica, ada) as adas,
        talking(replica, bob, "phone") as phone,
        talking(replica, bob, "tablet") as tablet,
    ):
        for device in (phone, tablet):
            device.acknowledge_everything()
            await device.command("transfer_accept", transfer_id=str(offer.id))
        await adas.send(*chunks_of(offer, content))
        await phone.until(lambda: len(phone.chunks) == 6)
        await tablet.until(lambda: len(tablet.chunks) == 6)
    assert content_of(phone.chunks) == content_of(tablet.chunks) == content


async def test_a_recipient_that_takes_no_binary_frames_gets_chunks_in_json(
    scene: Scene, replica: Replica, ada: User, bob: User
) -> None:
    content = os.urandom(2 * CHUNK + 17)
    offer = scene.service.offer(ada, bob, len(content))
    async with talking(replica, ada) as adas, talking(replica, bob) as bobs:
        await adas.send(*chunks_of(offer, content)[:2])
        await adas.acked(2)
        await bobs.command("transfer_accept", transfer_id=str(offer.id), encoding="json")
        await adas.send(*chunks_of(offer, content)[2:])
        frames = [await bobs.text(partial(_is_chunk, index)) for index in range(3)]
        assert not bobs.chunks
        refused = await bobs.command("transfer_resume", transfer_id=str(offer.id), encoding="xml")
    assert refused["code"] == "invalid"
    assert b"".join(base64.b64decode(frame["data"]) for frame in frames) == content
    for frame in frames:
        assert (frame["transfer_id"], frame["file"]) == (str(offer.id), 0)
        digest = hashlib.sha256(base64.b64decode(frame["data"])).hexdigest()
        assert frame["sha256"] == digest


def _is_chunk(index: int, frame: Json) -> bool:
    return bool(frame["type"] == "file_chunk" and frame["index"] == index)


async def test_a_chunk_in_json_is_as_good_as_a_binary_one(
    scene: Scene, replica: Replica, ada: User, bob: User
) -> None:
    content = os.urandom(CHUNK)
    offer = scene.service.offer(ada, bob, len(content))
    (chunk,) = chunks_of(offer, content)
    async with talking(replica, ada) as adas, talking(replica, bob) as bobs:
        await bobs.command("transfer_accept", transfer_id=str(offer.id))
        await adas.device.say(
            "file_chunk",
            transfer_id=str(offer.id),
            file=0,
            index=0,
            sha256=chunk.sha256.hex(),
            data=base64.b64encode(content).decode(),
        )
        await bobs.until(lambda: bobs.chunks)
        assert bobs.chunks[0].frame == chunk.frame
        await adas.acked(1)


async def test_commands_are_carried_to_transfer_and_answered(
    scene: Scene, replica: Replica, ada: User
) -> None:
    files = [{"name": "a", "size": 1}]
    async with talking(replica, ada, "phone") as adas:
        reply = await adas.command("file_transfer_start", recipients=[], files=files)
        assert reply["type"] == "reply"
        assert reply["data"]["files"] == files
        refused = await adas.command("transfer_accept", transfer_id=str(uuid7()))
        assert (refused["type"], refused["code"]) == ("error", "not-found")
        invalid = await adas.command("transfer_accept", transfer_id="nobody's")
        assert (invalid["type"], invalid["code"]) == ("error", "invalid")
    kind, device, data = scene.service.commands[0]
    assert (kind, device) == ("file_transfer_start", device_named("phone"))
    assert data == {"recipients": [], "files": files}


async def test_completing_waits_for_what_was_sent_before(
    scene: Scene, replica: Replica, ada: User, bob: User
) -> None:
    offer = scene.service.offer(ada, bob, 4 * CHUNK)
    async with talking(replica, ada) as adas:
        scene.store.gate.clear()
        await adas.send(*chunks_of(offer, os.urandom(4 * CHUNK)))
        await wait_until(lambda: scene.store.puts == 4)
        completing = asyncio.create_task(
            adas.command("transfer_complete", transfer_id=str(offer.id))
        )
        assert (await adas.command("ping"))["type"] == "pong"
        assert scene.service.commands == []
        scene.store.gate.set()
        assert (await completing)["type"] == "reply"
    assert scene.service.stored_when_completed == 4


async def test_events_find_their_way_between_chunks(
    scene: Scene, replica: Replica, world: World, ada: User, bob: User
) -> None:
    channel = world.channel(ada, bob)
    offer = scene.service.offer(ada, bob, 60 * CHUNK)
    chunks = chunks_of(offer, os.urandom(60 * CHUNK))
    async with talking(replica, ada) as adas, talking(replica, bob) as bobs:
        bobs.acknowledge_everything()
        await bobs.command("transfer_accept", transfer_id=str(offer.id))
        for number, chunk in enumerate(chunks):
            await adas.send(chunk)
            if number % 10 == 0:
                await world.say(channel, f"message {number}")
        await bobs.until(lambda: len(bobs.chunks) == 60)
        said = [text["data"]["text"] for text in bobs.texts if text.get("stream") == channel]
    assert said == [f"message {number}" for number in range(0, 60, 10)]
