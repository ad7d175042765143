"""How tests wait for what must come."""

import asyncio
import inspect
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from typing import Final

GIVE_UP_SECONDS: Final = 30.0
"""How long a test waits for what must come: only a failing one waits as long.

Longer than a shared machine stands still now and then, for a disk or for another tenant: a test
that gives up sooner is decided by timing.
"""
DEADLINE_SECONDS: Final = 50.0
"""As GIVE_UP_SECONDS, from outside of a product that runs in processes of its own."""


async def wait_until(
    condition: Callable[[], object], *, within_seconds: float = GIVE_UP_SECONDS
) -> None:
    """Return once `condition()` is true; raises AssertionError, naming it, if it never is."""
    loop = asyncio.get_running_loop()
    give_up_at = loop.time() + within_seconds
    while not condition():
        if loop.time() > give_up_at:
            raise AssertionError(f"not within {within_seconds:g} s: {_source_of(condition)}")
        await asyncio.sleep(0.005)


@asynccontextmanager
async def giving_up(said: Callable[[], object]) -> AsyncGenerator[None]:
    """Bound what the block waits for; raises AssertionError with what `said` returns by then."""
    try:
        async with asyncio.timeout(GIVE_UP_SECONDS):
            yield
    except TimeoutError:
        raise AssertionError(f"not within {GIVE_UP_SECONDS:g} s: {said()}") from None


def _source_of(condition: Callable[[], object]) -> str:
    try:
        return " ".join(inspect.getsource(condition).split())
    except (OSError, TypeError):
        return repr(condition)
