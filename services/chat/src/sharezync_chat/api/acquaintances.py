"""Acquaintances: auth asks before it shows devices, gateways before they show presence."""

from typing import Annotated, Final, Literal

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field

from sharezync_chat.api.common import WorkPart
from sharezync_chat.usecases import acquaintances
from sharezync_shared.ids import UserId
from sharezync_shared.problems import Invalid, Unauthenticated, problems
from sharezync_shared.tokens import InternalCaller

MAX_OTHERS: Final = 200

router = APIRouter(prefix="/internal", tags=["internal"])


class AcquaintanceRead(BaseModel):
    """Whether two users are acquainted."""

    acquainted: bool = Field(examples=[True], description="Whether `user_id` may see `other_id`")


class AcquaintancesAsked(BaseModel):
    """Users whose acquaintance is to be checked."""

    user_id: UserId
    other_ids: list[UserId] = Field(max_length=MAX_OTHERS)
    looking: Literal["user", "others"] = Field(
        "user",
        description="`user`: which of the others the user may see. `others`: which of them may see "
        "the user",
    )


class AcquaintancesRead(BaseModel):
    """The others who are acquainted with the user."""

    ids: list[UserId]


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
    """True if both are in a channel or conversation that `other_id` has created, joined, accepted
    or written to since `user_id` came. Blocks are not considered. The channel isn't disclosed.
    """
    found = await acquaintances.visible(work, user_id, [other_id])
    return AcquaintanceRead(acquainted=bool(found))


@router.post(
    "/acquaintances",
    summary="List acquainted users",
    responses=problems(Unauthenticated, Invalid),
)
async def list_acquaintances(
    _: InternalCaller, body: AcquaintancesAsked, work: WorkPart
) -> AcquaintancesRead:
    """As for two users, for up to 200 at once. Users who don't exist are left out."""
    ask = acquaintances.visible if body.looking == "user" else acquaintances.viewers
    return AcquaintancesRead(ids=await ask(work, body.user_id, body.other_ids))
