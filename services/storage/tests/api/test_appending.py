"""Uploads from start to end: offsets, bodies that break off, lengths, the end."""

import asyncio
import hashlib
import os
from datetime import UTC, datetime, timedelta

import pytest

from services.storage.tests.lines import Line, Sender, broken, whole
from services.storage.tests.support import Person, World, allow, sha256
from sharezync_shared.contracts.storage import FileTooLarge
from sharezync_shared.problems import NotFound
from sharezync_storage.errors import (
    BodyBroken,
    OffsetMismatch,
    UploadBusy,
    UploadGone,
    UploadLengthConflict,
)
from sharezync_storage.models import Upload
from sharezync_storage.settings import MIB
from sharezync_storage.usecases import assembling
from sharezync_storage.usecases.uploads import give_up_expired
from sharezync_testkit.waiting import GIVE_UP_SECONDS

DATA = os.urandom(9 * MIB + 77)


async def change(world: World, sender: Sender, **columns: object) -> None:
    """Change an upload's row behind everybody's back, such as its age."""
    async with world.app.state.work.begin() as unit:
        upload = await unit.get(Upload, sender.id, lock=True)
        for name, value in columns.items():
            setattr(upload, name, value)


async def test_bytes_become_a_file_with_their_last_one(world: World, alice: Person) -> None:
    sender = await Sender.begin(world, alice, len(DATA))
    assert await alice.usage() == (0, len(DATA))
    upload = await sender.append(0, DATA[:1000])
    assert (upload.state, upload.stored_bytes) == ("receiving", 1000)
    assert (await alice.http.get(f"/v1/files/{sender.id}")).status_code == 404
    upload = await sender.append(1000, DATA[1000:])
    assert (upload.state, upload.stored_bytes, upload.expires_at) == ("finished", len(DATA), None)
    assert await sender.content() == DATA
    file = (await alice.http.get(f"/v1/files/{sender.id}")).json()
    assert (file["sha256"], file["name"], file["size_bytes"]) == (
        sha256(DATA), "film.mp4", len(DATA),
    )  # fmt: skip
    assert await alice.usage() == (len(DATA), 0)
    [fact] = world.told(file)
    assert fact.type == "storage.file.stored.v1"
    await world.left(1)


async def test_an_upload_of_no_bytes_is_complete_at_once(world: World, alice: Person) -> None:
    sender = await Sender.begin(world, alice, 0)
    assert (await sender.look()).state == "finished"
    assert await sender.content() == b""
    file = (await alice.http.get(f"/v1/files/{sender.id}")).json()
    assert file["sha256"] == sha256(b"")


@pytest.mark.parametrize("offset", [0, 9, 11, 100, 2**40])
async def test_another_offset_is_refused_and_nothing_is_written(
    world: World, alice: Person, offset: int
) -> None:
    sender = await Sender.begin(world, alice, 100)
    await sender.append(0, DATA[:10])
    with pytest.raises(OffsetMismatch) as refusal:
        await sender.append(offset, b"wrong")
    assert refusal.value.extras["offset"] == 10
    assert await sender.offset() == 10
    await sender.append(10, DATA[10:100])
    assert await sender.content() == DATA[:100]


async def test_a_body_that_breaks_off_keeps_what_came(world: World, alice: Person) -> None:
    sender = await Sender.begin(world, alice, len(DATA))
    for size in (1, 300_000, 2 * MIB):
        offset = await sender.offset()
        with pytest.raises(BodyBroken):
            await sender.append(offset, broken(DATA[offset : offset + size]))
        assert await sender.offset() == offset + size
    offset = await sender.offset()
    await sender.append(offset, whole(DATA[offset : offset + 5], b"", DATA[offset + 5 :]))
    assert await sender.content() == DATA


async def test_who_looks_after_a_broken_line_is_told_all_that_arrived(
    world: World, alice: Person
) -> None:
    sender, line = await Sender.begin(world, alice, len(DATA)), Line(DATA[:200_000])
    writing = sender.start(0, line)
    await line.arrived()
    line.hang_up()
    async with asyncio.timeout(GIVE_UP_SECONDS):
        assert await sender.offset() == 200_000
    with pytest.raises(BodyBroken):
        await writing


async def test_a_last_byte_counts_though_the_line_breaks_behind_it(
    world: World, alice: Person
) -> None:
    sender = await Sender.begin(world, alice, 1000)
    with pytest.raises(BodyBroken):
        await sender.append(0, broken(DATA[:1000]))
    assert (await sender.append(1000, b"")).state == "finished"
    assert await sender.content() == DATA[:1000]


async def test_the_last_request_again_is_answered_as_the_first(world: World, alice: Person) -> None:
    sender = await Sender.begin(world, alice, 10)
    await sender.append(0, b"0123456789")
    assert (await sender.append(10, b"")).stored_bytes == 10
    assert (await sender.append(10, b"", length=10)).stored_bytes == 10
    with pytest.raises(OffsetMismatch):
        await sender.append(0, b"0123456789")
    with pytest.raises(UploadLengthConflict):
        await sender.append(10, b"x")
    with pytest.raises(UploadLengthConflict):
        await sender.append(10, b"", length=11)


async def test_more_than_the_length_is_refused_and_what_came_before_is_kept(
    world: World, alice: Person
) -> None:
    sender = await Sender.begin(world, alice, 10)
    with pytest.raises(UploadLengthConflict):
        await sender.append(0, whole(b"0123", b"4567890"))
    assert await sender.offset() == 4
    await sender.append(4, b"456789")
    assert await sender.content() == b"0123456789"


async def test_a_length_may_be_told_with_any_request(world: World, alice: Person) -> None:
    sender = await Sender.begin(world, alice, None)
    await sender.append(0, b"01234")
    assert (await sender.look()).size_bytes is None
    upload = await sender.append(5, b"567", length=10)
    assert (upload.size_bytes, upload.state) == (10, "receiving")
    with pytest.raises(UploadLengthConflict):
        await sender.append(8, b"", length=11)
    await sender.append(8, b"89", length=10)
    assert await sender.content() == b"0123456789"
    assert await alice.usage() == (10, 0)


async def test_a_length_that_has_come_already_ends_the_upload(world: World, alice: Person) -> None:
    sender = await Sender.begin(world, alice, None)
    await sender.append(0, b"01234")
    with pytest.raises(UploadLengthConflict):
        await sender.append(5, b"", length=4)
    assert (await sender.append(5, b"", length=5)).state == "finished"
    assert await sender.content() == b"01234"


async def test_a_file_of_no_bytes_whose_length_was_deferred(world: World, alice: Person) -> None:
    sender = await Sender.begin(world, alice, None)
    assert (await sender.append(0, b"", length=0)).state == "finished"
    assert await sender.content() == b""


async def test_no_more_than_one_file_may_have_comes_without_a_length(
    world: World, alice: Person
) -> None:
    allow(world, quota_bytes=10**9, max_file_bytes=1000)
    with pytest.raises(FileTooLarge):
        await Sender.begin(world, alice, 1001)
    sender = await Sender.begin(world, alice, None)
    with pytest.raises(FileTooLarge):
        await sender.append(0, b"", length=1001)
    with pytest.raises(FileTooLarge):
        await sender.append(0, whole(bytes(1000), b"x"))
    assert await sender.offset() == 1000
    assert await alice.usage() == (0, 1000)
    await sender.append(1000, b"", length=1000)
    assert await sender.content() == bytes(1000)


async def test_uploads_of_others_are_not_there(world: World, alice: Person) -> None:
    sender, eve = await Sender.begin(world, alice, 10), await world.person()
    theirs = Sender(world.parts, eve, sender.id)
    chunks = await world.begin(alice, 10)
    for one in (theirs, Sender(world.parts, alice, chunks["id"])):
        with pytest.raises(NotFound):
            await one.look()
        with pytest.raises(NotFound):
            await one.append(0, b"x")
        with pytest.raises(NotFound):
            await one.terminate()
    assert await sender.offset() == 0


async def test_what_is_terminated_is_gone_with_its_room_and_bytes(
    world: World, alice: Person
) -> None:
    unfinished, finished = [await Sender.begin(world, alice, 10) for _ in range(2)]
    await unfinished.append(0, b"0123")
    await finished.append(0, b"0123456789")
    assert await alice.usage() == (10, 10)
    for sender in (unfinished, finished):
        await sender.terminate()
        for act in (sender.look, sender.terminate, lambda: sender.append(0, b"x")):  # noqa: B023 - called at once
            with pytest.raises(UploadGone):
                await act()
    assert await alice.usage() == (0, 0)
    assert (await alice.http.get(f"/v1/files/{finished.id}")).status_code == 404
    await world.left(0)


async def test_what_expires_is_given_up(world: World, alice: Person) -> None:
    sender = await Sender.begin(world, alice, 10)
    await sender.append(0, b"0123")
    await change(world, sender, expires_at=datetime.now(UTC) - timedelta(seconds=1))
    with pytest.raises(UploadGone):
        await sender.look()
    with pytest.raises(UploadGone):
        await sender.append(4, b"4")
    await give_up_expired(world.app.state.work)
    assert await alice.usage() == (0, 0)
    await world.left(0)
    with pytest.raises(UploadGone):
        await sender.look()


async def test_bytes_put_the_end_of_an_upload_off(world: World, alice: Person) -> None:
    sender = await Sender.begin(world, alice, 10)
    soon = datetime.now(UTC) + timedelta(minutes=5)
    await change(world, sender, expires_at=soon)
    upload = await sender.append(0, b"0")
    assert upload.expires_at is not None
    assert upload.expires_at > soon + timedelta(days=6)


async def test_a_writer_in_the_middle_when_the_upload_is_given_up_changes_nothing(
    world: World, alice: Person
) -> None:
    sender, line = await Sender.begin(world, alice, len(DATA)), Line(DATA[:MIB])
    writing = sender.start(0, line)
    await line.arrived()
    await sender.terminate()
    with pytest.raises(UploadBusy):  # it was stopped before that
        await writing
    with pytest.raises(UploadGone):
        await sender.look()
    assert await alice.usage() == (0, 0)
    await world.left(0)


async def test_the_digest_is_made_on_the_way(
    world: World, alice: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also across requests, and past bodies that broke off or were thrown away."""

    async def unread(*_: object) -> bytes:
        raise AssertionError("the file was read again")

    monkeypatch.setattr(assembling, "_sha256_of", unread)
    sender = await Sender.begin(world, alice, len(DATA))
    await sender.append(0, DATA[: 3 * MIB])
    with pytest.raises(BodyBroken):
        await sender.append(3 * MIB, broken(DATA[3 * MIB : 3 * MIB + 5000]))
    with pytest.raises(OffsetMismatch):
        await sender.append(0, b"x")
    await sender.append(3 * MIB + 5000, DATA[3 * MIB + 5000 :])
    file = (await alice.http.get(f"/v1/files/{sender.id}")).json()
    assert file["sha256"] == hashlib.sha256(DATA).hexdigest()


async def test_where_another_process_has_written_too_the_whole_is_read_for_its_digest(
    world: World, alice: Person
) -> None:
    sender = await Sender.begin(world, alice, len(DATA))
    await sender.append(0, DATA[: 3 * MIB])
    sender.parts.wholes.drop(sender.id)  # as where the process is another one
    await sender.append(3 * MIB, DATA[3 * MIB :])
    file = (await alice.http.get(f"/v1/files/{sender.id}")).json()
    assert file["sha256"] == hashlib.sha256(DATA).hexdigest()
