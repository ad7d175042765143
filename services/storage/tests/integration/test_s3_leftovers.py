"""What interrupted writes leave beside a blob that stays: it goes, and the blob doesn't."""

import os
from typing import Any

from services.storage.tests.integration.test_s3_store import keys_in, uploads_in
from services.storage.tests.store_support import pieces_of, read
from sharezync_shared.ids import uuid7
from sharezync_storage.keys import file_key
from sharezync_storage.stores.s3 import PART_BYTES, S3Store

DATA = os.urandom(PART_BYTES + 1)


async def test_what_was_never_completed_is_aborted_and_what_was_is_only_forgotten(
    store: S3Store,
    s3: Any,
    bucket: str,
) -> None:
    key = file_key(uuid7())
    broken_off = await store._begin(key)
    await store._put_part(key, broken_off, 1, DATA[:PART_BYTES])
    completed = await store._begin(key)
    etags = [
        await store._put_part(key, completed, 1, DATA[:PART_BYTES]),
        await store._put_part(key, completed, 2, DATA[PART_BYTES:]),
    ]
    await store._bucket.complete_parts(key, completed, etags)
    assert len(await keys_in(s3, bucket)) == 3
    for _ in range(2):
        await store.tidy(key)
        assert await keys_in(s3, bucket) == [key]
        assert await uploads_in(s3, bucket) == []
        assert await read(store, key) == DATA


async def test_there_may_be_nothing_to_tidy(store: S3Store) -> None:
    key = file_key(uuid7())
    await store.tidy(key)
    await store.put(key, pieces_of(DATA))
    await store.tidy(key)
    assert await read(store, key) == DATA
