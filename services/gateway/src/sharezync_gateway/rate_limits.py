"""Rate limits: how often a user, or an address, may do what.

A sliding window counter for each limit: this window's count plus the part of the last window's
that still overlaps. Counted in memory for this replica, or in Redis for all of them.
"""

import math
import time
from collections.abc import Callable, Mapping
from typing import Final, Protocol

import structlog
from limits import RateLimitItem, parse

from sharezync_gateway.routes import RateClass
from sharezync_shared.problems import RateLimited

log = structlog.get_logger()

_REDIS_PAUSE_SECONDS: Final = 5.0


class HitCounter(Protocol):
    """Counts hits. Two adapters, one contract."""

    async def hit(self, limit: RateLimitItem, key: str) -> float:
        """Count one hit and return 0.0, or count nothing and say for how many seconds not."""
        ...

    async def aclose(self) -> None:
        """Give back what is held. Idempotent."""
        ...


class MemoryHitCounter:
    """Counts for this process, at the same small cost however many keys there are.

    The memory storage of `limits` looks at every key on every hit (3 ms at 20,000 keys): a stranger
    with many addresses would stop the gateway with it.
    """

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._windows: dict[RateLimitItem, _Window] = {}

    async def hit(self, limit: RateLimitItem, key: str) -> float:
        window = self._windows.get(limit)
        if window is None:
            window = self._windows[limit] = _Window(limit.amount, limit.get_expiry())
        return window.hit(key, self._clock())

    async def aclose(self) -> None:
        """Nothing is held but memory."""


class _Window:
    """The counts of one limit, in this window and the last. Older ones vanish by themselves."""

    __slots__ = ("_amount", "_current", "_index", "_previous", "_seconds")

    def __init__(self, amount: int, seconds: int) -> None:
        self._amount = amount
        self._seconds = seconds
        self._index = 0
        self._current: dict[str, int] = {}
        self._previous: dict[str, int] = {}

    def hit(self, key: str, now: float) -> float:
        index, passed = divmod(now, self._seconds)
        if index != self._index:
            self._previous = self._current if index == self._index + 1 else {}
            self._current = {}
            self._index = int(index)
        count = self._current.get(key, 0)
        before = self._previous.get(key, 0)
        overlap = 1 - passed / self._seconds
        if count + before * overlap + 1 > self._amount:
            return self._wait_seconds(count, before, passed)
        self._current[key] = count + 1
        return 0.0

    def _wait_seconds(self, count: int, before: int, passed: float) -> float:
        """Solve for the moment when one more fits: in this window, or in the next."""
        room = self._amount - 1
        if count <= room and before:
            return max(0.001, self._seconds * (1 - (room - count) / before) - passed)
        next_window = self._seconds * (1 - room / count) if count else 0.0
        return max(0.001, self._seconds - passed + next_window)


class FallbackHitCounter:
    """Counts with `first`, and with `second` while `first` fails. Never raises, never waits twice.

    A limit that is counted by each replica alone for a while is better than no service.
    """

    def __init__(
        self, first: HitCounter, second: HitCounter, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._first = first
        self._second = second
        self._monotonic = monotonic
        self.failing = False
        self._try_again_at = 0.0

    async def hit(self, limit: RateLimitItem, key: str) -> float:
        if self.failing and self._monotonic() < self._try_again_at:
            return await self._second.hit(limit, key)
        if self.failing:  # one request tries; the others don't wait for it
            self._try_again_at = self._monotonic() + _REDIS_PAUSE_SECONDS
        try:
            wait = await self._first.hit(limit, key)
        except Exception as error:  # noqa: BLE001 - whatever the store raises, requests go on
            self._try_again_at = self._monotonic() + _REDIS_PAUSE_SECONDS
            if not self.failing:
                self.failing = True
                log.warning("rate_limit_store_lost", error=repr(error))
            return await self._second.hit(limit, key)
        if self.failing:
            self.failing = False
            log.info("rate_limit_store_recovered")
        return wait

    async def aclose(self) -> None:
        """Close both."""
        await self._first.aclose()
        await self._second.aclose()


class RateLimiter:
    """The limits by class, as in "300/minute"; where that is empty nothing is counted."""

    def __init__(self, rates: Mapping[RateClass, str], counts: HitCounter) -> None:
        self._limits: dict[RateClass, RateLimitItem | None] = {
            rate: parse(text) if text else None for rate, text in rates.items()
        }
        self._limits[RateClass.FREE] = None
        self._counts = counts

    @property
    def counts_together(self) -> bool | None:
        """Whether all replicas count together; None where they were not asked to."""
        counts = self._counts
        return not counts.failing if isinstance(counts, FallbackHitCounter) else None

    async def admit(self, rate: RateClass, key: str) -> None:
        """Count one request of `key` (a user's id or an address), or refuse it.

        Raises RateLimited with `Retry-After` and the RateLimit fields of
        draft-ietf-httpapi-ratelimit-headers-11.
        """
        limit = self._limits[rate]
        if limit is None:
            return
        wait = await self._counts.hit(limit, f"{rate.value}:{key}")
        if wait:
            seconds, window = math.ceil(wait), limit.get_expiry()
            raise RateLimited(
                f"At most {limit.amount} in {window} s; again in {seconds} s",
                retry_after_seconds=seconds,
                headers={
                    "RateLimit-Policy": f'"{rate.value}";q={limit.amount};w={window}',
                    "RateLimit": f'"{rate.value}";r=0;t={seconds}',
                },
            )

    async def aclose(self) -> None:
        """Give back what the counts hold. Idempotent."""
        await self._counts.aclose()


def make_counts(redis_url: str | None) -> HitCounter:
    """Return what the settings ask for."""
    if not redis_url:
        return MemoryHitCounter()
    # The client takes a third of a second to import, which a start without Redis can do without.
    from sharezync_gateway.redis_hit_counter import RedisHitCounter  # noqa: PLC0415

    return FallbackHitCounter(RedisHitCounter(redis_url), MemoryHitCounter())
