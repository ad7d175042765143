"""What is kept for a connection that is catching up."""

from typing import cast

from sharezync_gateway.realtime.connection import Connection
from sharezync_gateway.realtime.hub import CatchingUp


def latecomer() -> CatchingUp:
    return CatchingUp(cast("Connection", None), None)


def test_frames_are_kept_in_order() -> None:
    late = latecomer()
    for seq in (4, 5, 6):
        late.buffer(seq, b"%d" % seq)
    assert late.buffered == [(4, b"4"), (5, b"5"), (6, b"6")]
    assert not late.overflowed


def test_too_many_are_given_up_and_only_the_fact_is_kept() -> None:
    late = latecomer()
    kept = 0
    while not late.overflowed:
        late.buffer(kept, b"x" * 1000)
        kept += 1
        assert kept < 1000
    assert late.buffered == []
    late.buffer(kept, b"small")
    assert late.buffered == []
    late.restart()
    late.buffer(kept + 1, b"small")
    assert late.buffered == [(kept + 1, b"small")]
    assert not late.overflowed
