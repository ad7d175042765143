"""Participations, as gateways read them."""

from sharezync_shared.contracts.transfer import FileState, ParticipationRead, TransferState
from sharezync_transfer.access import Actor
from sharezync_transfer.settings import TransferSettings
from sharezync_transfer.usecases.participations import Participation


def participation_read(
    participation: Participation, actor: Actor, settings: TransferSettings
) -> ParticipationRead:
    """Return a participation as the contract has it."""
    transfer = participation.transfer
    return ParticipationRead(
        user_id=actor.user_id,
        device_id=actor.device_id,
        role=participation.role,
        transfer=TransferState(
            transfer.id,
            transfer.state,
            [
                FileState(file.index, file.stored_bytes, file.root, file.name, file.mime)
                for file in transfer.files
            ],
        ),
        window_bytes=settings.transfer_window_bytes,
        files=participation.files,
        received=dict(participation.received),
    )
