"""Requests that move bytes begin in turn: a burst of one caller's is not in front of others'."""

import asyncio

import pytest
from prometheus_client import CollectorRegistry

from sharezync_gateway.proxy import allowances
from sharezync_gateway.proxy.allowances import ProxyMemory, RequestAllowance, ServiceAdmission
from sharezync_gateway.proxy.asgi import AsgiUpstream
from sharezync_gateway.proxy.bulkhead import BulkheadLimits
from sharezync_shared.calls.breaker import Breakers
from sharezync_testkit.serving import plain_asgi
from sharezync_testkit.waiting import wait_until

BURST = 40


class Burst:
    """A service, and what callers want of it."""

    def __init__(self) -> None:
        limits = BulkheadLimits(total=2 * BURST, per_caller=BURST, wait_seconds=30)
        breaker = Breakers(CollectorRegistry(), None).for_service("storage")
        self._way = ServiceAdmission(AsgiUpstream(plain_asgi()), limits, breaker)
        self._memory = ProxyMemory()
        self._tasks: list[asyncio.Task[None]] = []

    async def begin(self, caller: str) -> tuple[RequestAllowance, "asyncio.Task[None]"]:
        one = RequestAllowance(self._way, self._memory, caller, is_long=True)
        task = asyncio.create_task(one.enter(end=lambda: None))
        self._tasks.append(task)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        return one, task

    async def end(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


async def test_who_has_fewest_begins_next(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(allowances, "_BEGINNING_SECONDS", 30)
    burst = Burst()
    greedy = [await burst.begin(caller) for caller in ("a", "b") for _ in range(BURST // 2)]
    began = [one for one, task in greedy if task.done()]
    assert 0 < len(began) < len(greedy)
    _, innocent = await burst.begin("innocent")
    assert not innocent.done()
    began[0].answered()
    await asyncio.wait_for(innocent, 30)
    assert sum(task.done() for _, task in greedy) == len(began)
    await burst.end()


@pytest.mark.parametrize("way", ["answered", "closed"])
async def test_a_turn_ends_with_the_answer_or_the_request(
    way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(allowances, "_BEGINNING_SECONDS", 30)
    burst = Burst()
    for _ in range(BURST):
        one, task = await burst.begin("a")
        await asyncio.wait_for(task, 30)
        if way == "answered":
            one.answered()
            one.answered()
        else:
            one.close()
    await burst.end()


async def test_what_is_slow_to_answer_keeps_no_turn() -> None:
    burst = Burst()
    tasks = [(await burst.begin("a"))[1] for _ in range(BURST // 2)]
    await wait_until(lambda: all(task.done() for task in tasks))
    await burst.end()
