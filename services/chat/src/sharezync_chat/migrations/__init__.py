"""Alembic migrations of the schema `chat`."""

from typing import Final

from sharezync_shared.db.migrations import Migrations

MIGRATIONS: Final = Migrations("sharezync_chat.migrations", "chat")
