"""Taking chunks from a sender: stored before acknowledged, within the window, one by one."""

import asyncio
from collections.abc import AsyncGenerator
from uuid import UUID

import pytest

from services.gateway.tests.unit.transfers.fakes import (
    CHUNK,
    attachment,
    chunk_of,
    make_chunk,
)
from services.gateway.tests.unit.transfers.fakes import Scene as Node
from sharezync_gateway.transfers.core.calls import Caller
from sharezync_gateway.transfers.core.chunks import Chunk, Place
from sharezync_gateway.transfers.core.memory import ByteSemaphore
from sharezync_gateway.transfers.core.notices import TransferListener
from sharezync_gateway.transfers.socket.chunk_receiver import ChunkReceiver
from sharezync_shared.contracts.transfer import ParticipationRead
from sharezync_testkit.waiting import GIVE_UP_SECONDS, wait_until

TRANSFER = UUID("01936f0c-2b7e-7d33-8d7a-0c8e3a7c1f10")


class Listener(TransferListener):
    """Hears of what is stored of the transfer."""

    def __init__(self) -> None:
        self.stored: list[Place] = []

    def chunk_stored(self, place: Place) -> None:
        self.stored.append(place)


class Scene(Node):
    """A sender on a socket, a store, and the receiver between them."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = ByteSemaphore(1000 * CHUNK)
        self.listener = Listener()
        self.context.listeners.add(TRANSFER, self.listener)

    def intake(self, known: ParticipationRead) -> ChunkReceiver:
        return ChunkReceiver(
            self.context,
            self.socket.connection,
            TRANSFER,
            known,
            self.context.reporter(TRANSFER, Caller("ada")),
            semaphores=(self.gate,),
        )

    @property
    def stored(self) -> list[Place]:
        return self.listener.stored

    @property
    def errors(self) -> list[tuple[str, int, int]]:
        return [(e["code"], e["file"], e["index"]) for e in self.socket.said("error")]


@pytest.fixture
async def scene() -> AsyncGenerator[Scene]:
    scene = Scene()
    yield scene
    await scene.tasks.wind_down(1)


async def test_a_chunk_is_stored_then_announced_reported_and_acknowledged(scene: Scene) -> None:
    known = attachment(250)
    intake = scene.intake(known)
    scene.store.gate.clear()
    await intake.receive(chunk_of(TRANSFER, 0, 0))
    await asyncio.sleep(0.02)
    assert (scene.socket.texts, scene.stored, scene.calls.reports) == ([], [], [])
    scene.store.gate.set()
    await wait_until(lambda: scene.socket.texts)
    assert scene.socket.texts == [
        {
            "type": "chunk_ack",
            "transfer_id": str(TRANSFER),
            "file": 0,
            "next": 1,
            "window": known.window_bytes,
        }
    ]
    assert scene.stored == [(0, 0)]
    assert (
        scene.store.chunks[known.shapes[0].upload_id, 0].payload == chunk_of(TRANSFER, 0, 0).payload
    )
    await wait_until(lambda: scene.calls.reports)
    assert scene.calls.reports[0][1:] == ({0: 100}, {})


async def test_several_chunks_are_stored_at_once(scene: Scene) -> None:
    intake = scene.intake(attachment(400, window_bytes=4 * CHUNK))
    scene.store.gate.clear()
    for index in (3, 1, 0, 2):
        await intake.receive(chunk_of(TRANSFER, 0, index))
    await wait_until(lambda: scene.store.puts == 4)
    scene.store.gate.set()
    await intake.settled()
    await wait_until(lambda: scene.socket.said("chunk_ack"))
    assert scene.socket.said("chunk_ack")[-1]["next"] == 4


async def test_a_corrupt_chunk_is_refused_and_only_that_one(scene: Scene) -> None:
    intake = scene.intake(attachment(200))
    good = chunk_of(TRANSFER, 0, 1)
    bad = make_chunk(TRANSFER, 0, 0, bytes(CHUNK), good.sha256)
    await intake.receive(bad)
    await intake.receive(good)
    await wait_until(lambda: scene.socket.said("chunk_ack") and scene.errors)
    assert scene.errors == [("chunk-corrupt", 0, 0)]
    ack = scene.socket.said("chunk_ack")[-1]
    assert (ack["next"], ack["indexes"]) == (0, [1])
    await intake.receive(chunk_of(TRANSFER, 0, 0))
    await wait_until(lambda: scene.socket.said("chunk_ack")[-1]["next"] == 2)


async def test_who_goes_beyond_the_window_is_refused_and_read_no_further(scene: Scene) -> None:
    intake = scene.intake(attachment(1000, window_bytes=2 * CHUNK))
    scene.store.gate.clear()
    await intake.receive(chunk_of(TRANSFER, 0, 0))
    await intake.receive(chunk_of(TRANSFER, 0, 1))
    beyond = asyncio.create_task(intake.receive(chunk_of(TRANSFER, 0, 2)))
    await wait_until(lambda: scene.errors or beyond.done() or scene.store.most_bytes > 2 * CHUNK)
    assert scene.errors == [("window-exceeded", 0, 2)]
    assert scene.socket.said("error")[0]["retryable"]
    await asyncio.sleep(0.02)
    assert not beyond.done(), "nothing more is read until there is room"
    scene.store.gate.set()
    await beyond
    await intake.receive(chunk_of(TRANSFER, 0, 2))
    await wait_until(lambda: scene.socket.said("chunk_ack")[-1]["next"] == 3)
    assert scene.store.most_bytes == 2 * CHUNK


async def test_a_full_node_makes_senders_wait(scene: Scene) -> None:
    scene.gate.capacity_bytes = CHUNK
    intake = scene.intake(attachment(400, window_bytes=4 * CHUNK))
    scene.store.gate.clear()
    await intake.receive(chunk_of(TRANSFER, 0, 0))
    waiting = asyncio.create_task(intake.receive(chunk_of(TRANSFER, 0, 1)))
    await asyncio.sleep(0.02)
    assert not waiting.done()
    scene.store.gate.set()
    await waiting
    await intake.settled()
    assert scene.store.most_bytes == CHUNK
    assert scene.gate.inside_bytes == 0


@pytest.mark.parametrize(
    ("chunk", "code"),
    [
        (chunk_of(TRANSFER, 0, 3), "chunk-outside"),
        (chunk_of(TRANSFER, 1, 0), "chunk-outside"),
        (chunk_of(TRANSFER, 0, 0, 99), "chunk-length"),
        (chunk_of(TRANSFER, 0, 2, 100), "chunk-length"),
    ],
)
async def test_what_can_not_be_right_is_refused_without_asking_storage(
    scene: Scene, chunk: Chunk, code: str
) -> None:
    intake = scene.intake(attachment(250))
    await intake.receive(chunk)
    assert [error[0] for error in scene.errors] == [code]
    assert scene.store.puts == 0


async def test_who_goes_on_with_what_can_not_be_right_is_told_no_more(scene: Scene) -> None:
    scene.socket.most_admitted = 3
    intake = scene.intake(attachment(250))
    for _ in range(10):
        await intake.receive(chunk_of(TRANSFER, 0, 3))
    assert [error[0] for error in scene.errors] == ["chunk-outside"] * 3
    intake.participation = attachment(250, state="cancelled")
    await intake.receive(chunk_of(TRANSFER, 0, 0))  # a sender may not know it yet: never a flood
    assert scene.errors[3:] == [("transfer-over", 0, 0)]


@pytest.mark.parametrize(
    ("role", "state", "code"),
    [("recipient", "accepted", "forbidden"), ("sender", "cancelled", "transfer-over")],
)
async def test_who_may_not_send_is_refused(scene: Scene, role: str, state: str, code: str) -> None:
    intake = scene.intake(attachment(250, role=role, state=state))
    await intake.receive(chunk_of(TRANSFER, 0, 0))
    assert scene.errors == [(code, 0, 0)]
    assert scene.store.puts == 0


async def test_storage_that_is_away_for_a_moment_is_tried_again(scene: Scene) -> None:
    intake = scene.intake(attachment(100))
    scene.store.away = 1
    await intake.receive(chunk_of(TRANSFER, 0, 0))
    await wait_until(lambda: scene.socket.said("chunk_ack"))
    assert scene.errors == []


async def test_storage_that_stays_away_is_told_to_the_sender(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sharezync_gateway.transfers.context._PAUSES_SECONDS", (0.0, 0.0))
    intake = scene.intake(attachment(100))
    scene.store.away = 3
    await intake.receive(chunk_of(TRANSFER, 0, 0))
    await wait_until(lambda: scene.errors)
    assert scene.errors == [("unavailable", 0, 0)]
    assert scene.socket.said("error")[0]["retryable"]
    assert not intake.busy


async def test_a_chunk_that_was_taken_is_stored_though_its_sender_has_left(scene: Scene) -> None:
    intake = scene.intake(attachment(100))
    scene.store.gate.clear()
    await intake.receive(chunk_of(TRANSFER, 0, 0))
    scene.socket.closed = True
    intake.close()
    scene.store.gate.set()
    await wait_until(lambda: scene.calls.reports)
    assert scene.stored == [(0, 0)]
    assert scene.socket.texts == []
    await wait_until(lambda: not len(scene.tasks))


async def test_who_leaves_while_being_slowed_down_is_let_go(scene: Scene) -> None:
    intake = scene.intake(attachment(1000, window_bytes=CHUNK))
    scene.store.gate.clear()
    await intake.receive(chunk_of(TRANSFER, 0, 0))
    beyond = asyncio.create_task(intake.receive(chunk_of(TRANSFER, 0, 1)))
    await wait_until(lambda: scene.errors)
    intake.close()
    await asyncio.wait_for(beyond, GIVE_UP_SECONDS)
    scene.store.gate.set()
