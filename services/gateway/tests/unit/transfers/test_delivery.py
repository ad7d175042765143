"""Pushing chunks to a receiver: as they are stored, within its window, and no further."""

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import replace
from uuid import UUID

import pytest

from services.gateway.tests.unit.transfers.fakes import (
    CHUNK,
    attachment,
    chunk_of,
)
from services.gateway.tests.unit.transfers.fakes import Scene as Node
from sharezync_gateway.transfers.core.chunks import Chunk, Place, decode_frame
from sharezync_gateway.transfers.socket import delivery as delivery_module
from sharezync_gateway.transfers.socket.delivery import Delivery
from sharezync_shared.contracts.transfer import ParticipationRead
from sharezync_shared.problems import NotFound
from sharezync_shared.ranges import Ranges
from sharezync_testkit.waiting import wait_until

TRANSFER = UUID("01936f0c-2b7e-7d33-8d7a-0c8e3a7c1f10")


class Scene(Node):
    """A receiver on a socket, a store, and the delivery between them."""

    def __init__(self) -> None:
        super().__init__()
        self.finished: list[Delivery] = []
        self.doubts: list[UUID] = []
        self.known: ParticipationRead

    def deliver(self, known: ParticipationRead, *, stall_seconds: float = 10) -> Delivery:
        self.known = known
        self.context.stall_seconds = stall_seconds
        delivery = Delivery(
            self.context,
            self.socket.connection,
            TRANSFER,
            known,
            window_bytes=known.window_bytes,
            on_finished=self.finished.append,
            on_gone=lambda: self.doubts.append(TRANSFER),
        )
        delivery.start()
        return delivery

    async def keep(self, known: ParticipationRead, *places: Place) -> None:
        """Have chunks stored, without telling anybody."""
        for file, index in places:
            shape = known.shapes[file]
            chunk = chunk_of(TRANSFER, file, index, shape.length(index))
            await self.store.put_chunk(shape.upload_id, index, chunk.sha256, chunk.payload)

    @property
    def received(self) -> list[Chunk]:
        return [decode_frame(frame) for frame in self.socket.frames]

    @property
    def places(self) -> list[Place]:
        return [chunk.place for chunk in self.received]


@pytest.fixture
async def scene() -> AsyncGenerator[Scene]:
    scene = Scene()
    yield scene
    await scene.tasks.wind_down(0)


async def test_what_is_stored_already_is_pushed_from_the_store(scene: Scene) -> None:
    known = attachment(250, role="recipient", stored_bytes=250)
    await scene.keep(known, (0, 0), (0, 1), (0, 2))
    delivery = scene.deliver(known)
    await wait_until(lambda: len(scene.places) == 3)
    assert scene.places == [(0, 0), (0, 1), (0, 2)]
    for chunk in scene.received:
        expected = chunk_of(TRANSFER, 0, chunk.index, len(chunk.payload))
        assert chunk.frame == expected.frame
    assert scene.calls.looks == 0, "what transfer knows to be stored needs no asking"
    delivery.confirm(0, Ranges.whole(3), None)
    await wait_until(lambda: scene.finished == [delivery])


async def test_a_chunk_goes_down_as_soon_as_it_is_stored_straight_from_memory(
    scene: Scene,
) -> None:
    known = attachment(500, role="recipient")
    delivery = scene.deliver(known)
    await wait_until(lambda: scene.calls.looks)
    chunk = chunk_of(TRANSFER, 0, 3)
    scene.context.cache.put((known.shapes[0].upload_id, 3), chunk.frame)
    delivery.announce((0, 3))
    await wait_until(lambda: scene.places == [(0, 3)])
    assert scene.socket.frames == [chunk.frame]
    assert scene.store.gets == 0


async def test_a_lost_notice_is_made_good_by_looking(scene: Scene) -> None:
    known = attachment(100, role="recipient")
    scene.deliver(known)
    await wait_until(lambda: scene.calls.looks)
    await scene.keep(known, (0, 0))
    await wait_until(lambda: scene.places == [(0, 0)])


async def test_as_long_as_notices_come_storage_is_not_asked(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(delivery_module, "LOOK_SECONDS", (1.0,))
    known = attachment(*[100] * 60, role="recipient", window_bytes=100 * CHUNK)
    delivery = scene.deliver(known)
    await wait_until(lambda: scene.calls.looks == 60)
    for file in range(50):
        await scene.keep(known, (file, 0))
        delivery.announce((file, 0))
        await asyncio.sleep(0.04)  # two seconds in all: without notices there would be two looks
    assert len(scene.places) == 50
    assert scene.calls.looks == 60


async def test_a_notice_lost_among_others_is_made_good_in_the_end(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(delivery_module, "LOOK_SECONDS", (60.0,))
    monkeypatch.setattr(delivery_module, "_LATEST_LOOK_SECONDS", 0.2)
    known = attachment(100, 100, 100, role="recipient")
    delivery = scene.deliver(known)
    await wait_until(lambda: scene.calls.looks == 3)
    await scene.keep(known, (0, 0), (1, 0))
    delivery.announce((1, 0))
    await wait_until(lambda: set(scene.places) == {(0, 0), (1, 0)})


async def test_at_the_beginning_every_file_is_looked_at(scene: Scene) -> None:
    known = attachment(*[100] * 30, role="recipient", window_bytes=100 * CHUNK)
    await scene.keep(known, (29, 0), (11, 0))
    scene.deliver(known)
    await wait_until(lambda: scene.places == [(11, 0), (29, 0)])
    assert scene.calls.looks == 30


async def test_what_the_receiver_holds_is_not_pushed(scene: Scene) -> None:
    known = attachment(500, role="recipient", stored_bytes=500, received={0: [(0, 2)]})
    await scene.keep(known, *((0, index) for index in range(5)))
    scene.deliver(known)
    await wait_until(lambda: len(scene.places) == 2)
    assert scene.places == [(0, 3), (0, 4)]


async def test_no_more_than_the_window_is_pushed_unacknowledged(scene: Scene) -> None:
    known = attachment(2000, role="recipient", stored_bytes=2000, window_bytes=3 * CHUNK)
    await scene.keep(known, *((0, index) for index in range(20)))
    delivery = scene.deliver(known)
    await wait_until(lambda: len(scene.places) == 3)
    assert scene.store.gets == 3
    delivery.confirm(0, Ranges.whole(2), None)
    await wait_until(lambda: len(scene.places) == 5)
    delivery.confirm(0, Ranges.whole(3), 10 * CHUNK)
    await wait_until(lambda: len(scene.places) == 13)
    delivery.confirm(0, Ranges.whole(13), 0)
    await wait_until(lambda: len(scene.places) == 14)


async def test_a_slow_socket_holds_a_few_chunks_and_no_more(scene: Scene) -> None:
    known = attachment(5000, role="recipient", stored_bytes=5000, window_bytes=50 * CHUNK)
    await scene.keep(known, *((0, index) for index in range(50)))
    scene.socket.writable.clear()
    scene.deliver(known)
    await wait_until(lambda: scene.store.gets)
    await asyncio.sleep(0.05)
    assert scene.store.gets <= 3
    scene.socket.writable.set()
    await wait_until(lambda: len(scene.places) == 50)


@pytest.mark.parametrize("how", ["does not acknowledge", "does not read"])
async def test_a_receiver_that_stalls_is_pushed_to_no_more_until_it_acknowledges(
    scene: Scene, how: str
) -> None:
    known = attachment(1000, role="recipient", stored_bytes=1000, window_bytes=2 * CHUNK)
    await scene.keep(known, *((0, index) for index in range(10)))
    if how == "does not read":
        scene.socket.writable.clear()
        scene.socket.buffered_bytes = 5000
    delivery = scene.deliver(known, stall_seconds=0.05)
    await wait_until(lambda: delivery.stalled)
    (error,) = scene.socket.said("error")
    assert (error["code"], error["retryable"]) == ("receiver-stalled", True)
    assert error["transfer_id"] == str(TRANSFER)
    assert scene.finished == []
    await wait_until(lambda: not len(scene.tasks))
    pushed = len(scene.places)
    scene.socket.writable.set()
    delivery.confirm(0, Ranges([(0, 1)]), 100 * CHUNK)
    await wait_until(lambda: len(scene.places) >= pushed + 8)
    assert set(scene.places) >= {(0, index) for index in range(2, 10)}


async def test_a_socket_that_drains_slowly_has_not_stalled(scene: Scene) -> None:
    known = attachment(100, role="recipient", stored_bytes=100)
    await scene.keep(known, (0, 0))
    scene.socket.writable.clear()
    scene.socket.buffered_bytes = 1000
    delivery = scene.deliver(known, stall_seconds=0.05)
    for _ in range(6):
        await asyncio.sleep(0.03)
        scene.socket.buffered_bytes -= 100
    assert not delivery.stalled
    scene.socket.writable.set()
    await wait_until(lambda: scene.places == [(0, 0)])


async def test_who_had_nothing_to_acknowledge_for_long_has_not_stalled(scene: Scene) -> None:
    known = attachment(1000, role="recipient", window_bytes=2 * CHUNK)
    delivery = scene.deliver(known, stall_seconds=0.2)
    await asyncio.sleep(0.3)
    await scene.keep(known, *((0, index) for index in range(10)))
    for index in range(10):
        delivery.announce((0, index))
    await wait_until(lambda: len(scene.places) == 2)
    assert not delivery.stalled


async def test_a_store_that_is_away_is_asked_again(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sharezync_gateway.transfers.socket.delivery.AWAY_SECONDS", 0.01)
    known = attachment(200, role="recipient", stored_bytes=200)
    await scene.keep(known, (0, 0), (0, 1))
    scene.store.away = 3
    scene.deliver(known)
    await wait_until(lambda: sorted(scene.places) == [(0, 0), (0, 1)])


async def test_a_chunk_that_is_not_there_after_all_is_looked_for_again(scene: Scene) -> None:
    known = attachment(200, role="recipient", stored_bytes=200)
    await scene.keep(known, (0, 1))
    scene.deliver(known)
    await wait_until(lambda: scene.places == [(0, 1)])
    await scene.keep(known, (0, 0))
    await wait_until(lambda: scene.places == [(0, 1), (0, 0)])


async def test_nothing_goes_on_when_the_socket_is_gone(scene: Scene) -> None:
    known = attachment(1000, role="recipient", stored_bytes=1000)
    await scene.keep(known, *((0, index) for index in range(10)))
    scene.socket.writable.clear()
    delivery = scene.deliver(known)
    await wait_until(lambda: scene.store.gets)
    scene.socket.closed = True
    delivery.stop()
    await wait_until(lambda: not len(scene.tasks))
    assert scene.socket.frames == []
    delivery.announce((0, 5))
    delivery.confirm(0, Ranges.whole(1), None)
    delivery.start()
    assert not len(scene.tasks)


async def test_a_receiver_that_holds_everything_is_done_at_once(scene: Scene) -> None:
    known = attachment(100, 0, role="recipient", received={0: [(0, 0)], 1: []})
    delivery = scene.deliver(known)
    await wait_until(lambda: scene.finished == [delivery])
    assert scene.calls.looks == 0


async def test_files_that_were_not_accepted_are_not_pushed(scene: Scene) -> None:
    known = attachment(100, 100, role="recipient", stored_bytes=100)
    known.files[0] = replace(known.files[0], accepted=False)
    await scene.keep(known, (1, 0))
    scene.deliver(known)
    await wait_until(lambda: scene.places == [(1, 0)])


async def test_an_upload_that_storage_gave_up_raises_doubts(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def gone(_: UUID) -> Ranges:
        raise NotFound

    monkeypatch.setattr(scene.calls, "stored", gone)
    scene.deliver(attachment(100, role="recipient"))
    await wait_until(lambda: scene.doubts)


async def test_memory_is_asked_for_only_what_is_sent_within_the_next_window(scene: Scene) -> None:
    known = attachment(1000, role="recipient", window_bytes=2 * CHUNK)
    await scene.keep(known, *((0, index) for index in range(10)))
    delivery = scene.deliver(known)
    await wait_until(lambda: scene.calls.looks)
    await wait_until(lambda: len(scene.places) == 2)  # and there is no credit for a third
    assert not delivery.takes_fresh((0, 9))
    delivery.confirm(0, Ranges.whole(10), None)
    assert delivery.takes_fresh((0, 9))
