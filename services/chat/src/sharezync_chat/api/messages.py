"""Messages: posting, reading, editing, deleting."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Header, Query, Response
from fastapi.responses import RedirectResponse
from pydantic import BaseModel, Field, model_validator

from sharezync_chat.access import ChannelArchived, MessageGone, NotMember
from sharezync_chat.api.common import (
    POSITION_HEADER,
    Cursor,
    Limit,
    LimitsPart,
    Page,
    PeersPart,
    PostingPart,
    SettingsPart,
    WorkPart,
    answer,
    no_content,
    page_of,
    position_text,
)
from sharezync_chat.models import ChannelId, FileId, MessageId
from sharezync_chat.reach import UserBlocked, UserUnreachable
from sharezync_chat.usecases import history, messages
from sharezync_chat.usecases.batch import ClientMessageIdReused
from sharezync_chat.usecases.messages import AttachmentUnusable
from sharezync_chat.usecases.wire import EditRead, MessageRead
from sharezync_shared.db.costly import Costly
from sharezync_shared.ids import UserId
from sharezync_shared.names.policies import KEY, MESSAGE
from sharezync_shared.problems import (
    Forbidden,
    Invalid,
    NotFound,
    RateLimited,
    Unauthenticated,
    Unavailable,
    problems,
)
from sharezync_shared.tokens import Caller

router = APIRouter(prefix="/v1", tags=["messages"])

MAX_ATTACHMENTS = 10

Text = Annotated[str, MESSAGE, Field(examples=["Does the engine run?"])]
ClientMessageId = Annotated[
    str,
    KEY,
    Field(
        description="Chosen by the author, unique among all their messages: a repeated post with "
        "it answers with the first message",
    ),
]
Mark = Annotated[int, Field(ge=0, le=2**63 - 1)] | UUID


class MessageCreate(BaseModel):
    """A message to be posted: text, attachments, or both. Text in which there is nothing to see is
    none.
    """

    text: Text = ""
    attachments: list[FileId] = Field(
        [], max_length=MAX_ATTACHMENTS, description="Files of the author, stored already"
    )
    reply_to: MessageId | None = Field(None, description="A message of the same channel")
    client_message_id: ClientMessageId | None = None

    @model_validator(mode="after")
    def _says_something(self) -> "MessageCreate":
        if not self.text and not self.attachments:
            raise ValueError("Say something, or attach a file")
        if len(set(self.attachments)) != len(self.attachments):
            raise ValueError("A file is attached once")
        return self


class MessageChange(BaseModel):
    """What a message says from now on."""

    text: Text


class HistoryPage(Page[MessageRead]):
    """Messages, newest first.

    `next` goes on in the direction that was asked for: pass it as `before`, or as `after` where
    `after` was given. `older` and `newer` go on in theirs.
    """

    older: str | None = Field(description="`before` of the page of older messages", examples=["12"])
    newer: str | None = Field(description="`after` of the page of newer messages")


@router.post(
    "/channels/{channel_id}/messages",
    status_code=201,
    summary="Post a message",
    response_model=MessageRead,
    responses={
        200: {"model": MessageRead, "description": "It was posted before: the first message"},
        **problems(
            Unauthenticated,
            NotMember,
            NotFound,
            ChannelArchived,
            ClientMessageIdReused,
            AttachmentUnusable,
            UserBlocked,
            UserUnreachable,
            Invalid,
            Unavailable,
        ),
    },
)
async def post_message(
    channel_id: ChannelId,
    body: MessageCreate,
    caller: Caller,
    posting: PostingPart,
    peers: PeersPart,
    idempotency_key: Annotated[
        ClientMessageId | None,
        Header(description="Counts as `client_message_id` where the body has none"),
    ] = None,
) -> Response:
    """Post to a channel that the caller is in; everyone there hears of it.

    `seq` and `epoch` of the answer are the message's place in the stream `channel:<id>`. With a
    `client_message_id` (or an `Idempotency-Key`) a retry is safe for ever: it answers 200 with the
    first message.
    """
    posted = await messages.post(
        posting,
        peers,
        channel_id=channel_id,
        author_id=caller.user_id,
        text=body.text,
        attachments=body.attachments,
        reply_to=body.reply_to,
        client_message_id=body.client_message_id or idempotency_key,
    )
    # The very bytes of the event: encoding the same document again would be the dearest part.
    return Response(
        posted.body,
        201 if posted.created else 200,
        media_type="application/json",
        headers={
            "Location": f"/v1/messages/{posted.id}",
            POSITION_HEADER: position_text(posted.at),
        },
    )


@router.get(
    "/channels/{channel_id}/messages",
    summary="Read a channel",
    responses=problems(Unauthenticated, NotMember, NotFound, Invalid),
)
async def list_messages(
    channel_id: ChannelId,
    caller: Caller,
    work: WorkPart,
    before: Annotated[Mark | None, Query(description="Older than this `seq` or message")] = None,
    after: Annotated[Mark | None, Query(description="Newer than this `seq` or message")] = None,
    around: Annotated[Mark | None, Query(description="On both sides of it, and itself")] = None,
    limit: Limit = 50,
) -> HistoryPage:
    """Read messages, newest first: the latest, or those before, after or around a place.

    A place is a `seq` or a message's id; give one of the three. Deleted messages are listed as
    what is left of them, so that nothing shifts.
    """
    marks: dict[history.Edge, int | UUID | None] = {
        "before": before,
        "after": after,
        "around": around,
    }
    given: list[history.Edge] = [edge for edge, mark in marks.items() if mark is not None]
    if len(given) > 1:
        raise Invalid("Give one of before, after and around")
    edge: history.Edge = given[0] if given else "before"
    page = await history.page(
        work,
        user_id=caller.user_id,
        channel_id=channel_id,
        edge=edge,
        mark=marks[edge],
        limit=limit,
    )
    older, newer = (None if seq is None else str(seq) for seq in (page.older, page.newer))
    return HistoryPage(
        items=list(page.items), next=newer if edge == "after" else older, older=older, newer=newer
    )


@router.get(
    "/messages",
    summary="What somebody wrote",
    responses=problems(Unauthenticated, Invalid, RateLimited, Unavailable),
)
async def list_messages_of_author(
    caller: Caller,
    costly: Costly,
    author: Annotated[UserId, Query(description="Whose messages")],
    channel: Annotated[ChannelId | None, Query(description="Only in this channel")] = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Page[MessageRead]:
    """List a user's messages in the channels that the caller is in, newest first.

    Few of these, and of searches, run at a time for one user.
    """
    found = await messages.by_author(
        costly,
        user_id=caller.user_id,
        author_id=author,
        channel_id=channel,
        before=cursor,
        limit=limit + 1,
    )
    return page_of(found, limit, lambda message: message.id)


@router.get(
    "/messages/{message_id}",
    summary="Read one message",
    responses=problems(Unauthenticated, NotFound, Invalid),
)
async def get_message(message_id: MessageId, caller: Caller, work: WorkPart) -> MessageRead:
    """Return a message to a member of its channel; `deleted` tells that only its place is left."""
    return await messages.get(work, user_id=caller.user_id, message_id=message_id)


@router.patch(
    "/messages/{message_id}",
    summary="Edit a message",
    responses=problems(
        Unauthenticated,
        Forbidden,
        NotFound,
        ChannelArchived,
        MessageGone,
        UserBlocked,
        UserUnreachable,
        Invalid,
    ),
)
async def edit_message(
    message_id: MessageId,
    body: MessageChange,
    caller: Caller,
    work: WorkPart,
    limits: LimitsPart,
    response: Response,
) -> MessageRead:
    """Have one's own message say something else; what it said stays in its history."""
    told = await messages.edit(
        work, limits, user_id=caller.user_id, message_id=message_id, text=body.text
    )
    return answer(response, told)


@router.delete(
    "/messages/{message_id}",
    status_code=204,
    summary="Delete a message",
    responses=problems(Unauthenticated, Forbidden, NotFound, Invalid),
)
async def delete_message(message_id: MessageId, caller: Caller, work: WorkPart) -> Response:
    """Take a message's content away, as its author or an owner or admin of its channel."""
    return no_content(await messages.delete(work, user_id=caller.user_id, message_id=message_id))


@router.get(
    "/messages/{message_id}/edits",
    summary="What a message said before",
    responses=problems(Unauthenticated, NotFound, Invalid),
)
async def list_edits(message_id: MessageId, caller: Caller, work: WorkPart) -> Page[EditRead]:
    """List the earlier texts, latest first; empty for a message that was never edited."""
    found = await messages.edits(work, user_id=caller.user_id, message_id=message_id)
    return Page(items=list(found), next=None)


@router.get(
    "/messages/{message_id}/replies",
    summary="The answers to a message",
    responses=problems(Unauthenticated, NotFound, Invalid),
)
async def list_replies(
    message_id: MessageId,
    caller: Caller,
    work: WorkPart,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Page[MessageRead]:
    """List the messages that answer this one, in the order they were posted."""
    found = await messages.replies(
        work, user_id=caller.user_id, message_id=message_id, after=cursor, limit=limit + 1
    )
    return page_of(found, limit, lambda message: message.id)


@router.get(
    "/messages/{message_id}/attachments/{file_id}",
    status_code=307,
    summary="Fetch an attached file",
    response_class=RedirectResponse,
    responses={
        307: {"description": "`Location` holds the file for a few minutes"},
        **problems(Unauthenticated, NotFound, Invalid, Unavailable),
    },
)
async def get_attachment(
    message_id: MessageId,
    file_id: FileId,
    caller: Caller,
    work: WorkPart,
    peers: PeersPart,
    settings: SettingsPart,
) -> Response:
    """Redirect a member of the message's channel to the file.

    Membership counts now, not when the message was sent; the address itself needs no token.
    """
    url = await messages.attachment_url(
        work,
        peers,
        user_id=caller.user_id,
        message_id=message_id,
        file_id=file_id,
        expires_in_seconds=settings.attachment_url_seconds,
    )
    return RedirectResponse(url, 307, headers={"Cache-Control": "no-store"})
