"""The tables of the schema `transfer`.

Who changes a transfer, or anything that belongs to it, holds its row in `transfers` first
(`access.py`), and only then streams: so changes to one transfer come one after the other, in the
order of their events.
"""

from datetime import datetime
from typing import ClassVar, Final, NewType
from uuid import UUID

from sqlalchemy import BigInteger, ForeignKeyConstraint, Index, Text, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import registry
from sqlmodel import Field, SQLModel

from sharezync_shared.db.database import metadata_for
from sharezync_shared.events.inbox import inbox_table
from sharezync_shared.events.outbox import outbox_table
from sharezync_shared.ids import UserId
from sharezync_shared.streams.log import stream_tables
from sharezync_transfer.life import FINAL, State

TransferId = NewType("TransferId", UUID)

SCHEMA: Final = "transfer"

metadata = metadata_for(SCHEMA)


def transfers_stream(user_id: UserId | UUID) -> str:
    """Return the stream of what this user sends and is sent."""
    return f"transfers:{user_id}"


def chunks_stream(transfer_id: TransferId | UUID) -> str:
    """Return the name under which gateways tell each other of a transfer's chunks."""
    return f"transfer:{transfer_id}"


class TransferTable(SQLModel, registry=registry(metadata=metadata)):
    """What every table here has in common: this schema."""


class User(TransferTable, table=True):
    """What transfer knows of a person: the names, as auth last told them.

    `names_at` is when auth said so: events come in no particular order. Of a deleted user the row
    stays, without names: what they sent has a sender, and a late event can't bring them back.
    """

    __tablename__: ClassVar[str] = "users"

    id: UUID = Field(primary_key=True)
    username: str = Field(sa_type=Text)
    display_name: str = Field(sa_type=Text)
    names_at: datetime
    deleted: bool = Field(default=False)


class Transfer(TransferTable, table=True):
    """Files on their way from one person to others.

    `state` is what the states of its recipients make of it (`life.overall`). `confirmed_at` is
    set once storage has confirmed every file; `released_at` once storage keeps nothing for it any
    more. `progress_at` is when clients last heard how far it is.
    """

    __tablename__: ClassVar[str] = "transfers"
    __table_args__ = (
        # For ever: a retry finds the first offer however late it comes.
        UniqueConstraint("sender_id", "client_transfer_id"),
        Index("ix_transfers_sender_id_id", "sender_id", "id"),
        Index("ix_transfers_expires_at", "expires_at", postgresql_where=text("ended_at IS NULL")),
        Index(
            "ix_transfers_ended_at",
            "ended_at",
            postgresql_where=text("ended_at IS NOT NULL AND released_at IS NULL"),
        ),
    )

    id: UUID = Field(primary_key=True)
    sender_id: UUID = Field(foreign_key=f"{SCHEMA}.users.id")
    sender_device_id: UUID | None = Field(default=None)
    client_transfer_id: str | None = Field(default=None, sa_type=Text)
    note: str = Field(sa_type=Text)
    chunk_size_bytes: int
    file_count: int
    size_bytes: int = Field(sa_type=BigInteger)
    state: State = Field(sa_type=Text)
    created_at: datetime
    expires_at: datetime
    confirmed_at: datetime | None = Field(default=None)
    completed_at: datetime | None = Field(default=None)
    ended_at: datetime | None = Field(default=None)
    released_at: datetime | None = Field(default=None)
    progress_at: datetime

    @property
    def over(self) -> bool:
        """Whether nothing more will happen to it."""
        return self.state in FINAL


class File(TransferTable, table=True):
    """One file of a transfer. Its chunks lie at storage, in the upload `upload_id`.

    `sha256` is what the sender said of the whole, `root` what storage confirmed: SHA-256 over the
    digests of its chunks in order. `stored_bytes` may lag behind storage's own record.
    """

    __tablename__: ClassVar[str] = "files"

    transfer_id: UUID = Field(
        primary_key=True, foreign_key=f"{SCHEMA}.transfers.id", ondelete="CASCADE"
    )
    index: int = Field(primary_key=True)
    name: str = Field(sa_type=Text)
    size_bytes: int = Field(sa_type=BigInteger)
    mime: str = Field(sa_type=Text)
    sha256: bytes | None = Field(default=None)
    upload_id: UUID
    root: bytes | None = Field(default=None)
    file_id: UUID | None = Field(default=None)
    stored_bytes: int = Field(default=0, sa_type=BigInteger)


class Recipient(TransferTable, table=True):
    """Somebody to whom a transfer is offered, and what they made of it.

    `device_id` is the device that the sender chose, or else the one that accepted.
    `accepted_bytes` and `accepted_files` are what was accepted, `received_bytes` what of it the
    recipient has confirmed to hold.
    """

    __tablename__: ClassVar[str] = "recipients"
    __table_args__ = (Index("ix_recipients_user_id_transfer_id", "user_id", "transfer_id"),)

    transfer_id: UUID = Field(
        primary_key=True, foreign_key=f"{SCHEMA}.transfers.id", ondelete="CASCADE"
    )
    user_id: UUID = Field(primary_key=True, foreign_key=f"{SCHEMA}.users.id")
    device_id: UUID | None = Field(default=None)
    state: State = Field(sa_type=Text)
    accepted_files: int = Field(default=0)
    accepted_bytes: int = Field(default=0, sa_type=BigInteger)
    received_bytes: int = Field(default=0, sa_type=BigInteger)
    accepted_at: datetime | None = Field(default=None)
    completed_at: datetime | None = Field(default=None)
    updated_at: datetime


class Receipt(TransferTable, table=True):
    """A file that a recipient accepted, and which of its chunks they hold.

    `ranges` are pairs of chunk indexes, both ends inclusive.
    """

    __tablename__: ClassVar[str] = "receipts"
    __table_args__ = (
        ForeignKeyConstraint(
            ["transfer_id", "user_id"],
            [f"{SCHEMA}.recipients.transfer_id", f"{SCHEMA}.recipients.user_id"],
            ondelete="CASCADE",
        ),
    )

    transfer_id: UUID = Field(primary_key=True)
    user_id: UUID = Field(primary_key=True)
    file_index: int = Field(primary_key=True)
    ranges: list[tuple[int, int]] = Field(default_factory=list, sa_type=JSONB)
    received_bytes: int = Field(default=0, sa_type=BigInteger)


stream_tables(metadata)
outbox_table(metadata)
inbox_table(metadata)
