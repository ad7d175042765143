"""How many commands one socket may send: a token bucket, with a bound on how much is overdrawn."""

from enum import Enum


class Verdict(Enum):
    """What to do with a command."""

    GO = "go"
    WAIT = "wait"
    FLOOD = "flood"


class Budget:
    """Lets `per_second` through on average and `burst` at once.

    Refused commands are counted too, at a tenth: a client that heeds refusals is never in danger,
    one that doesn't is flooding after as many again as ten bursts.
    """

    __slots__ = ("_at", "_burst", "_left", "_per_second")

    def __init__(self, per_second: float, burst: float, now: float) -> None:
        self._per_second = per_second
        self._burst = burst
        self._left = burst
        self._at = now

    def spend(self, now: float) -> Verdict:
        """Ask for one command at `now`, in seconds of any steady clock."""
        self._left = min(self._burst, self._left + (now - self._at) * self._per_second)
        self._at = now
        if self._left >= 1:
            self._left -= 1
            return Verdict.GO
        self._left -= 0.1
        return Verdict.WAIT if self._left > -self._burst else Verdict.FLOOD

    @property
    def wait_seconds(self) -> float:
        """How long until the next command goes through."""
        return max(0.0, 1 - self._left) / self._per_second
