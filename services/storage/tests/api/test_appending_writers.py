"""Several who write to one upload: one at a time, and one that has stalled is in nobody's way."""

import asyncio
import os
from collections.abc import AsyncIterator
from datetime import timedelta
from uuid import uuid4

import pytest

from services.storage.tests.lines import Line, Sender
from services.storage.tests.support import Person, World, code_of
from sharezync_shared.problems import Unavailable
from sharezync_storage.errors import OffsetMismatch, UploadBusy, UploadGone
from sharezync_storage.models import Upload
from sharezync_storage.settings import MIB
from sharezync_storage.stores.port import Extent
from sharezync_storage.usecases.uploads import give_up
from sharezync_storage.usecases.writers import Leases, Preempted
from sharezync_testkit.waiting import GIVE_UP_SECONDS, wait_until

DATA = os.urandom(5 * MIB)
_WEEK = timedelta(days=7)


@pytest.fixture
async def sender(world: World, alice: Person) -> Sender:
    return await Sender.begin(world, alice, len(DATA))


async def row(world: World, sender: Sender) -> Upload:
    async with world.app.state.work.read() as unit:
        upload = await unit.get(Upload, sender.id)
    assert upload is not None
    return upload  # type: ignore[no-any-return]  # the application's state has no types


async def endless(line: Line, stop: asyncio.Event) -> None:
    while not stop.is_set():
        line.send(b"x")
        await asyncio.sleep(0.05)


async def test_of_two_at_once_one_writes(sender: Sender) -> None:
    answers = await asyncio.gather(
        *(sender.append(0, DATA) for _ in range(6)), return_exceptions=True
    )
    written = [answer for answer in answers if isinstance(answer, Upload)]
    assert [upload.stored_bytes for upload in written] == [len(DATA)]
    refused = [answer for answer in answers if not isinstance(answer, Upload)]
    assert all(isinstance(answer, UploadBusy | OffsetMismatch) for answer in refused), refused
    assert await sender.content() == DATA


async def test_one_that_is_still_receiving_is_not_disturbed(world: World, sender: Sender) -> None:
    line, stop = Line(b"x"), asyncio.Event()
    writing, sending = sender.start(0, line), asyncio.create_task(endless(line, stop))
    await line.arrived()
    looked = await sender.look()
    with pytest.raises(UploadBusy) as refusal:
        await sender.append(looked.stored_bytes, b"mine")
    assert refusal.value.headers["Retry-After"] == "1"
    assert not writing.done()
    stop.set()
    await sending
    line.end()
    received = (await writing).stored_bytes
    assert await sender.offset() == received
    assert (await row(world, sender)).epoch == 1


async def test_looking_sees_a_stalled_one_off_and_tells_all_that_arrived(sender: Sender) -> None:
    line = Line(DATA[:300_000], DATA[300_000:1_000_000])
    writing = sender.start(0, line)
    await line.arrived()
    await sender.stalled()
    assert await sender.offset() == 1_000_000
    with pytest.raises(UploadBusy):
        await writing
    line.send(DATA[1_000_000:])  # what comes now comes too late
    await sender.append(1_000_000, DATA[1_000_000:])
    assert await sender.content() == DATA


async def test_writing_sees_a_stalled_one_off(sender: Sender) -> None:
    line = Line(DATA[:1_000_000])
    writing = sender.start(0, line)
    await line.arrived()
    await sender.stalled()
    with pytest.raises(OffsetMismatch) as refusal:
        await sender.append(0, DATA)
    assert refusal.value.extras["offset"] == 1_000_000
    with pytest.raises(UploadBusy):
        await writing
    await sender.append(1_000_000, DATA[1_000_000:])
    assert await sender.content() == DATA


async def test_one_that_stalled_may_go_on_where_nobody_came(world: World, sender: Sender) -> None:
    line = Line(DATA[:1000])
    writing = sender.start(0, line)
    await line.arrived()
    await sender.stalled()
    await wait_until_recorded(world, sender, 1000)
    line.send(DATA[1000:])
    line.end()
    assert (await writing).state == "finished"
    assert await sender.content() == DATA


async def wait_until_recorded(world: World, sender: Sender, size_bytes: int) -> None:
    async with asyncio.timeout(GIVE_UP_SECONDS):
        while (await row(world, sender)).stored_bytes != size_bytes:  # noqa: ASYNC110 - tables tell nobody
            await asyncio.sleep(0.02)


async def test_a_stalled_one_has_its_bytes_on_record_before_anybody_comes(
    world: World, sender: Sender
) -> None:
    line = Line(DATA[:1000])
    writing = sender.start(0, line)
    await wait_until_recorded(world, sender, 1000)
    assert not writing.done()
    line.hang_up()
    await asyncio.wait([writing])


async def test_a_lease_is_renewed_while_bytes_come_and_lapses_when_none_do(
    world: World, sender: Sender
) -> None:
    line, stop = Line(b"x"), asyncio.Event()
    writing, sending = sender.start(0, line), asyncio.create_task(endless(line, stop))
    await line.arrived()
    first = (await row(world, sender)).leased_until
    async with asyncio.timeout(GIVE_UP_SECONDS):
        while (renewed := (await row(world, sender)).leased_until) == first:  # noqa: ASYNC110 - tables tell nobody
            await asyncio.sleep(0.05)
    stop.set()
    await sending
    assert first is not None
    assert renewed is not None
    assert renewed > first
    async with asyncio.timeout(GIVE_UP_SECONDS):
        leases = Leases(world.app.state.work.database, _WEEK)
        while not await leases.end_elsewhere(sender.id):
            pass
    line.send(b"too late")
    line.end()
    with pytest.raises(UploadBusy):
        await writing


async def test_whoever_lost_the_lease_records_nothing(world: World, sender: Sender) -> None:
    """As seen from a process that was away for a while, and comes back."""
    leases = Leases(world.app.state.work.database, _WEEK)
    async with world.app.state.work.begin() as unit:
        epoch = await leases.claim(await unit.raw(), sender.id, uuid4())
    assert epoch == 1
    assert await sender.offset() == 0  # looking waits for the lease to lapse, and ends it
    assert not await leases.renew(sender.id, epoch)
    with pytest.raises(Preempted):
        await leases.record(
            sender.id, epoch, state="receiving", extent=Extent(5), changed=(), sha256=None
        )
    await leases.let_go(sender.id, epoch)
    assert await sender.offset() == 0
    assert (await row(world, sender)).epoch == 2


async def test_one_of_a_process_that_died_is_waited_for_and_no_longer(
    world: World, sender: Sender
) -> None:
    leases = Leases(world.app.state.work.database, _WEEK)
    async with world.app.state.work.begin() as unit:
        await leases.claim(await unit.raw(), sender.id, uuid4())
    await sender.append(0, DATA)
    assert await sender.content() == DATA


async def test_what_a_writer_brings_after_the_upload_is_over_counts_nowhere(
    world: World, sender: Sender, alice: Person
) -> None:
    """It was given up behind its back, as the sweep and other replicas do."""
    line = Line(DATA[:MIB])
    writing = sender.start(0, line)
    await line.arrived()
    async with world.app.state.work.begin() as unit:
        upload = await unit.get(Upload, sender.id, lock=True)
        await give_up(unit, upload)
    line.send(DATA[MIB:])
    line.end()
    with pytest.raises(UploadGone):
        await writing
    assert (await row(world, sender)).stored_bytes == 0
    assert await alice.usage() == (0, 0)


async def test_no_more_bodies_are_taken_at_a_time_than_there_are_places(
    world: World, alice: Person
) -> None:
    world.parts.slots._count = 2
    senders = [await Sender.begin(world, alice, 100) for _ in range(3)]
    lines = [Line(b"0"), Line(b"0")]
    writing = [one.start(0, line) for one, line in zip(senders, lines, strict=False)]
    for line in lines:
        await line.arrived()
    with pytest.raises(Unavailable) as refusal:
        await senders[2].append(0, b"0")
    assert int(refusal.value.headers["Retry-After"]) >= 1
    answer = await alice.try_upload(b"by a form")
    assert (answer.status_code, code_of(answer)) == (503, "unavailable")
    assert int(answer.headers["Retry-After"]) >= 1
    assert await senders[2].offset() == 0
    lines[0].end()
    await writing[0]
    await senders[2].append(0, b"0")
    lines[1].end()
    await writing[1]
    assert world.parts.slots.taken == 0


async def test_who_has_all_places_gives_one_up_to_somebody_else(
    world: World, alice: Person
) -> None:
    bob = await world.person()
    world.parts.slots._count = 3
    senders = [await Sender.begin(world, alice, 100_000) for _ in range(3)]
    lines = [Line(b"0" * 50_000), Line(b"0"), Line(b"0" * 50_000)]
    writing = [one.start(0, line) for one, line in zip(senders, lines, strict=True)]
    for line in lines:
        await line.arrived()
    assert (await bob.try_upload(b"by a form")).status_code == 201
    with pytest.raises(Unavailable, match="most slowly"):
        await writing[1]
    assert await senders[1].offset() == 1  # what came is kept
    assert (await bob.try_upload(b"another")).status_code == 201  # in the place that is free now
    for one, line in ((0, lines[0]), (2, lines[2])):
        line.send(b"1" * 50_000)
        line.end()
        await writing[one]


async def test_a_time_out_of_the_body_itself_is_not_its_end(world: World) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        yield b"0"
        raise TimeoutError

    with world.parts.slots.one("alice") as body, pytest.raises(TimeoutError):
        assert [piece async for piece in body.pieces(pieces())] == [b"0"]


async def test_who_crawls_gives_way_to_anybody(
    world: World, alice: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    bob = await world.person()
    world.parts.slots._count = 1
    sender, line = await Sender.begin(world, alice, 100), Line(b"0")
    writing = sender.start(0, line)
    await line.arrived()
    monkeypatch.setattr("sharezync_shared.fair_slots.SAMPLE_SECONDS", GIVE_UP_SECONDS)
    assert (await bob.try_upload(b"too early to tell")).status_code == 503
    monkeypatch.setattr("sharezync_shared.fair_slots.SAMPLE_SECONDS", 0.0)
    assert (await bob.try_upload(b"by a form")).status_code == 201
    with pytest.raises(Unavailable, match="most slowly"):
        await writing


async def test_a_request_that_is_cancelled_keeps_what_came(sender: Sender) -> None:
    line = Line(DATA[:1_000_000])
    writing = sender.start(0, line)
    await line.arrived()
    writing.cancel()
    await asyncio.wait([writing])
    assert await sender.offset() == 1_000_000
    await sender.append(1_000_000, DATA[1_000_000:])
    assert await sender.content() == DATA


async def test_many_clients_with_one_upload_never_mix_their_bytes(
    world: World, sender: Sender
) -> None:
    """Each asks where to go on, sends a little, and breaks off; nobody coordinates them."""

    async def client(number: int) -> None:
        while True:
            try:
                upload = await sender.look()
                if upload.state not in ("created", "receiving"):
                    return
                offset = upload.stored_bytes
                await sender.append(offset, DATA[offset : offset + 500_000 + number])
            except (UploadBusy, OffsetMismatch):
                await asyncio.sleep(0.01 * number)

    async with asyncio.timeout(60):
        await asyncio.gather(*(client(number) for number in range(1, 5)))
    await wait_until(lambda: not world.parts.assembler._tasks)
    assert await sender.content() == DATA
