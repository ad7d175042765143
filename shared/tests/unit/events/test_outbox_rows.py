from datetime import UTC, datetime

import msgspec
import pytest

from sharezync_shared.events.contracts import UserRegistered
from sharezync_shared.events.outbox import MAX_FACT_BYTES, OutboxRow
from sharezync_shared.ids import uuid7
from sharezync_shared.streams.frames import Frame
from sharezync_shared.streams.log import StreamPosition
from sharezync_shared.tracing.context import TraceContext

NOW = datetime.now(UTC)


def registered(name: str = "Ada") -> UserRegistered:
    return UserRegistered(user_id=uuid7(), username="ada", display_name=name)


def test_a_fact_becomes_a_row_and_an_envelope_again() -> None:
    event = registered()
    row = OutboxRow.of_fact(event, NOW, trace=TraceContext("00-1-2-01", "a=b"))
    envelope = row.envelope()
    assert UserRegistered.decode(envelope) == event
    assert (envelope.id, envelope.time) == (row.id, NOW)
    assert envelope.source == "/auth"
    assert (envelope.traceparent, envelope.tracestate) == ("00-1-2-01", "a=b")
    assert OutboxRow.of_fact(event, NOW).envelope().traceparent is None


def test_a_fact_too_large_to_publish_is_refused_before_it_is_committed() -> None:
    with pytest.raises(ValueError, match="no fact"):
        OutboxRow.of_fact(registered("x" * MAX_FACT_BYTES), NOW)


def test_frames_become_their_places() -> None:
    row = OutboxRow.of_frames([Frame("a", "e", 1, b"long"), Frame("b", "e", 9, b"text")], NOW)
    assert row.positions() == [StreamPosition("a", "e", 1), StreamPosition("b", "e", 9)]
    assert b"long" not in row.body


def test_an_unreadable_row_says_so() -> None:
    row = msgspec.structs.replace(OutboxRow.of_frames([], NOW), body=b"\xc1")
    with pytest.raises(msgspec.DecodeError):
        row.positions()
