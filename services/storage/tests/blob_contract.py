"""What every store promises of whole blobs: see `stores/port.py`."""

import asyncio
import os
from collections.abc import AsyncIterator

import pytest

from services.storage.tests.store_support import (
    MIB,
    Interrupted,
    interrupted,
    pieces_of,
    read,
    sha256,
)
from sharezync_shared.ids import uuid7
from sharezync_storage.keys import file_key
from sharezync_storage.stores.port import PIECE_BYTES, BlobStore, LocalFiles, NoSuchBlob
from sharezync_storage.stores.s3 import PART_BYTES


class BlobContract:
    """Subclass it with a fixture `store` that gives a started, empty store."""

    @pytest.mark.parametrize("size", [0, 1, PIECE_BYTES - 1, PIECE_BYTES, 3 * MIB + 17])
    async def test_what_was_put_is_read_back_counted_and_hashed(
        self, store: BlobStore, size: int
    ) -> None:
        data, key = os.urandom(size), file_key(uuid7())
        stored = await store.put(key, pieces_of(data))
        assert (stored.size_bytes, stored.sha256) == (size, sha256(data))
        assert await store.size(key) == size
        assert await read(store, key) == data

    async def test_a_blob_larger_than_a_part_of_s3_is_read_back(self, store: BlobStore) -> None:
        data, key = os.urandom(2 * PART_BYTES + 5), file_key(uuid7())
        stored = await store.put(key, pieces_of(data, 300_001))
        assert (stored.size_bytes, stored.sha256) == (len(data), sha256(data))
        assert await read(store, key) == data
        assert await read(store, key, PART_BYTES - 3, 6) == data[PART_BYTES - 3 : PART_BYTES + 3]

    async def test_exactly_a_part_of_s3_is_read_back(self, store: BlobStore) -> None:
        data, key = os.urandom(PART_BYTES), file_key(uuid7())
        assert (await store.put(key, pieces_of(data))).size_bytes == PART_BYTES
        assert await read(store, key) == data

    @pytest.mark.parametrize(
        ("offset", "length"),
        [(0, 1), (999_999, 1), (0, 1_000_000), (5, 0), (123_456, 654_321), (400_000, None)],
    )
    async def test_ranges_are_read(self, store: BlobStore, offset: int, length: int | None) -> None:
        data, key = os.urandom(1_000_000), file_key(uuid7())
        await store.put(key, pieces_of(data))
        end = len(data) if length is None else offset + length
        assert await read(store, key, offset, length) == data[offset:end]

    async def test_a_file_of_this_machine_is_the_blob(self, store: BlobStore) -> None:
        """Where the store has such files at all."""
        data, key = os.urandom(1_000_000), file_key(uuid7())
        await store.put(key, pieces_of(data))
        if isinstance(store, LocalFiles):
            async with store.open_file(key) as file:
                assert file.read() == data
            with pytest.raises(NoSuchBlob):
                async with store.open_file(file_key(uuid7())):
                    pass

    async def test_a_reader_may_stop_in_the_middle(self, store: BlobStore) -> None:
        data, key = os.urandom(3 * MIB), file_key(uuid7())
        await store.put(key, pieces_of(data))
        async with store.open(key) as pieces:
            first = await anext(pieces)
        assert data.startswith(first)
        assert await read(store, key) == data

    async def test_what_is_not_there_can_not_be_read(self, store: BlobStore) -> None:
        key = file_key(uuid7())
        with pytest.raises(NoSuchBlob):
            await store.size(key)
        with pytest.raises(NoSuchBlob):
            await read(store, key)
        with pytest.raises(NoSuchBlob):
            await read(store, key, 0, 0)

    @pytest.mark.parametrize("size", [100_000, 2 * PART_BYTES])
    async def test_a_broken_put_leaves_nothing_to_read(self, store: BlobStore, size: int) -> None:
        data, key = os.urandom(size), file_key(uuid7())
        with pytest.raises(Interrupted):
            await store.put(key, interrupted(data))
        with pytest.raises(NoSuchBlob):
            await store.size(key)
        await store.put(key, pieces_of(data))  # a retry is welcome
        assert await read(store, key) == data

    async def test_a_cancelled_put_leaves_nothing_to_read(self, store: BlobStore) -> None:
        key = file_key(uuid7())
        begun = asyncio.Event()

        async def stalled() -> AsyncIterator[bytes]:
            yield bytes(3 * MIB)
            begun.set()
            await asyncio.Event().wait()

        putting = asyncio.create_task(store.put(key, stalled()))
        await begun.wait()
        putting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await putting
        with pytest.raises(NoSuchBlob):
            await store.size(key)

    async def test_deleting_is_idempotent(self, store: BlobStore) -> None:
        key = file_key(uuid7())
        await store.put(key, pieces_of(b"x"))
        await store.delete(key)
        await store.delete(key)
        with pytest.raises(NoSuchBlob):
            await store.size(key)

    async def test_tidying_leaves_the_blob_and_is_idempotent(self, store: BlobStore) -> None:
        data, key = os.urandom(PART_BYTES + 1), file_key(uuid7())
        await store.tidy(key)  # there may be nothing at all
        with pytest.raises(NoSuchBlob):
            await store.size(key)
        await store.put(key, pieces_of(data))
        for _ in range(2):
            await store.tidy(key)
            assert await read(store, key) == data

    async def test_after_a_put_broke_off_tidying_is_in_nobodys_way(self, store: BlobStore) -> None:
        data, key = os.urandom(PART_BYTES + 1), file_key(uuid7())
        with pytest.raises(Interrupted):
            await store.put(key, interrupted(data))
        await store.tidy(key)
        with pytest.raises(NoSuchBlob):
            await store.size(key)
        await store.put(key, pieces_of(data))
        await store.tidy(key)
        assert await read(store, key) == data

    @pytest.mark.parametrize("key", ["", "files", "../../etc/passwd", "files/ab/x", "/etc/passwd"])
    async def test_keys_of_others_are_refused(self, store: BlobStore, key: str) -> None:
        with pytest.raises(ValueError, match="is no key"):
            await store.put(key, pieces_of(b"x"))
        with pytest.raises(ValueError, match="is no key"):
            await read(store, key)
        with pytest.raises(ValueError, match="is no key"):
            await store.delete(key)
        with pytest.raises(ValueError, match="is no key"):
            await store.tidy(key)
