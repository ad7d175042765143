import asyncio
import time
from datetime import timedelta

import pytest
from prometheus_client import CollectorRegistry
from structlog.testing import capture_logs

from sharezync_shared import background as module
from sharezync_shared.background import AT_ONCE, NEVER, Periodic, TaskSupervisor, end, uncancelled
from sharezync_testkit.waiting import GIVE_UP_SECONDS, wait_until


async def cancelled_within() -> None:
    raise asyncio.CancelledError


async def test_a_cancellation_from_within_becomes_an_error() -> None:
    with pytest.raises(ConnectionError):
        await uncancelled(cancelled_within())


async def test_a_cancellation_from_without_stays_one() -> None:
    task = asyncio.create_task(uncancelled(asyncio.Event().wait()))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_results_and_other_errors_pass() -> None:
    async def answer() -> int:
        return 42

    async def fail() -> None:
        raise ValueError

    assert await uncancelled(answer()) == 42
    with pytest.raises(ValueError):
        await uncancelled(fail())


async def test_a_task_that_swallows_a_cancellation_is_ended_all_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "_AGAIN_SECONDS", 0.05)
    swallowed = 0

    async def stubborn() -> None:
        nonlocal swallowed
        while swallowed < 2:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                swallowed += 1
        raise ValueError("nobody's business")

    task = asyncio.create_task(stubborn())
    await asyncio.sleep(0)
    async with asyncio.timeout(GIVE_UP_SECONDS):
        await end([task])
    assert task.done()
    assert swallowed == 2


async def test_ending_nothing_is_no_error() -> None:
    await end([])


# ------------------------------------------------------------------------------- what is repeated


class Act:
    """Answers as it is told, then that it need not be called again."""

    def __init__(self, *answers: timedelta | Exception | None) -> None:
        self.answers = list(answers)
        self.calls = 0

    async def __call__(self) -> timedelta | None:
        self.calls += 1
        answer = self.answers.pop(0) if self.answers else NEVER
        if isinstance(answer, Exception):
            raise answer
        return answer


async def test_an_act_is_called_again_until_it_says_never() -> None:
    act = Act(None, AT_ONCE, timedelta(milliseconds=1))
    async with Periodic(act, name="test", every_seconds=0.001).running():
        await wait_until(lambda: act.calls == 4)


async def test_an_act_that_fails_is_logged_counted_and_called_again() -> None:
    registry = CollectorRegistry()
    act = Act(ValueError("wrong"), ConnectionError("away"), None)
    work = Periodic(
        act, name="test", every_seconds=0.0, retry_seconds=(0.001, 0.002), registry=registry
    )
    with capture_logs() as logs:
        async with work.running():
            await wait_until(lambda: act.calls == 4)
    failed, recovered = logs
    assert (failed["event"], failed["task"]) == ("background_work_failed", "test")
    assert isinstance(failed["exc_info"], ValueError), "a bug needs its traceback"
    told = (recovered["event"], recovered["outage"], recovered["task"], recovered["failures"])
    assert told == ("outage_over", "background_work_failed", "test", 2)
    labels = {"task": "test"}
    assert registry.get_sample_value("sharezync_background_failures_total", labels) == 2


async def test_the_last_success_and_how_long_it_took_are_told() -> None:
    registry = CollectorRegistry()
    act = Act(ValueError("wrong"), timedelta(seconds=3600))
    work = Periodic(act, name="test", every_seconds=3600, registry=registry)

    def gauge(what: str) -> float | None:
        return registry.get_sample_value(
            f"sharezync_background_last_success_{what}_seconds", {"task": "test"}
        )

    began = time.time()
    async with work.running():
        await wait_until(lambda: act.calls == 1)
        assert (gauge("timestamp"), gauge("duration")) == (0, 0), "it failed"
        work.wake()
        await wait_until(lambda: bool(gauge("timestamp")))
    assert began <= (gauge("timestamp") or 0) <= time.time()
    assert 0 < (gauge("duration") or 0) <= time.time() - began


async def test_an_outage_is_logged_without_a_traceback() -> None:
    act = Act(ConnectionError("away"))
    with capture_logs() as logs:
        async with Periodic(act, name="test", every_seconds=0.0).running():
            await wait_until(lambda: act.calls == 2)
    assert "exc_info" not in logs[0]


async def test_an_act_that_is_cancelled_from_within_goes_on() -> None:
    calls = 0

    async def act() -> timedelta | None:
        nonlocal calls
        calls += 1
        if calls == 1:
            raise asyncio.CancelledError
        return NEVER

    async with Periodic(act, name="test", every_seconds=0.0).running():
        await wait_until(lambda: calls == 2)


async def test_who_is_woken_does_not_wait_for_the_time() -> None:
    act = Act(None, None)
    work = Periodic(act, name="test", every_seconds=3600, first_seconds=3600)
    async with work.running():
        for calls in (1, 2):
            work.wake()
            await wait_until(lambda calls=calls: act.calls == calls)  # type: ignore[misc]  # bound
    work.wake()
    await asyncio.sleep(0)
    assert act.calls == 2, "it has ended"


# ------------------------------------------------------------------------- tasks that are watched


async def test_a_task_that_fails_is_logged_and_let_go() -> None:
    async def fail() -> None:
        raise ValueError

    tasks = TaskSupervisor()
    with capture_logs() as logs:
        tasks.start(fail(), "failing")
        await wait_until(lambda: not len(tasks))
    assert [(log["event"], log["task"]) for log in logs] == [("background_task_failed", "failing")]


async def test_tasks_get_their_time_and_are_cancelled_after_it() -> None:
    may_end = asyncio.Event()
    done: list[str] = []

    async def wait() -> None:
        await may_end.wait()
        done.append("in time")

    tasks = TaskSupervisor()
    tasks.start(wait(), "waiting")
    asyncio.get_running_loop().call_soon(may_end.set)
    await tasks.wind_down(GIVE_UP_SECONDS)
    assert done == ["in time"]

    stuck = tasks.start(asyncio.Event().wait(), "stuck")
    await tasks.wind_down()
    assert stuck.cancelled()
