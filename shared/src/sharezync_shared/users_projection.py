"""A service's copy of auth's users: their names, whom they have blocked, who may add them.

auth owns all of it. Its events bring the changes, at least once and in any order; what had been
said before the service listened is fetched once, and one of whom nothing is known is asked for.
"""

from collections.abc import Awaitable, Callable, Collection, Sequence
from datetime import datetime, timedelta
from typing import Final, NamedTuple
from uuid import UUID

import asyncpg
from sqlalchemy import BigInteger, Boolean, Column, DateTime, Index, MetaData, Table, Text, Uuid
from sqlalchemy import text as sql

from sharezync_shared.background import NEVER
from sharezync_shared.contracts.auth import AuthClient, ContactRules
from sharezync_shared.events.contracts import (
    Event,
    UserBlocked,
    UserRegistered,
    UserUnblocked,
    UserUpdated,
)
from sharezync_shared.ids import UserId
from sharezync_shared.problems import Problem, ProblemKind, Unauthenticated
from sharezync_shared.streams.log import Connection
from sharezync_shared.text import key_of
from sharezync_shared.work import Consumer, UnitOfWork, UnitsOfWork

DELETED_USERNAME: Final = "deleted"
DELETED_DISPLAY_NAME: Final = "Deleted user"
FILL_AGAIN_SECONDS: Final = 2.0
"""Pause before `fill` is tried again."""
_KEEP_UNBLOCKED: Final = timedelta(days=30)
"""A block that was taken back, for an event about it that comes late; dead letters are replayed
within days."""
_BACKFILL: Final = "contact-rules"

# {schema} stands for a name of ours.
_WRITE: Final = """
    INSERT INTO {schema}.users AS u (id, names_at, deleted, username, display_name{columns})
    VALUES ($1, $2, $3, $4, $5{values}) ON CONFLICT (id) DO UPDATE
    SET names_at = $2, deleted = $3, username = $4, display_name = $5{changes}
    WHERE $3 OR NOT u.deleted AND u.names_at < $2 RETURNING true
"""
_LOCK: Final = "SELECT username, display_name FROM {schema}.users WHERE id = $1 FOR UPDATE"
_FIND: Final = "SELECT id, deleted FROM {schema}.users WHERE id = ANY($1)"
_KEEP: Final = """
    SELECT id, username, display_name FROM {schema}.users
     WHERE id = ANY($1) AND NOT deleted ORDER BY id FOR SHARE
"""
_ANY_DELETED: Final = """
    SELECT bool_or(u.deleted) FROM (
        SELECT deleted FROM {schema}.users WHERE id = ANY($1::uuid[]) ORDER BY id FOR SHARE) AS u
"""
_SET_BLOCK: Final = """
    INSERT INTO {schema}.blocks AS b (user_id, blocked_id, blocked_at, active, version)
    VALUES ($1, $2, $3, $4, $5) ON CONFLICT (user_id, blocked_id) DO UPDATE
    SET blocked_at = $3, active = $4, version = $5 WHERE b.version < $5
"""
_DROP_UNBLOCKED: Final = """
    DELETE FROM {schema}.blocks WHERE user_id = $1 AND NOT active AND blocked_at < $2
"""
_SET_BLOCKS: Final = """
    INSERT INTO {schema}.blocks AS b (user_id, blocked_id, blocked_at, active, version)
    SELECT $1, o.id, $3, true, $4 FROM unnest($2::uuid[]) AS o(id)
     WHERE NOT EXISTS (SELECT FROM {schema}.users AS u WHERE u.id IN ($1, o.id) AND u.deleted)
     ORDER BY o.id
    ON CONFLICT (user_id, blocked_id) DO UPDATE
    SET blocked_at = $3, active = true, version = $4 WHERE b.version < $4
"""
# Version 0 is what a service kept before auth did, and auth has not got yet.
_UNBLOCK_OTHERS: Final = """
    UPDATE {schema}.blocks SET active = false, version = $3
     WHERE user_id = $1 AND blocked_id <> ALL($2::uuid[]) AND version BETWEEN 1 AND $3 - 1
"""
_DROP_BLOCKS: Final = "DELETE FROM {schema}.blocks WHERE user_id = $1 OR blocked_id = $1"
_BLOCKS_WITH: Final = """
    SELECT user_id, blocked_id FROM {schema}.blocks
     WHERE (blocked_id = $1 AND user_id = ANY($2) OR user_id = $1 AND blocked_id = ANY($2))
       AND active
"""
_IS_FILLED: Final = "SELECT true FROM {schema}.backfills WHERE name = $1"
_SET_FILLED: Final = """
    INSERT INTO {schema}.backfills (name, done_at) VALUES ($1, $2) ON CONFLICT DO NOTHING
"""


class UserNotFound(Problem):
    kind, slug, title = ProblemKind.NOT_FOUND, "user-not-found", "The user doesn't exist"


class _Profile(NamedTuple):
    """What auth says of a user. `who_may_add` None: nothing was said of it, and it stays."""

    id: UUID
    username: str
    display_name: str
    who_may_add: str | None = None


def blocks_tables(metadata: MetaData) -> None:
    """Add `blocks`, and `backfills`, which says that the first fetch is done.

    `blocked_at` is when the row was last changed. A row that isn't `active` is a block that was
    taken back: its `version` shows that an event came late.
    """
    blocks = Table(
        "blocks",
        metadata,
        Column("user_id", Uuid, primary_key=True),
        Column("blocked_id", Uuid, primary_key=True),
        Column("blocked_at", DateTime(timezone=True), nullable=False, server_default=sql("now()")),
        Column("active", Boolean, nullable=False, server_default=sql("true")),
        Column("version", BigInteger, nullable=False, server_default=sql("0")),
    )
    Index("ix_blocks_blocked_id", blocks.c.blocked_id)  # for the end of an account
    Table(
        "backfills",
        metadata,
        Column("name", Text, primary_key=True),
        Column("done_at", DateTime(timezone=True), nullable=False),
    )


class UsersProjection:
    """The copy in one schema: its tables `users`, `blocks` and `backfills`.

    `users` has the columns id, username, display_name, names_at (when auth said so) and deleted;
    with `settings` also username_key, by which `@name` finds them, and who_may_add. Of a deleted
    user the row stays, without names, so that an event that comes late can't bring them back.

    `on_renamed` is called in the unit in which the names of a known user have changed. Everything
    here is safe to repeat.
    """

    def __init__(
        self,
        schema: str,
        *,
        settings: bool = False,
        on_renamed: Callable[[UnitOfWork, UserId], Awaitable[None]] | None = None,
    ) -> None:
        self._schema = schema
        self._settings = settings
        self._on_renamed = on_renamed
        self.consumers: dict[type[Event], Consumer] = {
            UserRegistered: self.on_user_changed,
            UserUpdated: self.on_user_changed,
            UserBlocked: self.on_block_changed,
            UserUnblocked: self.on_block_changed,
        }
        """For all events of auth's but UserDeleted: see `erase`."""

    # -------------------------------------------------------------------------------------- names

    async def require(
        self, work: UnitsOfWork, auth: AuthClient, user_ids: Collection[UserId]
    ) -> None:
        """See to it that these users are known; ask auth for those of whom nothing is known.

        Call it before a transaction. Raises UserNotFound for who does not exist or no longer does,
        and Unavailable where auth would have to be asked and does not answer.
        """
        missing = await self._unknown(work, user_ids)
        if not missing:
            return
        asked_at = work.now()
        for user in await auth.names(missing):
            said = _Profile(user.id, user.username, user.display_name, user.who_may_add)
            async with work.begin() as unit:
                await self._learn(unit, said, asked_at)
        if await self._unknown(work, missing):
            raise UserNotFound

    async def require_caller(self, work: UnitsOfWork, auth: AuthClient, user_id: UserId) -> None:
        """As `require`, of whoever shows a token. Raises Unauthenticated, Unavailable."""
        try:
            await self.require(work, auth, [user_id])
        except UserNotFound as error:
            raise Unauthenticated("The account of this token no longer exists") from error

    async def _learn(self, unit: UnitOfWork, said: _Profile, at: datetime) -> None:
        """Take over what auth said of a user at `at`.

        Older news than what is known, and news of a deleted user, change nothing.
        """
        before = await (await unit.raw()).fetchrow(self._in_schema(_LOCK), said.id)
        learnt = await self._write(unit, said, at)
        renamed = before is not None and tuple(before) != (said.username, said.display_name)
        if learnt and renamed and self._on_renamed is not None:
            await self._on_renamed(unit, UserId(said.id))

    async def keep(self, unit: UnitOfWork, user_ids: Collection[UUID]) -> Sequence[asyncpg.Record]:
        """Keep these users from being deleted until the commit, and return their rows by id.

        Raises UserNotFound.
        """
        connection = await unit.raw()
        found: Sequence[asyncpg.Record] = await connection.fetch(
            self._in_schema(_KEEP), list(user_ids)
        )
        if len(found) != len(set(user_ids)):
            raise UserNotFound
        return found

    async def erase(self, unit: UnitOfWork, user_id: UserId, at: datetime) -> None:
        """Forget the names of a user whose account ended at `at`, for ever, and hold their row.

        With them go all blocks by and of them.
        """
        gone = _Profile(user_id, DELETED_USERNAME, DELETED_DISPLAY_NAME, "everybody")
        await self._write(unit, gone, at, deleted=True)
        await (await unit.raw()).execute(self._in_schema(_DROP_BLOCKS), user_id)

    async def _write(
        self, unit: UnitOfWork, said: _Profile, at: datetime, *, deleted: bool = False
    ) -> bool:
        columns = values = changes = ""
        arguments: list[object] = [said.id, at, deleted, said.username, said.display_name]
        if self._settings:
            columns, values = ", username_key, who_may_add", ", $6, coalesce($7, 'everybody')"
            changes = ", username_key = $6, who_may_add = coalesce($7, u.who_may_add)"
            arguments += [key_of(said.username), said.who_may_add]
        statement = _WRITE.format(
            schema=self._schema, columns=columns, values=values, changes=changes
        )
        return bool(await (await unit.raw()).fetchval(statement, *arguments))

    async def _unknown(self, work: UnitsOfWork, user_ids: Collection[UserId]) -> set[UserId]:
        async with (await work.database.pool()).acquire() as connection:
            known = await connection.fetch(self._in_schema(_FIND), list(user_ids))
        if any(user["deleted"] for user in known):
            raise UserNotFound
        return set(user_ids) - {user["id"] for user in known}

    # ------------------------------------------------------------------------------------- blocks

    async def blocks_with(
        self, connection: Connection, user_id: UUID, others: Collection[UUID]
    ) -> tuple[set[UUID], set[UUID]]:
        """Return which of the others have blocked a user, and which the user has blocked."""
        rows = await connection.fetch(self._in_schema(_BLOCKS_WITH), user_id, list(others))
        blocking = {row["user_id"] for row in rows}
        blocked = {row["blocked_id"] for row in rows}
        return blocking - {user_id}, blocked - {user_id}

    # ------------------------------------------------------------------------------------- events

    async def on_user_changed(self, unit: UnitOfWork, event: UserRegistered | UserUpdated) -> None:
        """Take over names, and who may add the user where that is said."""
        who_may_add = event.who_may_add if isinstance(event, UserUpdated) else None
        said = _Profile(event.user_id, event.username, event.display_name, who_may_add)
        await self._learn(unit, said, unit.caused_at)

    async def on_block_changed(self, unit: UnitOfWork, event: UserBlocked | UserUnblocked) -> None:
        """Note a block, or that it was taken back; nothing of accounts that ended."""
        connection = await unit.raw()
        pair = [event.user_id, event.blocked_id]
        # Held, so that they are not erased meanwhile: `erase` comes after that, or before this.
        if await connection.fetchval(self._in_schema(_ANY_DELETED), pair):
            return
        active = isinstance(event, UserBlocked)
        await connection.execute(
            self._in_schema(_SET_BLOCK), *pair, unit.now, active, event.version
        )
        await connection.execute(
            self._in_schema(_DROP_UNBLOCKED), event.user_id, unit.now - _KEEP_UNBLOCKED
        )

    async def fill(self, work: UnitsOfWork, auth: AuthClient) -> timedelta:
        """Fetch what was said before this service listened: once for the life of the database.

        Returns that it need not be called again: events bring the rest.
        """
        done = await is_filled(work, _BACKFILL)
        after: UUID | None = None
        while not done:
            asked_at = work.now()
            page = await auth.contact_rules(after)
            for rules in page.items:
                async with work.begin() as unit:
                    await self._learn_rules(unit, rules, asked_at)
            after, done = page.next, page.next is None
        await note_filled(work, _BACKFILL)
        return NEVER

    async def _learn_rules(self, unit: UnitOfWork, rules: ContactRules, at: datetime) -> None:
        """Take over somebody's whole list of blocks as it was at its version, but for what is known
        since and for accounts that ended since; and their names.
        """
        connection = await unit.raw()
        blocks = (rules.user_id, rules.blocked_ids)
        await connection.execute(self._in_schema(_SET_BLOCKS), *blocks, unit.now, rules.version)
        await connection.execute(self._in_schema(_UNBLOCK_OTHERS), *blocks, rules.version)
        said = _Profile(rules.user_id, rules.username, rules.display_name, rules.who_may_add)
        await self._learn(unit, said, at)

    def _in_schema(self, statement: str) -> str:
        return statement.format(schema=self._schema)


async def is_filled(work: UnitsOfWork, name: str) -> bool:
    """Return whether a backfill is done, which happens once for the life of the database."""
    async with (await work.database.pool()).acquire() as connection:
        statement = _IS_FILLED.format(schema=work.database.schema)
        return bool(await connection.fetchval(statement, name))


async def note_filled(work: UnitsOfWork, name: str) -> None:
    """Note that a backfill is done. Safe to repeat."""
    async with (await work.database.pool()).acquire() as connection:
        statement = _SET_FILLED.format(schema=work.database.schema)
        await connection.execute(statement, name, work.now())
