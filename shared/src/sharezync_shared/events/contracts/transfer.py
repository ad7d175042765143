"""What transfer publishes: the life of offers of files from person to person."""

from typing import ClassVar
from uuid import UUID

from sharezync_shared.events.contracts import Event


class TransferOffered(Event, frozen=True, kw_only=True):
    """Somebody offers files to others."""

    type: ClassVar[str] = "transfer.transfer.offered.v1"
    source: ClassVar[str] = "/transfer"
    about: ClassVar[str] = "transfer_id"

    transfer_id: UUID
    sender_id: UUID
    recipient_ids: tuple[UUID, ...]
    file_count: int
    size_bytes: int
    file_ids: tuple[UUID, ...] = ()
    """Ids of the files, which storage will have once they have come."""


class BlockKept(Event, frozen=True, kw_only=True):
    """Somebody had blocked somebody else when auth took over the lists of blocks.

    Said once for each block of those times, by the migration that ended them; the fact's time is
    that of the block.
    """

    type: ClassVar[str] = "transfer.block.kept.v1"
    source: ClassVar[str] = "/transfer"
    about: ClassVar[str] = "user_id"

    user_id: UUID
    blocked_id: UUID


class TransferCompleted(Event, frozen=True, kw_only=True):
    """One recipient has everything, verified. Each recipient completes alone."""

    type: ClassVar[str] = "transfer.transfer.completed.v1"
    source: ClassVar[str] = "/transfer"
    about: ClassVar[str] = "transfer_id"

    transfer_id: UUID
    sender_id: UUID
    recipient_id: UUID
    size_bytes: int


class TransferEnded(Event, frozen=True, kw_only=True):
    """Nothing more will happen to a transfer; what is kept for it may go."""

    type: ClassVar[str] = "transfer.transfer.ended.v1"
    source: ClassVar[str] = "/transfer"
    about: ClassVar[str] = "transfer_id"

    transfer_id: UUID
    outcome: str
    """`completed`, `rejected`, `cancelled`, `expired` or `failed`; expect others."""
