"""What auth asks before it shows somebody's devices to somebody else."""

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
    """Whether two people know each other from here."""

    acquainted: bool = Field(examples=[True])


@router.get(
    "/acquaintances",
    summary="Whether somebody is known to somebody from a transfer",
    responses=problems(Unauthenticated, Invalid),
)
async def get_acquaintance(
    _: InternalCaller,
    work: WorkPart,
    user_id: Annotated[UserId, Query(description="Who would look")],
    other_id: Annotated[UserId, Query(description="Whom they would look at")],
) -> AcquaintanceRead:
    """Who would look sent it, and who is looked at accepted it, whatever became of it since.

    A mere offer counts for neither: nobody gets to see a stranger's devices by offering a file.
    """
    found = await acquaintances.exists(work, user_id, other_id)
    return AcquaintanceRead(acquainted=found)
