"""What gateways ask before they move chunks, and report while they do."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter
from pydantic import BaseModel, Field

from sharezync_shared.ids import DeviceId, UserId
from sharezync_shared.problems import Forbidden, Invalid, NotFound, Unauthenticated, problems
from sharezync_shared.tokens import InternalCaller
from sharezync_transfer.access import Actor, Role
from sharezync_transfer.api.common import (
    FileIndex,
    OrderedRangesByFile,
    PulsePart,
    SettingsPart,
    WorkPart,
    ranges_of,
)
from sharezync_transfer.life import State
from sharezync_transfer.models import TransferId
from sharezync_transfer.usecases import attaching, progress
from sharezync_transfer.usecases.wire import TransferRead

router = APIRouter(prefix="/internal/transfers", tags=["internal"])


class Attach(BaseModel):
    """Who is at the other end of a socket."""

    user_id: UserId
    device_id: DeviceId | None = None


class AttachedFileRead(BaseModel):
    """Where a file's chunks lie at storage, and how it is cut."""

    index: int
    upload_id: UUID
    size_bytes: int
    chunk_size_bytes: int
    chunk_count: int
    accepted: bool = Field(description="By this recipient; to the sender all are")


class AttachmentRead(BaseModel):
    """Somebody's end of a transfer."""

    role: Role
    transfer: TransferRead
    window_bytes: int
    files: list[AttachedFileRead]
    received: dict[str, list[tuple[int, int]]] = Field(
        description="What a recipient holds of each accepted file"
    )


class Report(BaseModel):
    """How far a transfer is, as one end of it sees it."""

    user_id: UserId
    device_id: DeviceId | None = None
    stored: Annotated[
        dict[FileIndex, Annotated[int, Field(ge=0, le=2**62)]], Field(max_length=1000)
    ] = Field({}, description="From the sender's end: bytes stored of each file")
    received: OrderedRangesByFile = Field({}, description="From a recipient's end: what they hold")


class StandingRead(BaseModel):
    """How the transfer stands now."""

    state: State
    recipient_state: State | None = None


@router.post(
    "/{transfer_id}/attach",
    summary="Somebody's end of a transfer",
    responses=problems(Unauthenticated, NotFound, Invalid),
)
async def attach(
    transfer_id: TransferId,
    body: Attach,
    _: InternalCaller,
    work: WorkPart,
    settings: SettingsPart,
) -> AttachmentRead:
    """Return what the user is to the transfer, and where its chunks go; 404 to strangers."""
    found = await attaching.attach(
        work, actor=Actor(body.user_id, body.device_id), transfer_id=transfer_id
    )
    return AttachmentRead(
        role=found.role,
        transfer=found.transfer,
        window_bytes=settings.transfer_window_bytes,
        files=[AttachedFileRead.model_validate(file, from_attributes=True) for file in found.files],
        received={str(index): pairs for index, pairs in found.received.items()},
    )


@router.post(
    "/{transfer_id}/progress",
    summary="How far a transfer is",
    responses=problems(Unauthenticated, Forbidden, NotFound, Invalid),
)
async def report_progress(
    transfer_id: TransferId, body: Report, _: InternalCaller, work: WorkPart, pulse: PulsePart
) -> StandingRead:
    """Take a report; both ends hear `progress_update`, ten times a second at most.

    May be repeated. A recipient who holds everything is through once the files are confirmed.
    """
    standing = await progress.report(
        work,
        pulse,
        actor=Actor(body.user_id, body.device_id),
        transfer_id=transfer_id,
        stored=body.stored,
        received=ranges_of(body.received),
    )
    return StandingRead(state=standing.state, recipient_state=standing.recipient_state)
