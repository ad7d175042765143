"""Uploads straight to the bucket of a server that holds to what was signed."""

from collections.abc import AsyncGenerator

import httpx
import pytest

from services.storage.tests.buckets import settings_for
from services.storage.tests.direct_contract import PART, Client, DirectContract
from sharezync_storage.stores.port import NoSuchBlob
from sharezync_storage.stores.s3 import S3Store
from sharezync_testkit.strict_s3 import StrictS3Server


@pytest.fixture
async def public_store(strict_s3_server: StrictS3Server) -> AsyncGenerator[S3Store]:
    server, bucket = strict_s3_server, strict_s3_server.bucket()
    public = server.endpoint_url
    store = S3Store(bucket, settings_for(server, bucket, s3_public_endpoint_url=public))
    await store.start()
    yield store
    await store.aclose()


class TestContract(DirectContract):
    """All of it."""

    REFUSES_LATE_PARTS = False


@pytest.mark.parametrize("sent", [PART - 1, PART + 1])
async def test_a_part_has_the_length_that_was_signed(public_store: S3Store, sent: int) -> None:
    async with httpx.AsyncClient(timeout=60) as anyone:
        client = Client(public_store, anyone, bytes(PART + 1))
        first, _ = await client.begin()
        answer = await anyone.put(first.url, content=bytes(sent))
        assert answer.status_code == 403
        with pytest.raises(NoSuchBlob):
            await public_store.size(client.key)
