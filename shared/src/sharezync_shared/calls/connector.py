"""Connections that end in good time, so that a new replica gets its share, and how many retries."""

import random
import time
from collections.abc import Callable
from typing import Any, Final
from weakref import WeakKeyDictionary

import aiohttp
from aiohttp.client_proto import ResponseHandler

KEEP_ALIVE_SECONDS: Final = 30
"""Less than the 75 s of our servers: who lets go first must be the one who would write next."""
MAX_AGE_SECONDS: Final = 10.0
"""Balancers choose a replica for each connection, not for each request: without an end, those that
are there stay with the old ones for ever. A new connection costs some tenths of a millisecond."""
_JITTER: Final = 0.4
"""A connection ends at 60 % to 140 % of the age: else all that began together end together."""

_SHARE: Final = 0.2
"""Of all calls: with three services in a row that all retry, at most 1.2³ = 1.7 times the load."""
_FLOOR_PER_SECOND: Final = 3.0
"""Where there are few calls; a share of nothing would be no retry at all."""
_KEPT_SECONDS: Final = 10.0
"""What was saved before that is forgotten: a quiet hour must not pay for a storm."""


class AgingConnector(aiohttp.TCPConnector):
    """A pool whose connections are closed behind the request in which they have grown old."""

    def __init__(self, *, max_age_seconds: float = MAX_AGE_SECONDS, **options: Any) -> None:  # noqa: ANN401 - as in aiohttp
        super().__init__(keepalive_timeout=KEEP_ALIVE_SECONDS, **options)
        self._max_age_seconds = max_age_seconds
        self._ends_at: WeakKeyDictionary[ResponseHandler, float] = WeakKeyDictionary()

    async def _create_connection(self, *args: Any, **options: Any) -> ResponseHandler:  # noqa: ANN401 - as in aiohttp
        protocol = await super()._create_connection(*args, **options)
        spread = 1 + _JITTER * (2 * random.random() - 1)  # noqa: S311 - to spread load, no secret
        self._ends_at[protocol] = time.monotonic() + self._max_age_seconds * spread
        return protocol

    def _release(self, key: Any, protocol: ResponseHandler, *, should_close: bool = False) -> None:  # noqa: ANN401 - as in aiohttp
        # There is no public place where a connection goes back to the pool; a test of ours fails
        # if this one should change its name.
        old = self._ends_at.get(protocol, 0.0) <= time.monotonic()
        super()._release(key, protocol, should_close=should_close or old)


def open_session(
    *,
    connections: int = 100,
    max_age_seconds: float = MAX_AGE_SECONDS,
    **options: Any,  # noqa: ANN401 - as in aiohttp
) -> aiohttp.ClientSession:
    """Open a pool of up to `connections` aging ones that passes on what services say, unread."""
    return aiohttp.ClientSession(
        connector=AgingConnector(limit=connections, max_age_seconds=max_age_seconds),
        cookie_jar=aiohttp.DummyCookieJar(),
        auto_decompress=False,
        trust_env=False,
        **options,
    )


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
