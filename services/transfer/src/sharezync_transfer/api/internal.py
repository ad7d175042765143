"""What gateways ask before they move chunks, and report while they do."""

from typing import Annotated, Self

from fastapi import APIRouter
from pydantic import BaseModel, Field, model_validator

from sharezync_shared.ids import DeviceId, UserId
from sharezync_shared.names.policies import Parsed
from sharezync_shared.problems import Forbidden, Invalid, NotFound, Unauthenticated, problems
from sharezync_shared.tokens import InternalCaller
from sharezync_transfer.access import Actor
from sharezync_transfer.api.attachments import AttachmentRead
from sharezync_transfer.api.common import (
    FileIndex,
    GrantsPart,
    OrderedRangesByFile,
    PulsePart,
    SettingsPart,
    WorkPart,
    ranges_of,
)
from sharezync_transfer.life import State
from sharezync_transfer.models import TransferId
from sharezync_transfer.problems import CapabilityRefused
from sharezync_transfer.usecases import attaching, progress

router = APIRouter(prefix="/internal/transfers", tags=["internal"])


class Attach(BaseModel):
    """Who is at the other end: a user, or whoever a capability token speaks for."""

    user_id: UserId | None = None
    device_id: DeviceId | None = None
    token: Annotated[
        Parsed | None, Field(min_length=1, max_length=512, description="Instead of a user")
    ] = None

    @model_validator(mode="after")
    def _one_of_both(self) -> Self:
        if (self.user_id is None) == (self.token is None):
            raise ValueError("Either `user_id` or `token`")
        return self


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
    responses=problems(Unauthenticated, CapabilityRefused, NotFound, Invalid),
)
async def attach(
    transfer_id: TransferId,
    body: Attach,
    _: InternalCaller,
    work: WorkPart,
    settings: SettingsPart,
    grants: GrantsPart,
) -> AttachmentRead:
    """Return what the user is to the transfer, and where its chunks go; 404 to strangers.

    A `token` that opens nothing, or no longer does, is refused with 403: a 401 would be about the
    gateway's own credential. To who showed it the gateway says 401 `unauthenticated`.
    """
    if body.user_id is not None:
        actor = Actor(body.user_id, body.device_id)
    else:
        actor = await grants.admit(body.token or "", transfer_id)
    found = await attaching.attach(work, actor=actor, transfer_id=transfer_id)
    return AttachmentRead.of(found, actor, settings)


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
