"""What recipients without a socket confirm."""

from typing import Annotated

from fastapi import APIRouter
from pydantic import BaseModel, Field, Strict, field_validator

from sharezync_shared.problems import Forbidden, Invalid, NotFound, Unauthenticated, problems
from sharezync_shared.ranges import Ranges
from sharezync_transfer.api.common import FileIndex, PulsePart, RangePair, WorkPart
from sharezync_transfer.api.presented import PresentedActor
from sharezync_transfer.models import TransferId
from sharezync_transfer.problems import NotInThisState, TransferOver
from sharezync_transfer.usecases import receiving
from sharezync_transfer.usecases.wire import RecipientRead

router = APIRouter(prefix="/v1/transfers", tags=["transfers"])


class Confirmation(BaseModel):
    """Chunks of one file that the recipient has verified and keeps."""

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
            raise ValueError("A range is [first, last], and the first is not the greater one")
        return ranges


@router.post(
    "/{transfer_id}/receipts",
    summary="Confirm what came",
    responses=problems(Unauthenticated, NotFound, Invalid, Forbidden, NotInThisState, TransferOver),
)
async def confirm_chunks(
    transfer_id: TransferId,
    body: Confirmation,
    actor: PresentedActor,
    work: WorkPart,
    pulse: PulsePart,
) -> RecipientRead:
    """Say which chunks of a file one holds, as `chunk_ack` does on a socket.

    May be repeated, in any order. Who holds all they accepted is through once the files are
    confirmed; the answer says how far one is.
    """
    return await receiving.confirm(
        work,
        pulse,
        actor=actor,
        transfer_id=transfer_id,
        file=body.file,
        ranges=Ranges(body.ranges),
    )
