"""The names of users: kept here, told by auth, asked for where nobody told us yet."""

from collections.abc import Collection
from datetime import datetime

from sharezync_shared.contracts.services import Services
from sharezync_shared.db.work import UnitOfWork, UnitsOfWork
from sharezync_shared.ids import UserId
from sharezync_transfer.errors import UserNotFound

DELETED_USERNAME = "deleted"
DELETED_DISPLAY_NAME = "Deleted user"


async def require(work: UnitsOfWork, services: Services, user_ids: Collection[UserId]) -> None:
    """See to it that transfer knows these users; asks auth for those it never heard of.

    Call it before a transaction. Raises UserNotFound for who does not exist or no longer does, and
    Unavailable where auth would have to be asked and does not answer.
    """
    missing = await _unknown(work, user_ids)
    if not missing:
        return
    asked_at = work.now()
    found = await services.auth.names(missing)
    async with work.begin() as unit:
        for user in sorted(found, key=lambda user: user.id):
            await learn(
                unit,
                UserId(user.id),
                username=user.username,
                display_name=user.display_name,
                at=asked_at,
            )
    if await _unknown(work, missing):
        raise UserNotFound


async def _unknown(work: UnitsOfWork, user_ids: Collection[UserId]) -> set[UserId]:
    async with (await work.database.pool()).acquire() as connection:
        known = await connection.fetch(
            "SELECT id, deleted FROM transfer.users WHERE id = ANY($1)", list(user_ids)
        )
    if any(user["deleted"] for user in known):
        raise UserNotFound
    return set(user_ids) - {user["id"] for user in known}


async def learn(
    unit: UnitOfWork, user_id: UserId, *, username: str, display_name: str, at: datetime
) -> None:
    """Take over the names that auth gave at `at`.

    Older news than what is known, and news of a deleted user, change nothing. Safe to repeat.
    """
    connection = await unit.raw()
    await connection.execute(
        "INSERT INTO transfer.users AS u (id, username, display_name, names_at, deleted) "
        "VALUES ($1, $2, $3, $4, false) ON CONFLICT (id) DO UPDATE "
        "SET username = $2, display_name = $3, names_at = $4 "
        "WHERE NOT u.deleted AND u.names_at < $4",
        user_id,
        username,
        display_name,
        at,
    )


async def forget(unit: UnitOfWork, user_id: UserId, at: datetime) -> None:
    """Forget a user's names for ever, whatever is still to be heard of them. Repeatable."""
    connection = await unit.raw()
    await connection.execute(
        "INSERT INTO transfer.users (id, username, display_name, names_at, deleted) "
        "VALUES ($1, $2, $3, $4, true) ON CONFLICT (id) DO UPDATE "
        "SET username = $2, display_name = $3, names_at = $4, deleted = true",
        user_id,
        DELETED_USERNAME,
        DELETED_DISPLAY_NAME,
        at,
    )


async def insist(unit: UnitOfWork, user_ids: Collection[UserId]) -> None:
    """Keep these users from being deleted until the commit. Raises UserNotFound."""
    found = await (await unit.raw()).fetch(
        "SELECT id FROM transfer.users WHERE id = ANY($1) AND NOT deleted ORDER BY id FOR SHARE",
        list(user_ids),
    )
    if len(found) != len(set(user_ids)):
        raise UserNotFound
