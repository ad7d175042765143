"""The migrations of the schema `storage`, and nothing of another's."""

from sharezync_shared.db.migrations import Migrations
from sharezync_storage.models import SCHEMA

MIGRATIONS = Migrations("sharezync_storage.migrations", SCHEMA)
