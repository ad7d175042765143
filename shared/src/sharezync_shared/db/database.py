"""The connection of one service to its own schema.

Two ways to the same rows: an SQLAlchemy engine for everything that is not hot, and a plain asyncpg
pool for the statements that are (measured: eight to twenty times the ORM; see performance.md).
"""

import asyncio
import math
import re
import time
from collections.abc import Callable, Coroutine
from typing import Any, Final
from urllib.parse import unquote, urlsplit

import asyncpg
import msgspec
from prometheus_client import CollectorRegistry
from sqlalchemy import MetaData, event
from sqlalchemy.engine.interfaces import AdaptedConnection
from sqlalchemy.exc import DisconnectionError, InvalidatePoolError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import AsyncAdaptedQueuePool, ConnectionPoolEntry, PoolProxiedConnection

from sharezync_shared.db.outages import Outages
from sharezync_shared.db.pool_metrics import PoolMetrics
from sharezync_shared.health import DependencyDown
from sharezync_shared.metrics import Observations

_NAMING: Final = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}

_STATEMENT_SECONDS: Final = 10.0
"""No statement of a request takes so long by itself: one that does holds a connection, and perhaps
rows, that all others need."""
_LOCK_TIMEOUT: Final = "5s"
"""Who waits for a row so long waits behind something that hangs; half of what a statement may
take, so that it is told apart in the log, and gives its connection back."""
_IDLE_IN_TRANSACTION_TIMEOUT: Final = "15s"
_CONNECT_SECONDS: Final = 5.0
_CLOSE_SECONDS: Final = 1.0
_POOL_SECONDS: Final = 5.0
"""How long a unit of work waits for a connection that others have."""
_ANSWER_SECONDS: Final = 15.0
"""Longer than the server gives a statement: who hears nothing for so long has lost the server. Half
of what a gateway waits for us: the client is told by us, and hears what it may do."""
_RESTED_SECONDS: Final = 30.0
"""A connection that nobody has used for so long is tried before somebody does."""


def metadata_for(schema: str) -> MetaData:
    """Return the `MetaData` of one service: its schema, and constraint names Alembic can rely on.

    Five services share a process when embedded; one `MetaData` for all of them would clash.
    """
    return MetaData(schema=schema, naming_convention=_NAMING)


def plain_dsn(url: str) -> str:
    """Return `url` as libpq and asyncpg read it, whichever spelling it came in."""
    return re.sub(r"^postgres(ql)?(\+\w+)?://", "postgresql://", url)


def user_of(url: str) -> str | None:
    """Return the name that a database URL logs in with; None where it names none."""
    user = urlsplit(plain_dsn(url)).username
    return unquote(user) if user else None


class Database:
    """An engine and a pool on one schema, opened on first use and closed together.

    `role`, where given, is taken after login, so that services which share a login still can't
    read each other's tables. A statement may take `statement_seconds`. `hurried` is for requests:
    statements, locks and answers have bounds; a migration has its own. `on_connect` is awaited with
    each new connection before anybody has it; what it raises is as if there were none.
    """

    def __init__(
        self,
        url: str,
        schema: str,
        *,
        role: str | None = None,
        pool_size: int = 10,
        statement_seconds: float = _STATEMENT_SECONDS,
        hurried: bool = True,
        on_connect: Callable[[Any], Coroutine[Any, Any, None]] | None = None,
    ) -> None:
        self.schema = schema
        self.outages = Outages(schema)
        self._hurried = hurried
        self._on_connect = on_connect
        self._dsn = plain_dsn(url)
        self._role = role
        self._pool_size = pool_size
        self._statement_seconds = statement_seconds
        self._pool: _BoundedPool | None = None
        self._opening = asyncio.Lock()
        self._probe: asyncpg.Connection[asyncpg.Record] | None = None
        self.engine: AsyncEngine = create_async_engine(
            "postgresql+asyncpg://",
            async_creator=self.connect,
            poolclass=_MeasuredPool,
            pool_size=pool_size,
            max_overflow=pool_size // 2,
            pool_timeout=_POOL_SECONDS,
            pool_recycle=1800,
            # What people write and who they are must not stand in logs and tracebacks.
            hide_parameters=True,
            json_serializer=lambda value: msgspec.json.encode(value).decode(),
            json_deserializer=msgspec.json.decode,
        )
        _look_before_use(self.engine)
        self._waits: Observations | None = None

    def measure(self, registry: CollectorRegistry, *, units: str, statements: str) -> None:
        """Show in `registry` how full both pools are, by these names, and who waits for them."""
        metrics = PoolMetrics(registry, self.schema)
        engine_pool = self.engine.sync_engine.pool
        assert isinstance(engine_pool, _MeasuredPool)  # noqa: S101 - it was made with it
        engine_pool.waits = metrics.watch(
            units,
            most=self._pool_size + self._pool_size // 2,
            used=engine_pool.checkedout,
            idle=engine_pool.checkedin,
        )
        self._waits = metrics.watch(
            statements,
            most=self._pool_size,
            used=lambda: self._pool.get_size() - self._pool.get_idle_size() if self._pool else 0,
            idle=lambda: self._pool.get_idle_size() if self._pool else 0,
        )

    async def connect(self) -> Any:  # noqa: ANN401 - asyncpg's own connection class is generic
        """Open one asyncpg connection, outside of any pool."""
        connection = await asyncpg.connect(self._dsn, **self._options())
        if self._on_connect is not None:
            try:
                await self._on_connect(connection)
            except BaseException:
                connection.terminate()
                raise
        return connection

    def _options(self) -> dict[str, Any]:
        settings = {
            "application_name": f"sharezync-{self.schema}",
            "search_path": self.schema,
            "jit": "off",  # our statements are short: compiling them costs more than it gives
        }
        if self._hurried:
            settings["statement_timeout"] = f"{math.ceil(self._statement_seconds * 1000)}ms"
            settings["lock_timeout"] = _LOCK_TIMEOUT
            settings["idle_in_transaction_session_timeout"] = _IDLE_IN_TRANSACTION_TIMEOUT
        if self._role:
            settings["role"] = self._role
        return {
            "server_settings": settings,
            "timeout": _CONNECT_SECONDS,
            "command_timeout": _ANSWER_SECONDS if self._hurried else None,
        }

    async def pool(self) -> "asyncpg.Pool[asyncpg.Record]":
        """Return the asyncpg pool for hot statements; opened on the first call."""
        if self._pool is None:
            async with self._opening:
                if self._pool is None:
                    self._pool = await _BoundedPool(
                        self._dsn,
                        init_size=1,
                        min_size=1,
                        max_size=self._pool_size,
                        max_queries=50_000,
                        max_inactive_connection_lifetime=300.0,
                        setup=None,
                        init=self._on_connect,
                        reset=_nothing_to_reset,
                        loop=None,
                        connection_class=asyncpg.Connection,
                        record_class=asyncpg.Record,
                        **self._options(),
                    )
                    self._pool.waits = self._waits
        return self._pool

    async def answers(self) -> bool:
        """Whether the database answers, and takes writes; may raise what the driver raises.

        Asked on a connection of its own: probes must not wait behind requests. Not safe for several
        tasks.
        """
        if self._probe is None or self._probe.is_closed():
            self._probe = await self.connect()
        try:
            is_standby = await self._probe.fetchval("SELECT pg_is_in_recovery()")
        except BaseException:  # a cancelled question too may leave a connection that is dead
            self._probe.terminate()
            raise
        if is_standby:
            raise DependencyDown("the database is a standby, and read-only")
        return True

    async def aclose(self) -> None:
        """Close every connection. Safe to call twice."""
        if self._probe is not None:
            await self._probe.close(timeout=_CLOSE_SECONDS)
        if self._pool is not None:
            pool, self._pool = self._pool, None
            await pool.close()
        await self.engine.dispose()


class _MeasuredPool(AsyncAdaptedQueuePool):
    """SQLAlchemy's pool, which notes how long everybody waits for a connection."""

    waits: Observations | None = None

    def connect(self) -> PoolProxiedConnection:
        """As in SQLAlchemy."""
        began = time.perf_counter()
        try:
            return super().connect()
        finally:
            if self.waits is not None:
                self.waits.observe(time.perf_counter() - began)


class _BoundedPool(asyncpg.Pool):
    """A pool in which nobody waits for ever for a connection that others have."""

    waits: Observations | None = None

    def acquire(self, *, timeout: float | None = None) -> Any:  # noqa: ANN401 - as in asyncpg
        """As in asyncpg; None is `_POOL_SECONDS`. Raises TimeoutError then."""
        return super().acquire(timeout=_POOL_SECONDS if timeout is None else timeout)

    async def _acquire(self, timeout: float | None) -> Any:  # noqa: ANN401 - as in asyncpg
        """Note how long it took; all ways to a connection lead through here."""
        began = time.perf_counter()
        try:
            return await super()._acquire(timeout)  # type: ignore[misc]  # no public way is one
        finally:
            if self.waits is not None:
                self.waits.observe(time.perf_counter() - began)


def _look_before_use(engine: AsyncEngine) -> None:
    """Have the pool give out only connections that stand, as `pool_pre_ping` does.

    That one asks the server each time: three trips more for every unit of work. A server that has
    gone closes its connections, of which the driver knows at once. What only a network between can
    do, to drop one without a word, it does to those that rest.
    """
    pool = engine.sync_engine.pool

    @event.listens_for(pool, "invalidate")
    def drop(connection: AdaptedConnection, _: object, __: object) -> None:
        # Else it is closed with a farewell, which a server that hangs is waited for to hear.
        connection.driver_connection.terminate()

    @event.listens_for(pool, "checkin")
    def rests(_: object, record: ConnectionPoolEntry) -> None:
        record.info["rests_since"] = time.monotonic()

    @event.listens_for(pool, "checkout")
    def look(connection: AdaptedConnection, record: ConnectionPoolEntry, _: object) -> None:
        if connection.driver_connection.is_closed():
            raise DisconnectionError
        if time.monotonic() - record.info.get("rests_since", math.inf) > _RESTED_SECONDS:
            try:
                engine.dialect.do_ping(connection)  # type: ignore[arg-type]  # it is what pools hold
            except engine.dialect.loaded_dbapi.Error as error:
                raise InvalidatePoolError from error


async def _nothing_to_reset(_: object) -> None:
    """Leave a connection as it comes back: we never change its session, and resetting it would
    cost each use of the pool one more round trip. An open transaction is rolled back all the same.
    """
