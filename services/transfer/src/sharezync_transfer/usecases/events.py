"""The events that transfer publishes, declared for `x-realtime`: a new one needs a row."""

from typing import Final

from sharezync_shared.streams.declared import StreamEvent
from sharezync_transfer.schemas import (
    PolicyRead,
    ProgressOfSent,
    ProgressRead,
    TransferRead,
)

EVENTS: Final = (
    StreamEvent(
        "incoming_transfer", "transfers", TransferRead, "A transfer is offered to the user"
    ),
    StreamEvent(
        "transfer_updated", "transfers", TransferRead, "A transfer of the user has changed"
    ),
    StreamEvent(
        "transfer_completed", "transfers", TransferRead, "A recipient has completed a transfer"
    ),
    StreamEvent(
        "policy_updated", "transfers", PolicyRead, "The offer policy of a device has changed"
    ),
    StreamEvent(
        "progress_update",
        "transfers",
        ProgressRead | ProgressOfSent,
        "Progress of a transfer, at most ten times a second",
        signal=True,
    ),
)
