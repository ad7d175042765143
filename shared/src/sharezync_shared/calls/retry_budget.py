"""How many calls may be made again: so few that an outage doesn't grow by being retried."""

import time
from collections.abc import Callable
from typing import Final

_SHARE: Final = 0.2
"""Of all calls: with three services in a row that all retry, at most 1.2³ = 1.7 times the load."""
_FLOOR_PER_SECOND: Final = 3.0
"""Where there are few calls; a share of nothing would be no retry at all."""
_KEPT_SECONDS: Final = 10.0
"""What was saved before that is forgotten: a quiet hour must not pay for a storm."""


class RetryBudget:
    """Retries of one way to one service: a fifth of its calls, and three a second in any case.

    Source: Finagle's RetryBudget; Google SRE book, chapter 22.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._floor = _FLOOR_PER_SECOND
        self._earned = 0.0
        self._seen_at = clock()

    def call(self) -> None:
        """Note a call that is no retry."""
        self._earned += _SHARE

    def spend(self) -> bool:
        """Whether one more retry may be made; it counts from now on."""
        now = self._clock()
        passed = now - self._seen_at
        self._seen_at = now
        self._floor = min(_FLOOR_PER_SECOND, self._floor + passed * _FLOOR_PER_SECOND)
        self._earned *= max(0.0, 1 - passed / _KEPT_SECONDS)
        if self._floor >= 1:
            self._floor -= 1
            return True
        if self._earned >= 1:
            self._earned -= 1
            return True
        return False
