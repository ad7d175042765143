"""The tables of the schema `storage`.

A row always comes before its bytes and goes after them: what a crash leaves in the store has a row
that tells of it. Bytes are deleted by key from the table `deletions`, whose rows are written in
the transaction that makes the bytes worthless.
"""

from datetime import datetime
from typing import ClassVar, Final, Literal, NewType
from uuid import UUID

from sqlalchemy import BigInteger, CheckConstraint, Column, Identity, Index, Text, text
from sqlalchemy.orm import registry
from sqlmodel import Field, SQLModel

from sharezync_shared.db.database import metadata_for
from sharezync_shared.events.inbox import inbox_table
from sharezync_shared.events.outbox import outbox_table
from sharezync_shared.streams.log import stream_tables

FileId = NewType("FileId", UUID)
UploadId = NewType("UploadId", UUID)

Door = Literal["form", "chunks"]
"""By which an upload comes: a form of HTTP, or chunks from inside."""

UploadState = Literal["created", "receiving", "verifying", "finished", "failed", "aborted"]
"""created → receiving → verifying → finished

Chunks are taken in the first two. `verifying` begins when all are there and finish was asked for;
it ends in `failed` where the whole has another digest than was said. Whatever has not finished can
be aborted, and what has finished is aborted with its file.
"""

SCHEMA: Final = "storage"
TAKES_CHUNKS: Final[frozenset[str]] = frozenset({"created", "receiving"})
UNFINISHED: Final[frozenset[str]] = TAKES_CHUNKS | {"verifying"}
"""Holds reserved space, and is given up when it expires."""

metadata = metadata_for(SCHEMA)


class StorageTable(SQLModel, registry=registry(metadata=metadata)):
    """What every table here has in common: this schema."""


class File(StorageTable, table=True):
    """A file as users see it: complete, never changed. With `deleted_at` it is gone for everyone.

    `sha256` is unknown for what came in chunks without a digest of the whole; such a file has a
    `root`, the SHA-256 over the digests of its chunks in order.
    """

    __tablename__: ClassVar[str] = "files"
    __table_args__ = (
        Index(
            "ix_files_owner_id_id", "owner_id", "id", postgresql_where=text("deleted_at IS NULL")
        ),
    )

    id: UUID = Field(primary_key=True)
    owner_id: UUID
    name: str = Field(sa_type=Text)
    size_bytes: int = Field(sa_type=BigInteger)
    mime: str = Field(sa_type=Text)
    sha256: bytes | None = Field(default=None)
    root: bytes | None = Field(default=None)
    store_key: str = Field(sa_type=Text, unique=True)
    created_at: datetime
    deleted_at: datetime | None = Field(default=None)


class Upload(StorageTable, table=True):
    """Something on its way to becoming a file.

    The file will have the same id. Immutable: owner, name, size, chunk size, digest, key. `through`
    is the number of chunks stored without a gap from the first. `size_bytes` is unknown while a
    form arrives. What has finished expires no more; what has ended otherwise is forgotten a week
    after `expires_at`.
    """

    __tablename__: ClassVar[str] = "uploads"
    __table_args__ = (
        Index("ix_uploads_owner_id", "owner_id"),
        # Not those that have finished, which are most: the sweep looks every few seconds.
        Index(
            "ix_uploads_expires_at", "expires_at", postgresql_where=text("expires_at IS NOT NULL")
        ),
        CheckConstraint("reserved_bytes >= 0", "reserved"),
    )

    id: UUID = Field(primary_key=True)
    owner_id: UUID
    door: str = Field(sa_type=Text)
    state: str = Field(sa_type=Text)
    name: str = Field(sa_type=Text)
    mime: str = Field(sa_type=Text)
    size_bytes: int | None = Field(default=None, sa_type=BigInteger)
    chunk_size_bytes: int | None = Field(default=None)
    sha256: bytes | None = Field(default=None)
    root: bytes | None = Field(default=None)
    store_key: str = Field(sa_type=Text)
    reserved_bytes: int = Field(default=0, sa_type=BigInteger)
    stored_bytes: int = Field(default=0, sa_type=BigInteger)
    through: int = Field(default=0)
    created_at: datetime
    expires_at: datetime | None


class Chunk(StorageTable, table=True):
    """One chunk that is durably stored. Kept while its file is: readers are told the digest."""

    __tablename__: ClassVar[str] = "chunks"

    upload_id: UUID = Field(
        primary_key=True, foreign_key=f"{SCHEMA}.uploads.id", ondelete="CASCADE"
    )
    index: int = Field(primary_key=True)
    size_bytes: int
    sha256: bytes


class Usage(StorageTable, table=True):
    """What a user keeps, and what uploads under way have reserved for them."""

    __tablename__: ClassVar[str] = "usage"
    __table_args__ = (
        CheckConstraint("used_bytes >= 0", "used"),
        CheckConstraint("reserved_bytes >= 0", "reserved"),
    )

    user_id: UUID = Field(primary_key=True)
    used_bytes: int = Field(default=0, sa_type=BigInteger)
    reserved_bytes: int = Field(default=0, sa_type=BigInteger)


class Deletion(StorageTable, table=True):
    """A key whose bytes nobody needs any more, from `due_at` on. Gone once they are."""

    __tablename__: ClassVar[str] = "deletions"
    __table_args__ = (Index("ix_deletions_due_at", "due_at"),)

    id: int | None = Field(
        default=None, sa_column=Column(BigInteger, Identity(always=True), primary_key=True)
    )
    what: str = Field(sa_type=Text)
    """`blob` or `chunks`."""
    store_key: str = Field(sa_type=Text)
    due_at: datetime
    attempts: int = Field(default=0)


# Storage has no streams of its own; the log is part of every service's ground.
stream_tables(metadata)
outbox_table(metadata)
inbox_table(metadata)
