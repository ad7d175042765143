"""The epoch of a service's streams, and the database that it holds for.

A cursor is `(epoch, seq)`. After a restore, or a failover that lost commits, the database gives out
the same `seq` once more for other events, and a client that saw the first ones would skip or mix
them. So the epoch stands in its row beside marks of the database that it was chosen in. Whoever
opens a connection compares them, before the connection is used, and renews the epoch where they
differ:

- `cluster`: the system identifier of the server, its timeline, and the ids of the database and of
  the table. Another one after a dump was restored, a point in time recovered, a standby promoted.
- `started_at` and `seen_at`: when the server was started, and when a service was last seen on it. A
  server that was started anew, on data that were last seen over a minute ago, may be a volume that
  was put back: nothing else tells it from the one that it is a copy of.

Where the server doesn't say its identifier or its timeline (some that are managed by others), its
start is taken for them: then each restart of the server renews the epochs.
"""

import secrets
from typing import Any, Final

import asyncpg
import structlog
from sqlalchemy import Boolean, Column, DateTime, MetaData, Table, Text

from sharezync_shared.db.database import Database

log = structlog.get_logger()

HEARTBEAT_SECONDS: Final = 10.0
"""How often each process of a service refreshes `seen_at`."""

_Connection = asyncpg.Connection | asyncpg.pool.PoolConnectionProxy

_SERVER: Final = (
    "(SELECT system_identifier FROM pg_control_system()) || ' ' || "
    "left(pg_walfile_name(pg_current_wal_insert_lsn()), 8)"
)
_START: Final = "'started ' || extract(epoch FROM pg_postmaster_start_time())"
_UNTOLD: Final = (
    asyncpg.InsufficientPrivilegeError,
    asyncpg.UndefinedFunctionError,
    asyncpg.FeatureNotSupportedError,
    asyncpg.ObjectNotInPrerequisiteStateError,
)
"""What a server answers that keeps its identifier or its timeline to itself; or one that is a
standby."""

# {c}: what the row has for `cluster` where the epoch holds for this database.
_PRESENT: Final = (
    "SELECT epoch FROM {s}.stream_epoch "
    "WHERE cluster = {c} AND started_at = pg_postmaster_start_time()"
)
# One statement, under the lock of the row: of several processes that find the marks changed, one
# renews the epoch and the others find that it holds. A row without marks is of before them.
_COMPARE: Final = (
    "INSERT INTO {s}.stream_epoch AS e (single, epoch, cluster, started_at, seen_at) "
    "VALUES (true, $1, {c}, pg_postmaster_start_time(), now()) "
    "ON CONFLICT (single) DO UPDATE SET epoch = CASE WHEN NOT $2 AND (e.cluster IS NULL "
    "OR e.cluster = excluded.cluster AND (e.started_at = excluded.started_at "
    "OR e.seen_at > now() - interval '1 minute')) THEN e.epoch ELSE excluded.epoch END, "
    "cluster = excluded.cluster, started_at = excluded.started_at, seen_at = now() "
    "RETURNING epoch"
)
_REST: Final = "UPDATE {s}.stream_epoch SET seen_at = 'infinity'"
_OTHERS: Final = (
    "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() "
    "AND application_name = $1 AND pid <> pg_backend_pid()"
)


class EpochInUse(Exception):
    """Processes of the service are connected: they would go on in the epoch that they know."""


def epoch_table(metadata: MetaData) -> None:
    """Add the table of the epoch to a service's `MetaData`."""
    Table(
        "stream_epoch",
        metadata,
        # One row, ever: whoever writes it writes true.
        Column("single", Boolean, primary_key=True),
        Column("epoch", Text, nullable=False),
        Column("cluster", Text, nullable=True),
        Column("started_at", DateTime(timezone=True), nullable=True),
        Column("seen_at", DateTime(timezone=True), nullable=True),
    )


class StreamEpoch:
    """The epoch of one schema's streams, as this process knows it."""

    def __init__(self, schema: str) -> None:
        self._schema = schema
        self._server = _SERVER
        self._present: str | None = None

    @property
    def present(self) -> str:
        """The epoch, as the last connection found it. Raises RuntimeError before the first."""
        if self._present is None:
            raise RuntimeError("The stream log was not opened")
        return self._present

    async def check(self, connection: _Connection) -> None:
        """Learn the epoch from a new connection; renew it where it is of another database.

        To be called before anything else is done with the connection. On a standby that has not
        been promoted it raises what `is_outage` takes for an outage.
        """
        if (epoch := await self._ask(connection, _PRESENT)) is None:
            await self.refresh(connection)
        else:
            self._learn(epoch)

    async def refresh(self, connection: _Connection) -> None:
        """Do the same, and note that the database was seen.

        Not inside of a transaction: a rollback would take back what others have seen.
        """
        self._learn(await self._ask(connection, _COMPARE, secrets.token_hex(4), False))

    async def renew(self, connection: _Connection) -> None:
        """Choose another epoch, whatever the marks say. Whoever is connected must be told."""
        self._learn(await self._ask(connection, _COMPARE, secrets.token_hex(4), True))

    async def rest(self, connection: _Connection) -> None:
        """Note that the server is about to stop, for however long: the data stay where they are."""
        await connection.execute(_REST.format(s=f'"{self._schema}"'))

    async def _ask(self, connection: _Connection, statement: str, *arguments: object) -> Any:  # noqa: ANN401 - as asyncpg
        try:
            return await connection.fetchval(self._sql(statement), *arguments)
        except _UNTOLD as error:
            if await connection.fetchval("SELECT pg_is_in_recovery()"):
                raise ConnectionError("The database is a standby that was not promoted") from error
            if self._server == _START:
                raise
            log.warning("database_identity_untold", schema=self._schema, error=str(error))
            self._server = _START
            return await connection.fetchval(self._sql(statement), *arguments)

    def _sql(self, statement: str) -> str:
        database = "(SELECT oid FROM pg_database WHERE datname = current_database())"
        table = f"'\"{self._schema}\".stream_epoch'::regclass::oid"
        marks = f"{self._server} || ' ' || {database} || ' ' || {table}"
        return statement.format(s=f'"{self._schema}"', c=marks)

    def _learn(self, epoch: str) -> None:
        if self._present not in {None, epoch}:
            log.warning("epoch_renewed", schema=self._schema, before=self._present, now=epoch)
        self._present = epoch


async def renew_epoch(database: Database) -> None:
    """Choose another epoch for the streams of a service that is not running; close `database`.

    Raises EpochInUse, and what the database raises.
    """
    try:
        connection = await database.connect()
        try:
            if await connection.fetchval(_OTHERS, f"sharezync-{database.schema}"):
                raise EpochInUse(database.schema)
            await StreamEpoch(database.schema).renew(connection)
        finally:
            await connection.close()
    finally:
        await database.aclose()
