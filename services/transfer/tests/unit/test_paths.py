"""Names of an offer's files."""

import asyncio

import pytest

from sharezync_shared.problems import Invalid
from sharezync_transfer.usecases.offering import paths_of

COSTLY = [("a" + "\u0301" * 3) * 100 + str(number) for number in range(1000)]
"""Cut off before what they differ in."""


async def test_others_are_served_while_a_thousand_names_are_cleaned() -> None:
    cleaning = asyncio.create_task(paths_of(COSTLY))
    turns = 0
    while not cleaning.done():
        turns += 1
        await asyncio.sleep(0)
    assert turns > len(COSTLY) // 20
    with pytest.raises(Invalid, match="the same path"):
        await cleaning
