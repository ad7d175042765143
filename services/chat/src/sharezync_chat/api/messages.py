"""Messages: posting, reading, editing, deleting."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Header, Query, Response
from fastapi.responses import RedirectResponse
from pydantic import BaseModel, Field, model_validator

from sharezync_chat.api.dependencies import (
    OF_MEMBERS,
    OF_SPEAKERS,
    Acting,
    ChatContext,
    Context,
    Cursor,
    Limit,
    refusals,
)
from sharezync_chat.errors import (
    AttachmentUnusable,
    ChannelArchived,
    ClientMessageIdReused,
    UserIsBlocked,
    UserUnreachable,
)
from sharezync_chat.models import ChannelId, FileId, MessageId
from sharezync_chat.schemas import EditRead, MessageRead
from sharezync_chat.usecases import history, messages
from sharezync_chat.usecases.batch import MessageDraft
from sharezync_shared.asgi.changes import answer, no_content, position_headers
from sharezync_shared.costly import Costly
from sharezync_shared.examples import examples
from sharezync_shared.ids import UserId
from sharezync_shared.names.policies import KEY, MESSAGE
from sharezync_shared.pages import Page, page_of
from sharezync_shared.problems import Forbidden, Invalid, NotFound, RateLimited, Unavailable
from sharezync_shared.tokens.dependencies import Caller

router = APIRouter(prefix="/v1", tags=["messages"])

MAX_ATTACHMENTS = 10

Text = Annotated[
    str, MESSAGE, Field(examples=["Does the engine run?"], description="Text of the message")
]
ClientMessageId = Annotated[
    str,
    KEY,
    Field(
        description="Idempotency key, unique among all messages of the author: posting again with "
        "the same key returns the first message",
    ),
]
Mark = Annotated[int, Field(ge=0, le=2**63 - 1)] | UUID


class MessageCreate(BaseModel):
    """A message to post: text, attachments, or both. Text without visible characters counts as
    none.
    """

    model_config = examples(
        {"text": "Does the engine run?", "client_message_id": "laptop-7f3a-4711"},
        {
            "text": "It does",
            "reply_to": "01936f0c-2b7e-7d33-8d7a-0c8e3a7c1f10",
            "attachments": ["01936f0c-5a01-7b1e-9c4f-6f1d2b8e4a77"],
        },
    )

    text: Text = ""
    attachments: list[FileId] = Field(
        [], max_length=MAX_ATTACHMENTS, description="Ids of files that the author owns"
    )
    reply_to: MessageId | None = Field(
        None, description="Id of the message that it replies to, in the same channel"
    )
    client_message_id: ClientMessageId | None = None

    @model_validator(mode="after")
    def _says_something(self) -> "MessageCreate":
        if not self.text and not self.attachments:
            raise ValueError("A message needs text or an attachment")
        if len(set(self.attachments)) != len(self.attachments):
            raise ValueError("Each file can be attached only once")
        return self


async def draft_of(
    context: ChatContext,
    author_id: UserId,
    channel_id: ChannelId,
    body: MessageCreate,
    idempotency_key: str | None = None,
) -> MessageDraft:
    """Return the draft of a message; `idempotency_key` counts where the body has none."""
    return await messages.prepare(
        context.services,
        channel_id=channel_id,
        author_id=author_id,
        text=body.text,
        attachments=body.attachments,
        reply_to=body.reply_to,
        client_message_id=body.client_message_id or idempotency_key,
    )


class MessageChange(BaseModel):
    """The new text of a message."""

    text: Text


class HistoryPage(Page[MessageRead]):
    """A page of messages, newest first.

    `next` continues in the requested direction: pass it as `before`, or as `after` if `after` was
    given. `older` and `newer` continue in their own.
    """

    older: str | None = Field(
        description="`before` of the page of older messages; null at the beginning", examples=["12"]
    )
    newer: str | None = Field(description="`after` of the page of newer messages; null at the end")


@router.post(
    "/channels/{channel_id}/messages",
    status_code=201,
    summary="Post a message",
    response_model=MessageRead,
    responses={
        200: {
            "model": MessageRead,
            "description": "The message was posted before with the same key",
        },
        **refusals(
            *OF_MEMBERS, ChannelArchived, ClientMessageIdReused, AttachmentUnusable, UserIsBlocked,
            UserUnreachable, Unavailable,
        ),
    },
)  # fmt: skip
async def create_message(
    channel_id: ChannelId,
    body: MessageCreate,
    caller: Caller,
    context: Context,
    idempotency_key: Annotated[
        ClientMessageId | None,
        Header(description="Used as `client_message_id` if the body has none"),
    ] = None,
) -> Response:
    """Posts a message to a channel that you are a member of. All members receive it.

    `seq` and `epoch` in the response are its position in the stream `channel:<id>`. With a
    `client_message_id` (or `Idempotency-Key`) the request can be repeated at any time: it returns
    200 and the first message.
    """
    draft = await draft_of(context, caller.user_id, channel_id, body, idempotency_key)
    posted = await context.posting.post(draft)
    # The very bytes of the event: encoding the same document again would be the dearest part.
    return Response(
        posted.body,
        201 if posted.created else 200,
        media_type="application/json",
        headers={"Location": f"/v1/messages/{posted.id}", **position_headers(posted.at)},
    )


@router.get(
    "/channels/{channel_id}/messages",
    summary="List messages of a channel",
    responses=refusals(*OF_MEMBERS),
)
async def list_messages(
    channel_id: ChannelId,
    actor: Acting,
    before: Annotated[
        Mark | None, Query(description="Only messages older than this `seq` or id")
    ] = None,
    after: Annotated[
        Mark | None, Query(description="Only messages newer than this `seq` or id")
    ] = None,
    around: Annotated[
        Mark | None, Query(description="Messages on both sides of this `seq` or id")
    ] = None,
    limit: Limit = 50,
) -> HistoryPage:
    """Returns messages, newest first: the latest, or those before, after or around a position.

    A position is a `seq` or the id of a message. At most one of `before`, `after` and `around` can
    be given. Deleted messages are included without their content. A page can have fewer messages
    than `limit`: `next` is null only at the end.
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
        actor.work,
        user_id=actor.user_id,
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
    summary="List messages of a user",
    responses=refusals(RateLimited, Unavailable),
)
async def list_user_messages(
    caller: Caller,
    costly: Costly,
    author: Annotated[UserId, Query(description="Id of the user who wrote the messages")],
    channel: Annotated[ChannelId | None, Query(description="Only messages in this channel")] = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Page[MessageRead]:
    """Returns the messages of a user in channels that you are a member of, newest first.

    The number of concurrent requests of each user to this and to search is limited.
    """
    found = await messages.by_author(
        costly, caller.user_id, author, channel, before=cursor, limit=limit + 1
    )
    return page_of(found, limit, lambda message: message.id)


@router.get("/messages/{message_id}", summary="Get a message", responses=refusals(NotFound))
async def get_message(message_id: MessageId, actor: Acting) -> MessageRead:
    """Only members of its channel can get a message. If `deleted` is true, its content is gone."""
    return await messages.get(actor, message_id)


@router.patch(
    "/messages/{message_id}",
    summary="Edit a message",
    responses=refusals(Forbidden, NotFound, *OF_SPEAKERS),
)
async def update_message(
    message_id: MessageId, body: MessageChange, actor: Acting, response: Response
) -> MessageRead:
    """Changes the text of a message. Requires its author, or the role owner. Earlier texts stay in
    its edit history, with who wrote them.
    """
    return answer(response, await messages.edit(actor, message_id, body.text))


@router.delete(
    "/messages/{message_id}",
    status_code=204,
    summary="Delete a message",
    responses=refusals(Forbidden, NotFound),
)
async def delete_message(message_id: MessageId, actor: Acting) -> Response:
    """Deletes the content of a message. Requires its author, or the role owner or admin."""
    return no_content(await messages.delete(actor, message_id))


@router.get(
    "/messages/{message_id}/edits",
    summary="List edits of a message",
    responses=refusals(NotFound),
)
async def list_message_edits(
    message_id: MessageId,
    actor: Acting,
    cursor: Annotated[
        int | None, Query(ge=1, le=2**31 - 1, description="`next` of the previous page")
    ] = None,
) -> Page[EditRead]:
    """Returns the earlier texts of a message and who wrote them, latest first; none if it was never
    edited.
    """
    found = await messages.edits(actor, message_id, before=cursor)
    return page_of(found, len(found), lambda edit: edit.version)


@router.get(
    "/messages/{message_id}/replies",
    summary="List replies to a message",
    responses=refusals(NotFound),
)
async def list_message_replies(
    message_id: MessageId, actor: Acting, limit: Limit = 50, cursor: Cursor = None
) -> Page[MessageRead]:
    """Returns the replies in the order in which they were posted."""
    found = await messages.replies(actor, message_id, after=cursor, limit=limit + 1)
    return page_of(found, limit, lambda message: message.id)


@router.get(
    "/messages/{message_id}/attachments/{file_id}",
    status_code=307,
    summary="Download an attachment",
    response_class=RedirectResponse,
    responses={
        307: {"description": "`Location` is a URL of the file that is valid for a few minutes"},
        **refusals(NotFound, Unavailable),
    },
)
async def download_attachment(message_id: MessageId, file_id: FileId, actor: Acting) -> Response:
    """Redirects to the content of an attached file. You must be a member of the channel now.

    The URL needs no token.
    """
    url = await messages.attachment_url(actor, message_id, file_id)
    return RedirectResponse(url, 307, headers={"Cache-Control": "no-store"})
