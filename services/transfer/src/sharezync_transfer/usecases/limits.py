"""How many offers may wait for an answer: of one sender, and from strangers to one recipient."""

from collections.abc import Collection
from typing import Final
from uuid import UUID

from sharezync_shared.ids import UserId
from sharezync_shared.streams.log import Connection
from sharezync_transfer.problems import TooManyOffers

OF_SENDER: Final = 100
"""Offers that nobody has taken: who has more is not sending files to people any more."""
FROM_STRANGERS: Final = 10
"""Offers to one person by all whom they don't know: what a list still shows at a glance."""

_OF_SENDER: Final = """
SELECT count(*) FROM transfer.transfers
WHERE sender_id = $1 AND ended_at IS NULL AND state = 'offered'
"""
# What is hidden from a recipient counts for nobody but its sender, and for them like all else: so
# they meet the same limit as if they were not blocked.
_FROM_STRANGERS: Final = """
SELECT r.user_id, count(*) AS pending FROM transfer.recipients AS r
JOIN transfer.transfers AS t ON t.id = r.transfer_id
WHERE r.user_id = ANY($2::uuid[]) AND r.state = 'offered' AND r.stranger
    AND (NOT r.hidden OR t.sender_id = $1)
GROUP BY r.user_id HAVING count(*) >= $3
ORDER BY r.user_id LIMIT 1
"""


async def check(connection: Connection, sender_id: UserId, to_strangers: Collection[UUID]) -> None:
    """Raise TooManyOffers where one more would be too many.

    Hold the streams of the sender and of these recipients: then nobody counts at the same time.
    """
    pending = await connection.fetchval(_OF_SENDER, sender_id)
    if pending >= OF_SENDER:
        raise TooManyOffers(
            f"{pending} of your offers wait for an answer", of="sender", limit=OF_SENDER,
            pending=pending,
        )  # fmt: skip
    row = await connection.fetchrow(_FROM_STRANGERS, sender_id, list(to_strangers), FROM_STRANGERS)
    if row is not None:
        raise TooManyOffers(
            "A recipient has many offers from people they don't know", of="recipient",
            user_id=str(row["user_id"]), limit=FROM_STRANGERS, pending=row["pending"],
        )  # fmt: skip
