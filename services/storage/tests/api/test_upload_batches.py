"""`/internal/uploads/{begin,status,finish,abort}`: all uploads of a transfer at once."""

import hashlib
from typing import Any
from uuid import uuid4

import httpx
import pytest

from services.storage.tests.support import Json, Person, World, code_of, sha256
from sharezync_shared.events.contracts import FileStored
from sharezync_storage.errors import StoreUnavailable
from sharezync_storage.settings import StorageSettings
from sharezync_testkit.statements import statements_of
from sharezync_testkit.waiting import wait_until

FEW, MANY = 2, 200


async def act(world: World, name: str, body: Json, status: int = 200) -> Json:
    answer = await world.inside.post(f"/internal/uploads/{name}", json=body)
    assert answer.status_code == status, answer.text
    return dict(answer.json()) if answer.content else {}


async def begin(world: World, owner: Person, *files: Json, chunk_size: int = 10) -> list[Json]:
    """Begin an upload for each file, of 0 bytes where nothing else is said."""
    body = begun_by(owner, *files, chunk_size=chunk_size)
    return list((await act(world, "begin", body, 201))["uploads"])


def begun_by(owner: Person, *files: Json, chunk_size: int = 10) -> Json:
    described = [{"name": f"{n}.txt", "size_bytes": 0, **file} for n, file in enumerate(files)]
    return {"owner_id": str(owner.id), "chunk_size_bytes": chunk_size, "files": described}


def ids_of(uploads: list[Json]) -> Json:
    return {"ids": [upload["id"] for upload in uploads]}


async def results(world: World, uploads: list[Json]) -> list[Any]:
    """Finish uploads; return each one's file id, or the code of its problem."""
    found = (await act(world, "finish", ids_of(uploads)))["results"]
    return [
        each["finished"]["file_id"] if each["finished"] else each["problem"]["code"]
        for each in found
    ]


# --- what each does ------------------------------------------------------------------------------


async def test_uploads_that_begin_together_are_as_those_that_begin_alone(
    world: World, alice: Person
) -> None:
    first, second = await begin(
        world,
        alice,
        {"name": "../a.txt", "size_bytes": 11, "mime": "text/plain"},
        {"size_bytes": 4, "sha256": sha256(b"four")},
    )
    assert [first["chunk_count"], second["chunk_count"]] == [2, 1]
    assert await alice.usage() == (0, 15)
    for upload, chunks in ((first, [b"0123456789", b"x"]), (second, [b"four"])):
        await world.put_all(upload, chunks)
    assert await results(world, [second, first]) == [second["id"], first["id"]]
    assert await alice.usage() == (15, 0)
    file = (await alice.http.get(f"/v1/files/{first['id']}")).json()
    assert (file["name"], file["mime"], file["size_bytes"]) == ("a.txt", "text/plain", 11)
    assert (await alice.content(file)).content == b"0123456789x"
    assert (await world.status(second))["sha256"] == hashlib.sha256(b"four").hexdigest()
    for upload in (first, second):
        await wait_until(lambda upload=upload: world.told(upload))  # type: ignore[misc]  # bound now
        assert FileStored.decode(world.told(upload)[0]).owner_id == alice.id


async def test_what_is_refused_of_one_upload_keeps_none_of_the_others(
    world: World, alice: Person
) -> None:
    whole, short, false, given_up = await begin(
        world, alice, {}, {"size_bytes": 30}, {"size_bytes": 1, "sha256": sha256(b"y")}, {}
    )
    await world.put(short, 1, b"0123456789")
    await world.put(false, 0, b"x")
    await world.abort(given_up)
    nowhere = {"id": str(uuid4())}
    everything = [whole, short, false, given_up, nowhere]
    expected = [
        whole["id"], "upload-incomplete", "digest-mismatch", "upload-closed", "not-found",
    ]  # fmt: skip
    assert await results(world, everything) == expected
    assert await results(world, everything) == expected  # idempotent, as alone
    (found,) = (await act(world, "finish", ids_of([short])))["results"]
    assert found["problem"]["missing"] == [[0, 0], [2, 2]]
    assert (await world.status(false))["state"] == "failed"
    assert await alice.usage() == (0, 30)
    assert await results(world, [whole, whole]) == [whole["id"]] * 2


async def test_an_upload_that_cannot_be_assembled_now_is_finished_later(
    world: World, alice: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    uploads = await begin(world, alice, {"size_bytes": 1}, {"size_bytes": 1})
    for upload in uploads:
        await world.put(upload, 0, b"x")
    assemble, broken = world.parts.store.assemble_chunks, uploads[0]["id"].replace("-", "")

    async def fails_once(plan: Any, *args: Any) -> None:
        if broken in plan.key:
            raise StoreUnavailable
        await assemble(plan, *args)

    with monkeypatch.context() as patch:
        patch.setattr(world.parts.store, "assemble_chunks", fails_once)
        assert await results(world, uploads) == ["storage-unavailable", uploads[1]["id"]]
    assert await results(world, uploads) == [upload["id"] for upload in uploads]


async def test_how_far_uploads_are_is_told_of_those_that_are_there(
    world: World, alice: Person
) -> None:
    first, second = await begin(world, alice, {"size_bytes": 30}, {"size_bytes": 20})
    for index in (0, 2):
        await world.put(first, index, b"0123456789")
    found = await act(world, "status", ids_of([first, second, {"id": str(uuid4())}]))
    stored = {upload["id"]: upload["stored"] for upload in found["uploads"]}
    assert stored == {first["id"]: [[0, 0], [2, 2]], second["id"]: []}
    assert found["uploads"][0] in [await world.status(first), await world.status(second)]


async def test_uploads_are_given_up_together_with_their_files(world: World, alice: Person) -> None:
    file, under_way, empty = await begin(
        world, alice, {"size_bytes": 4}, {"size_bytes": 20}, {"size_bytes": 3}
    )
    await world.put(file, 0, b"four")
    await world.put(under_way, 0, b"0123456789")
    await results(world, [file])
    everything = ids_of([file, under_way, empty, {"id": str(uuid4())}])
    for _ in range(2):
        await act(world, "abort", everything, 204)
        assert await alice.usage() == (0, 0)
    await world.left(0)
    assert (await alice.http.get(f"/v1/files/{file['id']}")).status_code == 404
    await wait_until(lambda: len(world.told(file)) == 2)


# --- all or none, and limits ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("files", "code"),
    [
        ([{"size_bytes": 60_000_000}] * 2, "quota-exceeded"),
        ([{}, {"size_bytes": 80_000_001}], "file-too-large"),
        ([{}, {"size_bytes": 10_000_000}], "invalid"),  # of more chunks than anybody needs
        ([{}, {"size_bytes": -1}], "invalid"),
        ([], "invalid"),
        ([{}] * 1001, "invalid"),
    ],
)
async def test_either_all_uploads_begin_or_none(
    world: World, alice: Person, files: list[Json], code: str
) -> None:
    chunk_size = 1 if "invalid" in code else 1000
    body = begun_by(alice, *files, chunk_size=chunk_size)
    assert code_of(await world.inside.post("/internal/uploads/begin", json=body)) == code
    assert await alice.usage() == (0, 0)
    assert world.blobs() == []


async def test_so_many_uploads_are_under_way_as_may_be(
    world: World, alice: Person, settings: StorageSettings
) -> None:
    most = settings.max_uploads_per_user
    uploads = await begin(world, alice, *[{}] * (most - 1))
    body = begun_by(alice, {}, {})
    assert code_of(await world.inside.post("/internal/uploads/begin", json=body)) == (
        "too-many-uploads"
    )
    uploads += await begin(world, alice, {})
    assert code_of(await world.try_begin(alice, 0)) == "too-many-uploads"
    await act(world, "abort", ids_of(uploads), 204)
    await begin(world, alice, {})


async def test_a_store_that_fails_to_begin_gives_all_room_back(
    world: World, alice: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fails(*_: object) -> None:
        raise StoreUnavailable

    monkeypatch.setattr(world.parts.store, "begin_chunks", fails)
    body = begun_by(alice, {"size_bytes": 1}, {"size_bytes": 2})
    answer = await world.inside.post("/internal/uploads/begin", json=body)
    assert (answer.status_code, code_of(answer)) == (503, "storage-unavailable")
    assert await alice.usage() == (0, 0)


async def test_the_longest_names_fit(world: World, alice: Person) -> None:
    name = "ä" * 120
    files = [{"name": f"{name}{index}", "sha256": sha256(b"")} for index in range(1000)]
    assert len(await begin(world, alice, *files)) == 1000


# --- what it costs -------------------------------------------------------------------------------


@pytest.mark.parametrize("what", ["begin", "status", "finish", "finish_too_early", "fail", "abort"])
async def test_many_uploads_take_no_more_statements_than_few(world: World, what: str) -> None:
    async def cost(count: int) -> int:
        owner = await world.person()
        size = 0 if what == "finish" else 1
        files = [{"size_bytes": size, "sha256": sha256(b"x") if size else None}] * count
        uploads = await begin(world, owner, *files)
        if what == "fail":
            for upload in uploads:
                await put_other(world, upload)
        with statements_of(world.app.state.work.database.engine) as statements:
            if what == "begin":
                await begin(world, owner, *files)
            elif what in {"status", "abort"}:
                await act(world, what, ids_of(uploads), 204 if what == "abort" else 200)
            else:
                await results(world, uploads)
        return len(statements)

    await cost(1)  # whatever is asked once is known by now
    assert await cost(MANY) == await cost(FEW)


async def put_other(world: World, upload: Json) -> None:
    """Store a chunk that is not what was said of the whole."""
    answer: httpx.Response = await world.put(upload, 0, b"y")
    assert answer.status_code == 200
