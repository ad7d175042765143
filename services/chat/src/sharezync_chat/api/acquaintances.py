"""What auth asks before it shows somebody's devices, and gateways before they show presence."""

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
    """Whether two people know each other from here."""

    acquainted: bool = Field(examples=[True])


class AcquaintancesAsked(BaseModel):
    """Who would look at whom."""

    user_id: UserId
    other_ids: list[UserId] = Field(max_length=MAX_OTHERS)
    looking: Literal["user", "others"] = Field(
        "user", description="`user`: the user at the others. `others`: each of them at the user"
    )


class AcquaintancesRead(BaseModel):
    """Those of the others between whom and the user it may be so."""

    ids: list[UserId]


@router.get(
    "/acquaintances",
    summary="Whether somebody is known to somebody from a channel",
    responses=problems(Unauthenticated, Invalid),
)
async def get_acquaintance(
    _: InternalCaller,
    work: WorkPart,
    user_id: Annotated[UserId, Query(description="Who would look")],
    other_id: Annotated[UserId, Query(description="Whom they would look at")],
) -> AcquaintanceRead:
    """Both are in it, and who is looked at agreed to that since the other came: made it, joined,
    accepted, wrote. Conversations count. Blocks are not looked at. Nobody is told who is in what.
    """
    found = await acquaintances.visible(work, user_id, [other_id])
    return AcquaintanceRead(acquainted=bool(found))


@router.post(
    "/acquaintances",
    summary="Which of these people somebody may look at, or who of them at somebody",
    responses=problems(Unauthenticated, Invalid),
)
async def list_acquaintances(
    _: InternalCaller, body: AcquaintancesAsked, work: WorkPart
) -> AcquaintancesRead:
    """As the question about two, for up to 200 at once. Who doesn't exist is left out."""
    ask = acquaintances.visible if body.looking == "user" else acquaintances.viewers
    return AcquaintancesRead(ids=await ask(work, body.user_id, body.other_ids))
