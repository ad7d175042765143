"""The caller's memberships, read marks and initial state."""

from typing import Annotated

from fastapi import APIRouter, Query, Response
from pydantic import AliasChoices, BaseModel, Field, model_validator

from sharezync_chat.api.dependencies import OF_MEMBERS, Acting, Cursor, refusals
from sharezync_chat.models import ChannelId, MessageId
from sharezync_chat.schemas import MembershipRead, ReadRead, SyncRead
from sharezync_chat.usecases import memberships, reading
from sharezync_chat.usecases.reading import ReadMarker
from sharezync_shared.asgi.changes import answer
from sharezync_shared.examples import examples
from sharezync_shared.pages import Page, page_of
from sharezync_shared.problems import Unauthenticated, problems

router = APIRouter(prefix="/v1", tags=["channels"])
sync_router = APIRouter(prefix="/v1", tags=["realtime"])


class ReadMark(BaseModel):
    """The position up to which a channel was read: a `seq` or a message, or else its end."""

    model_config = examples(
        {"seq": 4711},
        {"message_id": "01936f0c-2b7e-7d33-8d7a-0c8e3a7c1f10"},
    )

    seq: int | None = Field(
        None,
        ge=0,
        le=2**63 - 1,
        strict=True,
        validation_alias=AliasChoices("seq", "last_read_seq"),
        examples=[4711],
        description="`seq` of the last message that was read",
    )
    message_id: MessageId | None = Field(None, description="Last message that was read")

    @property
    def place(self) -> ReadMarker:
        """The place that is meant."""
        return ReadMarker(self.seq, self.message_id)

    @model_validator(mode="after")
    def _one_place(self) -> "ReadMark":
        if self.seq is not None and self.message_id is not None:
            raise ValueError("Give either seq or message_id")
        return self


@router.get("/memberships", summary="List your memberships", responses=refusals())
async def list_memberships(
    actor: Acting,
    limit: Annotated[int, Query(ge=1, le=500, description="Maximum number of items")] = 200,
    cursor: Cursor = None,
) -> Page[MembershipRead]:
    """Returns your channels with unread counts and latest messages, newest channel first."""
    found = await memberships.page(
        actor.work, user_id=actor.user_id, before=cursor, limit=limit + 1
    )
    return page_of(found, limit, lambda membership: membership.channel.id)


@router.put(
    "/channels/{channel_id}/read", summary="Mark a channel as read", responses=refusals(*OF_MEMBERS)
)
async def mark_channel_read(
    channel_id: ChannelId, actor: Acting, response: Response, body: ReadMark | None = None
) -> ReadRead:
    """Marks a channel as read up to a position, by default its end. The mark never moves backward.

    Your other devices receive `read.updated`.
    """
    mark = body or ReadMark()
    return answer(response, await reading.mark_read(actor, channel_id, mark.place))


@sync_router.get(
    "/sync",
    summary="Get the initial state of a client",
    responses=problems(Unauthenticated),
)
async def get_sync_state(actor: Acting) -> SyncRead:
    """Returns your memberships and the latest positions of your streams, as one snapshot.

    Connect by WebSocket, resume from `heads`, and apply every event to `memberships`: no event is
    missed or applied twice.
    """
    return await memberships.sync(actor.work, user_id=actor.user_id)
