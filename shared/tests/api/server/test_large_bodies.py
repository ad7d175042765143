"""Large bodies, in and out: whole, in bounded memory, and files without passing through us."""

import asyncio
import os
from collections.abc import Iterator
from io import FileIO
from pathlib import Path

import httpx
import pytest
from starlette.types import Message, Receive, Scope, Send
from uvicorn.protocols.http.flow_control import HIGH_WATER_LIMIT

from sharezync_shared.server.http_protocol import HttpProtocol
from sharezync_shared.server.request_body import PIECE_BYTES
from sharezync_shared.server.sendfile import ZERO_COPY
from sharezync_testkit.serving import Served, plain_asgi, serving
from sharezync_testkit.waiting import GIVE_UP_SECONDS, wait_until

DATA = os.urandom(9 * 1024 * 1024 + 77)


async def opened(served: Served, head: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    reader, writer = await asyncio.open_connection("127.0.0.1", served.port)
    writer.write(f"{head}\r\nHost: x\r\n".encode())
    return reader, writer


# --- in --------------------------------------------------------------------------------------


async def test_a_body_arrives_whole_in_pieces_of_bounded_size() -> None:
    pieces: list[bytes] = []

    async def take(scope: Scope, receive: Receive, send: Send) -> None:
        more = True
        while more:
            message = await receive()
            pieces.append(message["body"])
            more = message["more_body"]
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body"})

    async with serving(plain_asgi(http=take)) as served, httpx.AsyncClient() as http:
        for _ in range(2):  # of one connection
            pieces.clear()
            assert (await http.put(served.http, content=DATA)).status_code == 204
            assert b"".join(pieces) == DATA
            assert max(map(len, pieces)) <= PIECE_BYTES + HIGH_WATER_LIMIT


async def test_a_body_in_chunks_of_a_byte_costs_no_message_for_each() -> None:
    begun, sent, messages = asyncio.Event(), asyncio.Event(), list[bytes]()

    async def take(scope: Scope, receive: Receive, send: Send) -> None:
        begun.set()
        await sent.wait()
        more = True
        while more:
            message = await receive()
            messages.append(message["body"])
            more = message["more_body"]
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body"})

    async with serving(plain_asgi(http=take)) as served:
        reader, writer = await opened(served, "POST / HTTP/1.1")
        writer.write(b"Transfer-Encoding: chunked\r\n\r\n")
        await begun.wait()
        writer.write(b"1\r\nx\r\n" * 5000 + b"0\r\n\r\n")
        (connection,) = served.server.server_state.connections
        assert isinstance(connection, HttpProtocol)
        await wait_until(lambda: connection.incoming and connection.incoming.waiting_bytes == 5000)
        sent.set()
        await reader.readuntil(b"\r\n\r\n")
        writer.close()
    assert b"".join(messages) == 5000 * b"x"
    assert len(messages) <= 2


async def test_nothing_is_read_ahead_of_an_application_that_takes_nothing() -> None:
    begun, may_go_on = asyncio.Event(), asyncio.Event()
    taken = 0

    async def slow(scope: Scope, receive: Receive, send: Send) -> None:
        nonlocal taken
        begun.set()
        await may_go_on.wait()
        while (message := await receive())["type"] == "http.request":
            taken += len(message["body"])
            if not message["more_body"]:
                break

    async with serving(plain_asgi(http=slow)) as served:
        _, writer = await opened(served, "POST / HTTP/1.1")
        writer.write(b"Content-Length: %d\r\n\r\n" % (20 * len(DATA)))
        await begun.wait()
        sending = asyncio.create_task(_send(writer, 20))
        (connection,) = served.server.server_state.connections
        assert isinstance(connection, HttpProtocol)
        await wait_until(lambda: connection.flow.read_paused)
        incoming = connection.incoming
        assert incoming is not None
        assert 0 < incoming.waiting_bytes <= 2 * PIECE_BYTES
        may_go_on.set()
        await sending
        await wait_until(lambda: taken == 20 * len(DATA))
        writer.close()


async def _send(writer: asyncio.StreamWriter, times: int) -> None:
    for _ in range(times):
        writer.write(DATA)
        await writer.drain()


# --- out -------------------------------------------------------------------------------------


class Sender:
    """Answers with parts of a file, in as many messages as there are `spans`."""

    def __init__(self, file: FileIO, *spans: tuple[int, int], length: int | None = None) -> None:
        self._file = file
        self._spans = spans
        self._length = sum(count for _, count in spans) if length is None else length
        self.offered = False
        self.failure: Exception | None = None
        self.over = asyncio.Event()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.offered = ZERO_COPY in scope["extensions"]
        headers = [(b"content-length", b"%d" % self._length)]
        try:
            await send({"type": "http.response.start", "status": 200, "headers": headers})
            for number, (offset, count) in enumerate(self._spans, 1):
                message: Message = {"type": ZERO_COPY, "file": self._file, "offset": offset}
                more = number < len(self._spans)
                await send({**message, "count": count, "more_body": more})
        except Exception as error:
            self.failure = error
            raise
        finally:
            self.over.set()


@pytest.fixture
def file(tmp_path: Path) -> Iterator[FileIO]:
    path = tmp_path / "file"
    path.write_bytes(DATA)
    with FileIO(path) as file:
        yield file


async def test_a_file_goes_out_as_it_is_and_the_connection_lives_on(file: FileIO) -> None:
    app = Sender(file, (0, len(DATA)))
    async with serving(plain_asgi(http=app)) as served, httpx.AsyncClient() as http:
        for _ in range(2):
            assert (await http.get(served.http)).content == DATA
    assert app.offered


async def test_spans_of_a_file_go_out_in_their_order(file: FileIO) -> None:
    app = Sender(file, (5, 300_000), (0, 1), (1_000_000, 6_000_000))
    async with serving(plain_asgi(http=app)) as served, httpx.AsyncClient() as http:
        body = (await http.get(served.http)).content
    assert body == DATA[5:300_005] + DATA[:1] + DATA[1_000_000:7_000_000]


async def test_the_answer_to_head_is_without_the_file(file: FileIO) -> None:
    app = Sender(file, (0, len(DATA)))
    async with serving(plain_asgi(http=app)) as served, httpx.AsyncClient() as http:
        answer = await http.head(served.http)
        assert answer.headers["content-length"] == str(len(DATA))
        assert (await http.head(served.http)).status_code == 200


async def test_a_reader_who_pauses_gets_all_of_it(file: FileIO) -> None:
    app = Sender(file, *[(0, len(DATA))] * 5)
    async with serving(plain_asgi(http=app)) as served:
        reader, writer = await opened(served, "GET / HTTP/1.1")
        writer.write(b"\r\n")
        await reader.readuntil(b"\r\n\r\n")
        got = await reader.readexactly(10)
        assert not app.over.is_set()  # no socket holds so much
        got += await reader.readexactly(5 * len(DATA) - 10)
        assert got == 5 * DATA
        writer.close()


async def test_who_leaves_in_the_middle_ends_it_quietly(file: FileIO) -> None:
    app = Sender(file, *[(0, len(DATA))] * 5)
    async with serving(plain_asgi(http=app)) as served:
        reader, writer = await opened(served, "GET / HTTP/1.1")
        writer.write(b"\r\n")
        await reader.readexactly(100_000)
        writer.transport.abort()
        async with asyncio.timeout(GIVE_UP_SECONDS):
            await app.over.wait()
        assert app.failure is None
        await wait_until(lambda: not served.server.server_state.connections)


async def test_an_application_may_give_up_on_who_does_not_read(file: FileIO) -> None:
    sender = Sender(file, *[(0, len(DATA))] * 5)

    async def impatient(scope: Scope, receive: Receive, send: Send) -> None:
        async with asyncio.timeout(0.3):
            await sender(scope, receive, send)

    async with serving(plain_asgi(http=impatient)) as served:
        reader, writer = await opened(served, "GET / HTTP/1.1")
        writer.write(b"\r\n")
        async with asyncio.timeout(GIVE_UP_SECONDS):
            await sender.over.wait()
            while await reader.read(1024 * 1024):  # what the socket held, and then the end
                pass
        writer.close()


async def test_a_file_that_ends_too_soon_breaks_the_answer_off(file: FileIO) -> None:
    app = Sender(file, (0, len(DATA) + 1))
    async with serving(plain_asgi(http=app)) as served, httpx.AsyncClient() as http:
        with pytest.raises(httpx.RemoteProtocolError):
            await http.get(served.http)
    assert isinstance(app.failure, OSError)


async def test_more_than_was_announced_is_not_sent(file: FileIO) -> None:
    app = Sender(file, (0, 1000), length=999)
    async with serving(plain_asgi(http=app)) as served, httpx.AsyncClient() as http:
        with pytest.raises(httpx.RemoteProtocolError):
            await http.get(served.http)
    assert isinstance(app.failure, RuntimeError)
