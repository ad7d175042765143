"""What transfer tells on its streams, declared for `x-realtime`: a new event needs a row."""

from typing import Final

from sharezync_shared.streams.declared import StreamEvent
from sharezync_transfer.usecases.wire import (
    PolicyRead,
    ProgressOfSent,
    ProgressRead,
    TransferRead,
)

EVENTS: Final = (
    StreamEvent("incoming_transfer", "transfers", TransferRead, "Files are offered to you"),
    StreamEvent("transfer_updated", "transfers", TransferRead, "A transfer of yours has changed"),
    StreamEvent(
        "transfer_completed", "transfers", TransferRead, "A recipient has everything, verified"
    ),
    StreamEvent(
        "policy_updated", "transfers", PolicyRead, "You said what becomes of offers to a device"
    ),
    StreamEvent(
        "progress_update",
        "transfers",
        ProgressRead | ProgressOfSent,
        "How far a transfer is, ten times a second at most; the sender sees each recipient",
        signal=True,
    ),
)
