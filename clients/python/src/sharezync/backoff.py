"""How long to wait before trying again. Pure."""

import random
from typing import Final

FIRST_SECONDS: Final = 0.2
MOST_SECONDS: Final = 10.0

_chance: Final = random.SystemRandom()


def jittered(attempt: int, *, asked_seconds: float | None = None) -> float:
    """Return the pause before attempt number `attempt` + 1, counted from 0.

    Doubles each time up to 10 s, and anything between half and all of that, so that many clients
    don't come back at the same moment. What the server asked for (`Retry-After`) is the least.
    """
    longest = min(MOST_SECONDS, FIRST_SECONDS * 2 ** min(attempt, 16))
    return (asked_seconds or 0.0) + _chance.uniform(longest / 2, longest)


def between(least_seconds: float, most_seconds: float) -> float:
    """Return a moment in between, at random."""
    return _chance.uniform(least_seconds, most_seconds)
