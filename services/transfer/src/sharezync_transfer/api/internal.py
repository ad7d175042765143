"""Routes for gateways: joining a transfer and reporting its progress."""

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
    """Who joins: a user, or the owner of a capability token."""

    user_id: UserId | None = None
    device_id: DeviceId | None = None
    token: Annotated[
        Parsed | None,
        Field(min_length=1, max_length=512, description="Capability token, instead of a user"),
    ] = None

    @model_validator(mode="after")
    def _one_of_both(self) -> Self:
        if (self.user_id is None) == (self.token is None):
            raise ValueError("Give either `user_id` or `token`")
        return self


class Report(BaseModel):
    """Progress of a transfer, as its sender or a recipient sees it."""

    user_id: UserId
    device_id: DeviceId | None = None
    stored: Annotated[
        dict[FileIndex, Annotated[int, Field(ge=0, le=2**62)]], Field(max_length=1000)
    ] = Field({}, description="From the sender: stored bytes of each file")
    received: OrderedRangesByFile = Field(
        {}, description="From a recipient: ranges of chunks that they have, by file"
    )


class StandingRead(BaseModel):
    """State of a transfer."""

    state: State
    recipient_state: State | None = Field(
        None, description="State for the recipient, if a recipient reports"
    )


@router.post(
    "/{transfer_id}/attach",
    summary="Join a transfer",
    responses=problems(Unauthenticated, CapabilityRefused, NotFound, Invalid),
)
async def join_transfer(
    transfer_id: TransferId,
    body: Attach,
    _: InternalCaller,
    work: WorkPart,
    settings: SettingsPart,
    grants: GrantsPart,
) -> AttachmentRead:
    """Returns the role of the user in the transfer and the uploads of its files; 404 to others.

    An invalid or expired `token` is refused with 403, since 401 is about the token of the gateway.
    To its client the gateway answers 401 `unauthenticated`.
    """
    if body.user_id is not None:
        actor = Actor(body.user_id, body.device_id)
    else:
        actor = await grants.admit(body.token or "", transfer_id)
    found = await attaching.attach(work, actor=actor, transfer_id=transfer_id)
    return AttachmentRead.of(found, actor, settings)


@router.post(
    "/{transfer_id}/progress",
    summary="Report the progress of a transfer",
    responses=problems(Unauthenticated, Forbidden, NotFound, Invalid),
)
async def report_transfer_progress(
    transfer_id: TransferId, body: Report, _: InternalCaller, work: WorkPart, pulse: PulsePart
) -> StandingRead:
    """Sender and recipients receive `progress_update`, at most ten times a second.

    Safe to repeat. A recipient who has everything completes once the files are verified.
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
