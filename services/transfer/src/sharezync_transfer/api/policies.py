"""Offer policies of devices."""

from fastapi import APIRouter, Response
from pydantic import BaseModel, Field

from sharezync_shared.asgi.changes import answer
from sharezync_shared.ids import DeviceId
from sharezync_shared.pages import Page
from sharezync_shared.problems import Invalid, NotFound, Unauthenticated, Unavailable, problems
from sharezync_shared.users_projection import UserNotFound
from sharezync_transfer.api.dependencies import CallingActor, Context, KnownActor
from sharezync_transfer.models import Policy
from sharezync_transfer.schemas import PolicyRead
from sharezync_transfer.usecases import choices

router = APIRouter(prefix="/v1/transfers", tags=["transfers"])


class PolicyChoice(BaseModel):
    """The offer policy of a device."""

    policy: Policy = Field(
        examples=["accept_known"],
        description="`ask`: offers wait for an answer. `accept_known`: offers are accepted at once "
        "if the sender is in a channel that you have joined or written to, or if you have accepted "
        "a transfer of theirs before. `block`: offers to this device are rejected at once",
    )


@router.get(
    "/policies", summary="List offer policies of your devices", responses=problems(Unauthenticated)
)
async def list_offer_policies(actor: CallingActor, context: Context) -> Page[PolicyRead]:
    """Returns all policies that you have set. Other devices have the policy `ask`."""
    found = await choices.policies(context.work, user_id=actor.user_id)
    return Page(items=[PolicyRead.model_validate(each) for each in found], next=None)


@router.get(
    "/policies/{device_id}",
    summary="Get the offer policy of a device",
    responses=problems(Unauthenticated, NotFound, Invalid, Unavailable),
)
async def get_offer_policy(
    device_id: DeviceId, actor: CallingActor, context: Context
) -> PolicyRead:
    """Returns how offers to one of your devices are handled."""
    found = await choices.policy_of(
        context.work, context.services, user_id=actor.user_id, device_id=device_id
    )
    if found is None:
        return PolicyRead(device_id=device_id, policy="ask", updated_at=None)
    return PolicyRead.model_validate(found)


@router.put(
    "/policies/{device_id}",
    summary="Update the offer policy of a device",
    responses=problems(Unauthenticated, NotFound, UserNotFound, Invalid, Unavailable),
)
async def update_offer_policy(
    device_id: DeviceId,
    body: PolicyChoice,
    actor: KnownActor,
    context: Context,
    response: Response,
) -> PolicyRead:
    """Sets how offers to one of your devices are handled. An offer without a device goes to the
    device that was last set to accept. Your connected devices receive `policy_updated`.
    """
    published = await choices.set_policy(
        context.work,
        context.services,
        user_id=actor.user_id,
        device_id=device_id,
        policy=body.policy,
    )
    return PolicyRead.model_validate(answer(response, published))
