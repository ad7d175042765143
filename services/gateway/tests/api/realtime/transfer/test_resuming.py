"""Flows that stop and go on: paused, resumed, out of sight, cut off."""

import asyncio
import gc
import os

import pytest
from websockets.asyncio.client import ClientConnection

from services.gateway.tests.api.realtime.transfer.scene import (
    CHUNK,
    Replica,
    Scene,
    chunks_of,
    content_of,
    talking,
)
from services.gateway.tests.api.realtime.world import User
from sharezync_gateway.realtime import Connection
from sharezync_gateway.transfers.socket.chunk_receiver import ChunkReceiver
from sharezync_gateway.transfers.socket.delivery import Delivery
from sharezync_gateway.transfers.socket.socket_transfers import SocketTransfers
from sharezync_testkit.waiting import wait_until


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
    monkeypatch.setattr(SocketTransfers._refresh_paused, "__defaults__", (0.05,))
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
    monkeypatch.setattr("sharezync_gateway.transfers.socket.sessions._PAUSES_SECONDS", (0, 0))
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
    context = replica.context
    await wait_until(lambda: not replica.transfers._sessions)
    scene.store.gate.set()
    await wait_until(lambda: len(context.tasks) == 1)  # that which looks at what is paused
    assert len(scene.store.chunks) == 20, "what was taken is stored all the same"
    assert not len(context.listeners)
    assert context.node_bytes.inside_bytes == 0
    await wait_until(lambda: not replica.node.served.server.server_state.tasks)
    gc.collect()
    left = [
        thing
        for thing in gc.get_objects()
        if isinstance(thing, Connection | Delivery | ChunkReceiver)
    ]
    assert left == []
