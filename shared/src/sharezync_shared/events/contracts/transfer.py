"""What transfer publishes: offers of files and their outcome."""

from typing import ClassVar
from uuid import UUID

from sharezync_shared.events.contracts import Event


class TransferOffered(Event, frozen=True, kw_only=True):
    """A transfer was offered."""

    type: ClassVar[str] = "transfer.transfer.offered.v1"
    about: ClassVar[str] = "transfer_id"

    transfer_id: UUID
    sender_id: UUID
    recipient_ids: tuple[UUID, ...]
    file_count: int
    size_bytes: int
    file_ids: tuple[UUID, ...] = ()
    """Ids of the files, which storage will have once they have come."""


class BlockKept(Event, frozen=True, kw_only=True):
    """A user had blocked another before auth took over the lists of blocks.

    Published once for each such block, by the migration; the time of the event is that of the
    block.
    """

    type: ClassVar[str] = "transfer.block.kept.v1"
    about: ClassVar[str] = "user_id"

    user_id: UUID
    blocked_id: UUID


class TransferCompleted(Event, frozen=True, kw_only=True):
    """A recipient has completed a transfer. Each recipient completes independently."""

    type: ClassVar[str] = "transfer.transfer.completed.v1"
    about: ClassVar[str] = "transfer_id"

    transfer_id: UUID
    sender_id: UUID
    recipient_id: UUID
    size_bytes: int


class TransferEnded(Event, frozen=True, kw_only=True):
    """A transfer has ended; data that is stored for it may be deleted."""

    type: ClassVar[str] = "transfer.transfer.ended.v1"
    about: ClassVar[str] = "transfer_id"

    transfer_id: UUID
    outcome: str
    """`completed`, `rejected`, `cancelled`, `expired` or `failed`; expect others."""
