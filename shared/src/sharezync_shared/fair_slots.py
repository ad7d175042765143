"""Slots for requests that move bytes, and who gives one up when all are taken.

A client that sends or reads slowly keeps its slot for as long as it likes, so whoever has many such
requests could keep all. Where none is free, the one who has most loses the slowest of theirs.
"""

from collections import Counter
from collections.abc import Callable, Iterable
from typing import Final

SAMPLE_SECONDS: Final = 5.0
"""Over how long a request's pace is measured; a younger one has none."""
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

    def pace(self, now: float) -> float | None:
        """Return how many bytes a second it moved of late; None if it is too young to tell."""
        seconds = now - self._sampled_at
        if seconds >= SAMPLE_SECONDS:
            self._pace = (self.moved_bytes - self._sampled_bytes) / seconds
            self._sampled_at, self._sampled_bytes = now, self.moved_bytes
        return self._pace


def end_one(slots: Iterable[FairSlot], newcomer: str, now: float) -> bool:
    """Have one of `slots`, which are all, end for a newcomer; False where none has to.

    One that crawls, or one of the caller who has most, if that leaves them more than the newcomer.
    """
    running = [slot for slot in slots if not slot.ended]
    paces = {slot: slot.pace(now) for slot in running}
    slowest = sorted(running, key=lambda slot: paces[slot] or 0.0)
    crawling = [s for s in slowest if (p := paces[s]) is not None and p < CRAWL_BYTES_PER_SECOND]
    counts = Counter(slot.caller for slot in running)
    most = max(counts, key=counts.__getitem__, default=newcomer)
    if crawling:
        chosen = crawling[0]
    elif counts[most] > counts[newcomer] + 1:
        chosen = next(slot for slot in slowest if slot.caller == most)
    else:
        return False
    chosen.ended = True
    chosen.end()
    return True
