"""What a store promises that clients can reach: uploads by signed URLs (`stores/port.py`)."""

import asyncio
import os
from collections.abc import AsyncGenerator
from typing import ClassVar, Protocol

import httpx
import pytest

from services.storage.tests.store_support import MIB, read
from sharezync_shared.ids import uuid7
from sharezync_shared.problems import Problem
from sharezync_storage.errors import PartsWrong
from sharezync_storage.keys import file_key
from sharezync_storage.stores.port import (
    BlobStore,
    ChunkPlan,
    DirectPart,
    DirectUploads,
    NoSuchBlob,
)

PART = 8 * MIB


class PublicStore(BlobStore, DirectUploads, Protocol):
    """What clients can reach."""


class Client:
    """Somebody with URLs and no key, uploading `data`."""

    def __init__(self, store: PublicStore, http: httpx.AsyncClient, data: bytes) -> None:
        self.store = store
        self.key = file_key(uuid7())
        self.data = data
        self._http = http
        self.direct_id = ""

    async def begin(self) -> list[DirectPart]:
        direct_id = await self.store.begin_direct(self.plan, content_type="image/png")
        self.direct_id = direct_id
        return await self.parts()

    @property
    def plan(self) -> ChunkPlan:
        return ChunkPlan(self.key, len(self.data), PART)

    async def parts(self) -> list[DirectPart]:
        return await self.store.direct_parts(self.plan, self.direct_id, expires_in_seconds=60)

    async def put(self, part: DirectPart, data: bytes | None = None) -> httpx.Response:
        start = (part.number - 1) * PART
        body = self.data[start : start + part.size_bytes] if data is None else data
        return await self._http.put(part.url, content=body, headers=part.headers)

    async def put_all(self, parts: list[DirectPart]) -> list[str]:
        answers = [await self.put(part) for part in parts]
        assert [answer.status_code for answer in answers] == [200] * len(parts)
        return [answer.headers["etag"] for answer in answers]

    async def complete(self, etags: list[str]) -> None:
        await self.store.complete_direct(self.key, self.direct_id, etags, size_bytes=len(self.data))

    async def abort(self) -> None:
        await self.store.abort_direct(self.key, self.direct_id)


class DirectContract:
    """Subclass it with a fixture `public_store`: started, empty, and reachable by anybody.

    `GONE` and `REFUSED` are for servers that stumble over what they should refuse.
    """

    GONE: ClassVar[tuple[type[Exception], ...]] = (NoSuchBlob,)
    """What completing raises when the upload is no more."""
    REFUSED: ClassVar[range] = range(400, 500)
    """What a PUT to an upload that is no more is answered with."""
    REFUSES_LATE_PARTS: ClassVar[bool] = True
    """Swift takes them, and then refuses to read what they have spoilt."""

    @pytest.fixture
    async def anyone(self) -> AsyncGenerator[httpx.AsyncClient]:
        async with httpx.AsyncClient(timeout=60) as http:
            yield http

    @pytest.mark.parametrize("size", [0, 1, PART, PART + 1, 2 * PART + 77])
    async def test_what_clients_put_is_the_blob(
        self, public_store: PublicStore, anyone: httpx.AsyncClient, size: int
    ) -> None:
        client = Client(public_store, anyone, os.urandom(size))
        parts = await client.begin()
        assert sum(part.size_bytes for part in parts) == size
        assert [part.number for part in parts] == list(range(1, len(parts) + 1))
        etags = await client.put_all(parts)
        with pytest.raises(NoSuchBlob):
            await public_store.size(client.key)
        await client.complete(etags)
        assert await read(public_store, client.key) == client.data
        await client.complete(etags)  # idempotent
        await client.abort()  # and too late
        assert await read(public_store, client.key) == client.data

    async def test_a_blob_can_not_be_changed_by_urls_that_are_still_out_there(
        self, public_store: PublicStore, anyone: httpx.AsyncClient
    ) -> None:
        client = Client(public_store, anyone, os.urandom(100))
        [part] = await client.begin()
        etags = await client.put_all([part])
        await client.complete(etags)
        answer = await client.put(part, os.urandom(100))
        if self.REFUSES_LATE_PARTS:
            assert answer.status_code in self.REFUSED
            assert await read(public_store, client.key) == client.data
        else:
            with pytest.raises(Problem):
                await read(public_store, client.key)

    async def test_wrong_or_missing_parts_are_refused_and_can_be_put_right(
        self, public_store: PublicStore, anyone: httpx.AsyncClient
    ) -> None:
        client = Client(public_store, anyone, os.urandom(PART + 5))
        first, second = await client.begin()
        [etag] = await client.put_all([first])
        for wrong in ([], [etag], [etag, etag], [etag, etag, etag], ['"0"', etag]):
            with pytest.raises(PartsWrong):
                await client.complete(wrong)
        await client.put(second, b"wrong")  # another answer than the one we name below
        with pytest.raises(PartsWrong):
            await client.complete([etag, '"' + "0" * 32 + '"'])
        with pytest.raises(NoSuchBlob):
            await public_store.size(client.key)
        first, second = await client.parts()  # fresh URLs for the same upload
        etags = await client.put_all([first, second])
        await client.complete(etags)
        assert await read(public_store, client.key) == client.data

    async def test_an_upload_that_was_given_up_is_gone(
        self, public_store: PublicStore, anyone: httpx.AsyncClient
    ) -> None:
        client = Client(public_store, anyone, os.urandom(100))
        [part] = await client.begin()
        etags = await client.put_all([part])
        await client.abort()
        await client.abort()
        assert (await client.put(part)).status_code in self.REFUSED
        with pytest.raises(self.GONE):
            await client.complete(etags)

    async def test_many_may_complete_at_once(
        self, public_store: PublicStore, anyone: httpx.AsyncClient
    ) -> None:
        client = Client(public_store, anyone, os.urandom(PART + 5))
        etags = await client.put_all(await client.begin())
        await asyncio.gather(*(client.complete(etags) for _ in range(3)))
        assert await read(public_store, client.key) == client.data
