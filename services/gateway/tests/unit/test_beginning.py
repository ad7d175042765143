"""Requests that move bytes begin in turn: a burst of one caller's is not in front of others'."""

import asyncio
from collections.abc import Callable

import pytest
from prometheus_client import CollectorRegistry

from sharezync_gateway.errors import ClientGone
from sharezync_gateway.proxy import allowances
from sharezync_gateway.proxy.allowances import ProxyMemory, RequestAllowance, ServiceAdmission
from sharezync_gateway.proxy.asgi import AsgiUpstream
from sharezync_gateway.proxy.bulkhead import BulkheadLimits
from sharezync_shared.calls.breaker import Breakers
from sharezync_shared.server import PATIENCE_SECONDS
from sharezync_testkit.serving import plain_asgi
from sharezync_testkit.waiting import wait_until

BURST = 40


class Client:
    """One who stays, or has left without anybody having told."""

    gone = False

    def has_left(self) -> bool:
        return self.gone

    def on_left(self, call: Callable[[], None] | None) -> None:
        """Nobody will."""


CLIENT = Client()


class Burst:
    """A service, and what callers want of it."""

    def __init__(self, wait_seconds: float = 30) -> None:
        limits = BulkheadLimits(total=2 * BURST, per_caller=BURST, wait_seconds=wait_seconds)
        breaker = Breakers(CollectorRegistry(), None).for_service("storage")
        self.way = ServiceAdmission(AsgiUpstream(plain_asgi()), limits, breaker)
        self.memory = ProxyMemory()
        self._tasks: list[asyncio.Task[None]] = []

    async def begin(
        self, caller: str, client: Client = CLIENT
    ) -> tuple[RequestAllowance, "asyncio.Task[None]"]:
        one = RequestAllowance(self.way, self.memory, caller, is_long=True)
        task = asyncio.create_task(one.enter(lambda: None, client))
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
    monkeypatch.setattr(allowances, "_ABANDONED_SECONDS", 0)
    burst = Burst()
    for _ in range(BURST):
        one, task = await burst.begin("a")
        await asyncio.wait_for(task, 30)
        if way == "answered":
            one.answered()
            one.answered()
        else:
            one.close(abandoned=True)
    await burst.end()


async def test_what_is_slow_to_answer_keeps_no_turn() -> None:
    burst = Burst()
    tasks = [(await burst.begin("a"))[1] for _ in range(BURST // 2)]
    await wait_until(lambda: all(task.done() for task in tasks))
    await burst.end()


async def test_who_has_left_gets_no_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(allowances, "_BEGINNING_SECONDS", 30)
    burst = Burst()
    began = [one for one, task in [await burst.begin("a") for _ in range(4)] if task.done()]
    gone = Client()
    left = [(await burst.begin("a", gone))[1] for _ in range(8)]
    _, here = await burst.begin("a")
    assert not any(task.done() for task in [*left, here])
    await asyncio.sleep(2 * PATIENCE_SECONDS)
    gone.gone = True
    began[0].answered()
    await asyncio.wait_for(here, 30)
    assert [type(task.exception()) for task in left] == [ClientGone] * 8
    await burst.end()


async def test_who_leaves_again_and_again_has_no_turn_for_a_while(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(allowances, "_ABANDONED_SECONDS", 0.2)
    burst = Burst()
    for _ in range(4):
        one, task = await burst.begin("a")
        await asyncio.wait_for(task, 30)
        one.close(abandoned=True)
    _, again = await burst.begin("a")
    _, innocent = await burst.begin("innocent")
    assert not again.done()
    assert innocent.done(), "nobody has those turns"
    await asyncio.wait_for(again, 30)
    await burst.end()


@pytest.mark.parametrize("answers", [True, False])
async def test_who_stays_has_the_next_turn_at_once(answers: bool) -> None:
    burst = Burst()
    for _ in range(8):
        one, task = await burst.begin("a")
        assert task.done()
        if answers:
            one.answered()
        one.close(abandoned=False)
    await burst.end()


async def test_who_left_before_their_turn_owes_nothing() -> None:
    burst = Burst()
    for _ in range(8):
        RequestAllowance(burst.way, burst.memory, "a", is_long=True).close(abandoned=True)
    _, task = await burst.begin("a")
    assert task.done()
    await burst.end()


async def test_who_left_four_is_delayed_with_the_others_and_not_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(allowances, "_ABANDONED_SECONDS", 0.5)
    burst = Burst(wait_seconds=0.1)
    for _ in range(8):
        one, _ = await burst.begin("a")
        one.close(abandoned=True)
    others = [await burst.begin("a") for _ in range(8)]
    for one, task in others:
        await asyncio.wait_for(task, 30)
        one.answered()
    await burst.end()
