"""Both ways to storage keep the same promises."""

import asyncio
import hashlib
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack
from typing import Any
from uuid import UUID, uuid4

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from sharezync_gateway.transfers.core.chunk_store import (
    AsgiTransport,
    ChunkAbsent,
    ChunkRefused,
    ChunkStore,
    StoreAway,
    chunks_over_http,
)
from sharezync_shared.calls.breaker import Breaker
from sharezync_shared.contracts.storage import ChunkStored
from sharezync_testkit.serving import serving

MIB = 1024 * 1024
UPLOAD = uuid4()


class Storage:
    """Storage's two routes for chunks, over a dictionary."""

    def __init__(self) -> None:
        self.chunks: dict[tuple[str, str], tuple[bytes, str]] = {}
        self.tokens = {"the-first"}
        self.answers: list[Response] = []
        """Given once each, before anything else."""
        self.asked: list[tuple[str, str]] = []
        self.app = Starlette(
            routes=[
                Route(
                    "/internal/uploads/{upload}/chunks/{index}", self._chunk, methods=["GET", "PUT"]
                )
            ]
        )

    async def _chunk(self, request: Request) -> Response:
        self.asked.append((request.method, request.url.path))
        if request.headers["authorization"].removeprefix("Bearer ") not in self.tokens:
            return JSONResponse({"code": "unauthenticated"}, status_code=401)
        if self.answers:
            await request.body()
            return self.answers.pop(0)
        key = (request.path_params["upload"], request.path_params["index"])
        return self._get(key) if request.method == "GET" else await self._put(key, request)

    def _get(self, key: tuple[str, str]) -> Response:
        if key not in self.chunks:
            return JSONResponse({"code": "not-found"}, status_code=404)
        data, digest = self.chunks[key]
        return Response(data, headers={"x-chunk-sha256": digest})

    async def _put(self, key: tuple[str, str], request: Request) -> Response:
        data = b"".join([bytes(piece) async for piece in request.stream()])
        digest = request.headers["x-chunk-sha256"]
        if int(request.headers["content-length"]) != len(data):
            return JSONResponse({"code": "chunk-length"}, status_code=422)
        if hashlib.sha256(data).hexdigest() != digest:
            return JSONResponse({"code": "chunk-corrupt", "detail": "again"}, status_code=422)
        self.chunks[key] = (data, digest)
        return JSONResponse({"stored_bytes": len(data), "next": 1, "complete": True, "x": 1})


class Credentials:
    def __init__(self) -> None:
        self.current = "the-first"
        self.renewed = 0

    async def token(self) -> str:
        return self.current

    async def token_instead_of(self, refused: str) -> str:
        assert refused == self.current
        self.renewed += 1
        self.current = f"renewed-{self.renewed}"
        return self.current


@pytest.fixture
def storage() -> Storage:
    return Storage()


@pytest.fixture
def credentials() -> Credentials:
    return Credentials()


@pytest.fixture(params=["http", "asgi"])
async def store(
    request: pytest.FixtureRequest, storage: Storage, credentials: Credentials
) -> AsyncGenerator[ChunkStore]:
    async with AsyncExitStack() as stack:
        made: ChunkStore
        if request.param == "http":
            served = await stack.enter_async_context(serving(storage.app))
            made = chunks_over_http(served.http, credentials, Breaker("storage"))
        else:
            made = ChunkStore(AsgiTransport(storage.app), credentials)
        await made.start()
        stack.push_async_callback(made.aclose)
        yield made


async def put(store: ChunkStore, payload: bytes | memoryview, index: int = 0) -> ChunkStored:
    return await store.put_chunk(UPLOAD, index, hashlib.sha256(payload).digest(), payload)


@pytest.mark.parametrize("size", [0, 1, 65536, MIB])
async def test_what_was_put_can_be_got(store: ChunkStore, size: int) -> None:
    frame = b"header" + bytes(i % 251 for i in range(size))
    payload = memoryview(frame)[6:]
    assert await put(store, payload, 7) == ChunkStored(size, 1, complete=True)
    chunk = await store.get_chunk(UPLOAD, 7)
    assert chunk.payload == payload
    assert chunk.sha256 == hashlib.sha256(payload).digest()


async def test_a_chunk_is_put_to_its_place(store: ChunkStore, storage: Storage) -> None:
    await put(store, b"abc", 12)
    assert storage.asked == [("PUT", f"/internal/uploads/{UPLOAD}/chunks/12")]


async def test_what_is_not_there_is_absent(store: ChunkStore) -> None:
    with pytest.raises(ChunkAbsent):
        await store.get_chunk(UPLOAD, 0)


async def test_a_corrupt_chunk_is_refused(store: ChunkStore) -> None:
    with pytest.raises(ChunkRefused) as refused:
        await store.put_chunk(UPLOAD, 0, bytes(32), b"abc")
    assert (refused.value.code, refused.value.detail) == ("chunk-corrupt", "again")


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (404, "not-found"),
        (409, "chunk-conflict"),
        (409, "upload-closed"),
        (422, "chunk-outside"),
        (507, "storage-full"),
    ],
)
async def test_what_can_not_be_stored_is_refused_by_its_name(
    store: ChunkStore, storage: Storage, status: int, code: str
) -> None:
    storage.answers.append(JSONResponse({"code": code, "status": status}, status_code=status))
    with pytest.raises(ChunkRefused) as refused:
        await put(store, b"abc")
    assert refused.value.code == code
    await put(store, b"abc")


@pytest.mark.parametrize(
    "answer",
    [
        Response(status_code=503),
        Response(b"oops", status_code=500),
        Response(status_code=429),
        Response(b"not json", status_code=200),
        Response(b"{}", status_code=200),
        Response(status_code=307, headers={"location": "http://127.0.0.1:1/"}),
    ],
    ids=lambda answer: f"{answer.status_code}-{bytes(answer.body).decode()}",
)
async def test_no_useful_answer_is_worth_another_attempt(
    store: ChunkStore, storage: Storage, answer: Response
) -> None:
    storage.answers.append(answer)
    with pytest.raises(StoreAway):
        await put(store, b"abc")
    await put(store, b"abc")


@pytest.mark.parametrize(
    "answer",
    [
        Response(status_code=503),
        Response(b"abc", status_code=200),
        Response(b"abc", status_code=200, headers={"x-chunk-sha256": "abc"}),
    ],
    ids=["503", "no digest", "bad digest"],
)
async def test_what_is_no_chunk_is_no_answer(
    store: ChunkStore, storage: Storage, answer: Response
) -> None:
    storage.answers.append(answer)
    with pytest.raises(StoreAway):
        await store.get_chunk(UPLOAD, 0)


async def test_a_token_that_is_refused_is_renewed_once(
    store: ChunkStore, storage: Storage, credentials: Credentials
) -> None:
    storage.tokens = {"renewed-1"}
    await put(store, b"abc")
    assert credentials.renewed == 1
    storage.tokens = set()
    with pytest.raises(StoreAway):
        await put(store, b"abc")


async def test_many_chunks_are_under_way_at_once(store: ChunkStore, storage: Storage) -> None:
    await asyncio.gather(*(put(store, bytes([index]) * 1000, index) for index in range(50)))
    assert len(storage.chunks) == 50


async def test_a_store_that_is_not_there_is_away() -> None:
    store = chunks_over_http("http://127.0.0.1:1", Credentials(), Breaker("storage"))
    await store.start()
    with pytest.raises(StoreAway):
        await put(store, b"abc")
    await store.aclose()
    await store.aclose()


async def test_an_application_that_fails_is_away() -> None:
    async def broken(*_: Any) -> None:
        raise RuntimeError("no")

    async def silent(*_: Any) -> None:
        pass

    for app in (broken, silent):
        with pytest.raises(StoreAway):
            await put(ChunkStore(AsgiTransport(app), Credentials()), b"abc")


async def test_an_uncopied_payload_reaches_the_application() -> None:
    """What hashing and writing take, a direct call hands over as it is."""
    seen: list[object] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.append((await receive())["body"])
        await send({"type": "http.response.start", "status": 200, "headers": []})
        body = b'{"stored_bytes":3,"next":1,"complete":false}'
        await send({"type": "http.response.body", "body": body})

    frame = b"headerabc"
    payload = memoryview(frame)[6:]
    stored = await ChunkStore(AsgiTransport(app), Credentials()).put_chunk(
        UUID(int=1), 0, bytes(32), payload
    )
    assert stored == ChunkStored(3, 1, complete=False)
    assert seen == [payload]
    assert seen[0] is payload
