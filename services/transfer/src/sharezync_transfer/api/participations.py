"""Somebody's end of a transfer, as gateways are told of it."""

from sharezync_shared.contracts.transfer import FileState, ParticipationRead, TransferState
from sharezync_transfer.access import Actor
from sharezync_transfer.settings import TransferSettings
from sharezync_transfer.usecases import attachments


def attachment_of(
    end: attachments.Participation, actor: Actor, settings: TransferSettings
) -> ParticipationRead:
    """Return an end as the contract has it."""
    transfer = end.transfer
    return ParticipationRead(
        user_id=actor.user_id,
        device_id=actor.device_id,
        role=end.role,
        transfer=TransferState(
            transfer.id,
            transfer.state,
            [
                FileState(file.index, file.stored_bytes, file.root, file.name, file.mime)
                for file in transfer.files
            ],
        ),
        window_bytes=settings.transfer_window_bytes,
        files=end.files,
        received=dict(end.received),
    )
