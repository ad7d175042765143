"""Each task of housekeeping goes on by itself."""

import asyncio

from services.auth.tests.api.conftest import Auth
from sharezync_testkit.waiting import wait_until


async def test_a_task_that_hangs_and_one_that_fails_keep_no_other_from_its_turn(auth: Auth) -> None:
    turns = 0

    async def hang() -> None:
        await asyncio.Event().wait()

    async def fail() -> None:
        raise ValueError

    async def work() -> None:
        nonlocal turns
        turns += 1

    core = auth.app.state.core
    tasks = {"that-hangs": hang, "that-fails": fail, "that-works": work}
    async with core.housekeeping(tasks, 0.01):
        await wait_until(lambda: turns >= 3)

    def succeeded(task: str) -> float | None:
        return core.platform.registry.get_sample_value(  # type: ignore[no-any-return]  # a float
            "sharezync_background_last_success_timestamp_seconds", {"task": f"auth-{task}"}
        )

    assert succeeded("that-works")
    assert succeeded("that-hangs") == succeeded("that-fails") == 0
