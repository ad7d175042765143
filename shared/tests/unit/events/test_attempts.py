import asyncio
from datetime import UTC, datetime

import pytest
from prometheus_client import CollectorRegistry

from sharezync_shared.events.attempts import Attempts, Dead, Handled, Outcome, Retry, RetryPolicy
from sharezync_shared.events.bus import Envelope, Handler, NotNow, PermanentError, TransientError
from sharezync_shared.events.contracts import UserDeleted
from sharezync_shared.ids import uuid7

EVENT = UserDeleted(user_id=uuid7()).envelope()


@pytest.fixture
def registry() -> CollectorRegistry:
    return CollectorRegistry()


@pytest.fixture
def attempts(registry: CollectorRegistry) -> Attempts:
    return Attempts(RetryPolicy(deadline_seconds=0.05), registry)


def raising(error: BaseException) -> Handler:
    async def handler(_: Envelope) -> None:
        raise error

    return handler


async def make(attempts: Attempts, handler: Handler, attempt: int = 1) -> Outcome:
    return await attempts.make("x.events", frozenset({EVENT.type}), handler, EVENT, attempt)


def test_the_ladder_rests_longer_and_longer_and_then_gives_up() -> None:
    policy = RetryPolicy()
    delays = [policy.delay_after(attempt) for attempt in range(1, 9)]
    assert delays == [1, 10, 60, 600, 600, 600, 600, None]


async def test_a_handler_that_returns_is_done(attempts: Attempts) -> None:
    async def handler(_: Envelope) -> None:
        pass

    assert await make(attempts, handler) == Handled()


async def test_how_long_an_event_took_counts_once_it_is_handled(
    attempts: Attempts, registry: CollectorRegistry
) -> None:
    async def handler(_: Envelope) -> None:
        pass

    name, labels = "sharezync_event_delivery_seconds", {"queue": "x.events"}
    await make(attempts, raising(TransientError("busy")))
    assert not registry.get_sample_value(f"{name}_count", labels)
    await make(attempts, handler)
    late = (datetime.now(UTC) - EVENT.time).total_seconds()
    assert registry.get_sample_value(f"{name}_count", labels) == 1
    assert 0 <= (registry.get_sample_value(f"{name}_sum", labels) or -1) <= late


@pytest.mark.parametrize("error", [TransientError("busy"), RuntimeError("busy"), OSError("busy")])
async def test_what_may_work_later_is_retried(attempts: Attempts, error: Exception) -> None:
    outcome = await make(attempts, raising(error), attempt=2)
    assert outcome == Retry(10, 3, f"{type(error).__name__}: busy")


async def test_the_last_attempt_ends_among_the_dead_letters(attempts: Attempts) -> None:
    outcome = await make(attempts, raising(TransientError("busy")), attempt=8)
    assert outcome == Dead("exhausted", "TransientError: busy")


async def test_an_outage_that_all_events_meet_uses_no_attempts_up(attempts: Attempts) -> None:
    away = raising(NotNow("the database is away"))
    assert await make(attempts, away, attempt=1) == Retry(1, 2, "NotNow: the database is away")
    for _ in range(3):
        outcome = await make(attempts, away, attempt=8)
        assert isinstance(outcome, Retry)
        assert (outcome.delay_seconds, outcome.attempt) == (600, 8)


async def test_a_permanent_error_ends_there_at_once(attempts: Attempts) -> None:
    assert await make(attempts, raising(PermanentError("no"))) == Dead(
        "permanent", "PermanentError: no"
    )


async def test_an_overlong_attempt_is_cut_short_and_retried(attempts: Attempts) -> None:
    async def handler(_: Envelope) -> None:
        await asyncio.sleep(60)

    outcome = await make(attempts, handler)
    assert isinstance(outcome, Retry)
    assert outcome.error.startswith("TimeoutError")


async def test_a_cancellation_from_within_is_a_failure_like_others(attempts: Attempts) -> None:
    assert isinstance(await make(attempts, raising(asyncio.CancelledError())), Retry)


async def test_a_cancellation_from_without_is_obeyed(attempts: Attempts) -> None:
    async def handler(_: Envelope) -> None:
        await asyncio.Event().wait()

    task = asyncio.create_task(make(attempts, handler))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_an_event_of_another_type_is_retried_unhandled(attempts: Attempts) -> None:
    outcome = await attempts.make(
        "x.events", frozenset({"other.v1"}), raising(AssertionError("called")), EVENT, 1
    )
    assert isinstance(outcome, Retry)
    assert "not consumed here" in outcome.error


async def test_long_errors_are_cut(attempts: Attempts) -> None:
    outcome = await make(attempts, raising(PermanentError("x" * 10_000)))
    assert isinstance(outcome, Dead)
    assert len(outcome.error) == 500


async def test_outcomes_are_counted(attempts: Attempts, registry: CollectorRegistry) -> None:
    await make(attempts, raising(TransientError()))
    await make(attempts, raising(PermanentError()))
    attempts.bury("x.events", None, "undecodable", ValueError("no id"))

    def count(result: str) -> float | None:
        labels = {"queue": "x.events", "result": result}
        return registry.get_sample_value("sharezync_events_consumed_total", labels)

    assert (count("retry"), count("dead"), count("done")) == (1, 2, None)
