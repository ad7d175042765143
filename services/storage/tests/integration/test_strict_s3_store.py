"""The store in a bucket, on a server that refuses what S3 refuses and moto does not.

The contract once more, what only S3 can get wrong, and what nobody may do with a signed URL.
"""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import Any

import aioboto3
import botocore.auth
import httpx
import pytest
from aiobotocore.config import AioConfig
from botocore.exceptions import ClientError

from services.storage.tests.integration.test_s3_store import (  # noqa: F401 - run here once more
    test_a_chunk_that_was_changed_is_noticed_when_read_and_when_assembled,
    test_an_assembly_that_dies_in_the_middle_can_be_repeated,
    test_different_contents_of_one_chunk_never_overwrite_each_other,
    test_finished_writes_leave_only_the_blob,
    test_nothing_is_left_of_a_broken_put,
    test_parts_of_others_are_never_aborted,
    test_what_a_crash_leaves_of_a_put_goes_with_delete,
)
from services.storage.tests.store_contract import StoreContract, pieces_of, read
from sharezync_shared.ids import uuid7
from sharezync_storage.errors import StoreUnavailable
from sharezync_storage.keys import file_key
from sharezync_storage.settings import StorageSettings
from sharezync_storage.stores.port import NoSuchBlob
from sharezync_storage.stores.s3 import MIN_PART_BYTES, S3Store
from sharezync_testkit.strict_s3 import StrictS3Server

MD5_OF_NOTHING = "1B2M2Y8AsgTpgAmY7PhCfg=="
CRC32_OF_NOTHING = "AAAAAA=="


@pytest.fixture
def bucket(strict_s3_server: StrictS3Server) -> str:
    return strict_s3_server.bucket()


@asynccontextmanager
async def store_in(bucket: str, server: StrictS3Server, **more: Any) -> AsyncGenerator[S3Store]:
    settings = StorageSettings(
        _env_file=None,
        s3_bucket_name=bucket,
        aws_access_key_id=server.access_key_id,
        aws_secret_access_key=server.secret_access_key,
        aws_default_region=server.region,
        s3_endpoint_url=server.endpoint_url,
        **more,
    )
    store = S3Store(bucket, settings)
    await store.start()
    try:
        yield store
    finally:
        await store.aclose()


@pytest.fixture
async def store(strict_s3_server: StrictS3Server, bucket: str) -> AsyncGenerator[S3Store]:
    async with store_in(bucket, strict_s3_server) as store:
        yield store


@pytest.fixture
async def public_store(strict_s3_server: StrictS3Server, bucket: str) -> AsyncGenerator[S3Store]:
    """A store whose bucket clients can reach: the only one that gives links."""
    public = strict_s3_server.endpoint_url
    async with store_in(bucket, strict_s3_server, s3_public_endpoint_url=public) as store:
        yield store


@pytest.fixture
async def s3(strict_s3_server: StrictS3Server) -> AsyncGenerator[Any]:
    """A plain client, to look at the bucket from outside and to sign what the store doesn't."""
    server = strict_s3_server
    session = aioboto3.Session(
        aws_access_key_id=server.access_key_id,
        aws_secret_access_key=server.secret_access_key,
        region_name=server.region,
    )
    config = AioConfig(
        signature_version="s3v4",
        s3={"addressing_style": "path"},
        request_checksum_calculation="when_required",
        retries={"total_max_attempts": 1},
    )
    async with session.client("s3", endpoint_url=server.endpoint_url, config=config) as client:
        yield client


@pytest.fixture
async def anybody() -> AsyncGenerator[httpx.AsyncClient]:
    """Somebody who has a URL and no key."""
    async with httpx.AsyncClient(timeout=30) as anybody:
        yield anybody


@pytest.fixture
async def key(public_store: S3Store) -> str:
    """A blob that says "picture"."""
    key = file_key(uuid7())
    await public_store.put(key, pieces_of(b"picture"))
    return key


class TestContract(StoreContract):
    """All of it."""


# --- links to read ------------------------------------------------------------------------------


async def link_to(store: S3Store, key: str, expires_in_seconds: int = 60) -> str:
    url = await store.link(
        key,
        expires_in_seconds=expires_in_seconds,
        content_type="image/png",
        disposition="attachment",
    )
    assert url is not None
    return url


async def test_a_link_is_good_until_it_expires(
    public_store: S3Store, key: str, anybody: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    an_hour_ago: datetime = botocore.auth.get_current_datetime() - timedelta(hours=1)

    def signing_clock() -> datetime:
        return an_hour_ago

    monkeypatch.setattr(botocore.auth, "get_current_datetime", signing_clock)
    answer = await anybody.get(await link_to(public_store, key, expires_in_seconds=2 * 3600))
    assert (answer.status_code, answer.content) == (200, b"picture")
    answer = await anybody.get(await link_to(public_store, key, expires_in_seconds=3590))
    assert answer.status_code == 403
    assert b"picture" not in answer.content


@pytest.mark.parametrize(
    ("signed", "sent"),
    [
        ("X-Amz-Expires=60", "X-Amz-Expires=6000"),
        ("response-content-type=image%2Fpng", "response-content-type=text%2Fhtml"),
        ("response-content-disposition=attachment&", ""),
        ("response-content-disposition=attachment", "response-content-disposition=inline"),
        ("X-Amz-Signature=", "X-Amz-Signature=0"),
        ("%2Fus-east-1%2F", "%2Fus-east-2%2F"),
    ],
)
async def test_a_link_that_was_changed_is_refused(
    public_store: S3Store, key: str, anybody: httpx.AsyncClient, signed: str, sent: str
) -> None:
    url = await link_to(public_store, key)
    assert (await anybody.get(url)).content == b"picture"
    changed = url.replace(signed, sent)
    assert changed != url
    answer = await anybody.get(changed)
    assert 400 <= answer.status_code < 500
    assert b"picture" not in answer.content


async def test_a_link_leads_to_one_blob_only(
    public_store: S3Store, key: str, anybody: httpx.AsyncClient
) -> None:
    other = file_key(uuid7())
    await public_store.put(other, pieces_of(b"secret"))
    url = await link_to(public_store, key)
    for address in (url.replace(key, other), url.replace(key, other).partition("?")[0]):
        answer = await anybody.get(address)
        assert 400 <= answer.status_code < 500
        assert b"secret" not in answer.content


@pytest.mark.parametrize("method", ["PUT", "DELETE", "HEAD"])
async def test_a_link_to_read_is_good_for_nothing_else(
    public_store: S3Store, key: str, anybody: httpx.AsyncClient, method: str
) -> None:
    answer = await anybody.request(method, await link_to(public_store, key))
    assert answer.status_code == 403
    assert await read(public_store, key) == b"picture"


# --- URLs to write ------------------------------------------------------------------------------


async def url_to_write(s3: Any, bucket: str, key: str, length: int) -> str:
    url: str = await s3.generate_presigned_url(
        "put_object",
        Params={
            "Bucket": bucket,
            "Key": key,
            "ContentLength": length,
            "ContentType": "image/png",
        },
        ExpiresIn=60,
    )
    return url


async def test_what_was_signed_may_be_written(
    store: S3Store, s3: Any, bucket: str, anybody: httpx.AsyncClient
) -> None:
    key = file_key(uuid7())
    url = await url_to_write(s3, bucket, key, 7)
    answer = await anybody.put(url, content=b"picture", headers={"Content-Type": "image/png"})
    assert answer.status_code == 200
    assert await read(store, key) == b"picture"


@pytest.mark.parametrize(
    ("body", "media_type"),
    [
        (b"pictures", "image/png"),
        (b"picture" * 100_000, "image/png"),
        (b"pictur", "image/png"),
        (b"", "image/png"),
        (b"picture", "text/html"),
        (b"picture", "image/png; charset=utf-8"),
    ],
)
async def test_another_length_or_type_than_signed_is_refused(
    store: S3Store,
    s3: Any,
    bucket: str,
    anybody: httpx.AsyncClient,
    body: bytes,
    media_type: str,
) -> None:
    key = file_key(uuid7())
    url = await url_to_write(s3, bucket, key, 7)
    answer = await anybody.put(url, content=body, headers={"Content-Type": media_type})
    assert answer.status_code == 403
    with pytest.raises(NoSuchBlob):
        await store.size(key)


async def test_a_part_of_another_length_than_signed_is_refused(
    s3: Any, bucket: str, anybody: httpx.AsyncClient
) -> None:
    where = {"Bucket": bucket, "Key": file_key(uuid7())}
    where["UploadId"] = (await s3.create_multipart_upload(**where))["UploadId"]
    url = await s3.generate_presigned_url(
        "upload_part",
        Params=where | {"PartNumber": 1, "ContentLength": MIN_PART_BYTES},
        ExpiresIn=60,
    )
    for length in (MIN_PART_BYTES + 1, MIN_PART_BYTES - 1):
        assert (await anybody.put(url, content=bytes(length))).status_code == 403
    assert "Parts" not in await s3.list_parts(**where)
    assert (await anybody.put(url, content=bytes(MIN_PART_BYTES))).status_code == 200
    [part] = (await s3.list_parts(**where))["Parts"]
    assert (part["PartNumber"], part["Size"]) == (1, MIN_PART_BYTES)


# --- damage on the way --------------------------------------------------------------------------


async def test_a_body_with_another_md5_is_refused(store: S3Store) -> None:
    key = file_key(uuid7())
    with pytest.raises(StoreUnavailable):
        await store._bucket.put(key, b"picture", MD5_OF_NOTHING)
    with pytest.raises(NoSuchBlob):
        await store.size(key)


async def test_a_part_with_another_md5_is_refused(store: S3Store, s3: Any, bucket: str) -> None:
    key = file_key(uuid7())
    upload_id = await store._bucket.begin_parts(key)
    with pytest.raises(StoreUnavailable):
        await store._bucket.put_part(key, upload_id, 1, b"picture", MD5_OF_NOTHING)
    answer = await s3.list_parts(Bucket=bucket, Key=key, UploadId=upload_id)
    assert "Parts" not in answer


async def test_a_body_with_another_checksum_is_refused(s3: Any, bucket: str) -> None:
    where = {"Bucket": bucket, "Key": file_key(uuid7())}
    with pytest.raises(ClientError, match=r"BadDigest|XAmzContentChecksumMismatch"):
        await s3.put_object(**where, Body=b"picture", ChecksumCRC32=CRC32_OF_NOTHING)
    with pytest.raises(ClientError, match="404"):
        await s3.head_object(**where)


async def test_parts_too_small_or_with_other_etags_do_not_become_a_blob(store: S3Store) -> None:
    key = file_key(uuid7())
    upload_id = await store._bucket.begin_parts(key)
    etags = [
        await store._bucket.put_part(key, upload_id, number, body, md5)
        for number, body, md5 in ((1, b"", MD5_OF_NOTHING), (2, b"", MD5_OF_NOTHING))
    ]
    for wrong in (etags, ['"' + "0" * 32 + '"']):
        with pytest.raises(StoreUnavailable):
            await store._bucket.complete_parts(key, upload_id, wrong)
        with pytest.raises(NoSuchBlob):
            await store.size(key)
