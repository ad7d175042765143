"""Channels and conversations."""

from typing import Annotated, Literal

from fastapi import APIRouter, Query, Response
from pydantic import BaseModel, ConfigDict, Field

from sharezync_chat.api.dependencies import (
    Context,
    Cursor,
    KnownCaller,
    Limit,
)
from sharezync_chat.errors import (
    ConversationFixed,
    TooManyChannels,
    TooManyConversations,
    TooManyMemberships,
    UserIsBlocked,
    UserUnreachable,
)
from sharezync_chat.models import ChannelId, Kind
from sharezync_chat.schemas import ChannelRead
from sharezync_chat.usecases import channels, conversations
from sharezync_shared.asgi.changes import answer, no_content
from sharezync_shared.ids import UserId
from sharezync_shared.names.policies import CHANNEL_NAME, DESCRIPTION, TOPIC
from sharezync_shared.pages import Page, page_of
from sharezync_shared.problems import (
    Forbidden,
    Invalid,
    NotFound,
    Unauthenticated,
    Unavailable,
    problems,
)
from sharezync_shared.tokens import Caller
from sharezync_shared.users_projection import UserNotFound

router = APIRouter(prefix="/v1", tags=["channels"])

Name = Annotated[str, CHANNEL_NAME, Field(examples=["engines"], description="Name of the channel")]
Description = Annotated[str, DESCRIPTION, Field(examples=["Analytical and otherwise"])]
Topic = Annotated[str, TOPIC, Field(examples=["Today: cogwheels"])]


class ChannelCreate(BaseModel):
    """A channel to create."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"name": "engines", "kind": "public", "topic": "Today: cogwheels"},
                {"name": "board", "kind": "private", "description": "Members of the board"},
            ]
        }
    )

    name: Name
    kind: Literal["public", "private"] = Field(
        description="`public`: everyone can find and join it. `private`: by invitation only"
    )
    description: Description = ""
    topic: Topic = ""


class ChannelChange(BaseModel):
    """Changes to a channel. Fields that are omitted or null stay unchanged."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"name": "engines", "topic": "Tomorrow: steam"}, {"archived": True}]
        }
    )

    name: Name | None = Field(None, description="New name")
    description: Description | None = None
    topic: Topic | None = None
    archived: bool | None = Field(
        None, strict=True, description="Whether the channel refuses new messages and members"
    )


class ConversationStart(BaseModel):
    """The other users of a conversation."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"user_ids": ["01936f0c-2b7e-7d33-8d7a-0c8e3a7c1f10"]},
                {
                    "user_ids": [
                        "01936f0c-2b7e-7d33-8d7a-0c8e3a7c1f10",
                        "01936f0c-5a01-7b1e-9c4f-6f1d2b8e4a77",
                    ],
                    "name": "Holiday plans",
                },
            ]
        }
    )

    user_ids: list[UserId] = Field(
        min_length=1,
        max_length=conversations.MOST_PEOPLE,
        description="Ids of the other users: one for a direct conversation, more for a group",
    )
    name: Name | None = Field(None, description="Name of the group, if a new one is created")


@router.post(
    "/channels",
    status_code=201,
    summary="Create a channel",
    responses=problems(Unauthenticated, TooManyChannels, TooManyMemberships, Invalid, Unavailable),
)
async def create_channel(
    body: ChannelCreate,
    caller: KnownCaller,
    context: Context,
    response: Response,
) -> ChannelRead:
    """Creates a public or private channel. You become its owner and first member."""
    published = await channels.create(
        context.work,
        context.settings,
        user_id=caller.user_id,
        kind=body.kind,
        name=body.name,
        description=body.description,
        topic=body.topic,
    )
    return answer(response, published, location=f"/v1/channels/{published.outcome.id}")


@router.get(
    "/channels",
    summary="List channels",
    responses=problems(Unauthenticated, Invalid),
)
async def list_channels(
    caller: Caller,
    context: Context,
    *,
    kind: Annotated[Kind | None, Query(description="Only channels of this kind")] = None,
    archived: Annotated[
        bool, Query(description="Only archived channels, instead of those that aren't")
    ] = False,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Page[ChannelRead]:
    """Returns public channels, and channels and conversations that you are in, newest first."""
    found = await channels.page(
        context.work,
        user_id=caller.user_id,
        kind=kind,
        archived=archived,
        before=cursor,
        limit=limit + 1,
    )
    return page_of(found, limit, lambda channel: channel.id)


@router.get(
    "/channels/{channel_id}",
    summary="Get a channel",
    responses=problems(Unauthenticated, NotFound, Invalid),
)
async def get_channel(channel_id: ChannelId, caller: Caller, context: Context) -> ChannelRead:
    """Public channels are visible to everyone, others to their members only."""
    return await channels.get(context.work, user_id=caller.user_id, channel_id=channel_id)


@router.patch(
    "/channels/{channel_id}",
    summary="Update a channel",
    responses=problems(Unauthenticated, Forbidden, NotFound, ConversationFixed, Invalid),
)
async def update_channel(
    channel_id: ChannelId, body: ChannelChange, caller: Caller, context: Context, response: Response
) -> ChannelRead:
    """Renames, describes or archives a channel. Requires the role owner or admin.

    In a group, every member can change the name and topic. Direct conversations can't be changed.
    """
    published = await channels.change(
        context.work,
        user_id=caller.user_id,
        channel_id=channel_id,
        changes=body.model_dump(exclude_none=True),
    )
    return answer(response, published)


@router.delete(
    "/channels/{channel_id}",
    status_code=204,
    summary="Delete a channel",
    responses=problems(Unauthenticated, Forbidden, NotFound, ConversationFixed, Invalid),
)
async def delete_channel(channel_id: ChannelId, caller: Caller, context: Context) -> Response:
    """Deletes a channel and its messages for all members. Requires the role owner."""
    return no_content(
        await channels.delete(context.work, user_id=caller.user_id, channel_id=channel_id)
    )


@router.post(
    "/conversations",
    status_code=201,
    summary="Start a conversation",
    responses={
        200: {"model": ChannelRead, "description": "The existing conversation of these users"},
        **problems(
            Unauthenticated,
            UserNotFound,
            UserIsBlocked,
            UserUnreachable,
            TooManyConversations,
            TooManyMemberships,
            Invalid,
            Unavailable,
        ),
    },
)
async def create_conversation(
    body: ConversationStart,
    caller: Caller,
    context: Context,
    response: Response,
) -> ChannelRead:
    """Returns your conversation with exactly these users, or creates it.

    With one other user it is `direct`, with more a `group`. The same users always get the same
    conversation; a group that a member has left isn't reused. Requesting an existing conversation
    accepts it. A new one is refused with `user-unreachable` if one of the users doesn't let you
    start conversations with them (`who_may_add` in their profile).
    """
    published = await conversations.find_or_create(
        context.work,
        context.services,
        context.settings,
        user_id=caller.user_id,
        others=body.user_ids,
        name=body.name,
    )
    return answer(response, published, location=f"/v1/channels/{published.outcome.id}")
