"""Uploads that are made of others."""

import asyncio
import os
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest

from services.storage.tests.lines import Line, Sender
from services.storage.tests.support import Person, World, allow, sha256
from sharezync_shared.contracts.storage import FileTooLarge, QuotaExceeded
from sharezync_shared.ids import uuid7
from sharezync_shared.problems import Invalid, NotFound
from sharezync_storage.errors import FinalUpload, PartsUnfinished, UploadBusy, UploadGone
from sharezync_storage.models import Upload, UploadId
from sharezync_storage.stores.port import UploadStore
from sharezync_storage.usecases import tus_uploads
from sharezync_storage.usecases.tus_uploads import TusCreation
from sharezync_storage.usecases.uploads import give_up_expired

A, B = os.urandom(100_000), os.urandom(77)


async def part(world: World, owner: Person, data: bytes) -> Sender:
    sender = await Sender.begin(world, owner, len(data), partial=True)
    if data:
        upload = await sender.append(0, data)
        assert (upload.state, upload.tus_concat) == ("held", "partial")
    return sender


async def join(world: World, owner: Person, parts: Sequence[Sender]) -> Sender:
    creation = TusCreation(
        "whole.bin",
        concat="final;" + " ".join(f"/v1/uploads/{sender.id}" for sender in parts),
        source_ids=tuple(sender.id for sender in parts),
    )
    upload, _ = await tus_uploads.create(world.parts, owner_id=owner.id, creation=creation)
    return Sender(world.parts, owner, UploadId(upload.id))


async def row(world: World, sender: Sender) -> Upload:
    async with world.app.state.work.read() as unit:
        upload = await unit.get(Upload, sender.id)
    assert upload is not None
    return upload  # type: ignore[no-any-return]  # the application's state has no types


async def test_parts_become_one_file(world: World, alice: Person) -> None:
    a, b = await asyncio.gather(part(world, alice, A), part(world, alice, B))
    assert world.told({"id": str(a.id)}) == []
    assert (await alice.http.get("/v1/files")).json()["items"] == []
    final = await join(world, alice, [a, b])
    upload = await final.look()
    assert (upload.state, upload.stored_bytes, upload.size_bytes) == (
        "finished", len(A + B), len(A + B),
    )  # fmt: skip
    assert upload.tus_concat == f"final;/v1/uploads/{a.id} /v1/uploads/{b.id}"
    assert upload.tus_metadata is None
    assert await final.content() == A + B
    file = (await alice.http.get(f"/v1/files/{final.id}")).json()
    assert (file["sha256"], file["name"]) == (sha256(A + B), "whole.bin")
    assert await alice.usage() == (len(A + B), len(A + B))  # the parts are still there


async def test_parts_can_be_used_again_and_repeatedly(world: World, alice: Person) -> None:
    a, b, empty = [await part(world, alice, data) for data in (A, B, b"")]
    for parts, content in (
        ([a], A),
        ([a, b], A + B),
        ([b, a, b, b], B + A + B + B),
        ([empty, a, empty], A),
        ([a], A),
        ([empty], b""),
    ):
        final = await join(world, alice, parts)
        assert await final.content() == content
        await world.sweep()
        assert await final.content() == content
    assert await a.offset() == len(A)


async def test_parts_expire_an_hour_after_something_was_made_of_them(
    world: World, alice: Person
) -> None:
    a = await part(world, alice, A)
    final = await join(world, alice, [a])
    expires_at = (await a.look()).expires_at
    assert expires_at is not None
    assert expires_at < datetime.now(UTC) + timedelta(hours=1)
    async with world.app.state.work.begin() as unit:
        upload = await unit.get(Upload, a.id, lock=True)
        upload.expires_at = datetime.now(UTC) - timedelta(seconds=1)
    await give_up_expired(world.app.state.work)
    with pytest.raises(UploadGone):
        await a.look()
    assert await alice.usage() == (len(A), 0)
    await world.left(1)
    assert await final.content() == A


async def test_unfinished_parts_are_named(world: World, alice: Person) -> None:
    a = await part(world, alice, A)
    b = await Sender.begin(world, alice, len(B), partial=True)
    await b.append(0, B[:10])
    with pytest.raises(PartsUnfinished) as refusal:
        await join(world, alice, [a, b])
    assert refusal.value.extras["unfinished"] == [f"/v1/uploads/{b.id}"]
    assert await alice.usage() == (0, len(A) + len(B))
    await b.append(10, B[10:])
    assert await (await join(world, alice, [a, b])).content() == A + B


async def test_what_is_no_part_of_mine_makes_nothing(world: World, alice: Person) -> None:
    eve = await world.person()
    theirs, gone = await part(world, eve, A), await part(world, alice, A)
    await gone.terminate()
    plain = await Sender.begin(world, alice, 3)
    await plain.append(0, b"abc")
    final = await join(world, alice, [await part(world, alice, A)])
    unknown = Sender(world.parts, alice, UploadId(uuid7()))
    for parts, refusal in (
        ([theirs], NotFound),
        ([unknown], NotFound),
        ([gone], UploadGone),
        ([plain], Invalid),
        ([final], Invalid),
    ):
        with pytest.raises(refusal):
            await join(world, alice, parts)


async def test_a_final_upload_takes_no_bytes(world: World, alice: Person) -> None:
    final = await join(world, alice, [await part(world, alice, A)])
    with pytest.raises(FinalUpload):
        await final.append(len(A), b"")


async def test_the_room_of_the_whole_is_reserved_anew(world: World, alice: Person) -> None:
    a = await part(world, alice, A)
    few = 3 * len(A) - 1
    allow(world, quota_bytes=few, max_file_bytes=few)
    with pytest.raises(FileTooLarge):
        await join(world, alice, [a, a, a])
    with pytest.raises(QuotaExceeded):
        await join(world, alice, [a, a])
    assert await alice.usage() == (0, len(A))
    final = await join(world, alice, [a])
    await final.terminate()
    assert await alice.usage() == (0, len(A))


async def test_parts_stay_until_what_is_made_of_them_is_whole(
    world: World, alice: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    a, b = [await part(world, alice, data) for data in (A, B)]
    go_on = asyncio.Event()
    store: UploadStore = world.parts.store
    assemble = store.assemble

    async def held_up(*given: object) -> None:
        await go_on.wait()
        await assemble(*given)  # type: ignore[arg-type]  # passed on as they came

    monkeypatch.setattr(store, "assemble", held_up)
    monkeypatch.setattr(world.parts.assembler, "_patience_seconds", 0.01)
    final = await join(world, alice, [a, b])
    assert (await final.look()).state == "verifying"
    with pytest.raises(UploadBusy):
        await a.terminate()
    async with world.app.state.work.begin() as unit:
        upload = await unit.get(Upload, b.id, lock=True)
        upload.expires_at = datetime.now(UTC) - timedelta(seconds=1)
    await give_up_expired(world.app.state.work)
    assert (await row(world, b)).state == "held"
    go_on.set()
    monkeypatch.setattr(world.parts.assembler, "_patience_seconds", 30)
    await world.parts.assembler.finish(final.id)
    assert await final.content() == A + B
    await a.terminate()


async def test_partial_uploads_break_off_and_go_on_like_others(world: World, alice: Person) -> None:
    sender, line = await Sender.begin(world, alice, None, partial=True), Line(A[:1000])
    line.end()
    await sender.append(0, line)
    upload = await sender.append(1000, A[1000:], length=len(A))
    assert upload.state == "held"
    assert await (await join(world, alice, [sender])).content() == A
