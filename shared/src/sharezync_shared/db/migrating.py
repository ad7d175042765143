"""The part of migrating that needs Alembic. `migrations.py` is the way in."""

import asyncio
import os
from collections.abc import Callable
from typing import Literal

import structlog
from alembic import command, context
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, MetaData, text

from sharezync_shared.db.database import Database

log = structlog.get_logger()

_LOCK = text("SELECT pg_advisory_lock(hashtext('sharezync-migrate-' || :schema))")
_UNLOCK = text("SELECT pg_advisory_unlock(hashtext('sharezync-migrate-' || :schema))")


def config_for(package: str) -> Config:
    """Return Alembic's configuration for the migrations in `package` (a name, or a path)."""
    config = Config()
    location = package if os.sep in package else package.replace(".", ":", 1)
    config.set_main_option("script_location", location)
    config.set_main_option("path_separator", "os")
    return config


async def upgrade(package: str, schema: str, url: str, role: str | None, revision: str) -> None:
    """See `Migrations.upgrade`."""

    def act(config: Config) -> None:
        connection = config.attributes["connection"]
        at = MigrationContext.configure(connection, opts={"version_table_schema": schema})
        known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
        newer = set(at.get_current_heads()) - known
        connection.commit()  # else Alembic would take our reading for a transaction of its own
        if newer:
            log.warning("schema_is_newer_than_this_version", schema=schema, at=sorted(newer))
        else:
            command.upgrade(config, revision)

    await run(package, schema, url, role, act)


async def downgrade(package: str, schema: str, url: str, role: str | None, revision: str) -> None:
    """See `Migrations.downgrade`."""
    await run(package, schema, url, role, lambda config: command.downgrade(config, revision))


async def check(package: str, schema: str, url: str, role: str | None) -> None:
    """See `Migrations.check`."""
    await run(package, schema, url, role, command.check)


async def run(
    package: str, schema: str, url: str, role: str | None, act: Callable[[Config], object]
) -> None:
    """Run one of Alembic's commands, alone in this schema."""
    await _create_schema(url, schema, role)
    database = _for_migrating(url, role)
    config = config_for(package)

    def migrate(connection: Connection) -> None:
        config.attributes["connection"] = connection
        connection.execute(_LOCK, {"schema": schema})
        connection.commit()
        try:
            connection.execute(text("SET lock_timeout = '3s'"))
            connection.execute(text("SET statement_timeout = 0"))
            connection.commit()
            act(config)
            connection.commit()
        finally:
            connection.rollback()
            connection.execute(_UNLOCK, {"schema": schema})
            connection.commit()

    try:
        async with database.engine.connect() as connection:
            await connection.run_sync(migrate)
    finally:
        await database.aclose()


def _for_migrating(url: str, role: str | None) -> Database:
    # Not with our schema on the search path: Alembic takes the first schema there for one without
    # a name, and would compare nothing with everything.
    return Database(url, "public", role=role, pool_size=1)


async def _create_schema(url: str, schema: str, role: str | None) -> None:
    """Create what the migrations can't: the role and the schema that they run in."""
    database = Database(url, "public", pool_size=1)
    quoted_role = f'"{role}"'
    try:
        async with database.engine.begin() as connection:
            await connection.execute(_LOCK, {"schema": "roles"})
            exists = await connection.scalar(
                text("SELECT 1 FROM pg_namespace WHERE nspname = :schema"), {"schema": schema}
            )
            if role:
                # Roles belong to the cluster: another database's migration may make it first.
                await connection.execute(
                    text(
                        f"DO $$ BEGIN CREATE ROLE {quoted_role} NOLOGIN; "
                        "EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END $$"
                    )
                )
                await connection.execute(text(f"GRANT {quoted_role} TO CURRENT_USER"))
            if not exists:
                owner = f" AUTHORIZATION {quoted_role}" if role else ""
                await connection.execute(text(f'CREATE SCHEMA IF NOT EXISTS "{schema}"{owner}'))
            await connection.execute(_UNLOCK, {"schema": "roles"})
    finally:
        await database.aclose()


def run_env(metadata: MetaData) -> None:
    """Run inside a service's `env.py`: migrate with the connection at hand, or open one.

    The `alembic` command brings no connection; it is then taken from DATABASE_URL.
    """
    connection = context.config.attributes.get("connection")
    if connection is not None:
        _migrate_with(connection, metadata)
        return
    url = os.environ.get("DATABASE_URL")
    if not url:
        raise SystemExit("DATABASE_URL is not set, e.g. postgresql://user:password@host/sharezync")
    asyncio.run(_migrate_at(url, metadata, os.environ.get("DATABASE_ROLE")))


async def _migrate_at(url: str, metadata: MetaData, role: str | None) -> None:
    await _create_schema(url, metadata.schema or "public", role)
    database = _for_migrating(url, role)
    try:
        async with database.engine.connect() as connection:
            await connection.run_sync(_migrate_with, metadata)
            await connection.commit()
    finally:
        await database.aclose()


def _migrate_with(connection: Connection, metadata: MetaData) -> None:
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
        target_metadata=metadata,
        version_table_schema=metadata.schema,
        include_schemas=True,
        include_name=only_ours,
        compare_type=True,
        compare_server_default=True,
        transaction_per_migration=True,
    )
    with context.begin_transaction():
        context.run_migrations()
