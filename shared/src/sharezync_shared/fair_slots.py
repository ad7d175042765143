"""Slots for requests that move bytes, and who gives one up when all are taken.

A client that sends or reads slowly keeps its slot for as long as it likes, so whoever has many such
requests could keep all. Where none is free, the one who has most loses the slowest of theirs.
"""

from collections import Counter
from collections.abc import Callable, Iterable
from typing import Final

SAMPLE_SECONDS: Final = 5.0
"""Over how long a request's pace is measured before it is said to crawl."""
CRAWL_BYTES_PER_SECOND: Final = 16 * 1024
"""Below this a request gives its slot up to any other."""


class FairSlot:
    """What one request of `caller` has moved; `end` makes it give its slot up, soon."""

    __slots__ = ("_pace", "_sampled_at", "_sampled_bytes", "caller", "end", "ended", "moved_bytes")

    def __init__(self, caller: str, end: Callable[[], None], now: float) -> None:
        """`now` is the time of the event loop, in seconds."""
        self.caller = caller
        self.end = end
        self.ended = False
        self.moved_bytes = 0
        self._pace: float | None = None
        self._sampled_at, self._sampled_bytes = now, 0

    def pace(self, now: float) -> float:
        """Return how many bytes a second it moved of late."""
        seconds = now - self._sampled_at
        if seconds >= SAMPLE_SECONDS:
            self._pace = (self.moved_bytes - self._sampled_bytes) / seconds
            self._sampled_at, self._sampled_bytes = now, self.moved_bytes
        return self._pace if self._pace is not None else self.moved_bytes / max(seconds, 0.001)

    @property
    def crawls(self) -> bool:
        """Whether its pace was measured, and was too slow."""
        return self._pace is not None and self._pace < CRAWL_BYTES_PER_SECOND


def end_one(slots: Iterable[FairSlot], newcomer: str, now: float) -> bool:
    """Have one of `slots`, which are all, end for a newcomer; False where none has to.

    One that crawls, or one of the caller who has most, if that leaves them more than the newcomer.
    """
    slowest = sorted((slot for slot in slots if not slot.ended), key=lambda slot: slot.pace(now))
    counts = Counter(slot.caller for slot in slowest)
    most = max(counts, key=counts.__getitem__, default=newcomer)
    may_end = [slot for slot in slowest if slot.crawls]
    if not may_end and counts[most] > counts[newcomer] + 1:
        may_end = [slot for slot in slowest if slot.caller == most]
    if not may_end:
        return False
    chosen = may_end[0]
    chosen.ended = True
    chosen.end()
    return True
