"""Commands that came in on sockets: the same use cases as REST."""

from collections.abc import Sequence
from datetime import timedelta
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
from sharezync_transfer.api.dependencies import TransferServiceContext, ranges_of
from sharezync_transfer.api.participations import participation_read
from sharezync_transfer.api.requests import Acceptance, NoDetails, ResumeRequest, TransferOffer
from sharezync_transfer.models import TransferId
from sharezync_transfer.schemas import TransferOpened, TransferRead, TransferTaken
from sharezync_transfer.usecases import commands, completing, offering
from sharezync_transfer.usecases.offer_policy import OfferRecipient
from sharezync_transfer.usecases.participations import Participation


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
    actor = _actor(command)
    expires_in_s = data.expires_in_s
    published = await offering.offer(
        context.work,
        context.services,
        context.settings,
        actor=actor,
        to=[OfferRecipient(each.user_id, each.device_id) for each in data.recipients],
        files=[file.offered() for file in data.files],
        chunk_size_bytes=data.chunk_size,
        note=data.note,
        expires_in=None if expires_in_s is None else timedelta(seconds=expires_in_s),
        client_transfer_id=data.client_transfer_id,
    )
    transfer = published.outcome.transfer
    token = context.capabilities.to(actor.user_id, "sender", transfer)
    window_bytes = context.settings.transfer_window_bytes
    opened = TransferOpened.with_window(transfer, window_bytes, token)
    return _done(context, opened, actor, published.outcome)


async def _accept(command: Command, data: _Accept, context: TransferServiceContext) -> CommandDone:
    actor = _actor(command)
    published = await commands.accept(
        context.work, actor=actor, transfer_id=data.transfer_id, files=data.files
    )
    token = context.capabilities.to(actor.user_id, "recipient", published.outcome.transfer)
    taken = TransferTaken.with_token(published.outcome.transfer, token)
    return _done(context, taken, actor, published.outcome)


async def _resume(command: Command, data: _Resume, context: TransferServiceContext) -> CommandDone:
    actor = _actor(command)
    have = None if data.have is None else ranges_of(data.have)
    published = await commands.resume(
        context.work, actor=actor, transfer_id=data.transfer_id, have=have
    )
    return _done(context, published.outcome.transfer, actor, published.outcome)


async def _reject(command: Command, data: _Plain, context: TransferServiceContext) -> CommandDone:
    published = await commands.reject(
        context.work, actor=_actor(command), transfer_id=data.transfer_id
    )
    return CommandDone(to_json(published.outcome))


async def _pause(command: Command, data: _Plain, context: TransferServiceContext) -> CommandDone:
    published = await commands.pause(
        context.work, actor=_actor(command), transfer_id=data.transfer_id
    )
    return CommandDone(to_json(published.outcome))


async def _cancel(command: Command, data: _Plain, context: TransferServiceContext) -> CommandDone:
    published = await commands.cancel(
        context.work, actor=_actor(command), transfer_id=data.transfer_id
    )
    return CommandDone(to_json(published.outcome))


async def _complete(command: Command, data: _Plain, context: TransferServiceContext) -> CommandDone:
    published = await completing.complete(
        context.work, context.services, actor=_actor(command), transfer_id=data.transfer_id
    )
    return CommandDone(to_json(published.outcome))


def _actor(command: Command) -> Actor:
    return Actor(command.user_id, command.device_id)


def _done(
    context: TransferServiceContext, data: BaseModel, actor: Actor, participation: Participation
) -> CommandDone:
    """Answer a command, with the participation that its gateway would ask for next."""
    read = participation_read(participation, actor, context.settings)
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
        SocketCommand("transfer_reject", _Plain, TransferRead, "Reject a transfer"): _reject,
        SocketCommand("transfer_pause", _Plain, TransferRead, "Pause a transfer"): _pause,
        SocketCommand("transfer_resume", _Resume, TransferRead, "Resume a transfer"): _resume,
        SocketCommand("transfer_cancel", _Plain, TransferRead, "Cancel a transfer"): _cancel,
        SocketCommand("transfer_complete", _Plain, TransferRead, "Complete a transfer"): _complete,
    },
    _context_of,
)
COMMANDS: Final = ENDPOINT.declared
