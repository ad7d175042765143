"""The tables of the schema `transfer`. Who changes a transfer, or anything that belongs to it,
locks its row in `transfers` first (`access.py`), and only then streams.
"""

from datetime import date, datetime
from typing import Any, ClassVar, Final, Literal, NewType
from uuid import UUID

from sqlalchemy import BigInteger, ForeignKeyConstraint, Index, Text, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import registry
from sqlmodel import Field, SQLModel

from sharezync_shared.ids import UserId
from sharezync_shared.service_tables import partial_index, service_metadata
from sharezync_shared.users_projection import UsersProjection, blocks_tables
from sharezync_transfer.states import FINAL, OPEN, State

TransferId = NewType("TransferId", UUID)

SCHEMA: Final = "transfer"

metadata = service_metadata(SCHEMA)


def transfers_stream(user_id: UserId | UUID) -> str:
    return f"transfers:{user_id}"


def chunks_stream(transfer_id: TransferId | UUID) -> str:
    """Return the name under which gateways notify each other of a transfer's chunks."""
    return f"transfer:{transfer_id}"


OPEN_STATES: Final = f"state IN ({', '.join(map(repr, sorted(OPEN)))})"
"""As an index has it, and every statement that is to use it."""

Policy = Literal["ask", "accept_known", "block"]

# A column may be added while replicas run that don't know of it.
_ZERO: Final[dict[str, Any]] = {"server_default": text("0")}
_NO: Final[dict[str, Any]] = {"server_default": text("false")}


class TransferTable(SQLModel, registry=registry(metadata=metadata)):
    """What every table here has in common: this schema."""


class User(TransferTable, table=True):
    """What transfer knows of a user; `names_at` is when auth said so. Of a deleted user the row
    stays, without names.
    """

    __tablename__: ClassVar[str] = "users"

    id: UUID = Field(primary_key=True)
    username: str = Field(sa_type=Text)
    display_name: str = Field(sa_type=Text)
    names_at: datetime
    deleted: bool = Field(default=False)


class Transfer(TransferTable, table=True):
    """Files on their way from one person to others; `state` is `states.overall` of its recipients.

    `confirmed_at`: storage has confirmed every file. `released_at`: storage keeps nothing for it
    any more. `progress_at`: progress was last published.
    """

    __tablename__: ClassVar[str] = "transfers"
    __table_args__ = (
        # For ever: a retry finds the first offer however late it comes.
        UniqueConstraint("sender_id", "client_transfer_id"),
        Index("ix_transfers_sender_id_id", "sender_id", "id"),
        partial_index("ix_transfers_expires_at", "expires_at", where="ended_at IS NULL"),
        # What somebody has under way: a handful, however much they ever sent.
        partial_index("ix_transfers_sender_id_open", "sender_id", where="ended_at IS NULL"),
        partial_index(
            "ix_transfers_ended_at",
            "ended_at",
            where="ended_at IS NOT NULL AND released_at IS NULL",
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
        return self.state in FINAL


class TransferFile(TransferTable, table=True):
    """One file of a transfer. Its chunks lie at storage, in the upload `upload_id`.

    `path` is where it lies in the folder that is sent, its name included. `sha256` is what the
    sender said of the whole, `root` what storage confirmed: SHA-256 over the digests of its chunks
    in order. `stored_bytes` may lag behind storage's own record.
    """

    __tablename__: ClassVar[str] = "files"

    transfer_id: UUID = Field(
        primary_key=True, foreign_key=f"{SCHEMA}.transfers.id", ondelete="CASCADE"
    )
    index: int = Field(primary_key=True)
    name: str = Field(sa_type=Text)
    path: str | None = Field(default=None, sa_type=Text)
    size_bytes: int = Field(sa_type=BigInteger)
    mime: str = Field(sa_type=Text)
    sha256: bytes | None = Field(default=None)
    upload_id: UUID
    root: bytes | None = Field(default=None)
    file_id: UUID | None = Field(default=None)
    stored_bytes: int = Field(default=0, sa_type=BigInteger)


class Recipient(TransferTable, table=True):
    """Somebody to whom a transfer is offered, and what they made of it.

    `device_id` is the device that the sender chose, or else the one that accepted. `stranger`: they
    did not know the sender when it was offered. `hidden`: they had blocked the sender, and never
    see it. `began_at` and `began_bytes` are when they first confirmed something and how much of it,
    `received_at` when last.
    """

    __tablename__: ClassVar[str] = "recipients"
    __table_args__ = (
        Index("ix_recipients_user_id_transfer_id", "user_id", "transfer_id"),
        # What somebody has under way: a handful, however much they were ever sent.
        partial_index("ix_recipients_user_id_open", "user_id", where=OPEN_STATES),
    )

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
    began_at: datetime | None = Field(default=None)
    began_bytes: int = Field(default=0, sa_type=BigInteger, sa_column_kwargs=_ZERO)
    received_at: datetime | None = Field(default=None)
    completed_at: datetime | None = Field(default=None)
    updated_at: datetime
    stranger: bool = Field(default=False, sa_column_kwargs=_NO)
    hidden: bool = Field(default=False, sa_column_kwargs=_NO)


class Receipt(TransferTable, table=True):
    """A file that a recipient accepted; `ranges` are the chunks they have, both ends inclusive."""

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


class DevicePolicy(TransferTable, table=True):
    """What becomes of offers to one device of somebody's. Without a row: `ask`."""

    __tablename__: ClassVar[str] = "policies"

    user_id: UUID = Field(primary_key=True)
    device_id: UUID = Field(primary_key=True)
    policy: Policy = Field(sa_type=Text)
    updated_at: datetime


class Acquaintance(TransferTable, table=True):
    """Two people, `one_id` the lower id; `one_accepted`: they accepted what `other_id` had sent."""

    __tablename__: ClassVar[str] = "acquaintances"
    __table_args__ = (Index("ix_acquaintances_other_id", "other_id"),)

    one_id: UUID = Field(primary_key=True)
    other_id: UUID = Field(primary_key=True)
    one_accepted: bool = Field(default=False, sa_column_kwargs=_NO)
    other_accepted: bool = Field(default=False, sa_column_kwargs=_NO)


class EndedTotals(SQLModel):
    """Ended parts of transfers, summed; `timed_bytes` came in `seconds`."""

    ended: int = Field(default=0)
    completed: int = Field(default=0)
    files: int = Field(default=0, sa_type=BigInteger)
    bytes: int = Field(default=0, sa_type=BigInteger)
    timed_bytes: int = Field(default=0, sa_type=BigInteger)
    seconds: float = Field(default=0)
    best_bytes_per_second: float = Field(default=0)


class DayTotals(EndedTotals, TransferTable, table=True):
    __tablename__: ClassVar[str] = "sums_by_day"

    user_id: UUID = Field(primary_key=True)
    day: date = Field(primary_key=True)
    role: str = Field(primary_key=True, sa_type=Text)


class PeerTotals(EndedTotals, TransferTable, table=True):
    __tablename__: ClassVar[str] = "sums_by_peer"

    user_id: UUID = Field(primary_key=True)
    peer_id: UUID = Field(primary_key=True)
    role: str = Field(primary_key=True, sa_type=Text)


blocks_tables(metadata)

USERS: Final = UsersProjection(SCHEMA)
"""The copy of auth's users: of their names, and of whom they have blocked."""
