"""Credit, frames, and how files are cut."""

import hashlib
import uuid

import pytest

from sharezync import Corrupt
from sharezync.transfer.chunks import (
    HEADER_BYTES,
    chunk_count,
    chunk_length,
    decode,
    encode,
    root_of,
)
from sharezync.transfer.socket_sender import Window

TRANSFER = str(uuid.UUID(int=7))


def opened(limit_bytes: int) -> Window:
    """A window through which as much went as it lets at a time."""
    window = Window(limit_bytes)
    window.sent((9, 0), limit_bytes)
    window.acknowledged(9, 1)
    return window


def test_a_window_opens_by_what_is_acknowledged() -> None:
    window = Window(7)
    number = 0
    sizes = []
    for _ in range(5):
        first = number
        while window.has_room(1):
            window.sent((0, number), 1)
            number += 1
        sizes.append(number - first)
        window.acknowledged(0, number)
    assert sizes == [1, 2, 4, 7, 7]


def test_a_window_lets_as_much_through_as_was_acknowledged() -> None:
    window = opened(10)
    window.sent((0, 0), 6)
    assert window.has_room(4)
    assert not window.has_room(5)
    window.sent((0, 1), 4)
    window.sent((1, 0), 4)
    assert window.acknowledged(0, 1) == 6
    assert window.acknowledged(0, 0, [1]) == 4
    assert window.acknowledged(0, 2) == 0, "told twice, freed once"
    assert window.settled((1, 0)) == 4
    assert window.empty
    assert window.bytes == 0


def test_one_chunk_may_always_be_on_its_way() -> None:
    window = Window(0)
    assert window.has_room(1000)
    window.sent((0, 0), 1000)
    assert not window.has_room(1)


def test_a_chunk_that_is_sent_again_counts_once() -> None:
    window = opened(10)
    window.sent((0, 0), 6)
    window.sent((0, 0), 6)
    assert window.bytes == 6


def test_a_frame_is_read_as_it_was_sealed() -> None:
    payload = b"The engine weaves"
    buffer = bytearray(HEADER_BYTES + 100)
    buffer[HEADER_BYTES : HEADER_BYTES + len(payload)] = payload
    frame = bytes(encode(buffer, uuid.UUID(TRANSFER).bytes, (3, 9), len(payload)))
    chunk = decode(frame)
    assert (chunk.file, chunk.number, bytes(chunk.payload)) == (3, 9, payload)
    assert chunk.digest == hashlib.sha256(payload).digest()
    assert frame[4:20] == uuid.UUID(TRANSFER).bytes


@pytest.mark.parametrize("frame", [b"", bytes(63), bytes(64), b"\x01\x01" + bytes(70)])
def test_what_is_no_chunk_is_refused(frame: bytes) -> None:
    with pytest.raises(Corrupt):
        decode(frame)


def test_only_the_last_chunk_is_shorter() -> None:
    assert [chunk_count(size, 4) for size in (0, 1, 4, 5)] == [0, 1, 1, 2]
    assert [chunk_length(9, 4, index) for index in range(3)] == [4, 4, 1]
    assert root_of(b"") == hashlib.sha256().hexdigest()
