"""What people want to be sent: policies of their devices."""

from fastapi import APIRouter, Response
from pydantic import BaseModel, Field

from sharezync_shared.ids import DeviceId
from sharezync_shared.problems import Invalid, NotFound, Unauthenticated, Unavailable, problems
from sharezync_transfer.api.common import (
    CallingActor,
    KnownActor,
    Page,
    PeersPart,
    WorkPart,
    answer,
)
from sharezync_transfer.models import Policy
from sharezync_transfer.usecases import choices
from sharezync_transfer.usecases.people import UserNotFound
from sharezync_transfer.usecases.wire import PolicyRead

router = APIRouter(prefix="/v1/transfers", tags=["transfers"])


class PolicyChoice(BaseModel):
    """What becomes of offers to a device."""

    policy: Policy = Field(
        examples=["accept_known"],
        description="`ask`: they wait for an answer. `accept_known`: those of people in whose "
        "company one joined a channel or wrote there, or whose transfer one accepted before, are "
        "accepted at once. `block`: those for this very device are rejected at once",
    )


@router.get("/policies", summary="Policies of one's devices", responses=problems(Unauthenticated))
async def list_policies(actor: CallingActor, work: WorkPart) -> Page[PolicyRead]:
    """List what was said of one's devices, all on one page. Of the others `ask` holds."""
    found = await choices.policies(work, user_id=actor.user_id)
    return Page(items=[PolicyRead.of(each) for each in found], next=None)


@router.get(
    "/policies/{device_id}",
    summary="The policy of a device",
    responses=problems(Unauthenticated, NotFound, Invalid, Unavailable),
)
async def get_policy(
    device_id: DeviceId, actor: CallingActor, work: WorkPart, peers: PeersPart
) -> PolicyRead:
    """Return what becomes of offers to a device of one's own."""
    found = await choices.policy_of(work, peers, user_id=actor.user_id, device_id=device_id)
    if found is None:
        return PolicyRead(device_id=device_id, policy="ask", updated_at=None)
    return PolicyRead.of(found)


@router.put(
    "/policies/{device_id}",
    summary="Say what becomes of offers to a device",
    responses=problems(Unauthenticated, NotFound, UserNotFound, Invalid, Unavailable),
)
async def put_policy(
    device_id: DeviceId,
    body: PolicyChoice,
    actor: KnownActor,
    work: WorkPart,
    peers: PeersPart,
    response: Response,
) -> PolicyRead:
    """Decide for a device of one's own. An offer for no device in particular goes to the device
    that was last said to accept. One's sockets hear `policy_updated`.
    """
    told = await choices.set_policy(
        work, peers, user_id=actor.user_id, device_id=device_id, policy=body.policy
    )
    return PolicyRead.of(answer(response, told))
