"""When calls are made, refused, and tried again."""

from collections.abc import Callable

import pytest
from prometheus_client import CollectorRegistry

from sharezync_shared.calls.breaker import Breaker, BreakerMetrics, CircuitOpen, State
from sharezync_shared.calls.connector import RetryBudget

NO = ConnectionError("no")


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def registry() -> CollectorRegistry:
    return CollectorRegistry()


@pytest.fixture
async def breaker(clock: Clock, registry: CollectorRegistry) -> Breaker:
    return Breaker("chat", BreakerMetrics(registry), clock=clock, jitter=lambda: 0.5)


def fail(breaker: Breaker, times: int = 5) -> None:
    for _ in range(times):
        breaker.failed(breaker.enter(), NO)


def state_of(breaker: Breaker) -> State:
    return breaker.state  # not narrowed by what was asserted before


def refused(breaker: Breaker) -> float:
    with pytest.raises(CircuitOpen) as caught:
        breaker.enter()
    return caught.value.retry_after_seconds


async def test_several_failures_in_a_row_open_it(breaker: Breaker) -> None:
    fail(breaker, 4)
    assert state_of(breaker) is State.CLOSED
    fail(breaker, 1)
    assert state_of(breaker) is State.OPEN
    assert refused(breaker) == 1


async def test_one_call_that_goes_well_makes_up_for_all(breaker: Breaker) -> None:
    for _ in range(20):
        fail(breaker, 4)
        breaker.succeeded(breaker.enter())
    assert state_of(breaker) is State.CLOSED


async def test_after_a_pause_one_call_is_let_through(breaker: Breaker, clock: Clock) -> None:
    fail(breaker)
    clock.now += 1
    probe = breaker.enter()
    assert state_of(breaker) is State.HALF_OPEN
    for _ in range(10):
        refused(breaker)
    breaker.succeeded(probe)
    assert state_of(breaker) is State.CLOSED
    for _ in range(10):
        breaker.enter()


async def test_a_probe_that_fails_opens_it_for_longer_up_to_a_bound(
    breaker: Breaker, clock: Clock
) -> None:
    fail(breaker)
    pauses = []
    for _ in range(6):
        pauses.append(refused(breaker))
        clock.now += pauses[-1]
        breaker.failed(breaker.enter(), NO)
    assert pauses == [1, 2, 4, 8, 10, 10]
    clock.now += 10
    breaker.succeeded(breaker.enter())
    fail(breaker)
    assert refused(breaker) == 1, "it begins anew"


async def test_calls_from_before_say_nothing_about_now(breaker: Breaker, clock: Clock) -> None:
    old = [breaker.enter() for _ in range(20)]
    fail(breaker)
    clock.now += 1
    probe = breaker.enter()
    for generation in old[:10]:
        breaker.failed(generation, NO)
    assert state_of(breaker) is State.HALF_OPEN
    breaker.succeeded(probe)
    for generation in old[10:]:
        breaker.failed(generation, NO)
    assert state_of(breaker) is State.CLOSED


@pytest.mark.parametrize("give_up", [True, False], ids=["abandoned", "without a verdict"])
async def test_a_probe_that_tells_nothing_makes_room_for_the_next(
    breaker: Breaker, clock: Clock, give_up: bool
) -> None:
    fail(breaker)
    clock.now += 1
    probe = breaker.enter()
    if give_up:
        breaker.abandoned(probe)
    else:
        clock.now += 5
    breaker.succeeded(breaker.enter())
    assert state_of(breaker) is State.CLOSED


async def test_the_block_of_an_attempt_tells_by_itself(breaker: Breaker, clock: Clock) -> None:
    for error, expected in ((KeyError(), State.CLOSED), (OSError(), State.OPEN)):
        for _ in range(5):
            with pytest.raises(type(error)):
                async with breaker.attempt(OSError):
                    raise error
        assert state_of(breaker) is expected
    clock.now += 1
    async with breaker.attempt(OSError):
        pass
    assert state_of(breaker) is State.CLOSED


async def test_states_and_refusals_can_be_seen(
    breaker: Breaker, registry: CollectorRegistry, clock: Clock
) -> None:
    labels = {"service": "chat"}

    def shown() -> float | None:
        return registry.get_sample_value("sharezync_breaker_state", labels)

    assert shown() == 0
    fail(breaker)
    refused(breaker)
    assert shown() == 2
    assert registry.get_sample_value("sharezync_breaker_refused_total", labels) == 1
    clock.now += 1
    breaker.enter()
    assert shown() == 1


# ------------------------------------------------------------------------------- the retry budget


def storm(budget: RetryBudget, clock: Clock, *, calls: int, seconds: int) -> int:
    """Let every one of so many calls a second fail, and count the retries that are made."""
    made = 0
    for _ in range(seconds * calls):
        clock.now += 1 / calls
        budget.call()
        made += budget.spend()
    return made


@pytest.mark.parametrize(
    ("calls", "least", "most"),
    [(1, 60, 60), (3, 170, 180), (100, 1200, 1430), (1000, 12_000, 12_250)],
    ids=str,
)
def test_a_storm_grows_by_a_fifth_and_three_a_second(
    clock: Callable[[], float], calls: int, least: int, most: int
) -> None:
    assert isinstance(clock, Clock)
    assert least <= storm(RetryBudget(clock), clock, calls=calls, seconds=60) <= most


def test_quiet_hours_pay_for_no_storm(clock: Callable[[], float]) -> None:
    assert isinstance(clock, Clock)
    budget = RetryBudget(clock)
    for _ in range(100_000):
        budget.call()
    clock.now += 3600
    assert sum(budget.spend() for _ in range(100)) == 3
