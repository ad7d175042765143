"""Commands that came in on sockets: the same use cases as REST."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Final, NamedTuple

import msgspec
from pydantic import BaseModel
from starlette.datastructures import State

from sharezync_shared.contracts.commands import Command
from sharezync_shared.contracts.services import Services
from sharezync_shared.contracts.transfer import RUN_COMMANDS
from sharezync_shared.db.work import UnitsOfWork, to_json
from sharezync_shared.streams.commands import CommandDone, CommandsEndpoint
from sharezync_shared.streams.declared import SocketCommand
from sharezync_transfer.access import Actor
from sharezync_transfer.api.attachments import attachment_of
from sharezync_transfer.api.bodies import Acceptance, NoDetails, ResumeRequest, TransferOffer
from sharezync_transfer.api.common import ranges_of
from sharezync_transfer.models import TransferId
from sharezync_transfer.settings import TransferSettings
from sharezync_transfer.usecases import acting, completing, offering
from sharezync_transfer.usecases.attachments import Participation
from sharezync_transfer.usecases.capabilities import CapabilityIssuer
from sharezync_transfer.usecases.offer_policy import OfferRecipient
from sharezync_transfer.usecases.wire import TransferOpened, TransferRead, TransferTaken


class _Parts(NamedTuple):
    work: UnitsOfWork
    services: Services
    settings: TransferSettings
    grants: CapabilityIssuer

    def done(self, data: BaseModel, actor: Actor, end: Participation) -> CommandDone:
        """Answer a command with what its gateway would have to ask for next."""
        return CommandDone(
            to_json(data), msgspec.json.encode(attachment_of(end, actor, self.settings))
        )


class _Named(BaseModel):
    transfer_id: TransferId


class _Accept(_Named, Acceptance):
    """Data of `transfer_accept`."""


class _Resume(_Named, ResumeRequest):
    """Data of `transfer_resume`."""


class _Plain(_Named, NoDetails):
    """Data of the commands that only name a transfer."""


async def _start(command: Command, data: TransferOffer, parts: _Parts) -> CommandDone:
    actor = _actor(command)
    expires_in_s = data.expires_in_s
    told = await offering.offer(
        parts.work,
        parts.services,
        parts.settings,
        actor=actor,
        to=[OfferRecipient(each.user_id, each.device_id) for each in data.recipients],
        files=[file.offered() for file in data.files],
        chunk_size_bytes=data.chunk_size,
        note=data.note,
        expires_in=None if expires_in_s is None else timedelta(seconds=expires_in_s),
        client_transfer_id=data.client_transfer_id,
    )
    transfer = told.outcome.transfer
    token = parts.grants.to(actor.user_id, "sender", transfer)
    window_bytes = parts.settings.transfer_window_bytes
    opened = TransferOpened.with_window(transfer, window_bytes, token)
    return parts.done(opened, actor, told.outcome)


async def _accept(command: Command, data: _Accept, parts: _Parts) -> CommandDone:
    actor = _actor(command)
    told = await acting.accept(
        parts.work, actor=actor, transfer_id=data.transfer_id, files=data.files
    )
    token = parts.grants.to(actor.user_id, "recipient", told.outcome.transfer)
    taken = TransferTaken.with_token(told.outcome.transfer, token)
    return parts.done(taken, actor, told.outcome)


async def _resume(command: Command, data: _Resume, parts: _Parts) -> CommandDone:
    actor = _actor(command)
    have = None if data.have is None else ranges_of(data.have)
    told = await acting.resume(parts.work, actor=actor, transfer_id=data.transfer_id, have=have)
    return parts.done(told.outcome.transfer, actor, told.outcome)


async def _reject(command: Command, data: _Plain, parts: _Parts) -> CommandDone:
    told = await acting.reject(parts.work, actor=_actor(command), transfer_id=data.transfer_id)
    return CommandDone(to_json(told.outcome))


async def _pause(command: Command, data: _Plain, parts: _Parts) -> CommandDone:
    told = await acting.pause(parts.work, actor=_actor(command), transfer_id=data.transfer_id)
    return CommandDone(to_json(told.outcome))


async def _cancel(command: Command, data: _Plain, parts: _Parts) -> CommandDone:
    told = await acting.cancel(parts.work, actor=_actor(command), transfer_id=data.transfer_id)
    return CommandDone(to_json(told.outcome))


async def _complete(command: Command, data: _Plain, parts: _Parts) -> CommandDone:
    told = await completing.complete(
        parts.work, parts.services, actor=_actor(command), transfer_id=data.transfer_id
    )
    return CommandDone(to_json(told.outcome))


def _actor(command: Command) -> Actor:
    return Actor(command.user_id, command.device_id)


def _parts_of(state: State, _: Sequence[Command]) -> _Parts:
    return _Parts(state.work, state.services, state.settings, state.grants)


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
    _parts_of,
)
COMMANDS: Final = ENDPOINT.declared
