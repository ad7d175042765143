"""Alembic migrations of the schema `transfer`."""

from typing import Final

from sharezync_shared.db.migrations import Migrations

MIGRATIONS: Final = Migrations("sharezync_transfer.migrations", "transfer")
