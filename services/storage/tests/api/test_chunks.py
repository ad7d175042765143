"""`/internal/uploads/{id}/chunks/{index}`: in any order, again, at the same time, and broken."""

import asyncio
import os
import random
from collections.abc import Awaitable
from datetime import timedelta
from uuid import UUID

import httpx
import pytest

from services.storage.tests.support import (
    CHUNKS,
    Exchange,
    Json,
    Person,
    World,
    code_of,
    root_of,
    sha256,
)
from sharezync_shared.contracts.storage import UploadClosed
from sharezync_storage.errors import ChunkConflict, StoreUnavailable
from sharezync_storage.usecases.chunk_rows import ChunkRow, ChunkRows


async def test_progress_counts_bytes_and_the_run_without_a_gap(world: World, upload: Json) -> None:
    progress = []
    for index in (4, 1, 0, 3, 2):
        answer = (await world.put(upload, index, CHUNKS[index])).json()
        progress.append((answer["stored_bytes"], answer["next"], answer["complete"]))
    assert progress == [
        (500, 0, False), (1500, 0, False), (2500, 2, False), (3500, 2, False), (4500, 5, True),
    ]  # fmt: skip


async def test_a_chunk_can_be_read_as_soon_as_it_is_acknowledged(
    world: World, upload: Json
) -> None:
    assert code_of(await world.chunk(upload, 3)) == "not-found"
    await world.put(upload, 3, CHUNKS[3])
    answer = await world.chunk(upload, 3)
    assert (answer.status_code, answer.content) == (200, CHUNKS[3])
    assert answer.headers["x-chunk-sha256"] == sha256(CHUNKS[3])
    assert answer.headers["content-type"] == "application/octet-stream"


async def test_chunks_can_be_read_after_the_end_too(world: World, upload: Json) -> None:
    await world.put_all(upload)
    await world.finish(upload)
    await world.sweep()
    for index, chunk in enumerate(CHUNKS):
        answer = await world.chunk(upload, index)
        assert (answer.status_code, answer.content) == (200, chunk)


async def test_a_corrupt_chunk_is_refused_and_can_be_sent_again(world: World, upload: Json) -> None:
    answer = await world.put(upload, 0, CHUNKS[0], sha256(CHUNKS[1]))
    assert (answer.status_code, code_of(answer)) == (422, "chunk-corrupt")
    assert code_of(await world.chunk(upload, 0)) == "not-found"
    answer = await world.put(upload, 0, CHUNKS[0])
    assert answer.json() == {"stored_bytes": 1000, "next": 1, "complete": False}


@pytest.mark.parametrize("size", [0, 1, 999, 1001, 2_000_000])
async def test_a_chunk_of_another_length_is_refused(world: World, upload: Json, size: int) -> None:
    answer = await world.put(upload, 0, bytes(size))
    assert (answer.status_code, code_of(answer)) == (422, "chunk-length")
    assert answer.json()["expected_bytes"] == 1000
    answer = await world.put(upload, 4, bytes(1000))
    assert answer.json()["expected_bytes"] == 500  # the last is shorter


async def test_a_chunk_of_another_length_is_refused_where_none_was_said(
    world: World, upload: Json
) -> None:
    url = f"/internal/uploads/{upload['id']}/chunks/0"
    for pieces in ([b"x" * 600] * 2, [b"x" * 600], []):

        async def body(pieces: list[bytes] = pieces) -> "object":
            for piece in pieces:
                yield piece

        headers = {"x-chunk-sha256": sha256(b"".join(pieces))}
        answer = await world.inside.put(url, content=body(), headers=headers)  # type: ignore[arg-type]  # an async generator
        assert (answer.status_code, code_of(answer)) == (422, "chunk-length")


async def test_a_chunk_that_breaks_off_is_not_stored(world: World, upload: Json) -> None:
    async def half() -> "object":
        yield CHUNKS[0][:500]

    headers = {**dict(world.inside.headers), "x-chunk-sha256": sha256(CHUNKS[0])}
    request = Exchange(
        "PUT", f"/internal/uploads/{upload['id']}/chunks/0", headers,
        half(),  # type: ignore[arg-type]  # an async generator
        breaks_off=True,
    )  # fmt: skip
    await request.run(world.app)
    assert request.status == 400
    assert code_of(await world.chunk(upload, 0)) == "not-found"


@pytest.mark.parametrize("index", [5, 6, 2**31 - 1])
async def test_a_chunk_outside_is_refused(world: World, upload: Json, index: int) -> None:
    answer = await world.put(upload, index, bytes(1000))
    assert (answer.status_code, code_of(answer)) == (422, "chunk-outside")
    assert answer.json()["chunk_count"] == 5
    assert code_of(await world.chunk(upload, index)) == "not-found"


@pytest.mark.parametrize("index", ["-1", "x", "1.5", str(2**31)])
async def test_an_index_that_is_none_is_refused(world: World, upload: Json, index: str) -> None:
    url = f"/internal/uploads/{upload['id']}/chunks/{index}"
    for answer in (
        await world.inside.put(url, content=b"x", headers={"x-chunk-sha256": sha256(b"x")}),
        await world.inside.get(url),
    ):
        assert (answer.status_code, code_of(answer)) == (422, "invalid")


@pytest.mark.parametrize("digest", ["", "abc", "g" * 64, "0" * 65])
async def test_a_digest_that_is_none_is_refused(world: World, upload: Json, digest: str) -> None:
    answer = await world.put(upload, 0, CHUNKS[0], digest)
    assert (answer.status_code, code_of(answer)) == (422, "invalid")
    url = f"/internal/uploads/{upload['id']}/chunks/0"
    answer = await world.inside.put(url, content=CHUNKS[0])
    assert (answer.status_code, code_of(answer)) == (422, "invalid")


async def test_the_same_chunk_again_is_answered_the_same_way(world: World, upload: Json) -> None:
    first = await world.put(upload, 0, CHUNKS[0])
    again = await world.put(upload, 0, CHUNKS[0])
    assert (again.status_code, again.json()) == (200, first.json())
    await world.put_all(upload)
    await world.finish(upload)
    answer = await world.put(upload, 0, CHUNKS[0])
    assert answer.json() == {"stored_bytes": 4500, "next": 5, "complete": True}


async def test_another_chunk_in_a_taken_place_is_refused(world: World, upload: Json) -> None:
    other = os.urandom(1000)
    await world.put(upload, 0, CHUNKS[0])
    answer = await world.put(upload, 0, other)
    assert (answer.status_code, code_of(answer)) == (409, "chunk-conflict")
    answer = await world.put(upload, 0, other, sha256(CHUNKS[0]))
    assert code_of(answer) == "chunk-corrupt"
    assert (await world.chunk(upload, 0)).content == CHUNKS[0]


async def test_a_process_that_starts_again_knows_which_places_are_taken(
    world: World, upload: Json
) -> None:
    await world.put(upload, 0, CHUNKS[0])
    world.parts.chunks._remembered.clear()  # as after a restart
    answer = await world.put(upload, 0, os.urandom(1000))
    assert code_of(answer) == "chunk-conflict"
    assert (await world.chunk(upload, 0)).content == CHUNKS[0]


async def test_chunks_at_the_same_time_in_any_order_with_repeats_and_bad_ones(
    world: World, alice: Person
) -> None:
    chunks = [os.urandom(5000) for _ in range(60)] + [os.urandom(17)]
    data = b"".join(chunks)
    upload = await world.begin(alice, len(data), 5000, sha256=sha256(data))
    dice = random.Random(7)
    jobs: list[Awaitable[httpx.Response]] = []
    kinds: list[str] = []
    for _ in range(3):
        for index, chunk in enumerate(chunks):
            kind = dice.choice(["good", "good", "corrupt", "short"])
            kinds.append(kind)
            match kind:
                case "good":
                    jobs.append(world.put(upload, index, chunk))
                case "corrupt":
                    jobs.append(world.put(upload, index, bytes(len(chunk)), sha256(chunk)))
                case _:
                    jobs.append(world.put(upload, index, chunk[:-1]))
    order = list(range(len(jobs)))
    dice.shuffle(order)
    answers = await asyncio.gather(*(jobs[i] for i in order))
    expected = {"good": 200, "corrupt": 422, "short": 422}
    assert [a.status_code for a in answers] == [expected[kinds[i]] for i in order]
    good = {i % len(chunks) for i, kind in enumerate(kinds) if kind == "good"}
    status = await world.status(upload)
    assert {i for a, b in status["stored"] for i in range(a, b + 1)} == good
    assert status["stored_bytes"] == sum(len(chunks[i]) for i in good)
    await world.put_all(upload, chunks)
    assert (await world.finish(upload)).json()["root"] == root_of(chunks)
    file = (await alice.http.get(f"/v1/files/{upload['id']}")).json()
    assert (await alice.content(file)).content == data


async def test_what_other_replicas_recorded_meanwhile_decides(world: World, upload: Json) -> None:
    """Each knows by itself only what came to it."""
    other = ChunkRows(world.app.state.core.database, timedelta(days=1))

    def row(index: int, content: bytes) -> ChunkRow:
        return ChunkRow(UUID(upload["id"]), index, len(content), bytes.fromhex(sha256(content)))

    await world.put(upload, 0, CHUNKS[0])
    async with other.running():
        (same,) = await other.record([row(0, CHUNKS[0])])
        (different,) = await other.record([row(0, CHUNKS[1])])
        assert same == (1000, 1, False)
        assert isinstance(different, ChunkConflict)
        await world.abort(upload)
        (late,) = await other.record([row(1, CHUNKS[1])])
        assert isinstance(late, UploadClosed)


async def test_of_different_contents_at_the_same_time_one_wins_whole(
    world: World, alice: Person
) -> None:
    for _ in range(10):
        upload = await world.begin(alice, 50_000, 50_000)
        rivals = [os.urandom(50_000) for _ in range(6)]
        answers = await asyncio.gather(*(world.put(upload, 0, rival) for rival in rivals))
        assert sorted(a.status_code for a in answers) == [200, 409, 409, 409, 409, 409]
        winner = next(r for r, a in zip(rivals, answers, strict=True) if a.status_code == 200)
        assert (await world.chunk(upload, 0)).content == winner


async def test_a_sender_that_hangs_up_does_not_let_contents_mix(
    world: World, alice: Person
) -> None:
    upload = await world.begin(alice, 50_000, 50_000)
    first, second = os.urandom(50_000), os.urandom(50_000)
    for delay in range(12):
        gone = asyncio.create_task(world.put(upload, 0, first))
        for _ in range(delay):
            await asyncio.sleep(0)
        gone.cancel()
        await asyncio.gather(gone, return_exceptions=True)
    answer = await world.put(upload, 0, second)
    kept = first if answer.status_code == 409 else second
    assert (await world.chunk(upload, 0)).content == kept


async def test_a_damaged_chunk_is_noticed_when_read(world: World, upload: Json) -> None:
    await world.put(upload, 0, CHUNKS[0])
    [blob] = world.blobs()
    with blob.open("r+b") as file:
        file.write(bytes([CHUNKS[0][0] ^ 1]))
    answer = await world.chunk(upload, 0)
    assert (answer.status_code, code_of(answer)) == (500, "content-damaged")


async def test_a_store_that_fails_in_the_middle_lets_the_chunk_be_sent_again(
    world: World, upload: Json, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fails(*_: object) -> None:
        raise StoreUnavailable

    with monkeypatch.context() as broken:
        broken.setattr(world.parts.store, "write_chunk", fails)
        answer = await world.put(upload, 0, CHUNKS[0])
    assert (answer.status_code, code_of(answer)) == (503, "storage-unavailable")
    assert code_of(await world.chunk(upload, 0)) == "not-found"
    assert (await world.put(upload, 0, CHUNKS[0])).status_code == 200


async def test_a_broken_connection_to_the_database_is_replaced(world: World, upload: Json) -> None:
    await world.put(upload, 0, CHUNKS[0])
    rows = world.parts.chunks._rows
    assert rows._recorder is not None
    rows._recorder.terminate()
    answer = await world.put(upload, 1, CHUNKS[1])
    assert answer.json() == {"stored_bytes": 2000, "next": 2, "complete": False}
