"""Acknowledgements: cumulative, never ahead of the window, never backwards."""

from hypothesis import given
from hypothesis import strategies as st

from sharezync_gateway.transfers.socket.chunk_receiver import ACK_BYTES, AckTracker

CHUNK_BYTES = ACK_BYTES // 4


def test_chunks_whose_answers_are_on_their_way_are_not_acknowledged_yet() -> None:
    tally = AckTracker()
    for index in range(4):
        tally.expect(0, index)
    tally.settle(0, 0)
    tally.note(0, 0, CHUNK_BYTES, next_index=4)  # storage has all four already
    assert tally.pop_acks() == [(0, 1, [])]
    tally.settle(0, 2)
    tally.note(0, 2, CHUNK_BYTES, next_index=4)
    assert tally.pop_acks() == [(0, 1, [2])]
    for index in (1, 3):
        tally.settle(0, index)
        tally.note(0, index, CHUNK_BYTES, next_index=4)
    assert tally.pop_acks() == [(0, 4, [])]


def test_what_was_acknowledged_stays_so_when_an_old_chunk_comes_again() -> None:
    tally = AckTracker()
    tally.note(0, 0, CHUNK_BYTES, next_index=3)
    assert tally.pop_acks() == [(0, 3, [])]
    tally.expect(0, 1)
    tally.note(0, 3, CHUNK_BYTES, next_index=4)
    assert tally.pop_acks() == [(0, 3, [3])]
    tally.settle(0, 1)
    tally.note(0, 1, CHUNK_BYTES, next_index=4)
    assert tally.pop_acks() == [(0, 4, [])]


@given(st.data())
def test_who_goes_by_acknowledgements_never_exceeds_the_window(
    data: st.DataObject,
) -> None:
    """Chunks are sent in order, at most four unacknowledged, and answered in any order."""
    tally, window = AckTracker(), 4
    sent = acknowledged = 0
    in_flight: list[int] = []
    stored: set[int] = set()
    while acknowledged < 12:
        while sent < 12 and sent - acknowledged < window:
            tally.expect(0, sent)
            in_flight.append(sent)
            stored.add(sent)  # at storage at once; only the answer takes its time
            sent += 1
        assert len(in_flight) <= window
        index = in_flight.pop(data.draw(st.integers(0, len(in_flight) - 1)))
        tally.settle(0, index)
        tally.note(0, index, CHUNK_BYTES, next_index=len(stored))
        for _, next_index, _ in tally.pop_acks():
            assert next_index >= acknowledged
            acknowledged = next_index
