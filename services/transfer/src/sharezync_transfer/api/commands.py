"""Commands that came in on sockets: the same use cases as REST."""

from collections.abc import Awaitable, Callable, Mapping
from datetime import timedelta
from typing import Annotated, Any, Final, NamedTuple

import msgspec
import structlog
from fastapi import APIRouter, Response
from pydantic import BaseModel, Field, ValidationError

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
from sharezync_shared.streams.declared import SocketCommand
from sharezync_shared.tokens import InternalCaller
from sharezync_transfer.access import Actor
from sharezync_transfer.api.attachments import AttachmentRead
from sharezync_transfer.api.bodies import Acceptance, NoDetails, Resumption, TransferOffer
from sharezync_transfer.api.common import GrantsPart, PeersPart, SettingsPart, WorkPart, ranges_of
from sharezync_transfer.models import TransferId
from sharezync_transfer.settings import TransferSettings
from sharezync_transfer.usecases import acting, completing, offering
from sharezync_transfer.usecases.attachments import Attachment
from sharezync_transfer.usecases.capabilities import Grants
from sharezync_transfer.usecases.peers import Peers
from sharezync_transfer.usecases.receptions import Addressee
from sharezync_transfer.usecases.wire import TransferOpened, TransferRead, TransferTaken

log = structlog.get_logger()

router = APIRouter(prefix="/internal", tags=["internal"])


class Command(BaseModel):
    """A frame that a user sent."""

    user_id: UserId
    device_id: DeviceId | None = None
    kind: Parsed = Field(examples=["transfer_accept"], description="Type of the frame")
    data: dict[str, Any]


class Commands(BaseModel):
    """Frames that users sent."""

    commands: list[Command] = Field(min_length=1, max_length=100)


class CommandResult(BaseModel):
    """The result of a command: `data` on success, else `problem`."""

    data: Annotated[dict[str, Any] | None, Field(description="As in the REST response")] = None
    end: Annotated[
        AttachmentRead | None,
        Field(description="Part of the user in the transfer, if chunks may be moved"),
    ] = None
    problem: Annotated[dict[str, Any] | None, Field(description="A problem document")] = None


class CommandResults(BaseModel):
    """Results of commands."""

    results: list[CommandResult]


class _Parts(NamedTuple):
    work: Work
    peers: Peers
    settings: TransferSettings
    grants: Grants


class _Named(BaseModel):
    transfer_id: TransferId


class _Accept(_Named, Acceptance):
    """Data of `transfer_accept`."""


class _Resume(_Named, Resumption):
    """Data of `transfer_resume`."""


class _Plain(_Named, NoDetails):
    """Data of the commands that only name a transfer."""


@router.post(
    "/commands",
    summary="Run socket commands",
    response_model=CommandResults,
    responses=problems(Unauthenticated, Invalid),
)
async def run_commands(
    _: InternalCaller,
    body: Commands,
    work: WorkPart,
    peers: PeersPart,
    settings: SettingsPart,
    grants: GrantsPart,
) -> Response:
    """Runs the commands with the same use cases as REST. Each fails or succeeds independently."""
    parts = _Parts(work, peers, settings, grants)
    results = [await _run(command, parts) for command in body.commands]
    return Response(b'{"results":[' + b",".join(results) + b"]}", media_type="application/json")


class _Done(NamedTuple):
    """What a command is answered with. `end`: what its gateway would have to ask for next."""

    data: BaseModel
    end: Attachment | None = None


async def _start(command: Command, actor: Actor, parts: _Parts) -> _Done:
    data = TransferOffer.model_validate(command.data)
    expires_in_s = data.expires_in_s
    told = await offering.offer(
        parts.work,
        parts.peers,
        parts.settings,
        actor=actor,
        to=[Addressee(each.user_id, each.device_id) for each in data.recipients],
        files=[file.offered() for file in data.files],
        chunk_size_bytes=data.chunk_size,
        note=data.note,
        expires_in=None if expires_in_s is None else timedelta(seconds=expires_in_s),
        client_transfer_id=data.client_transfer_id,
    )
    transfer = told.outcome.transfer
    token = parts.grants.to(actor.user_id, "sender", transfer)
    window_bytes = parts.settings.transfer_window_bytes
    return _Done(TransferOpened.with_window(transfer, window_bytes, token), told.outcome)


async def _accept(command: Command, actor: Actor, parts: _Parts) -> _Done:
    data = _Accept.model_validate(command.data)
    told = await acting.accept(
        parts.work, actor=actor, transfer_id=data.transfer_id, files=data.files
    )
    token = parts.grants.to(actor.user_id, "recipient", told.outcome.transfer)
    return _Done(TransferTaken.with_token(told.outcome.transfer, token), told.outcome)


async def _resume(command: Command, actor: Actor, parts: _Parts) -> _Done:
    data = _Resume.model_validate(command.data)
    have = None if data.have is None else ranges_of(data.have)
    told = await acting.resume(parts.work, actor=actor, transfer_id=data.transfer_id, have=have)
    return _Done(told.outcome.transfer, told.outcome)


async def _reject(command: Command, actor: Actor, parts: _Parts) -> _Done:
    transfer_id = _Plain.model_validate(command.data).transfer_id
    return _Done((await acting.reject(parts.work, actor=actor, transfer_id=transfer_id)).outcome)


async def _pause(command: Command, actor: Actor, parts: _Parts) -> _Done:
    transfer_id = _Plain.model_validate(command.data).transfer_id
    return _Done((await acting.pause(parts.work, actor=actor, transfer_id=transfer_id)).outcome)


async def _cancel(command: Command, actor: Actor, parts: _Parts) -> _Done:
    transfer_id = _Plain.model_validate(command.data).transfer_id
    return _Done((await acting.cancel(parts.work, actor=actor, transfer_id=transfer_id)).outcome)


async def _complete(command: Command, actor: Actor, parts: _Parts) -> _Done:
    transfer_id = _Plain.model_validate(command.data).transfer_id
    told = await completing.complete(parts.work, parts.peers, actor=actor, transfer_id=transfer_id)
    return _Done(told.outcome)


_KINDS: Final[Mapping[str, Callable[[Command, Actor, _Parts], Awaitable[_Done]]]] = {
    "file_transfer_start": _start,
    "transfer_accept": _accept,
    "transfer_reject": _reject,
    "transfer_pause": _pause,
    "transfer_resume": _resume,
    "transfer_cancel": _cancel,
    "transfer_complete": _complete,
}


COMMANDS: Final = (
    SocketCommand("file_transfer_start", TransferOffer, TransferOpened, "Create a transfer"),
    SocketCommand("transfer_accept", _Accept, TransferTaken, "Accept a transfer"),
    SocketCommand("transfer_reject", _Plain, TransferRead, "Reject a transfer"),
    SocketCommand("transfer_pause", _Plain, TransferRead, "Pause a transfer"),
    SocketCommand("transfer_resume", _Resume, TransferRead, "Resume a transfer"),
    SocketCommand("transfer_cancel", _Plain, TransferRead, "Cancel a transfer"),
    SocketCommand("transfer_complete", _Plain, TransferRead, "Complete a transfer"),
)
"""The same for `x-realtime`."""


async def _run(command: Command, parts: _Parts) -> bytes:
    """Carry a command out and return its result as JSON; never raises."""
    refusal: Problem
    try:
        run = _KINDS.get(command.kind)
        if run is None:
            raise Invalid(f"Unknown command {command.kind!r}")
        actor = Actor(command.user_id, command.device_id)
        done = await run(command, actor, parts)
        if done.end is None:
            return b'{"data":' + to_json(done.data) + b"}"
        end = AttachmentRead.of(done.end, actor, parts.settings)
        return b'{"data":' + to_json(done.data) + b',"end":' + to_json(end) + b"}"
    except ValidationError as error:
        refusal = Invalid(errors=field_errors(error.errors(), "data"))
    except Problem as problem:
        refusal = problem
    except Exception as error:
        outage = parts.work.database.outages.problem_of(error)
        if outage is None:
            log.exception("command_failed", exc_info=error)
        refusal = outage or Broken()
    return msgspec.json.encode({"problem": refusal_document(refusal)})
