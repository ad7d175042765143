"""What auth asks before it shows somebody's devices, and gateways before they show presence."""

from typing import Annotated, Final

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
    """Who would look, and whom they would look at."""

    user_id: UserId
    other_ids: list[UserId] = Field(max_length=MAX_OTHERS)


class AcquaintancesRead(BaseModel):
    """Those of the ones asked about whom they may look at."""

    ids: list[UserId]


@router.get(
    "/acquaintances",
    summary="Whether two people share a channel",
    responses=problems(Unauthenticated, Invalid),
)
async def get_acquaintance(
    _: InternalCaller,
    work: WorkPart,
    user_id: Annotated[UserId, Query(description="Who would look")],
    other_id: Annotated[UserId, Query(description="Whom they would look at")],
) -> AcquaintanceRead:
    """Conversations count. Nobody is told who is in what."""
    found = await acquaintances.exists(work, user_id, other_id)
    return AcquaintanceRead(acquainted=found)


@router.post(
    "/acquaintances",
    summary="With which of these people somebody shares a channel",
    responses=problems(Unauthenticated, Invalid),
)
async def list_acquaintances(
    _: InternalCaller, body: AcquaintancesAsked, work: WorkPart
) -> AcquaintancesRead:
    """As the question about two, for up to 200 at once. Who doesn't exist is left out."""
    return AcquaintancesRead(ids=await acquaintances.among(work, body.user_id, body.other_ids))
