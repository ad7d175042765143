"""What time takes away: dead nodes, old throttles, logins that are long over."""

from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from functools import partial
from typing import Final

import structlog

from sharezync_auth.passwords import Passwords, bcrypt_cost
from sharezync_auth.settings import AuthSettings
from sharezync_auth.usecases import nodes, skeletons
from sharezync_auth.usecases.sessions import Lifespan
from sharezync_shared.work import UnitsOfWork

log = structlog.get_logger()

EVERY_SECONDS: Final = 60.0
_BATCH: Final = 1000
_DELETED_USERS_KEPT: Final = timedelta(days=8)
"""`/internal/revocations` looks back seven days at most."""
_THROTTLES_KEPT: Final = timedelta(days=1)
"""Longer than they count (throttling.py), so that nothing is swept while it matters."""


def tasks(
    work: UnitsOfWork, settings: AuthSettings, passwords: Passwords
) -> dict[str, Callable[[], Awaitable[None]]]:
    """Return what is to be done every minute, by name. Several replicas may do it at once."""
    return {
        "bcrypt-costs": partial(learn_bcrypt_costs, work, passwords),
        "skeletons": partial(fill_skeletons, work),
        "nodes": partial(give_up_nodes, work, settings),
        "throttles": partial(forget_throttles, work),
        "deleted-users": partial(forget_deleted_users, work),
        "sessions": partial(forget_sessions, work, settings),
    }


async def fill_skeletons(work: UnitsOfWork) -> None:
    """Make the skeletons that are missing: replicas of an older version make accounts without."""
    while await skeletons.fill(work):
        pass


async def give_up_nodes(work: UnitsOfWork, settings: AuthSettings) -> None:
    """Take away gateway nodes of which nothing is heard, with the connections of their devices."""
    lease = timedelta(seconds=settings.device_lease_seconds)
    # Twice the lease: a node that was merely slow needn't say everything again.
    given_up = await nodes.give_up(work, silent_since=work.now() - 2 * lease)
    if given_up:
        log.warning("gateway_nodes_expired", count=given_up)


async def forget_throttles(work: UnitsOfWork) -> None:
    """Delete a batch of throttles that count no more."""
    await _delete(work, "throttles", "key", "failed_at < $2", work.now() - _THROTTLES_KEPT)


async def forget_deleted_users(work: UnitsOfWork) -> None:
    """Delete a batch of ids of accounts of which no token can be any more."""
    before = work.now() - _DELETED_USERS_KEPT
    await _delete(work, "deleted_users", "user_id", "deleted_at < $2", before)


async def forget_sessions(work: UnitsOfWork, settings: AuthSettings) -> None:
    """Delete batches of logins that have been over for the retention of the settings."""
    over = work.now() - timedelta(days=settings.ended_session_retention_days)
    ran_out = Lifespan.at(over, settings)
    await _delete(work, "sessions", "id", "revoked_at < $2", over)
    await _delete(work, "sessions", "id", "last_used_at < $2", ran_out.idle_since)
    await _delete(work, "sessions", "id", "created_at < $2", ran_out.begun_since)


async def bcrypt_costs(work: UnitsOfWork) -> set[int]:
    rows = await (await work.database.pool()).fetch(
        "SELECT min(password_hash) AS one FROM auth.users WHERE password_hash LIKE '$2%' "
        "GROUP BY left(password_hash, 7)"
    )
    costs = (bcrypt_cost(row["one"]) for row in rows)
    return {cost for cost in costs if cost is not None}


async def learn_bcrypt_costs(work: UnitsOfWork, passwords: Passwords) -> None:
    """Have `passwords` know them: a wrong password has to cost as much (passwords.py)."""
    passwords.expect_bcrypt(await bcrypt_costs(work))


async def _delete(
    work: UnitsOfWork, table: str, key: str, condition: str, before: datetime
) -> None:
    async with (await work.database.pool()).acquire() as connection:
        await connection.execute(
            f"DELETE FROM auth.{table} WHERE {key} = ANY(ARRAY("  # noqa: S608 - words of this file
            f"SELECT {key} FROM auth.{table} WHERE {condition} LIMIT $1 FOR UPDATE SKIP LOCKED))",
            _BATCH,
            before,
        )
