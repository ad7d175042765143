"""When an event happened can be read from its frame."""

from datetime import UTC, datetime

import pytest

from sharezync_shared.server import encode_text_frame
from sharezync_shared.streams.frames import time_of
from sharezync_shared.streams.log import Entry, frame_text, signal_text

AT = datetime(2026, 11, 21, 17, 0, 0, 250000, tzinfo=UTC)
STREAM = "channel:0197f7f1-0000-7000-8000-000000000000"
FRAME = frame_text(Entry(STREAM, "message.created", b'{"at":"1999"}'), "abcd1234", 7, AT)


@pytest.mark.parametrize(
    "frame",
    [
        FRAME,
        encode_text_frame(FRAME),
        encode_text_frame(FRAME) + encode_text_frame(FRAME),
        signal_text("typing", STREAM, AT, b"{}"),
    ],
    ids=["text", "encoded", "several", "signal"],
)
def test_a_frame_says_when_its_event_happened(frame: bytes) -> None:
    assert time_of(frame) == AT.timestamp()


@pytest.mark.parametrize(
    "frame",
    [b"", b'{"type":"reset"}', b'{"at":"yesterday"}', b'{"at":"2026', b" " * 600 + FRAME],
)
def test_what_is_no_event_has_no_time(frame: bytes) -> None:
    assert time_of(frame) is None
