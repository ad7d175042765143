"""The law of holds: a file is there exactly as long as its owner or somebody else has it.

Stories are made up: who sends what, what is taken back, deleted, erased; and what storage hears of
it comes in any order, some of it twice, some of it at the same time.
"""

import asyncio
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

import hypothesis
import pytest
from hypothesis import strategies as st
from sqlmodel import col, select

from services.storage.tests.holding import Clock, hear, holders_of
from services.storage.tests.support import Json, Person, World
from sharezync_shared.events.contracts import (
    ChannelDeleted,
    Event,
    MessageDeleted,
    MessageSent,
    TransferEnded,
    TransferOffered,
    UserDeleted,
)
from sharezync_shared.ids import uuid7
from sharezync_storage.models import File
from sharezync_storage.usecases import holding
from sharezync_testkit.run_setup import model_settings

FILES, MESSAGES, CHANNELS = 3, 4, 2
_SIZES = (1, 20, 300)


@dataclass(frozen=True)
class Act:
    """Something that happens: the owner does it, or storage hears of it."""

    what: str
    number: int = 0


@dataclass(frozen=True)
class Story:
    """`attached`: the files of each message. `rounds`: what happens at the same time, in turn."""

    attached: tuple[frozenset[int], ...]
    rounds: tuple[tuple[Act, ...], ...]

    @property
    def happened(self) -> set[Act]:
        return {act for acts in self.rounds for act in acts}

    def holds(self, file: int) -> bool:
        """Whether a message or the transfer holds a file in the end."""
        by_message = any(
            file in self.attached[message]
            and Act("sent", message) in self.happened
            and Act("taken back", message) not in self.happened
            and Act("channel gone", message % CHANNELS) not in self.happened
            for message in range(MESSAGES)
        )
        return by_message or (
            file == 0 and Act("offered") in self.happened and Act("ended") not in self.happened
        )

    def stays(self, file: int) -> bool:
        """Whether a file is there in the end."""
        if Act("erased") in self.happened or Act("deleted everywhere", file) in self.happened:
            return False
        return Act("let go", file) not in self.happened or self.holds(file)


@st.composite
def stories(draw: st.DrawFn) -> Story:
    """Any facts, in any order, some twice; cut into rounds."""
    attached = tuple(
        draw(st.frozensets(st.integers(0, FILES - 1), min_size=1)) for _ in range(MESSAGES)
    )
    possible = [
        *(Act(what, n) for what in ("sent", "taken back") for n in range(MESSAGES)),
        *(Act("channel gone", n) for n in range(CHANNELS)),
        *(Act(what, n) for what in ("let go", "deleted everywhere") for n in range(FILES)),
        Act("offered"),
        Act("ended"),
    ]
    # The rarer an act, the more there is left for others to hold.
    seldom = [Act("deleted everywhere", 1), Act("channel gone", 0), Act("erased")]
    often = [act for act in possible if act not in seldom]
    acts = draw(st.lists(st.sampled_from(often), min_size=3, max_size=20))
    acts += draw(st.lists(st.sampled_from(seldom), max_size=1))
    acts = draw(st.permutations(acts))
    rounds: list[tuple[Act, ...]] = []
    while acts:
        width = draw(st.integers(1, 4))
        rounds.append(tuple(acts[:width]))
        acts = acts[width:]
    return Story(attached, tuple(rounds))


class Telling:
    """One story, told to a running service."""

    def __init__(self, world: World, story: Story, alice: Person, files: list[Json]) -> None:
        self._world = world
        self._story = story
        self._alice = alice
        self._files = files
        self._messages = [uuid7() for _ in range(MESSAGES)]
        self._channels = [uuid7() for _ in range(CHANNELS)]
        self._transfer = uuid7()

    async def act(self, act: Act) -> None:
        """Have it happen."""
        if act.what in ("let go", "deleted everywhere"):
            query = "?everywhere=true" if act.what == "deleted everywhere" else ""
            url = f"/v1/files/{self._files[act.number]['id']}{query}"
            assert (await self._alice.http.delete(url)).status_code in (204, 404)
        else:
            await hear(self._world, self._event(act))

    def _event(self, act: Act) -> Event:
        message = self._messages[act.number]
        channel = self._channels[act.number % CHANNELS]
        attached = tuple(UUID(self._files[f]["id"]) for f in self._story.attached[act.number])
        match act.what:
            case "sent":
                return MessageSent(
                    message_id=message,
                    channel_id=channel,
                    author_id=self._alice.id,
                    seq=1,
                    attachments=attached,
                )
            case "taken back":
                return MessageDeleted(message_id=message, channel_id=channel, attachments=attached)
            case "channel gone":
                return ChannelDeleted(channel_id=self._channels[act.number])
            case "offered":
                return TransferOffered(
                    transfer_id=self._transfer,
                    sender_id=self._alice.id,
                    recipient_ids=(uuid7(),),
                    file_count=1,
                    size_bytes=_SIZES[0],
                    file_ids=(UUID(self._files[0]["id"]),),
                )
            case "ended":
                return TransferEnded(transfer_id=self._transfer, outcome="completed")
        return UserDeleted(user_id=self._alice.id)

    async def there(self) -> list[bool]:
        """Return which files are there: as rows, and as bytes."""
        found = []
        for file in self._files:
            async with self._world.app.state.work.read() as unit:
                row = await unit.get(File, UUID(file["id"]))
            is_file = row is not None and row.deleted_at is None
            has_bytes = any(blob.name == UUID(file["id"]).hex for blob in self._world.blobs())
            assert has_bytes or not is_file
            found.append(has_bytes)
        return found


async def tell(world: World, clock: Clock, story: Story) -> None:
    """Tell a story, and hold its end against the law."""
    alice = await world.person()
    files = [await alice.upload(bytes(size)) for size in _SIZES]
    ids = ",".join(file["id"] for file in files)
    # Chat asks before it posts, and so before anything that storage hears of it.
    await world.inside.get("/internal/files", params={"ids": ids})
    telling = Telling(world, story, alice, files)
    for acts in story.rounds:
        await asyncio.gather(*(telling.act(act) for act in acts))
        await world.collect()
    before = await telling.there()
    clock.pass_by(holding.ASKED_FOR + timedelta(minutes=1))
    await world.collect()

    assert await telling.there() == [story.stays(n) for n in range(FILES)]
    gone = {
        n
        for n in range(FILES)
        if Act("deleted everywhere", n) in story.happened or Act("erased") in story.happened
    }
    assert before == [n not in gone for n in range(FILES)]  # what was asked for is on its way
    kept = sum(size for n, size in enumerate(_SIZES) if story.stays(n))
    assert await alice.usage() == (kept, 0)
    for n, file in enumerate(files):
        assert bool(await holders_of(world, file)) == (story.stays(n) and story.holds(n))


@pytest.mark.timeout(180)
async def test_a_file_is_there_exactly_as_long_as_somebody_has_it(
    world: World, clock: Clock
) -> None:
    loop = asyncio.get_running_loop()

    @model_settings(24)
    @hypothesis.given(stories())
    def whatever_happens(story: Story) -> None:
        asyncio.run_coroutine_threadsafe(tell(world, clock, story), loop).result(30)

    # Hypothesis can't await: it runs in a thread, and the loop serves the service meanwhile.
    await asyncio.to_thread(whatever_happens)


async def test_files_of_others_are_in_no_story(world: World, clock: Clock) -> None:
    """A look at the test itself: what one story leaves does not decide another."""
    bob = await world.person()
    file = await bob.upload(b"of bob")
    story = Story((frozenset({0}),) * MESSAGES, ((Act("sent", 0), Act("let go", 0)),))
    await tell(world, clock, story)
    async with world.app.state.work.read() as unit:
        mine = select(File.id).where(col(File.owner_id) == bob.id, col(File.deleted_at).is_(None))
        assert list(await unit.session.exec(mine)) == [UUID(file["id"])]
