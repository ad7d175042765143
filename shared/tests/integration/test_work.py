"""The unit of work: rows, events and facts together or not at all."""

import asyncio

import asyncpg
import pytest
from sqlalchemy.exc import IntegrityError
from sqlmodel import select

from shared.tests.integration.conftest import Notes
from shared.tests.integration.notes import Note, NoteTaken
from sharezync_shared.events.bus import Envelope
from sharezync_shared.ids import uuid7
from sharezync_shared.streams.frames import Control
from sharezync_shared.work import UnitsOfWork
from sharezync_testkit.waiting import GIVE_UP_SECONDS

CHECK_TEXTS_AT_THE_COMMIT = """
    ALTER TABLE notes.notes DROP CONSTRAINT uq_notes_text,
      ADD CONSTRAINT uq_notes_text UNIQUE (text) DEFERRABLE INITIALLY DEFERRED
"""


async def count(notes: Notes, table: str) -> int:
    async with (await notes.database.pool()).acquire() as connection:
        return int(await connection.fetchval(f"SELECT count(*) FROM notes.{table}"))


async def test_rows_events_and_facts_are_committed_together_and_told_after(notes: Notes) -> None:
    facts: list[Envelope] = []

    async def take(envelope: Envelope) -> None:
        facts.append(envelope)

    await notes.bus.consume("others.events", [NoteTaken.type], take)
    note = Note(text="milk")
    async with notes.work.begin() as unit:
        unit.add(note)
        place = await unit.publish_event("channel:1", "note.taken", {"text": note.text})
        unit.emit(NoteTaken(note_id=note.id))
        assert notes.frames == []
    assert await notes.relay.flush(GIVE_UP_SECONDS)

    assert place.seq == 1
    assert [frame.seq for frame in notes.frames] == [1]
    assert notes.frames[0].text.startswith(b'{"type":"note.taken","stream":"channel:1","epoch":"')
    assert notes.frames[0].text.endswith(b'"data":{"text":"milk"}}')
    assert [fact.subject for fact in facts] == [str(note.id)]
    assert await count(notes, "outbox") == 0


async def test_an_exception_rolls_everything_back_and_tells_nobody(notes: Notes) -> None:
    with pytest.raises(RuntimeError):
        async with notes.work.begin() as unit:
            unit.add(Note(text="eggs"))
            await unit.publish_event("channel:1", "note.taken", {})
            unit.emit(NoteTaken(note_id=uuid7()))
            raise RuntimeError
    await notes.relay.flush(GIVE_UP_SECONDS)

    assert notes.frames == []
    assert await count(notes, "notes") == await count(notes, "outbox") == 0
    async with notes.work.begin() as unit:
        assert (await unit.publish_event("channel:1", "note.taken", {})).seq == 1


async def test_a_failing_commit_tells_nobody(notes: Notes, fresh_database_url: str) -> None:
    """Every statement before it succeeds: what is looked at is the commit and nothing else."""
    facts: list[Envelope] = []

    async def take(envelope: Envelope) -> None:
        facts.append(envelope)

    await notes.bus.consume("others.events", [NoteTaken.type], take)
    owner = await asyncpg.connect(fresh_database_url)
    await owner.execute(CHECK_TEXTS_AT_THE_COMMIT)
    await owner.close()
    async with notes.work.begin() as unit:
        unit.add(Note(text="bread"))
    flushed = False
    with pytest.raises(IntegrityError, match="uq_notes_text"):
        async with notes.work.begin() as unit:
            unit.add(Note(text="bread"))
            await unit.publish_event("channel:1", "note.taken", {})
            unit.signal("channel:1", "typing", {})
            unit.emit(NoteTaken(note_id=uuid7()))
            await unit.session.flush()
            flushed = True
    await notes.relay.flush(GIVE_UP_SECONDS)

    assert flushed, "it failed before the commit: this says nothing about what a commit does"
    assert notes.frames == [], "clients heard of what was never committed"
    assert facts == [], "services heard of what was never committed"
    assert await count(notes, "outbox") == 0


async def test_what_a_command_commits_waits_for_a_servers_relay(notes: Notes) -> None:
    facts: list[Envelope] = []

    async def take(envelope: Envelope) -> None:
        facts.append(envelope)

    await notes.bus.consume("others.events", [NoteTaken.type], take)
    command = UnitsOfWork(notes.database, notes.streams, relay=None)
    async with command.begin() as unit:
        unit.emit(NoteTaken(note_id=uuid7()))
    # The relay of a server may have been quick.
    assert await count(notes, "outbox") or facts, "a fact that nobody can ever tell"


async def test_raw_statements_share_the_transaction_also_when_they_come_first(
    notes: Notes,
) -> None:
    with pytest.raises(RuntimeError):
        async with notes.work.begin() as unit:
            raw = await unit.raw()
            await raw.execute("INSERT INTO notes.notes VALUES ($1, 'raw')", uuid7())
            raise RuntimeError
    assert await count(notes, "notes") == 0

    async with notes.work.begin() as unit:
        unit.add(Note(text="by the ORM"))
        raw = await unit.raw()
        seen = await raw.fetchval("SELECT text FROM notes.notes")
    assert seen == "by the ORM"


async def test_an_event_is_claimed_once(notes: Notes) -> None:
    event_id = uuid7()
    verdicts = []
    for _ in range(2):
        async with notes.work.begin() as unit:
            verdicts.append(await unit.claim("notes", event_id))
    assert verdicts == [True, False]


async def test_a_cancelled_unit_gives_its_connection_back(notes: Notes) -> None:
    async def hang() -> None:
        async with notes.work.begin() as unit:
            unit.add(Note(text="never"))
            await unit.raw()
            await asyncio.Event().wait()

    for _ in range(20):  # more than there are connections
        task = asyncio.create_task(hang())
        await asyncio.sleep(0.01)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    async with asyncio.timeout(GIVE_UP_SECONDS), notes.work.begin() as unit:
        assert (await unit.session.exec(select(Note))).all() == []


async def test_signals_are_sent_after_the_commit_and_have_no_place(notes: Notes) -> None:
    async with notes.work.begin() as unit:
        unit.signal("channel:1", "typing", {"user": "u"})
        assert notes.frames == []
    await notes.relay.flush(GIVE_UP_SECONDS)
    assert [(frame.seq, frame.epoch) for frame in notes.frames] == [(0, "")]
    assert b'"seq"' not in notes.frames[0].text


async def test_concurrent_units_number_a_stream_without_gaps(notes: Notes) -> None:
    async def tell(number: int) -> int:
        async with notes.work.begin() as unit:
            place = await unit.publish_event("channel:1", "note.taken", {"number": number})
            return place.seq

    seqs = await asyncio.gather(*map(tell, range(30)))
    await notes.relay.flush(GIVE_UP_SECONDS)
    assert sorted(seqs) == list(range(1, 31))
    assert sorted(frame.seq for frame in notes.frames) == list(range(1, 31))


async def test_reading_sees_one_moment_and_changes_nothing(notes: Notes) -> None:
    async with notes.work.read() as reading:
        assert (await reading.session.exec(select(Note))).all() == []
        async with notes.work.begin() as writing:
            writing.add(Note(text="meanwhile"))
        assert (await reading.session.exec(select(Note))).all() == []


async def test_controls_travel_with_their_frames(notes: Notes) -> None:
    async with notes.work.begin() as unit:
        await unit.publish_event("channel:1", "member.left", {}, control=Control(leave=["u"]))
    await notes.relay.flush(GIVE_UP_SECONDS)
    assert notes.frames[0].control == Control(leave=["u"])
