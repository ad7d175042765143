"""Events of streams, put in order."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from sharezync.realtime.cursors import Cursors


def event(seq: int, *, epoch: str = "e", stream: str = "s") -> dict[str, Any]:
    return {"stream": stream, "epoch": epoch, "seq": seq}


def seqs(events: list[dict[str, Any]]) -> list[int]:
    return [each["seq"] for each in events]


@given(st.lists(st.integers(1, 12), max_size=60))
def test_whatever_comes_in_whatever_order_is_delivered_once_and_in_order(come: list[int]) -> None:
    cursors = Cursors({"s": ("e", 0)})
    delivered: list[int] = []
    for seq in come:
        delivered += seqs(cursors.apply_event(event(seq))[0])
    through = next(n for n in range(1, 14) if n not in come) - 1
    assert delivered == list(range(1, through + 1))
    assert cursors.all()["s"] == ("e", through)


def test_a_gap_is_told_once_and_what_came_early_waits() -> None:
    cursors = Cursors({"s": ("e", 4)})
    assert cursors.apply_event(event(7)) == ([], 4)
    assert cursors.apply_event(event(8)) == ([], None)
    assert cursors.apply_event(event(5)) == ([event(5)], None)
    ready, gap = cursors.apply_event(event(6))
    assert (seqs(ready), gap) == ([6, 7, 8], None)
    assert cursors.apply_event(event(7)) == ([], None)
    assert cursors.apply_event(event(10)) == ([], 8), "the next gap is told again"


def test_a_new_stream_begins_where_it_is_first_heard_of() -> None:
    cursors = Cursors()
    assert seqs(cursors.apply_event(event(40))[0]) == [40]
    cursors.begin({"s": ("e", 90), "t": ("e", 3)})
    assert cursors.all() == {"s": ("e", 40), "t": ("e", 3)}


def test_a_reset_begins_anew_and_what_was_early_is_forgotten() -> None:
    cursors = Cursors({"s": ("e", 4)})
    cursors.apply_event(event(9))
    cursors.reset("s", "f", 100)
    ready, gap = cursors.apply_event(event(101, epoch="f"))
    assert (seqs(ready), gap) == ([101], None)
    cursors.drop_stream("s")
    assert cursors.all() == {}


def test_after_a_lost_line_a_gap_is_told_again() -> None:
    cursors = Cursors({"s": ("e", 4)})
    assert cursors.apply_event(event(6)) == ([], 4)
    cursors.disconnected()
    assert cursors.apply_event(event(6)) == ([], 4)
