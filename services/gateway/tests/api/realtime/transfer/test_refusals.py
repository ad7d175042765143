"""What is refused of chunks and commands, and that the socket lives on."""

import asyncio
import json
import os

import pytest

from services.gateway.tests.api.realtime.transfer.scene import (
    CHUNK,
    Replica,
    Scene,
    chunks_of,
    talking,
)
from services.gateway.tests.api.realtime.world import User, World
from services.gateway.tests.unit.transfers.fakes import encode_json, make_chunk
from sharezync_gateway.realtime import Connection, budget
from sharezync_shared.ids import uuid7
from sharezync_testkit.waiting import wait_until


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
        refused = await spies.command("chunk_ack", transfer_id=str(offer.id), file=0, next=1)
        assert refused["code"] == "not-found"
    assert scene.store.chunks == {}


async def test_transfers_are_asked_about_and_offered_one_by_one(
    scene: Scene, replica: Replica, ada: User, bob: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(budget, "_LONGEST_TURN_SECONDS", 60)
    offer = scene.service.offer(ada, bob, CHUNK)
    (chunk,) = chunks_of(offer, bytes(CHUNK))
    start = {"files": [{"name": "a", "size": 1}], "recipients": [{"user_id": bob.id}]}
    async with talking(replica, ada, "a") as a, talking(replica, ada, "b") as b:
        (connection, _) = replica.node.engine.of_user(ada.id)
        async with connection.costly():  # as if something that costs much went on
            await a.send(chunk)
            await b.device.say("file_transfer_start", **start)
            await b.device.say("ping")
            await b.text(lambda text: text["type"] == "pong")
            assert not scene.service.asked
            assert not scene.service.commands
        await a.acked(1)
        await wait_until(lambda: bool(scene.service.commands))


async def test_chunks_are_paid_for_by_what_they_cost(
    scene: Scene, replica: Replica, ada: User, bob: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A chunk in JSON by its length; one of a transfer that has to be asked about, for asking."""
    paid: list[float] = []

    async def slow_down(self: Connection, frames: float) -> None:
        paid.append(frames)

    monkeypatch.setattr(Connection, "slow_down", slow_down)
    offer = scene.service.offer(ada, bob, 2 * CHUNK)
    async with talking(replica, ada) as adas:
        for chunk in chunks_of(offer, bytes(2 * CHUNK)):
            await adas.send(chunk)
        await adas.acked(2)
        assert paid == [1, 20, 1]
        del paid[:]
        for size in (3, 750_000):
            chunk = make_chunk(uuid7(), 0, 0, bytes(size), bytes(32))
            await adas.device.socket.send(encode_json(chunk).decode())
        await wait_until(lambda: len(paid) == 4)
        assert paid == [1, 20, 1 + 15, 20]
        assert (await adas.error())["code"] == "not-found"


async def test_a_recipient_can_not_feed_a_transfer_nor_a_sender_acknowledge_it(
    scene: Scene, replica: Replica, ada: User, bob: User
) -> None:
    offer = scene.service.offer(ada, bob, CHUNK)
    async with talking(replica, ada) as adas, talking(replica, bob) as bobs:
        await bobs.send(*chunks_of(offer, bytes(CHUNK)))
        assert (await bobs.error())["code"] == "forbidden"
        refused = await adas.command("chunk_ack", transfer_id=str(offer.id), file=0, next=1)
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


@pytest.mark.parametrize("ack", [{"next": 9}, {"indexes": [5]}, {"file": 3}, {"next": -1}])
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


async def test_one_socket_deals_with_only_so_many_transfers(
    scene: Scene, replica: Replica, ada: User, bob: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sharezync_gateway.transfers.socket.sessions.MOST_TRANSFERS", 2)
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


async def test_who_is_pushed_too_many_transfers_is_told_which_has_to_wait(
    scene: Scene, replica: Replica, ada: User, bob: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sharezync_gateway.transfers.socket.sessions.MOST_TRANSFERS", 2)
    offers = [scene.service.offer(ada, bob, CHUNK) for _ in range(3)]
    async with talking(replica, bob) as bobs:
        for offer in offers:
            await bobs.command("transfer_accept", transfer_id=str(offer.id))
        error = await bobs.error()
        assert (error["code"], error["retryable"]) == ("rate-limited", True)
        assert error["transfer_id"] == str(offers[2].id)
        async with talking(replica, ada) as adas:
            for offer in offers:
                await adas.send(*chunks_of(offer, bytes(CHUNK)))
            await bobs.until(lambda: len(bobs.chunks) == 2)
            await wait_until(lambda: len(scene.store.chunks) == 3)
        assert {chunk.transfer_id for chunk in bobs.chunks} == {each.id for each in offers[:2]}


async def test_what_is_no_json_chunk_is_refused(replica: Replica, ada: User) -> None:
    async with talking(replica, ada) as adas:
        await adas.device.socket.send(json.dumps({"type": "file_chunk", "id": 5, "data": 3}))
        error = await adas.error()
        assert error["code"] == "invalid"
