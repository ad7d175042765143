"""The store in a bucket, on a real S3 API server: the contract, and what only S3 can get wrong."""

import os
from typing import Any

import httpx
import pytest
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from services.storage.tests.buckets import settings_for
from services.storage.tests.store_contract import (
    Interrupted,
    StoreContract,
    cut,
    interrupted,
    pieces_of,
    plan_for,
    read,
    sha256,
    write,
)
from sharezync_shared.health import DependencyDown
from sharezync_shared.ids import uuid7
from sharezync_storage.errors import ContentDamaged, StoreUnavailable
from sharezync_storage.keys import file_key
from sharezync_storage.stores.port import NoSuchBlob
from sharezync_storage.stores.s3 import PART_BYTES, S3Store
from sharezync_testkit.servers import S3Server
from sharezync_testkit.serving import plain_asgi, serving


async def keys_in(s3: Any, bucket: str) -> list[str]:
    answer = await s3.list_objects_v2(Bucket=bucket)
    return [entry["Key"] for entry in answer.get("Contents", [])]


async def uploads_in(s3: Any, bucket: str) -> list[str]:
    answer = await s3.list_multipart_uploads(Bucket=bucket)
    return [entry["Key"] for entry in answer.get("Uploads", [])]


class TestContract(StoreContract):
    """All of it."""


async def test_nothing_is_left_of_a_broken_put(store: S3Store, s3: Any, bucket: str) -> None:
    with pytest.raises(Interrupted):
        await store.put(file_key(uuid7()), interrupted(os.urandom(2 * PART_BYTES)))
    assert await keys_in(s3, bucket) == []
    assert await uploads_in(s3, bucket) == []


async def test_what_a_crash_leaves_of_a_put_goes_with_delete(
    store: S3Store, s3: Any, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def dead(*_: object) -> None:
        raise StoreUnavailable

    key = file_key(uuid7())
    with monkeypatch.context() as dying:
        dying.setattr(store._bucket, "abort_parts", dead)
        with pytest.raises(Interrupted):
            await store.put(key, interrupted(os.urandom(2 * PART_BYTES)))
    assert await uploads_in(s3, bucket) == [key]
    await store.delete(key)
    assert await uploads_in(s3, bucket) == []
    assert await keys_in(s3, bucket) == []


async def test_parts_of_others_are_never_aborted(store: S3Store, s3: Any, bucket: str) -> None:
    key = file_key(uuid7())
    await s3.create_multipart_upload(Bucket=bucket, Key=key)  # no record of ours tells of it
    await store.put(key, pieces_of(b"x"))
    await store.delete(key)
    assert await uploads_in(s3, bucket) == [key]


async def test_finished_writes_leave_only_the_blob(store: S3Store, s3: Any, bucket: str) -> None:
    key = file_key(uuid7())
    await store.put(key, pieces_of(bytes(2 * PART_BYTES)))
    assert await keys_in(s3, bucket) == [key]
    assert await uploads_in(s3, bucket) == []


async def test_different_contents_of_one_chunk_never_overwrite_each_other(store: S3Store) -> None:
    """Two replicas may write to one place at a time; the record decides which one counts."""
    ours, theirs = os.urandom(1000), os.urandom(1000)
    plan = plan_for(ours, 1000)
    await write(store, plan, 0, ours)
    await write(store, plan, 0, theirs)
    key = file_key(uuid7())
    await store.assemble_chunks(plan, key, [sha256(ours)])
    assert await read(store, key) == ours


async def test_an_assembly_that_dies_in_the_middle_can_be_repeated(
    store: S3Store, s3: Any, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def dead(*_: object) -> str:
        raise StoreUnavailable

    data, key = os.urandom(2 * PART_BYTES + 1), file_key(uuid7())
    plan = plan_for(data, PART_BYTES)
    chunks = cut(plan, data)
    for index, chunk in enumerate(chunks):
        await write(store, plan, index, chunk)
    digests = [sha256(chunk) for chunk in chunks]
    for step in ("copy_part", "complete_parts"):
        with monkeypatch.context() as dying:
            dying.setattr(store._bucket, step, dead)
            with pytest.raises(StoreUnavailable):
                await store.assemble_chunks(plan, key, digests)
        with pytest.raises(NoSuchBlob):
            await store.size(key)
    await store.assemble_chunks(plan, key, digests)
    assert await read(store, key) == data
    await store.discard(plan.key)
    assert await keys_in(s3, bucket) == [key]


async def test_a_chunk_that_was_changed_is_noticed_when_read_and_when_assembled(
    store: S3Store, s3: Any, bucket: str
) -> None:
    data = os.urandom(1000)
    plan = plan_for(data, 1000)
    await write(store, plan, 0, data)
    [chunk_key] = await keys_in(s3, bucket)
    await s3.put_object(Bucket=bucket, Key=chunk_key, Body=bytes([data[0] ^ 1]) + data[1:])
    with pytest.raises(ContentDamaged):
        await store.read_chunk(plan, 0, sha256(data))
    with pytest.raises(ContentDamaged):
        await store.assemble_chunks(plan, key := file_key(uuid7()), [sha256(data)])
    with pytest.raises(NoSuchBlob):
        await store.size(key)


async def test_clients_reach_a_bucket_on_aws_and_by_a_public_address_alone(
    store: S3Store, s3_server: S3Server, bucket: str
) -> None:
    assert not store.reachable_by_clients
    settings = settings_for(s3_server, bucket)
    for field, value in {"s3_endpoint_url": None, "s3_public_endpoint_url": "http://x"}.items():
        other = S3Store(bucket, settings.model_copy(update={field: value}))
        assert other.reachable_by_clients


async def link_to(store: S3Store, key: str) -> str:
    return await store.link(
        key,
        expires_in_seconds=60,
        content_type="image/png",
        disposition="inline; filename*=UTF-8''a%20b.png",
    )


async def test_a_link_leads_to_the_public_address_and_says_how_to_serve(
    s3_server: S3Server, bucket: str
) -> None:
    public = s3_server.endpoint_url.replace("127.0.0.1", "localhost")
    store = S3Store(bucket, settings_for(s3_server, bucket, s3_public_endpoint_url=public))
    await store.start()
    try:
        key = file_key(uuid7())
        await store.put(key, pieces_of(b"picture"))
        url = await link_to(store, key)
        assert url is not None
        assert url.startswith(f"{public}/{bucket}/{key}?")
        async with httpx.AsyncClient() as anybody:
            answer = await anybody.get(url)
        assert answer.content == b"picture"
        assert answer.headers["content-type"] == "image/png"
        assert answer.headers["content-disposition"] == "inline; filename*=UTF-8''a%20b.png"
    finally:
        await store.aclose()


async def test_a_bucket_that_is_away_is_told_as_such(bucket: str, s3_server: S3Server) -> None:
    settings = settings_for(s3_server, bucket).model_copy(
        update={"s3_endpoint_url": "http://127.0.0.1:9"}
    )
    store = S3Store(bucket, settings)
    await store.start()
    try:
        with pytest.raises(StoreUnavailable):
            await store.put(file_key(uuid7()), pieces_of(b"x"))
        with pytest.raises(DependencyDown, match="can't be reached"):
            await store.ready()
    finally:
        await store.aclose()


async def test_a_bucket_that_is_not_there_is_told_and_nothing_counts_as_lost(
    s3_server: S3Server,
) -> None:
    store = S3Store("nowhere", settings_for(s3_server, "nowhere"))
    await store.start()
    try:
        with pytest.raises(DependencyDown, match="the bucket nowhere doesn't exist"):
            await store.ready()
        with pytest.raises(StoreUnavailable):
            await store.size(file_key(uuid7()))
    finally:
        await store.aclose()


@pytest.mark.parametrize("page", [b"<html><body>Welcome</body></html>", b"Welcome!", b""])
async def test_an_endpoint_that_is_no_s3_is_told_and_keeps_nothing(
    s3_server: S3Server, page: bytes
) -> None:
    async def welcome(scope: Scope, receive: Receive, send: Send) -> None:
        await Response(page, media_type="text/html")(scope, receive, send)

    async with serving(plain_asgi(http=welcome)) as served:
        settings = settings_for(s3_server, "files")
        store = S3Store("files", settings.model_copy(update={"s3_endpoint_url": served.http}))
        await store.start()
        key = file_key(uuid7())
        try:
            with pytest.raises(DependencyDown, match="does not answer as S3 does"):
                await store.ready()
            with pytest.raises(StoreUnavailable):
                await store.put(key, pieces_of(b"x"))
            with pytest.raises(StoreUnavailable):
                await store.size(key)
            with pytest.raises(StoreUnavailable):
                async with store.open(key):
                    pass
        finally:
            await store.aclose()
