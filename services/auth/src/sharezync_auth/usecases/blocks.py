"""Blocks: one list for each account. A blocked user gets no event of it."""

from collections.abc import Sequence
from typing import Final
from uuid import UUID

from sqlmodel import col, select

from sharezync_auth.errors import TooManyBlocks, UserNotFound
from sharezync_auth.models import Block, account_stream
from sharezync_auth.schemas import BlockRead, Unblocked
from sharezync_shared.contracts.auth import BlocksRead, ContactRules
from sharezync_shared.events import contracts as facts
from sharezync_shared.ids import UserId
from sharezync_shared.problems import Invalid, Unauthenticated
from sharezync_shared.streams.frames import Control
from sharezync_shared.streams.log import Connection, Entry
from sharezync_shared.streams.published import Published
from sharezync_shared.work import UnitOfWork, UnitsOfWork, to_json

# Not FOR UPDATE: two people who block each other at the same moment hold their own account, and
# each needs the other's to stay.
_LOCK: Final = "SELECT true FROM auth.users WHERE id = $1 FOR NO KEY UPDATE"
_KEEP: Final = "SELECT true FROM auth.users WHERE id = $1 FOR KEY SHARE"
_NEXT_VERSION: Final = """
UPDATE auth.users SET blocks_version = blocks_version + 1 WHERE id = $1 RETURNING blocks_version
"""
_BETWEEN: Final = """
SELECT blocked_id AS id, true AS blocked FROM auth.blocks
 WHERE user_id = $1 AND blocked_id = ANY($2)
UNION ALL
SELECT user_id, false FROM auth.blocks WHERE blocked_id = $1 AND user_id = ANY($2)
"""
_RULES: Final = """
SELECT u.id, u.username, u.display_name, u.who_may_add, u.blocks_version,
       ARRAY(SELECT b.blocked_id FROM auth.blocks AS b WHERE b.user_id = u.id) AS blocked_ids
  FROM auth.users AS u
 WHERE (u.blocks_version > 0 OR u.who_may_add <> 'everybody') AND ($1::uuid IS NULL OR u.id > $1)
 ORDER BY u.id LIMIT $2
"""


async def page(
    work: UnitsOfWork, *, user_id: UserId, after: UUID | None, limit: int
) -> Sequence[BlockRead]:
    query = select(Block).where(Block.user_id == user_id).order_by(col(Block.blocked_id))
    if after is not None:
        query = query.where(col(Block.blocked_id) > after)
    async with work.read() as unit:
        found = await unit.session.exec(query.limit(limit))
        return [BlockRead.from_block(each) for each in found]


async def block(
    work: UnitsOfWork, *, user_id: UserId, blocked_id: UserId, most: int
) -> Published[BlockRead]:
    """Block somebody; returns since when they are. Safe to repeat.

    Raises Invalid for oneself, UserNotFound, and TooManyBlocks where `most` are blocked already.
    """
    if blocked_id == user_id:
        raise Invalid("You can't block yourself")
    async with work.begin() as unit:
        connection = await _lock_list(unit, user_id)
        if not await connection.fetchval(_KEEP, blocked_id):
            raise UserNotFound
        await unit.lock_streams(account_stream(user_id))
        found = await unit.get(Block, (user_id, blocked_id))
        if found is not None:
            return Published(BlockRead.from_block(found))
        count = await connection.fetchval(
            "SELECT count(*) FROM auth.blocks WHERE user_id = $1", user_id
        )
        if count >= most:
            raise TooManyBlocks(f"At most {most} users can be blocked", limit=most)
        return await _add(unit, user_id, blocked_id)


async def unblock(work: UnitsOfWork, *, user_id: UserId, blocked_id: UserId) -> Published[None]:
    """Take a block back. Safe to repeat, and for who isn't blocked."""
    async with work.begin() as unit:
        connection = await _lock_list(unit, user_id)
        # Before the row, as `forget` does.
        await unit.lock_streams(account_stream(user_id))
        dropped = await connection.fetchval(
            "DELETE FROM auth.blocks WHERE user_id = $1 AND blocked_id = $2 RETURNING true",
            user_id,
            blocked_id,
        )
        if not dropped:
            return Published(None)
        version = await connection.fetchval(_NEXT_VERSION, user_id)
        at = await unit.publish_event(
            account_stream(user_id),
            "user_unblocked",
            Unblocked(user_id=blocked_id),
            control=_recheck(user_id, blocked_id),
        )
        unit.emit(facts.UserUnblocked(user_id=user_id, blocked_id=blocked_id, version=version))
        return Published(None, at)


async def between(work: UnitsOfWork, user_id: UUID, others: Sequence[UUID]) -> BlocksRead:
    """Return with whom of the others somebody has a block, by who made it."""
    pool = await work.database.pool()
    rows = await pool.fetch(_BETWEEN, user_id, list(others))
    blocked = {row["id"] for row in rows if row["blocked"]}
    blocking = {row["id"] for row in rows if not row["blocked"]}
    return BlocksRead(sorted(blocked | blocking), sorted(blocked), sorted(blocking))


async def rules(work: UnitsOfWork, *, after: UUID | None, limit: int) -> list[ContactRules]:
    """List what was said about it by all who ever said anything, by id, those after `after`."""
    pool = await work.database.pool()
    return [ContactRules(*row) for row in await pool.fetch(_RULES, after, limit)]


async def blockers_of(unit: UnitOfWork, user_id: UserId) -> list[UUID]:
    """Return who has blocked somebody; nobody joins them while that account is held for update."""
    found = await unit.session.exec(select(Block.user_id).where(Block.blocked_id == user_id))
    return list(found)


async def forget(unit: UnitOfWork, user_id: UserId) -> None:
    """Drop all blocks by and of somebody. Lock the streams of `blockers_of` before."""
    connection = await unit.raw()
    await connection.execute("DELETE FROM auth.blocks WHERE user_id = $1", user_id)
    freed = await connection.fetch(
        "DELETE FROM auth.blocks WHERE blocked_id = $1 RETURNING user_id", user_id
    )
    gone = to_json(Unblocked(user_id=user_id))
    streams = sorted(account_stream(row["user_id"]) for row in freed)
    await unit.publish_events([Entry(stream, "user_unblocked", gone) for stream in streams])


async def _lock_list(unit: UnitOfWork, user_id: UserId) -> Connection:
    """Hold somebody's list until the commit. Raises Unauthenticated where the account is gone."""
    connection = await unit.raw()
    if not await connection.fetchval(_LOCK, user_id):
        raise Unauthenticated("The account no longer exists")
    return connection


async def _add(unit: UnitOfWork, user_id: UserId, blocked_id: UserId) -> Published[BlockRead]:
    connection = await unit.raw()
    version = await connection.fetchval(_NEXT_VERSION, user_id)
    made = Block(user_id=user_id, blocked_id=blocked_id, blocked_at=unit.now)
    unit.add(made)
    read = BlockRead.from_block(made)
    at = await unit.publish_event(
        account_stream(user_id), "user_blocked", read, control=_recheck(user_id, blocked_id)
    )
    unit.emit(facts.UserBlocked(user_id=user_id, blocked_id=blocked_id, version=version))
    return Published(read, at)


def _recheck(user_id: UserId, blocked_id: UserId) -> Control:
    """Return what has gateways ask again whom these two may see; no client is sent it."""
    return Control(recheck=[str(user_id), str(blocked_id)])
