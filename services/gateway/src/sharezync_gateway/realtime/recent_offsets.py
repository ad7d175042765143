"""How far streams had got while nobody here was on them, remembered for some seconds."""

import time
from collections.abc import Callable
from typing import Final

from sharezync_gateway.realtime.protocol import Cursor

REMEMBER_SECONDS: Final = 15.0
"""At least this long: longer than any answer that says where a stream stands may take."""


class RecentOffsets:
    """The latest frame seen of each stream that wasn't tracked, or is no longer.

    Between an owner's saying where a stream stands and the tracking of it, frames pass by. This is
    what makes them noticed. Bounded by the streams that were active or left within two periods.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._new: dict[str, Cursor] = {}
        self._old: dict[str, Cursor] = {}
        self._turn_at = clock() + REMEMBER_SECONDS

    def note(self, stream: str, position: Cursor) -> None:
        """Remember that `position` was seen."""
        self._turn()
        before = self._new.get(stream)
        if before is None or before[0] != position[0] or before[1] < position[1]:
            self._new[stream] = position

    def latest(self, stream: str) -> Cursor | None:
        """Return the furthest position seen lately, if any."""
        self._turn()
        return self._new.get(stream) or self._old.get(stream)

    def _turn(self) -> None:
        now = self._clock()
        if now >= self._turn_at:
            stale = now >= self._turn_at + REMEMBER_SECONDS
            self._old, self._new = ({} if stale else self._new), {}
            self._turn_at = now + REMEMBER_SECONDS
