"""Collection: what expired, what nobody holds, what is not needed; whatever dies in between."""

import asyncio
import itertools
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from prometheus_client import generate_latest
from sqlmodel import col, update

from services.storage.tests.holding import Clock, hear
from services.storage.tests.support import CHUNKS, DATA, Json, Person, World
from sharezync_shared.events.contracts import MessageDeleted, MessageSent
from sharezync_shared.ids import uuid7
from sharezync_shared.work import UnitOfWork
from sharezync_storage.errors import BodyBroken, StoreUnavailable
from sharezync_storage.models import Upload
from sharezync_storage.usecases import collecting, form_uploads
from sharezync_storage.usecases.sweeping import AGAIN, Sweeper
from sharezync_storage.usecases.uploads import give_up_expired
from sharezync_testkit.tus.client import Tus
from sharezync_testkit.waiting import wait_until

REAL_RUNNING = Sweeper.running


@pytest.fixture(autouse=True)
def nobody_else_sweeps(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the service's own sweeper still: what it has claimed, these tests would wait for."""

    @asynccontextmanager
    async def never(sweeper: Sweeper) -> AsyncGenerator[None]:
        yield

    monkeypatch.setattr(Sweeper, "running", never)


class Killed(BaseException):
    """The process dies here."""


async def expire(world: World, upload: Json) -> None:
    """Let the clock pass the end of an upload's life."""
    async with world.app.state.work.begin() as unit:
        await unit.session.exec(
            update(Upload)
            .where(col(Upload.id) == UUID(upload["id"]))
            .values(expires_at=unit.now - timedelta(seconds=1))
        )


async def posted(world: World, file: Json) -> tuple[MessageSent, MessageDeleted]:
    """Return the news of a message with a file, and that it was taken back."""
    message, channel, files = uuid7(), uuid7(), (UUID(file["id"]),)
    sent = MessageSent(
        message_id=message, channel_id=channel, author_id=uuid7(), seq=1, attachments=files
    )
    return sent, MessageDeleted(message_id=message, channel_id=channel, attachments=files)


async def rubbish(world: World, person: Person) -> list[Json]:
    """Leave one of each: an upload that expired, a file nobody holds, a file that is deleted."""
    upload = await world.begin(person, len(DATA))
    await world.put(upload, 0, CHUNKS[0])
    await world.put(upload, 1, CHUNKS[1])
    unheld, deleted = await person.upload(b"unheld"), await person.upload(b"deleted")
    sent, taken_back = await posted(world, unheld)
    await hear(world, sent)
    await person.http.delete(f"/v1/files/{unheld['id']}")
    await hear(world, taken_back)
    await expire(world, upload)
    await person.http.delete(f"/v1/files/{deleted['id']}")
    return [upload, unheld, deleted]


class Steps:
    """Counts the steps of a collection: each commit, each call to the store; dies at one."""

    def __init__(self, world: World, fatal: int) -> None:
        self._work = world.app.state.work
        self._store = world.parts.store
        self._fatal = fatal
        self.taken = 0

    def step(self) -> None:
        self.taken += 1
        if self.taken > self._fatal:
            raise Killed

    @asynccontextmanager
    async def begin(self) -> AsyncGenerator[UnitOfWork]:
        async with type(self._work).begin(self._work) as unit:
            yield unit
            self.step()  # what follows is the commit
        self.step()

    def around(self, name: str) -> Callable[..., Awaitable[Any]]:
        real = getattr(self._store, name)

        async def call(*arguments: object) -> object:
            self.step()
            outcome = await real(*arguments)
            self.step()
            return outcome

        return call

    async def collect(self, monkeypatch: pytest.MonkeyPatch) -> bool:
        """Collect; return whether it came to its end."""
        with monkeypatch.context() as patched:
            patched.setattr(self._work, "begin", self.begin)
            for name in ("delete", "discard"):
                patched.setattr(self._store, name, self.around(name))
            try:
                await give_up_expired(self._work)
                await collecting.remove_unheld(self._work)
                while await Sweeper(self._work, self._store).sweep():
                    pass
            except Killed:
                return False
        return True


@pytest.mark.timeout(180)
async def test_a_collection_that_dies_between_any_two_steps_is_finished_by_the_next(
    world: World, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    deaths = 0
    for fatal in itertools.count():
        alice = await world.person()
        left = await rubbish(world, alice)
        if await Steps(world, fatal).collect(monkeypatch):
            break
        deaths += 1
        clock.pass_by(timedelta(minutes=6))  # what the dead one had claimed is free again
        assert await Steps(world, 10_000).collect(monkeypatch)
        assert await alice.usage() == (0, 0)
        assert world.blobs() == []
        clock.pass_by(AGAIN)
        assert await Steps(world, 10_000).collect(monkeypatch)
        for thing in left:
            assert await world.deletions(thing) == []
    assert deaths > 10


async def test_what_is_given_up_counts_as_much_as_it_did_while_it_was_under_way(
    world: World, alice: Person
) -> None:
    chunks = await world.begin(alice, len(DATA))
    await world.put(chunks, 0, CHUNKS[0])
    tus = Tus(alice.http)
    resumable = (await tus.new(11, b"hello")).rpartition("/")[2]
    body = {"name": "x", "mime": "text/plain", "size_bytes": 7}
    direct = (await alice.http.post("/v1/files/presigned", json=body)).json()["id"]
    began, enough = asyncio.Event(), asyncio.Event()

    async def form() -> AsyncGenerator[bytes]:
        yield b"12345"
        began.set()
        await enough.wait()

    arriving = asyncio.create_task(
        form_uploads.receive(
            world.parts,
            owner_id=alice.id,
            name="x",
            mime=None,
            pieces=form(),
            expected_bytes=500,
        )
    )
    await began.wait()
    async with world.app.state.work.begin() as unit:
        theirs = update(Upload).where(col(Upload.owner_id) == alice.id)
        await unit.session.exec(
            theirs.where(col(Upload.id) == UUID(direct)).values(direct_id="the bucket's")
        )
        await unit.session.exec(theirs.values(expires_at=unit.now - timedelta(seconds=1)))

    def of(size: dict[str, int], upload_id: str) -> int:
        named = upload_id.replace("-", "")
        return sum(size[name] for name in size if named in name.replace("-", ""))

    before = {each.name: each.size_bytes for each in await collecting.due(world.app.state.work)}
    expected = {chunks["id"]: len(CHUNKS[0]), resumable: 5, direct: 7}
    assert {upload_id: of(before, upload_id) for upload_id in expected} == expected
    (form_id,) = (name.split()[0] for name, size in before.items() if size == 500)
    await give_up_expired(world.app.state.work)
    due = await collecting.due(world.app.state.work)
    after = {each.name: each.size_bytes for each in due if each.kind == "key"}
    expected[form_id] = 500
    assert {upload_id: of(after, upload_id) for upload_id in expected} == expected
    enough.set()
    with pytest.raises(BodyBroken):
        await arriving
    last = await world.deletions({"id": form_id})
    assert sum(each.size_bytes for each in last) == 500 + 5  # what came behind it all the same


async def test_what_cannot_be_deleted_stays_on_record_and_keeps_nothing_else(
    world: World, alice: Person, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = [await alice.upload(b"x") for _ in range(6)]
    stubborn = {UUID(file["id"]).hex for file in files[::2]}
    real = world.parts.store.delete

    async def some_fail(key: str) -> None:
        if key.rpartition("/")[2] in stubborn:
            raise StoreUnavailable
        await real(key)

    with monkeypatch.context() as broken:
        broken.setattr(world.parts.store, "delete", some_fail)
        for file in files:
            await alice.http.delete(f"/v1/files/{file['id']}")
        await world.left(3)
    assert await alice.usage() == (0, 0)  # the room is free, whatever the store does
    assert {blob.name for blob in world.blobs()} == stubborn
    figures = await metrics(world)
    assert figures["sharezync_storage_pending_deletion_bytes"] >= 3
    clock.pass_by(timedelta(minutes=6))
    await world.left(0)


async def metrics(world: World) -> dict[str, float]:
    """Return what a scrape would show, without the names' labels where there are none."""
    await world.parts.audit.count()
    text = generate_latest(world.app.state.core.platform.registry).decode()
    lines = [line for line in text.splitlines() if line.startswith("sharezync_storage_")]
    return {line.rpartition(" ")[0]: float(line.rpartition(" ")[2]) for line in lines}


async def test_what_waits_and_what_is_kept_can_be_watched(world: World, alice: Person) -> None:
    before = await metrics(world)
    upload = await world.begin(alice, len(DATA))
    await world.put(upload, 0, CHUNKS[0])
    file = await alice.upload(b"1234567")
    held = await alice.upload(b"held")
    sent, _ = await posted(world, held)
    await hear(world, sent)
    await alice.http.delete(f"/v1/files/{held['id']}")
    await expire(world, upload)

    def grown(after: dict[str, float], name: str) -> float:
        return after[f"sharezync_storage_{name}"] - before.get(f"sharezync_storage_{name}", 0)

    after = await metrics(world)
    assert grown(after, "used_bytes") == len(b"1234567held")
    assert grown(after, "reserved_bytes") == len(DATA)
    assert grown(after, "expired_uploads") == 1
    assert grown(after, "detached_files") == 1
    assert grown(after, 'uploads{source="chunks",state="receiving"}') == 1
    assert grown(after, "pending_deletions") == 0
    await give_up_expired(world.app.state.work)
    await alice.http.delete(f"/v1/files/{file['id']}?everywhere=true")
    after = await metrics(world)
    assert grown(after, "used_bytes") == len(b"held")
    assert grown(after, "reserved_bytes") == 0
    assert grown(after, "expired_uploads") == 0
    assert grown(after, "pending_deletions") >= 2  # their second time, at least


async def test_content_that_is_lost_is_seen_and_nothing_is_deleted_for_it(
    world: World, alice: Person
) -> None:
    files = [await alice.upload(b"content") for _ in range(4)]
    whole, missing, short, deleted = files
    blob = {file["id"]: next(b for b in world.blobs() if b.name == UUID(file["id"]).hex)
            for file in files}  # fmt: skip
    blob[missing["id"]].unlink()
    blob[short["id"]].write_bytes(b"con")
    blob[deleted["id"]].unlink()
    await alice.http.delete(f"/v1/files/{deleted['id']}")
    found = await look_everywhere(world)
    assert {missing["id"], short["id"]} <= found
    assert not {whole["id"], deleted["id"]} & found
    blob[missing["id"]].write_bytes(b"content")
    assert missing["id"] not in await look_everywhere(world)
    listed = (await alice.http.get("/v1/files")).json()["items"]
    assert {file["id"] for file in listed} == {whole["id"], missing["id"], short["id"]}


async def look_everywhere(world: World) -> set[str]:
    """Have the watch go round once, and return what it misses: here also files of other tests."""
    audit = world.parts.audit
    await audit.audit_next()
    while audit._behind.int:
        await asyncio.sleep(0)
        await audit.audit_next()
    return {str(file_id) for file_id in audit._missing}


async def test_a_task_beside_the_sweeper_that_hangs_keeps_no_other_from_its_turn(
    world: World,
) -> None:
    turns = 0

    async def hang() -> None:
        await asyncio.Event().wait()

    async def work() -> None:
        nonlocal turns
        turns += 1

    sweeper = Sweeper(world.app.state.work, world.parts.store, {"hangs": hang, "works": work})
    async with REAL_RUNNING(sweeper):
        await wait_until(lambda: turns == 1)
        sweeper.wake()
        await wait_until(lambda: turns == 2)
