"""Who has sent something to whom."""

from typing import Final

from sharezync_shared.db.work import Work
from sharezync_shared.ids import UserId

# Two walks along the indexes by sender and by recipient, each in the order of transfers.
SHARED: Final = """
SELECT EXISTS (
    SELECT FROM transfer.transfers AS t JOIN transfer.recipients AS r ON r.transfer_id = t.id
    WHERE t.sender_id = $2 AND r.user_id = $1 AND r.accepted_at IS NOT NULL
) OR EXISTS (
    SELECT FROM transfer.transfers AS t JOIN transfer.recipients AS r ON r.transfer_id = t.id
    WHERE t.sender_id = $1 AND r.user_id = $2 AND r.accepted_at IS NOT NULL
)
"""


async def exists(work: Work, user_id: UserId, other_id: UserId) -> bool:
    """Return whether one of them once accepted what the other had sent.

    The same both ways: who accepts shows it. Recipients of one transfer don't meet in it.
    """
    async with (await work.database.pool()).acquire() as connection:
        return bool(await connection.fetchval(SHARED, user_id, other_id))
