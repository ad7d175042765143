"""A bucket on an S3 API server, the store in it, and a plain client to look from outside."""

import functools
from collections.abc import AsyncGenerator, Iterator
from typing import Any

import aioboto3
import botocore.session
import pytest

from services.storage.tests.buckets import settings_for
from sharezync_storage.stores.s3 import S3Store
from sharezync_testkit.servers import S3Server


@pytest.fixture(scope="session", autouse=True)
def sdk_reads_its_models_once() -> Iterator[None]:
    """Every store here has a session of its own, each of which would read the same megabyte."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            botocore.session, "create_loader", functools.cache(botocore.session.create_loader)
        )
        yield


@pytest.fixture
def bucket(s3_server: S3Server) -> str:
    return s3_server.bucket()


@pytest.fixture
async def store(s3_server: S3Server, bucket: str) -> AsyncGenerator[S3Store]:
    store = S3Store(bucket, settings_for(s3_server, bucket))
    await store.start()
    yield store
    await store.aclose()


@pytest.fixture
async def s3(s3_server: S3Server) -> AsyncGenerator[Any]:
    """A plain client, to look at the bucket from outside."""
    session = aioboto3.Session(
        aws_access_key_id=s3_server.access_key_id,
        aws_secret_access_key=s3_server.secret_access_key,
        region_name=s3_server.region,
    )
    async with session.client("s3", endpoint_url=s3_server.endpoint_url) as client:
        yield client
