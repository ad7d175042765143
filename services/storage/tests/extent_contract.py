"""What every store promises of what comes from its start to its end: see `stores/port.py`."""

import asyncio
import os
from collections.abc import AsyncIterator
from itertools import pairwise

import pytest

from services.storage.tests.store_support import (
    MIB,
    Record,
    append,
    pieces_of,
    read,
    read_extent,
)
from sharezync_shared.ids import uuid7
from sharezync_storage.keys import file_key, upload_key
from sharezync_storage.stores.object_uploads import SEGMENT_BYTES
from sharezync_storage.stores.port import Extent, NoSuchBlob, UploadStore

HELD_BYTES = 24 * MIB
RECORDED_BYTES = 16 * MIB


class ExtentContract:
    """Subclass it with a fixture `store` that gives a started, empty store."""

    @pytest.mark.parametrize("size", [0, 1, SEGMENT_BYTES, 2 * SEGMENT_BYTES + 77])
    async def test_what_was_appended_is_read_back_and_assembled(
        self, store: UploadStore, size: int
    ) -> None:
        data, key, blob = os.urandom(size), upload_key(uuid7()), file_key(uuid7())
        record = await append(store, key, data)
        assert await read_extent(store, key, record.extent) == data
        await store.assemble([(key, record.extent)], blob)
        assert await read(store, blob) == data
        await store.assemble([(key, record.extent)], blob)  # idempotent
        await store.discard(key)
        await store.assemble([(key, record.extent)], blob)  # even then
        assert await read(store, blob) == data

    async def test_appending_goes_on_where_the_record_says(self, store: UploadStore) -> None:
        data, key = os.urandom(SEGMENT_BYTES + 3 * MIB), upload_key(uuid7())
        cuts = [0, 1, 70_000, 70_000, 3 * MIB, SEGMENT_BYTES - 1, SEGMENT_BYTES + 1, len(data)]
        record = Record()
        for epoch, (begin, end) in enumerate(pairwise(cuts), start=1):
            await append(store, key, data[begin:end], record, epoch)
            assert await read_extent(store, key, record.extent) == data[:end]
        assert await read_extent(store, key, record.extent) == data

    @pytest.mark.parametrize("piece_bytes", [7 * MIB + 1, 64 * 1024])
    async def test_what_came_is_recorded_as_it_comes_and_little_is_held(
        self, store: UploadStore, piece_bytes: int
    ) -> None:
        data, key, record = os.urandom(40 * MIB), upload_key(uuid7()), Record()
        held = 0
        sent = 0

        async def watched() -> AsyncIterator[bytes]:
            nonlocal held, sent
            async for piece in pieces_of(data, piece_bytes):
                held = max(held, sent - record.extent.size_bytes)
                yield piece
                sent += len(piece)

        await store.append(key, watched(), start=Extent(), epoch=1, kept=record.keep)
        steps = [b - a for a, b in pairwise([0, *record.steps])]
        assert max(steps) <= RECORDED_BYTES
        # Taken and not yet recorded: what is held, and what the disk has and was not synced.
        assert held <= HELD_BYTES + piece_bytes
        assert await read_extent(store, key, record.extent) == data

    async def test_what_is_recorded_can_be_read_while_it_grows(self, store: UploadStore) -> None:
        data, key, record = os.urandom(SEGMENT_BYTES + 100_000), upload_key(uuid7()), Record()
        seen: list[bytes] = []

        async def keep(extent: Extent) -> bool:
            seen.append((await read_extent(store, key, extent))[-10:])
            return await record.keep(extent)

        await store.append(key, pieces_of(data), start=Extent(), epoch=1, kept=keep)
        assert seen == [data[step - 10 : step] for step in record.steps]

    @pytest.mark.parametrize(
        "sizes",
        [
            [],
            [0, 0],
            [3, 0, 4],
            [SEGMENT_BYTES],
            [6 * MIB, 6 * MIB],
            [SEGMENT_BYTES + 1, 5 * MIB, 3 * MIB, SEGMENT_BYTES, 1],
            [1, 2 * SEGMENT_BYTES + 1],
        ],
    )
    async def test_sources_become_one_blob_in_their_order(
        self, store: UploadStore, sizes: list[int]
    ) -> None:
        parts = [os.urandom(size) for size in sizes]
        sources = []
        for part in parts:
            key = upload_key(uuid7())
            sources.append((key, (await append(store, key, part)).extent))
        blob = file_key(uuid7())
        await asyncio.gather(*(store.assemble(sources, blob) for _ in range(2)))
        assert await read(store, blob) == b"".join(parts)
        for (key, extent), part in zip(sources, parts, strict=True):
            assert await read_extent(store, key, extent) == part
            await store.discard(key)
        assert await read(store, blob) == b"".join(parts)

    async def test_one_source_may_be_used_twice(self, store: UploadStore) -> None:
        data, key, blob = os.urandom(100_000), upload_key(uuid7()), file_key(uuid7())
        extent = (await append(store, key, data)).extent
        await store.assemble([(key, extent), (key, extent)], blob)
        assert await read(store, blob) == data + data

    async def test_extents_that_are_not_there_can_not_be_read_assembled_or_gone_on_with(
        self, store: UploadStore
    ) -> None:
        key, blob = upload_key(uuid7()), file_key(uuid7())
        record = await append(store, key, bytes(1000))
        await store.discard(key)
        await store.discard(key)
        with pytest.raises(NoSuchBlob):
            await read_extent(store, key, record.extent)
        with pytest.raises(NoSuchBlob):
            await store.assemble([(key, record.extent)], blob)
        with pytest.raises(NoSuchBlob):
            await store.size(blob)
        with pytest.raises(NoSuchBlob):
            await append(store, key, b"more", record, epoch=2)
