"""Who leaves while their request waits is noticed, though nobody reads from them."""

import asyncio
import sys
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any, cast

import pytest
from starlette.types import Receive, Scope, Send

from shared.tests.api.server.wire import Wire
from sharezync_shared.server import CLIENT_EXTENSION, PATIENCE_SECONDS
from sharezync_shared.server.outgoing import reset
from sharezync_testkit.serving import plain_asgi, serving
from sharezync_testkit.waiting import GIVE_UP_SECONDS, wait_until

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="asks the kernel of Linux")

SIZE = 256 * 1024
"""More than is read ahead, and no more than the kernel takes beside it: behind a full window nobody
would see the end of a connection."""
HEAD = b"POST / HTTP/1.1\r\nHost: x\r\n"
LENGTH = HEAD + b"Content-Length: %d\r\n\r\n" % SIZE
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n%x\r\n" % SIZE
PART = bytes(SIZE // 2)
WHOLE = HEAD + b"Content-Length: 3\r\n\r\nabc"


class Waiting:
    """Lets a request wait, until it is told to answer, and hears of a client that leaves."""

    def __init__(self) -> None:
        self.client: dict[str, Any] = {}
        self.told = asyncio.Event()
        self.go_on = asyncio.Event()
        self.body = b""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.client = scope["extensions"][CLIENT_EXTENSION]
        self.client["on_left"](self.told.set)
        await self.go_on.wait()
        more = True
        while more:
            message = await receive()
            self.body += message.get("body", b"")
            more = message.get("more_body", False)
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"at last"})


@asynccontextmanager
async def waiting(request: bytes, **settings: Any) -> AsyncGenerator[tuple[Waiting, Wire]]:
    """Send a request that waits."""
    app = Waiting()
    async with serving(plain_asgi(http=app), **settings) as served:
        wire = Wire(*await asyncio.open_connection("127.0.0.1", served.port))
        wire.writer.write(request)
        await wait_until(lambda: app.client)
        try:
            yield app, wire
        finally:
            app.go_on.set()
            wire.writer.transport.abort()


@pytest.mark.parametrize("head", [LENGTH, CHUNKED])
async def test_who_closes_in_the_middle_of_a_body_that_nobody_reads_has_left(head: bytes) -> None:
    async with waiting(head + PART) as (app, wire):
        await asyncio.sleep(0.2)
        assert not app.client["has_left"]()
        wire.writer.close()
        await wait_until(app.client["has_left"])
        await asyncio.wait_for(app.told.wait(), GIVE_UP_SECONDS)


@pytest.mark.parametrize("request_", [LENGTH + PART, CHUNKED + PART, WHOLE])
async def test_a_reset_is_told_while_a_request_waits(request_: bytes) -> None:
    async with waiting(request_) as (app, wire):
        reset(cast("asyncio.Transport", wire.writer.transport))
        await asyncio.wait_for(app.told.wait(), GIVE_UP_SECONDS)
        assert app.client["has_left"]()


@pytest.mark.parametrize("request_", [LENGTH + PART * 2, WHOLE])
async def test_who_has_sent_all_and_closes_its_half_is_answered(request_: bytes) -> None:
    async with waiting(request_, half_closed_pause_seconds=0.2) as (app, wire):
        wire.writer.write_eof()
        await asyncio.sleep(1)
        assert not app.told.is_set()
        assert not app.client["has_left"]()
        app.go_on.set()
        assert (await wire.answers())[0][1] == b"at last"
        assert len(app.body) in {SIZE, 3}


async def test_what_came_before_is_given_to_who_has_begun_to_read() -> None:
    async with waiting(LENGTH + PART) as (app, wire):
        app.go_on.set()
        await wait_until(lambda: len(app.body) == len(PART))
        wire.writer.close()
        await asyncio.wait_for(app.told.wait(), GIVE_UP_SECONDS)
        assert app.body == PART


async def test_who_leaves_the_queue_of_those_to_be_read_begins_nothing() -> None:
    began: list[str] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        began.append(scope["path"])
        if scope["path"] == "/first":
            time.sleep(4 * PATIENCE_SECONDS)  # noqa: ASYNC251 - nobody else has a turn meanwhile
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"at last"})

    async with serving(plain_asgi(http=app)) as served:
        paths = "/first", "/second", "/left", "/last"
        opened = [await asyncio.open_connection("127.0.0.1", served.port) for _ in paths]
        await wait_until(lambda: len(served.server.server_state.connections) == len(paths))
        for path, (_, writer) in zip(paths, opened, strict=True):
            writer.write(f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\n".encode())
        opened[2][1].close()
        await wait_until(lambda: "/last" in began)
        assert began == ["/first", "/second", "/last"]
        for _, writer in opened:
            writer.close()
