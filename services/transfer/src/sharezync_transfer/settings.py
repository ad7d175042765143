"""Settings of transfer, read from the environment."""

from datetime import timedelta
from typing import Final

from pydantic import Field

from sharezync_shared.settings import Settings
from sharezync_shared.sizes import GIB, KIB, MAX_CHUNK_BYTES, MAX_REQUEST_BYTES, MIB

MIN_CHUNK_BYTES: Final = 64 * KIB
"""Smaller ones cost more in headers, acknowledgements and rows than they win on a bad line."""
MAX_FILES: Final = 1000
MAX_RECIPIENTS: Final = 50
MAX_OFFER_BYTES: Final = MAX_REQUEST_BYTES
"""The body of an offer: a kilobyte for each of `MAX_FILES`, with its digest and its path."""


class TransferSettings(Settings):
    """Settings of the transfer service; field names in upper case are the variables."""

    port: int = Field(8003, ge=0, le=65535)  # 0: any that is free

    # All files of one transfer together. What may be kept of it is for storage's quotas to say.
    transfer_max_bytes: int = Field(100 * GIB, ge=0)
    # What a sender may have on its way, unacknowledged: enough for 100 MiB/s at 40 ms.
    transfer_window_bytes: int = Field(4 * MIB, ge=MAX_CHUNK_BYTES, le=32 * MIB)
    # Without a word from the sender: long enough for a recipient who is on a week's holiday.
    transfer_expire_days: float = Field(7, gt=0, le=30)
    transfer_longest_expire_days: float = Field(30, gt=0)
    # --- how much at once: docs/limits.md ----------------------------------------------------
    # Offers of one sender that nobody has taken: who has more is not sending files to people.
    offers_per_sender: int = Field(100, ge=1)
    # Offers to one person by all whom they don't know: what a list still shows at a glance; and by
    # everybody: what somebody finds who comes back after a month.
    offers_from_strangers: int = Field(10, ge=1)
    offers_per_recipient: int = Field(500, ge=1)
    # Of one sender that have not ended, in whatever state, and files in them: rows, and places at
    # storage.
    transfers_per_sender: int = Field(500, ge=1)
    transfer_files_per_sender: int = Field(20_000, ge=1)

    # How often the service looks for offers whose time is over.
    transfer_sweep_seconds: float = Field(5, gt=0)
    # How long the chunks of a completed transfer are kept for a recipient whose disk failed them.
    transfer_keep_completed_hours: float = Field(1, ge=0)

    @property
    def keep_completed(self) -> timedelta:
        """How long chunks outlive the completion of their transfer."""
        return timedelta(hours=self.transfer_keep_completed_hours)
