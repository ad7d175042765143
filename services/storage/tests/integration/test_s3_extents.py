"""What comes from its start to its end, in a bucket: crashes, and writers in the way."""

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest

from services.storage.tests.store_support import (
    MIB,
    Interrupted,
    PreEmpted,
    Record,
    append,
    interrupted,
    pieces_of,
    read,
    read_extent,
)
from sharezync_shared.ids import uuid7
from sharezync_storage.errors import ContentDamaged, StoreUnavailable
from sharezync_storage.keys import file_key, upload_key
from sharezync_storage.stores import object_uploads as writing
from sharezync_storage.stores.port import Extent, NoSuchBlob
from sharezync_storage.stores.s3 import S3Store

SMALL = 50_000
CALLS = (
    "put", "size", "delete", "keys",
    "begin_parts", "put_part", "copy_part", "complete_parts", "abort_parts",
)  # fmt: skip


@pytest.fixture
def small_segments(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have many segments in few bytes; only joining them depends on their size."""
    monkeypatch.setattr(writing, "SEGMENT_BYTES", SMALL)


async def all_keys(store: S3Store) -> list[str]:
    return await store._bucket.keys("")


async def another(store: S3Store) -> S3Store:
    """Return a store of another process on the same bucket."""
    other = S3Store(store._bucket.name, store._bucket._settings)
    await other.start()
    return other


class Death:
    """The call number `at` to the bucket fails, before its effect or `after` it.

    All later ones fail too, as in a process that has died; with `once` only this one does.
    """

    def __init__(self, store: S3Store, at: int, *, after: bool, once: bool) -> None:
        self.happened = False
        self._calls = 0
        self._at = at
        self._after = after
        self._once = once
        for name in CALLS:
            setattr(store._bucket, name, self._mortal(getattr(store._bucket, name)))

    def _mortal(self, real: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
        async def call(*args: object, **more: object) -> Any:
            if self.happened and not self._once:
                raise StoreUnavailable
            mine, self._calls = self._calls, self._calls + 1
            if mine != self._at:
                return await real(*args, **more)
            self.happened = True
            if self._after:
                await real(*args, **more)
            raise StoreUnavailable

        return call


@pytest.mark.parametrize("once", [False, True])
@pytest.mark.parametrize("after", [False, True])
async def test_an_append_that_ends_at_any_call_loses_nothing_that_was_told(
    store: S3Store, small_segments: None, after: bool, once: bool
) -> None:
    data, more = os.urandom(2 * SMALL + 30_000), os.urandom(SMALL)
    for at in range(40):
        key, record, mortal = upload_key(uuid7()), Record(), await another(store)
        await append(store, key, data[:20_000], record)
        death = Death(mortal, at, after=after, once=once)
        try:
            await append(mortal, key, data[20_000:], record, epoch=2)
        except StoreUnavailable:
            assert death.happened
        finally:
            await mortal.aclose()
        begun = record.extent.size_bytes
        assert begun >= 20_000
        assert await read_extent(store, key, record.extent) == data[:begun]
        await append(store, key, more, record, epoch=3)
        await store.assemble([(key, record.extent)], blob := file_key(uuid7()))
        assert await read(store, blob) == data[:begun] + more
        await store.discard(key)
        assert await all_keys(store) == [blob]
        await store.delete(blob)
        if not death.happened:
            assert at >= 4
            return
    pytest.fail("it never came to its end")


@pytest.mark.slow
@pytest.mark.timeout(180)
@pytest.mark.parametrize("after", [False, True])
async def test_an_assembly_that_dies_at_any_call_can_be_repeated_elsewhere(
    store: S3Store, s3: Any, after: bool
) -> None:
    data = [os.urandom(size) for size in (5 * MIB, 4 * MIB, MIB, 70_000)]
    sources = []
    for part in data:
        key = upload_key(uuid7())
        sources.append((key, (await append(store, key, part)).extent))
    kept = await all_keys(store)
    left: list[int] = []
    for at in range(40):
        mortal, blob = await another(store), file_key(uuid7())
        death = Death(mortal, at, after=after, once=False)
        try:
            await mortal.assemble(sources, blob)
        except StoreUnavailable:
            assert death.happened
        finally:
            await mortal.aclose()
        await store.assemble(sources, blob)
        assert await read(store, blob) == b"".join(data)
        await store.delete(blob)  # with the parts that the dead one had begun
        assert await all_keys(store) == kept
        answer = await s3.list_multipart_uploads(Bucket=store._bucket.name)
        for one in answer.get("Uploads", []):
            left.append(at)
            await store._bucket.abort_parts(one["Key"], one["UploadId"])
        if not death.happened:
            assert at == 8  # looking, beginning, noting, copying, writing, completing, and two more
            break
    else:
        pytest.fail("it never came to its end")
    # Who dies between beginning and noting the id leaves what nobody can know of; nobody else.
    assert len(left) == 1
    for key, _ in sources:
        await store.discard(key)
    assert await all_keys(store) == []


async def test_a_pre_empted_writer_that_goes_on_changes_nothing(
    store: S3Store, small_segments: None
) -> None:
    """It is in another process, and hears of it only when it has something to record."""
    key, record, elsewhere = upload_key(uuid7()), Record(), await another(store)
    await append(store, key, b"A" * 20_000, record)
    start, taken_over = record.extent, asyncio.Event()
    stale = Record(extent=start, refuses=1)

    async def late() -> AsyncIterator[bytes]:
        yield b"X" * 1_000
        await taken_over.wait()
        async for piece in pieces_of(b"X" * 3 * SMALL):
            yield piece

    old = asyncio.create_task(elsewhere.append(key, late(), start=start, epoch=2, kept=stale.keep))
    for epoch in range(3, 6):
        await append(store, key, b"B" * (SMALL - 1), record, epoch=epoch)
    taken_over.set()
    with pytest.raises((PreEmpted, NoSuchBlob)):
        await old
    expected = b"A" * 20_000 + b"B" * (SMALL - 1) * 3
    assert await read_extent(store, key, record.extent) == expected
    await store.assemble([(key, record.extent)], blob := file_key(uuid7()))
    assert await read(store, blob) == expected
    await store.discard(key)
    assert await all_keys(store) == [blob]
    await elsewhere.aclose()


async def test_only_the_segments_on_record_are_kept(store: S3Store, small_segments: None) -> None:
    key, record, named = upload_key(uuid7()), Record(), list[str]()
    for epoch in range(1, 6):
        await append(store, key, os.urandom(SMALL // 3), record, epoch)
        named = [writing.segment_key(key, one) for one in record.extent.segments]
        assert await all_keys(store) == named
    record.counts = False  # a body with a checksum that is wrong
    with pytest.raises(Interrupted):
        await store.append(
            key, interrupted(bytes(2 * SMALL)), start=record.extent, epoch=9, kept=record.keep
        )
    assert await all_keys(store) == named


async def test_one_who_pauses_again_and_again_does_not_have_it_all_written_each_time(
    store: S3Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sharezync_storage.stores.read_ahead.PAUSE_SECONDS", 0.01)
    monkeypatch.setattr(writing, "_ANEW_BYTES_PER_SECOND", 0.001)
    record, recorded = Record(), asyncio.Event()

    async def dribbling() -> AsyncIterator[bytes]:
        yield bytes(100_000)
        await recorded.wait()
        for _ in range(20):
            yield b"."
            await asyncio.sleep(0.02)

    async def keep(extent: Extent) -> bool:
        recorded.set()
        return await record.keep(extent)

    await store.append(upload_key(uuid7()), dribbling(), start=Extent(), epoch=1, kept=keep)
    assert record.steps == [100_000, 100_020]


async def test_a_segment_that_is_not_what_the_record_says_is_noticed(
    store: S3Store, s3: Any
) -> None:
    key = upload_key(uuid7())
    record = await append(store, key, os.urandom(9 * MIB))
    last = writing.segment_key(key, record.extent.segments[-1])
    await s3.put_object(Bucket=store._bucket.name, Key=last, Body=b"short")
    with pytest.raises(ContentDamaged):
        await append(store, key, b"more", record, epoch=2)
    with pytest.raises(ContentDamaged):
        await read_extent(store, key, record.extent)
    with pytest.raises(ContentDamaged):
        await store.assemble([(key, record.extent)], file_key(uuid7()))
