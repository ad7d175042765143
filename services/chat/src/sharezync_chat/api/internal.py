"""Routes for other services: commands that users sent on WebSockets, and acquaintances."""

from collections.abc import Awaitable, Sequence
from contextlib import suppress
from typing import Annotated, Final, NamedTuple

from fastapi import APIRouter, Depends
from pydantic import ValidationError
from starlette.datastructures import State

from sharezync_chat.api.dependencies import ChatContext, Context
from sharezync_chat.api.me import ReadMark
from sharezync_chat.api.messages import MessageCreate, draft_of
from sharezync_chat.models import ChannelId
from sharezync_chat.schemas import MessageRead, ReadRead
from sharezync_chat.usecases import people
from sharezync_chat.usecases.reading import ReadMarkBatch
from sharezync_shared.calls.serving import serve
from sharezync_shared.contracts import chat
from sharezync_shared.contracts.acquaintances import (
    GET_ACQUAINTANCE,
    AcquaintanceAsked,
    AcquaintanceRead,
)
from sharezync_shared.contracts.commands import Command
from sharezync_shared.problems import Invalid
from sharezync_shared.streams.commands import CommandDone, CommandsEndpoint
from sharezync_shared.streams.declared import SocketCommand
from sharezync_shared.work import to_json

router = APIRouter(tags=["internal"])


class SendMessage(MessageCreate):
    """Data of `send_message`."""

    channel_id: ChannelId


class MarkRead(ReadMark):
    """Data of `mark_read`."""

    channel_id: ChannelId


class _Parts(NamedTuple):
    context: ChatContext
    marks: ReadMarkBatch


async def _send_message(
    command: Command, data: SendMessage, parts: _Parts
) -> Awaitable[CommandDone]:
    draft = await draft_of(parts.context, command.user_id, data.channel_id, data)

    async def rest() -> CommandDone:
        return CommandDone((await parts.context.posting.post(draft)).body)

    return rest()


async def _mark_read(command: Command, data: MarkRead, parts: _Parts) -> Awaitable[CommandDone]:
    async def rest() -> CommandDone:
        return CommandDone(
            to_json(await parts.marks.write(command.user_id, data.channel_id, data.place))
        )

    return rest()


def _parts_of(state: State, commands: Sequence[Command]) -> _Parts:
    """With all marks of one call: who scrolls sends many, and only the furthest is written."""
    marks = ReadMarkBatch(state.context.work)
    for command in commands:
        if command.kind == "mark_read":
            with suppress(ValidationError):  # refused when it is its turn
                data = MarkRead.model_validate(command.data)
                marks.add(command.user_id, data.channel_id, data.place)
    return _Parts(state.context, marks)


ENDPOINT: Final = CommandsEndpoint(
    chat.RUN_COMMANDS,
    {
        SocketCommand("send_message", SendMessage, MessageRead, "Post a message"): _send_message,
        SocketCommand("mark_read", MarkRead, ReadRead, "Mark a channel as read"): _mark_read,
    },
    _parts_of,
)
COMMANDS: Final = ENDPOINT.declared


@serve(
    router,
    GET_ACQUAINTANCE,
    Invalid,
    summary="Check whether a user is acquainted with another",
)
async def check_acquaintance(
    asked: Annotated[AcquaintanceAsked, Depends()], context: Context
) -> AcquaintanceRead:
    """True if both are in a channel or conversation that `other_id` has created, joined, accepted
    or written to since `user_id` came. Blocks are not considered. The channel isn't disclosed.
    """
    found = await people.acquainted(context.work, asked.user_id, [asked.other_id])
    return AcquaintanceRead(acquainted=bool(found))


@serve(router, chat.LIST_ACQUAINTANCES, Invalid, summary="List acquainted users")
async def list_acquaintances(
    body: chat.AcquaintancesAsked, context: Context
) -> chat.AcquaintancesRead:
    """As for two users, for up to 200 at once. Users who don't exist are left out."""
    return chat.AcquaintancesRead(
        await people.acquainted(context.work, body.user_id, body.other_ids, body.looking)
    )
