"""Passwords of links: what they are hashed with, and how many may be looked at."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from sharezync_shared.problems import Unavailable
from sharezync_storage.passwords import LinkPasswords

HERE = "192.0.2.1"


@pytest.fixture
async def pool() -> AsyncIterator[LinkPasswords]:
    pool = LinkPasswords()
    async with pool.running():
        yield pool


async def test_the_right_one_is_right_however_it_is_composed(pool: LinkPasswords) -> None:
    stored = await pool.hash("caf\u00e9", caller=HERE)
    assert stored.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    assert await pool.verify("cafe\u0301", stored, caller=HERE)
    assert not await pool.verify("cafe", stored, caller=HERE)
    assert await pool.hash("caf\u00e9", caller=HERE) != stored


async def test_no_more_than_a_few_of_one_caller_wait(pool: LinkPasswords) -> None:
    outcomes = await asyncio.gather(
        *(pool.hash(str(n), caller=HERE) for n in range(10)), return_exceptions=True
    )
    assert sum(isinstance(outcome, str) for outcome in outcomes) == 2 + 4
    assert sum(isinstance(outcome, Unavailable) for outcome in outcomes) == 4
    assert await pool.hash("and then there is room again", caller=HERE)


async def test_who_gives_up_leaves_no_place_taken(pool: LinkPasswords) -> None:
    waiting = [asyncio.create_task(pool.hash(str(n), caller=HERE)) for n in range(6)]
    await asyncio.sleep(0)
    for task in waiting:
        task.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)
    await asyncio.gather(*(pool.hash("behind them", caller=HERE) for _ in range(4)))
