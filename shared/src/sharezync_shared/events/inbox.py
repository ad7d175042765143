"""The inbox: which events a consumer has taken, so that repeated deliveries change nothing."""

from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from sqlalchemy import Column, DateTime, Index, MetaData, Table, Text, Uuid

from sharezync_shared.streams.log import Connection

KEEP: Final = timedelta(days=7)
"""Longer than an event can climb the retry ladder or lie in an outbox unnoticed. A dead letter that
is replayed later than this finds its effect guarded by the consumer's own rules only."""


def inbox_table(metadata: MetaData) -> Table:
    """Add the table `inbox` to a service's `MetaData`."""
    table = Table(
        "inbox",
        metadata,
        Column("consumer", Text, primary_key=True),
        Column("event_id", Uuid, primary_key=True),
        Column("at", DateTime(timezone=True), nullable=False),
    )
    # Rows come in the order of time: a few pages of summary instead of an entry each.
    Index("ix_inbox_at", table.c.at, postgresql_using="brin")
    return table


async def claim(connection: Connection, schema: str, consumer: str, event_id: UUID) -> bool:
    """Take an event for `consumer`; False where it was taken before.

    To be called in the transaction of the effect: both happen or neither. While another
    transaction is busy with the same event, this one waits for its outcome.
    """
    return bool(
        await connection.fetchval(
            f'INSERT INTO "{schema}".inbox (consumer, event_id, at) '  # noqa: S608 - a name of ours
            "VALUES ($1, $2, now()) ON CONFLICT DO NOTHING RETURNING true",
            consumer,
            event_id,
        )
    )


async def prune(connection: Connection, schema: str, now: datetime, *, batch: int = 5000) -> int:
    """Forget one batch of events taken more than 7 days ago; return how many went.

    Call it until it returns less than `batch`, each call in its own transaction: small deletes
    keep locks short and let autovacuum follow.
    """
    status: str = await connection.execute(
        f'DELETE FROM "{schema}".inbox WHERE ctid = ANY(ARRAY('  # noqa: S608 - a name of ours
        f'SELECT ctid FROM "{schema}".inbox WHERE at < $1 LIMIT $2))',
        now - KEEP,
        batch,
    )
    return int(status.rpartition(" ")[2])
