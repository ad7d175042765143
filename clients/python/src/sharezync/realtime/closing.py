"""What to do after a socket was closed, by its code. Pure. Source: docs/realtime.md."""

from dataclasses import dataclass
from typing import Final

import httpx

from sharezync.backoff import MOST_SECONDS, between, jittered


@dataclass(frozen=True, slots=True)
class ReconnectAdvice:
    """Whether to come back, and how."""

    again: bool
    least_seconds: float = 0.0
    """The pause, before jitter, at the first attempt."""
    renew: bool = False
    """Whether a fresh token is needed first."""

    def pause_seconds(self, attempt: int, *, asked_seconds: float | None = None) -> float:
        """Return how long to wait before attempt number `attempt` + 1 since it last went well.

        What the server asked for (`bye`, `Retry-After`) is spread up to twice as long: it asked
        everybody.
        """
        if asked_seconds is not None:
            return min(between(asked_seconds, 2 * asked_seconds), 60.0)
        least = between(self.least_seconds, 1.5 * self.least_seconds)
        return least if attempt == 0 else min(least + jittered(attempt), 2 * MOST_SECONDS)


_STOP: Final = ReconnectAdvice(again=False)
_AGAIN: Final = ReconnectAdvice(again=True, least_seconds=0.1)

_BY_CODE: Final = {
    1009: _STOP,  # we sent a frame over the limit, and would again
    4001: ReconnectAdvice(again=True, least_seconds=0.0),  # going away: others are there
    4008: ReconnectAdvice(again=True, least_seconds=0.5),  # too slow
    4009: ReconnectAdvice(again=True, least_seconds=0.0),  # idle: the line was dead
    4013: ReconnectAdvice(again=True, least_seconds=1.0),  # try later
    4029: ReconnectAdvice(again=True, least_seconds=5.0),  # flooding
    4501: ReconnectAdvice(again=True, least_seconds=0.0, renew=True),  # bad token
}


def after_close(code: int) -> ReconnectAdvice:
    """Return what to do after this close code; 4500 to 4999 mean not to come back.

    4501 is answered with a fresh token; the caller gives up where that is refused as well.
    """
    if code in _BY_CODE:
        return _BY_CODE[code]
    return _STOP if 4500 <= code <= 4999 else _AGAIN


def after_refusal(status: int) -> ReconnectAdvice:
    """Return what to do after a handshake was answered with this HTTP status."""
    if status == httpx.codes.UNAUTHORIZED:
        return ReconnectAdvice(again=True, renew=True)
    if status in {httpx.codes.REQUEST_TIMEOUT, httpx.codes.TOO_MANY_REQUESTS} or status >= 500:
        return ReconnectAdvice(again=True, least_seconds=0.5)
    return _STOP
