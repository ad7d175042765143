"""Channels and conversations."""

from typing import Annotated, Literal

from fastapi import APIRouter, Query, Response
from pydantic import BaseModel, Field

from sharezync_chat.access import ConversationFixed
from sharezync_chat.api.common import (
    Cursor,
    KnownCaller,
    Limit,
    LimitsPart,
    Page,
    PeersPart,
    WorkPart,
    answer,
    no_content,
    page_of,
)
from sharezync_chat.models import ChannelId, Kind
from sharezync_chat.reach import UserBlocked, UserUnreachable
from sharezync_chat.usecases import channels, conversations
from sharezync_chat.usecases.limits import (
    TooManyChannels,
    TooManyConversations,
    TooManyMemberships,
)
from sharezync_chat.usecases.people import UserNotFound
from sharezync_chat.usecases.wire import ChannelRead
from sharezync_shared.ids import UserId
from sharezync_shared.names.policies import CHANNEL_NAME, DESCRIPTION, TOPIC
from sharezync_shared.problems import (
    Forbidden,
    Invalid,
    NotFound,
    Unauthenticated,
    Unavailable,
    problems,
)
from sharezync_shared.tokens import Caller

router = APIRouter(prefix="/v1", tags=["channels"])

Name = Annotated[str, CHANNEL_NAME, Field(examples=["engines"])]
Description = Annotated[str, DESCRIPTION, Field(examples=["Analytical and otherwise"])]
Topic = Annotated[str, TOPIC, Field(examples=["Today: cogwheels"])]


class ChannelCreate(BaseModel):
    """A channel to be made."""

    name: Name
    kind: Literal["public", "private"] = Field(
        description="Public: everyone finds it and may join. Private: its members only."
    )
    description: Description = ""
    topic: Topic = ""


class ChannelChange(BaseModel):
    """What to change; what is absent or null stays."""

    name: Name | None = None
    description: Description | None = None
    topic: Topic | None = None
    archived: bool | None = Field(
        None, strict=True, description="Closed to new messages and members"
    )


class ConversationStart(BaseModel):
    """Whom to talk with."""

    user_ids: list[UserId] = Field(
        min_length=1,
        max_length=conversations.MOST_PEOPLE,
        description="The others: one for a direct conversation, more for a group",
    )
    name: Name | None = Field(None, description="Of a group that is made now")


@router.post(
    "/channels",
    status_code=201,
    summary="Make a channel",
    responses=problems(Unauthenticated, TooManyChannels, TooManyMemberships, Invalid, Unavailable),
)
async def create_channel(
    body: ChannelCreate,
    caller: KnownCaller,
    work: WorkPart,
    limits: LimitsPart,
    response: Response,
) -> ChannelRead:
    """Make a public or private channel; the caller owns it and is its first member."""
    told = await channels.create(
        work,
        limits,
        user_id=caller.user_id,
        kind=body.kind,
        name=body.name,
        description=body.description,
        topic=body.topic,
    )
    return answer(response, told, location=f"/v1/channels/{told.outcome.id}")


@router.get(
    "/channels",
    summary="Find channels",
    responses=problems(Unauthenticated, Invalid),
)
async def list_channels(
    caller: Caller,
    work: WorkPart,
    *,
    kind: Annotated[Kind | None, Query(description="Only these")] = None,
    archived: Annotated[bool, Query(description="The archived ones instead")] = False,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Page[ChannelRead]:
    """List what the caller may see, newest first: public channels, and what they are in."""
    found = await channels.page(
        work,
        user_id=caller.user_id,
        kind=kind,
        archived=archived,
        before=cursor,
        limit=limit + 1,
    )
    return page_of(found, limit, lambda channel: channel.id)


@router.get(
    "/channels/{channel_id}",
    summary="Look at a channel",
    responses=problems(Unauthenticated, NotFound, Invalid),
)
async def get_channel(channel_id: ChannelId, caller: Caller, work: WorkPart) -> ChannelRead:
    """Return a public channel to everyone, any other to its members."""
    return await channels.get(work, user_id=caller.user_id, channel_id=channel_id)


@router.patch(
    "/channels/{channel_id}",
    summary="Rename, describe or archive a channel",
    responses=problems(Unauthenticated, Forbidden, NotFound, ConversationFixed, Invalid),
)
async def change_channel(
    channel_id: ChannelId, body: ChannelChange, caller: Caller, work: WorkPart, response: Response
) -> ChannelRead:
    """Change a channel, as its owner or an admin.

    Every member of a group may change its name and topic; a direct conversation has none.
    """
    told = await channels.change(
        work,
        user_id=caller.user_id,
        channel_id=channel_id,
        name=body.name,
        description=body.description,
        topic=body.topic,
        archived=body.archived,
    )
    return answer(response, told)


@router.delete(
    "/channels/{channel_id}",
    status_code=204,
    summary="Delete a channel",
    responses=problems(Unauthenticated, Forbidden, NotFound, ConversationFixed, Invalid),
)
async def delete_channel(channel_id: ChannelId, caller: Caller, work: WorkPart) -> Response:
    """End a channel for everyone in it, its messages included, as an owner."""
    return no_content(await channels.delete(work, user_id=caller.user_id, channel_id=channel_id))


@router.post(
    "/conversations",
    status_code=201,
    summary="Talk with somebody",
    responses={
        200: {"model": ChannelRead, "description": "They had a conversation already: this one"},
        **problems(
            Unauthenticated,
            UserNotFound,
            UserBlocked,
            UserUnreachable,
            TooManyConversations,
            TooManyMemberships,
            Invalid,
            Unavailable,
        ),
    },
)
async def start_conversation(
    body: ConversationStart,
    caller: Caller,
    work: WorkPart,
    peers: PeersPart,
    limits: LimitsPart,
    response: Response,
) -> ChannelRead:
    """Find the conversation of the caller with exactly these people, or make it.

    One other makes it `direct`, more a `group`. However often and by whom it is asked for, the
    same people get the same conversation; a group that somebody left is no longer found. Asking
    for one that is there accepts it. A new one is refused where one of the others lets nobody, or
    not the caller, draw them into any (`who_may_add` of their profile): `user-unreachable`.
    """
    told = await conversations.find_or_create(
        work, peers, limits, user_id=caller.user_id, others=body.user_ids, name=body.name
    )
    return answer(response, told, location=f"/v1/channels/{told.outcome.id}")
