"""Connections that end in good time, so that a replica which is new gets its share."""

import random
import time
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
