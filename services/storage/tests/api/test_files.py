"""`/v1/files`: one's own files, in and out."""

import asyncio
import os
import tracemalloc
from collections.abc import AsyncIterator
from datetime import timedelta
from uuid import uuid4

import msgspec
import pytest
from sqlmodel import select

from services.storage.tests.support import (
    FORM_TAIL,
    Exchange,
    Person,
    World,
    code_of,
    form_head,
    sha256,
)
from sharezync_shared.events.contracts import FileDeleted, FileStored
from sharezync_storage.errors import StoreUnavailable
from sharezync_storage.models import Upload
from sharezync_storage.settings import StorageSettings
from sharezync_testkit.waiting import GIVE_UP_SECONDS, wait_until


async def test_a_file_is_kept_described_and_told(world: World) -> None:
    alice = await world.person()
    data = os.urandom(300_000)
    answer = await alice.try_upload(data, "holiday.jpg", "image/jpeg")
    file = answer.json()
    assert answer.status_code == 201
    assert answer.headers["location"] == f"/v1/files/{file['id']}"
    assert file == {
        "id": file["id"],
        "name": "holiday.jpg",
        "size_bytes": 300_000,
        "mime": "image/jpeg",
        "sha256": sha256(data),
        "owner_id": str(alice.id),
        "created_at": file["created_at"],
    }
    assert file["created_at"].endswith("Z")
    assert (await alice.http.get(f"/v1/files/{file['id']}")).json() == file
    assert (await alice.content(file)).content == data
    await wait_until(lambda: world.told(file))
    [fact] = world.told(file)
    assert fact.type == FileStored.type
    stored = FileStored.decode(fact)
    assert (str(stored.file_id), stored.owner_id) == (file["id"], alice.id)
    assert (stored.size_bytes, stored.media_type) == (300_000, "image/jpeg")
    assert stored.sha256 == sha256(data)


@pytest.mark.parametrize("size", [0, 1])
async def test_tiny_files_are_files(world: World, size: int) -> None:
    alice = await world.person()
    file = await alice.upload(bytes(size))
    assert file["size_bytes"] == size
    answer = await alice.content(file)
    assert (answer.status_code, answer.content) == (200, bytes(size))


async def test_names_and_media_types_are_cleaned(world: World) -> None:
    alice = await world.person()
    file = await alice.upload(b"x", "../../etc/pass\u202ewd", "IMAGE/png; charset=x")
    assert (file["name"], file["mime"]) == ("passwd", "image/png")
    [blob] = world.blobs()
    assert "passwd" not in str(blob)


async def test_files_are_listed_newest_first_in_pages(world: World) -> None:
    alice, bob = await world.person(), await world.person()
    made = []
    for number in range(5):
        made.append((await alice.upload(b"x", f"{number}.txt"))["id"])
        await asyncio.sleep(0.002)  # ids of one millisecond are in no order
    await bob.upload(b"y")
    seen: list[str] = []
    cursor: str | None = None
    for expected in (2, 2, 1):
        params = {"limit": "2"} | ({"cursor": cursor} if cursor else {})
        page = (await alice.http.get("/v1/files", params=params)).json()
        assert len(page["items"]) == expected
        seen += [file["id"] for file in page["items"]]
        cursor = page["next"]
    assert cursor is None
    assert seen == made[::-1]


@pytest.mark.parametrize(
    "query", [{"cursor": "x"}, {"limit": 0}, {"limit": 201}, {"limit": "many"}]
)
async def test_nonsense_in_a_listing_is_refused(world: World, query: dict[str, str]) -> None:
    alice = await world.person()
    answer = await alice.http.get("/v1/files", params=query)
    assert (answer.status_code, code_of(answer)) == (422, "invalid")


async def test_a_deleted_file_is_gone_for_everyone_and_its_bytes_too(world: World) -> None:
    alice = await world.person()
    file = await alice.upload(b"secret")
    link = (await world.link(file, alice)).json()["url"]
    assert (await alice.http.delete(f"/v1/files/{file['id']}")).status_code == 204
    for answer in (
        await alice.http.get(f"/v1/files/{file['id']}"),
        await alice.content(file),
        await alice.http.get(link),
        await alice.http.delete(f"/v1/files/{file['id']}"),
    ):
        assert (answer.status_code, code_of(answer)) == (404, "not-found")
    assert (await alice.http.get("/v1/files")).json()["items"] == []
    assert await alice.usage() == (0, 0)
    await world.left(0)
    await wait_until(lambda: len(world.told(file)) == 2)
    assert FileDeleted.decode(world.told(file)[1]).owner_id == alice.id


async def test_strangers_find_nothing(world: World) -> None:
    alice, eve = await world.person(), await world.person()
    file = await alice.upload(b"secret")
    url = f"/v1/files/{file['id']}"
    for answer in (
        await eve.http.get(url),
        await eve.http.get(f"{url}/content"),
        await eve.http.delete(url),
        await eve.http.get(f"/v1/files/{uuid4()}"),
    ):
        assert (answer.status_code, code_of(answer)) == (404, "not-found")
    assert (await eve.http.head(f"{url}/content")).status_code == 404
    assert (await eve.http.get("/v1/files")).json()["items"] == []
    assert (await alice.content(file)).content == b"secret"


async def test_an_id_that_is_none_is_refused(world: World) -> None:
    alice = await world.person()
    answer = await alice.http.get("/v1/files/not-an-id")
    assert (answer.status_code, code_of(answer)) == (422, "invalid")


# --- what is refused, and leaves nothing behind --------------------------------------------------


async def nothing_is_left(world: World, person: Person) -> None:
    """Neither bytes, nor room, nor a row that waits for anything but its second deletion."""
    assert await person.usage() == (0, 0)
    assert (await person.http.get("/v1/files")).json()["items"] == []
    await world.left(0)
    async with world.app.state.work.read() as unit:
        uploads = await unit.session.exec(select(Upload).where(Upload.owner_id == person.id))
        assert list(uploads) == []


@pytest.mark.parametrize(
    ("form", "status", "code"),
    [
        ({"files": {"other": ("a.txt", b"x")}}, 422, "form-invalid"),
        ({"files": [("file", ("a", b"x")), ("file", ("b", b"y"))]}, 422, "form-invalid"),
        ({"files": {"file": (None, b"text")}}, 422, "form-invalid"),
        ({"data": {"file": "text"}}, 415, "not-a-form"),
        ({"json": {"file": "text"}}, 415, "not-a-form"),
        ({"content": b""}, 415, "not-a-form"),
    ],
)
async def test_anything_but_a_form_with_one_file_is_refused(
    world: World, form: dict[str, object], status: int, code: str
) -> None:
    alice = await world.person()
    answer = await alice.http.post("/v1/files", **form)  # type: ignore[arg-type]  # httpx has many
    assert (answer.status_code, code_of(answer)) == (status, code)
    await nothing_is_left(world, alice)


async def test_a_file_over_the_limit_is_refused_with_the_number(
    world: World, settings: StorageSettings
) -> None:
    alice = await world.person()
    limit = settings.max_file_bytes
    headers, head = form_head()
    # Said beforehand, and not: the second is found out on the way.
    for said in ({"content-length": str(limit + 10_000)}, {}):

        async def body() -> AsyncIterator[bytes]:
            yield head
            for _ in range(limit // 1_000_000 + 2):
                yield bytes(1_000_000)
            yield FORM_TAIL

        request = alice.http.build_request(
            "POST", "/v1/files", content=body(), headers={**headers, **said}
        )
        answer = await alice.http.send(request)
        assert (answer.status_code, code_of(answer)) == (413, "file-too-large")
        assert answer.json()["limit_bytes"] == limit
        await nothing_is_left(world, alice)


async def test_a_file_that_no_quota_has_room_for_is_refused_with_the_numbers(
    world: World, settings: StorageSettings
) -> None:
    alice = await world.person()
    await world.begin(alice, settings.max_file_bytes, 1_000_000)  # reserves
    left = settings.quota_bytes - settings.max_file_bytes
    answer = await alice.try_upload(bytes(left + 1))
    assert (answer.status_code, code_of(answer)) == (507, "quota-exceeded")
    problem = answer.json()
    assert problem["quota_bytes"] == settings.quota_bytes
    assert (problem["used_bytes"], problem["reserved_bytes"]) == (0, settings.max_file_bytes)
    assert problem["wanted_bytes"] >= left + 1
    await alice.upload(bytes(left))  # to the last byte
    assert await alice.usage() == (left, settings.max_file_bytes)


async def test_a_body_of_unknown_length_is_held_to_the_quota_as_it_comes(
    world: World, settings: StorageSettings
) -> None:
    alice = await world.person()
    left = 20_000_000
    await world.begin(alice, settings.max_file_bytes, 1_000_000)
    headers, head = form_head()

    async def body(size: int) -> AsyncIterator[bytes]:
        yield head
        for start in range(0, size, 1_000_000):
            yield bytes(min(1_000_000, size - start))
        yield FORM_TAIL

    answer = await alice.http.post("/v1/files", content=body(left + 1), headers=headers)
    assert (answer.status_code, code_of(answer)) == (507, "quota-exceeded")
    answer = await alice.http.post("/v1/files", content=body(left), headers=headers)
    assert answer.status_code == 201
    assert await alice.usage() == (left, settings.max_file_bytes)


@pytest.mark.parametrize("with_length", [True, False])
@pytest.mark.parametrize("pieces", [0, 1, 5])
async def test_a_client_that_leaves_in_the_middle_leaves_nothing_behind(
    world: World, pieces: int, *, with_length: bool
) -> None:
    alice = await world.person()
    headers, head = form_head()

    async def body() -> AsyncIterator[bytes]:
        yield head
        for _ in range(pieces):
            yield bytes(700_000)

    said = {"content-length": "20000000"} if with_length else {}
    request = Exchange(
        "POST", "/v1/files", {**dict(alice.http.headers), **headers, **said}, body(),
        breaks_off=True,
    )  # fmt: skip
    await request.run(world.app)
    assert request.status == 400
    await nothing_is_left(world, alice)


async def test_a_form_that_never_ends_leaves_nothing_behind(world: World) -> None:
    alice = await world.person()
    headers, head = form_head()
    answer = await alice.http.post("/v1/files", content=head + bytes(500_000), headers=headers)
    assert (answer.status_code, code_of(answer)) == (400, "body-broken")
    await nothing_is_left(world, alice)


async def test_a_cancelled_request_leaves_nothing_behind(world: World) -> None:
    alice = await world.person()
    headers, head = form_head()
    begun = asyncio.Event()

    async def body() -> AsyncIterator[bytes]:
        yield head + bytes(3_000_000)
        begun.set()
        await asyncio.Event().wait()

    uploading = asyncio.create_task(alice.http.post("/v1/files", content=body(), headers=headers))
    await begun.wait()
    uploading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await uploading
    await nothing_is_left(world, alice)


async def test_a_store_that_fails_leaves_nothing_behind(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    alice = await world.person()

    async def fails(*_: object) -> None:
        raise StoreUnavailable

    with monkeypatch.context() as broken:
        broken.setattr(world.parts.store, "put", fails)
        answer = await alice.try_upload(b"x")
    assert (answer.status_code, code_of(answer)) == (503, "storage-unavailable")
    assert answer.headers["retry-after"] == "1"
    await nothing_is_left(world, alice)


async def test_what_was_put_behind_a_row_that_is_gone_is_deleted(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The owner is erased, or the lease runs out, while the last bytes come in."""
    alice = await world.person()
    real = world.parts.store.put

    async def slow(*arguments: object) -> object:
        stored = await real(*arguments)  # type: ignore[arg-type]  # passed on as they come
        async with world.app.state.work.begin() as unit:
            for upload in await unit.session.exec(
                select(Upload).where(Upload.owner_id == alice.id)
            ):
                await unit.session.delete(upload)
        return stored

    monkeypatch.setattr(world.parts.store, "put", slow)
    answer = await alice.try_upload(b"x")
    assert (answer.status_code, code_of(answer)) == (400, "body-broken")
    await world.left(0)


async def test_a_deletion_is_done_twice_for_writes_that_were_under_way(world: World) -> None:
    alice = await world.person()
    file = await alice.upload(b"x")
    await alice.http.delete(f"/v1/files/{file['id']}")
    await world.left(0)
    async with asyncio.timeout(GIVE_UP_SECONDS):
        while len(left := await world.deletions(file)) > 1:  # noqa: ASYNC110 - rows tell nobody
            await asyncio.sleep(0.01)
    assert left[0].due_at > world.app.state.work.now() + timedelta(minutes=15)


# --- memory --------------------------------------------------------------------------------------


async def test_a_large_file_passes_in_pieces_both_ways(world: World) -> None:
    """64 MiB in and out, and never more than a few of them in memory."""
    alice = await world.person()
    size, piece = 64 * 1024 * 1024, bytes(range(256)) * 256
    headers, head = form_head()

    async def body() -> AsyncIterator[bytes]:
        yield head
        for _ in range(size // len(piece)):
            yield piece
        yield FORM_TAIL

    everything = {**dict(alice.http.headers), **headers}
    tracemalloc.start()
    try:
        sent = await Exchange("POST", "/v1/files", everything, body()).run(world.app)
        assert sent.status == 201
        _, peak_in = tracemalloc.get_traced_memory()
        [file] = (await alice.http.get("/v1/files")).json()["items"]
        tracemalloc.reset_peak()
        path = f"/v1/files/{file['id']}/content"
        got = await Exchange("GET", path, dict(alice.http.headers)).run(world.app)
        _, peak_out = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert (got.status, got.got_bytes) == (200, size)
    assert got.digest.hexdigest() == file["sha256"]
    assert got.largest_piece <= 256 * 1024
    assert peak_in < 16 * 1024 * 1024
    assert peak_out < 8 * 1024 * 1024


async def test_reading_stops_when_the_client_goes(world: World) -> None:
    alice = await world.person()
    file = await alice.upload(bytes(20_000_000))
    path = f"/v1/files/{file['id']}/content"
    got = await Exchange("GET", path, dict(alice.http.headers), leaves_after_bytes=1_000_000).run(
        world.app
    )
    assert 1_000_000 <= got.got_bytes < 3_000_000


async def test_what_is_stored_is_the_wire_shape_of_the_contract(world: World) -> None:
    alice = await world.person()
    file = await alice.upload(b"x")
    await wait_until(lambda: world.told(file))
    assert set(msgspec.json.decode(world.told(file)[0].data)) == {
        "file_id", "owner_id", "size_bytes", "media_type", "sha256",
    }  # fmt: skip
