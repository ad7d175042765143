"""Offer policies of devices."""

from fastapi import APIRouter, Response

from sharezync_shared.asgi.changes import answer
from sharezync_shared.ids import DeviceId
from sharezync_shared.pages import Page
from sharezync_shared.problems import Invalid, NotFound, Unauthenticated, Unavailable, problems
from sharezync_shared.users_projection import UserNotFound
from sharezync_transfer.api.dependencies import CallingActor, Context, KnownActor
from sharezync_transfer.schemas import PolicyChoice, PolicyRead
from sharezync_transfer.usecases import choices

router = APIRouter(prefix="/v1/transfers", tags=["transfers"])


@router.get(
    "/policies", summary="List offer policies of your devices", responses=problems(Unauthenticated)
)
async def list_offer_policies(actor: CallingActor, context: Context) -> Page[PolicyRead]:
    """Returns all policies that you have set. Other devices have the policy `ask`."""
    return Page(items=await choices.policies(context.work, actor.user_id), next=None)


@router.get(
    "/policies/{device_id}",
    summary="Get the offer policy of a device",
    responses=problems(Unauthenticated, NotFound, Invalid, Unavailable),
)
async def get_offer_policy(
    device_id: DeviceId, actor: CallingActor, context: Context
) -> PolicyRead:
    """Returns how offers to one of your devices are handled."""
    return await choices.policy_of(context, actor.user_id, device_id)


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
    published = await choices.set_policy(context, actor.user_id, device_id, body.policy)
    return answer(response, published)
