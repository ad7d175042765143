"""One costly frame of a user at a time, and some time for others between two."""

import asyncio

from sharezync_gateway.realtime.user_turns import CostlyTurn


async def test_one_takes_its_turn_at_a_time_and_others_go_before_the_next() -> None:
    turn = CostlyTurn()
    inside: list[int] = []

    async def act(number: int) -> None:
        async with turn:
            assert not inside
            inside.append(number)
            await asyncio.sleep(0.01)
            inside.clear()

    started = asyncio.get_running_loop().time()
    await asyncio.gather(*map(act, range(4)))
    took = asyncio.get_running_loop().time() - started
    assert took >= 4 * 0.01 + 3 * 0.01, "there is a pause after each, as long as that took"


async def test_who_has_taken_a_turn_goes_on_at_once() -> None:
    turn = CostlyTurn()
    async with turn:
        await asyncio.sleep(0.02)
    assert turn._lock.locked(), "only the next one waits"


async def test_a_turn_that_ends_in_an_error_ends() -> None:
    turn = CostlyTurn()
    for _ in range(2):
        try:
            async with turn:
                raise ValueError
        except ValueError:
            pass
    async with turn:
        pass
