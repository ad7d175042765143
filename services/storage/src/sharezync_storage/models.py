"""The tables of the schema `storage`.

A row always comes before its bytes and goes after them: what a crash leaves in the store has a row
that tells of it. Bytes are deleted by key from the table `deletions`, whose rows are written in
the transaction that makes the bytes worthless.
"""

from datetime import datetime
from typing import Any, ClassVar, Final, NewType
from uuid import UUID

from sqlalchemy import ARRAY, BigInteger, CheckConstraint, Column, Identity, Index, Text, Uuid, text
from sqlalchemy.orm import registry
from sqlmodel import Field, SQLModel

from sharezync_shared.service_tables import partial_index, service_metadata

FileId = NewType("FileId", UUID)
UploadId = NewType("UploadId", UUID)

LinkId = NewType("LinkId", UUID)

SCHEMA: Final = "storage"

metadata = service_metadata(SCHEMA)

# A column may be added while replicas run that don't know of it.
_ZERO: Final[dict[str, Any]] = {"server_default": text("0")}


class StorageTable(SQLModel, registry=registry(metadata=metadata)):
    """What every table here has in common: this schema."""


class File(StorageTable, table=True):
    """A file as users see it: complete, never changed. With `deleted_at` it is gone for everyone.

    With `let_go_at` its owner has deleted it, and sees it no more; it stays as long as somebody
    else holds it (`holds`). `sha256` is unknown for what came in chunks without a digest of the
    whole; such a file has a `root`, the SHA-256 over the digests of its chunks in order.
    """

    __tablename__: ClassVar[str] = "files"
    __table_args__ = (
        partial_index(
            "ix_files_owner_id_id",
            "owner_id",
            "id",
            where="deleted_at IS NULL AND let_go_at IS NULL",
        ),
        partial_index("ix_files_unheld_at", "unheld_at", where="unheld_at IS NOT NULL"),
        # What was deleted is forgotten a month later.
        partial_index("ix_files_deleted_at", "deleted_at", where="deleted_at IS NOT NULL"),
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
    let_go_at: datetime | None = Field(default=None)
    unheld_at: datetime | None = Field(default=None)
    """When a hold went that may have been the last: the sweep looks whether it was."""
    deleted_at: datetime | None = Field(default=None)


class Upload(StorageTable, table=True):
    """Something on its way to becoming a file.

    The file will have the same id. `source` and `state`: see `states.py`. Immutable: owner, name,
    chunk size, digest, key; and the size, once it is known (a form has none until its end, and tus
    may defer it). `through` is the number of chunks stored without a gap from the first; what comes
    from its start to its end has `stored_bytes` instead, and `segments`. What has finished expires
    no more; what has ended otherwise is forgotten a week after `expires_at`.

    Who writes from the start on holds the lease: `writer` names the request, `epoch` counts them.
    Whatever is written down for a writer is written on condition that the epoch is still its own,
    so one that was pre-empted can change nothing any more. `leased_until` is renewed while bytes
    come; once it has passed, the writer has stalled, and the next one may take over.
    """

    __tablename__: ClassVar[str] = "uploads"
    __table_args__ = (
        Index("ix_uploads_owner_id", "owner_id"),
        # Not those that have finished, which are most: the sweep looks every few seconds.
        partial_index("ix_uploads_expires_at", "expires_at", where="expires_at IS NOT NULL"),
        # How many of a user's are under way is counted when they begin another one.
        partial_index("ix_uploads_under_way", "owner_id", where="expires_at IS NOT NULL"),
        # What a process that crashed had not finished.
        partial_index("ix_uploads_verifying", "id", where="state = 'verifying'"),
        partial_index(
            "uq_uploads_idempotency_key",
            "owner_id",
            "idempotency_key",
            where="idempotency_key IS NOT NULL",
            unique=True,
        ),
        CheckConstraint("reserved_bytes >= 0", "reserved"),
    )

    id: UUID = Field(primary_key=True)
    owner_id: UUID
    # The column keeps its first name: replicas of the release before know no other.
    source: str = Field(sa_column=Column("door", Text, nullable=False))
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
    epoch: int = Field(default=0, sa_type=BigInteger)
    writer: UUID | None = Field(default=None)
    leased_until: datetime | None = Field(default=None)
    tus_metadata: str | None = Field(default=None, sa_type=Text)
    """`Upload-Metadata` as it was given: HEAD answers with the same."""
    tus_concat: str | None = Field(default=None, sa_type=Text)
    """`Upload-Concat` as it was given: `partial`, or `final;` and the URLs of the parts."""
    source_ids: list[UUID] | None = Field(default=None, sa_type=ARRAY(Uuid))
    """Of a final upload of tus: the partial ones that it is made of, in order."""
    direct_id: str | None = Field(default=None, sa_type=Text)
    """The store's own id of an upload that clients make straight to it."""
    idempotency_key: str | None = Field(default=None, sa_type=Text)
    created_at: datetime
    expires_at: datetime | None

    @property
    def part(self) -> bool:
        """Whether it is a part of a larger file (tus), and doesn't become a file itself."""
        return self.tus_concat == "partial"

    @property
    def file_id(self) -> UUID | None:
        """Id of the file that it has become."""
        return self.id if self.state == "finished" else None


class Segment(StorageTable, table=True):
    """A piece of an upload that comes from its start to its end, kept as an object of its own.

    Only where the store keeps pieces: a folder has one file for each upload. `suffix` is part of
    the object's key and says which writing of the piece counts: the last piece is written anew when
    it grows, and a writer that was pre-empted may still be writing one that never counts.
    """

    __tablename__: ClassVar[str] = "segments"

    upload_id: UUID = Field(
        primary_key=True, foreign_key=f"{SCHEMA}.uploads.id", ondelete="CASCADE"
    )
    number: int = Field(primary_key=True)
    size_bytes: int
    suffix: str = Field(sa_column=Column("mark", Text, nullable=False))


class Chunk(StorageTable, table=True):
    """One chunk that is durably stored. Kept while its file is: readers are sent the digest."""

    __tablename__: ClassVar[str] = "chunks"

    upload_id: UUID = Field(
        primary_key=True, foreign_key=f"{SCHEMA}.uploads.id", ondelete="CASCADE"
    )
    index: int = Field(primary_key=True)
    size_bytes: int
    sha256: bytes


class Usage(StorageTable, table=True):
    """What a user keeps, in bytes and in files, and what uploads under way have reserved for them.

    Who begins an upload or makes a link holds this row: so that two at once count each other.
    """

    __tablename__: ClassVar[str] = "usage"
    __table_args__ = (
        CheckConstraint("used_bytes >= 0", "used"),
        CheckConstraint("reserved_bytes >= 0", "reserved"),
    )

    user_id: UUID = Field(primary_key=True)
    used_bytes: int = Field(default=0, sa_type=BigInteger)
    reserved_bytes: int = Field(default=0, sa_type=BigInteger)
    file_count: int = Field(default=0, sa_type=BigInteger, sa_column_kwargs=_ZERO)


class Hold(StorageTable, table=True):
    """Something that keeps a file alive beside its owner: a message, a transfer, a question.

    `group_id` is what goes with all that is in it: the channel of a message. A transfer holds its
    files before they are there, so this refers to no row of `files`; holds go with their file.
    """

    __tablename__: ClassVar[str] = "holds"
    __table_args__ = (
        Index("ix_holds_holder_id", "holder_id"),
        Index("ix_holds_group_id", "group_id"),
        partial_index("ix_holds_asked", "created_at", where="holder = 'asked'"),
    )

    file_id: UUID = Field(primary_key=True)
    holder_id: UUID = Field(primary_key=True)
    holder: str = Field(sa_type=Text)
    """What holds: `message`, `transfer`, or `asked`: a service has asked what the file is, and may
    have made something of it that we have not heard of yet (`holder_id` is the file's own)."""
    group_id: UUID | None = Field(default=None)
    created_at: datetime


class FormerHolder(StorageTable, table=True):
    """A message, channel or transfer that is over: what of it comes late holds nothing."""

    __tablename__: ClassVar[str] = "former_holders"
    __table_args__ = (Index("ix_former_holders_ended_at", "ended_at"),)

    id: UUID = Field(primary_key=True)
    ended_at: datetime


class Grant(StorageTable, table=True):
    """Not used any more; a later migration drops the table."""

    __tablename__: ClassVar[str] = "grants"
    __table_args__ = (Index("ix_grants_user_id_file_id", "user_id", "file_id"),)

    file_id: UUID = Field(primary_key=True, foreign_key=f"{SCHEMA}.files.id", ondelete="CASCADE")
    user_id: UUID = Field(primary_key=True)
    created_at: datetime


class Link(StorageTable, table=True):
    """A link by which strangers may download a file. Its token is known to who made it alone.

    `downloads_left` None: as many as they like. It is taken from when a download is claimed, by
    one statement, and given back where a claim ended before a single byte was sent.
    """

    __tablename__: ClassVar[str] = "links"
    __table_args__ = (
        Index("ix_links_file_id", "file_id"),
        # How many a user has is counted when they make another one.
        Index("ix_links_owner_id", "owner_id"),
        CheckConstraint("downloads_left >= 0", "downloads_left"),
    )

    id: UUID = Field(primary_key=True)
    file_id: UUID = Field(foreign_key=f"{SCHEMA}.files.id", ondelete="CASCADE")
    owner_id: UUID | None = Field(default=None)
    token_digest: bytes = Field(unique=True)
    """SHA-256 of the token: who reads the table can't follow the link."""
    password_hash: str | None = Field(default=None, sa_type=Text)
    expires_at: datetime
    max_downloads: int | None = Field(default=None)
    downloads_left: int | None = Field(default=None)
    failures: int = Field(default=0)
    """Wrong passwords in a row."""
    locked_until: datetime | None = Field(default=None)
    created_at: datetime

    @property
    def has_password(self) -> bool:
        """Whether one needs its password to download."""
        return self.password_hash is not None


class Claim(StorageTable, table=True):
    """One download by a link: claimed, then consumed. Until `expires_at` it may be resumed."""

    __tablename__: ClassVar[str] = "claims"
    __table_args__ = (
        Index("ix_claims_link_id", "link_id"),
        Index("ix_claims_expires_at", "expires_at"),
    )

    id: UUID = Field(primary_key=True)
    link_id: UUID = Field(foreign_key=f"{SCHEMA}.links.id", ondelete="CASCADE")
    sent_bytes: int = Field(default=0, sa_type=BigInteger)
    created_at: datetime
    expires_at: datetime


class Deletion(StorageTable, table=True):
    """A key whose bytes nobody needs any more, from `due_at` on. Gone once they are."""

    __tablename__: ClassVar[str] = "deletions"
    __table_args__ = (Index("ix_deletions_due_at", "due_at"),)

    id: int | None = Field(
        default=None, sa_column=Column(BigInteger, Identity(always=True), primary_key=True)
    )
    what: str = Field(sa_type=Text)
    """`blob`, `chunks`, `direct` (an upload straight to the store; `direct_id` is its id), or
    `leftovers` (of interrupted writes of a blob that stays)."""
    store_key: str = Field(sa_type=Text)
    direct_id: str | None = Field(default=None, sa_type=Text)
    size_bytes: int = Field(default=0, sa_type=BigInteger)
    """About how much is kept there, for the figure of what waits to be deleted."""
    due_at: datetime
    attempts: int = Field(default=0)


# Storage has no streams of its own; the log is part of every service's ground.
