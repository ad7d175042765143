"""The log of streams in one service's schema: heads, frames, replay.

Everything here runs on a plain asyncpg connection inside the caller's transaction.
"""

# ruff: noqa: S608 - the schema in each statement is a service's name, never input

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

import asyncpg
import msgspec
from sqlalchemy import BigInteger, Column, DateTime, Index, MetaData, Table, Text
from sqlalchemy.dialects.postgresql import JSONB

from sharezync_shared.contracts.streams import Replay, ReplayFrom
from sharezync_shared.db.bulk_insert import Compound
from sharezync_shared.sizes import MAX_REPLAY_BYTES
from sharezync_shared.streams.epochs import StreamEpoch, epoch_table
from sharezync_shared.streams.frames import Control, Frame

REPLAY_LIMIT: Final = 500
"""Frames that a client may be behind; more, and refetching the state is cheaper for everyone."""
CHANGES_LIMIT: Final = 2000
"""Frames in one answer about many streams."""
REPLAY_AGE: Final = timedelta(hours=24)
KEEP: Final = timedelta(days=7)

IF_APPENDED: Final = "SELECT EXISTS (SELECT FROM appending)"
"""The ending of a statement with `add_append`: whether it has written."""

Connection = asyncpg.Connection | asyncpg.pool.PoolConnectionProxy


class StreamPosition(msgspec.Struct, array_like=True, frozen=True):
    """A place in a stream. `seq` 0 is before the first event."""

    stream: str
    epoch: str
    seq: int


@dataclass(frozen=True, slots=True)
class Entry:
    """One event to append: `data` is its finished JSON."""

    stream: str
    type: str
    data: bytes
    control: Control | None = None
    traceparent: str | None = None
    """The trace of what caused it, well formed."""


def stream_tables(metadata: MetaData) -> None:
    """Add the tables of the log to a service's `MetaData`."""
    epoch_table(metadata)
    Table(
        "stream_heads",
        metadata,
        Column("stream", Text, primary_key=True),
        Column("last_seq", BigInteger, nullable=False),
    )
    log = Table(
        "stream_log",
        metadata,
        Column("stream", Text, primary_key=True),
        Column("seq", BigInteger, primary_key=True),
        Column("at", DateTime(timezone=True), nullable=False),
        Column("text", Text, nullable=False),
        Column("control", JSONB(none_as_null=True), nullable=True),
    )
    Index("ix_stream_log_at", log.c.at, postgresql_using="brin")


def frame_text(entry: Entry, epoch: str, seq: int, at: datetime) -> bytes:
    """Return the finished text frame of an event."""
    trace = f',"traceparent":"{entry.traceparent}"' if entry.traceparent else ""
    return (
        (
            f'{{"type":"{entry.type}","stream":"{entry.stream}","epoch":"{epoch}",'
            f'"seq":{seq},"at":"{_timestamp(at)}"{trace},"data":'
        ).encode()
        + entry.data
        + b"}"
    )


def signal_text(entry_type: str, stream: str, at: datetime, data: bytes) -> bytes:
    """Return the finished text frame of a signal: an event without a place, never stored."""
    return (
        (f'{{"type":"{entry_type}","stream":"{stream}","at":"{_timestamp(at)}","data":').encode()
        + data
        + b"}"
    )


def _timestamp(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


class StreamLog:
    """The streams of one service. Holds nothing but the epoch, which new connections check."""

    def __init__(self, schema: str) -> None:
        self._schema = f'"{schema}"'
        self.epochs = StreamEpoch(schema)

    async def open(self, pool: "asyncpg.Pool[asyncpg.Record]") -> None:
        """Learn the epoch of this schema's streams, or choose it (epochs.py).

        It is one for all streams of a service: what makes a log untrustworthy (a database put
        back from a backup) does so for all of them.
        """
        async with pool.acquire() as connection:
            await self.epochs.check(connection)

    @property
    def epoch(self) -> str:
        """The epoch of this schema's streams. Only after `open`.

        Ask for it with a connection at hand: a new one may have found another.
        """
        return self.epochs.present

    async def lock(
        self, connection: Connection, streams: Iterable[str], *, create: bool = True
    ) -> dict[str, int]:
        """Lock the heads of `streams` until the transaction ends; return each one's last `seq`.

        Whoever holds a head decides what comes next in that stream: read memberships and other
        rights after this call and nothing can change between the reading and the event.
        Heads are locked in name order, so that two callers can't wait for each other.
        A stream in which nothing was said yet gets its head now, unless `create` is False: then
        it is missing from the answer (a stranger's made-up name must leave nothing behind).
        """
        names = sorted(set(streams))
        heads = f"{self._schema}.stream_heads"
        present = f"SELECT stream, last_seq FROM {heads} WHERE stream = ANY($1::text[])"
        in_order = "ORDER BY stream FOR UPDATE"
        if not create:
            return _last_of(await connection.fetch(f"{present} {in_order}", names))
        # All of them or none: who held some already would take those that are made now out of
        # their order, and wait for somebody who waits for them.
        counted = f"(SELECT count(*) FROM {heads} WHERE stream = ANY($1::text[]))"
        whole = f"{present} AND {counted} = cardinality($1::text[]) {in_order}"
        if last := _last_of(await connection.fetch(whole, names)):
            return last
        return _last_of(
            await connection.fetch(
                # The update that changes nothing locks what is there, each in its turn.
                f"INSERT INTO {heads} AS h (stream, last_seq) "
                "SELECT name, 0 FROM unnest($1::text[]) AS name ORDER BY name "
                "ON CONFLICT (stream) DO UPDATE SET last_seq = h.last_seq "
                "RETURNING stream, last_seq",
                names,
            )
        )

    async def append(
        self,
        connection: Connection,
        entries: Sequence[Entry],
        at: datetime,
        *,
        heads: Mapping[str, int] | None = None,
    ) -> list[Frame]:
        """Append events, in order, and return their finished frames with their new `seq`s.

        The frames may be published once the transaction has committed, not before. `heads` is
        what `lock` returned in this transaction, where the caller holds the streams already and
        has appended nothing since: it saves asking again.
        """
        if not entries:
            return []
        if heads is None:
            heads = await self.lock(connection, {entry.stream for entry in entries})
        frames = self.frames(entries, at, heads)
        statement = Compound()
        self.add_append(statement, frames, at, heads)
        if not await connection.fetchval(statement.text(IF_APPENDED), *statement.arguments):
            raise RuntimeError("The streams are not where `heads` has them")
        return frames

    def frames(
        self, entries: Sequence[Entry], at: datetime, heads: Mapping[str, int]
    ) -> list[Frame]:
        """Return the finished frames of events that follow `heads`, in order. No I/O."""
        epoch = self.epoch
        last = dict(heads)
        frames: list[Frame] = []
        for entry in entries:
            seq = last[entry.stream] = last[entry.stream] + 1
            text = frame_text(entry, epoch, seq, at)
            frames.append(Frame(entry.stream, epoch, seq, text, entry.control))
        return frames

    def add_append(
        self, statement: Compound, frames: Sequence[Frame], at: datetime, heads: Mapping[str, int]
    ) -> None:
        """Have `statement` append what `frames` made of these `heads`, if nobody came between.

        The streams are locked first, in name order as by `lock`. Then `appending` has one row if
        all of them are still where `heads` has them, and none otherwise: every part that writes
        must read from it. So whoever looks at rights together with the heads, in one moment, and
        then writes in this way has written under the same rights: what changes them in between
        says so in the stream.
        """
        last = {frame.stream: frame.seq for frame in frames}
        statement.add(
            # The rows are locked behind the sort. One that somebody changed meanwhile is looked
            # at again when they are through, and counts as it is then.
            "held AS MATERIALIZED ("
            f"SELECT h.stream FROM {self._schema}.stream_heads AS h "
            "JOIN unnest($1::text[], $2::bigint[]) AS n(stream, last_seq) "
            "ON n.stream = h.stream AND n.last_seq = h.last_seq "
            "ORDER BY h.stream FOR UPDATE OF h"
            "), appending AS MATERIALIZED ("
            "SELECT count(*) FROM held HAVING count(*) = cardinality($1::text[])"
            ")",
            list(last),
            [heads[stream] for stream in last],
        )
        statement.add(
            f"heads AS (UPDATE {self._schema}.stream_heads AS h SET last_seq = n.last_seq "
            "FROM unnest($1::text[], $2::bigint[]) AS n(stream, last_seq), appending "
            "WHERE h.stream = n.stream)",
            list(last),
            list(last.values()),
        )
        statement.add(
            f"log AS (INSERT INTO {self._schema}.stream_log (stream, seq, at, text, control) "
            "SELECT f.stream, f.seq, $1, f.text, f.control::jsonb "
            "FROM unnest($2::text[], $3::bigint[], $4::text[], $5::text[]) "
            "AS f(stream, seq, text, control), appending)",
            at,
            [frame.stream for frame in frames],
            [frame.seq for frame in frames],
            [frame.text.decode() for frame in frames],
            [
                msgspec.json.encode(frame.control).decode() if frame.control else None
                for frame in frames
            ],
        )

    async def heads(
        self, connection: Connection, streams: Iterable[str]
    ) -> dict[str, StreamPosition]:
        """Return the head of each stream, also of those where nothing was ever said (`seq` 0)."""
        names = list(streams)
        epoch = self.epoch
        rows = await connection.fetch(
            f"SELECT stream, last_seq FROM {self._schema}.stream_heads "
            "WHERE stream = ANY($1::text[])",
            names,
        )
        known = _last_of(rows)
        return {name: StreamPosition(name, epoch, known.get(name, 0)) for name in names}

    async def replay(self, connection: Connection, asked: ReplayFrom, now: datetime) -> Replay:
        """Return everything after a position, or `reset` where that can't or should not be had.

        `reset` is set for another epoch, for a position ahead of the head, for more than
        `REPLAY_LIMIT` frames or `MAX_REPLAY_BYTES`, and for frames that are over `REPLAY_AGE` old
        or pruned, or of an earlier epoch. The epoch None means the present one.
        """
        head = (await self.heads(connection, [asked.stream]))[asked.stream]
        behind = head.seq - asked.after
        reset = Replay(
            head.stream, head.epoch, head.seq, reset=True, frames=[], seqs=[], controls=[]
        )
        if asked.epoch not in (None, head.epoch) or not 0 <= behind <= REPLAY_LIMIT:
            return reset
        rows = await connection.fetch(
            f"SELECT stream, seq, at, text, control FROM {self._schema}.stream_log "
            "WHERE stream = $1 AND seq > $2 AND seq <= $3 AND ("
            f"SELECT sum(octet_length(text)) FROM {self._schema}.stream_log "
            "WHERE stream = $1 AND seq > $2 AND seq <= $3) <= $4 ORDER BY seq",
            asked.stream,
            asked.after,
            head.seq,
            MAX_REPLAY_BYTES,
        )
        if len(rows) != behind or (rows and _is_unfit(rows[0], head.epoch, now)):
            return reset
        return Replay(
            head.stream,
            head.epoch,
            head.seq,
            reset=False,
            frames=[row["text"] for row in rows],
            seqs=[row["seq"] for row in rows],
            controls=[_control(row) for row in rows],
        )

    async def changes(
        self, connection: Connection, after: Mapping[str, int], now: datetime
    ) -> tuple[dict[str, int], list[Frame]]:
        """Return the heads of the streams that have more than `after`, and the frames between.

        Each stream's frames come in order and without a gap, together at most `CHANGES_LIMIT` and
        `MAX_REPLAY_BYTES`: some may be missing at a stream's end, and of streams that are too far
        behind for `replay` there are none.
        """
        rows = await connection.fetch(
            f"SELECT h.stream, h.last_seq FROM {self._schema}.stream_heads AS h "
            "JOIN unnest($1::text[], $2::bigint[]) AS asked(stream, seq) USING (stream) "
            "WHERE h.last_seq > asked.seq",
            list(after),
            list(after.values()),
        )
        heads = _last_of(rows)
        near = _nearest({name: head - after[name] for name, head in heads.items()})
        if not near:
            return heads, []
        rows = await connection.fetch(
            # The log is read by its key, and no further than the heads: a frame that is committed
            # between the two statements comes with the next question, whole.
            "SELECT * FROM (SELECT l.stream, l.seq, l.at, l.text, l.control, "
            "sum(octet_length(l.text)) OVER (ORDER BY l.stream, l.seq) AS so_far "
            "FROM unnest($1::text[], $2::bigint[], $3::bigint[]) AS asked(stream, seq, head) "
            f"JOIN {self._schema}.stream_log AS l "
            "ON l.stream = asked.stream AND l.seq > asked.seq AND l.seq <= asked.head"
            ") AS found WHERE so_far <= $4 ORDER BY stream, seq",
            near,
            [after[name] for name in near],
            [heads[name] for name in near],
            MAX_REPLAY_BYTES,
        )
        epoch, frames = self.epoch, []
        expected = dict(after)
        for row in rows:
            stream, seq = row["stream"], row["seq"]
            # Pruned or old ones leave a gap, which `replay` answers with a reset.
            if seq == expected[stream] + 1 and row["at"] >= now - REPLAY_AGE:
                expected[stream] = seq
                frames.append(_frame(row, epoch))
        return heads, frames

    async def load(
        self, connection: Connection, positions: Sequence[StreamPosition]
    ) -> list[Frame]:
        """Return the frames at `positions` that are still in the log, in stream order.

        Not those of an earlier epoch: everybody who might miss them is told `reset`.
        """
        epoch = self.epoch
        positions = [position for position in positions if position.epoch == epoch]
        rows = await connection.fetch(
            f"SELECT l.stream, l.seq, l.at, l.text, l.control FROM {self._schema}.stream_log AS l "
            "JOIN unnest($1::text[], $2::bigint[]) AS p(stream, seq) USING (stream, seq) "
            "ORDER BY l.stream, l.seq",
            [position.stream for position in positions],
            [position.seq for position in positions],
        )
        return [_frame(row, epoch) for row in rows]

    async def prune(self, connection: Connection, now: datetime, *, batch: int = 5000) -> int:
        """Delete one batch of frames older than `KEEP`; return how many went."""
        status: str = await connection.execute(
            f"DELETE FROM {self._schema}.stream_log WHERE ctid = ANY(ARRAY("
            f"SELECT ctid FROM {self._schema}.stream_log WHERE at < $1 LIMIT $2))",
            now - KEEP,
            batch,
        )
        return int(status.rpartition(" ")[2])


def _nearest(behind: Mapping[str, int]) -> list[str]:
    """Return the streams that are least behind, with at most `CHANGES_LIMIT` frames in all."""
    chosen: list[str] = []
    total = 0
    for name in sorted(behind, key=behind.__getitem__):
        total += behind[name]
        if behind[name] > REPLAY_LIMIT or total > CHANGES_LIMIT:
            break
        chosen.append(name)
    return chosen


def _last_of(heads: Iterable[asyncpg.Record]) -> dict[str, int]:
    return {head["stream"]: head["last_seq"] for head in heads}


def _is_unfit(oldest: asyncpg.Record, epoch: str, now: datetime) -> bool:
    """Whether nobody goes on from there: too old, or of an epoch that is over."""
    return oldest["at"] < now - REPLAY_AGE or f',"epoch":"{epoch}",' not in oldest["text"]


def _frame(row: asyncpg.Record, epoch: str) -> Frame:
    return Frame(row["stream"], epoch, row["seq"], row["text"].encode(), _control(row))


def _control(row: asyncpg.Record) -> Control | None:
    return msgspec.json.decode(row["control"], type=Control) if row["control"] else None
