"""What is logged of clients that leave, and of answers that break off: over a real server."""

import asyncio
import logging
from collections.abc import AsyncGenerator, Awaitable
from contextlib import asynccontextmanager

import pytest
from fastapi import FastAPI, Request
from prometheus_client import CollectorRegistry
from starlette.background import BackgroundTask
from starlette.responses import Response, StreamingResponse
from starlette.types import Message, Receive, Scope, Send

from sharezync_shared.asgi import middleware
from sharezync_shared.asgi.app import create_service_app
from sharezync_shared.health import Health
from sharezync_shared.problems import Unavailable
from sharezync_testkit.lines import Lines
from sharezync_testkit.serving import serving
from sharezync_testkit.waiting import GIVE_UP_SECONDS, wait_until

UPLOAD = (
    "POST {path} HTTP/1.1\r\nHost: things\r\nContent-Length: 1000\r\n"
    "Content-Type: {kind}\r\n\r\nusername=ada"
)
KINDS = [
    "application/x-www-form-urlencoded",
    "multipart/form-data; boundary=b",
    "application/json",
    "application/octet-stream",
]


class GoneError(OSError):
    """What a gateway raises in one process with the service."""


class Patient(Response):
    """Waits for a reader, a moment."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        async with asyncio.timeout(0.01):
            await send({"type": "http.response.body", "body": b"part", "more_body": True})


class Things:
    """An application that reads bodies in every way, and fails in the middle of its answers."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.began = 0
        self.ended = 0
        app = FastAPI()

        @app.post("/form")
        async def form(request: Request) -> None:
            await self.reading(request.form())

        @app.post("/body")
        async def body(request: Request) -> None:
            await self.reading(request.body())

        @app.get("/half/{kind}")
        async def half(kind: str) -> StreamingResponse:
            async def pieces() -> AsyncGenerator[bytes]:
                yield b"part"
                raise Unavailable if kind == "problem" else RuntimeError("a bug")

            return StreamingResponse(pieces())

        @app.get("/whole/{kind}")
        async def whole(kind: str) -> Response:
            async def fail() -> None:
                await asyncio.sleep(0)
                raise Unavailable if kind == "problem" else RuntimeError("a bug")

            return Response("whole", background=BackgroundTask(fail))

        @app.get("/patient")
        async def patient() -> Response:
            return Patient()

        self.app = create_service_app(
            name="things",
            summary="",
            description="",
            version="1",
            lifespan=_nothing,
            registry=self.registry,
            routers=[app.router],
            health=Health("things", {}, CollectorRegistry()),
        )

    async def reading(self, read: Awaitable[object]) -> None:
        self.began += 1
        try:
            await read
        finally:
            self.ended += 1

    def aborted(self) -> set[str]:
        """Return the routes of requests that are counted as aborted, and no other way."""
        return {
            sample.labels["route"]
            for family in self.registry.collect()
            for sample in family.samples
            if sample.name == "sharezync_http_request_duration_seconds_count"
            if sample.labels["status_class"] == "aborted"
        }

    @property
    def unhandled(self) -> float:
        name = "sharezync_unhandled_exceptions_total"
        return self.registry.get_sample_value(name, {"service": "things"}) or 0.0


@asynccontextmanager
async def _nothing(_: FastAPI) -> AsyncGenerator[None]:
    yield


@pytest.mark.parametrize("path", ["/form", "/body"])
@pytest.mark.parametrize("kind", KINDS)
async def test_a_client_that_leaves_in_the_middle_of_its_body_is_no_error(
    path: str, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    things = Things()
    async with serving(things.app) as served:
        _, writer = await asyncio.open_connection("127.0.0.1", served.port)
        writer.write(UPLOAD.format(path=path, kind=kind).encode())
        await wait_until(lambda: things.began)
        writer.transport.abort()
        await wait_until(lambda: things.ended)
    assert things.unhandled == 0
    if path == "/body":  # a form that is none is answered without its body
        assert things.aborted() == {path}
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]


@pytest.mark.parametrize(("kind", "tracebacks"), [("problem", 0), ("bug", 1)])
async def test_half_an_answer_is_broken_off_and_told_once(
    kind: str,
    tracebacks: int,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    lines = Lines.capture(middleware, monkeypatch)
    things = Things()
    async with serving(things.app) as served:
        reader, writer = await asyncio.open_connection("127.0.0.1", served.port)
        writer.write(f"GET /half/{kind} HTTP/1.1\r\nHost: things\r\n\r\n".encode())
        async with asyncio.timeout(GIVE_UP_SECONDS):
            try:
                came = await reader.read()
            except ConnectionError:
                came = b""
        writer.close()
        assert b"\r\n0\r\n" not in came, "no end may be said: it is not whole"
    assert things.unhandled == tracebacks
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]
    assert lines.count("unhandled_exception") == tracebacks


@pytest.mark.parametrize("kind", ["problem", "bug"])
async def test_a_fault_behind_a_whole_answer_leaves_the_next_one_alone(kind: str) -> None:
    things = Things()
    async with serving(things.app) as served:
        reader, writer = await asyncio.open_connection("127.0.0.1", served.port)
        request = f"GET /whole/{kind} HTTP/1.1\r\nHost: things\r\n"
        writer.write(f"{request}\r\n{request}\r\n{request}Connection: close\r\n\r\n".encode())
        async with asyncio.timeout(GIVE_UP_SECONDS):
            assert (await reader.read()).count(b"whole") == 3
        writer.close()


@pytest.mark.parametrize("how", ["hangs", "is told", "is told as others tell"])
async def test_who_does_not_read_is_no_error(how: str, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = Lines.capture(middleware, monkeypatch)
    things = Things()

    async def send(message: Message) -> None:
        if message["type"] == "http.response.body":
            if how == "hangs":
                await asyncio.Event().wait()
            raise BrokenPipeError if how == "is told" else GoneError

    async def receive() -> Message:
        return {"type": "http.request"}

    scope = {"type": "http", "method": "GET", "path": "/patient", "query_string": b""}
    await things.app({**scope, "headers": []}, receive, send)
    assert things.unhandled == 0
    # Who hangs is cut off by the application, which then ends by itself.
    assert things.aborted() == {"/patient"}
    assert lines.count("unhandled_exception") == 0
