"""Counts of rate limits in Redis, for all replicas together."""

import asyncio
import time
from typing import Final

from coredis import BlockingConnectionPool
from limits import RateLimitItem
from limits.aio.storage import RedisStorage
from limits.aio.strategies import SlidingWindowCounterRateLimiter

_REDIS_SECONDS: Final = 0.25  # a limit may not cost more than the request
_REDIS_CONNECTIONS: Final = 32


class RedisHitCounter:
    """Counts for all replicas. Raises what the client raises when Redis is away or slow."""

    def __init__(self, url: str, *, timeout_seconds: float = _REDIS_SECONDS) -> None:
        self._timeout_seconds = timeout_seconds
        self._pool = BlockingConnectionPool.from_url(
            url, max_connections=_REDIS_CONNECTIONS, connect_timeout=1, stream_timeout=1
        )
        storage = RedisStorage(
            f"async+{url}",
            key_prefix="sharezync:limits",
            connection_pool=self._pool,  # type: ignore[arg-type]  # as its docstring has it
        )
        self._strategy = SlidingWindowCounterRateLimiter(storage)

    async def hit(self, limit: RateLimitItem, key: str) -> float:
        """See `HitCounter.hit`. At most `timeout_seconds`, else TimeoutError."""
        async with asyncio.timeout(self._timeout_seconds):
            if await self._strategy.hit(limit, key):
                return 0.0
            stats = await self._strategy.get_window_stats(limit, key)
            return max(0.001, stats.reset_time - time.time())

    async def aclose(self) -> None:
        """Close all connections."""
        self._pool.disconnect()
