"""Which bcrypt hashes are left of an import: what a wrong password has to cost (passwords.py)."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Final

import structlog

from sharezync_auth.passwords import Passwords, bcrypt_cost
from sharezync_shared.db.work import UnitsOfWork

log = structlog.get_logger()

_EVERY_SECONDS: Final = 60.0


async def left(work: UnitsOfWork) -> set[int]:
    """Return the costs that occur."""
    rows = await (await work.database.pool()).fetch(
        "SELECT min(password_hash) AS one FROM auth.users WHERE password_hash LIKE '$2%' "
        "GROUP BY left(password_hash, 7)"
    )
    costs = (bcrypt_cost(row["one"]) for row in rows)
    return {cost for cost in costs if cost is not None}


@asynccontextmanager
async def watching(work: UnitsOfWork, passwords: Passwords) -> AsyncGenerator[None]:
    """Keep `passwords` knowing them: from the start, and inside the block as they change."""
    passwords.expect_bcrypt(await left(work))
    task = asyncio.create_task(_watch(work, passwords), name="auth-bcrypt-costs")
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])


async def _watch(work: UnitsOfWork, passwords: Passwords) -> None:
    while True:
        await asyncio.sleep(_EVERY_SECONDS)
        try:
            passwords.expect_bcrypt(await left(work))
        except Exception as error:  # noqa: BLE001 - the rim: what was left a minute ago still holds
            log.warning("bcrypt_costs_unknown", error=repr(error))
