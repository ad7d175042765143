"""The prepared-frame door, through a real uvicorn and the `websockets` client.

It leans on internals of uvicorn: these tests are what notices when they change.
"""

import asyncio
import contextlib
import socket
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from starlette.types import Message, Receive, Scope, Send
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed
from websockets.frames import Frame, Opcode

from sharezync_shared.server import websocket_guard
from sharezync_shared.server.frame_reader import (
    encode_binary_frame,
    encode_text_frame,
    frame_header,
)
from sharezync_shared.server.settings import WebSocketSettings
from sharezync_shared.server.websocket_protocol import (
    HIGH_WATER_BYTES,
    LOW_WATER_BYTES,
    FramePort,
    frame_port,
)
from sharezync_testkit.serving import Served, plain_asgi, serving
from sharezync_testkit.waiting import GIVE_UP_SECONDS, wait_until

QUIET: dict[str, Any] = {"compression": None, "ping_interval": None, "open_timeout": 5}


class Peer:
    """The server's end of one socket, for the test to play with."""

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.scope = scope
        self.send = send
        self._receive = receive
        self.port: FramePort = frame_port(scope)
        self.heard: list[Message] = []
        self.over = asyncio.Event()

    async def listen(self) -> None:
        while True:
            message = await self._receive()
            self.heard.append(message)
            if message["type"] == "websocket.disconnect":
                self.over.set()
                return


class Place:
    """An application whose sockets the test holds in its hands."""

    def __init__(self) -> None:
        self.peers: list[Peer] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        peer = Peer(scope, receive, send)
        self.peers.append(peer)
        await peer.listen()


@pytest.fixture
async def place() -> Place:
    return Place()


@pytest.fixture
async def served(place: Place) -> AsyncGenerator[Served]:
    async with serving(plain_asgi(websocket=place)) as served:
        yield served


@asynccontextmanager
async def pair(
    served: Served, place: Place, **options: Any
) -> AsyncGenerator[tuple[ClientConnection, Peer]]:
    async with connect(served.ws + "/", **{**QUIET, **options}) as client:
        await wait_until(lambda: place.peers)
        yield client, place.peers[-1]


async def stalled_pair(served: Served, place: Place) -> tuple[socket.socket, Peer]:
    """A client that shook hands and reads nothing more, with as little room as the kernel gives."""
    raw = socket.socket()
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    raw.connect(("127.0.0.1", served.port))
    raw.sendall(
        b"GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
    )
    await wait_until(lambda: place.peers)
    return raw, place.peers[-1]


@asynccontextmanager
async def reading(raw: socket.socket) -> AsyncGenerator[None]:
    """The client reads after all, whatever comes, while the block runs."""

    async def read() -> None:
        while await asyncio.get_running_loop().sock_recv(raw, 1 << 20):
            pass

    raw.setblocking(False)
    task = asyncio.create_task(read())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])


async def fill(port: FramePort) -> None:
    """Write until the port says no, and goes on saying so: the kernel takes its share first."""
    frame = encode_text_frame(b"x" * 16_000)
    refusals = 0
    async with asyncio.timeout(GIVE_UP_SECONDS):
        while refusals < 5:
            refusals = 0 if port.write(frame) else refusals + 1
            if refusals:
                await asyncio.sleep(0.01)


@pytest.mark.parametrize("length", [0, 1, 125, 126, 65535, 65536])
async def test_prepared_frames_arrive_as_messages(
    served: Served, place: Place, length: int
) -> None:
    async with pair(served, place) as (client, peer):
        assert peer.port.write(encode_text_frame(b"t" * length))
        assert peer.port.write(encode_binary_frame(b"b" * length))
        assert peer.port.write_parts([frame_header(0x82, length + 2), b"p" * length, b"!!"])
        async with asyncio.timeout(GIVE_UP_SECONDS):
            assert await client.recv() == "t" * length
            assert await client.recv() == b"b" * length
            assert await client.recv() == b"p" * length + b"!!"


async def test_several_frames_may_be_written_at_once(served: Served, place: Place) -> None:
    async with pair(served, place) as (client, peer):
        assert peer.port.write(b"".join(encode_text_frame(b"%d" % n) for n in range(50)))
        async with asyncio.timeout(GIVE_UP_SECONDS):
            assert [await client.recv() for _ in range(50)] == [str(n) for n in range(50)]


async def test_prepared_frames_and_ordinary_sends_keep_their_order() -> None:
    place = Place()
    async with (
        serving(plain_asgi(websocket=place)) as served,
        pair(served, place) as (client, peer),
    ):
        for n in range(0, 40, 2):
            assert peer.port.write(encode_text_frame(b"%d" % n))
            await peer.send({"type": "websocket.send", "text": str(n + 1)})
        async with asyncio.timeout(GIVE_UP_SECONDS):
            assert [await client.recv() for _ in range(40)] == [str(n) for n in range(40)]


async def test_fragmented_messages_arrive_whole(served: Served, place: Place) -> None:
    async with pair(served, place) as (client, peer):
        await client.send(["a", "b" * 70_000, "", "c"])
        await client.send([b"1", b"2"])
        await wait_until(lambda: len(peer.heard) == 2)
        assert peer.heard[0]["text"] == "a" + "b" * 70_000 + "c"
        assert peer.heard[1]["bytes"] == b"12"


async def test_pings_are_answered_between_prepared_frames(served: Served, place: Place) -> None:
    async with pair(served, place) as (client, peer):
        for n in range(5):
            assert peer.port.write(encode_text_frame(b"%d" % n))
            async with asyncio.timeout(GIVE_UP_SECONDS):
                await (await client.ping())
        assert [await client.recv() for _ in range(5)] == ["0", "1", "2", "3", "4"]


async def test_a_closing_client_gets_its_handshake_and_no_further_frame(
    served: Served, place: Place
) -> None:
    async with pair(served, place) as (client, peer):
        await client.close(3001, "enough")
        assert client.close_code == 3001
        async with asyncio.timeout(GIVE_UP_SECONDS):
            await peer.over.wait()
        assert peer.heard[-1]["code"] == 3001
        assert not peer.port.write(encode_text_frame(b"late"))
        assert not peer.port.write_within(encode_text_frame(b"late"), 10_000)
        assert not peer.port.write_parts([encode_text_frame(b"late")])
        assert not await peer.port.wait_writable()


async def test_a_handshake_with_too_much_in_it_is_answered_and_closed(served: Served) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", served.port)
    handshake = b"GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    writer.write(handshake + b"Authorization: " + b"a" * 9000 + b"\r\n\r\n")
    async with asyncio.timeout(GIVE_UP_SECONDS):
        answer = await reader.read()
    assert answer.startswith(b"HTTP/1.1 431 ")
    writer.close()
    await writer.wait_closed()


async def test_close_says_code_and_reason_behind_what_was_written(
    served: Served, place: Place
) -> None:
    async with pair(served, place) as (client, peer):
        assert peer.port.write(encode_text_frame(b"last words"))
        peer.port.close(4008, "too slow")
        peer.port.close(4001, "a second close is none")
        assert not peer.port.write(encode_text_frame(b"late"))
        async with asyncio.timeout(GIVE_UP_SECONDS):
            assert await client.recv() == "last words"
            with pytest.raises(ConnectionClosed):
                await client.recv()
            await peer.over.wait()
        assert (client.close_code, client.close_reason) == (4008, "too slow")


async def test_above_the_high_water_mark_nothing_is_written_until_the_peer_has_caught_up(
    served: Served, place: Place
) -> None:
    raw, peer = await stalled_pair(served, place)
    with contextlib.closing(raw):
        await fill(peer.port)
        buffered = peer.port.buffered_bytes
        assert LOW_WATER_BYTES < buffered < HIGH_WATER_BYTES + 20_000
        assert not peer.port.write(b"\x81\x00")
        assert not peer.port.write_within(b"\x81\x00", buffered)
        assert peer.port.write_within(b"\x81\x00", buffered + 2)
        waiting = asyncio.create_task(peer.port.wait_writable())
        await asyncio.sleep(0)
        assert not waiting.done()
        async with reading(raw), asyncio.timeout(GIVE_UP_SECONDS):
            assert await waiting
        assert peer.port.write(b"\x81\x00")


async def test_a_peer_that_stalls_while_it_is_closed_is_cut_off(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(websocket_guard, "GRACE_SECONDS", 0.05)
    place = Place()
    async with serving(plain_asgi(websocket=place)) as served:
        raw, peer = await stalled_pair(served, place)
        with contextlib.closing(raw):
            await fill(peer.port)
            peer.port.close(4008, "too slow")
            await wait_until(lambda: not served.server.server_state.connections)


async def test_a_peer_that_asks_to_close_and_then_stalls_is_cut_off(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(websocket_guard, "GRACE_SECONDS", 0.05)
    place = Place()
    async with serving(plain_asgi(websocket=place)) as served:
        raw, peer = await stalled_pair(served, place)
        with contextlib.closing(raw):
            await fill(peer.port)
            raw.sendall(Frame(Opcode.CLOSE, b"\x03\xe8").serialize(mask=True))
            await wait_until(lambda: not served.server.server_state.connections)


async def test_a_peer_that_never_answers_pings_is_closed() -> None:
    place = Place()
    app = plain_asgi(websocket=place)
    async with serving(app, websockets=WebSocketSettings(ping_seconds=0.05)) as served:
        raw, peer = await stalled_pair(served, place)
        with contextlib.closing(raw):
            async with asyncio.timeout(GIVE_UP_SECONDS):
                await peer.over.wait()
            assert peer.heard[-1]["code"] == 1011


async def test_a_peer_that_pings_and_never_reads_costs_a_bounded_amount() -> None:
    place = Place()
    async with serving(plain_asgi(websocket=place)) as served:
        raw, peer = await stalled_pair(served, place)
        with contextlib.closing(raw):
            raw.setblocking(False)
            pings = Frame(Opcode.PING, b"x" * 125).serialize(mask=True) * 500
            loop = asyncio.get_running_loop()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(GIVE_UP_SECONDS):
                    for _ in range(150):  # nine megabytes
                        await loop.sock_sendall(raw, pings)
            assert peer.port.buffered_bytes < HIGH_WATER_BYTES + 300_000  # and one read of the loop


async def test_endless_fragments_are_refused_however_small() -> None:
    place = Place()
    async with (
        serving(plain_asgi(websocket=place)) as served,
        pair(served, place) as (client, peer),
    ):
        with contextlib.suppress(ConnectionClosed):
            await client.send([""] * 5000)
        await client.wait_closed()
        assert client.close_code == 1008
        async with asyncio.timeout(GIVE_UP_SECONDS):
            await peer.over.wait()


async def test_messages_over_the_limit_close_with_1009() -> None:
    place = Place()
    app = plain_asgi(websocket=place)
    async with (
        serving(app, websockets=WebSocketSettings(max_message_bytes=1000)) as served,
        pair(served, place) as (client, _),
    ):
        await client.send("x" * 1001)
        await client.wait_closed()
        assert client.close_code == 1009


async def test_text_that_is_not_utf8_closes_with_1007() -> None:
    place = Place()
    async with serving(plain_asgi(websocket=place)) as served:
        raw, peer = await stalled_pair(served, place)
        with contextlib.closing(raw):
            raw.sendall(Frame(Opcode.TEXT, b"\xff\xfe").serialize(mask=True))
            async with asyncio.timeout(GIVE_UP_SECONDS):
                await peer.over.wait()
            assert peer.heard[-1]["code"] == 1007


async def test_compression_is_never_negotiated() -> None:
    place = Place()
    app = plain_asgi(websocket=place)
    async with serving(app) as served, pair(served, place, compression="deflate") as (client, _):
        assert not client.protocol.extensions
