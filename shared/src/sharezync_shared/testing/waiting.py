"""How tests wait for what must come."""

import asyncio
from collections.abc import Callable
from typing import Final

GIVE_UP_SECONDS: Final = 30.0
"""How long a test waits for what must come: only a failing one waits as long.

Longer than a shared machine stands still now and then, for a disk or for another tenant: a test
that gives up sooner is decided by timing.
"""


async def wait_until(
    condition: Callable[[], object], *, within_seconds: float = GIVE_UP_SECONDS
) -> None:
    """Return once `condition()` is true; raises TimeoutError if that takes too long."""
    async with asyncio.timeout(within_seconds):
        while not condition():  # noqa: ASYNC110 - conditions of any kind, events included
            await asyncio.sleep(0.005)
