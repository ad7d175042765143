"""Long work lets others run."""

import asyncio

from sharezync_shared.cooperative import AT_ONCE, cooperatively


async def test_others_run_while_many_items_are_worked_on() -> None:
    turns = 0

    async def other() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    running = asyncio.create_task(other())
    assert [item async for item in cooperatively(range(10 * AT_ONCE))] == [*range(10 * AT_ONCE)]
    running.cancel()
    assert turns == 10
