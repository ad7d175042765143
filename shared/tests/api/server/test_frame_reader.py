"""Large frames come in whole, however they are cut, and cost nothing before they come."""

import asyncio
import os
import random
import tracemalloc
from collections.abc import Iterator

import pytest
from websockets.frames import Frame, Opcode
from websockets.http11 import Request
from websockets.server import ServerProtocol

from sharezync_shared.server.frame_reader import READ_BYTES, FrameReader, FrameStream

MIB = 1024 * 1024
HANDSHAKE = (
    b"GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)


class Receiver:
    """A socket's parser behind a `FrameReader`, fed as an event loop does."""

    wanted_bytes = READ_BYTES

    def __init__(self) -> None:
        self.conn = ServerProtocol(max_size=2 * MIB)
        self.stream = self.conn.reader = FrameStream()
        self.conn.parser = self.conn.parse()
        next(self.conn.parser)
        self.conn.receive_data(HANDSHAKE)
        (request,) = self.conn.events_received()
        assert isinstance(request, Request)
        self.conn.send_response(self.conn.accept(request))
        self.reader = FrameReader(self, self.stream)
        self.frames: list[tuple[int, bytes]] = []

    def data_received(self, data: bytes) -> None:
        self.conn.receive_data(data)
        assert self.conn.parser_exc is None
        for event in self.conn.events_received():
            assert isinstance(event, Frame)
            self.frames.append((event.opcode, bytes(event.data)))

    def read(self, data: bytes) -> None:
        """Have so much arrive at the socket."""
        view = memoryview(data)
        while view:
            buffer = self.reader.get_buffer(-1)
            count = min(len(buffer), len(view))
            buffer[:count] = view[:count]
            self.reader.buffer_updated(count)
            view = view[count:]

    def connection_made(self, transport: asyncio.Transport) -> None: ...
    def connection_lost(self, exc: Exception | None) -> None: ...
    def eof_received(self) -> None: ...
    def pause_writing(self) -> None: ...
    def resume_writing(self) -> None: ...


def sent(payload: bytes, opcode: Opcode = Opcode.BINARY) -> bytes:
    return Frame(opcode, payload).serialize(mask=True)


def cut(data: bytes, chooser: random.Random) -> Iterator[bytes]:
    at = 0
    while at < len(data):
        size = chooser.choice([1, 2, 7, 1000, READ_BYTES, READ_BYTES + 1, 3 * READ_BYTES])
        yield data[at : at + size]
        at += size


@pytest.mark.parametrize("seed", range(20))
def test_frames_come_in_whole_and_in_order_however_they_are_cut(seed: int) -> None:
    chooser = random.Random(seed)
    sizes = [0, 1, 125, 126, READ_BYTES - 1, READ_BYTES, READ_BYTES + 1, 300_000, MIB]
    payloads = [os.urandom(chooser.choice(sizes)) for _ in range(12)]
    wire = b"".join(map(sent, payloads))
    receiver = Receiver()
    for piece in cut(wire, chooser):
        if chooser.random() < 0.5:
            receiver.read(piece)
        else:
            receiver.data_received(piece)  # the other way: what a server without the reader does
    assert receiver.frames == [(Opcode.BINARY, payload) for payload in payloads]


def test_the_rest_of_a_large_frame_is_read_to_where_it_belongs_and_no_further() -> None:
    receiver = Receiver()
    wire = sent(bytes(MIB))
    receiver.read(wire[: READ_BYTES + 100])
    rest = len(wire) - READ_BYTES - 100
    assert len(receiver.reader.get_buffer(-1)) == rest
    receiver.read(wire[READ_BYTES + 100 :] + sent(b"next"))
    assert receiver.frames == [(Opcode.BINARY, bytes(MIB)), (Opcode.BINARY, b"next")]
    assert len(receiver.reader.get_buffer(-1)) == READ_BYTES


def test_who_only_announces_a_large_frame_costs_next_to_nothing() -> None:
    receivers = [Receiver() for _ in range(50)]
    tracemalloc.start()
    try:
        for receiver in receivers:
            receiver.read(sent(bytes(MIB))[:1000])
        grown, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert grown < 50 * READ_BYTES
    assert all(receiver.stream.awaited is None for receiver in receivers)


def test_a_connection_that_ends_in_a_large_frame_keeps_none_of_it() -> None:
    receiver = Receiver()
    receiver.read(sent(bytes(MIB))[: 2 * READ_BYTES])
    assert len(receiver.reader.get_buffer(-1)) > READ_BYTES
    receiver.conn.receive_eof()
    assert receiver.stream.awaited is None
    assert receiver.conn.parser_exc is not None
