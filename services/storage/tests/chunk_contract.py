"""What every store promises of chunks: see `stores/port.py`."""

import asyncio
import os

import pytest

from services.storage.tests.store_support import MIB, cut, plan_for, read, sha256, write
from sharezync_shared.ids import uuid7
from sharezync_storage.errors import ChunkCorrupt
from sharezync_storage.keys import file_key
from sharezync_storage.stores.port import NoSuchBlob, UploadStore
from sharezync_storage.stores.s3 import PART_BYTES


class ChunkContract:
    """Subclass it with a fixture `store` that gives a started, empty store."""

    async def test_a_chunk_is_read_as_soon_as_it_is_written(self, store: UploadStore) -> None:
        data = os.urandom(250_000)
        plan = plan_for(data, 100_000)
        chunks = cut(plan, data)
        await store.begin_chunks(plan)
        for index in (2, 0):  # out of order
            await write(store, plan, index, chunks[index])
            assert await store.read_chunk(plan, index, sha256(chunks[index])) == chunks[index]

    @pytest.mark.parametrize(
        ("size", "chunk_size"),
        [
            (0, 1000),
            (1, 1000),
            (1000, 1000),
            (250_000, 100_000),
            (2 * PART_BYTES + 77, MIB),  # S3 must join chunks
            (2 * PART_BYTES + 77, MIB + 1),
            (11 * MIB + 5, 5 * MIB),  # S3 can copy chunks
        ],
    )
    async def test_assembled_chunks_are_the_blob(
        self, store: UploadStore, size: int, chunk_size: int
    ) -> None:
        data, key = os.urandom(size), file_key(uuid7())
        plan = plan_for(data, chunk_size)
        chunks = cut(plan, data)
        await store.begin_chunks(plan)
        await asyncio.gather(*(write(store, plan, i, c) for i, c in enumerate(chunks)))
        digests = [sha256(chunk) for chunk in chunks]
        await store.assemble_chunks(plan, key, digests)
        assert await read(store, key) == data
        await store.assemble_chunks(plan, key, digests)  # idempotent
        await store.discard(plan.key)
        assert await read(store, key) == data
        await store.assemble_chunks(plan, key, digests)  # even then
        assert await read(store, key) == data

    async def test_many_may_assemble_at_once(self, store: UploadStore) -> None:
        data, key = os.urandom(9 * MIB), file_key(uuid7())
        plan = plan_for(data, MIB)
        chunks = cut(plan, data)
        await store.begin_chunks(plan)
        await asyncio.gather(*(write(store, plan, i, c) for i, c in enumerate(chunks)))
        digests = [sha256(chunk) for chunk in chunks]
        await asyncio.gather(*(store.assemble_chunks(plan, key, digests) for _ in range(3)))
        assert await read(store, key) == data

    async def test_a_chunk_with_another_digest_is_refused(self, store: UploadStore) -> None:
        plan = plan_for(bytes(2000), 1000)
        await store.begin_chunks(plan)
        good, bad = os.urandom(1000), os.urandom(1000)
        await write(store, plan, 0, good)
        with pytest.raises(ChunkCorrupt):
            await store.write_chunk(plan, 0, [bad], sha256(good))
        assert await store.read_chunk(plan, 0, sha256(good)) == good

    async def test_chunks_that_are_not_there_can_not_be_read_or_assembled(
        self, store: UploadStore
    ) -> None:
        plan = plan_for(bytes(2000), 1000)
        with pytest.raises(NoSuchBlob):
            await store.read_chunk(plan, 0, sha256(bytes(1000)))
        with pytest.raises(NoSuchBlob):
            await store.assemble_chunks(plan, file_key(uuid7()), [sha256(bytes(1000))] * 2)

    async def test_discarded_chunks_are_gone(self, store: UploadStore) -> None:
        plan = plan_for(bytes(2000), 1000)
        await store.begin_chunks(plan)
        await write(store, plan, 1, bytes(1000))
        await store.discard(plan.key)
        await store.discard(plan.key)
        with pytest.raises(NoSuchBlob):
            await store.read_chunk(plan, 1, sha256(bytes(1000)))

    async def test_a_chunk_of_very_many_pieces_is_written(self, store: UploadStore) -> None:
        data = os.urandom(3000)
        plan = plan_for(data, 3000)
        await store.begin_chunks(plan)
        await store.write_chunk(plan, 0, [data[i : i + 1] for i in range(3000)], sha256(data))
        assert await store.read_chunk(plan, 0, sha256(data)) == data

    async def test_a_cancelled_chunk_does_not_disturb_the_others(self, store: UploadStore) -> None:
        data = os.urandom(64 * 50_000)
        plan = plan_for(data, 50_000)
        chunks = cut(plan, data)
        await store.begin_chunks(plan)
        writes = [asyncio.create_task(write(store, plan, i, c)) for i, c in enumerate(chunks)]
        for index in range(0, 64, 2):
            await asyncio.sleep(0)
            writes[index].cancel()
        done = await asyncio.gather(*writes, return_exceptions=True)
        for index, chunk in enumerate(chunks):
            if done[index] is None:
                assert await store.read_chunk(plan, index, sha256(chunk)) == chunk
            else:
                await write(store, plan, index, chunk)
        key = file_key(uuid7())
        await store.assemble_chunks(plan, key, [sha256(chunk) for chunk in chunks])
        assert await read(store, key) == data
