"""The stream log: places without gaps, and replay that knows when it can't."""

import asyncio
from datetime import UTC, datetime, timedelta

import asyncpg
import pytest

from shared.tests.integration.conftest import Notes
from sharezync_shared.contracts.streams import Replay, ReplayFrom
from sharezync_shared.db.bulk_insert import Compound
from sharezync_shared.sizes import MAX_REPLAY_BYTES
from sharezync_shared.streams.frames import Control
from sharezync_shared.streams.log import (
    CHANGES_LIMIT,
    IF_APPENDED,
    REPLAY_AGE,
    REPLAY_LIMIT,
    Entry,
    StreamPosition,
)
from sharezync_testkit.waiting import GIVE_UP_SECONDS

STREAM = "channel:1"
NOW = datetime.now(UTC)


async def append(notes: Notes, *entries: Entry, at: datetime = NOW) -> list[int]:
    async with (await notes.database.pool()).acquire() as connection, connection.transaction():
        frames = await notes.streams.append(connection, entries, at)
        return [frame.seq for frame in frames]


async def replay(
    notes: Notes, after: int, *, epoch: str | None = None, now: datetime = NOW
) -> Replay:
    async with (await notes.database.pool()).acquire() as connection:
        return await notes.streams.replay(connection, ReplayFrom(STREAM, after, epoch), now)


def entries(count: int, stream: str = STREAM) -> list[Entry]:
    return [Entry(stream, "note.taken", b'{"n":%d}' % n) for n in range(count)]


async def test_each_stream_counts_for_itself(notes: Notes) -> None:
    mixed = [*entries(2, "channel:2"), *entries(3), *entries(1, "channel:2")]
    assert await append(notes, *mixed) == [1, 2, 1, 2, 3, 3]
    assert await append(notes, *entries(1)) == [4]


async def test_a_replayed_frame_is_the_same_to_the_byte(notes: Notes) -> None:
    async with (await notes.database.pool()).acquire() as connection, connection.transaction():
        told = await notes.streams.append(
            connection,
            [Entry(STREAM, "member.left", '{"name":"Zoë "}'.encode(), Control(leave=["u"]))],
            NOW,
        )
    found = await replay(notes, 0)
    assert found.frames == [frame.text.decode() for frame in told]
    assert (found.seqs, found.controls) == ([1], [Control(leave=["u"])])


@pytest.mark.parametrize(
    ("after", "epoch", "reset", "seqs"),
    [
        (0, None, False, [1, 2, 3]),
        (2, None, False, [3]),
        (3, None, False, []),
        (4, None, True, []),  # ahead of us: what they saw, we have lost
        (0, "another", True, []),
    ],
)
async def test_replay_goes_on_after_a_position_or_says_reset(
    notes: Notes, after: int, epoch: str | None, reset: bool, seqs: list[int]
) -> None:
    await append(notes, *entries(3))
    found = await replay(notes, after, epoch=epoch)
    assert (found.reset, found.seqs) == (reset, seqs)
    assert found.head == 3


async def changes(
    notes: Notes, after: dict[str, int], *, now: datetime = NOW
) -> tuple[dict[str, int], list[tuple[str, int]]]:
    """Return what is new in many streams: the heads, and where the frames belong."""
    async with (await notes.database.pool()).acquire() as connection:
        heads, frames = await notes.streams.changes(connection, after, now)
    return heads, [(frame.stream, frame.seq) for frame in frames]


async def test_what_is_new_in_many_streams_comes_at_once(notes: Notes) -> None:
    await append(notes, *entries(3), *entries(2, "channel:2"), *entries(1, "channel:3"))
    heads, places = await changes(notes, {STREAM: 1, "channel:2": 2, "channel:3": 0, "none": 0})
    assert heads == {STREAM: 3, "channel:3": 1}
    assert places == [(STREAM, 2), (STREAM, 3), ("channel:3", 1)]
    assert await changes(notes, {STREAM: 9}) == ({}, [])  # ahead of us: `replay` says what it is


async def test_of_a_stream_that_is_too_far_behind_only_the_head_is_told(notes: Notes) -> None:
    await append(notes, *entries(REPLAY_LIMIT + 1), *entries(1, "channel:2"))
    heads, places = await changes(notes, {STREAM: 0, "channel:2": 0})
    assert heads == {STREAM: REPLAY_LIMIT + 1, "channel:2": 1}
    assert places == [("channel:2", 1)]


async def test_old_frames_are_left_to_replay(notes: Notes) -> None:
    await append(notes, *entries(1), at=NOW - 2 * REPLAY_AGE)
    await append(notes, *entries(1))
    assert await changes(notes, {STREAM: 0}) == ({STREAM: 2}, [])
    assert await changes(notes, {STREAM: 1}) == ({STREAM: 2}, [(STREAM, 2)])


async def test_an_answer_about_many_streams_has_bounds(notes: Notes) -> None:
    count = CHANGES_LIMIT // REPLAY_LIMIT + 1
    streams = [f"channel:{number}" for number in range(count)]
    for stream in streams:
        await append(notes, *entries(REPLAY_LIMIT, stream))
    heads, places = await changes(notes, dict.fromkeys(streams, 0))
    assert len(heads) == count
    assert len(places) == CHANGES_LIMIT

    large = b'{"text":"%s"}' % bytes(b"x" * (MAX_REPLAY_BYTES // 4))
    await append(notes, *(Entry("channel:large", "note.taken", large) for _ in range(5)))
    heads, places = await changes(notes, {"channel:large": 0})
    assert heads == {"channel:large": 5}
    assert places == [("channel:large", seq) for seq in (1, 2, 3)]


async def test_who_is_too_far_behind_is_reset(notes: Notes) -> None:
    await append(notes, *entries(REPLAY_LIMIT + 1))
    assert (await replay(notes, 0)).reset
    assert len((await replay(notes, 1)).frames) == REPLAY_LIMIT


async def test_who_is_behind_by_too_many_bytes_is_reset(notes: Notes) -> None:
    large = b'"' + b"x" * (MAX_REPLAY_BYTES // 4) + b'"'
    for _ in range(4):
        await append(notes, Entry(STREAM, "note.taken", large))
    found = await replay(notes, 0)
    assert (found.reset, found.head, found.frames) == (True, 4, [])
    assert (await replay(notes, 1)).seqs == [2, 3, 4]
    assert not (await replay(notes, 4)).reset


async def test_who_was_away_for_more_than_a_day_is_reset(notes: Notes) -> None:
    await append(notes, *entries(1), at=NOW - timedelta(hours=25))
    await append(notes, *entries(1))
    assert (await replay(notes, 0)).reset
    assert not (await replay(notes, 1)).reset


async def test_pruned_frames_reset_and_kept_ones_replay(notes: Notes) -> None:
    await append(notes, *entries(2), at=NOW - timedelta(days=8))
    await append(notes, *entries(1))
    async with (await notes.database.pool()).acquire() as connection:
        assert await notes.streams.prune(connection, NOW) == 2
        assert await notes.streams.prune(connection, NOW) == 0
    assert (await replay(notes, 0)).reset
    assert (await replay(notes, 2)).seqs == [3]


async def test_a_stream_where_nothing_was_said_has_a_head(notes: Notes) -> None:
    async with (await notes.database.pool()).acquire() as connection:
        heads = await notes.streams.heads(connection, [STREAM])
    assert heads == {STREAM: StreamPosition(STREAM, notes.streams.epoch, 0)}
    assert not (await replay(notes, 0, epoch=notes.streams.epoch)).reset


async def test_frames_are_loaded_by_position(notes: Notes) -> None:
    await append(notes, *entries(3), *entries(1, "channel:2"))
    epoch = notes.streams.epoch
    async with (await notes.database.pool()).acquire() as connection:
        frames = await notes.streams.load(
            connection,
            [StreamPosition(STREAM, epoch, 2), StreamPosition("channel:2", epoch, 1)],
        )
    assert [(frame.stream, frame.seq) for frame in frames] == [(STREAM, 2), ("channel:2", 1)]


async def test_writers_of_several_streams_never_wait_for_each_other_in_a_ring(
    notes: Notes,
) -> None:
    async def both(first: str, second: str) -> None:
        await append(notes, *entries(1, first), *entries(1, second))

    async with asyncio.timeout(GIVE_UP_SECONDS):
        await asyncio.gather(*(both("a", "b") if n % 2 else both("b", "a") for n in range(20)))


async def test_nor_where_some_of_the_streams_are_new(notes: Notes) -> None:
    async def both(new: str, old: str) -> None:
        await append(notes, *entries(1, new), *entries(1, old))

    for n in range(20):  # the old one comes behind the new one, and ahead of it
        new, behind, ahead = f"m{n}", f"z{n}", f"a{n}"
        await append(notes, *entries(1, behind), *entries(1, ahead))
        async with asyncio.timeout(GIVE_UP_SECONDS):
            await asyncio.gather(*(both(new, behind if k % 2 else ahead) for k in range(8)))
    assert await append(notes, *entries(1, "m19"), *entries(1, "z19")) == [9, 6]


async def test_a_held_stream_waits_for_its_holder(notes: Notes) -> None:
    pool = await notes.database.pool()
    async with pool.acquire() as holder, holder.transaction():
        assert await notes.streams.lock(holder, [STREAM]) == {STREAM: 0}
        with pytest.raises(asyncpg.LockNotAvailableError):
            async with pool.acquire() as other, other.transaction():
                await other.execute("SET LOCAL lock_timeout = '50ms'")
                await notes.streams.append(other, entries(1), NOW)
    assert await append(notes, *entries(1)) == [1]


async def append_at(notes: Notes, heads: dict[str, int], *events: Entry) -> bool:
    """Append without a lock, to what these heads were; return whether it was written."""
    statement = Compound()
    frames = notes.streams.frames(events, NOW, heads)
    notes.streams.add_append(statement, frames, NOW, heads)
    async with (await notes.database.pool()).acquire() as connection:
        written: bool = await connection.fetchval(statement.text(IF_APPENDED), *statement.arguments)
        return written


async def test_heads_that_moved_are_appended_to_by_nobody_who_saw_them_before(
    notes: Notes,
) -> None:
    await append(notes, *entries(2), *entries(1, "channel:2"))
    both = [*entries(1), *entries(1, "channel:2")]
    assert not await append_at(notes, {STREAM: 1, "channel:2": 1}, *both), "one of them is behind"
    assert not await append_at(
        notes, {STREAM: 2, "channel:2": 1, "channel:3": 0}, *entries(1, "channel:3")
    ), "there is no such stream"
    assert await append_at(notes, {STREAM: 2, "channel:2": 1}, *both)
    assert await append(notes, *both) == [4, 3]


async def test_who_waits_for_a_holder_sees_what_it_did(notes: Notes) -> None:
    await append(notes, *entries(1))
    pool = await notes.database.pool()
    async with pool.acquire() as holder:
        async with holder.transaction():
            await notes.streams.append(holder, entries(1), NOW)
            waiting = asyncio.create_task(append_at(notes, {STREAM: 1}, *entries(1)))
            await until_waiting(pool)
        assert not await waiting
        with pytest.raises(ValueError, match="stop"):
            async with holder.transaction():
                await notes.streams.append(holder, entries(1), NOW)
                waiting = asyncio.create_task(append_at(notes, {STREAM: 2}, *entries(1)))
                await until_waiting(pool)
                raise ValueError("stop")
        assert await waiting, "what was taken back moved nothing"
    assert len((await replay(notes, 0)).frames) == 3


async def until_waiting(pool: "asyncpg.Pool[asyncpg.Record]") -> None:
    """Return once a statement of this database waits for a lock."""
    async with asyncio.timeout(GIVE_UP_SECONDS), pool.acquire() as connection:
        while not await connection.fetchval(_WAITING):  # noqa: ASYNC110 - it is in another process
            await asyncio.sleep(0.005)


# Whoever looks may not see why another role waits, but that it does.
_WAITING = """
    SELECT count(*) FROM pg_locks AS l JOIN pg_stat_activity AS a USING (pid)
     WHERE NOT l.granted AND a.datname = current_database()
"""
