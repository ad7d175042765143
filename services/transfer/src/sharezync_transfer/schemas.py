"""What clients see and send: one shape for REST, for events and for commands on a socket.

A sender sees all recipients. A recipient sees only their own part, and `state` and `completed_at`
are those of that part: who else was sent the same is the sender's business.
"""

from collections.abc import Iterable
from datetime import datetime
from typing import Annotated, Self
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, Strict, field_validator

from sharezync_shared.contracts.transfer import FileIndex, OrderedRangesByFile, RangePair
from sharezync_shared.examples import examples
from sharezync_shared.ids import DeviceId, UserId
from sharezync_shared.names.policies import KEY, MEDIA_TYPE, NOTE, PATH
from sharezync_shared.sizes import MAX_CHUNK_BYTES
from sharezync_transfer.access import Role, TransferAggregate
from sharezync_transfer.cutting import chunk_count
from sharezync_transfer.models import Policy, TransferFile
from sharezync_transfer.settings import MAX_FILES, MAX_RECIPIENTS, MIN_CHUNK_BYTES
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
            chunk_count=chunk_count(file.size_bytes, chunk_size_bytes),
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
        transfer = whole.transfer
        size = transfer.chunk_size_bytes
        files: dict[bool, list[FileRead]] = {}
        seen = []
        for role, user_id in users:
            own = whole.recipient(user_id) if role == "recipient" else None
            shown = whole.recipients if own is None else [own]
            # Who is out of it gets no more: so they are shown nothing that may still come.
            out = own is not None and own.state in FINAL - {"completed"}
            if out not in files:
                files[out] = [FileRead.from_file(each, size, out=out) for each in whole.files]
            fields = transfer.model_dump() | {
                "recipients": [RecipientRead.model_validate(each) for each in shown],
                "files": files[out],
                "state": transfer.state if own is None else own.state,
                "completed_at": transfer.completed_at if own is None else own.completed_at,
            }
            seen.append(cls(**fields))
        return seen


_TOKEN = "szt1.WyIwMTkz….Wm9uZQ"  # noqa: S105 - an example


class TransferTaken(TransferRead):
    """A transfer with a capability token."""

    token: str | None = Field(
        description="Send it as `Authorization: Transfer …`; null once the transfer has ended",
        examples=[_TOKEN],
    )


class TransferOpened(TransferTaken):
    """A created transfer with a capability token and a window."""

    window_bytes: int = Field(
        description="Maximum of unacknowledged bytes on a WebSocket",
        examples=[4194304],
    )


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


class PolicyRead(TransferDocument):
    """The offer policy of a device."""

    device_id: UUID
    policy: Policy = Field(examples=["accept_known"])
    updated_at: datetime | None = Field(
        description="When it was set; null if never", examples=[_TIME]
    )


# -------------------------------------------------------------------------------- what clients send

Key = Annotated[str, KEY]


class RecipientChoice(BaseModel):
    """A recipient of an offer."""

    user_id: UserId
    device_id: DeviceId | None = Field(
        None, description="Only this device; null: any device of the user"
    )


class FileOffer(BaseModel):
    """A file to offer."""

    name: Annotated[str, PATH] = Field(
        description="Name of the file, or its path in a folder: `photos/2026/a.jpg`",
        examples=["film.mkv"],
    )
    size: int = Field(ge=0, le=2**62, strict=True, description="Size in bytes", examples=[67108864])
    mime: Annotated[str, MEDIA_TYPE] | None = Field(
        None, examples=["video/x-matroska"], description="Media type"
    )
    sha256: str | None = Field(
        None, pattern=r"^[0-9a-fA-F]{64}$", description="SHA-256 of the file, hexadecimal, if known"
    )


class TransferOffer(BaseModel):
    """An offer of files to users."""

    model_config = examples(
        {
            "recipients": [{"user_id": "01936f0c-2b7e-7d33-8d7a-0c8e3a7c1f10"}],
            "files": [{"name": "film.mkv", "size": 67108864, "mime": "video/x-matroska"}],
            "note": "From last summer",
        },
        {
            "recipients": [
                {
                    "user_id": "01936f0c-2b7e-7d33-8d7a-0c8e3a7c1f10",
                    "device_id": "01936f0c-5a01-7b1e-9c4f-6f1d2b8e4a77",
                }
            ],
            "files": [
                {"name": "photos/2026/a.jpg", "size": 48213},
                {"name": "photos/2026/b.jpg", "size": 51877},
            ],
            "expires_in_s": 3600,
            "client_transfer_id": "laptop-7f3a-12",
        },
    )

    recipients: list[RecipientChoice] = Field(min_length=1, max_length=MAX_RECIPIENTS)
    files: list[FileOffer] = Field(min_length=1, max_length=MAX_FILES)
    chunk_size: int = Field(
        MAX_CHUNK_BYTES,
        ge=MIN_CHUNK_BYTES,
        le=MAX_CHUNK_BYTES,
        strict=True,
        description="Size of each chunk but the last, in bytes",
    )
    note: Annotated[str, NOTE] = Field("", description="Message to the recipients")
    expires_in_s: float | None = Field(
        None,
        ge=1,
        le=366 * 86400,
        strict=True,
        description="Seconds until the offer expires; null: the default of the server",
    )
    client_transfer_id: Key | None = Field(
        None, description="Idempotency key: offering again with it returns the first transfer"
    )


class Acceptance(BaseModel):
    """The files of an offer to accept."""

    files: list[Annotated[FileIndex, Strict()]] | None = Field(
        None, max_length=MAX_FILES, description="Indexes of files; null: all"
    )


class ResumeRequest(BaseModel):
    """The position to resume a transfer from."""

    have: OrderedRangesByFile | None = Field(
        None, description="Chunks that the recipient has; null: those it has confirmed"
    )


class NoDetails(BaseModel):
    """Commands without parameters; any are ignored."""


class Confirmation(BaseModel):
    """Chunks of a file that the recipient has verified and stored."""

    model_config = examples(
        {"file": 0, "ranges": [[0, 41], [43, 43]]},
        {"file": 1, "ranges": [[0, 7]]},
    )

    file: Annotated[FileIndex, Strict()] = Field(examples=[0])
    ranges: list[RangePair] = Field(
        min_length=1,
        max_length=10_000,
        examples=[[[0, 41], [43, 43]]],
        description="Ranges of chunk indexes, both ends inclusive",
    )

    @field_validator("ranges")
    @classmethod
    def _in_order(cls, ranges: list[RangePair]) -> list[RangePair]:
        if any(first > last for first, last in ranges):
            raise ValueError("A range is [first, last] with first <= last")
        return ranges


class PolicyChoice(BaseModel):
    """The offer policy of a device."""

    policy: Policy = Field(
        examples=["accept_known"],
        description="`ask`: offers wait for an answer. `accept_known`: offers are accepted at once "
        "if the sender is in a channel that you have joined or written to, or if you have accepted "
        "a transfer of theirs before. `block`: offers to this device are rejected at once",
    )
