"""A bucket behind a line that is slow, breaks off, or is gone for a while."""

import asyncio
import os
from collections.abc import AsyncGenerator, AsyncIterator
from urllib.parse import urlsplit

import pytest
from structlog.testing import capture_logs

from services.storage.tests.buckets import settings_for
from services.storage.tests.store_support import (
    MIB,
    Record,
    append,
    cut,
    pieces_of,
    plan_for,
    read,
    read_extent,
    sha256,
    write,
)
from sharezync_shared.ids import uuid7
from sharezync_storage.errors import StoreUnavailable
from sharezync_storage.keys import file_key, upload_key
from sharezync_storage.stores.object_uploads import SEGMENT_BYTES
from sharezync_storage.stores.port import Extent
from sharezync_storage.stores.s3 import S3Store
from sharezync_testkit.chaos import ChaosProxy
from sharezync_testkit.servers import S3Server


@pytest.fixture
async def line(s3_server: S3Server) -> AsyncGenerator[ChaosProxy]:
    server = urlsplit(s3_server.endpoint_url)
    async with ChaosProxy((server.hostname or "", server.port or 0)) as line:
        yield line


@pytest.fixture
async def store(s3_server: S3Server, bucket: str, line: ChaosProxy) -> AsyncGenerator[S3Store]:
    settings = settings_for(s3_server, bucket).model_copy(
        update={"s3_endpoint_url": f"http://{line.host}:{line.port}"}
    )
    store = S3Store(bucket, settings)
    await store.start()
    yield store
    line.heal()
    await store.aclose()


async def test_a_slow_line_holds_the_sender_back_and_loses_nothing(
    store: S3Store, line: ChaosProxy
) -> None:
    data, key, record = os.urandom(2 * SEGMENT_BYTES + 5), upload_key(uuid7()), Record()
    line.latency(0.002)
    held = sent = 0

    async def watched() -> AsyncIterator[bytes]:
        nonlocal held, sent
        async for piece in pieces_of(data):
            sent += len(piece)
            held = max(held, sent - record.extent.size_bytes)
            yield piece

    await store.append(key, watched(), start=Extent(), epoch=1, kept=record.keep)
    assert held <= 2 * SEGMENT_BYTES + 128 * 1024
    assert await read_extent(store, key, record.extent) == data


async def test_connections_that_break_off_are_made_anew(store: S3Store, line: ChaosProxy) -> None:
    """Between segments and in the middle of one; the SDK tries again by itself."""
    data, key, record = os.urandom(3 * SEGMENT_BYTES), upload_key(uuid7()), Record()

    async def breaking() -> AsyncIterator[bytes]:
        sent = 0
        async for piece in pieces_of(data):
            yield piece
            sent += len(piece)
            if sent in {SEGMENT_BYTES, SEGMENT_BYTES + 4 * MIB, 2 * SEGMENT_BYTES}:
                line.reset()

    begun = 0
    try:
        await store.append(key, breaking(), start=Extent(), epoch=1, kept=record.keep)
    except StoreUnavailable:  # all of its attempts met a reset
        begun = record.extent.size_bytes
        await append(store, key, data[begun:], record, epoch=2)
    assert await read_extent(store, key, record.extent) == data


async def test_a_bucket_that_is_gone_for_a_while_ends_the_write_and_what_was_told_stands(
    store: S3Store, line: ChaosProxy
) -> None:
    data, key, record = os.urandom(3 * SEGMENT_BYTES), upload_key(uuid7()), Record()

    async def keep(extent: Extent) -> bool:
        recorded = await record.keep(extent)
        line.refuse()
        return recorded

    with pytest.raises(StoreUnavailable):
        await store.append(key, pieces_of(data), start=Extent(), epoch=1, kept=keep)
    assert record.extent.size_bytes == SEGMENT_BYTES
    with pytest.raises(StoreUnavailable):
        await store.assemble([(key, record.extent)], file_key(uuid7()))
    line.heal()
    await append(store, key, data[SEGMENT_BYTES:], record, epoch=2)
    await store.assemble([(key, record.extent)], blob := file_key(uuid7()))
    assert await read(store, blob) == data


async def test_one_cancelled_while_the_bucket_is_gone_ends_with_the_buckets_time_outs(
    store: S3Store, line: ChaosProxy
) -> None:
    record, sent = Record(), asyncio.Event()

    async def stalled() -> AsyncIterator[bytes]:
        yield bytes(1000)
        sent.set()
        await asyncio.Event().wait()

    line.refuse()
    writing = asyncio.create_task(
        store.append(upload_key(uuid7()), stalled(), start=Extent(), epoch=1, kept=record.keep)
    )
    await sent.wait()
    writing.cancel()
    with pytest.raises((asyncio.CancelledError, StoreUnavailable)):
        await writing
    assert record.steps == []


async def test_an_assembly_goes_on_after_the_line_was_cut(
    store: S3Store, line: ChaosProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    data, key = os.urandom(2 * SEGMENT_BYTES + 5), file_key(uuid7())
    plan = plan_for(data, MIB)
    chunks = cut(plan, data)
    for index, chunk in enumerate(chunks):
        await write(store, plan, index, chunk)
    digests = [sha256(chunk) for chunk in chunks]
    real = store._bucket.put_part
    cuts = 0

    async def cutting(*arguments: object) -> str:
        nonlocal cuts
        cuts += 1
        line.refuse()
        return await real(*arguments)  # type: ignore[arg-type]  # passed on as they come

    monkeypatch.setattr(store._bucket, "put_part", cutting)  # a place to cut the line at
    with pytest.raises(StoreUnavailable):
        await store.assemble_chunks(plan, key, digests)
    assert cuts
    monkeypatch.undo()
    line.heal()
    await store.assemble_chunks(plan, key, digests)
    assert await read(store, key) == data


async def test_an_outage_is_told_once_however_many_meet_it(
    store: S3Store, line: ChaosProxy
) -> None:
    line.refuse()
    with capture_logs() as logged:
        for _ in range(3):
            with pytest.raises(StoreUnavailable):
                await store.size(file_key(uuid7()))
    assert [record["event"] for record in logged] == ["s3_unavailable"]
