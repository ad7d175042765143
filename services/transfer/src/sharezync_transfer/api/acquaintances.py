"""Acquaintances: auth asks before it shows the devices of a user to another."""

from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field

from sharezync_shared.ids import UserId
from sharezync_shared.problems import Invalid, Unauthenticated, problems
from sharezync_shared.tokens import InternalCaller
from sharezync_transfer.api.common import WorkPart
from sharezync_transfer.usecases import acquaintances

router = APIRouter(prefix="/internal", tags=["internal"])


class AcquaintanceRead(BaseModel):
    """Whether two users are acquainted."""

    acquainted: bool = Field(examples=[True], description="Whether `user_id` may see `other_id`")


@router.get(
    "/acquaintances",
    summary="Check whether a user is acquainted with another",
    responses=problems(Unauthenticated, Invalid),
)
async def check_acquaintance(
    _: InternalCaller,
    work: WorkPart,
    user_id: Annotated[UserId, Query(description="User who asks")],
    other_id: Annotated[UserId, Query(description="User to be seen")],
) -> AcquaintanceRead:
    """True if `other_id` has accepted a transfer of `user_id`, whatever its outcome.

    An offer that wasn't accepted doesn't count: offering files must not disclose devices.
    """
    found = await acquaintances.exists(work, user_id, other_id)
    return AcquaintanceRead(acquainted=found)
