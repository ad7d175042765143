"""Commands that came in on sockets: the same use cases as REST."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Final

import msgspec
from pydantic import BaseModel
from starlette.datastructures import State

from sharezync_shared.contracts.commands import Command
from sharezync_shared.contracts.transfer import RUN_COMMANDS
from sharezync_shared.streams.commands import CommandDone, CommandsEndpoint
from sharezync_shared.streams.declared import SocketCommand
from sharezync_shared.work import to_json
from sharezync_transfer.access import Actor
from sharezync_transfer.api.dependencies import ranges_of
from sharezync_transfer.api.transfers import opened, taken
from sharezync_transfer.models import TransferId
from sharezync_transfer.schemas import (
    Acceptance,
    NoDetails,
    ResumeRequest,
    TransferOffer,
    TransferOpened,
    TransferRead,
    TransferTaken,
)
from sharezync_transfer.usecases import commands, completing, offering
from sharezync_transfer.usecases.capabilities import Participation
from sharezync_transfer.usecases.commands import PlainAct
from sharezync_transfer.usecases.context import TransferServiceContext


class _Named(BaseModel):
    transfer_id: TransferId


class _Accept(_Named, Acceptance):
    """Data of `transfer_accept`."""


class _Resume(_Named, ResumeRequest):
    """Data of `transfer_resume`."""


class _Plain(_Named, NoDetails):
    """Data of the commands that only name a transfer."""


async def _start(
    command: Command, data: TransferOffer, context: TransferServiceContext
) -> CommandDone:
    found = (await offering.offer(context, _actor(command), data)).outcome
    return _done(context, opened(context, found), found)


async def _accept(command: Command, data: _Accept, context: TransferServiceContext) -> CommandDone:
    published = await commands.accept(context.work, _actor(command), data.transfer_id, data.files)
    return _done(context, taken(context, published.outcome), published.outcome)


async def _resume(command: Command, data: _Resume, context: TransferServiceContext) -> CommandDone:
    have = None if data.have is None else ranges_of(data.have)
    published = await commands.resume(context.work, _actor(command), data.transfer_id, have)
    return _done(context, published.outcome.transfer, published.outcome)


def _acting(
    what: PlainAct,
) -> Callable[[Command, _Plain, TransferServiceContext], Awaitable[CommandDone]]:
    async def act(command: Command, data: _Plain, context: TransferServiceContext) -> CommandDone:
        published = await commands.act(context.work, _actor(command), data.transfer_id, what)
        return CommandDone(to_json(published.outcome))

    return act


async def _complete(command: Command, data: _Plain, context: TransferServiceContext) -> CommandDone:
    published = await completing.complete(context, _actor(command), data.transfer_id)
    return CommandDone(to_json(published.outcome))


def _actor(command: Command) -> Actor:
    return Actor(command.user_id, command.device_id)


def _done(
    context: TransferServiceContext, data: BaseModel, participation: Participation
) -> CommandDone:
    """Answer a command, with the participation that its gateway would ask for next."""
    read = participation.read(context.settings.transfer_window_bytes)
    return CommandDone(to_json(data), msgspec.json.encode(read))


def _context_of(state: State, _: Sequence[Command]) -> TransferServiceContext:
    context: TransferServiceContext = state.context
    return context


ENDPOINT: Final = CommandsEndpoint(
    RUN_COMMANDS,
    {
        SocketCommand(
            "file_transfer_start", TransferOffer, TransferOpened, "Create a transfer"
        ): _start,
        SocketCommand("transfer_accept", _Accept, TransferTaken, "Accept a transfer"): _accept,
        SocketCommand("transfer_reject", _Plain, TransferRead, "Reject a transfer"): _acting(
            "reject"
        ),
        SocketCommand("transfer_pause", _Plain, TransferRead, "Pause a transfer"): _acting("pause"),
        SocketCommand("transfer_resume", _Resume, TransferRead, "Resume a transfer"): _resume,
        SocketCommand("transfer_cancel", _Plain, TransferRead, "Cancel a transfer"): _acting(
            "cancel"
        ),
        SocketCommand("transfer_complete", _Plain, TransferRead, "Complete a transfer"): _complete,
    },
    _context_of,
)
COMMANDS: Final = ENDPOINT.declared
