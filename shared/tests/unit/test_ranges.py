"""Sets of indexes behave as sets do, whatever they are made of."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sharezync_shared.ranges import Ranges

SETS = st.frozensets(st.integers(0, 60), max_size=40)
PAIRS = st.lists(st.tuples(st.integers(0, 60), st.integers(0, 8)), max_size=20)


def ranges(numbers: frozenset[int]) -> Ranges:
    made = Ranges()
    for number in numbers:
        made.add(number)
    return made


@given(PAIRS)
def test_what_was_put_in_is_in_and_nothing_else(starts: list[tuple[int, int]]) -> None:
    made = Ranges((first, first + length) for first, length in starts)
    expected = {n for first, length in starts for n in range(first, first + length + 1)}
    assert set(made) == expected
    assert made.count == len(expected)
    assert all((n in made) == (n in expected) for n in range(80))


@given(SETS)
def test_neighbours_are_one_range(numbers: frozenset[int]) -> None:
    pairs = ranges(numbers).pairs()
    assert all(last + 1 < first for (_, last), (first, _) in pairwise(pairs))
    assert all(first <= last for first, last in pairs)


@given(SETS, SETS)
def test_union_difference_and_overlap_are_those_of_sets(
    a: frozenset[int], b: frozenset[int]
) -> None:
    assert set(ranges(a) | ranges(b)) == a | b
    assert set(ranges(a) - ranges(b)) == a - b
    assert set(ranges(a) & ranges(b)) == a & b
    assert (ranges(a) == ranges(b)) == (a == b)


@given(SETS, st.integers(0, 70))
def test_removing_takes_out_one(numbers: frozenset[int], index: int) -> None:
    made = ranges(numbers)
    made.remove(index)
    assert set(made) == numbers - {index}


@given(SETS, st.integers(0, 70))
def test_what_is_missing_and_what_is_in_make_the_whole(numbers: frozenset[int], count: int) -> None:
    made = ranges(numbers)
    assert set(made.gaps(count)) == set(range(count)) - numbers
    assert set(made.below(count)) == {n for n in numbers if n < count}
    assert Ranges.whole(count).count == count


@given(SETS)
def test_through_counts_from_the_beginning_to_the_first_gap(numbers: frozenset[int]) -> None:
    made = ranges(numbers)
    assert set(range(made.first_gap)) <= numbers
    assert made.first_gap not in numbers
    assert made.first == (min(numbers) if numbers else None)
    assert bool(made) == bool(numbers)


@given(SETS, st.integers(0, 5))
def test_a_bounded_set_keeps_its_lowest_ranges(numbers: frozenset[int], most: int) -> None:
    made = ranges(numbers)
    assert made.lowest(most).pairs() == made.pairs()[:most]


def test_a_copy_goes_its_own_way() -> None:
    made = Ranges([(0, 3)])
    twin = made.copy()
    twin.add(9)
    assert made.pairs() == [(0, 3)]


@pytest.mark.parametrize("pair", [(-1, 3), (3, 2)])
def test_what_is_no_range_is_refused(pair: tuple[int, int]) -> None:
    with pytest.raises(ValueError):
        Ranges([pair])
