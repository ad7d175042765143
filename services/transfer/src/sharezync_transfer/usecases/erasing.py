"""Erasing a user: what they sent or were to get and is under way is cancelled; notes and names of
files go. The rest of the record stays with the other end, under an id that leads to nobody.
"""

from datetime import datetime
from typing import Final

from sqlmodel import col, select

from sharezync_shared.ids import UserId
from sharezync_shared.names.filenames import NAMELESS
from sharezync_shared.work import UnitOfWork
from sharezync_transfer import access, states
from sharezync_transfer.models import USERS, Recipient, Transfer, transfers_stream
from sharezync_transfer.usecases.transitions import move, publish_change

_BLANK: Final = (
    f"""
UPDATE transfer.files AS f SET name = '{NAMELESS}', path = NULL, sha256 = NULL
FROM transfer.transfers AS t WHERE t.id = f.transfer_id AND t.sender_id = $1
""",  # noqa: S608 - a name of ours
    "UPDATE transfer.transfers SET note = '', sender_device_id = NULL WHERE sender_id = $1",
    "UPDATE transfer.recipients SET device_id = NULL WHERE user_id = $1",
)
_THEIRS: Final = (
    "DELETE FROM transfer.policies WHERE user_id = $1",
    "DELETE FROM transfer.acquaintances WHERE one_id = $1 OR other_id = $1",
    "DELETE FROM transfer.sums_by_day WHERE user_id = $1",
    "DELETE FROM transfer.sums_by_peer WHERE user_id = $1",
)
"""What is nobody else's. The sums of those they dealt with stay, under an id that leads nowhere."""


async def erase_user(unit: UnitOfWork, user_id: UserId, at: datetime) -> None:
    """Forget a user, whose account ended at `at`. Safe to repeat: nothing is left to forget."""
    await USERS.erase(unit, user_id, at)
    connection = await unit.raw()
    for statement in _BLANK:
        await connection.execute(statement, user_id)
    theirs = (
        select(Transfer.id)
        .outerjoin(Recipient, col(Recipient.transfer_id) == Transfer.id)
        .where(
            col(Transfer.ended_at).is_(None),
            (col(Transfer.sender_id) == user_id) | (col(Recipient.user_id) == user_id),
        )
        .distinct()
        .order_by(col(Transfer.id))
    )
    for transfer_id in list(await unit.session.exec(theirs)):
        await unit.get(Transfer, transfer_id, lock=True)
    wholes = await access.load(unit, list(await unit.session.exec(theirs)))
    # First all transfers are held, then all streams: that is the order everywhere.
    stream_owners = {whole.transfer.sender_id for whole in wholes} | {
        recipient.user_id for whole in wholes for recipient in whole.recipients
    }
    await unit.lock_streams(*map(transfers_stream, stream_owners))
    await _erase_names_shown_to_recipients(unit, user_id)
    for whole in wholes:
        sent = whole.transfer.sender_id == user_id
        ending = [
            each
            for each in whole.recipients
            if each.state not in states.FINAL and (sent or each.user_id == user_id)
        ]
        await publish_change(unit, whole, [each for each in ending if move(unit, each, "cancel")])
    for statement in _THEIRS:
        await connection.execute(statement, user_id)
    # Its head stays, so that no `seq` comes twice.
    await connection.execute(
        "DELETE FROM transfer.stream_log WHERE stream = $1", transfers_stream(user_id)
    )


async def _erase_names_shown_to_recipients(unit: UnitOfWork, user_id: UserId) -> None:
    """Take the frames with names of a user's files out of the logs of those they sent them to.

    Where a frame is missing replay says `reset`: who was away since before fetches all anew.
    """
    connection = await unit.raw()
    rows = await connection.fetch(
        "SELECT DISTINCT r.user_id FROM transfer.recipients AS r "
        "JOIN transfer.transfers AS t ON t.id = r.transfer_id WHERE t.sender_id = $1",
        user_id,
    )
    await connection.execute(
        "DELETE FROM transfer.stream_log WHERE stream = ANY($1::text[]) AND strpos(text, $2) > 0",
        [transfers_stream(row["user_id"]) for row in rows],
        str(user_id),  # of the sender, in every such frame
    )
