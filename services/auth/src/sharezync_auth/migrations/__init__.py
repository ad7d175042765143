"""Alembic migrations of the schema `auth`."""

from typing import Final

from sharezync_shared.db.migrations import Migrations

MIGRATIONS: Final = Migrations("sharezync_auth.migrations", "auth")
