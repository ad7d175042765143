"""Statistics of what users sent and received: sums by day and by peer, added to when recipients
finish, and never recounted.
"""

from collections.abc import Collection, Sequence
from datetime import UTC, date, timedelta
from typing import Any, Final
from uuid import UUID

import asyncpg
from pydantic import Field

from sharezync_shared.costly import CostlyReads
from sharezync_shared.ids import UserId
from sharezync_shared.work import UnitOfWork
from sharezync_transfer import states
from sharezync_transfer.access import TransferAggregate
from sharezync_transfer.models import OPEN_STATES, Recipient
from sharezync_transfer.schemas import TransferDocument

MOST_PEERS: Final = 20

SHORTEST_SECONDS: Final = 0.1
"""What took less has no rate: recipients confirm a few times a second."""

# `ended` is a row for the sender and one for the recipient.
_ADD_TO: Final = """
INSERT INTO transfer.{table} AS s
    (user_id, {key}, role, ended, completed, files, bytes, timed_bytes, seconds,
     best_bytes_per_second)
SELECT user_id, {value}, role, count(*), sum(completed), sum(files), sum(bytes),
    sum(timed_bytes), sum(seconds), coalesce(max(timed_bytes / nullif(seconds, 0)), 0)
FROM ended GROUP BY 1, 2, 3
ON CONFLICT (user_id, {key}, role) DO UPDATE SET
    ended = s.ended + excluded.ended,
    completed = s.completed + excluded.completed,
    files = s.files + excluded.files,
    bytes = s.bytes + excluded.bytes,
    timed_bytes = s.timed_bytes + excluded.timed_bytes,
    seconds = s.seconds + excluded.seconds,
    best_bytes_per_second = greatest(s.best_bytes_per_second, excluded.best_bytes_per_second)
"""
_ADD: Final = f"""
WITH ended AS (
    SELECT * FROM unnest(
        $1::uuid[], $2::uuid[], $3::text[], $4::int[], $5::bigint[], $6::bigint[], $7::bigint[],
        $8::float8[]
    ) AS e(user_id, peer_id, role, completed, files, bytes, timed_bytes, seconds)
), by_day AS ({_ADD_TO.format(table="sums_by_day", key="day", value="$9::date")})
{_ADD_TO.format(table="sums_by_peer", key="peer_id", value="peer_id")}
"""  # noqa: S608 - names of our own
_SUMS: Final = """
coalesce(sum(ended), 0)::bigint AS ended, coalesce(sum(completed), 0)::bigint AS completed,
coalesce(sum(files), 0)::bigint AS files, coalesce(sum(bytes), 0)::bigint AS bytes,
coalesce(sum(timed_bytes), 0)::bigint AS timed_bytes, coalesce(sum(seconds), 0) AS seconds,
coalesce(max(best_bytes_per_second), 0) AS best
"""
# Two rows for each day on which anything ended.
_TOTALS: Final = f"""
SELECT role, {_SUMS} FROM transfer.sums_by_day WHERE user_id = $1 GROUP BY role
"""  # noqa: S608 - columns of our own
_BY_DAY: Final = f"""
SELECT day, role, {_SUMS} FROM transfer.sums_by_day WHERE user_id = $1 AND day > $2
GROUP BY day, role ORDER BY day DESC
"""  # noqa: S608 - as above
# Two rows at most for each peer.
_BY_PEER: Final = f"""
WITH most AS (
    SELECT peer_id, sum(bytes) AS moved, sum(ended) AS ended FROM transfer.sums_by_peer
    WHERE user_id = $1 GROUP BY peer_id ORDER BY 2 DESC, 3 DESC, 1 LIMIT $2
)
SELECT s.peer_id, s.role, {_SUMS.replace("sum(", "sum(s.").replace("max(", "max(s.")}
FROM transfer.sums_by_peer AS s JOIN most AS m ON m.peer_id = s.peer_id
WHERE s.user_id = $1 GROUP BY s.peer_id, s.role, m.moved, m.ended
ORDER BY m.moved DESC, m.ended DESC, s.peer_id
"""  # noqa: S608 - as above
_SENDING: Final = f"""
SELECT count(*) AS parts, coalesce(sum(r.received_bytes), 0)::bigint AS bytes
FROM transfer.transfers AS t JOIN transfer.recipients AS r ON r.transfer_id = t.id
WHERE t.sender_id = $1 AND t.ended_at IS NULL AND r.{OPEN_STATES}
"""  # noqa: S608 - as above
_RECEIVING: Final = f"""
SELECT count(*) AS parts, coalesce(sum(received_bytes), 0)::bigint AS bytes
FROM transfer.recipients WHERE user_id = $1 AND {OPEN_STATES} AND NOT hidden
"""  # noqa: S608 - as above

QUERIES: Final = {
    "totals": _TOTALS, "by day": _BY_DAY, "by peer": _BY_PEER,
    "sending": _SENDING, "receiving": _RECEIVING,
}  # fmt: skip
"""What one question costs, for who measures it."""

_Row = asyncpg.Record
_NOTHING: Final = dict.fromkeys(
    ("ended", "completed", "files", "bytes", "timed_bytes", "seconds", "best"), 0
)


class DirectionTotals(TransferDocument):
    """Ended transfers in one direction. Each recipient counts separately."""

    ended: int = Field(
        description="Number of ended transfers: completed, rejected, cancelled …", examples=[11]
    )
    completed: int = Field(examples=[10])
    files: int = Field(description="Number of files in completed transfers", examples=[31])
    bytes: int = Field(
        description="Number of bytes that recipients have confirmed", examples=[734003200]
    )
    success_rate: float | None = Field(
        description="Share of completed ones among ended ones; null if none has ended",
        examples=[0.9091],
    )
    mean_bytes_per_second: int | None = Field(
        description="Mean rate from first to last confirmation; null if nothing took long enough "
        "to measure",
        examples=[52428800],
    )
    best_bytes_per_second: int | None = Field(
        description="Rate of the fastest transfer; null if unknown", examples=[104857600]
    )


class Totals(DirectionTotals):
    """All transfers in one direction; `transfers` and `bytes` include active ones."""

    transfers: int = Field(description="Number of ended and active transfers", examples=[12])


class DayRead(TransferDocument):
    """Transfers that ended on a day."""

    day: date = Field(description="Day in UTC", examples=["2026-11-21"])
    sent: DirectionTotals
    received: DirectionTotals


class PeerRead(TransferDocument):
    """Ended transfers between you and another user."""

    user_id: UUID
    sent: DirectionTotals
    received: DirectionTotals


class StatsRead(TransferDocument):
    """Transfer statistics of a user."""

    sent: Totals
    received: Totals
    days: list[DayRead] = Field(description="Days on which transfers ended, newest first")
    peers: list[PeerRead] = Field(description="The users with most bytes; at most 20")


async def add(unit: UnitOfWork, whole: TransferAggregate, changed: Collection[Recipient]) -> None:
    """Add those of these recipients who have just finished to their totals and to the sender's.

    Lock the streams of all of them before: two transactions would update rows in different orders.
    """
    sender_id = whole.transfer.sender_id
    rows = []
    for recipient in changed:
        if recipient.state not in states.FINAL:
            continue
        completed = recipient.state == "completed"
        files = recipient.accepted_files if completed else 0
        came = (int(completed), files, recipient.received_bytes, *_timed(recipient))
        rows.append((sender_id, recipient.user_id, "sender", *came))
        if not recipient.hidden:
            rows.append((recipient.user_id, sender_id, "recipient", *came))
    if not rows:
        return
    day = unit.now.astimezone(UTC).date()
    await (await unit.raw()).execute(_ADD, *map(list, zip(*rows, strict=True)), day)


def _timed(recipient: Recipient) -> tuple[int, float]:
    if recipient.began_at is None or recipient.received_at is None:
        return 0, 0.0
    timed_bytes = recipient.received_bytes - recipient.began_bytes
    seconds = (recipient.received_at - recipient.began_at).total_seconds()
    if timed_bytes <= 0 or seconds < SHORTEST_SECONDS:
        return 0, 0.0
    return timed_bytes, seconds


async def of(costly: CostlyReads, *, user_id: UserId, days: int) -> StatsRead:
    """Return what somebody has sent and received: in all, on each of the last days, by peer.

    Raises as `CostlyReads.read`.
    """
    async with costly.read(user_id) as unit:
        since = unit.now.astimezone(UTC).date() - timedelta(days=days)
        connection = await unit.raw()
        totals = {row["role"]: row for row in await connection.fetch(_TOTALS, user_id)}
        by_day = await connection.fetch(_BY_DAY, user_id, since)
        by_peer = await connection.fetch(_BY_PEER, user_id, MOST_PEERS)
        sending = await connection.fetchrow(_SENDING, user_id)
        receiving = await connection.fetchrow(_RECEIVING, user_id)
    return StatsRead(
        sent=_totals(totals.get("sender"), sending),
        received=_totals(totals.get("recipient"), receiving),
        days=[
            DayRead(day=day, sent=_sums(sent), received=_sums(received))
            for day, sent, received in _both_ways(by_day, "day")
        ],
        peers=[
            PeerRead(user_id=peer_id, sent=_sums(sent), received=_sums(received))
            for peer_id, sent, received in _both_ways(by_peer, "peer_id")
        ],
    )


def _both_ways(rows: Sequence[_Row], key: str) -> list[tuple[Any, _Row | None, _Row | None]]:
    """Return each key, in their order, with its row as a sender and that as a recipient."""
    found: dict[Any, dict[str, _Row]] = {}
    for row in rows:
        found.setdefault(row[key], {})[row["role"]] = row
    return [(each, two.get("sender"), two.get("recipient")) for each, two in found.items()]


def _totals(ended: _Row | None, under_way: _Row | None) -> Totals:
    totals = _sums(ended)
    parts, received_bytes = (under_way["parts"], under_way["bytes"]) if under_way else (0, 0)
    return Totals(
        **{**totals.model_dump(), "bytes": totals.bytes + received_bytes},
        transfers=totals.ended + parts,
    )


def _sums(row: _Row | None) -> DirectionTotals:
    found = _NOTHING if row is None else row
    ended, seconds = found["ended"], found["seconds"]
    return DirectionTotals(
        ended=ended,
        completed=found["completed"],
        files=found["files"],
        bytes=found["bytes"],
        success_rate=round(found["completed"] / ended, 4) if ended else None,
        mean_bytes_per_second=round(found["timed_bytes"] / seconds) if seconds else None,
        best_bytes_per_second=round(found["best"]) if seconds else None,
    )
