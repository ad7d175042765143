"""Routes for other services: commands that users sent on WebSockets."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from contextlib import suppress
from typing import Annotated, Any, Final, NamedTuple

import msgspec
import structlog
from fastapi import APIRouter, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from pydantic import BaseModel, Field, ValidationError
from starlette.datastructures import State
from starlette.types import Receive, Scope, Send

from sharezync_chat.api.common import PeersPart, PostingPart, WorkPart
from sharezync_chat.api.me import ReadMark
from sharezync_chat.api.messages import MessageCreate
from sharezync_chat.models import ChannelId
from sharezync_chat.usecases import messages
from sharezync_chat.usecases.peers import Peers
from sharezync_chat.usecases.posting import Posting
from sharezync_chat.usecases.reading import Mark, Marks
from sharezync_chat.usecases.wire import MessageRead, ReadRead
from sharezync_shared.db.outages import Outages
from sharezync_shared.db.work import Work, to_json
from sharezync_shared.ids import DeviceId, UserId
from sharezync_shared.names.policies import Parsed
from sharezync_shared.problems import (
    Broken,
    Invalid,
    Problem,
    Unauthenticated,
    field_errors,
    problems,
    refusal_document,
)
from sharezync_shared.sizes import MAX_COMMANDS
from sharezync_shared.streams.declared import SocketCommand
from sharezync_shared.tokens import InternalCaller, bearer_token

log = structlog.get_logger()


class Command(BaseModel):
    """A frame that a user sent."""

    user_id: UserId
    device_id: DeviceId | None = None
    kind: Parsed = Field(examples=["send_message"], description="`send_message` or `mark_read`")
    data: dict[str, Any]


class Commands(BaseModel):
    """Frames that users sent."""

    commands: list[Command] = Field(min_length=1, max_length=MAX_COMMANDS)


class SendMessage(MessageCreate):
    """Data of `send_message`."""

    channel_id: ChannelId


class MarkRead(ReadMark):
    """Data of `mark_read`."""

    channel_id: ChannelId


class CommandResult(BaseModel):
    """The result of a command: `data` on success, else `problem`."""

    data: Annotated[dict[str, Any] | None, Field(description="As in the REST response")] = None
    problem: Annotated[dict[str, Any] | None, Field(description="A problem document")] = None


class CommandResults(BaseModel):
    """Results of commands."""

    results: list[CommandResult]


class CommandsRoute(APIRoute):
    """Documented as any route, and served without FastAPI's way from a request to a function.

    That way costs more than all else that chat does for a message, and one call for each is made
    of a quiet socket.
    """

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["method"] != "POST":
            await super().handle(scope, receive, send)
            return
        state: State = scope["app"].state
        caller = await state.verifier.verify_service(bearer_token(scope["headers"]))
        request = Request(scope, receive)
        commands = _commands_of(await request.body())
        answer = await run_commands(caller, commands, state.work, state.posting, state.peers)
        await answer(scope, receive, send)


router = APIRouter(prefix="/internal", tags=["internal"], route_class=CommandsRoute)
"""To be tried before the others: this is the busiest."""


@router.post(
    "/commands",
    summary="Run socket commands",
    response_model=CommandResults,
    responses=problems(Unauthenticated, Invalid),
)
async def run_commands(
    _: InternalCaller, body: Commands, work: WorkPart, posting: PostingPart, peers: PeersPart
) -> Response:
    """Runs the commands with the same use cases as REST. Each fails or succeeds independently.

    Messages of one user are posted in the given order, those of different users concurrently. Of
    several read marks of a user in a channel, only the furthest is written and returned for all.
    """
    by_user: dict[UserId, list[int]] = {}
    for place, command in enumerate(body.commands):
        by_user.setdefault(command.user_id, []).append(place)
    results: list[bytes] = [b""] * len(body.commands)

    async def run_of_one_user(places: Sequence[int]) -> None:
        # What may take long (asking storage for files) comes before a command takes its place in
        # the order, and the next one begins while this one is being written.
        begun = [
            (place, asyncio.create_task(_finish(await _begin(body.commands[place], parts), parts)))
            for place in places
        ]
        for place, task in begun:
            results[place] = await task

    parts = _Parts(posting, peers, _marks_in(body.commands, work), work.database.outages)
    await asyncio.gather(*(run_of_one_user(places) for places in by_user.values()))
    return Response(b'{"results":[' + b",".join(results) + b"]}", media_type="application/json")


def _commands_of(body: bytes) -> Commands:
    """Read a body, and refuse it as FastAPI would."""
    try:
        return Commands.model_validate_json(body)
    except ValidationError as error:
        faults = [{**each, "loc": ("body", *each["loc"])} for each in error.errors()]
        raise RequestValidationError(faults) from error


class _Parts(NamedTuple):
    posting: Posting
    peers: Peers
    marks: Marks
    outages: Outages


_Rest = Coroutine[Any, Any, bytes]
"""What is left to do of a command: it ends with the JSON of `data`."""


async def _send_message(command: Command, parts: _Parts) -> _Rest:
    data = SendMessage.model_validate(command.data)
    draft = await messages.prepare(
        parts.peers,
        channel_id=data.channel_id,
        author_id=command.user_id,
        text=data.text,
        attachments=data.attachments,
        reply_to=data.reply_to,
        client_message_id=data.client_message_id,
    )

    async def rest() -> bytes:
        return (await parts.posting.post(draft)).body

    return rest()


async def _mark_read(command: Command, parts: _Parts) -> _Rest:
    data = MarkRead.model_validate(command.data)

    async def rest() -> bytes:
        return to_json(await parts.marks.write(command.user_id, data.channel_id, _mark(data)))

    return rest()


def _marks_in(commands: Sequence[Command], work: Work) -> Marks:
    """Return all marks of one call: who scrolls sends many, and only the furthest matters."""
    marks = Marks(work)
    for command in commands:
        if command.kind == "mark_read":
            with suppress(ValidationError):  # refused when it is its turn
                data = MarkRead.model_validate(command.data)
                marks.add(command.user_id, data.channel_id, _mark(data))
    return marks


def _mark(data: MarkRead) -> Mark:
    return Mark(data.seq, data.message_id)


_KINDS: Final[Mapping[str, Callable[[Command, _Parts], Awaitable[_Rest]]]] = {
    "send_message": _send_message,
    "mark_read": _mark_read,
}


COMMANDS: Final = (
    SocketCommand("send_message", SendMessage, MessageRead, "Post a message"),
    SocketCommand("mark_read", MarkRead, ReadRead, "Mark a channel as read"),
)
"""The same for `x-realtime`."""


async def _begin(command: Command, parts: _Parts) -> _Rest:
    """Do what comes before a command's place in the order; never raises."""
    try:
        begin = _KINDS.get(command.kind)
        if begin is None:
            raise Invalid(f"Unknown command {command.kind!r}")
        return await begin(command, parts)
    except ValidationError as error:
        return _refuse(Invalid(errors=field_errors(error.errors(), "data")))
    except Exception as error:  # noqa: BLE001 - the rim of one command
        return _refuse(error)


async def _refuse(error: Exception) -> bytes:
    raise error


async def _finish(rest: _Rest, parts: _Parts) -> bytes:
    """Carry a command out and return its result as JSON; never raises."""
    try:
        return b'{"data":' + await rest + b"}"
    except Problem as problem:
        refusal = problem
    except Exception as error:
        outage = parts.outages.problem_of(error)
        if outage is None:
            log.exception("command_failed", exc_info=error)
        refusal = outage or Broken()
    return msgspec.json.encode({"problem": refusal_document(refusal)})
