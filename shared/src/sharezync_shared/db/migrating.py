"""The part of migrating that needs Alembic. `migrations.py` is the way in."""

import asyncio
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import structlog
from alembic import command, context
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, MetaData, text
from sqlalchemy.ext.asyncio import AsyncConnection

from sharezync_shared.db.database import Database, user_of
from sharezync_shared.db.migrations import SchemaTooOld
from sharezync_shared.db.starting import database_explained
from sharezync_shared.settings import Settings, read_settings
from sharezync_shared.start_refused import explained

log = structlog.get_logger()

_LOCK = text("SELECT pg_advisory_lock(hashtext('sharezync-migrate-' || :schema))")
_TRY_LOCK = text("SELECT pg_try_advisory_lock(hashtext('sharezync-migrate-' || :schema))")
_UNLOCK = text("SELECT pg_advisory_unlock(hashtext('sharezync-migrate-' || :schema))")


_ASK_AGAIN_SECONDS = 0.1
_TIMEOUTS = ("SET lock_timeout = '3s'", "SET statement_timeout = 0")
"""A statement that waits for a table has everybody wait who comes after it: soon it gives up, and
`migrate` is run again. Once it has what it needs it may take its time."""


def config_for(package: str) -> Config:
    """Return Alembic's configuration for the migrations in `package` (a name, or a path)."""
    # Its default is what stood for standard output when alembic was loaded.
    config = Config(stdout=sys.stdout)
    location = package if os.sep in package else package.replace(".", ":", 1)
    config.set_main_option("script_location", location)
    config.set_main_option("path_separator", "os")
    return config


@dataclass(frozen=True)
class Roles:
    """Who owns a schema, and who works in it; see `Migrations`."""

    owner: str | None
    """Taken after logging in; None: the login is the owner."""
    service: str | None
    """Granted the rows of every table; None: the owner does the work too."""

    @classmethod
    def for_service(cls, role: str | None, service: str | None) -> "Roles":
        """Return the two roles of a shared login that becomes `role`, or of logins of their own."""
        return cls(f"{role}_owner", role) if role else cls(None, service)


async def upgrade(package: str, schema: str, url: str, roles: Roles, revision: str) -> None:
    """See `Migrations.upgrade`."""

    def act(config: Config) -> None:
        connection = config.attributes["connection"]
        newer = _newer_revisions(connection, schema, ScriptDirectory.from_config(config))
        if newer:
            log.warning("schema_is_newer_than_this_version", schema=schema, at=sorted(newer))
        else:
            command.upgrade(config, revision)
            _grant(connection, schema, roles.service)

    await run(package, schema, url, roles, act)


def _newer_revisions(connection: Connection, schema: str, scripts: ScriptDirectory) -> set[str]:
    """Return the revisions that the schema has and these scripts don't know, in a transaction.

    Ids of revisions are numbers of four digits that only grow, also where a first revision takes
    the place of older ones. Raises SchemaTooOld where the schema is at one of those.
    """
    at = MigrationContext.configure(connection, opts={"version_table_schema": schema})
    unknown = set(at.get_current_heads()) - {each.revision for each in scripts.walk_revisions()}
    connection.commit()  # else Alembic would take our reading for a transaction of its own
    (first,) = scripts.get_bases()
    for revision in unknown:
        if revision < first:
            raise SchemaTooOld(schema, revision, first)
    return unknown


async def downgrade(package: str, schema: str, url: str, roles: Roles, revision: str) -> None:
    """See `Migrations.downgrade`."""
    await run(package, schema, url, roles, lambda config: command.downgrade(config, revision))


async def check(package: str, schema: str, url: str, roles: Roles) -> None:
    """See `Migrations.check`."""
    await run(package, schema, url, roles, command.check)


async def run(
    package: str, schema: str, url: str, roles: Roles, act: Callable[[Config], object]
) -> None:
    """Run one of Alembic's commands, alone in this schema."""
    await _create_schema(url, schema, roles)
    database = _for_migrating(url, roles.owner)
    config = config_for(package)

    def migrate(connection: Connection) -> None:
        config.attributes["connection"] = connection
        try:
            act(config)
            connection.commit()
        finally:
            connection.rollback()
            connection.execute(_UNLOCK, {"schema": schema})
            connection.commit()

    try:
        async with database.engine.connect() as connection:
            await _take_turn(connection, schema)
            await connection.run_sync(migrate)
    finally:
        await database.aclose()


async def _take_turn(connection: AsyncConnection, schema: str) -> None:
    """Wait until nobody else migrates this schema, and keep all others from it.

    By asking, again and again: who waited within a statement would be waited for by CREATE INDEX
    CONCURRENTLY, for which it waits.
    """
    while not await connection.scalar(_TRY_LOCK, {"schema": schema}):
        await connection.commit()
        await asyncio.sleep(_ASK_AGAIN_SECONDS)
    await connection.commit()


def _for_migrating(url: str, role: str | None) -> Database:
    # Not with our schema on the search path: Alembic takes the first schema there for one without
    # a name, and would compare nothing with everything.
    return Database(url, "public", role=role, pool_size=1, hurried=False)


async def _create_schema(url: str, schema: str, roles: Roles) -> None:
    """Create what the migrations can't: the roles and the schema that they run in."""
    database = Database(url, "public", pool_size=1, hurried=False)
    owner, service = roles.owner, roles.service
    try:
        async with database.engine.begin() as connection:
            await connection.execute(_LOCK, {"schema": "roles"})
            owned_by = await connection.scalar(
                text("SELECT nspowner::regrole::text FROM pg_namespace WHERE nspname = :schema"),
                {"schema": schema},
            )
            for role in filter(None, (owner, service) if owner else ()):
                # Roles belong to the cluster: another database's migration may make it first.
                await connection.execute(
                    text(
                        f'DO $$ BEGIN CREATE ROLE "{role}" NOLOGIN; '
                        "EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END $$"
                    )
                )
                await connection.execute(text(f'GRANT "{role}" TO CURRENT_USER'))
            if owned_by is None:
                authorization = f' AUTHORIZATION "{owner}"' if owner else ""
                await connection.execute(
                    text(f'CREATE SCHEMA IF NOT EXISTS "{schema}"{authorization}')
                )
            elif owner and owned_by == service:
                # An installation from before there were two roles.
                await connection.execute(text(f'REASSIGN OWNED BY "{service}" TO "{owner}"'))
            await connection.execute(_UNLOCK, {"schema": "roles"})
    finally:
        await database.aclose()


def _grant(connection: Connection, schema: str, service: str | None) -> None:
    """Let the service read and write rows; whatever defines them stays its owner's."""
    if service in {None, connection.scalar(text("SELECT current_user"))}:
        return
    for statement in (
        f'GRANT USAGE ON SCHEMA "{schema}" TO "{service}"',
        f'GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA "{schema}" TO "{service}"',
        f'GRANT USAGE, SELECT ON ALL SEQUENCES IN SCHEMA "{schema}" TO "{service}"',
        f'REVOKE INSERT, UPDATE, DELETE ON "{schema}".alembic_version FROM "{service}"',
    ):
        connection.execute(text(statement))
    connection.commit()


def run_env(metadata: MetaData) -> None:
    """Run inside a service's `env.py`: migrate with the connection at hand, or open one.

    The `alembic` command brings no connection. With `--sql` it needs none: what would be run is
    printed. Else it is taken from MIGRATE_DATABASE_URL or DATABASE_URL, by the settings that every
    service reads, with their checks. Ends the process, in one sentence: with 2, for what is
    refused there, a schema that is too old, and where the database is away.
    """
    connection = context.config.attributes.get("connection")
    if connection is not None or context.is_offline_mode():
        _migrate_with(connection, metadata)
        return
    with explained(), database_explained():
        _migrate_by_settings(metadata)


def _migrate_by_settings(metadata: MetaData) -> None:
    settings = read_settings(Settings)
    url = settings.require_database_url()
    roles = Roles.for_service(settings.database_role, None)
    if settings.migrate_database_url:
        roles = Roles.for_service(None, settings.database_role or user_of(url))
        url = settings.migrate_database_url
    asyncio.run(_migrate_at(url, metadata, roles))


async def _migrate_at(url: str, metadata: MetaData, roles: Roles) -> None:
    schema = metadata.schema or "public"
    await _create_schema(url, schema, roles)
    database = _for_migrating(url, roles.owner)
    try:
        async with database.engine.connect() as connection:
            await connection.run_sync(_newer_revisions, schema, context.script)
            await connection.run_sync(_migrate_with, metadata)
            await connection.commit()
            await connection.run_sync(_grant, schema, roles.service)
    finally:
        await database.aclose()


def _migrate_with(connection: Connection | None, metadata: MetaData) -> None:
    def only_ours(
        name: str | None,
        kind: Literal[
            "schema",
            "table",
            "column",
            "index",
            "unique_constraint",
            "foreign_key_constraint",
            "check_constraint",
        ],
        _parents: object,
    ) -> bool:
        # Without this one service's autogenerate would propose to drop all others' tables.
        return name == metadata.schema if kind == "schema" else True

    context.configure(
        connection=connection,
        dialect_name=None if connection else "postgresql",
        literal_binds=connection is None,
        target_metadata=metadata,
        version_table_schema=metadata.schema,
        include_schemas=True,
        include_name=only_ours,
        compare_type=True,
        compare_server_default=True,
        transaction_per_migration=True,
    )
    for statement in _TIMEOUTS:
        context.execute(statement)
    if connection is not None:
        connection.commit()  # as after every reading: see `_newer_revisions`
    with context.begin_transaction():
        context.run_migrations()
