"""How many transfers may be under way: of one sender, and how many offers to one recipient."""

from collections.abc import Collection
from typing import Final
from uuid import UUID

from sharezync_shared.ids import UserId
from sharezync_shared.streams.log import Connection
from sharezync_transfer.errors import TooManyFiles, TooManyOffers, TooManyTransfers
from sharezync_transfer.settings import TransferSettings

_STRANGERS_SHARE: Final = 0.5
"""How much of the room for strangers one of them may fill: nobody alone keeps all others out."""

_OF_SENDER: Final = """
SELECT count(*) FILTER (WHERE state = 'offered') AS pending, count(*) AS open,
       coalesce(sum(file_count), 0) AS files
FROM transfer.transfers WHERE sender_id = $1 AND ended_at IS NULL
"""
# What is hidden from a recipient counts as what they leave unanswered, for everybody: by a limit
# nobody can tell that they are blocked, nor a friend of theirs.
_TO_RECIPIENTS: Final = """
SELECT r.user_id, count(*) AS pending, count(*) FILTER (WHERE r.stranger) AS strangers,
       count(*) FILTER (WHERE r.stranger AND t.sender_id = $1) AS own
FROM transfer.recipients AS r JOIN transfer.transfers AS t ON t.id = r.transfer_id
WHERE r.user_id = ANY($2::uuid[]) AND r.state = 'offered'
GROUP BY r.user_id
ORDER BY r.user_id
"""


async def check(
    connection: Connection,
    settings: TransferSettings,
    sender_id: UserId,
    *,
    to: Collection[UUID],
    to_strangers: Collection[UUID],
) -> None:
    """Raise TooManyOffers, TooManyTransfers or TooManyFiles where one more would be too many.

    Hold the streams of the sender and of these recipients: then nobody counts at the same time.
    """
    ((pending, opened, files),) = await connection.fetch(_OF_SENDER, sender_id)
    if pending >= settings.offers_per_sender:
        raise TooManyOffers(
            f"{pending} of your offers wait for an answer", of="sender",
            limit=settings.offers_per_sender, pending=pending,
        )  # fmt: skip
    if opened >= settings.transfers_per_sender:
        raise TooManyTransfers(limit=settings.transfers_per_sender, open=opened)
    if files >= settings.transfer_files_per_sender:
        raise TooManyFiles(limit=settings.transfer_files_per_sender)
    share = max(1, int(settings.offers_from_strangers * _STRANGERS_SHARE))
    found = await connection.fetch(_TO_RECIPIENTS, sender_id, list(to))
    for user_id, waiting, strangers, own in found:
        if user_id in to_strangers and own >= share:
            raise TooManyOffers(
                "The recipient hasn't answered your earlier offers yet", of="recipient",
                user_id=str(user_id), limit=share, pending=own,
            )  # fmt: skip
        if user_id in to_strangers and strangers >= settings.offers_from_strangers:
            raise TooManyOffers(
                "A recipient has many offers from people they don't know", of="recipient",
                user_id=str(user_id), limit=settings.offers_from_strangers, pending=strangers,
            )  # fmt: skip
        if waiting >= settings.offers_per_recipient:
            raise TooManyOffers(
                "A recipient has many offers that wait for an answer", of="recipient",
                user_id=str(user_id), limit=settings.offers_per_recipient, pending=waiting,
            )  # fmt: skip
