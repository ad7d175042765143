"""Places at a service: bounded, shared, and nobody's alone."""

import asyncio
from collections.abc import Callable

import pytest

from sharezync_gateway.errors import ClientGone
from sharezync_gateway.proxy.bulkhead import Bulkhead, BulkheadLimits, Quota
from sharezync_shared.problems import Unavailable
from sharezync_shared.server import PATIENCE_SECONDS


def bulkhead(wait_seconds: float = 30) -> Bulkhead:
    return Bulkhead(BulkheadLimits(total=4, per_caller=2, wait_seconds=wait_seconds))


async def enter(bulkhead: Bulkhead, *callers: str) -> list["asyncio.Task[None]"]:
    """Have callers come one after the other; those who find a place are done."""
    tasks = []
    for caller in callers:
        tasks.append(asyncio.create_task(bulkhead.enter(caller)))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
    return tasks


def inside(tasks: list["asyncio.Task[None]"]) -> list[bool]:
    return [task.done() and task.exception() is None for task in tasks]


async def test_nobody_has_more_than_a_part() -> None:
    places = bulkhead()
    tasks = await enter(places, "a", "a", "a", "b")
    assert inside(tasks) == [True, True, False, True], "b does not wait behind a's own third"
    places.leave("a")
    await asyncio.gather(tasks[2])
    assert places.under_way == 3


async def test_who_waits_is_called_in_turn() -> None:
    places = bulkhead()
    tasks = await enter(places, "a", "a", "b", "b", "c", "d", "c")
    assert inside(tasks) == [True] * 4 + [False] * 3
    for leaving, called in (("a", 4), ("b", 5), ("a", 6)):
        places.leave(leaving)
        await asyncio.sleep(0.01)
        assert tasks[called].done()


async def test_those_behind_do_not_wait_for_one_who_has_enough() -> None:
    places = bulkhead()
    tasks = await enter(places, "a", "a", "b", "b", "a", "c")
    places.leave("b")
    await asyncio.sleep(0.01)
    assert inside(tasks) == [True, True, True, True, False, True]


async def test_who_waits_too_long_is_told_to_come_again() -> None:
    places = bulkhead(wait_seconds=0.05)
    await enter(places, "a", "a", "b", "b")
    with pytest.raises(Unavailable, match="At most 2 concurrent"):
        await places.enter("a")
    with pytest.raises(Unavailable, match="overloaded"):
        await places.enter("c")
    places.leave("a")
    await places.enter("c")
    assert places.under_way == 4


async def test_who_comes_when_too_many_wait_is_told_at_once() -> None:
    places = bulkhead()
    tasks = await enter(places, *["a"] * 10)
    with pytest.raises(Unavailable):
        await places.enter("a")
    assert inside(tasks) == [True, True] + [False] * 8
    await places.enter("b")
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def test_who_gives_up_waiting_leaves_nothing_behind() -> None:
    places = bulkhead()
    tasks = await enter(places, "a", "a", "b", "b", "c")
    tasks[4].cancel()
    await asyncio.gather(tasks[4], return_exceptions=True)
    for caller in "aabb":
        places.leave(caller)
    assert places.under_way == 0
    assert inside(await enter(places, "c", "c", "d", "d")) == [True] * 4


async def test_a_place_that_was_given_to_one_who_gave_up_is_given_on() -> None:
    places = bulkhead()
    tasks = await enter(places, "a", "a", "b", "b", "c", "d")
    places.leave("a")  # c is called
    tasks[4].cancel()  # and leaves before it hears of that
    await asyncio.gather(tasks[4], return_exceptions=True)
    await asyncio.gather(tasks[5])
    assert places.under_way == 4


class Client:
    """One who can leave, noticed by the kernel or told by the server."""

    def __init__(self) -> None:
        self.gone = False
        self.calls: list[Callable[[], None] | None] = []

    def has_left(self) -> bool:
        return self.gone

    def on_left(self, call: Callable[[], None] | None) -> None:
        self.calls.append(call)


async def test_who_leaves_while_waiting_waits_no_longer() -> None:
    places, client = bulkhead(), Client()
    await enter(places, "a", "a")
    waiting = asyncio.create_task(places.enter("a", client=client))
    await asyncio.sleep(0.01)
    (call,) = client.calls
    assert call is not None
    call()
    with pytest.raises(ClientGone):
        await waiting
    assert client.calls == [call, None]
    places.leave("a")
    assert inside(await enter(places, "a")) == [True]


async def test_those_that_have_left_make_room_in_the_queue() -> None:
    places = bulkhead()
    await enter(places, "a", "a")
    clients = [Client() for _ in range(4)]
    left = [asyncio.create_task(places.enter("a", client=client)) for client in clients]
    await asyncio.sleep(2 * PATIENCE_SECONDS)
    for client in clients:
        client.gone = True
    here = asyncio.create_task(places.enter("a", client=Client()))
    await asyncio.sleep(0.01)
    assert [type(task.exception()) for task in left if task.done()] == [ClientGone] * 4
    places.leave("a")
    await here


def test_a_quota_is_exact() -> None:
    quota = Quota(10, 6)
    assert quota.reserve("a", 6)
    assert not quota.reserve("a", 1)
    assert not quota.reserve("b", 5)
    assert quota.reserve("b", 4)
    quota.give_back("a", 6)
    assert quota.taken == 4
    assert quota.used_by("a") == 0
    assert quota.reserve("c", 6)


def test_nothing_is_taken_and_given_back_as_often_as_one_likes() -> None:
    quota = Quota(10, 6)
    assert quota.reserve("a", 0)
    assert quota.reserve("a", 0)
    quota.give_back("a", 0)
    quota.give_back("a", 0)
    assert quota.taken == 0
