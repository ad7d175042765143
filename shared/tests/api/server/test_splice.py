"""Answers from another connection: whole, holding nothing, and broken off where that one breaks."""

import asyncio
import os
import socket
from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager

import httpx
import pytest
from starlette.types import Receive, Scope, Send

from sharezync_shared.server import SPLICE, SpliceSource
from sharezync_testkit.serving import Served, plain_asgi, serving
from sharezync_testkit.waiting import GIVE_UP_SECONDS, wait_until

DATA = os.urandom(9 * 1024 * 1024 + 77)


class Relay:
    """Answers with `length` bytes of what comes from `source`."""

    def __init__(self, source: socket.socket, length: int = len(DATA)) -> None:
        self._source = source
        self._length = length
        self.left = length
        self.failure: BaseException | None = None
        self.over = asyncio.Event()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        assert SPLICE in scope["extensions"]
        headers = [(b"content-length", b"%d" % self._length)]
        self.left = self._length
        try:
            await send({"type": "http.response.start", "status": 200, "headers": headers})
            with SpliceSource(self._source.fileno()) as source:
                while self.left and (count := min(await source.readable(), self.left)):
                    self.left -= count
                    message = {"type": SPLICE, "source": source, "count": count}
                    await send({**message, "more_body": self.left > 0})
        except BaseException as error:
            self.failure = error
            raise
        finally:
            self.over.set()


@pytest.fixture
def ends() -> Iterator[tuple[socket.socket, socket.socket]]:
    """Two ends of a TCP connection that don't block."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        ours = socket.create_connection(server.getsockname())
        theirs, _ = server.accept()
    for each in (ours, theirs):
        each.setblocking(False)
    with ours, theirs:
        yield ours, theirs


@asynccontextmanager
async def sent(theirs: socket.socket, data: bytes) -> AsyncGenerator[None]:
    loop = asyncio.get_running_loop()
    sending = asyncio.create_task(loop.sock_sendall(theirs, data))
    try:
        yield
    finally:
        sending.cancel()
        await asyncio.gather(sending, return_exceptions=True)


async def opened(served: Served) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    reader, writer = await asyncio.open_connection("127.0.0.1", served.port)
    writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    return reader, writer


Ends = tuple[socket.socket, socket.socket]


async def test_it_goes_out_as_it_is_and_the_client_s_connection_lives_on(ends: Ends) -> None:
    ours, theirs = ends
    app = Relay(ours)
    async with (
        serving(plain_asgi(http=app)) as served, httpx.AsyncClient() as http,
        sent(theirs, 2 * DATA),
    ):  # fmt: skip
        for _ in range(2):
            assert (await http.get(served.http)).content == DATA
        (_,) = served.server.server_state.connections


async def test_a_reader_who_pauses_gets_all_and_nothing_is_held_meanwhile(ends: Ends) -> None:
    ours, theirs = ends
    app = Relay(ours)
    async with serving(plain_asgi(http=app)) as served, sent(theirs, DATA):
        reader, writer = await opened(served)
        await reader.readuntil(b"\r\n\r\n")
        (connection,) = served.server.server_state.connections
        await asyncio.sleep(0.3)
        assert app.left > 0, "no socket holds so much"
        assert connection.transport.get_write_buffer_size() == 0
        assert await reader.readexactly(len(DATA)) == DATA
        writer.close()


async def test_who_leaves_in_the_middle_ends_it(ends: Ends) -> None:
    ours, theirs = ends
    app = Relay(ours)
    async with serving(plain_asgi(http=app)) as served, sent(theirs, DATA):
        reader, writer = await opened(served)
        await reader.readexactly(100_000)
        writer.transport.abort()
        async with asyncio.timeout(GIVE_UP_SECONDS):
            await app.over.wait()
        assert isinstance(app.failure, OSError)
        await wait_until(lambda: not served.server.server_state.connections)


async def test_a_source_that_ends_too_soon_breaks_the_answer_off(ends: Ends) -> None:
    ours, theirs = ends
    app = Relay(ours, length=len(DATA))
    async with serving(plain_asgi(http=app)) as served, httpx.AsyncClient() as http:
        theirs.send(b"not all of it")
        theirs.close()
        with pytest.raises(httpx.RemoteProtocolError):
            await http.get(served.http)
    assert app.left == len(DATA) - len(b"not all of it")


async def test_what_is_not_there_is_not_moved(ends: Ends) -> None:
    ours, theirs = ends
    theirs.send(b"seven..")
    with SpliceSource(ours.fileno()) as source:
        assert await source.readable() == 7
        theirs.close()
        out, into = os.pipe()
        with pytest.raises(EOFError):
            await source.move(into, 8)
        assert os.read(out, 100) == b"seven.."
        os.close(out)
        os.close(into)
        assert await source.readable() == 0


async def test_others_have_their_turn_though_there_is_always_more(ends: Ends) -> None:
    ours, theirs = ends
    theirs.send(b"more")
    turns: list[str] = []
    with SpliceSource(ours.fileno()) as source:
        asyncio.get_running_loop().call_soon(turns.append, "somebody else")
        assert await source.readable() == 4
        assert turns == ["somebody else"]


async def test_more_than_was_announced_is_not_sent(ends: Ends) -> None:
    ours, theirs = ends

    async def liar(scope: Scope, receive: Receive, send: Send) -> None:
        headers = [(b"content-length", b"3")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        with SpliceSource(ours.fileno()) as source:
            await source.readable()
            with pytest.raises(RuntimeError):
                await send({"type": SPLICE, "source": source, "count": 4})

    async with serving(plain_asgi(http=liar)) as served, httpx.AsyncClient() as http:
        theirs.send(b"four")
        with pytest.raises(httpx.RemoteProtocolError):
            await http.get(served.http)
