"""What every store promises, held against each of them: see `stores/port.py`."""

import asyncio
import hashlib
import os
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing

import pytest

from sharezync_shared.ids import uuid7
from sharezync_storage.keys import file_key, upload_key
from sharezync_storage.problems import ChunkCorrupt
from sharezync_storage.stores import PIECE_BYTES, BlobStore, ChunkPlan, NoSuchBlob
from sharezync_storage.stores.s3 import PART_BYTES

MIB = 1024 * 1024


def sha256(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()


async def pieces_of(data: bytes, size: int = 64 * 1024) -> AsyncGenerator[bytes]:
    for start in range(0, len(data), size):
        yield data[start : start + size]


async def read(store: BlobStore, key: str, offset: int = 0, length: int | None = None) -> bytes:
    async with store.open(key, offset=offset, length=length) as pieces:
        got = [piece async for piece in pieces]
    assert all(0 < len(piece) <= PIECE_BYTES for piece in got)
    return b"".join(got)


def cut(plan: ChunkPlan, data: bytes) -> list[bytes]:
    return [data[plan.offset(i) : plan.offset(i) + plan.length(i)] for i in range(plan.count)]


def plan_for(data: bytes, chunk_size_bytes: int) -> ChunkPlan:
    return ChunkPlan(upload_key(uuid7()), len(data), chunk_size_bytes)


async def write(store: BlobStore, plan: ChunkPlan, index: int, chunk: bytes) -> None:
    half = len(chunk) // 2
    await store.write_chunk(plan, index, [chunk[:half], chunk[half:]], sha256(chunk))


class Interrupted(Exception):
    """What a client that leaves in the middle looks like to the store."""


async def interrupted(data: bytes) -> AsyncIterator[bytes]:
    async with aclosing(pieces_of(data)) as pieces:
        async for piece in pieces:
            yield piece
    raise Interrupted


class StoreContract:
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

    @pytest.mark.parametrize("key", ["", "files", "../../etc/passwd", "files/ab/x", "/etc/passwd"])
    async def test_keys_of_others_are_refused(self, store: BlobStore, key: str) -> None:
        with pytest.raises(ValueError, match="is no key"):
            await store.put(key, pieces_of(b"x"))
        with pytest.raises(ValueError, match="is no key"):
            await read(store, key)
        with pytest.raises(ValueError, match="is no key"):
            await store.delete(key)

    # --- chunks -----------------------------------------------------------------------------

    async def test_a_chunk_is_read_as_soon_as_it_is_written(self, store: BlobStore) -> None:
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
    async def test_sealed_chunks_are_the_blob(
        self, store: BlobStore, size: int, chunk_size: int
    ) -> None:
        data, key = os.urandom(size), file_key(uuid7())
        plan = plan_for(data, chunk_size)
        chunks = cut(plan, data)
        await store.begin_chunks(plan)
        await asyncio.gather(*(write(store, plan, i, c) for i, c in enumerate(chunks)))
        digests = [sha256(chunk) for chunk in chunks]
        await store.seal(plan, key, digests)
        assert await read(store, key) == data
        await store.seal(plan, key, digests)  # idempotent
        await store.discard_chunks(plan.key)
        assert await read(store, key) == data
        await store.seal(plan, key, digests)  # even then
        assert await read(store, key) == data

    async def test_many_may_seal_at_once(self, store: BlobStore) -> None:
        data, key = os.urandom(9 * MIB), file_key(uuid7())
        plan = plan_for(data, MIB)
        chunks = cut(plan, data)
        await store.begin_chunks(plan)
        await asyncio.gather(*(write(store, plan, i, c) for i, c in enumerate(chunks)))
        digests = [sha256(chunk) for chunk in chunks]
        await asyncio.gather(*(store.seal(plan, key, digests) for _ in range(3)))
        assert await read(store, key) == data

    async def test_a_chunk_with_another_digest_is_refused(self, store: BlobStore) -> None:
        plan = plan_for(bytes(2000), 1000)
        await store.begin_chunks(plan)
        good, bad = os.urandom(1000), os.urandom(1000)
        await write(store, plan, 0, good)
        with pytest.raises(ChunkCorrupt):
            await store.write_chunk(plan, 0, [bad], sha256(good))
        assert await store.read_chunk(plan, 0, sha256(good)) == good

    async def test_chunks_that_are_not_there_can_not_be_read_or_sealed(
        self, store: BlobStore
    ) -> None:
        plan = plan_for(bytes(2000), 1000)
        with pytest.raises(NoSuchBlob):
            await store.read_chunk(plan, 0, sha256(bytes(1000)))
        with pytest.raises(NoSuchBlob):
            await store.seal(plan, file_key(uuid7()), [sha256(bytes(1000))] * 2)

    async def test_discarded_chunks_are_gone(self, store: BlobStore) -> None:
        plan = plan_for(bytes(2000), 1000)
        await store.begin_chunks(plan)
        await write(store, plan, 1, bytes(1000))
        await store.discard_chunks(plan.key)
        await store.discard_chunks(plan.key)
        with pytest.raises(NoSuchBlob):
            await store.read_chunk(plan, 1, sha256(bytes(1000)))

    async def test_a_chunk_of_very_many_pieces_is_written(self, store: BlobStore) -> None:
        data = os.urandom(3000)
        plan = plan_for(data, 3000)
        await store.begin_chunks(plan)
        await store.write_chunk(plan, 0, [data[i : i + 1] for i in range(3000)], sha256(data))
        assert await store.read_chunk(plan, 0, sha256(data)) == data

    async def test_a_cancelled_chunk_does_not_disturb_the_others(self, store: BlobStore) -> None:
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
        await store.seal(plan, key, [sha256(chunk) for chunk in chunks])
        assert await read(store, key) == data

    async def test_it_is_ready(self, store: BlobStore) -> None:
        assert await store.ready()
