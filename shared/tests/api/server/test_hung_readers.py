"""Answers that nobody reads, or hardly: bounded in what they hold, and in how long."""

import asyncio
import contextlib
import logging
import socket
import struct
import sys
from collections.abc import AsyncGenerator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import pytest
from starlette.types import Receive, Scope, Send

from sharezync_shared.server import http_protocol, outgoing
from sharezync_testkit.serving import Served, plain_asgi, serving
from sharezync_testkit.waiting import GIVE_UP_SECONDS, wait_until

MIB = 1024 * 1024
GET = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
LOOPS: list[Callable[[], asyncio.AbstractEventLoop]] = [asyncio.new_event_loop]
with contextlib.suppress(ImportError):  # there is none on Windows
    import uvloop

    LOOPS.append(uvloop.new_event_loop)
linux = pytest.mark.skipif(sys.platform != "linux", reason="what the kernel holds is not told")


class Asset:
    """Answers with `size` bytes in one message."""

    def __init__(self, size: int = MIB) -> None:
        self._body = bytes(size)
        self.calls = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.calls += 1
        headers = [(b"content-length", str(len(self._body)).encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": self._body})


@asynccontextmanager
async def hung(served: Served, *, receives: int = 4096) -> AsyncGenerator[socket.socket]:
    """Connect with a small buffer, and read nothing."""
    raw = socket.socket()
    with contextlib.closing(raw):
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receives)
        raw.setblocking(False)
        await asyncio.get_running_loop().sock_connect(raw, ("127.0.0.1", served.port))
        yield raw


async def until_all_are_gone(served: Served) -> None:
    await wait_until(lambda: not served.server.server_state.connections)
    assert not served.server.connections.open


@pytest.mark.parametrize(
    ("size", "sent"),
    [
        pytest.param(MIB, GET, id="in mid-answer"),
        pytest.param(MIB, GET * 6, id="pipelined"),
        pytest.param(MIB, GET.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"), id="closing"),
        pytest.param(MIB, GET.replace(b"1.1", b"1.0"), id="of HTTP/1.0"),
        pytest.param(40_000, GET, id="behind the answer", marks=linux),
        pytest.param(
            MIB, b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n", id="lingering"
        ),
    ],
)
async def test_who_reads_nothing_is_cut_off(size: int, sent: bytes) -> None:
    app = Asset(size)
    async with serving(plain_asgi(http=app), stall_seconds=0.5) as served, hung(served) as raw:
        await asyncio.get_running_loop().sock_sendall(raw, sent)
        await wait_until(lambda: app.calls)
        await until_all_are_gone(served)
        assert app.calls == 1


async def test_all_who_read_nothing_hold_little_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outgoing, "IDLE_SECONDS", 0.2)
    app = Asset(200_000)
    bounds: dict[str, Any] = {"stall_seconds": 10 * GIVE_UP_SECONDS, "max_stalled_bytes": 450_000}
    async with serving(plain_asgi(http=app), **bounds) as served, AsyncExitStack() as stack:
        loop = asyncio.get_running_loop()
        readers = [await stack.enter_async_context(hung(served)) for _ in range(5)]
        for raw in readers:
            await loop.sock_sendall(raw, GET)
            await asyncio.sleep(0.02)  # in this order they stall
        await wait_until(lambda: served.server.connections.open == 2)
        for raw in readers[:3]:
            with pytest.raises(ConnectionResetError):
                while await loop.sock_recv(raw, MIB):
                    pass
        assert await loop.sock_recv(readers[4], 100)


async def test_a_half_closed_client_that_reads_nothing_is_cut_off() -> None:
    app = Asset()
    async with serving(plain_asgi(http=app), stall_seconds=0.5) as served, hung(served) as raw:
        await asyncio.get_running_loop().sock_sendall(raw, GET)
        raw.shutdown(socket.SHUT_WR)
        await wait_until(lambda: app.calls)
        await until_all_are_gone(served)
        assert app.calls == 1


class Pausing:
    """Begins an answer that never goes on; tells when it has heard that the client has left."""

    def __init__(self) -> None:
        self.begun = asyncio.Event()
        self.over = asyncio.Event()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"so far", "more_body": True})
        self.begun.set()
        while (await receive())["type"] != "http.disconnect":
            pass
        self.over.set()


async def test_who_closes_in_a_pause_of_the_answer_has_gone() -> None:
    app = Pausing()
    async with serving(plain_asgi(http=app), half_closed_pause_seconds=0.2) as served:
        async with hung(served) as raw:
            await asyncio.get_running_loop().sock_sendall(raw, GET)
            await asyncio.wait_for(app.begun.wait(), GIVE_UP_SECONDS)
            await asyncio.sleep(0.5)
            assert not app.over.is_set()  # it only reads, and has not closed
        await asyncio.wait_for(app.over.wait(), GIVE_UP_SECONDS)
        await until_all_are_gone(served)


@linux
async def test_who_closes_behind_a_request_that_waits_has_gone_as_well() -> None:
    app, loop = Pausing(), asyncio.get_running_loop()
    bounds: dict[str, Any] = {"stall_seconds": 3600, "half_closed_pause_seconds": 0.2}
    async with serving(plain_asgi(http=app), **bounds) as served:
        async with hung(served) as raw:
            await loop.sock_sendall(raw, GET * 2)
            while b"so far" not in await loop.sock_recv(raw, MIB):
                pass
        await asyncio.wait_for(app.over.wait(), GIVE_UP_SECONDS)
        await until_all_are_gone(served)


@linux
@pytest.mark.parametrize("pipelined", [GET, GET * 2], ids=["half closed", "not read from"])
async def test_a_reset_is_noticed_where_nobody_reads_or_writes(pipelined: bytes) -> None:
    app = Pausing()
    never: dict[str, Any] = {"stall_seconds": 3600, "half_closed_pause_seconds": 3600}
    async with serving(plain_asgi(http=app), **never) as served:
        async with hung(served) as raw:
            await asyncio.get_running_loop().sock_sendall(raw, pipelined)
            raw.shutdown(socket.SHUT_WR)
            await asyncio.wait_for(app.begun.wait(), GIVE_UP_SECONDS)
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        await asyncio.wait_for(app.over.wait(), GIVE_UP_SECONDS)
        await until_all_are_gone(served)


async def leave_before_the_answer() -> None:
    asked, answers = asyncio.Event(), asyncio.Event()
    asset = Asset()

    async def late(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] == "/late":
            asked.set()
            await answers.wait()
        await asset(scope, receive, send)

    async with serving(plain_asgi(http=late), stall_seconds=0.5) as served:
        async with hung(served) as raw:
            raw.send(GET.replace(b"/", b"/late", 1))
            await asyncio.wait_for(asked.wait(), GIVE_UP_SECONDS)
            (connection,) = served.server.server_state.connections
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        await until_all_are_gone(served)
        answers.set()
        await wait_until(lambda: asset.calls)
        assert not connection._outgoing._readers  # type: ignore[union-attr]  # it is HTTP
        async with hung(served) as raw:  # the next one is still looked after
            raw.send(GET)
            await wait_until(lambda: asset.calls == 2)
            await until_all_are_gone(served)


@pytest.mark.parametrize("loop_factory", LOOPS)
def test_an_answer_to_who_has_left_ends_no_watch(
    loop_factory: Callable[[], asyncio.AbstractEventLoop], caplog: pytest.LogCaptureFixture
) -> None:
    with asyncio.Runner(loop_factory=loop_factory) as runner:
        runner.run(leave_before_the_answer())
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]


@linux
@pytest.mark.parametrize("loop_factory", LOOPS)
def test_the_kernel_ends_what_was_closed_and_nothing_else(
    loop_factory: Callable[[], asyncio.AbstractEventLoop], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its time runs on for who takes little at a time, as steadily as that may be."""
    asked = (socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT)
    told: list[int] = []

    def bound(transport: asyncio.Transport, stall_seconds: float) -> None:
        sock = transport.get_extra_info("socket")
        before = sock.getsockopt(*asked)
        outgoing.bound_leftovers(transport, stall_seconds)
        told.extend((before, sock.getsockopt(*asked)))

    async def read_and_leave() -> None:
        app = Asset(1000)
        async with serving(plain_asgi(http=app), stall_seconds=3) as served:
            async with hung(served) as raw:
                raw.send(GET)
                await wait_until(lambda: app.calls)
            await until_all_are_gone(served)

    monkeypatch.setattr(http_protocol, "bound_leftovers", bound)
    with asyncio.Runner(loop_factory=loop_factory) as runner:
        runner.run(read_and_leave())
    assert told == [0, 6000]


async def test_the_next_request_waits_until_the_answer_is_taken() -> None:
    app = Asset()
    async with serving(plain_asgi(http=app)) as served, hung(served) as raw:
        loop = asyncio.get_running_loop()
        await loop.sock_sendall(raw, GET * 6)
        await wait_until(lambda: app.calls)
        await asyncio.sleep(0.1)
        assert app.calls == 1
        (connection,) = served.server.server_state.connections
        assert connection.transport.get_write_buffer_size() <= MIB + 1000
        got = 0
        async with asyncio.timeout(GIVE_UP_SECONDS):
            while got < 6 * MIB:
                got += len(await loop.sock_recv(raw, MIB))
        assert app.calls == 6


async def test_requests_without_end_are_not_held() -> None:
    app = Asset()
    async with serving(plain_asgi(http=app)) as served, hung(served) as raw:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(0.5):
                await asyncio.get_running_loop().sock_sendall(raw, GET * 1_000_000)
        (connection,) = served.server.server_state.connections
        assert connection.flow.read_paused  # type: ignore[union-attr]  # it is HTTP
        assert len(connection._unparsed) <= 64 * 1024  # type: ignore[union-attr]  # as above
        assert app.calls == 1


@linux
async def test_who_reads_a_little_now_and_then_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outgoing, "PACE_SECONDS", 1.0)
    app = Asset(4 * MIB)
    settings: dict[str, Any] = {"stall_seconds": 4, "min_bytes_per_second": 1_000_000}
    async with serving(plain_asgi(http=app), **settings) as served, hung(served) as raw:
        loop = asyncio.get_running_loop()
        await loop.sock_sendall(raw, GET)
        with contextlib.suppress(ConnectionResetError):
            async with asyncio.timeout(GIVE_UP_SECONDS):
                while await loop.sock_recv(raw, 4096):  # noqa: ASYNC110 - it reads
                    await asyncio.sleep(0.1)
        await until_all_are_gone(served)


async def test_a_slow_application_is_no_hung_reader() -> None:
    async def slow(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"a", "more_body": True})
        await asyncio.sleep(1)
        await send({"type": "http.response.body", "body": b"b"})

    settings: dict[str, Any] = {"stall_seconds": 0.2, "min_bytes_per_second": 1_000_000}
    async with serving(plain_asgi(http=slow), **settings) as served:
        reader, writer = await asyncio.open_connection("127.0.0.1", served.port)
        writer.write(GET)
        async with asyncio.timeout(GIVE_UP_SECONDS):
            assert (await reader.readuntil(b"0\r\n\r\n")).endswith(b"1\r\nb\r\n0\r\n\r\n")
        writer.close()


@linux
async def test_the_kernel_holds_little_for_who_reads_nothing() -> None:
    app = Asset(32 * MIB)
    async with serving(plain_asgi(http=app)) as served, hung(served) as raw:
        await asyncio.get_running_loop().sock_sendall(raw, GET)
        await wait_until(lambda: app.calls)
        (connection,) = served.server.server_state.connections
        size = connection.transport.get_write_buffer_size
        await wait_until(size)
        await asyncio.sleep(0.2)
        assert size() >= 31 * MIB
