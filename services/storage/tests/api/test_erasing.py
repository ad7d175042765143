"""What is given up or erased is gone in the end, whatever dies in between."""

import asyncio
from datetime import timedelta
from uuid import UUID

import pytest
from sqlmodel import col, select, update

from services.storage.tests.support import Json, Person, World, code_of
from sharezync_shared.events.contracts import FileDeleted, UserDeleted
from sharezync_shared.events.local import LocalBus
from sharezync_storage.errors import StoreUnavailable
from sharezync_storage.models import Chunk, Deletion, File, Upload, Usage
from sharezync_storage.usecases.uploads import give_up_expired
from sharezync_testkit.waiting import GIVE_UP_SECONDS, wait_until


async def rows_of(world: World, person: Person) -> list[object]:
    async with world.app.state.work.read() as unit:
        found: list[object] = []
        for table, owner in (
            (File, File.owner_id),
            (Upload, Upload.owner_id),
            (Usage, Usage.user_id),
        ):
            found += list(await unit.session.exec(select(table).where(owner == person.id)))
        return found


async def expire(world: World, upload: Json) -> None:
    """Let the clock pass the end of an upload's life."""
    async with world.app.state.work.begin() as unit:
        past = unit.now - timedelta(seconds=1)
        await unit.session.exec(
            update(Upload).where(col(Upload.id) == UUID(upload["id"])).values(expires_at=past)
        )


# --- a user goes ---------------------------------------------------------------------------------


async def test_a_deleted_user_leaves_neither_rows_nor_bytes(
    world: World, bus: LocalBus, alice: Person
) -> None:
    bob = await world.person()
    theirs = await bob.upload(b"of bob")
    files = [await alice.upload(b"x", f"{n}.txt") for n in range(3)]
    await alice.http.delete(f"/v1/files/{files[0]['id']}")
    upload = await world.begin(alice, 2000)
    await world.put(upload, 0, bytes(1000))
    link = (await world.link(files[1], bob)).json()["url"]

    await bus.publish([UserDeleted(user_id=alice.id).envelope()])
    for file in files[1:]:
        await wait_until(lambda file=file: len(world.told(file)) == 2)  # type: ignore[misc]  # bound now
        assert FileDeleted.decode(world.told(file)[1]).owner_id == alice.id
    assert await rows_of(world, alice) == []
    assert (await bob.http.get(link)).status_code == 404
    assert code_of(await world.put(upload, 1, bytes(1000))) == "not-found"
    assert code_of(await world.chunk(upload, 0)) == "not-found"
    await world.left(1)
    assert (await bob.content(theirs)).content == b"of bob"


async def test_erasing_again_changes_nothing(world: World, bus: LocalBus, alice: Person) -> None:
    file = await alice.upload(b"x")
    fact = UserDeleted(user_id=alice.id).envelope()
    await bus.publish([fact, fact])
    await bus.publish([UserDeleted(user_id=alice.id).envelope()])
    await wait_until(lambda: len(world.told(file)) >= 2)
    assert await rows_of(world, alice) == []
    await world.sweep()
    assert [fact.type for fact in world.told(file)][1:] == [FileDeleted.type]


async def test_what_a_token_that_outlived_its_user_brings_goes_with_the_next_event(
    world: World, bus: LocalBus, alice: Person
) -> None:
    await bus.publish([UserDeleted(user_id=alice.id).envelope()])
    file = await alice.upload(b"late")
    await bus.publish([UserDeleted(user_id=alice.id).envelope()])
    await wait_until(lambda: len(world.told(file)) == 2)
    assert await rows_of(world, alice) == []


# --- an upload is forgotten ----------------------------------------------------------------------


async def test_an_expired_upload_gives_its_room_and_its_bytes_back(
    world: World, alice: Person
) -> None:
    upload, other = await world.begin(alice, 2000), await world.begin(alice, 500)
    await world.put(upload, 0, bytes(1000))
    await world.put(other, 0, bytes(500))
    await expire(world, upload)
    await give_up_expired(world.app.state.work)
    assert (await world.status(upload))["state"] == "aborted"
    assert (await world.status(other))["state"] == "receiving"
    assert await alice.usage() == (0, 500)
    assert code_of(await world.put(upload, 1, bytes(1000))) == "upload-closed"
    await world.left(1)


async def test_a_new_chunk_renews_an_uploads_life(world: World, alice: Person) -> None:
    upload = await world.begin(alice, 2000)
    await expire(world, upload)
    assert (await world.put(upload, 0, bytes(1000))).status_code == 200
    await give_up_expired(world.app.state.work)
    assert (await world.status(upload))["state"] == "receiving"


async def test_a_finished_upload_never_expires(world: World, alice: Person) -> None:
    upload = await world.begin(alice, 500)
    await world.put(upload, 0, bytes(500))
    await world.finish(upload)
    await expire(world, upload)
    await give_up_expired(world.app.state.work)
    assert (await world.status(upload))["state"] == "finished"
    assert (await world.chunk(upload, 0)).status_code == 200


async def test_what_a_crash_left_of_a_form_is_found_by_its_lease(
    world: World, alice: Person
) -> None:
    """The row of an upload whose process died: reserved room, and perhaps bytes."""
    async with world.app.state.work.begin() as unit:
        upload = Upload(
            id=UUID(int=alice.id.int ^ 1),
            owner_id=alice.id,
            source="form",
            state="receiving",
            name="x",
            mime="text/plain",
            store_key=f"files/{alice.id.hex[-2:]}/{alice.id.hex}",
            created_at=unit.now,
            expires_at=unit.now - timedelta(seconds=1),
        )
        unit.add(upload)
    half = world.folder / f"{upload.store_key}.part"
    half.parent.mkdir(exist_ok=True)  # as the store does when something is written there
    half.write_bytes(b"half of it")
    await give_up_expired(world.app.state.work)
    await world.left(0)
    assert await rows_of(world, alice) == []


async def test_the_end_of_an_upload_is_forgotten_a_week_later(world: World, alice: Person) -> None:
    upload = await world.begin(alice, 2000)
    await world.abort(upload)
    async with world.app.state.work.begin() as unit:
        past = unit.now - timedelta(days=8)
        await unit.session.exec(
            update(Upload).where(col(Upload.id) == UUID(upload["id"])).values(expires_at=past)
        )
    await give_up_expired(world.app.state.work)
    answer = await world.inside.get(f"/internal/uploads/{upload['id']}")
    assert (answer.status_code, code_of(answer)) == (404, "not-found")


# --- the sweep -----------------------------------------------------------------------------------


async def test_a_deletion_that_fails_is_kept_and_done_later(
    world: World, alice: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = await alice.upload(b"x")
    asked = asyncio.Event()

    async def away(_: str) -> None:
        asked.set()
        raise StoreUnavailable

    with monkeypatch.context() as broken:
        broken.setattr(world.parts.store, "delete", away)
        await alice.http.delete(f"/v1/files/{file['id']}")
        await asyncio.wait_for(asked.wait(), GIVE_UP_SECONDS)
    now = world.app.state.work.now()
    left: list[Deletion] = []
    async with asyncio.timeout(GIVE_UP_SECONDS):  # it is noted a moment after it failed
        while not any(row.attempts for row in left):
            left = await world.deletions(file)
    assert [row.attempts for row in left] == [1, 0]
    assert left[0].due_at > now  # nobody hurries to a store that is away
    assert len(world.blobs()) == 1
    async with world.app.state.work.begin() as unit:
        await unit.session.exec(
            update(Deletion).where(col(Deletion.id) == left[0].id).values(due_at=now)
        )
    await world.left(0)


async def test_the_sweep_runs_by_itself(world: World, alice: Person) -> None:
    upload = await world.begin(alice, 1000)
    await expire(world, upload)
    world.parts.sweeper.wake()
    # What other tests have left in the database is swept first.
    await wait_until(lambda: not world.blobs(), within_seconds=60)
    assert await alice.usage() == (0, 0)


async def test_a_chunk_behind_the_end_of_its_upload_is_swept_up(
    world: World, alice: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the store does not notice (S3), the record does."""
    upload = await world.begin(alice, 1000)
    real = world.parts.store.write_chunk

    async def written_and_aborted(*arguments: object) -> None:
        await real(*arguments)  # type: ignore[arg-type]  # passed on as they come
        await world.abort(upload)

    monkeypatch.setattr(world.parts.store, "write_chunk", written_and_aborted)
    assert code_of(await world.put(upload, 0, bytes(1000))) == "upload-closed"
    left = await world.deletions(upload)
    assert left[-1].due_at > world.app.state.work.now() + timedelta(minutes=15)
    async with world.app.state.work.read() as unit:
        chunks = select(Chunk).where(Chunk.upload_id == UUID(upload["id"]))
        assert list(await unit.session.exec(chunks)) == []
