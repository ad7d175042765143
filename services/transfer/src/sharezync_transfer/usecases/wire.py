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

from sharezync_transfer.access import Role, Whole
from sharezync_transfer.life import FINAL, State
from sharezync_transfer.models import DevicePolicy, File, Policy, Recipient

_ID = "01936f0c-2b7e-7d33-8d7a-0c8e3a7c1f10"
_TIME = "2026-11-21T17:00:00Z"
_DIGEST = "2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae"


class Wire(BaseModel):
    """A document that leaves this service; it never changes once it is made."""

    model_config = ConfigDict(frozen=True)


class FileRead(Wire):
    """A file of a transfer."""

    index: int = Field(examples=[0])
    name: str = Field(examples=["film.mkv"])
    path: str | None = Field(
        description="Where it lies in the folder that is sent, its name included; null: in none",
        examples=["holidays/2026/film.mkv"],
    )
    size_bytes: int = Field(examples=[67108864])
    mime: str = Field(examples=["video/x-matroska"])
    sha256: str | None = Field(
        description="Of the whole file, as the sender said", examples=[_DIGEST]
    )
    root: str | None = Field(
        description="SHA-256 over its chunks' digests in order, once storage has confirmed it; "
        "null to a recipient who is out of it",
        examples=[_DIGEST],
    )
    chunk_count: int = Field(examples=[64])
    stored_bytes: int = Field(
        description="How much of it is stored; 0 to a recipient who is out of it",
        examples=[1048576],
    )

    @classmethod
    def of(cls, file: File, chunk_size_bytes: int, *, out: bool) -> Self:
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


class RecipientRead(Wire):
    """Somebody to whom a transfer is offered."""

    user_id: UUID
    device_id: UUID | None = Field(
        description="Chosen by the sender, or else the one that accepted"
    )
    state: State
    accepted_bytes: int = Field(description="How much was accepted", examples=[67108864])
    received_bytes: int = Field(description="How much the recipient holds", examples=[1048576])

    @classmethod
    def of(cls, recipient: Recipient) -> Self:
        return cls(
            user_id=recipient.user_id,
            device_id=recipient.device_id,
            state=recipient.state,
            accepted_bytes=recipient.accepted_bytes,
            received_bytes=recipient.received_bytes,
        )


class TransferRead(Wire):
    """A transfer, as its sender or one of its recipients sees it."""

    id: UUID = Field(examples=[_ID])
    sender_id: UUID
    sender_device_id: UUID | None
    recipients: list[RecipientRead] = Field(description="A recipient sees only themselves")
    files: list[FileRead]
    size_bytes: int = Field(description="All files together", examples=[67108864])
    chunk_size_bytes: int = Field(examples=[1048576])
    state: State = Field(
        description="To a recipient their own; to the sender that of whoever is furthest on while "
        "somebody is under way, afterwards the best outcome"
    )
    note: str
    created_at: datetime = Field(examples=[_TIME])
    expires_at: datetime = Field(examples=[_TIME])
    completed_at: datetime | None

    @classmethod
    def of(cls, whole: Whole, role: Role, user_id: UUID) -> Self:
        """Return what this user sees, who is the sender or one of the recipients."""
        (read,) = cls.of_each(whole, [(role, user_id)])
        return read

    @classmethod
    def of_each(cls, whole: Whole, users: Iterable[tuple[Role, UUID]]) -> list[Self]:
        """Return what each of these users sees; what all see alike is made once."""

        @cache
        def files(out: bool) -> list[FileRead]:  # noqa: FBT001 - it stays in here
            chunk_size_bytes = whole.transfer.chunk_size_bytes
            return [FileRead.of(each, chunk_size_bytes, out=out) for each in whole.files]

        return [cls._of(whole, role, user_id, files) for role, user_id in users]

    @classmethod
    def _of(
        cls, whole: Whole, role: Role, user_id: UUID, files: Callable[[bool], list[FileRead]]
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
            recipients=[RecipientRead.of(each) for each in shown],
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
    """A transfer, and what lets its receiver move chunks without an access token."""

    token: str | None = Field(
        description="Present it as `Authorization: Transfer …`; null once the transfer is over",
        examples=[_TOKEN],
    )

    @classmethod
    def with_token(cls, read: TransferRead, token: str | None) -> Self:
        return cls(**read.model_dump(), token=token)


class TransferOpened(TransferTaken):
    """A transfer, and how much of it the caller may have under way at a time."""

    window_bytes: int = Field(
        description="What may be on its way on a socket without an acknowledgement",
        examples=[4194304],
    )

    @classmethod
    def with_window(cls, read: TransferRead, window_bytes: int, token: str | None) -> Self:
        return cls(**read.model_dump(), window_bytes=window_bytes, token=token)


class TokenRead(Wire):
    """A capability token."""

    token: str = Field(description="Present it as `Authorization: Transfer …`", examples=[_TOKEN])
    role: Role = Field(description="The end of the transfer that it opens")
    expires_at: datetime = Field(
        description="When it ends at the latest: it ends with the transfer", examples=[_TIME]
    )


class ProgressRead(Wire):
    """Signal `progress_update` to a recipient: how far their own part is."""

    transfer_id: UUID
    size_bytes: int = Field(description="All files together", examples=[67108864])
    stored_bytes: int = Field(description="How much of that is stored", examples=[2097152])
    state: State
    accepted_bytes: int
    received_bytes: int = Field(description="Confirmed by who receives", examples=[1048576])
    rate: int = Field(description="Bytes a second", examples=[10485760])
    seconds_left: float | None = Field(description="Null where it can't be told", examples=[6.3])


class RecipientProgress(Wire):
    """How far one recipient is, as the sender sees it."""

    user_id: UUID
    state: State
    received_bytes: int


class ProgressOfSent(ProgressRead):
    """The same to the sender: sums of all who take it, and each recipient."""

    recipients: list[RecipientProgress]


class MissingOfFile(Wire):
    """What of a file is still to come."""

    index: int
    chunk_count: int
    missing: list[tuple[int, int]] = Field(
        description="Ranges of chunk indexes, both ends inclusive", examples=[[(3, 7), (9, 9)]]
    )


class MissingRead(Wire):
    """To the sender: what storage does not have. To a recipient: what they have not confirmed."""

    transfer_id: UUID
    files: list[MissingOfFile]


class Sums(Wire):
    """What came of transfers in one direction. Each recipient of one counts for themselves."""

    ended: int = Field(description="Completed, rejected, cancelled …", examples=[11])
    completed: int = Field(examples=[10])
    files: int = Field(description="In those that completed", examples=[31])
    bytes: int = Field(description="That recipients confirmed to hold", examples=[734003200])
    success_rate: float | None = Field(
        description="Completed among those that ended; null while none has", examples=[0.9091]
    )
    mean_bytes_per_second: int | None = Field(
        description="From the first confirmation to the last, of all together; null where nothing "
        "took long enough to tell",
        examples=[52428800],
    )
    best_bytes_per_second: int | None = Field(
        description="Of the quickest, in the same way", examples=[104857600]
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


class Totals(Sums):
    """The same of all time, with those under way in `transfers` and `bytes`."""

    transfers: int = Field(description="Those that ended, and those under way", examples=[12])


class DayRead(Wire):
    """What ended on one day."""

    day: date = Field(description="In UTC", examples=["2026-11-21"])
    sent: Sums
    received: Sums


class PeerRead(Wire):
    """What ended between the caller and one other person, of all time."""

    user_id: UUID
    sent: Sums
    received: Sums


class StatsRead(Wire):
    """What somebody has sent and received."""

    sent: Totals
    received: Totals
    days: list[DayRead] = Field(description="Newest first; days on which nothing ended are absent")
    peers: list[PeerRead] = Field(description="With whom most bytes were moved: 20 at most")


class PolicyRead(Wire):
    """What becomes of offers to one device."""

    device_id: UUID
    policy: Policy = Field(examples=["accept_known"])
    updated_at: datetime | None = Field(
        description="Null where nothing was ever said", examples=[_TIME]
    )

    @classmethod
    def of(cls, choice: DevicePolicy) -> Self:
        return cls(device_id=choice.device_id, policy=choice.policy, updated_at=choice.updated_at)
