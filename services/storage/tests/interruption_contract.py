"""What every store promises of writers that pause, break off, or are told no: `stores/port.py`."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import suppress

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
from sharezync_storage.keys import file_key, upload_key
from sharezync_storage.stores.object_uploads import SEGMENT_BYTES
from sharezync_storage.stores.port import Extent, UploadStore

HELD_BYTES = 24 * MIB
RECORDED_BYTES = 16 * MIB


class Stalled:
    """A client that sends `data` and then nothing, until it is told to leave."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self.sent = asyncio.Event()
        self.leave = asyncio.Event()

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for piece in pieces_of(self._data):
            yield piece
        self.sent.set()
        await self.leave.wait()


class InterruptionContract:
    """Subclass it with a fixture `store` that gives a started, empty store."""

    async def test_a_pause_is_recorded_and_the_writer_goes_on(self, store: UploadStore) -> None:
        first, second, key = os.urandom(100_001), os.urandom(50_000), upload_key(uuid7())
        record, recorded = Record(), asyncio.Event()

        async def pausing() -> AsyncIterator[bytes]:
            yield first
            await recorded.wait()
            yield second

        async def keep(extent: Extent) -> bool:
            recorded.set()
            return await record.keep(extent)

        await store.append(key, pausing(), start=Extent(), epoch=1, kept=keep)
        assert record.steps == [len(first), len(first) + len(second)]
        assert await read_extent(store, key, record.extent) == first + second

    async def test_what_came_before_a_broken_body_is_recorded(self, store: UploadStore) -> None:
        data, key, record = os.urandom(3 * MIB + 5), upload_key(uuid7()), Record()
        with pytest.raises(Interrupted):
            await store.append(key, interrupted(data), start=Extent(), epoch=1, kept=record.keep)
        assert record.extent.size_bytes == len(data)
        assert await read_extent(store, key, record.extent) == data

    @pytest.mark.parametrize("times", [1, 30])
    async def test_what_came_before_a_cancellation_is_recorded(
        self, store: UploadStore, times: int
    ) -> None:
        """However often: some cancel again and again until one has ended."""
        data, key, record = os.urandom(SEGMENT_BYTES + 3), upload_key(uuid7()), Record()
        client = Stalled(data)
        writing = asyncio.create_task(
            store.append(key, aiter(client), start=Extent(), epoch=1, kept=record.keep)
        )
        await client.sent.wait()
        for _ in range(times):
            writing.cancel()
            await asyncio.sleep(0)
        with pytest.raises(asyncio.CancelledError):
            await writing
        assert record.extent.size_bytes == len(data)
        assert await read_extent(store, key, record.extent) == data

    async def test_one_cancelled_before_it_began_ends(self, store: UploadStore) -> None:
        record = Record()
        writing = asyncio.create_task(
            store.append(
                upload_key(uuid7()), pieces_of(b"x"), start=Extent(), epoch=1, kept=record.keep
            )
        )
        await asyncio.sleep(0)
        writing.cancel()
        with suppress(asyncio.CancelledError):
            await writing
        assert record.steps in ([], [1])

    @pytest.mark.parametrize("refuses", [1, SEGMENT_BYTES + 1])
    async def test_a_refused_record_ends_the_write_and_the_next_writer_wins(
        self, store: UploadStore, refuses: int
    ) -> None:
        lost, data, key = (
            os.urandom(3 * SEGMENT_BYTES),
            os.urandom(2 * SEGMENT_BYTES + 1),
            upload_key(uuid7()),
        )
        record = Record(refuses=refuses)
        taken = 0

        async def watched() -> AsyncIterator[bytes]:
            nonlocal taken
            for _ in range(20):
                async for piece in pieces_of(lost):
                    taken += len(piece)
                    yield piece

        with pytest.raises(PreEmpted):
            await store.append(key, watched(), start=Extent(), epoch=1, kept=record.keep)
        assert taken <= refuses + RECORDED_BYTES + HELD_BYTES
        record.refuses = None
        begun = record.extent.size_bytes
        await append(store, key, data, record, epoch=2)
        expected = lost[:begun] + data
        assert await read_extent(store, key, record.extent) == expected
        await store.assemble([(key, record.extent)], blob := file_key(uuid7()))
        assert await read(store, blob) == expected

    async def test_what_nobody_recorded_never_counts(self, store: UploadStore) -> None:
        """Even where the next one has fewer bytes to write."""
        key, record = upload_key(uuid7()), Record(refuses=1)
        with pytest.raises(PreEmpted):
            await append(store, key, os.urandom(100_000), record)
        record.refuses = None
        await append(store, key, b"short", record, epoch=2)
        assert await read_extent(store, key, record.extent) == b"short"
        await store.assemble([(key, record.extent)], blob := file_key(uuid7()))
        assert await store.size(blob) == 5
        assert await read(store, blob) == b"short"

    @pytest.mark.parametrize("size", [9, SEGMENT_BYTES, 2 * SEGMENT_BYTES + 9])
    async def test_bytes_that_do_not_count_leave_the_record_as_it_was(
        self, store: UploadStore, size: int
    ) -> None:
        """A body with a checksum counts at its end, or not at all."""
        data, key = os.urandom(MIB + 1), upload_key(uuid7())
        record = await append(store, key, data)
        record.counts = False
        with pytest.raises(Interrupted):
            await store.append(
                key, interrupted(os.urandom(size)), start=record.extent, epoch=2, kept=record.keep
            )
        assert record.told[-1].size_bytes == len(data) + size
        assert await read_extent(store, key, record.extent) == data
        record.counts = True
        await append(store, key, b"right", record, epoch=3)
        assert await read_extent(store, key, record.extent) == data + b"right"

    @pytest.mark.parametrize("size", [9, SEGMENT_BYTES, 2 * SEGMENT_BYTES + 9])
    async def test_bytes_that_count_only_at_the_end_are_told_again_then(
        self, store: UploadStore, size: int
    ) -> None:
        first, second, key = os.urandom(MIB + 1), os.urandom(size), upload_key(uuid7())
        record = await append(store, key, first)
        record.counts = False

        in_vain = asyncio.Event()

        async def checked() -> AsyncIterator[bytes]:
            yield second
            await in_vain.wait()
            record.counts = True

        async def keep(extent: Extent) -> bool:
            if extent.size_bytes == len(first) + len(second):
                in_vain.set()
            return await record.keep(extent)

        await store.append(key, checked(), start=record.extent, epoch=2, kept=keep)
        assert record.extent.size_bytes == len(first) + len(second)
        assert await read_extent(store, key, record.extent) == first + second
