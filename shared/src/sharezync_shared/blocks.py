"""Whom people have blocked, as services other than auth know it.

auth owns the list. A service keeps a copy in a table of its own: facts bring the changes, at least
once and in any order, and what had been said before the service listened is fetched once from auth.
"""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Collection
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Final
from uuid import UUID

import structlog
from sqlalchemy import BigInteger, Boolean, Column, DateTime, Index, MetaData, Table, Text, Uuid
from sqlalchemy import text as sql

from sharezync_shared.contracts.auth import AuthClient, ContactRules
from sharezync_shared.db.work import UnitOfWork, UnitsOfWork
from sharezync_shared.streams.log import Connection

log = structlog.get_logger()

_KEEP_TAKEN_BACK: Final = timedelta(days=30)
"""A block that was taken back, for a fact about it that comes late; dead letters are replayed
within days."""
_BACKFILL: Final = "contact-rules"
_AGAIN_SECONDS: Final = (0.5, 1.0, 2.0, 5.0, 10.0, 30.0)
"""Pauses before auth is asked again; the last one repeats."""


def blocks_tables(metadata: MetaData) -> None:
    """Add `blocks`, and `backfills`, which says that the first fetch is done.

    `blocked_at` is when the row was last changed. A row that isn't `active` is a block that was
    taken back: its `version` tells a fact that comes late that it is late.
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
    Index("ix_blocks_blocked_id", blocks.c.blocked_id)  # who is gone is forgotten
    Table(
        "backfills",
        metadata,
        Column("name", Text, primary_key=True),
        Column("done_at", DateTime(timezone=True), nullable=False),
    )


class Blocks:
    """The copy in one schema, beside its `users`, whose rows say `deleted` of who is gone. Every
    statement may be repeated.
    """

    def __init__(self, schema: str) -> None:
        self._schema = schema

    async def apply_block(
        self, unit: UnitOfWork, user_id: UUID, blocked_id: UUID, *, version: int, active: bool
    ) -> None:
        """Take over that a block came or was taken back; older news than what is known is passed
        over, and news of who is gone.
        """
        connection = await unit.raw()
        # Held, so that they are not erased meanwhile: `forget` comes after that, or before this.
        if await connection.fetchval(
            f"SELECT bool_or(u.deleted) FROM (SELECT deleted FROM {self._schema}.users "  # noqa: S608 - a name of ours
            "WHERE id = ANY($1::uuid[]) ORDER BY id FOR SHARE) AS u",
            [user_id, blocked_id],
        ):
            return
        await connection.execute(
            f"INSERT INTO {self._schema}.blocks AS b "  # noqa: S608 - a name of ours
            "(user_id, blocked_id, blocked_at, active, version) VALUES ($1, $2, $3, $4, $5) "
            "ON CONFLICT (user_id, blocked_id) DO UPDATE "
            "SET blocked_at = $3, active = $4, version = $5 WHERE b.version < $5",
            user_id,
            blocked_id,
            unit.now,
            active,
            version,
        )
        await connection.execute(
            f"DELETE FROM {self._schema}.blocks "  # noqa: S608 - as above
            "WHERE user_id = $1 AND NOT active AND blocked_at < $2",
            user_id,
            unit.now - _KEEP_TAKEN_BACK,
        )

    async def learn_list(self, unit: UnitOfWork, rules: ContactRules) -> None:
        """Take over somebody's whole list as it was at its version, but for what is known since,
        and for who is gone since.
        """
        connection = await unit.raw()
        await connection.execute(
            f"INSERT INTO {self._schema}.blocks AS b "  # noqa: S608 - as above
            "(user_id, blocked_id, blocked_at, active, version) "
            "SELECT $1, o.id, $3, true, $4 FROM unnest($2::uuid[]) AS o(id) "
            f"WHERE NOT EXISTS (SELECT FROM {self._schema}.users AS u "
            "WHERE u.id IN ($1, o.id) AND u.deleted) ORDER BY o.id "
            "ON CONFLICT (user_id, blocked_id) DO UPDATE "
            "SET blocked_at = $3, active = true, version = $4 WHERE b.version < $4",
            rules.user_id,
            rules.blocked_ids,
            unit.now,
            rules.version,
        )
        await connection.execute(
            f"UPDATE {self._schema}.blocks SET active = false, version = $3 "  # noqa: S608 - as above
            # Version 0 is what this service kept before auth did, and auth is still to hear of.
            "WHERE user_id = $1 AND blocked_id <> ALL($2::uuid[]) AND version BETWEEN 1 AND $3 - 1",
            rules.user_id,
            rules.blocked_ids,
            rules.version,
        )

    async def delete_user(self, unit: UnitOfWork, user_id: UUID) -> None:
        """Drop all blocks by and of somebody who is gone. Call it once their row says so."""
        await (await unit.raw()).execute(
            f"DELETE FROM {self._schema}.blocks WHERE user_id = $1 OR blocked_id = $1",  # noqa: S608 - as above
            user_id,
        )

    async def blockers(
        self, connection: Connection, user_id: UUID, others: Collection[UUID]
    ) -> set[UUID]:
        """Return those of the others who have blocked somebody."""
        rows = await connection.fetch(
            f"SELECT user_id FROM {self._schema}.blocks "  # noqa: S608 - as above
            "WHERE blocked_id = $1 AND user_id = ANY($2) AND active",
            user_id,
            list(others),
        )
        return {row["user_id"] for row in rows}

    async def blocked(
        self, connection: Connection, user_id: UUID, others: Collection[UUID]
    ) -> set[UUID]:
        """Return those of the others whom somebody has blocked."""
        rows = await connection.fetch(
            f"SELECT blocked_id FROM {self._schema}.blocks "  # noqa: S608 - as above
            "WHERE user_id = $1 AND blocked_id = ANY($2) AND active",
            user_id,
            list(others),
        )
        return {row["blocked_id"] for row in rows}

    @asynccontextmanager
    async def filling(
        self,
        work: UnitsOfWork,
        auth: AuthClient,
        take: Callable[[UnitOfWork, ContactRules], Awaitable[None]],
    ) -> AsyncGenerator[None]:
        """Fetch in the background, inside the block, what was said before this service listened.

        Once for the life of the database: facts bring the rest. `take` is called for each user, in
        a unit in which their list was learnt; `unit.caused_at` is when auth was asked.
        """
        task = asyncio.create_task(self._fill(work, auth, take), name=f"{self._schema}-backfill")
        try:
            yield
        finally:
            task.cancel()
            await asyncio.wait([task])

    async def _fill(
        self,
        work: UnitsOfWork,
        auth: AuthClient,
        take: Callable[[UnitOfWork, ContactRules], Awaitable[None]],
    ) -> None:
        attempt = 0
        while True:
            try:
                await self._fill_once(work, auth, take)
            except Exception as error:  # noqa: BLE001 - the rim: whatever failed is tried again
                log.warning("backfill_failed", attempt=attempt, error=repr(error))
            else:
                return
            await asyncio.sleep(_AGAIN_SECONDS[min(attempt, len(_AGAIN_SECONDS) - 1)])
            attempt += 1

    async def _fill_once(
        self,
        work: UnitsOfWork,
        auth: AuthClient,
        take: Callable[[UnitOfWork, ContactRules], Awaitable[None]],
    ) -> None:
        async with (await work.database.pool()).acquire() as connection:
            done = await connection.fetchval(
                f"SELECT true FROM {self._schema}.backfills WHERE name = $1",  # noqa: S608 - as above
                _BACKFILL,
            )
        after: UUID | None = None
        while not done:
            asked_at = work.now()
            page = await auth.contact_rules(after)
            for rules in page.items:
                async with work.begin() as unit:
                    unit.caused_at = asked_at
                    await self.learn_list(unit, rules)
                    await take(unit, rules)
            after, done = page.next, page.next is None
        async with (await work.database.pool()).acquire() as connection:
            await connection.execute(
                f"INSERT INTO {self._schema}.backfills (name, done_at) VALUES ($1, $2) "  # noqa: S608 - as above
                "ON CONFLICT DO NOTHING",
                _BACKFILL,
                work.now(),
            )
