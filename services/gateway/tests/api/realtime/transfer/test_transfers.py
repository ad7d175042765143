"""Files from one socket to another: cut-through, acknowledged, in windows, without leftovers."""

import asyncio
import base64
import gc
import json
import os
from collections.abc import Sequence

import pytest
from websockets.asyncio.client import ClientConnection

from services.gateway.tests.api.realtime.transfer.scene import (
    CHUNK,
    Replica,
    Scene,
    chunks_of,
    talking,
)
from services.gateway.tests.api.realtime.world import User, World
from sharezync_gateway.realtime import Connection
from sharezync_gateway.realtime.transfer.chunks import Chunk, make_chunk
from sharezync_gateway.realtime.transfer.delivery import Delivery
from sharezync_gateway.realtime.transfer.following import Following
from sharezync_gateway.realtime.transfer.intake import Intake
from sharezync_shared.ids import uuid7
from sharezync_shared.testing.serving import wait_until


def content_of(chunks: Sequence[Chunk]) -> bytes:
    ordered = sorted(chunks, key=lambda chunk: chunk.index)
    return b"".join(bytes(chunk.payload) for chunk in ordered)


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
        await wait_until(lambda: offer.received.get(0) and offer.received[0].through == 41)
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
    assert (kind, device) == ("file_transfer_start", "device-phone")
    assert data == {"recipients": [], "files": files}


async def test_a_corrupt_chunk_is_refused_and_only_that_one(
    scene: Scene, replica: Replica, ada: User, bob: User
) -> None:
    content = os.urandom(2 * CHUNK)
    offer = scene.service.offer(ada, bob, len(content))
    first, second = chunks_of(offer, content)
    async with talking(replica, ada) as adas:
        await adas.send(make_chunk(offer.id, 0, 0, bytes(CHUNK), first.sha256))
        error = await adas.error()
        assert (error["code"], error["file"], error["index"]) == ("chunk-corrupt", 0, 0)
        assert error["transfer_id"] == str(offer.id)
        await adas.send(second, first)
        await adas.acked(2)


async def test_strangers_can_neither_feed_nor_follow_a_transfer(
    scene: Scene, replica: Replica, world: World, ada: User, bob: User
) -> None:
    offer = scene.service.offer(ada, bob, CHUNK)
    (chunk,) = chunks_of(offer, bytes(CHUNK))
    async with talking(replica, world.user()) as spies:
        await spies.send(chunk)
        error = await spies.error()
        assert (error["code"], error["file"], error["index"]) == ("not-found", 0, 0)
        for command in ("transfer_accept", "transfer_resume"):
            refused = await spies.command(command, transfer_id=str(offer.id))
            assert refused["code"] == "not-found"
        refused = await spies.command("chunk_ack", transfer_id=str(offer.id), file=0, through=1)
        assert refused["code"] == "not-found"
    assert scene.store.chunks == {}


async def test_a_recipient_can_not_feed_a_transfer_nor_a_sender_acknowledge_it(
    scene: Scene, replica: Replica, ada: User, bob: User
) -> None:
    offer = scene.service.offer(ada, bob, CHUNK)
    async with talking(replica, ada) as adas, talking(replica, bob) as bobs:
        await bobs.send(*chunks_of(offer, bytes(CHUNK)))
        assert (await bobs.error())["code"] == "forbidden"
        refused = await adas.command("chunk_ack", transfer_id=str(offer.id), file=0, through=1)
        assert refused["code"] == "forbidden"


@pytest.mark.parametrize(
    ("frame", "code"),
    [
        (b"", "chunk-header"),
        (b"\x01\x01" + bytes(30), "chunk-header"),
        (b"\x02\x01" + bytes(62), "chunk-version"),
        (b"\x01\x07" + bytes(62), "chunk-kind"),
        (b"\x01\x01" + bytes(62) + b"more", "chunk-length"),
    ],
)
async def test_a_frame_that_lies_is_named_and_the_socket_lives(
    replica: Replica, ada: User, frame: bytes, code: str
) -> None:
    async with talking(replica, ada) as adas:
        await adas.device.socket.send(frame)
        assert (await adas.error())["code"] == code
        assert (await adas.command("ping"))["type"] == "pong"


@pytest.mark.parametrize("ack", [{"through": 9}, {"indexes": [5]}, {"file": 3}, {"through": -1}])
async def test_an_acknowledgement_of_what_is_not_there_is_refused(
    scene: Scene, replica: Replica, ada: User, bob: User, ack: dict[str, object]
) -> None:
    offer = scene.service.offer(ada, bob, 5 * CHUNK)
    async with talking(replica, bob) as bobs:
        await bobs.command("transfer_accept", transfer_id=str(offer.id))
        said = {"transfer_id": str(offer.id), "file": 0, **ack}
        refused = await bobs.command("chunk_ack", **said)
        assert refused["code"] in {"chunk-outside", "invalid"}
    assert offer.received == {}


async def test_who_sends_beyond_the_window_is_told_so(
    scene: Scene, replica: Replica, ada: User, bob: User
) -> None:
    scene.service.window_bytes = 3 * CHUNK
    offer = scene.service.offer(ada, bob, 6 * CHUNK)
    chunks = chunks_of(offer, os.urandom(6 * CHUNK))
    async with talking(replica, ada) as adas:
        scene.store.gate.clear()
        await adas.send(*chunks)
        error = await adas.error()
        assert (error["code"], error["index"], error["retryable"]) == ("window-exceeded", 3, True)
        await asyncio.sleep(0.05)
        assert scene.store.puts == 3, "the rest is not even read"
        scene.store.gate.set()
        await adas.text(lambda t: t["type"] == "chunk_ack" and 5 in t.get("indexes", ()))
        await adas.send(chunks[3])
        await adas.acked(6)


async def test_a_pause_stops_the_flow_and_a_resume_goes_on(
    scene: Scene, replica: Replica, ada: User, bob: User
) -> None:
    content = os.urandom(8 * CHUNK)
    offer = scene.service.offer(ada, bob, len(content))
    chunks = chunks_of(offer, content)
    async with talking(replica, ada) as adas, talking(replica, bob) as bobs:
        bobs.acknowledge_everything()
        await bobs.command("transfer_accept", transfer_id=str(offer.id))
        await adas.send(*chunks[:2])
        await bobs.until(lambda: len(bobs.chunks) == 2)
        await wait_until(lambda: offer.received.get(0) and offer.received[0].count == 2)
        await adas.command("transfer_pause", transfer_id=str(offer.id))
        await adas.send(*chunks[2:])
        await adas.acked(8)
        await asyncio.sleep(0.05)
        assert len(bobs.chunks) == 2
        await adas.command("transfer_resume", transfer_id=str(offer.id))
        await bobs.until(lambda: len(bobs.chunks) == 8)
    assert content_of(bobs.chunks) == content


async def test_a_resume_that_nobody_told_of_is_found_out(
    scene: Scene, ada: User, bob: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Following.look_at_resting, "__defaults__", (0.05,))
    offer = scene.service.offer(ada, bob, CHUNK)
    async with (
        scene.replica() as replica,
        talking(replica, ada) as adas,
        talking(replica, bob) as bobs,
    ):
        await bobs.command("transfer_accept", transfer_id=str(offer.id))
        await scene.service.change(offer, "paused")
        await adas.send(*chunks_of(offer, bytes(CHUNK)))
        await adas.acked(1)
        assert bobs.chunks == []
        offer.state = "accepted"  # and the broker was away when it was told
        await bobs.until(lambda: bobs.chunks)


async def test_when_transfer_is_away_for_long_the_receiver_is_told(
    scene: Scene, replica: Replica, ada: User, bob: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sharezync_gateway.realtime.transfer.following._PAUSES_SECONDS", (0, 0))
    offer = scene.service.offer(ada, bob, CHUNK)
    async with talking(replica, ada) as adas, talking(replica, bob) as bobs:
        await adas.send(*chunks_of(offer, bytes(CHUNK)))
        await adas.acked(1)
        scene.service.away = True
        await bobs.command("transfer_accept", transfer_id=str(offer.id))
        error = await bobs.error()
        assert (error["code"], error["transfer_id"]) == ("unavailable", str(offer.id))
        scene.service.away = False
        await bobs.command("transfer_resume", transfer_id=str(offer.id))
        await bobs.until(lambda: bobs.chunks)


async def test_who_resumes_gets_only_what_is_not_there(
    scene: Scene, replica: Replica, ada: User, bob: User
) -> None:
    content = os.urandom(6 * CHUNK)
    offer = scene.service.offer(ada, bob, len(content))
    async with talking(replica, ada) as adas:
        await adas.send(*chunks_of(offer, content))
        await adas.acked(6)
    offer.state = "accepted"
    async with talking(replica, bob, "another") as bobs:
        have = {"0": [[0, 1], [4, 4]]}
        await bobs.command("transfer_resume", transfer_id=str(offer.id), have=have)
        await bobs.until(lambda: len(bobs.chunks) == 3)
        assert [chunk.index for chunk in bobs.chunks] == [2, 3, 5]


@pytest.mark.parametrize("end", ["cancelled", "failed", "expired"])
async def test_what_is_over_goes_nowhere(
    scene: Scene, replica: Replica, ada: User, bob: User, end: str
) -> None:
    offer = scene.service.offer(ada, bob, 4 * CHUNK)
    chunks = chunks_of(offer, os.urandom(4 * CHUNK))
    async with talking(replica, ada) as adas, talking(replica, bob) as bobs:
        await bobs.command("transfer_accept", transfer_id=str(offer.id))
        await adas.send(chunks[0])
        await bobs.until(lambda: len(bobs.chunks) == 1)
        await scene.service.change(offer, end)
        await adas.send(chunks[1])
        error = await adas.error()
        assert (error["code"], error["index"]) == ("transfer-over", 1)
        assert (await bobs.command("ping"))["type"] == "pong"
        assert len(bobs.chunks) == 1


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


async def test_a_receiver_that_does_not_read_costs_little_and_can_come_back(
    scene: Scene, ada: User, bob: User
) -> None:
    size = 400 * CHUNK  # 25 MiB: more than all buffers on the way
    offer = scene.service.offer(ada, bob, size)
    scene.service.window_bytes = 32 * 1024 * 1024
    chunks = chunks_of(offer, os.urandom(size))
    async with scene.replica(stall_seconds=0.3) as replica, talking(replica, ada) as adas:
        bobs = replica.node.device(bob, max_size=4 * 1024 * 1024, max_queue=1)
        async with bobs:
            await bobs.say("transfer_accept", transfer_id=str(offer.id))
            await wait_until(lambda: offer.state == "accepted")
            await adas.send(*chunks)
            await adas.acked(400)
            await wait_until(lambda: replica.count("sharezync_ws_deliveries_stalled_total"))
            (connection,) = replica.node.engine.of_user(bob.id)
            assert connection.buffered_bytes < 2 * 1024 * 1024
            transport = _transport_of(bobs.socket)
            transport.abort()
        async with talking(replica, bob, "again") as again:
            again.acknowledge_everything()
            await again.command("transfer_resume", transfer_id=str(offer.id), have={})
            await again.until(lambda: len(again.chunks) == 400)


def _transport_of(socket: ClientConnection) -> asyncio.Transport:
    transport = socket.transport
    assert isinstance(transport, asyncio.Transport)
    return transport


async def test_nothing_is_left_of_sockets_that_leave_in_the_middle(
    scene: Scene, replica: Replica, ada: User, bob: User
) -> None:
    offer = scene.service.offer(ada, bob, 50 * CHUNK)
    chunks = chunks_of(offer, os.urandom(50 * CHUNK))
    async with talking(replica, ada) as adas, talking(replica, bob) as bobs:
        await bobs.command("transfer_accept", transfer_id=str(offer.id))
        await adas.send(*chunks[:10])
        await bobs.until(lambda: bobs.chunks)
        scene.store.gate.clear()
        await adas.send(*chunks[10:20])
        await wait_until(lambda: scene.store.puts == 20)
        _transport_of(adas.device.socket).abort()
        _transport_of(bobs.device.socket).abort()
    transfers = replica.transfers
    await wait_until(lambda: not transfers._ends)
    scene.store.gate.set()
    await wait_until(lambda: len(transfers._crew) == 1)  # that which looks at what rests
    assert len(scene.store.chunks) == 20, "what was taken is stored all the same"
    assert transfers._directory._by_transfer == {}
    assert transfers._gate.inside_bytes == 0
    await wait_until(lambda: not replica.node.served.server.server_state.tasks)
    gc.collect()
    left = [
        thing for thing in gc.get_objects() if isinstance(thing, Connection | Delivery | Intake)
    ]
    assert left == []


async def test_a_socket_for_one_channel_moves_no_files(
    scene: Scene, replica: Replica, world: World, ada: User, bob: User
) -> None:
    offer = scene.service.offer(ada, bob, CHUNK)
    channel = world.channel(ada)
    async with replica.node.on_channel(ada, channel) as device:
        await device.socket.send(chunks_of(offer, bytes(CHUNK))[0].frame)
        assert (await device.frame("error"))["code"] == "not-found"
        frame_id = await device.say("transfer_cancel", transfer_id=str(offer.id))
        refused = await device.frame("error")
        assert (refused["id"], refused["code"]) == (frame_id, "not-found")
    assert scene.store.chunks == {}


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


async def test_one_socket_deals_with_only_so_many_transfers(
    scene: Scene, replica: Replica, ada: User, bob: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sharezync_gateway.realtime.transfer.ends.MOST_TRANSFERS", 2)
    offers = [scene.service.offer(ada, bob, CHUNK) for _ in range(4)]
    async with talking(replica, ada) as adas:
        for offer in offers[:2]:
            await adas.send(*chunks_of(offer, bytes(CHUNK)))
        await wait_until(lambda: len(scene.store.chunks) == 2)
        # What is at rest makes room.
        scene.store.gate.clear()
        for offer in offers[2:]:
            await adas.send(*chunks_of(offer, bytes(CHUNK)))
        await wait_until(lambda: scene.store.puts == 4)
        await adas.send(*chunks_of(offers[0], bytes(CHUNK)))
        assert (await adas.error())["code"] == "rate-limited"
        scene.store.gate.set()


async def test_what_is_no_json_chunk_is_refused(replica: Replica, ada: User) -> None:
    async with talking(replica, ada) as adas:
        await adas.device.socket.send(json.dumps({"type": "file_chunk", "id": 5, "data": 3}))
        error = await adas.error()
        assert error["code"] == "invalid"
