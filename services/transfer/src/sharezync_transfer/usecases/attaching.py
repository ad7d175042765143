"""What a gateway needs to know before it moves chunks for somebody."""

from dataclasses import dataclass, field
from uuid import UUID

from sharezync_shared.db.work import Work
from sharezync_shared.ranges import Pair
from sharezync_transfer import access
from sharezync_transfer.access import Actor, Role
from sharezync_transfer.cutting import chunk_count
from sharezync_transfer.models import TransferId
from sharezync_transfer.usecases.acting import receipts_of
from sharezync_transfer.usecases.wire import TransferRead


@dataclass(frozen=True, slots=True)
class AttachedFile:
    """Where a file's chunks lie and how it is cut. To the sender all files are `accepted`."""

    index: int
    upload_id: UUID
    size_bytes: int
    chunk_size_bytes: int
    chunk_count: int
    accepted: bool


@dataclass(frozen=True, slots=True)
class Attachment:
    """Somebody's end of a transfer; `received` is what a recipient holds of each file."""

    role: Role
    transfer: TransferRead
    files: list[AttachedFile]
    received: dict[int, list[Pair]] = field(default_factory=dict)


async def attach(work: Work, *, actor: Actor, transfer_id: TransferId) -> Attachment:
    """Return what the actor is to a transfer, and where its chunks go. Raises NotFound."""
    async with work.read() as unit:
        whole = await access.transfer_to_see(unit, actor, transfer_id)
        role = whole.role_of(actor)
        received: dict[int, list[Pair]] = {}
        if role == "recipient":
            receipts = await receipts_of(unit, whole.own_part(actor))
            received = {receipt.file_index: receipt.ranges for receipt in receipts}
    size = whole.transfer.chunk_size_bytes
    return Attachment(
        role=role,
        transfer=TransferRead.of(whole, role, actor.user_id),
        files=[
            AttachedFile(
                index=file.index,
                upload_id=file.upload_id,
                size_bytes=file.size_bytes,
                chunk_size_bytes=size,
                chunk_count=chunk_count(file.size_bytes, size),
                accepted=role == "sender" or file.index in received,
            )
            for file in whole.files
        ],
        received=received,
    )
