"""`/internal/uploads`: chunks in any order, the life of an upload, the file at its end."""

import asyncio
from collections.abc import Awaitable, Callable
from uuid import uuid4

import httpx
import pytest

from services.storage.tests.support import (
    CHUNKS,
    DATA,
    Json,
    Person,
    World,
    code_of,
    root_of,
    sha256,
)
from sharezync_shared.events.contracts import FileDeleted, FileStored
from sharezync_shared.problems import Unavailable
from sharezync_shared.sizes import MAX_CHUNK_BYTES
from sharezync_storage.errors import StoreUnavailable
from sharezync_storage.settings import StorageSettings
from sharezync_testkit.waiting import wait_until

# --- one after the other -------------------------------------------------------------------------


async def test_an_upload_becomes_a_file(world: World, alice: Person) -> None:
    upload = await world.begin(alice, len(DATA), name="../film.mp4", mime="video/mp4")
    assert upload == {"id": upload["id"], "chunk_count": 5}
    assert await alice.usage() == (0, len(DATA))
    assert await world.status(upload) == {
        "id": upload["id"],
        "size_bytes": len(DATA),
        "chunk_size_bytes": 1000,
        "chunk_count": 5,
        "stored_bytes": 0,
        "stored": [],
        "state": "created",
        "root": None,
        "sha256": None,
        "file_id": None,
    }
    await world.put_all(upload)
    answer = await world.finish(upload)
    assert answer.status_code == 200
    finished = answer.json()
    assert finished == {
        "file_id": finished["file_id"], "root": root_of(CHUNKS), "sha256": None,
    }  # fmt: skip
    status = await world.status(upload)
    assert status["state"] == "finished"
    assert status["stored"] == [[0, 4]]
    assert (status["root"], status["file_id"]) == (root_of(CHUNKS), finished["file_id"])
    assert await alice.usage() == (len(DATA), 0)
    file = (await alice.http.get(f"/v1/files/{finished['file_id']}")).json()
    assert (file["name"], file["mime"], file["size_bytes"]) == ("film.mp4", "video/mp4", len(DATA))
    assert (await alice.content(file)).content == DATA
    await wait_until(lambda: world.told(file))
    assert FileStored.decode(world.told(file)[0]).size_bytes == len(DATA)


async def test_what_is_stored_is_told_in_ranges(world: World, alice: Person) -> None:
    upload = await world.begin(alice, 10_000)
    for index in (7, 0, 1, 4, 9, 5):
        await world.put(upload, index, bytes(1000))
    status = await world.status(upload)
    assert status["stored"] == [[0, 1], [4, 5], [7, 7], [9, 9]]
    assert status["state"] == "receiving"
    answer = await world.finish(upload)
    assert (answer.status_code, code_of(answer)) == (409, "upload-incomplete")
    assert answer.json()["missing"] == [[2, 3], [6, 6], [8, 8]]


async def test_an_empty_upload_is_complete_at_once(world: World, alice: Person) -> None:
    upload = await world.begin(alice, 0)
    assert upload["chunk_count"] == 0
    assert code_of(await world.put(upload, 0, b"")) == "chunk-outside"
    finished = (await world.finish(upload)).json()
    assert finished["root"] == sha256(b"")
    file = (await alice.http.get(f"/v1/files/{finished['file_id']}")).json()
    assert (await alice.content(file)).content == b""


async def test_the_digest_of_the_whole_is_checked_where_one_was_given(
    world: World, alice: Person
) -> None:
    good = await world.begin(alice, len(DATA), sha256=sha256(DATA).upper())
    await world.put_all(good)
    answer = await world.finish(good)
    assert (answer.status_code, answer.json()["sha256"]) == (200, sha256(DATA))
    file = (await alice.http.get(f"/v1/files/{good['id']}")).json()
    assert file["sha256"] == sha256(DATA)

    bad = await world.begin(alice, len(DATA), sha256=sha256(b"something else"))
    await world.put_all(bad)
    answer = await world.finish(bad)
    assert (answer.status_code, code_of(answer)) == (422, "digest-mismatch")
    assert answer.json()["actual_sha256"] == sha256(DATA)
    assert (await world.status(bad))["state"] == "failed"
    assert await alice.usage() == (len(DATA), 0)
    await world.left(1)


# --- what is refused -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "changes",
    [
        {"size_bytes": -1},
        {"size_bytes": "many"},
        {"chunk_size_bytes": 0},
        {"chunk_size_bytes": MAX_CHUNK_BYTES + 1},
        {"owner_id": "me"},
        {"name": None},
        {"name": "x" * 5000},
        {"sha256": "abc"},
        {"sha256": "g" * 64},
        {"size_bytes": 200_000, "chunk_size_bytes": 1},  # more chunks than anybody needs
    ],
)
async def test_nonsense_begins_nothing(world: World, alice: Person, changes: Json) -> None:
    answer = await world.try_begin(alice, 1000, **changes)
    assert (answer.status_code, code_of(answer)) == (422, "invalid")
    assert await alice.usage() == (0, 0)


async def test_an_upload_over_the_limits_begins_nothing(
    world: World, alice: Person, settings: StorageSettings
) -> None:
    answer = await world.try_begin(alice, settings.max_file_bytes + 1, 1_000_000)
    assert (answer.status_code, code_of(answer)) == (413, "file-too-large")
    answer = await world.try_begin(alice, 10**30, 1_000_000)
    assert (answer.status_code, code_of(answer)) == (413, "file-too-large")
    await world.begin(alice, settings.max_file_bytes, 1_000_000)
    answer = await world.try_begin(alice, settings.max_file_bytes, 1_000_000)
    assert (answer.status_code, code_of(answer)) == (507, "quota-exceeded")
    assert answer.json()["reserved_bytes"] == settings.max_file_bytes
    assert await alice.usage() == (0, settings.max_file_bytes)


async def test_a_store_that_fails_to_begin_gives_the_room_back(
    world: World, alice: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fails(*_: object) -> None:
        raise StoreUnavailable

    monkeypatch.setattr(world.parts.store, "begin_chunks", fails)
    answer = await world.try_begin(alice, 1000)
    assert (answer.status_code, code_of(answer)) == (503, "storage-unavailable")
    assert await alice.usage() == (0, 0)


async def test_what_is_not_there_is_not_found(world: World) -> None:
    nowhere = {"id": str(uuid4())}
    for answer in (
        await world.put(nowhere, 0, b"x"),
        await world.chunk(nowhere, 0),
        await world.inside.get(f"/internal/uploads/{nowhere['id']}"),
        await world.finish(nowhere),
    ):
        assert (answer.status_code, code_of(answer)) == (404, "not-found")
    assert (await world.abort(nowhere)).status_code == 204


# --- again, and at the same time -----------------------------------------------------------------


async def test_many_who_finish_get_one_file(world: World, alice: Person, upload: Json) -> None:
    await world.put_all(upload)
    answers = await asyncio.gather(*(world.finish(upload) for _ in range(8)))
    assert {a.status_code for a in answers} == {200}
    assert len({a.text for a in answers}) == 1
    assert (await world.finish(upload)).text == answers[0].text
    assert len((await alice.http.get("/v1/files")).json()["items"]) == 1
    assert await alice.usage() == (len(DATA), 0)
    await asyncio.sleep(0)
    assert len(world.told(upload)) <= 1


async def test_chunks_and_finish_and_abort_at_the_same_time_end_in_one_of_both(
    world: World, alice: Person
) -> None:
    for _ in range(8):
        upload = await world.begin(alice, len(DATA))
        await world.put_all(upload, CHUNKS[:4])
        last, finished, aborted = await asyncio.gather(
            world.put(upload, 4, CHUNKS[4]), world.finish(upload), world.abort(upload)
        )
        assert last.status_code in {200, 409}
        assert finished.status_code in {200, 409}
        assert aborted.status_code == 204
        status = await world.status(upload)
        assert status["state"] == "aborted"  # whatever came first: an abort is final
        assert await alice.usage() == (0, 0)
    await world.left(0)


# --- the life of an upload, walked in full -------------------------------------------------------

Act = Callable[[World, Json], Awaitable[httpx.Response]]


async def act_chunk(world: World, upload: Json) -> httpx.Response:
    return await world.put(upload, 4, CHUNKS[4])


async def act_finish(world: World, upload: Json) -> httpx.Response:
    return await world.finish(upload)


async def act_abort(world: World, upload: Json) -> httpx.Response:
    return await world.abort(upload)


async def act_read(world: World, upload: Json) -> httpx.Response:
    return await world.chunk(upload, 0)


ACTS: dict[str, Act] = {
    "chunk": act_chunk, "finish": act_finish, "abort": act_abort, "read": act_read,
}  # fmt: skip

LIFE = [
    # state, act, answer, code, next state
    ("created", "chunk", 200, None, "receiving"),
    ("created", "finish", 409, "upload-incomplete", "created"),
    ("created", "abort", 204, None, "aborted"),
    ("created", "read", 404, "not-found", "created"),
    ("receiving", "chunk", 200, None, "receiving"),
    ("receiving", "finish", 409, "upload-incomplete", "receiving"),
    ("receiving", "abort", 204, None, "aborted"),
    ("receiving", "read", 200, None, "receiving"),
    ("verifying", "chunk", 200, None, "verifying"),  # the same again; there is no other
    ("verifying", "finish", 200, None, "finished"),
    ("verifying", "abort", 204, None, "aborted"),
    ("verifying", "read", 200, None, "verifying"),
    ("finished", "chunk", 200, None, "finished"),  # as above
    ("finished", "finish", 200, None, "finished"),
    ("finished", "abort", 204, None, "aborted"),
    ("finished", "read", 200, None, "finished"),
    ("failed", "chunk", 409, "upload-closed", "failed"),
    ("failed", "finish", 422, "digest-mismatch", "failed"),
    ("failed", "abort", 204, None, "failed"),
    ("failed", "read", 404, "not-found", "failed"),
    ("aborted", "chunk", 409, "upload-closed", "aborted"),
    ("aborted", "finish", 409, "upload-closed", "aborted"),
    ("aborted", "abort", 204, None, "aborted"),
    ("aborted", "read", 404, "not-found", "aborted"),
]


async def bring_to(
    world: World, alice: Person, state: str, monkeypatch: pytest.MonkeyPatch
) -> Json:
    digest = sha256(b"other") if state == "failed" else None
    upload = await world.begin(alice, len(DATA), sha256=digest)
    if state == "receiving":
        await world.put_all(upload, CHUNKS[:3])
    elif state in {"verifying", "finished", "failed"}:
        await world.put_all(upload)
        if state == "verifying":

            async def away(*_: object) -> None:
                raise StoreUnavailable

            with monkeypatch.context() as broken:
                broken.setattr(world.parts.store, "assemble_chunks", away)
                assert code_of(await world.finish(upload)) == "storage-unavailable"
        else:
            await world.finish(upload)
    elif state == "aborted":
        await world.put_all(upload, CHUNKS[:3])
        await world.abort(upload)
    assert (await world.status(upload))["state"] == state
    return upload


@pytest.mark.parametrize(
    ("state", "act", "status", "code", "after"), LIFE, ids=[f"{s}-{a}" for s, a, *_ in LIFE]
)
async def test_every_act_in_every_state(
    world: World,
    alice: Person,
    monkeypatch: pytest.MonkeyPatch,
    state: str,
    act: str,
    status: int,
    code: str | None,
    after: str,
) -> None:
    upload = await bring_to(world, alice, state, monkeypatch)
    answer = await ACTS[act](world, upload)
    assert answer.status_code == status, answer.text
    if code is not None:
        assert code_of(answer) == code
    assert (await world.status(upload))["state"] == after
    used, reserved = await alice.usage()
    assert used == (len(DATA) if after == "finished" else 0)
    assert reserved == (len(DATA) if after in {"created", "receiving", "verifying"} else 0)
    await world.left(0 if after in {"failed", "aborted"} else 1)


async def test_aborting_a_finished_upload_deletes_its_file(
    world: World, alice: Person, upload: Json
) -> None:
    await world.put_all(upload)
    await world.finish(upload)
    await world.abort(upload)
    assert (await alice.http.get(f"/v1/files/{upload['id']}")).status_code == 404
    await wait_until(lambda: len(world.told(upload)) == 2)
    assert world.told(upload)[1].type == FileDeleted.type


async def test_deleting_the_file_ends_its_upload(world: World, alice: Person, upload: Json) -> None:
    await world.put_all(upload)
    await world.finish(upload)
    await alice.http.delete(f"/v1/files/{upload['id']}")
    assert (await world.status(upload))["state"] == "aborted"
    assert code_of(await world.chunk(upload, 0)) == "not-found"
    assert (await world.abort(upload)).status_code == 204
    assert await alice.usage() == (0, 0)


# --- crashes and delays --------------------------------------------------------------------------


def died(*_: object, **__: object) -> None:
    raise Unavailable


async def test_a_finish_that_died_behind_the_assembly_is_repeated(
    world: World, alice: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    upload = await world.begin(alice, len(DATA), sha256=sha256(DATA))
    await world.put_all(upload)
    with monkeypatch.context() as dying:
        dying.setattr("sharezync_storage.usecases.files.stand", died)
        assert code_of(await world.finish(upload)) == "unavailable"
    assert (await world.status(upload))["state"] == "verifying"
    assert (await world.chunk(upload, 0)).content == CHUNKS[0]
    answer = await world.finish(upload)
    assert (answer.status_code, answer.json()["root"]) == (200, root_of(CHUNKS))
    file = (await alice.http.get(f"/v1/files/{upload['id']}")).json()
    assert (await alice.content(file)).content == DATA


async def test_an_upload_aborted_behind_the_assembly_leaves_no_file(
    world: World, alice: Person, upload: Json, monkeypatch: pytest.MonkeyPatch
) -> None:
    await world.put_all(upload)
    real = world.parts.store.assemble_chunks

    async def assembled_and_aborted(*arguments: object) -> None:
        await real(*arguments)  # type: ignore[arg-type]  # passed on as they come
        assert (await world.abort(upload)).status_code == 204

    monkeypatch.setattr(world.parts.store, "assemble_chunks", assembled_and_aborted)
    answer = await world.finish(upload)
    assert (answer.status_code, code_of(answer)) == (409, "upload-closed")
    await world.left(0)
    assert await alice.usage() == (0, 0)


async def test_who_waits_too_long_for_the_end_is_told_to_ask_again(
    world: World, upload: Json, monkeypatch: pytest.MonkeyPatch
) -> None:
    await world.put_all(upload)
    go = asyncio.Event()
    real = world.parts.store.assemble_chunks

    async def slow(*arguments: object) -> None:
        await go.wait()
        await real(*arguments)  # type: ignore[arg-type]  # passed on as they come

    monkeypatch.setattr(world.parts.store, "assemble_chunks", slow)
    monkeypatch.setattr(world.parts.assembler, "_patience_seconds", 0.05)
    answer = await world.finish(upload)
    assert (answer.status_code, code_of(answer)) == (503, "upload-finishing")
    assert answer.headers["retry-after"] == "1"
    go.set()  # it went on meanwhile
    monkeypatch.setattr(world.parts.assembler, "_patience_seconds", 5)
    assert (await world.finish(upload)).status_code == 200
