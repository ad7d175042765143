"""What waits to be sent, bounded in bytes."""

from collections.abc import Sequence

from sharezync_gateway.realtime.outbound import (
    EVENT_LIMIT_BYTES,
    SIGNAL_LIMIT_BYTES,
    Outbound,
)
from sharezync_shared.server import HIGH_WATER_BYTES

KIB = 1024


class Pipe:
    """A port whose peer reads what the test lets it read."""

    def __init__(self) -> None:
        self.written: list[bytes] = []
        self.buffered_bytes = 0
        self.slow = False
        self.closed: tuple[int, str] | None = None

    def write(self, frame: bytes) -> bool:
        if self.slow or self.closed:
            return False
        self._put(frame)
        return True

    def write_within(self, frame: bytes, limit_bytes: int) -> bool:
        if self.closed or self.buffered_bytes + len(frame) > limit_bytes:
            return False
        self._put(frame)
        return True

    def write_parts(self, parts: Sequence[bytes]) -> bool:
        return self.write(b"".join(parts))

    async def wait_writable(self) -> bool:
        return not self.closed

    def limit_messages(self, most_bytes: int | None) -> None:
        raise NotImplementedError

    def close(self, code: int, reason: str = "") -> None:
        self.closed = (code, reason)

    def read(self, count: int) -> None:
        """The peer takes so many bytes."""
        self.buffered_bytes -= count
        if self.buffered_bytes <= HIGH_WATER_BYTES // 4:
            self.slow = False

    def _put(self, frame: bytes) -> None:
        self.written.append(frame)
        self.buffered_bytes += len(frame)
        self.slow = self.slow or self.buffered_bytes > HIGH_WATER_BYTES


def test_below_the_high_water_mark_everything_is_written() -> None:
    pipe = Pipe()
    outbound = Outbound(pipe)
    assert outbound.write(b"a")
    assert outbound.write_event(b"b")
    assert outbound.write_signal(b"c")
    assert outbound.send_binary(b"d", b"e")
    assert pipe.written == [b"a", b"b", b"c", b"\x82\x02de"]


def test_above_it_signals_are_lost_and_events_kept_up_to_their_limit() -> None:
    pipe = Pipe()
    outbound = Outbound(pipe)
    assert outbound.write_event(b"x" * (SIGNAL_LIMIT_BYTES + 1))
    assert not outbound.write_signal(b"signal")
    assert not outbound.send_binary(b"chunk")
    while outbound.write_event(b"x" * 10 * KIB):
        assert outbound.buffered_bytes <= EVENT_LIMIT_BYTES
    assert outbound.buffered_bytes > EVENT_LIMIT_BYTES - 10 * KIB
    pipe.read(outbound.buffered_bytes - 100)
    assert outbound.write_signal(b"signal")


def test_bulk_that_waits_does_not_count_against_events_or_signals() -> None:
    pipe = Pipe()
    outbound = Outbound(pipe)
    assert outbound.send_binary(b"x" * 1024 * KIB)
    assert outbound.write_signal(b"signal")
    assert outbound.write_event(b"x" * 500 * KIB)
    assert outbound.write_event(b"x" * 500 * KIB)
    assert not outbound.write_event(b"x" * 500 * KIB)


def test_bulk_that_was_sent_long_ago_lengthens_no_limit_by_more_than_the_high_water_mark() -> None:
    pipe = Pipe()
    outbound = Outbound(pipe)
    for _ in range(50):
        assert outbound.send_binary(b"x" * 1024 * KIB)
        pipe.read(pipe.buffered_bytes)
    written = 0
    while outbound.write_event(b"x" * 10 * KIB):
        written += 10 * KIB
    assert written <= EVENT_LIMIT_BYTES + HIGH_WATER_BYTES


def test_what_is_held_follows_the_first_frame_in_order() -> None:
    pipe = Pipe()
    outbound = Outbound(pipe)
    outbound.cork()
    assert outbound.write(b"2")
    assert outbound.write_event(b"3")
    assert outbound.write_past(b"0")
    assert outbound.buffered_bytes == 3
    assert outbound.uncork(b"1")
    assert outbound.write(b"4")
    assert b"".join(pipe.written) == b"01234"


def test_what_is_held_is_bounded() -> None:
    outbound = Outbound(Pipe())
    outbound.cork()
    while outbound.write_event(b"x" * KIB):
        assert outbound.buffered_bytes <= SIGNAL_LIMIT_BYTES
    assert not outbound.write_signal(b"x" * KIB)


def test_closing_forgets_what_is_held() -> None:
    pipe = Pipe()
    outbound = Outbound(pipe)
    outbound.cork()
    assert outbound.write(b"x")
    outbound.shut(4503, "over")
    assert pipe.closed == (4503, "over")
    assert pipe.written == []
    assert not outbound.write(b"late")
    assert not outbound.write_event(b"late")
