"""Uploads from start to end on S3, at two replicas over one database and one bucket."""

import asyncio
import hashlib
import os
from collections.abc import AsyncIterator

import pytest

from services.storage.tests.integration.test_service_on_s3 import (
    _credentials,  # noqa: F401 - a fixture
    left,
    s3_settings,  # noqa: F401 - a fixture
    world_on,
)
from services.storage.tests.lines import Line, Sender, broken
from services.storage.tests.support import Person, World
from sharezync_shared.tokens.issuer import TokenIssuer
from sharezync_storage.errors import BodyBroken, ChecksumMismatch, OffsetMismatch, UploadBusy
from sharezync_storage.models import Upload
from sharezync_storage.settings import MIB, StorageSettings
from sharezync_storage.usecases.checksums import Checksum
from sharezync_testkit.waiting import GIVE_UP_SECONDS, wait_until

DATA = os.urandom(17 * MIB + 5)


@pytest.fixture
async def replicas(
    s3_settings: StorageSettings,  # noqa: F811 - the fixture
    issuer: TokenIssuer,
) -> AsyncIterator[tuple[World, World]]:
    async for one in world_on(s3_settings, issuer):
        async for other in world_on(s3_settings, issuer):
            yield one, other


@pytest.fixture
async def one(replicas: tuple[World, World]) -> World:
    return replicas[0]


@pytest.fixture
async def other(replicas: tuple[World, World]) -> World:
    return replicas[1]


@pytest.fixture
async def ann(one: World) -> Person:
    return await one.person()


async def digest_of(sender: Sender) -> str:
    file = (await sender.owner.http.get(f"/v1/files/{sender.id}")).json()
    return str(file["sha256"])


async def test_an_upload_goes_on_at_another_replica(one: World, other: World, ann: Person) -> None:
    here = await Sender.begin(one, ann, len(DATA))
    there = here.at(other)
    await here.append(0, DATA[: 3 * MIB])
    with pytest.raises(BodyBroken):
        await there.append(3 * MIB, broken(DATA[3 * MIB : 9 * MIB]))
    assert await here.offset() == 9 * MIB
    await here.append(9 * MIB, DATA[9 * MIB : 10 * MIB])
    await there.append(10 * MIB, DATA[10 * MIB :])
    assert await here.content() == DATA
    assert await digest_of(here) == hashlib.sha256(DATA).hexdigest()
    assert await ann.usage() == (len(DATA), 0)
    await left(one, 1)


async def test_one_that_is_still_receiving_elsewhere_is_not_disturbed(
    one: World, other: World, ann: Person
) -> None:
    here = await Sender.begin(one, ann, len(DATA))
    line, there = Line(), here.at(other)
    writing = here.start(0, line)
    await line.asked.wait()
    stop = asyncio.Event()

    async def endless() -> None:
        while not stop.is_set():
            line.send(b"x")
            await asyncio.sleep(0.02)

    sending = asyncio.create_task(endless())
    with pytest.raises(UploadBusy):
        await there.append(await there.offset(), b"mine")
    assert not writing.done()
    stop.set()
    await sending
    line.end()
    received = (await writing).stored_bytes
    assert await there.offset() == received


@pytest.mark.parametrize("looks", [True, False])
async def test_one_that_has_stalled_elsewhere_is_taken_over_from(
    one: World, other: World, ann: Person, *, looks: bool
) -> None:
    here = await Sender.begin(one, ann, len(DATA))
    line, there = Line(DATA[:MIB]), here.at(other)
    writing = here.start(0, line)
    await here.stalled()
    await recorded(one, here, MIB)
    if looks:
        assert await there.offset() == MIB
    await there.append(MIB, DATA[MIB : 9 * MIB])
    # It comes back, long after its time: what it brings must count nowhere.
    line.send(os.urandom(12 * MIB))
    line.end()
    with pytest.raises(UploadBusy):
        await writing
    assert await here.offset() == 9 * MIB
    await here.append(9 * MIB, DATA[9 * MIB :])
    assert await there.content() == DATA
    assert await digest_of(here) == hashlib.sha256(DATA).hexdigest()
    await left(one, 1)


async def recorded(world: World, sender: Sender, size_bytes: int) -> None:
    async with asyncio.timeout(GIVE_UP_SECONDS):
        while True:
            async with world.app.state.work.read() as unit:
                if (await unit.get(Upload, sender.id)).stored_bytes == size_bytes:
                    return
            await asyncio.sleep(0.02)


async def test_a_wrong_checksum_leaves_what_was_there(
    one: World, other: World, ann: Person
) -> None:
    here = await Sender.begin(one, ann, len(DATA))
    there = here.at(other)
    await here.append(0, DATA[: 3 * MIB])
    wrong = Checksum("sha1", bytes(20))
    for sender in (here, there, here):
        with pytest.raises(ChecksumMismatch):
            await sender.append(3 * MIB, DATA[3 * MIB :], checksum=wrong)
    assert await there.offset() == 3 * MIB
    right = Checksum("sha1", hashlib.sha1(DATA[3 * MIB :]).digest())
    await there.append(3 * MIB, DATA[3 * MIB :], checksum=right)
    assert await here.content() == DATA
    await left(one, 1)


async def test_clients_at_two_replicas_never_mix_their_bytes(
    one: World, other: World, ann: Person
) -> None:
    here = await Sender.begin(one, ann, len(DATA))

    async def client(sender: Sender, number: int) -> None:
        while True:
            try:
                upload = await sender.look()
                if upload.state not in ("created", "receiving"):
                    return
                offset = upload.stored_bytes
                await sender.append(offset, DATA[offset : offset + 4 * MIB + number])
            except (UploadBusy, OffsetMismatch):
                await asyncio.sleep(0.02 * number)

    async with asyncio.timeout(100):
        await asyncio.gather(
            *(
                client(here.at(world), 2 * n + i + 1)
                for n in range(2)
                for i, world in enumerate((one, other))
            )
        )
    await wait_until(lambda: not one.parts.assembler._tasks and not other.parts.assembler._tasks)
    assert await here.content() == DATA
    assert await digest_of(here) == hashlib.sha256(DATA).hexdigest()
    await left(one, 1)


async def test_what_a_crash_left_unfinished_another_replica_finishes(
    one: World, other: World, ann: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def died(*_: object) -> None:
        raise asyncio.CancelledError

    with monkeypatch.context() as dying:
        dying.setattr(one.parts.store, "assemble", died)
        here = await Sender.begin(one, ann, len(DATA))
        assert (await here.append(0, DATA)).state == "verifying"
    await other.parts.assembler.finish_stranded()
    assert (await here.look()).state == "verifying"  # its lease holds: perhaps it works on it
    async with one.app.state.work.begin() as unit:
        upload = await unit.get(Upload, here.id, lock=True)
        upload.leased_until = None
    await other.parts.assembler.finish_stranded()
    await other.parts.assembler.finish(here.id)
    assert await here.content() == DATA
    assert await digest_of(here) == hashlib.sha256(DATA).hexdigest()
