"""Counting: exactly in memory, together in Redis, and somehow when Redis is away."""

import asyncio
import os
import shutil
import socket
import subprocess
from collections.abc import AsyncGenerator, Generator

import pytest
from hypothesis import given
from hypothesis import strategies as st
from limits import RateLimitItem, parse
from structlog.testing import capture_logs

from sharezync_gateway.rate_limits import (
    FallbackHitCounter,
    HitCounter,
    MemoryHitCounter,
    RateLimiter,
    make_counts,
)
from sharezync_gateway.redis_hit_counter import RedisHitCounter
from sharezync_gateway.routes import RateClass
from sharezync_shared.problems import RateLimited
from sharezync_testkit.waiting import GIVE_UP_SECONDS


class Clock:
    def __init__(self, now: float = 1_000_000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


@pytest.fixture(scope="module")
def redis_url() -> Generator[str]:
    """A Redis server of our own."""
    program = shutil.which("redis-server")
    if program is None:
        if os.environ.get("CI") == "true":
            pytest.fail("redis-server is not installed, and CI leaves no test out")
        pytest.skip("redis-server is not installed")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    process = subprocess.Popen(
        [program, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    for line in process.stdout:
        if "Ready to accept connections" in line:
            break
    yield f"redis://127.0.0.1:{port}"
    process.terminate()
    process.stdout.close()
    process.wait(10)


class TestCounts:
    """The contract, over both adapters."""

    @pytest.fixture(params=["memory", "redis"])
    async def counts(self, request: pytest.FixtureRequest) -> AsyncGenerator[HitCounter]:
        if request.param == "memory":
            yield MemoryHitCounter()
            return
        redis = RedisHitCounter(request.getfixturevalue("redis_url"), timeout_seconds=10)
        yield redis
        await redis.aclose()

    async def test_so_many_are_let_through_and_no_more(self, counts: HitCounter) -> None:
        limit = parse("5/hour")
        waits = [await counts.hit(limit, "so-many") for _ in range(8)]
        assert waits[:5] == [0.0] * 5
        assert all(0 < wait <= 7200 for wait in waits[5:])

    async def test_keys_do_not_share(self, counts: HitCounter) -> None:
        limit = parse("1/hour")
        assert await counts.hit(limit, "one") == 0
        assert await counts.hit(limit, "two") == 0
        assert await counts.hit(limit, "one") > 0

    async def test_concurrent_hits_are_all_counted(self, counts: HitCounter) -> None:
        limit = parse("10/hour")
        waits = await asyncio.gather(*(counts.hit(limit, "at-once") for _ in range(30)))
        assert waits.count(0.0) == 10


async def test_waiting_as_long_as_was_said_is_enough() -> None:
    clock = Clock()
    counts, limit = MemoryHitCounter(clock), parse("4/minute")
    for _ in range(200):
        wait = await counts.hit(limit, "k")
        if wait:
            clock.now += wait + 0.001
            assert await counts.hit(limit, "k") == 0.0
        clock.now += 1.7


@given(
    amount=st.integers(1, 20),
    pauses=st.lists(st.floats(0, 30), min_size=1, max_size=120),
)
def test_never_more_than_twice_as_many_in_any_window(amount: int, pauses: list[float]) -> None:
    """A sliding counter assumes that the last window's hits were spread evenly, so it may err."""
    clock = Clock()
    limit = parse(f"{amount}/minute")
    admitted: list[float] = []

    async def walk() -> None:
        counts = MemoryHitCounter(clock)
        for pause in pauses:
            clock.now += pause
            if await counts.hit(limit, "k") == 0.0:
                admitted.append(clock.now)

    asyncio.run(walk())
    for start in admitted:
        assert sum(start <= moment < start + 60 for moment in admitted) <= 2 * amount
        window = int(start // 60)
        assert sum(int(moment // 60) == window for moment in admitted) <= amount


async def test_a_new_window_still_knows_what_was_let_through_in_the_last_one() -> None:
    """Else twice as many would pass around the moment between them."""
    clock = Clock(6059.0)
    counts, limit = MemoryHitCounter(clock), parse("10/minute")
    assert [await counts.hit(limit, "k") for _ in range(10)] == [0.0] * 10
    clock.now = 6061.0
    assert await counts.hit(limit, "k") > 0
    clock.now = 6090.0  # half of the window is over, and so is half of what was
    assert [await counts.hit(limit, "k") == 0.0 for _ in range(6)] == [True] * 5 + [False]


async def test_keys_that_are_gone_are_forgotten() -> None:
    clock = Clock()
    counts, limit = MemoryHitCounter(clock), parse("4/minute")
    for n in range(1000):
        await counts.hit(limit, str(n))
    clock.now += 121
    await counts.hit(limit, "x")
    window = counts._windows[limit]
    assert (len(window._current), len(window._previous)) == (1, 0)


class Flaky:
    def __init__(self) -> None:
        self.broken = True
        self.asked = 0

    async def hit(self, limit: RateLimitItem, key: str) -> float:
        self.asked += 1
        if self.broken:
            raise ConnectionError("planted")
        return 0.0

    async def aclose(self) -> None: ...


async def test_when_the_store_is_away_requests_go_on_and_it_is_said_once() -> None:
    clock, store = Clock(), Flaky()
    counts, limit = FallbackHitCounter(store, MemoryHitCounter(), clock), parse("3/hour")
    with capture_logs() as logs:
        waits = [await counts.hit(limit, "k") for _ in range(4)]
        clock.now += 6
        await counts.hit(limit, "other")
    assert waits[:3] == [0.0] * 3
    assert waits[3] > 0, "the limit holds all the same"
    assert store.asked == 2, "a store that is away is not asked each time"
    assert [entry["event"] for entry in logs] == ["rate_limit_store_lost"]


async def test_when_the_store_is_back_it_counts_again() -> None:
    clock, store = Clock(), Flaky()
    counts, limit = FallbackHitCounter(store, MemoryHitCounter(), clock), parse("3/hour")
    await counts.hit(limit, "k")
    store.broken = False
    clock.now += 6
    with capture_logs() as logs:
        await counts.hit(limit, "k")
        await counts.hit(limit, "k")
    assert store.asked == 3
    assert [entry["event"] for entry in logs] == ["rate_limit_store_recovered"]


async def test_a_redis_that_is_not_there_costs_nobody_a_request() -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        counts = make_counts(f"redis://127.0.0.1:{probe.getsockname()[1]}")
        limits = RateLimiter({RateClass.STANDARD: "2/minute"}, counts)
        async with asyncio.timeout(GIVE_UP_SECONDS):
            await limits.admit(RateClass.STANDARD, "k")
            await limits.admit(RateClass.STANDARD, "k")
            with pytest.raises(RateLimited):
                await limits.admit(RateClass.STANDARD, "k")
        await limits.aclose()


async def test_classes_count_apart() -> None:
    limits = RateLimiter(
        {RateClass.STANDARD: "1/minute", RateClass.COSTLY: "1/minute"}, MemoryHitCounter()
    )
    await limits.admit(RateClass.STANDARD, "k")
    await limits.admit(RateClass.COSTLY, "k")
    with pytest.raises(RateLimited):
        await limits.admit(RateClass.COSTLY, "k")


async def test_what_is_free_is_not_counted() -> None:
    limits = RateLimiter({RateClass.STANDARD: "1/minute"}, MemoryHitCounter())
    for _ in range(5):
        await limits.admit(RateClass.FREE, "k")
