"""The caller's own side: what they are in, what they have read, and everything at once."""

from typing import Annotated

from fastapi import APIRouter, Query, Response
from pydantic import AliasChoices, BaseModel, Field, model_validator

from sharezync_chat.access import NotMember
from sharezync_chat.api.common import Cursor, Page, WorkPart, answer, page_of
from sharezync_chat.models import ChannelId, MessageId
from sharezync_chat.usecases import memberships, reading
from sharezync_chat.usecases.wire import MembershipRead, ReadRead, SyncRead
from sharezync_shared.problems import Invalid, NotFound, Unauthenticated, problems
from sharezync_shared.tokens import Caller

router = APIRouter(prefix="/v1", tags=["me"])


class ReadMark(BaseModel):
    """Up to where something was read: a `seq`, a message, or without either the end."""

    seq: int | None = Field(
        None,
        ge=0,
        le=2**63 - 1,
        strict=True,
        validation_alias=AliasChoices("seq", "last_read_seq"),
        examples=[4711],
    )
    message_id: MessageId | None = None

    @model_validator(mode="after")
    def _one_place(self) -> "ReadMark":
        if self.seq is not None and self.message_id is not None:
            raise ValueError("Give either seq or message_id")
        return self


@router.get(
    "/memberships",
    summary="The channels one is in",
    responses=problems(Unauthenticated, Invalid),
)
async def list_memberships(
    caller: Caller,
    work: WorkPart,
    limit: Annotated[int, Query(ge=1, le=500, description="How many at most")] = 200,
    cursor: Cursor = None,
) -> Page[MembershipRead]:
    """List the caller's channels with unread counts and last messages, made last first."""
    found = await memberships.page(work, user_id=caller.user_id, before=cursor, limit=limit + 1)
    return page_of(found, limit, lambda membership: membership.channel.id)


@router.put(
    "/channels/{channel_id}/read",
    summary="Mark as read",
    responses=problems(Unauthenticated, NotMember, NotFound, Invalid),
)
async def mark_read(
    channel_id: ChannelId,
    caller: Caller,
    work: WorkPart,
    response: Response,
    body: ReadMark | None = None,
) -> ReadRead:
    """Mark a channel as read up to a place; the mark only ever moves forward.

    The caller's other devices hear of it by `read.updated` in their inbox.
    """
    mark = body or ReadMark()
    told = await reading.mark_read(
        work,
        user_id=caller.user_id,
        channel_id=channel_id,
        seq=mark.seq,
        message_id=mark.message_id,
    )
    return answer(response, told)


@router.get(
    "/sync",
    summary="Everything a client needs at first",
    responses=problems(Unauthenticated),
)
async def sync(caller: Caller, work: WorkPart) -> SyncRead:
    """Return the caller's memberships and the heads of their streams, both of one moment.

    Connect, resume from `heads`, and apply every event to `memberships`: nothing is missing and
    nothing is twice.
    """
    return await memberships.sync(work, user_id=caller.user_id)
