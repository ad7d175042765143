"""Small things that larger ones rest upon."""

import asyncio
import os
import threading
from collections.abc import AsyncIterator
from functools import partial
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.storage.tests.store_contract import pieces_of
from sharezync_shared.ids import uuid7
from sharezync_shared.threads import IoThreads
from sharezync_storage.keys import checked, file_key, upload_key
from sharezync_storage.stores.pieces import blocks, in_order
from sharezync_storage.stores.port import ChunkPlan


@given(st.uuids())
def test_keys_are_made_of_ids_alone(blob_id: UUID) -> None:
    for key in (file_key(blob_id), upload_key(blob_id)):
        assert checked(key) == key
    assert checked(segment := f"{upload_key(blob_id)}/000001-1-0") == segment
    with pytest.raises(ValueError, match="is no key"):
        checked(f"{upload_key(blob_id)}/../x")
        assert key.endswith(blob_id.hex)


def test_keys_of_one_moment_are_spread() -> None:
    shards = {file_key(uuid7()).split("/")[1] for _ in range(1000)}
    assert len(shards) > 200


@given(st.lists(st.binary(max_size=50)), st.integers(1, 64))
async def test_exact_blocks_are_exact(pieces: list[bytes], size: int) -> None:
    async def source() -> AsyncIterator[bytes]:
        for piece in pieces:
            yield piece

    made = [b"".join(block) async for block in blocks(source(), size)]
    assert b"".join(made) == b"".join(pieces)
    assert all(len(block) == size for block in made[:-1])
    assert all(0 < len(block) <= size for block in made)


async def test_blocks_are_passed_on_as_soon_as_they_are_full() -> None:
    made = [len(b"".join(block)) async for block in blocks(pieces_of(bytes(1000), 300), 500)]
    assert made == [500, 500]


@given(st.integers(0, 5000), st.integers(1, 700))
def test_a_plan_covers_every_byte_once(size: int, chunk_size: int) -> None:
    plan = ChunkPlan("", size, chunk_size)
    end = 0
    for index in range(plan.count):
        assert plan.offset(index) == end
        assert 1 <= plan.length(index) <= chunk_size
        end += plan.length(index)
    assert end == size


async def test_calls_are_bounded_and_their_results_in_order() -> None:
    running = most = 0

    async def call(number: int) -> int:
        nonlocal running, most
        running += 1
        most = max(most, running)
        for _ in range(10 - number):
            await asyncio.sleep(0)
        running -= 1
        return number

    assert await in_order([partial(call, n) for n in range(10)], 3) == list(range(10))
    assert most <= 3


async def test_the_first_failure_ends_the_others() -> None:
    ended: list[str] = []

    async def stuck() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append("stuck")

    async def fails() -> None:
        raise RuntimeError("no")

    with pytest.raises(RuntimeError, match="no"):
        await in_order([stuck, fails, stuck, stuck], 2)
    assert ended == ["stuck"]


async def test_who_is_cancelled_waits_for_the_thread_and_gives_back_what_it_made() -> None:
    threads = IoThreads("test")
    go, undone = threading.Event(), []

    def slow() -> int:
        go.wait(5)
        return os.dup(0)

    def undo(fd: int) -> None:
        os.close(fd)
        undone.append(fd)

    task = asyncio.create_task(threads.run(slow, undo=undo))
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.sleep(0)
    task.cancel()  # however often
    assert not task.done()
    go.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert len(undone) == 1
    threads.close()
