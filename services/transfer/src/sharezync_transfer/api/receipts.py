"""Confirmations of recipients that aren't connected by WebSocket."""

from typing import Annotated

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field, Strict, field_validator

from sharezync_shared.contracts.transfer import FileIndex, RangePair
from sharezync_shared.problems import Forbidden, Invalid, NotFound, Unauthenticated, problems
from sharezync_shared.ranges import Ranges
from sharezync_transfer.api.dependencies import Context
from sharezync_transfer.api.presented import PresentedActor
from sharezync_transfer.errors import NotInThisState, TransferOver
from sharezync_transfer.models import TransferId
from sharezync_transfer.schemas import RecipientRead
from sharezync_transfer.usecases import receiving

router = APIRouter(prefix="/v1/transfers", tags=["transfers"])


class Confirmation(BaseModel):
    """Chunks of a file that the recipient has verified and stored."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"file": 0, "ranges": [[0, 41], [43, 43]]},
                {"file": 1, "ranges": [[0, 7]]},
            ]
        }
    )

    file: Annotated[FileIndex, Strict()] = Field(examples=[0])
    ranges: list[RangePair] = Field(
        min_length=1,
        max_length=10_000,
        examples=[[[0, 41], [43, 43]]],
        description="Ranges of chunk indexes, both ends inclusive",
    )

    @field_validator("ranges")
    @classmethod
    def _in_order(cls, ranges: list[RangePair]) -> list[RangePair]:
        if any(first > last for first, last in ranges):
            raise ValueError("A range is [first, last] with first <= last")
        return ranges


@router.post(
    "/{transfer_id}/receipts",
    summary="Confirm received chunks",
    responses=problems(Unauthenticated, NotFound, Invalid, Forbidden, NotInThisState, TransferOver),
)
async def confirm_chunks(
    transfer_id: TransferId,
    body: Confirmation,
    actor: PresentedActor,
    context: Context,
) -> RecipientRead:
    """Confirms chunks of a file that you have received, as `chunk_ack` does on a WebSocket.

    Chunks can be confirmed in any order and repeatedly. Once you have confirmed everything that you
    accepted and the files are verified, the transfer is completed for you.
    """
    return await receiving.confirm(
        context.work,
        context.progress,
        actor=actor,
        transfer_id=transfer_id,
        file=body.file,
        ranges=Ranges(body.ranges),
    )
