"""What clients see: one shape for REST, for events and for replies on a socket.

A sender sees all recipients. A recipient sees only their own part, and `state` and `completed_at`
are those of that part: who else was sent the same is the sender's business.
"""

from collections.abc import Callable, Iterable
from datetime import date, datetime
from functools import cache
from typing import Self
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from sharezync_transfer.access import Role, TransferAggregate
from sharezync_transfer.models import Policy, TransferFile
from sharezync_transfer.states import FINAL, State

_ID = "01936f0c-2b7e-7d33-8d7a-0c8e3a7c1f10"
_TIME = "2026-11-21T17:00:00Z"
_DIGEST = "2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae"


class TransferDocument(BaseModel):
    """A document that leaves this service; it never changes once it is made."""

    model_config = ConfigDict(frozen=True, from_attributes=True)


class FileRead(TransferDocument):
    """A file of a transfer."""

    index: int = Field(examples=[0])
    name: str = Field(examples=["film.mkv"])
    path: str | None = Field(
        description="Path in the folder that is sent, including the name; null: not in a folder",
        examples=["holidays/2026/film.mkv"],
    )
    size_bytes: int = Field(examples=[67108864])
    mime: str = Field(examples=["video/x-matroska"])
    sha256: str | None = Field(
        description="SHA-256 of the file, if the sender gave it", examples=[_DIGEST]
    )
    root: str | None = Field(
        description="SHA-256 over the digests of its chunks in order, once it is verified; null "
        "for recipients who have rejected or cancelled",
        examples=[_DIGEST],
    )
    chunk_count: int = Field(examples=[64])
    stored_bytes: int = Field(
        description="Number of stored bytes; 0 for recipients who have rejected or cancelled",
        examples=[1048576],
    )

    @classmethod
    def from_file(cls, file: TransferFile, chunk_size_bytes: int, *, out: bool) -> Self:
        return cls(
            index=file.index,
            name=file.name,
            path=file.path,
            size_bytes=file.size_bytes,
            mime=file.mime,
            sha256=file.sha256.hex() if file.sha256 else None,
            root=file.root.hex() if file.root and not out else None,
            chunk_count=-(-file.size_bytes // chunk_size_bytes),
            stored_bytes=0 if out else file.stored_bytes,
        )


class RecipientRead(TransferDocument):
    """A recipient of a transfer."""

    user_id: UUID
    device_id: UUID | None = Field(
        description="Device that the sender chose, or else the one that accepted"
    )
    state: State
    accepted_bytes: int = Field(
        description="Number of bytes that the recipient has accepted", examples=[67108864]
    )
    received_bytes: int = Field(
        description="Number of bytes that the recipient has confirmed", examples=[1048576]
    )


class TransferRead(TransferDocument):
    """A transfer, as its sender or one of its recipients sees it."""

    id: UUID = Field(examples=[_ID])
    sender_id: UUID
    sender_device_id: UUID | None
    recipients: list[RecipientRead] = Field(
        description="Recipients; a recipient sees only themselves"
    )
    files: list[FileRead]
    size_bytes: int = Field(description="Size of all files in bytes", examples=[67108864])
    chunk_size_bytes: int = Field(examples=[1048576])
    state: State = Field(
        description="For a recipient, their own state. For the sender, the state of the recipient "
        "who is furthest on while any is active, and afterwards the best outcome"
    )
    note: str
    created_at: datetime = Field(examples=[_TIME])
    expires_at: datetime = Field(examples=[_TIME])
    completed_at: datetime | None

    @classmethod
    def from_aggregate(cls, whole: TransferAggregate, role: Role, user_id: UUID) -> Self:
        """Return what this user sees, who is the sender or one of the recipients."""
        (read,) = cls.of_each(whole, [(role, user_id)])
        return read

    @classmethod
    def of_each(cls, whole: TransferAggregate, users: Iterable[tuple[Role, UUID]]) -> list[Self]:
        """Return what each of these users sees; what all see alike is made once."""

        @cache
        def files(out: bool) -> list[FileRead]:  # noqa: FBT001 - it stays in here
            chunk_size_bytes = whole.transfer.chunk_size_bytes
            return [FileRead.from_file(each, chunk_size_bytes, out=out) for each in whole.files]

        return [cls._of(whole, role, user_id, files) for role, user_id in users]

    @classmethod
    def _of(
        cls,
        whole: TransferAggregate,
        role: Role,
        user_id: UUID,
        files: Callable[[bool], list[FileRead]],
    ) -> Self:
        transfer = whole.transfer
        own = whole.recipient(user_id) if role == "recipient" else None
        shown = whole.recipients if own is None else [own]
        # Who is out of it hears no more: so they are shown nothing that may still come.
        out = own is not None and own.state in FINAL - {"completed"}
        return cls(
            id=transfer.id,
            sender_id=transfer.sender_id,
            sender_device_id=transfer.sender_device_id,
            recipients=[RecipientRead.model_validate(each) for each in shown],
            files=files(out),
            size_bytes=transfer.size_bytes,
            chunk_size_bytes=transfer.chunk_size_bytes,
            state=transfer.state if own is None else own.state,
            note=transfer.note,
            created_at=transfer.created_at,
            expires_at=transfer.expires_at,
            completed_at=transfer.completed_at if own is None else own.completed_at,
        )


_TOKEN = "szt1.WyIwMTkz….Wm9uZQ"  # noqa: S105 - an example


class TransferTaken(TransferRead):
    """A transfer with a capability token."""

    token: str | None = Field(
        description="Send it as `Authorization: Transfer …`; null once the transfer has ended",
        examples=[_TOKEN],
    )

    @classmethod
    def with_token(cls, read: TransferRead, token: str | None) -> Self:
        return cls(**read.model_dump(), token=token)


class TransferOpened(TransferTaken):
    """A created transfer with a capability token and a window."""

    window_bytes: int = Field(
        description="Maximum of unacknowledged bytes on a WebSocket",
        examples=[4194304],
    )

    @classmethod
    def with_window(cls, read: TransferRead, window_bytes: int, token: str | None) -> Self:
        return cls(**read.model_dump(), window_bytes=window_bytes, token=token)


class TokenRead(TransferDocument):
    """A capability token."""

    token: str = Field(description="Send it as `Authorization: Transfer …`", examples=[_TOKEN])
    role: Role = Field(description="Role in the transfer that it grants")
    expires_at: datetime = Field(
        description="When it expires at the latest; it also ends with the transfer",
        examples=[_TIME],
    )


class ProgressRead(TransferDocument):
    """Signal `progress_update` to a recipient: their own progress."""

    transfer_id: UUID
    size_bytes: int = Field(description="Size of all files in bytes", examples=[67108864])
    stored_bytes: int = Field(description="Number of stored bytes", examples=[2097152])
    state: State
    accepted_bytes: int
    received_bytes: int = Field(
        description="Bytes that recipients have confirmed", examples=[1048576]
    )
    rate: int = Field(description="Bytes per second", examples=[10485760])
    seconds_left: float | None = Field(
        description="Estimated seconds until the end; null if unknown", examples=[6.3]
    )


class RecipientProgress(TransferDocument):
    """Progress of a recipient."""

    user_id: UUID
    state: State
    received_bytes: int


class ProgressOfSent(ProgressRead):
    """Signal `progress_update` to the sender: sums of all recipients, and each of them."""

    recipients: list[RecipientProgress]


class MissingOfFile(TransferDocument):
    """Missing chunks of a file."""

    index: int
    chunk_count: int
    missing: list[tuple[int, int]] = Field(
        description="Ranges of chunk indexes, both ends inclusive", examples=[[(3, 7), (9, 9)]]
    )


class MissingRead(TransferDocument):
    """Missing chunks of a transfer."""

    transfer_id: UUID
    files: list[MissingOfFile]


class DirectionTotals(TransferDocument):
    """Ended transfers in one direction. Each recipient counts separately."""

    ended: int = Field(
        description="Number of ended transfers: completed, rejected, cancelled …", examples=[11]
    )
    completed: int = Field(examples=[10])
    files: int = Field(description="Number of files in completed transfers", examples=[31])
    bytes: int = Field(
        description="Number of bytes that recipients have confirmed", examples=[734003200]
    )
    success_rate: float | None = Field(
        description="Share of completed ones among ended ones; null if none has ended",
        examples=[0.9091],
    )
    mean_bytes_per_second: int | None = Field(
        description="Mean rate from first to last confirmation; null if nothing took long enough "
        "to measure",
        examples=[52428800],
    )
    best_bytes_per_second: int | None = Field(
        description="Rate of the fastest transfer; null if unknown", examples=[104857600]
    )

    @classmethod
    def nothing(cls) -> Self:
        return cls(
            ended=0,
            completed=0,
            files=0,
            bytes=0,
            success_rate=None,
            mean_bytes_per_second=None,
            best_bytes_per_second=None,
        )


class Totals(DirectionTotals):
    """All transfers in one direction; `transfers` and `bytes` include active ones."""

    transfers: int = Field(description="Number of ended and active transfers", examples=[12])


class DayRead(TransferDocument):
    """Transfers that ended on a day."""

    day: date = Field(description="Day in UTC", examples=["2026-11-21"])
    sent: DirectionTotals
    received: DirectionTotals


class PeerRead(TransferDocument):
    """Ended transfers between you and another user."""

    user_id: UUID
    sent: DirectionTotals
    received: DirectionTotals


class StatsRead(TransferDocument):
    """Transfer statistics of a user."""

    sent: Totals
    received: Totals
    days: list[DayRead] = Field(description="Days on which transfers ended, newest first")
    peers: list[PeerRead] = Field(description="The users with most bytes; at most 20")


class PolicyRead(TransferDocument):
    """The offer policy of a device."""

    device_id: UUID
    policy: Policy = Field(examples=["accept_known"])
    updated_at: datetime | None = Field(
        description="When it was set; null if never", examples=[_TIME]
    )
