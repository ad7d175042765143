"""Frames as bytes: RFC 6455 §5.2, held against another implementation."""

from collections.abc import Callable, Generator

import pytest
from websockets.frames import Frame, Opcode
from websockets.streams import StreamReader

from sharezync_shared.server.frame_reader import (
    BINARY,
    encode_binary_frame,
    encode_text_frame,
    frame_header,
)

LENGTHS = [0, 1, 125, 126, 127, 65535, 65536, 70_000]


def parsed(wire: bytes) -> Frame:
    reader = StreamReader()
    reader.feed_data(wire)
    parser: Generator[None, None, Frame] = Frame.parse(reader.read_exact, mask=False)
    with pytest.raises(StopIteration) as done:
        next(parser)
    assert not reader.buffer
    frame: Frame = done.value.value
    return frame


@pytest.mark.parametrize("length", LENGTHS)
@pytest.mark.parametrize(
    ("encode", "opcode"), [(encode_text_frame, Opcode.TEXT), (encode_binary_frame, Opcode.BINARY)]
)
def test_frames_are_what_another_implementation_reads(
    encode: Callable[[bytes], bytes], opcode: Opcode, length: int
) -> None:
    payload = b"x" * length
    assert parsed(encode(payload)) == Frame(opcode, payload, fin=True)


@pytest.mark.parametrize("length", LENGTHS)
def test_lengths_take_their_shortest_form(length: int) -> None:
    by_the_book = Frame(Opcode.TEXT, b"x" * length).serialize(mask=False)
    assert encode_text_frame(b"x" * length) == by_the_book


@pytest.mark.parametrize("length", LENGTHS)
def test_the_header_alone_is_what_stands_before_the_payload(length: int) -> None:
    assert frame_header(BINARY, length) + b"y" * length == encode_binary_frame(b"y" * length)
