"""Uploads straight to the bucket: the contract, and what is left of those that came to nothing."""

import os
from collections.abc import AsyncGenerator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from services.storage.tests.buckets import settings_for
from services.storage.tests.direct_contract import Client, DirectContract
from sharezync_storage.errors import PartsWrong, StoreUnavailable
from sharezync_storage.stores.port import NoSuchBlob
from sharezync_storage.stores.s3 import S3Store
from sharezync_testkit.servers import S3Server


@pytest.fixture
async def public_store(s3_server: S3Server, bucket: str) -> AsyncGenerator[S3Store]:
    public = s3_server.endpoint_url.replace("127.0.0.1", "localhost")
    store = S3Store(bucket, settings_for(s3_server, bucket, s3_public_endpoint_url=public))
    await store.start()
    yield store
    await store.aclose()


@pytest.fixture
async def client(public_store: S3Store) -> AsyncGenerator[Client]:
    async with httpx.AsyncClient(timeout=60) as http:
        yield Client(public_store, http, os.urandom(1000))


class TestContract(DirectContract):
    """All of it; but moto answers 500 where it doesn't know a multipart upload."""

    GONE = (NoSuchBlob, StoreUnavailable)
    REFUSED = range(400, 501)


async def left_in(s3: Any, bucket: str) -> tuple[list[str], list[str]]:
    objects = await s3.list_objects_v2(Bucket=bucket)
    uploads = await s3.list_multipart_uploads(Bucket=bucket)
    return (
        [one["Key"] for one in objects.get("Contents", [])],
        [one["Key"] for one in uploads.get("Uploads", [])],
    )


async def test_urls_lead_to_the_public_address_with_length_signed_and_no_checksum(
    client: Client, s3_server: S3Server
) -> None:
    [part] = await client.begin()
    url = urlsplit(part.url)
    assert url.hostname == "localhost"
    query = parse_qs(url.query)
    assert query["X-Amz-SignedHeaders"] == ["content-length;host"]
    assert query["X-Amz-Expires"] == ["60"]
    assert not [name for name in query if "checksum" in name.lower()]
    assert part.headers == {"Content-Length": "1000"}


async def test_the_blob_has_the_type_that_was_said(client: Client, s3: Any, bucket: str) -> None:
    await client.complete(await client.put_all(await client.begin()))
    assert (await s3.head_object(Bucket=bucket, Key=client.key))["ContentType"] == "image/png"


async def test_only_the_blob_is_left(client: Client, s3: Any, bucket: str) -> None:
    await client.complete(await client.put_all(await client.begin()))
    assert await left_in(s3, bucket) == ([client.key], [])


@pytest.mark.parametrize("by", ["abort", "delete"])
async def test_nothing_is_left_of_what_was_given_up(
    client: Client, s3: Any, bucket: str, by: str
) -> None:
    await client.put_all(await client.begin())
    if by == "abort":
        await client.abort()
    else:
        await client.store.delete(client.key)  # by its key alone: nobody noted the id
    assert await left_in(s3, bucket) == ([], [])


async def test_parts_of_another_length_never_become_the_blob(
    client: Client, s3: Any, bucket: str
) -> None:
    """This server does not hold to the length that was signed; we look."""
    [part] = await client.begin()
    answer = await client._http.put(part.url, content=b"longer" * 1000)
    assert answer.status_code == 200
    with pytest.raises(PartsWrong):
        await client.complete([answer.headers["etag"]])
    assert await left_in(s3, bucket) == ([], [])
    with pytest.raises(TestContract.GONE):
        await client.complete([answer.headers["etag"]])
