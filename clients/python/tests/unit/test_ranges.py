"""Sets of chunk indexes."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sharezync.transfer.chunks import Ranges

PAIRS = st.lists(
    st.tuples(st.integers(0, 60), st.integers(0, 8)).map(lambda p: (p[0], p[0] + p[1]))
)


@given(PAIRS)
def test_a_set_of_ranges_is_the_set_of_its_numbers(pairs: list[tuple[int, int]]) -> None:
    numbers = {n for first, last in pairs for n in range(first, last + 1)}
    ranges = Ranges(pairs)
    assert list(ranges) == sorted(numbers)
    assert ranges.count == len(numbers)
    assert all((n in ranges) == (n in numbers) for n in range(75))
    assert ranges.first_gap == next(n for n in range(100) if n not in numbers)
    assert ranges.from_index(10, 5) == [n for n in sorted(numbers) if n >= 10][:5]
    assert bool(ranges) == bool(numbers)


@given(PAIRS)
def test_what_goes_on_the_wire_is_ordered_and_never_touches(pairs: list[tuple[int, int]]) -> None:
    wire = Ranges(pairs).pairs()
    assert all(a[1] + 1 < b[0] for a, b in itertools.pairwise(wire))
    assert Ranges(wire) == Ranges(pairs)


def test_nothing_that_is_no_range_gets_in() -> None:
    with pytest.raises(ValueError, match="no range"):
        Ranges([(3, 2)])
    with pytest.raises(ValueError, match="no range"):
        Ranges([(-1, 2)])
    assert not Ranges.whole(0)
    assert Ranges.whole(3).pairs() == [(0, 2)]
