"""A service as small as can be, with which the mechanisms of `db` and `streams` are tested."""

from pathlib import Path
from typing import ClassVar
from uuid import UUID

from sqlalchemy import Text
from sqlalchemy.orm import registry
from sqlmodel import Field, SQLModel

from sharezync_shared.db.database import metadata_for
from sharezync_shared.db.migrations import Migrations
from sharezync_shared.events.contracts import Event
from sharezync_shared.events.inbox import inbox_table
from sharezync_shared.events.outbox import outbox_table
from sharezync_shared.ids import uuid7
from sharezync_shared.streams.log import stream_tables

ROLE = "sharezync_test_notes"
metadata = metadata_for("notes")
stream_tables(metadata)
outbox = outbox_table(metadata)
inbox_table(metadata)


class NotesTable(SQLModel, registry=registry(metadata=metadata)):
    metadata = metadata


class Note(NotesTable, table=True):
    __tablename__ = "notes"

    id: UUID = Field(default_factory=uuid7, primary_key=True)
    text: str = Field(sa_type=Text, unique=True)


class NoteTaken(Event, frozen=True, kw_only=True):
    type: ClassVar[str] = "notes.note.taken.v1"
    about: ClassVar[str] = "note_id"

    note_id: UUID


def migrations(schema: str = "notes") -> Migrations:
    """The migrations beside this file, as those of any service."""
    return Migrations(str(Path(__file__).parent / "notes_migrations"), schema)
