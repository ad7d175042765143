"""`Idempotency-Key` where uploads begin: the same request again leads to the same upload."""

import asyncio
import base64
import hashlib
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import httpx
import pytest

from services.storage.tests.holding import Clock
from services.storage.tests.support import Exchange, Json, Person, World, code_of
from sharezync_storage.errors import StoreUnavailable
from sharezync_testkit.tus.client import OFFSET_STREAM, UPLOADS, VERSION, Tus, metadata
from sharezync_testkit.waiting import GIVE_UP_SECONDS

DATA = b"hello world"
NAMED = metadata(filename="hello.txt")


@pytest.fixture
def tus(alice: Person) -> Tus:
    return Tus(alice.http)


def begun_at(answer: httpx.Response) -> tuple[str, str | None]:
    """Return the upload's URL, and where it stands."""
    assert answer.status_code == 201, answer.text
    return answer.headers["location"], answer.headers.get("upload-offset")


async def break_off(world: World, tus: Tus, *pieces: bytes, key: str | None, **fields: Any) -> int:
    """Begin an upload whose body breaks off after these pieces; returns the status."""

    async def coming() -> AsyncIterator[bytes]:
        for piece in pieces:
            yield piece

    return await create_with(world, tus, coming(), key=key, **fields)


async def create_with(
    world: World, tus: Tus, pieces: AsyncIterator[bytes], *, key: str | None = "k", **fields: Any
) -> int:
    """Begin an upload with a body that ends when its client leaves; returns the status."""
    headers = {
        "authorization": tus.http.headers["authorization"],
        "tus-resumable": VERSION,
        "content-type": OFFSET_STREAM,
        "content-length": str(len(DATA)),
        "upload-length": str(len(DATA)),
        **({"idempotency-key": key} if key else {}),
        **{name.replace("_", "-"): str(value) for name, value in fields.items()},
    }
    exchange = Exchange("POST", UPLOADS, headers, pieces, breaks_off=True)
    return (await exchange.run(world.app)).status


async def test_the_same_request_again_is_answered_with_the_same_upload(
    world: World, tus: Tus
) -> None:
    asked: Json = {"upload_metadata": NAMED, "idempotency_key": "k"}
    url, offset = begun_at(await tus.create(11, **asked))
    assert offset is None
    assert begun_at(await tus.create(11, **asked)) == (url, "0")
    assert await tus.usage() == (0, 11)
    assert begun_at(await tus.create(11, **{**asked, "idempotency_key": "other"}))[0] != url
    assert begun_at(await tus.create(11, upload_metadata=NAMED))[0] != url
    theirs = Tus((await world.person()).http)
    assert begun_at(await theirs.create(11, **asked))[0] != url


async def test_wherever_it_stands_by_then(tus: Tus) -> None:
    url, _ = begun_at(await tus.create(11, idempotency_key="k"))
    await tus.patch(url, 0, DATA[:5])
    assert begun_at(await tus.create(11, idempotency_key="k")) == (url, "5")
    await tus.patch(url, 5, DATA[5:])
    assert begun_at(await tus.create(11, idempotency_key="k")) == (url, "11")
    await tus.became(url, DATA)


async def test_asked_at_the_same_time_one_upload_begins(tus: Tus) -> None:
    asking = (tus.create(11, idempotency_key="k") for _ in range(8))
    answers = await asyncio.gather(*asking)
    assert len({begun_at(answer)[0] for answer in answers}) == 1
    assert await tus.usage() == (0, 11)


@pytest.mark.parametrize(
    "other",
    [
        {"upload_length": 12},
        {"upload_metadata": metadata(filename="other.txt")},
        {"upload_metadata": None},
        {"upload_concat": "partial"},
    ],
    ids=repr,
)
async def test_another_request_with_the_same_key_is_refused(tus: Tus, other: Json) -> None:
    asked: Json = {"upload_length": 11, "upload_metadata": NAMED, "idempotency_key": "k"}
    url, _ = begun_at(await tus.create(**asked))
    answer = await tus.create(**{**asked, **other})
    assert (answer.status_code, code_of(answer)) == (409, "conflict")
    assert await tus.usage() == (0, 11)
    assert begun_at(await tus.create(**asked))[0] == url


async def test_a_length_that_was_deferred_may_have_been_told_since(tus: Tus) -> None:
    asked: Json = {"upload_defer_length": 1, "idempotency_key": "k"}
    url, _ = begun_at(await tus.create(**asked))
    answer = await tus.create(11, idempotency_key="k")
    assert (answer.status_code, code_of(answer)) == (409, "conflict")
    await tus.patch(url, 0, DATA, upload_length=11)
    assert begun_at(await tus.create(**asked)) == (url, "11")


async def test_a_key_is_for_one_source(tus: Tus) -> None:
    await tus.create(11, idempotency_key="tus")
    key = {"Idempotency-Key": "tus"}
    form = await tus.http.post("/v1/files", files={"file": DATA}, headers=key)
    assert (form.status_code, code_of(form)) == (409, "conflict")
    # Alike in all that an upload by signed URLs is compared by.
    body = {"name": "file", "mime": "application/octet-stream", "size_bytes": 11}
    direct = await tus.http.post("/v1/files/presigned", json=body, headers=key)
    assert (direct.status_code, code_of(direct)) == (409, "conflict")
    await tus.http.post("/v1/files/presigned", json=body, headers={"Idempotency-Key": "direct"})
    answer = await tus.create(11, idempotency_key="direct")
    assert (answer.status_code, code_of(answer)) == (409, "conflict")


@pytest.mark.parametrize("key", ["", "k" * 201])
async def test_a_key_has_a_length(tus: Tus, key: str) -> None:
    answer = await tus.create(11, idempotency_key=key)
    assert (answer.status_code, code_of(answer)) == (422, "invalid")


# --- with bytes --------------------------------------------------------------------------------


async def test_a_body_that_comes_again_is_stored_once(tus: Tus) -> None:
    for body in (DATA[:5], DATA):
        key = f"k{len(body)}"
        url, offset = begun_at(await tus.create(11, body, idempotency_key=key))
        assert offset == str(len(body))
        assert begun_at(await tus.create(11, body, idempotency_key=key)) == (url, offset)
        if len(body) < 11:
            await tus.patch(url, 5, DATA[5:])
        await tus.became(url, DATA)
        # And when it has gone further since.
        assert begun_at(await tus.create(11, body, idempotency_key=key)) == (url, "11")
    assert await tus.usage() == (22, 0)


@pytest.mark.parametrize("came", [[], [b"hello"], [b"he", b"llo w"], [DATA]], ids=repr)
async def test_of_a_body_that_broke_off_the_same_again_brings_the_rest(
    world: World, tus: Tus, came: list[bytes]
) -> None:
    await break_off(world, tus, *came, key="k")
    assert sum(await tus.usage()) == 11
    url, offset = begun_at(await tus.create(11, DATA, idempotency_key="k"))
    assert offset == "11"
    await tus.became(url, DATA)
    assert await tus.usage() == (11, 0)


async def test_a_body_that_has_stalled_makes_way_for_the_same_again(world: World, tus: Tus) -> None:
    began, enough = asyncio.Event(), asyncio.Event()

    async def stalling() -> AsyncIterator[bytes]:
        yield b"hello"
        began.set()
        await enough.wait()

    first = asyncio.create_task(create_with(world, tus, stalling()))
    await began.wait()
    async with asyncio.timeout(GIVE_UP_SECONDS):
        while (again := await tus.create(11, DATA, idempotency_key="k")).status_code == 423:
            pass  # until nothing has come of the first for long enough
    url, offset = begun_at(again)
    enough.set()
    assert await first == 423
    assert offset == "11"
    await tus.became(url, DATA)  # the first has taken nothing back


async def test_what_the_store_could_not_take_at_the_moment_may_come_again(
    world: World, tus: Tus, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def away(*_: object, **__: object) -> None:
        raise StoreUnavailable

    with monkeypatch.context() as broken:
        broken.setattr(type(world.parts.store), "append", away)
        refused = await tus.create(11, DATA, idempotency_key="k")
        assert (refused.status_code, code_of(refused)) == (503, "storage-unavailable")
    assert begun_at(await tus.create(11, DATA, idempotency_key="k"))[1] == "11"
    assert await tus.usage() == (11, 0)


async def test_who_asks_again_without_the_body_hears_where_to_go_on(world: World, tus: Tus) -> None:
    await break_off(world, tus, b"hello", key="k")
    assert begun_at(await tus.create(11, idempotency_key="k"))[1] == "5"


async def test_without_a_key_nothing_was_begun_where_a_body_breaks_off(
    world: World, tus: Tus
) -> None:
    await break_off(world, tus, b"hello", key=None)
    assert await tus.usage() == (0, 0)


async def test_with_a_checksum_all_of_the_body_counts_or_nothing(world: World, tus: Tus) -> None:
    right = base64.b64encode(hashlib.sha1(DATA).digest()).decode()
    asked: Json = {"upload_checksum": f"sha1 {right}", "idempotency_key": "k"}
    await break_off(world, tus, b"hello", key="k", upload_checksum=asked["upload_checksum"])
    assert begun_at(await tus.create(11, idempotency_key="k"))[1] == "0"
    wrong = await tus.create(11, b"hello earth", **asked)
    assert (wrong.status_code, code_of(wrong)) == (460, "checksum-mismatch")
    url, offset = begun_at(await tus.create(11, DATA, **asked))
    assert offset == "11"
    assert begun_at(await tus.create(11, DATA, **asked)) == (url, "11")
    await tus.became(url, DATA)


async def test_a_key_is_free_again_where_its_upload_was_refused(tus: Tus) -> None:
    wrong = f"sha1 {base64.b64encode(bytes(20)).decode()}"
    for _ in range(2):
        refused = await tus.create(11, DATA, idempotency_key="k", upload_checksum=wrong)
        assert (refused.status_code, code_of(refused)) == (460, "checksum-mismatch")
        assert await tus.usage() == (0, 0)
    begun_at(await tus.create(11, DATA, idempotency_key="k"))


# --- what has ended ------------------------------------------------------------------------------


async def test_what_has_ended_is_gone_for_its_key_too(tus: Tus, clock: Clock) -> None:
    for key in ("given up", "deleted"):
        url, _ = begun_at(await tus.create(11, DATA[:5], idempotency_key=key))
        if key == "deleted":
            await tus.patch(url, 5, DATA[5:])
        await tus.ask("DELETE", url)
        answer = await tus.create(11, idempotency_key=key)
        assert (answer.status_code, code_of(answer)) == (410, "upload-gone")
    await tus.create(11, idempotency_key="expired")
    clock.pass_by(timedelta(days=30))
    answer = await tus.create(11, idempotency_key="expired")
    assert (answer.status_code, code_of(answer)) == (410, "upload-gone")


# --- concatenation -------------------------------------------------------------------------------


async def test_parts_are_joined_once_for_each_key(tus: Tus) -> None:
    parts = [await tus.part(piece) for piece in (DATA[:5], DATA[5:])]
    asked: Json = {"upload_concat": f"final;{' '.join(parts)}", "idempotency_key": "k"}
    url, _ = begun_at(await tus.create(**asked))
    for part in parts:
        await tus.ask("DELETE", part)  # by now they are not needed
    assert begun_at(await tus.create(**asked)) == (url, "11")
    await tus.became(url, DATA)
    other: Json = {**asked, "upload_concat": f"final;{parts[0]}"}
    answer = await tus.create(**other)
    assert (answer.status_code, code_of(answer)) == (409, "conflict")
