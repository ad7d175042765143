"""One costly frame of a user at a time, and some time for others between two."""

import asyncio

import pytest

from sharezync_gateway.realtime import budget
from sharezync_gateway.realtime.budget import CostlyTurn
from sharezync_testkit.waiting import GIVE_UP_SECONDS, wait_until


async def act_by_turns(turn: CostlyTurn) -> None:
    inside: list[int] = []

    async def act(number: int) -> None:
        async with turn.take():
            assert not inside
            inside.append(number)
            await asyncio.sleep(0.01)
            inside.clear()

    await asyncio.gather(*map(act, range(4)))


async def test_one_takes_its_turn_at_a_time_and_others_go_before_the_next() -> None:
    started = asyncio.get_running_loop().time()
    await act_by_turns(CostlyTurn())
    took = asyncio.get_running_loop().time() - started
    assert took >= 4 * 0.01 + 3 * 0.01, "there is a pause after each, as long as that took"


async def test_who_has_taken_a_turn_goes_on_at_once() -> None:
    turn = CostlyTurn()
    async with turn.take():
        await asyncio.sleep(0.02)
    assert turn._lock.locked(), "only the next one waits"


async def test_a_turn_that_ends_in_an_error_ends() -> None:
    turn = CostlyTurn()
    for _ in range(2):
        try:
            async with turn.take():
                raise ValueError
        except ValueError:
            pass
    async with turn.take():
        pass


async def test_what_waits_for_long_keeps_nobody_waiting_as_long(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(budget, "_LONGEST_TURN_SECONDS", 0.01)
    turn = CostlyTurn()
    answered = asyncio.Event()
    inside = 0

    async def ask() -> None:
        nonlocal inside
        async with turn.take():
            inside += 1
            await answered.wait()

    async with asyncio.timeout(GIVE_UP_SECONDS), asyncio.TaskGroup() as group:
        for _ in range(3):
            group.create_task(ask())
        await wait_until(lambda: inside == 3)
        answered.set()
    monkeypatch.undo()
    await act_by_turns(turn)  # each has given up its turn once: it is still one at a time
