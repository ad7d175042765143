"""Totals of transfers by day and by peer: added to when recipients finish, never recounted."""

from collections.abc import Collection
from datetime import UTC
from typing import Final

from sharezync_shared.work import UnitOfWork
from sharezync_transfer.access import TransferAggregate
from sharezync_transfer.models import Recipient

SHORTEST_SECONDS: Final = 0.1
"""What took less has no rate: recipients confirm a few times a second."""

# One statement for both tables: `ended` is a row for the sender and one for the recipient.
_ADD: Final = """
WITH ended AS (
    SELECT * FROM unnest(
        $1::uuid[], $2::uuid[], $3::text[], $4::int[], $5::bigint[], $6::bigint[], $7::bigint[],
        $8::float8[]
    ) AS e(user_id, peer_id, role, completed, files, bytes, timed_bytes, seconds)
), by_day AS (
    INSERT INTO transfer.sums_by_day AS s
        (user_id, day, role, ended, completed, files, bytes, timed_bytes, seconds,
         best_bytes_per_second)
    SELECT user_id, $9::date, role, count(*), sum(completed), sum(files), sum(bytes),
        sum(timed_bytes), sum(seconds), coalesce(max(timed_bytes / nullif(seconds, 0)), 0)
    FROM ended GROUP BY user_id, role
    ON CONFLICT (user_id, day, role) DO UPDATE SET
        ended = s.ended + excluded.ended,
        completed = s.completed + excluded.completed,
        files = s.files + excluded.files,
        bytes = s.bytes + excluded.bytes,
        timed_bytes = s.timed_bytes + excluded.timed_bytes,
        seconds = s.seconds + excluded.seconds,
        best_bytes_per_second =
            greatest(s.best_bytes_per_second, excluded.best_bytes_per_second)
)
INSERT INTO transfer.sums_by_peer AS s
    (user_id, peer_id, role, ended, completed, files, bytes, timed_bytes, seconds,
     best_bytes_per_second)
SELECT user_id, peer_id, role, count(*), sum(completed), sum(files), sum(bytes),
    sum(timed_bytes), sum(seconds), coalesce(max(timed_bytes / nullif(seconds, 0)), 0)
FROM ended GROUP BY user_id, peer_id, role
ON CONFLICT (user_id, peer_id, role) DO UPDATE SET
    ended = s.ended + excluded.ended,
    completed = s.completed + excluded.completed,
    files = s.files + excluded.files,
    bytes = s.bytes + excluded.bytes,
    timed_bytes = s.timed_bytes + excluded.timed_bytes,
    seconds = s.seconds + excluded.seconds,
    best_bytes_per_second = greatest(s.best_bytes_per_second, excluded.best_bytes_per_second)
"""


async def add(unit: UnitOfWork, whole: TransferAggregate, ended: Collection[Recipient]) -> None:
    """Add these recipients, who have just finished, to their own totals and to the sender's.

    Lock the streams of the sender and of these recipients before: otherwise two transactions could
    update the same rows in different orders, and deadlock.
    """
    if not ended:
        return
    sender_id = whole.transfer.sender_id
    rows = []
    for recipient in ended:
        completed = recipient.state == "completed"
        files = recipient.accepted_files if completed else 0
        came = (int(completed), files, recipient.received_bytes, *_timed(recipient))
        rows.append((sender_id, recipient.user_id, "sender", *came))
        if not recipient.hidden:
            rows.append((recipient.user_id, sender_id, "recipient", *came))
    day = unit.now.astimezone(UTC).date()
    await (await unit.raw()).execute(_ADD, *map(list, zip(*rows, strict=True)), day)


def _timed(recipient: Recipient) -> tuple[int, float]:
    """Return how many bytes came after the first confirmation, and how long that took.

    Nothing, where that says nothing about speed.
    """
    if recipient.began_at is None or recipient.received_at is None:
        return 0, 0.0
    timed_bytes = recipient.received_bytes - recipient.began_bytes
    seconds = (recipient.received_at - recipient.began_at).total_seconds()
    if timed_bytes <= 0 or seconds < SHORTEST_SECONDS:
        return 0, 0.0
    return timed_bytes, seconds
