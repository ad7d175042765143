"""Sets of indexes as ranges: which of many numbered pieces are there.

A million pieces in order are one pair. On the wire a set is `[[first, last], …]`, both ends
inclusive, in order.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from typing import Self

Pair = tuple[int, int]


class Ranges:
    """A set of whole numbers from 0 on. Costs memory by its gaps, not by its members."""

    __slots__ = ("_firsts", "_lasts")

    def __init__(self, pairs: Iterable[Sequence[int]] = ()) -> None:
        """Take pairs in any order, overlapping ones too. Raises ValueError for what is no range."""
        self._firsts: list[int] = []
        self._lasts: list[int] = []
        for first, last in pairs:
            self.add(first, last)

    @classmethod
    def whole(cls, count: int) -> Self:
        """Return all of the first `count` numbers."""
        return cls([(0, count - 1)] if count > 0 else [])

    def add(self, first: int, last: int | None = None) -> None:
        """Put in every number from `first` to `last`; without `last` only `first`."""
        last = first if last is None else last
        if not 0 <= first <= last:
            raise ValueError(f"{first} to {last} is no range")
        # Everything that touches the new range becomes one with it.
        begin = bisect_left(self._lasts, first - 1)
        end = bisect_right(self._firsts, last + 1)
        if begin < end:
            first = min(first, self._firsts[begin])
            last = max(last, self._lasts[end - 1])
        self._firsts[begin:end] = [first]
        self._lasts[begin:end] = [last]

    def remove(self, index: int) -> None:
        """Take one number out. No effect where it isn't in."""
        place = bisect_left(self._lasts, index)
        if place == len(self._lasts) or self._firsts[place] > index:
            return
        first, last = self._firsts[place], self._lasts[place]
        rest = [pair for pair in ((first, index - 1), (index + 1, last)) if pair[0] <= pair[1]]
        self._firsts[place : place + 1] = [pair[0] for pair in rest]
        self._lasts[place : place + 1] = [pair[1] for pair in rest]

    def copy(self) -> "Ranges":
        """Return a set of its own with the same members."""
        twin = Ranges()
        twin._firsts, twin._lasts = self._firsts.copy(), self._lasts.copy()
        return twin

    def pairs(self) -> list[Pair]:
        """Return the set as it is written on the wire."""
        return list(zip(self._firsts, self._lasts, strict=True))

    @property
    def count(self) -> int:
        """How many numbers are in."""
        return sum(self._lasts) - sum(self._firsts) + len(self._firsts)

    @property
    def first_gap(self) -> int:
        """The lowest number that is not in."""
        return self._lasts[0] + 1 if self._firsts and self._firsts[0] == 0 else 0

    @property
    def first(self) -> int | None:
        """The lowest number in; None if there is none."""
        return self._firsts[0] if self._firsts else None

    def below(self, count: int) -> "Ranges":
        """Return those members that are less than `count`."""
        return Ranges(
            (first, min(last, count - 1)) for first, last in self.pairs() if first < count
        )

    def gaps(self, count: int) -> "Ranges":
        """Return which of the first `count` numbers are not in."""
        return Ranges.whole(count) - self

    def lowest(self, most: int) -> "Ranges":
        """Return only the lowest `most` ranges: what bounds a set that a stranger describes."""
        cut = Ranges()
        cut._firsts, cut._lasts = self._firsts[:most], self._lasts[:most]
        return cut

    def __contains__(self, index: int) -> bool:
        place = bisect_left(self._lasts, index)
        return place < len(self._lasts) and self._firsts[place] <= index

    def __bool__(self) -> bool:
        return bool(self._firsts)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Ranges) and self.pairs() == other.pairs()

    __hash__ = None  # type: ignore[assignment]  # it changes: not a key

    def __or__(self, other: "Ranges") -> "Ranges":
        both = self.copy()
        for first, last in other.pairs():
            both.add(first, last)
        return both

    def __and__(self, other: "Ranges") -> "Ranges":
        return self - (self - other)

    def __sub__(self, other: "Ranges") -> "Ranges":
        left = Ranges()
        for first, last in self.pairs():
            start = first
            place = bisect_left(other._lasts, first)
            while place < len(other._lasts) and other._firsts[place] <= last:
                if start < other._firsts[place]:
                    left.add(start, other._firsts[place] - 1)
                start = other._lasts[place] + 1
                place += 1
            if start <= last:
                left.add(start, last)
        return left

    def __iter__(self) -> Iterator[int]:
        for first, last in self.pairs():
            yield from range(first, last + 1)

    def __repr__(self) -> str:
        return f"Ranges({self.pairs()})"
