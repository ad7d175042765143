"""Trouble of uploads that can be resumed: that which passes, and that which doesn't.

Clients of tus forget an upload at a 4xx, but for 409 and 423. So what passes is told as these or as
5xx, and all that came is kept.
"""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from uuid import UUID

import pytest

from services.storage.tests.holding import Clock
from services.storage.tests.support import Exchange, Person, World, code_of
from sharezync_storage.errors import StoreFull, StoreUnavailable
from sharezync_storage.settings import StorageSettings
from sharezync_testkit.tus.client import OFFSET_STREAM, VERSION, Tus

LENGTH = 1_000_000


@pytest.fixture
def tus(alice: Person) -> Tus:
    return Tus(alice.http)


def patching(
    tus: Tus, url: str, pieces: AsyncIterator[bytes], *, offset: int = 0, breaks_off: bool = False
) -> Exchange:
    """Return a PATCH whose body comes piece by piece."""
    headers = {
        "authorization": tus.http.headers["authorization"],
        "tus-resumable": VERSION,
        "content-type": OFFSET_STREAM,
        "upload-offset": str(offset),
    }
    return Exchange("PATCH", url, headers, pieces, breaks_off=breaks_off)


async def test_while_another_request_is_sending_it_is_423_and_come_again(
    world: World, tus: Tus
) -> None:
    url = await tus.new(LENGTH)
    begun, enough = asyncio.Event(), asyncio.Event()

    async def pieces() -> AsyncIterator[bytes]:
        while not enough.is_set():
            yield b"x" * 100
            begun.set()
            await asyncio.sleep(0.01)  # never long enough to have stalled

    writing = asyncio.create_task(patching(tus, url, pieces(), breaks_off=True).run(world.app))
    await begun.wait()
    answer = await tus.patch(url, 0, b"y")
    assert (answer.status_code, code_of(answer)) == (423, "upload-busy")
    assert int(answer.headers["retry-after"]) >= 1
    assert (await tus.head(url)).status_code == 200
    enough.set()
    await writing
    stored = await tus.offset(url)
    assert stored > 0
    assert (await tus.patch(url, stored, b"y")).status_code == 204


async def test_who_stalls_for_too_long_hears_that_it_may_go_on(
    world: World, tus: Tus, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sharezync_storage.api.bodies.IDLE_SECONDS", 0.2)
    url = await tus.new(LENGTH)

    async def pieces() -> AsyncIterator[bytes]:
        yield b"hello"
        await asyncio.Event().wait()

    exchange = await patching(tus, url, pieces()).run(world.app)
    assert exchange.status == 503  # to a client of tus a 408 would mean: forget the upload
    assert await tus.offset(url) == 5


async def test_who_leaves_in_the_middle_finds_all_that_came(world: World, tus: Tus) -> None:
    url = await tus.new(LENGTH)

    async def pieces() -> AsyncIterator[bytes]:
        yield b"hello"
        yield b" world"

    await patching(tus, url, pieces(), breaks_off=True).run(world.app)
    assert await tus.offset(url) == 11


async def test_a_store_that_can_not_be_reached_is_503_and_nothing_is_forgotten(
    world: World, tus: Tus, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = await tus.new(11, b"hello")
    before = await tus.usage()
    with monkeypatch.context() as broken:
        broken.setattr(type(world.parts.store), "append", _unreachable)
        answer = await tus.patch(url, 5, b" world")
        assert (answer.status_code, code_of(answer)) == (503, "storage-unavailable")
        assert "retry-after" in answer.headers
        created = await tus.create(5, b"hello")
        assert (created.status_code, code_of(created)) == (503, "storage-unavailable")
        assert await tus.usage() == before  # of what could not be begun nothing stays
    assert await tus.offset(url) == 5
    assert (await tus.patch(url, 5, b" world")).status_code == 204
    assert await tus.content(url) == b"hello world"


async def test_a_store_that_is_full_is_507(
    world: World, tus: Tus, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = await tus.new(11)
    monkeypatch.setattr(type(world.parts.store), "append", _full)
    answer = await tus.patch(url, 0, b"hello")
    assert (answer.status_code, code_of(answer)) == (507, "storage-full")
    assert await tus.offset(url) == 0


async def _unreachable(*_: object, **__: object) -> None:
    raise StoreUnavailable


async def _full(*_: object, **__: object) -> None:
    raise StoreFull


async def test_after_its_time_an_upload_is_410(tus: Tus, clock: Clock) -> None:
    """The Server SHOULD respond with 410 if it is keeping track of expired uploads."""
    url = await tus.new(11, b"hello")
    clock.pass_by(timedelta(days=30))
    assert (await tus.head(url)).status_code == 410
    for answer in (await tus.patch(url, 5, b" world"), await tus.http.get(url)):
        assert (answer.status_code, code_of(answer)) == (410, "upload-gone")
        assert "upload-offset" not in answer.headers


async def test_it_expires_later_when_more_comes(world: World, tus: Tus) -> None:
    url = await tus.new(11, b"hello")
    soon = datetime.now(UTC) + timedelta(minutes=1)
    pool = await world.app.state.core.database.pool()
    await pool.execute(
        "UPDATE storage.uploads SET expires_at = $2 WHERE id = $1",
        UUID(url.rpartition("/")[2]),
        soon,
    )
    answer = await tus.patch(url, 5, b" wo")
    later = parsedate_to_datetime(answer.headers["upload-expires"])
    assert later > soon + timedelta(days=1)
    assert (await tus.head(url)).headers["upload-expires"] == answer.headers["upload-expires"]


async def test_more_than_ones_quota_is_507(tus: Tus, settings: StorageSettings) -> None:
    half = settings.quota_bytes // 2 + 1
    assert (await tus.create(half)).status_code == 201
    answer = await tus.create(half)
    assert (answer.status_code, code_of(answer)) == (507, "quota-exceeded")
    assert answer.json()["wanted_bytes"] == half


async def test_of_an_unknown_length_no_more_comes_than_there_is_room_for(
    tus: Tus, settings: StorageSettings
) -> None:
    await tus.new(settings.max_file_bytes)
    room = settings.quota_bytes - settings.max_file_bytes
    url = await tus.new(upload_defer_length=1)
    answer = await tus.patch(url, 0, bytes(room + 1))
    assert (answer.status_code, code_of(answer)) == (507, "quota-exceeded")


class TestTooMany:
    @pytest.fixture
    def settings(self, settings: StorageSettings) -> StorageSettings:
        return settings.model_copy(update={"max_uploads_per_user": 3})

    async def test_uploads_of_one_user_are_429_until_some_are_over(self, tus: Tus) -> None:
        urls = [await tus.new(5) for _ in range(3)]
        answer = await tus.create(5)
        assert (answer.status_code, code_of(answer)) == (429, "too-many-uploads")
        assert "retry-after" in answer.headers
        await tus.ask("DELETE", urls[0])
        await tus.patch(urls[1], 0, b"hello")
        assert [(await tus.create(5)).status_code for _ in range(3)] == [201, 201, 429]


async def test_what_came_is_counted(world: World, tus: Tus) -> None:
    await tus.new(11, b"hello")
    counted = world.parts.metrics.tus_bytes
    assert sum(sample.value for metric in counted.collect() for sample in metric.samples) >= 5
