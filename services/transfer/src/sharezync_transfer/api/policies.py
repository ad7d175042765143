"""What people want to be sent: policies of their devices, and people they want nothing from."""

from fastapi import APIRouter, Response
from pydantic import BaseModel, Field

from sharezync_shared.ids import DeviceId, UserId
from sharezync_shared.problems import Invalid, NotFound, Unauthenticated, Unavailable, problems
from sharezync_transfer.api.common import (
    CallingActor,
    Cursor,
    KnownActor,
    Limit,
    Page,
    PeersPart,
    WorkPart,
    answer,
    page_of,
)
from sharezync_transfer.models import Policy
from sharezync_transfer.usecases import choices
from sharezync_transfer.usecases.people import UserNotFound
from sharezync_transfer.usecases.wire import BlockRead, PolicyRead

router = APIRouter(prefix="/v1/transfers", tags=["transfers"])


class PolicyChoice(BaseModel):
    """What becomes of offers to a device."""

    policy: Policy = Field(
        examples=["accept_known"],
        description="`ask`: they wait for an answer. `accept_known`: those of people with whom one "
        "shares a channel, or an accepted transfer, are accepted at once. `block`: those for this "
        "very device are rejected at once",
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


@router.get(
    "/blocked",
    summary="From whom one wants nothing",
    responses=problems(Unauthenticated, Invalid),
)
async def list_blocked(
    actor: CallingActor, work: WorkPart, limit: Limit = 50, cursor: Cursor = None
) -> Page[BlockRead]:
    """List them by id."""
    found = await choices.blocked(work, user_id=actor.user_id, after=cursor, limit=limit + 1)
    return page_of([BlockRead.of(each) for each in found], limit, lambda each: each.user_id)


@router.get(
    "/blocked/{user_id}",
    summary="Whether one wants nothing from somebody",
    responses=problems(Unauthenticated, NotFound, Invalid),
)
async def get_blocked(user_id: UserId, actor: CallingActor, work: WorkPart) -> BlockRead:
    """Return since when; 404 for who is not blocked."""
    found = await choices.block_of(work, user_id=actor.user_id, blocked_id=user_id)
    return BlockRead.of(found)


@router.put(
    "/blocked/{user_id}",
    summary="Want nothing from somebody",
    responses=problems(Unauthenticated, UserNotFound, Invalid, Unavailable),
)
async def put_blocked(
    user_id: UserId, actor: KnownActor, work: WorkPart, peers: PeersPart, response: Response
) -> BlockRead:
    """Block somebody: one hears nothing of what they offer, and they see no answer, ever.

    What they had offered before stays. May be repeated. One's sockets hear `user_blocked`.
    """
    told = await choices.block(work, peers, user_id=actor.user_id, blocked_id=user_id)
    return BlockRead.of(answer(response, told))


@router.delete(
    "/blocked/{user_id}",
    status_code=204,
    summary="Take offers from somebody again",
    responses=problems(Unauthenticated, Invalid),
)
async def delete_blocked(
    user_id: UserId, actor: CallingActor, work: WorkPart, response: Response
) -> None:
    """Unblock somebody, or nobody. What they offered meanwhile stays unseen.

    One's sockets hear `user_unblocked`.
    """
    answer(response, await choices.unblock(work, user_id=actor.user_id, blocked_id=user_id))
