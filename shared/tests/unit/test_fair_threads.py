"""Callers take turns at threads, and nobody keeps the others from them."""

import asyncio
import threading
from collections.abc import AsyncIterator

import pytest

from sharezync_shared.problems import Unavailable
from sharezync_shared.threads import FairThreads

ATTACKERS = ("192.0.2.1", "192.0.2.2", "192.0.2.3", "192.0.2.4")
INNOCENT = "198.51.100.7"


class Busy:
    """One thread that is busy until `go_on`, with room for eight calls, two of each caller."""

    def __init__(self) -> None:
        self.threads = FairThreads("test", threads=1, queue=8, refusal="Too many")
        self.done: list[str] = []
        self._event = threading.Event()
        self._first = asyncio.create_task(self.threads.run(self._event.wait, caller="-"))

    async def begin(
        self, caller: str, *, urgent: bool = False, what: str | None = None
    ) -> asyncio.Task[None]:
        """Ask for a call, which leaves `what` in `done`, and return before it runs."""
        call = self.threads.run(
            lambda: self.done.append(what or caller), caller=caller, urgent=urgent
        )
        task = asyncio.create_task(call)
        await asyncio.sleep(0)
        return task

    async def fill(self, *, urgent: bool = False) -> list[asyncio.Task[None]]:
        """Have each attacker wait twice, one after the other."""
        return [await self.begin(who, urgent=urgent) for who in ATTACKERS for _ in range(2)]

    async def go_on(self, *tasks: asyncio.Task[None]) -> list[bool]:
        """Let the thread work, and return which of `tasks` were not refused."""
        self._event.set()
        await self._first
        outcomes = await asyncio.gather(*tasks, return_exceptions=True)
        return [outcome is None for outcome in outcomes]


@pytest.fixture
async def busy() -> AsyncIterator[Busy]:
    busy = Busy()
    await asyncio.sleep(0)
    yield busy
    await busy.go_on()
    busy.threads.close()


async def test_callers_take_turns_however_many_of_each_wait(busy: Busy) -> None:
    tasks = [await busy.begin(who) for who in "aabc"]
    assert await busy.go_on(*tasks) == [True] * 4
    assert busy.done == ["a", "b", "c", "a"]


async def test_nobody_has_more_than_a_quarter_of_the_queue(busy: Busy) -> None:
    tasks = [await busy.begin("a") for _ in range(4)]
    assert await busy.go_on(*tasks) == [True, True, False, False]
    with pytest.raises(Unavailable) as refused:
        tasks[2].result()
    assert refused.value.headers["Retry-After"] == "2"


async def test_a_newcomer_takes_the_last_place_of_who_has_most(busy: Busy) -> None:
    attack = await busy.fill()
    mine = await busy.begin(INNOCENT)
    assert await busy.go_on(*attack, mine) == [True, False] + [True] * 7
    assert busy.done[:5] == [*ATTACKERS, INNOCENT]


async def test_who_would_have_as_many_displaces_nobody(busy: Busy) -> None:
    attack = await busy.fill()
    mine = [await busy.begin(INNOCENT) for _ in range(2)]
    assert await busy.go_on(*attack, *mine) == [True, False, *[True] * 6, True, False]


async def test_urgent_work_displaces_other_work_of_however_many_callers(busy: Busy) -> None:
    attack = [await busy.begin(f"192.0.2.{n}") for n in range(8)]
    refused, mine = await busy.begin(INNOCENT), await busy.begin(INNOCENT, urgent=True)
    outcomes = await busy.go_on(*attack, refused, mine)
    assert (outcomes.count(False), outcomes[-2:]) == (2, [False, True])
    assert busy.done[0] == INNOCENT


async def test_ones_own_urgent_work_displaces_ones_other(busy: Busy) -> None:
    tasks = [await busy.begin("a"), await busy.begin("a"), await busy.begin("a", urgent=True)]
    assert await busy.go_on(*tasks) == [True, False, True]
    third = await busy.begin("a", urgent=True)
    assert await busy.go_on(third) == [True]


async def test_other_work_has_every_fourth_turn_while_urgent_work_waits(busy: Busy) -> None:
    other = [await busy.begin("late", what="other") for _ in range(2)]
    urgent = [await busy.begin(who, urgent=True, what="urgent") for who in "abcaef"]
    assert all(await busy.go_on(*other, *urgent))
    assert busy.done == ["urgent", "urgent", "urgent", "other"] * 2


async def test_who_is_cancelled_gives_the_place_back(busy: Busy) -> None:
    first = await busy.fill()
    for task in first:
        task.cancel()
    await asyncio.gather(*first, return_exceptions=True)
    assert await busy.go_on(*await busy.fill()) == [True] * 8


async def test_a_turn_that_comes_as_one_is_cancelled_goes_to_the_next(busy: Busy) -> None:
    given, behind = await busy.begin("a"), await busy.begin("b")
    busy.threads._pass_on()  # `given` has its turn, and hasn't run yet
    given.cancel()
    assert await busy.go_on(behind) == [True]
    assert busy.done == ["b"]
